import FTFEncoders
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFRetrieval
import FTFTokenization
import Synchronization
import FTFWeights

/// A model, ready to encode: the tokenizer, both encoders, the kernels of one instruction-set level, and the threads it computes on.
///
/// Everything it holds is constant after `init`: one engine serves any number of threads and tasks.
public final class Engine: Sendable {
  package let model: Model
  package let kernels: KernelSet
  private let imageTower: ImageEncoder?
  private let textTower: TextEncoder?
  /// What images and captions have for every query; nil where the model was not tuned.
  let hubness: (images: Hubness, captions: Hubness)?
  /// Where it computes; engines and searchers may share one.
  public let pool: ComputePool
  private let recent = Mutex<[(text: String, encoded: EncodedText)]>([])
  /// The ids of a sentence, cut to a number of them.
  private let tokenizer: @Sendable (String, Int) -> [Int32]

  /// - Parameters:
  ///   - path: a model file, as `convert` makes it.
  ///   - level: an instruction-set level by name; nil takes `FTF_LEVEL`, or else the best that this CPU runs.
  ///   - pool: the threads to compute on; by default one of its own with all cores that the process may use.
  /// - Throws: `unusableModel`, `notAModel` or `badInput`.
  public convenience init(
    path: String, level: String? = nil, pool: ComputePool = ComputePool()
  ) throws(FastThenFineError) {
    try self.init(path: path, level: level, pool: pool, towers: .both)
  }

  /// What of a model is made ready: a program that ends with one answer saves the time and the memory of the rest, and must not ask for it.
  package enum Towers: Sendable { case both, images, sentences }

  package var images: ImageEncoder {
    guard let imageTower else { preconditionFailure("the engine was opened for sentences") }
    return imageTower
  }
  package var texts: TextEncoder {
    guard let textTower else { preconditionFailure("the engine was opened for images") }
    return textTower
  }

  package convenience init(path: String, level: String?, pool: ComputePool, towers: Towers) throws(FastThenFineError) {
    let model: Model
    let kernels: KernelSet
    do {
      kernels = try Engine.kernels(level: level, threads: pool.threads)
      model = try Model(path: path)
    } catch {
      throw FastThenFineError(error)
    }
    do {
      try self.init(model, for: kernels, pool: pool, towers: towers)
    } catch {
      throw FastThenFineError(error)
    }
  }

  package init(_ model: Model, for kernels: KernelSet, pool: ComputePool? = nil, towers: Towers = .both) throws {
    (self.model, self.kernels) = (model, kernels)
    self.pool = pool ?? ComputePool(threads: kernels.threads)
    tokenizer = try Self.tokenizer(of: model)
    imageTower = towers == .sentences ? nil : try ImageEncoder(model, for: kernels)
    textTower = towers == .images ? nil : try TextEncoder(model, for: kernels)
    hubness = try Self.hubness(model, .int8, with: kernels.singleThreaded)
  }

  /// - Parameter precision: of the vectors that are searched.
  static func hubness(
    _ model: Model, _ precision: Precision, with kernels: KernelSet
  ) throws -> (images: Hubness, captions: Hubness)? {
    guard let config = model.config.hubness else { return nil }
    func hubness(_ bank: String, _ rows: Int, _ range: Hubness.Range) throws -> Hubness {
      Hubness(
        bank: try model.bank(bank, rows: rows), temperature: config.temperature, range: range,
        dimension: model.config.dimension, precision: precision, with: kernels)
    }
    return (
      try hubness("bank.sentences", config.sentences, config.ofImages),
      try hubness("bank.images", config.images, config.ofCaptions)
    )
  }

  /// Images of an archive that tell what of its captions is near to all of them; fewer tell nothing.
  static let (leastOwnBank, mostOwnBank) = (100, 2048)

  /// Of captions by the images that are searched with: what is common to them is better known than from any other images.
  ///
  /// - Parameters:
  ///   - images: g of some, side by side; where they are too few the model's bank serves.
  ///   - captions: t of some.
  static func captionHubness(
    _ model: Model, images: [Float], captions: [[Float]], _ precision: Precision, with kernels: KernelSet
  ) -> Hubness? {
    let d = model.config.dimension
    guard let config = model.config.hubness, images.count >= leastOwnBank * d else { return nil }
    return Hubness(bank: images, temperature: config.temperature, items: captions, dimension: d, precision: precision, with: kernels)
  }

  /// The ids of a sentence, cut to a number of them.
  static func tokenizer(of model: Model) throws -> @Sendable (String, Int) -> [Int32] {
    do {
      if model.config.text.architecture == "clip" {
        let pairs = try BytePairEncoding(
          vocabulary: model.vocabulary, merges: model.merges, added: model.addedTokens)
        if model.config.text.repairs == true { return { pairs.encode(TextRepair.repaired($0), limit: $1) } }
        return { pairs.encode($0, limit: $1) }
      } else {
        let pieces = try WordPiece(
          vocabulary: model.vocabulary, lowercase: model.config.text.lowercase, added: model.addedTokens)
        return { pieces.encode($0, limit: $1) }
      }
    } catch {
      throw WeightsError.badConfig(path: model.path, reason: "\(error)")
    }
  }

  /// The kernels of a level, with the defaults of `init`.
  package static func kernels(level: String?, threads: Int?) throws -> KernelSet {
    let name = level ?? ProcessInfo.processInfo.environment["FTF_LEVEL"]
    // A variable that is empty says nothing.
    return try KernelSet(levelName: name?.isEmpty == true ? nil : name, threads: threads ?? Processors.usable)
  }

  /// t of a sentence: f32[dimension], unit norm.
  public func embed(text: String) -> [Float] {
    pool.run { texts.encode([tokens(text)], with: kernels.with(threads: $0))[0].sentence }
  }

  /// g of a picture: f32[dimension], unit norm. JPEG and PNG files are read, by what they hold and not by their names, and where GDAL
  /// is installed also GeoTIFF, JPEG 2000, VRT and WebP.
  ///
  /// - Parameters:
  ///   - path: of the file.
  ///   - views: of the picture, whose vectors are averaged.
  /// - Throws: `unusableFile`.
  public func embed(imageAt path: String, views: Views = .one) throws(FastThenFineError) -> [Float] {
    try FastThenFineError.wrapping {
      let image = try picture(at: path)
      return pool.run { encode(prepared: prepared(image), views, with: kernels.with(threads: $0)).global }
    }
  }

  /// What a model makes of a picture: g, and P of its patches, row by row of a grid.
  public struct ImageVectors: Sendable, Equatable {
    /// f32[dimension], unit norm.
    public var global: [Float]
    /// f32[patches, dimension], each of unit norm.
    public var patches: [Float]

    public init(global: [Float], patches: [Float]) { (self.global, self.patches) = (global, patches) }
  }

  /// What a model makes of a sentence: t, and W of its tokens.
  public struct TextVectors: Sendable, Equatable {
    /// f32[dimension], unit norm.
    public var sentence: [Float]
    /// f32[tokens, dimension], each of unit norm.
    public var words: [Float]

    public init(sentence: [Float], words: [Float]) { (self.sentence, self.words) = (sentence, words) }
  }

  /// A picture that a program holds.
  public enum Picture: Sendable {
    /// The path of a file.
    case file(String)
    /// The bytes of a JPEG or PNG file, or of what GDAL reads of memory.
    case encoded([UInt8])
    /// u8[height, width, 3], red, green and blue.
    case pixels([UInt8], width: Int, height: Int)
  }

  /// Vectors of pictures, in order, on all threads; a bad one costs no other its result.
  ///
  /// - Parameters:
  ///   - pictures: of any sizes.
  ///   - views: of each picture, whose vectors are averaged.
  /// - Returns: for each the vectors, or `unusableFile`, or `badInput` for pixels that are not as many as its sides say.
  public func vectors(of pictures: [Picture], views: Views = .one) -> [Result<ImageVectors, FastThenFineError>] {
    pool.run { threads in
      encodeEach(pictures.count, views, with: kernels.with(threads: threads)) { i throws(FastThenFineError) in
        ([prepared(try decoded(pictures[i]))], ())
      } made: { _, vectors in
        ImageVectors(global: vectors[0].global, patches: vectors[0].patches)
      }
    }
  }

  package func decoded(_ picture: Picture) throws(FastThenFineError) -> RGBImage {
    switch picture {
    case .file(let path): return try FastThenFineError.wrapping { try self.picture(at: path) }
    case .encoded(let bytes): return try FastThenFineError.wrapping { try self.picture(Data(bytes)) }
    case .pixels(let bytes, let width, let height):
      let (rows, overflow) = width.multipliedReportingOverflow(by: 3)
      let (count, overflows) = rows.multipliedReportingOverflow(by: height)
      guard width > 0, height > 0, !overflow, !overflows, count == bytes.count else {
        throw FastThenFineError(.badInput, "a picture of \(width) x \(height) has \(width) * \(height) * 3 bytes, not \(bytes.count)")
      }
      return RGBImage(width: width, height: height, pixels: AlignedBuffer(copying: bytes.span))
    }
  }

  /// Vectors of sentences, in order: groups of them side by side on the threads.
  ///
  /// - Parameter sentences: cut to the model's context.
  public func vectors(of sentences: [String]) -> [TextVectors] {
    pool.run { _ in encode(texts: sentences).map { TextVectors(sentence: $0.sentence, words: $0.words) } }
  }

  /// g of a picture that is decoded; in this thread.
  package func embed(_ picture: RGBImage) -> [Float] { images.encode(prepared(picture).pixels, with: kernels.singleThreaded).global }

  /// Whether scores of sentences have a meaning as chances.
  public var statesProbabilities: Bool { model.config.probability != nil }

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

  /// Which rows of a sentence's W belong to a word of it: the tokens of the word, where they stand first.
  ///
  /// - Returns: nil where the sentence does not have it, or is cut off before.
  func rows(of word: String, in sentence: String) -> Range<Int>? {
    let (all, own) = (tokens(sentence).dropFirst().dropLast(), tokens(word).dropFirst().dropLast())
    guard !own.isEmpty, own.count <= all.count else { return nil }
    let start = (0...all.count - own.count).first { all.dropFirst($0).starts(with: own) }
    return start.map { $0..<$0 + own.count }
  }

  /// One sentence.
  ///
  /// - Parameter kernels: nil for all threads.
  package func encode(text: String, with kernels: KernelSet? = nil) -> EncodedText {
    texts.encode([tokens(text)], with: kernels ?? self.kernels)[0]
  }

  /// One sentence, or what came of it a moment ago: whoever has searched for it asks for its heat maps next.
  func remembered(text: String, with kernels: KernelSet) -> EncodedText {
    // By their bytes: strings that look alike are equal and may yet have other tokens.
    if let known = recent.withLock({ $0.first { $0.text.utf8.elementsEqual(text.utf8) }?.encoded }) { return known }
    let encoded = encode(text: text, with: kernels)
    recent.withLock {
      $0.append((text, encoded))
      if $0.count > Self.mostRecent { $0.removeFirst() }
    }
    return encoded
  }

  /// Leaves no sentence remembered, so that the next one takes the time that a new one takes.
  package func forgetSentences() { recent.withLock { $0 = [] } }

  private static let mostRecent = 32

  /// Many sentences, in order: groups of them side by side on the threads.
  ///
  /// - Parameter progress: is told how many are done, from any thread.
  package func encode(texts sentences: [String], progress: @Sendable (Int) -> Void = { _ in }) -> [EncodedText] {
    let group = 16
    let groups = (sentences.count + group - 1) / group
    let single = kernels.singleThreaded
    let results = kernels.parallelMap(groups) { i in
      let part = sentences[i * group..<min((i + 1) * group, sentences.count)]
      defer { progress(part.count) }
      return texts.encode(part.map(tokens), with: single)
    }
    return Array(results.joined())
  }

  /// One image.
  package func encode(_ image: RGBImage, views: Views = .one, with kernels: KernelSet? = nil) -> EncodedImage {
    encode(prepared: prepared(image), views, with: kernels ?? self.kernels)
  }

  /// Many images, in order; a bad one costs no other its result.
  package func encode(
    imagePaths paths: [String], views: Views = .one, progress: @Sendable (Int) -> Void = { _ in }
  ) -> [Result<EncodedImage, ImagingError>] {
    encodeEach(paths.count, views, with: kernels, progress: progress) { i throws(ImagingError) in
      ([prepared(try picture(at: paths[i]))], ())
    } made: { _, vectors in
      vectors[0]
    }
  }

  /// As an index holds it.
  func packed(_ image: EncodedImage, _ patches: StoredPatches) -> PackedItem {
    guard patches != .nothing else { return PackedItem(alone: image.global, with: kernels.singleThreaded) }
    return PackedItem(coarse: image.global, fine: kept(image, patches).patches, isPooled: true, with: kernels.singleThreaded)
  }

  /// With the patches that an index of this kind has of it.
  package func kept(_ image: EncodedImage, _ patches: StoredPatches) -> EncodedImage {
    guard patches == .pooled else { return image }
    return EncodedImage(global: image.global, patches: PatchPooling(side: patchGrid).pooled(image.patches, dimension: dimension))
  }

  package func packed(_ text: EncodedText) -> PackedItem {
    PackedItem(coarse: text.sentence, fine: text.words, isPooled: false, with: kernels.singleThreaded)
  }

  /// Resized and cropped to what the encoder takes.
  /// A vector alone is of what the model's own processor takes, the middle of a picture that is not square; an index sees it whole
  /// (`WholePicture`).
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
