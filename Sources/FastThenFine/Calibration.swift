import Encoders
import Foundation
import Imaging
import Kernels
import Synchronization
import Weights

/// Finds the scales of the activations that ReLU6 does not bound, by running images through the model in fp32.
package struct Calibration: Sendable {
  /// By layer name, as `SourceModel.write(int8:)` takes them.
  package let activations: [String: ActivationScale]
  /// How many images were used.
  package let images: Int
  /// The images that could not be read.
  package let failures: [ImagingError]

  /// A range covers this share of the values on either side: the rare outliers beyond it are clipped, so that the
  /// others keep a finer step.
  static let coverage = 0.9999

  /// - Parameters:
  ///   - engine: of an fp32 model.
  ///   - paths: images like those that will be searched.
  /// - Throws: where the activations overflow, as those of damaged weights do.
  package init(_ engine: Engine, imagePaths paths: [String], progress: (Int) -> Void) throws {
    let single = engine.kernels.singleThreaded
    let ranges = Mutex([String: [(low: Float, high: Float)]]())
    let failed = Mutex([ImagingError]())
    engine.kernels.parallelFor(paths.count) { i in
      do {
        let image = try engine.prepared(RGBImage(path: paths[i]))
        let probe = ImageProbe(output: { name, values in
          let range = Self.range(of: values)
          ranges.withLock { $0[name, default: []].append(range) }
        })
        _ = engine.images.encode(image.pixels, with: single, probe: probe)
      } catch {
        failed.withLock { $0.append(error as! ImagingError) }
      }
      progress(1)
    }
    failures = failed.withLock { $0 }
    images = paths.count - failures.count
    let found = ranges.withLock { $0 }
    for (name, layer) in found where !layer.allSatisfy({ $0.low.isFinite && $0.high.isFinite }) {
      throw WeightsError.badValue(path: engine.model.path, tensor: name, reason: "gives outputs that overflow")
    }
    activations = found.mapValues(Self.scale)
  }

  /// The values that leave 1 - coverage of all on either side, at least one value.
  private static func range(of values: [Float]) -> (low: Float, high: Float) {
    let sorted = values.sorted()
    let skipped = Int(Double(sorted.count) * (1 - coverage))
    return (sorted[skipped], sorted[sorted.count - 1 - skipped])
  }

  /// 256 codes from the least to the greatest value of all images; zero is always one of them.
  private static func scale(_ ranges: [(low: Float, high: Float)]) -> ActivationScale {
    let low = min(0, ranges.map(\.low).min()!)
    let high = max(0, ranges.map(\.high).max()!)
    let step = max((high - low) / 255, .leastNormalMagnitude)
    return ActivationScale(scale: step, zero: Int((-low / step).rounded()).clamped(to: 0...255))
  }
}

extension Calibration {
  /// Of the transformer layers that are smoothed, the greatest magnitude of every column of their inputs.
  ///
  /// Those are the layers that follow a norm, whose columns differ most. On all-MiniLM-L6-v2 they take the median of
  /// 1 - cosine(int8, fp32) from 0.00256 to 0.00101; the layers after attention and the activation leave it at 0.00258.
  package static func inputRanges(_ model: Model, _ samples: Samples, with kernels: KernelSet) throws -> [String:
    [Float]]
  {
    var ranges: [String: [Float]] = [:]
    try visitLayers(of: model, sentences: samples.sentences, images: samples.images, with: kernels) {
      name, input, rows in
      guard name.hasSuffix(".qkv") || name.hasSuffix(".mlp_in"),
        let columns = model.weights.shape("\(name).weight")?.last
      else { return }
      var range = ranges[name] ?? [Float](repeating: 0, count: columns)
      for i in 0..<rows * columns { range[i % columns] = max(range[i % columns], abs(input[i])) }
      ranges[name] = range
    }
    return ranges
  }
}

/// Inputs that are ready for a model's encoders.
package struct Samples {
  package let sentences: [[Int32]]
  package let images: [AlignedBuffer<UInt8>]

  /// Few images are enough: each has as many rows as a model has patches.
  private static let images = 16

  /// All sentences, and some of the images, evenly spaced.
  package init(_ model: Model, sentences: [String], imagePaths paths: [String]) throws {
    let tokenizer = try Engine.tokenizer(of: model)
    self.sentences = sentences.map { tokenizer($0, model.config.text.contextLength) }
    let count = min(paths.count, Self.images)
    images = (0..<count).compactMap { i in
      (try? RGBImage(path: paths[i * paths.count / count])).map { model.config.preprocessing.prepare($0).pixels }
    }
  }
}
