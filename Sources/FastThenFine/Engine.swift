import Encoders
import Foundation
import Imaging
import Index
import Kernels
import Synchronization
import Tokenization
import Weights

/// A model, ready to encode: the tokenizer, both encoders, and the kernels of one level.
///
/// Everything it holds is constant after `init`, so that one engine can serve many threads.
public final class Engine: Sendable {
  package let model: Model
  package let kernels: KernelSet
  package let images: ImageEncoder
  package let texts: TextEncoder
  /// The ids of a sentence, cut to a number of them.
  private let tokenizer: @Sendable (String, Int) -> [Int32]

  /// - Parameters:
  ///   - path: a `.ftf` file.
  ///   - level: an instruction-set level by name; nil takes `FTF_LEVEL`, or else the best that this CPU runs.
  ///   - threads: nil takes all cores.
  /// - Throws: an error whose description names the file and the way out.
  public convenience init(path: String, level: String? = nil, threads: Int? = nil) throws {
    try self.init(Model(path: path), for: Engine.kernels(level: level, threads: threads))
  }

  package init(_ model: Model, for kernels: KernelSet) throws {
    (self.model, self.kernels) = (model, kernels)
    tokenizer = try Self.tokenizer(of: model)
    images = try ImageEncoder(model, for: kernels)
    texts = try TextEncoder(model, for: kernels)
  }

  /// The ids of a sentence, cut to a number of them.
  static func tokenizer(of model: Model) throws -> @Sendable (String, Int) -> [Int32] {
    do {
      if model.config.text.architecture == "clip" {
        let pairs = try BytePairEncoding(vocabulary: model.vocabulary, merges: model.merges)
        return { pairs.encode($0, limit: $1) }
      } else {
        let pieces = try WordPiece(vocabulary: model.vocabulary, lowercase: model.config.text.lowercase)
        return { pieces.encode($0, limit: $1) }
      }
    } catch {
      throw WeightsError.badConfig(path: model.path, reason: "\(error)")
    }
  }

  /// The kernels of a level, with the defaults of `init`.
  package static func kernels(level: String?, threads: Int?) throws -> KernelSet {
    let name = level ?? ProcessInfo.processInfo.environment["FTF_LEVEL"]
    return try KernelSet(levelName: name, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
  }

  /// What an index remembers of the model that built it.
  package var identity: ModelIdentity {
    ModelIdentity(
      name: model.config.name, path: URL(fileURLWithPath: model.path).standardizedFileURL.path,
      fingerprint: model.fingerprint, dimension: dimension)
  }

  /// Length of every vector.
  public var dimension: Int { model.config.dimension }

  /// The ids of a sentence's tokens, cut to the model's context.
  package func tokens(_ text: String) -> [Int32] {
    tokenizer(text, model.config.text.contextLength)
  }

  /// One sentence, on all threads.
  package func encode(text: String) -> EncodedText { texts.encode([tokens(text)], with: kernels)[0] }

  /// Many sentences, in order: groups of them side by side on the threads.
  ///
  /// - Parameter progress: is told how many are done, from any thread.
  package func encode(texts sentences: [String], progress: ((Int) -> Void)? = nil) -> [EncodedText] {
    let group = 16
    let groups = (sentences.count + group - 1) / group
    let results = Mutex([[EncodedText]](repeating: [], count: groups))
    let single = kernels.singleThreaded
    kernels.parallelFor(groups) { i in
      let part = sentences[i * group..<min((i + 1) * group, sentences.count)]
      let encoded = texts.encode(part.map(tokens), with: single)
      results.withLock { $0[i] = encoded }
      progress?(part.count)
    }
    return results.withLock { Array($0.joined()) }
  }

  /// One image, on all threads.
  package func encode(_ image: RGBImage) -> EncodedImage { images.encode(prepared(image).pixels, with: kernels) }

  /// Many images, in order, one a thread; a bad one costs no other its result.
  package func encode(
    imagePaths paths: [String], progress: ((Int) -> Void)? = nil
  ) -> [Result<EncodedImage, ImagingError>] {
    let results = Mutex([Result<EncodedImage, ImagingError>?](repeating: nil, count: paths.count))
    let single = kernels.singleThreaded
    kernels.parallelFor(paths.count) { i in
      let result: Result<EncodedImage, ImagingError>
      do {
        let image = try RGBImage(path: paths[i])
        result = .success(images.encode(prepared(image).pixels, with: single))
      } catch {
        result = .failure(error as! ImagingError)
      }
      results.withLock { $0[i] = result }
      progress?(1)
    }
    return results.withLock { $0.map { $0! } }
  }

  /// As an index holds it.
  package func packed(_ image: EncodedImage) -> PackedItem {
    PackedItem(coarse: image.global, fine: image.patches, isPooled: true, with: kernels.singleThreaded)
  }

  package func packed(_ text: EncodedText) -> PackedItem {
    PackedItem(coarse: text.sentence, fine: text.words, isPooled: false, with: kernels.singleThreaded)
  }

  /// Resized and cropped to what the encoder takes.
  package func prepared(_ image: RGBImage) -> RGBImage { model.config.preprocessing.prepare(image) }
}

extension PreprocessingConfig {
  /// Resized and cropped to what an encoder takes.
  func prepare(_ image: RGBImage) -> RGBImage {
    let isBilinear = interpolation == "bilinear"
    if resize == "exact" { return image.resized(width: cropTo, height: cropTo, bilinear: isBilinear) }
    return image.centred(
      resizeTo: resizeTo, cropTo: cropTo, roundingDown: rounding == "down", centringToEven: centring == "nearest",
      bilinear: isBilinear)
  }
}
