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
  /// The greatest magnitude of every column of the inputs of every transformer layer, over sentences and images.
  package static func inputRanges(
    _ engine: Engine, sentences: [String], imagePaths paths: [String]
  ) -> [String: [Float]] {
    var ranges: [String: [Float]] = [:]
    func widen(_ name: String, _ input: [Float], _ rows: Int) {
      let columns = input.count / rows
      var range = ranges[name] ?? [Float](repeating: 0, count: columns)
      for i in input.indices { range[i % columns] = max(range[i % columns], abs(input[i])) }
      ranges[name] = range
    }
    for sentence in sentences {
      let ids = engine.tokens(sentence)
      _ = engine.texts.encode([ids], with: engine.kernels) { widen($0, $1, ids.count) }
    }
    if case .vit(let vision) = engine.model.config.vision {
      let rows = vision.grid * vision.grid + 1
      for path in paths {
        guard let image = try? RGBImage(path: path) else { continue }
        let probe = ImageProbe(input: { widen($0, $1, rows) })
        _ = engine.images.encode(engine.prepared(image).pixels, with: engine.kernels, probe: probe)
      }
    }
    return ranges
  }
}
