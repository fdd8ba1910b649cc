import Encoders
import Foundation
import Imaging
import Kernels
import Weights

/// Makes a quantised file of a source and measures what that cost.
package struct Quantizer {
  private let source: SourceModel
  private let exact: Model
  private let precision: Precision
  private let imagePaths: [String]
  private let sentences: [String]
  private let kernels: KernelSet
  private var activations: [String: ActivationScale] = [:]
  private var calibrationImages = 0
  private var ranges: [String: [Float]] = [:]
  /// The images that could not be read.
  package private(set) var failures: [ImagingError] = []

  /// Finds the scales of activations that cannot be found when they come, and what smooths the layers.
  ///
  /// - Parameters:
  ///   - imagePaths: images like those that will be searched.
  ///   - sentences: sentences like those that will be asked.
  ///   - progress: is told how many images are done, from any thread.
  package init(
    _ source: SourceModel, _ precision: Precision, imagePaths: [String], sentences: [String], smooth: Bool,
    for kernels: KernelSet, progress: (Int) -> Void
  ) throws {
    (self.source, self.precision, self.kernels) = (source, precision, kernels)
    (self.imagePaths, self.sentences) = (imagePaths, sentences)
    exact = try Model(source)
    guard precision == .int8 else { return }
    // Transformers quantise each row of activations as it comes; only convolutions need images to find their scales.
    if case .efficientNetLite = source.config.vision {
      let calibration = try Calibration(Engine(exact, for: kernels), imagePaths: imagePaths, progress: progress)
      (activations, calibrationImages) = (calibration.activations, calibration.images)
      failures = calibration.failures
    }
    guard smooth else { return }
    let samples = try samples()
    ranges = try Calibration.inputRanges(exact, samples, with: kernels)
    if case .vit = source.config.vision { calibrationImages = samples.images.count }
  }

  private func samples() throws -> Samples {
    try Samples(exact, sentences: sentences, imagePaths: imagePaths)
  }

  /// - Parameter escapes: layers, or beginnings of their names, to keep in fp32.
  package func write(_ path: String, escapes: [String], card: AccuracyCard? = nil) throws {
    try source.write(
      int8: path, precision: precision, activations: activations, calibrationImages: calibrationImages, ranges: ranges,
      escapes: escapes, card: card?.json())
  }

  package func exactVectors(progress: (Int) -> Void = { _ in }) throws -> ExactVectors {
    try ExactVectors(Engine(exact, for: kernels), imagePaths: imagePaths, sentences: sentences, progress: progress)
  }

  /// - Parameter path: of a file that `write` made with the same escapes.
  package func card(of path: String, escapes: [String], against vectors: ExactVectors) throws -> AccuracyCard {
    let quantized = try Engine(Model(path: path), for: kernels)
    let layers = try LayerNoise.measure(exact: exact, quantized: quantized.model, samples(), with: kernels)
    return AccuracyCard(exact: vectors, quantized: quantized, layers: layers, escapes: escapes)
  }

  /// Adds to `escapes` as few layers, the noisiest first, as it takes to keep a budget; each tower by itself.
  ///
  /// - Parameters:
  ///   - card: of the file with `escapes`.
  ///   - trial: where files may be written.
  ///   - report: is told of every trial.
  /// - Returns: nil where no escapes keep it.
  package func escapes(
    _ escapes: [String], keeping budget: AccuracyCard.Budget, card: AccuracyCard, against vectors: ExactVectors,
    trial: String, report: (String) -> Void
  ) throws -> [String]? {
    var result = escapes
    for (tower, isKept) in [("vision", card.keepsVision(budget)), ("text", card.keepsText(budget))] where !isKept {
      let layers = card.layers.filter { $0.output != nil }.map(\.name).filter {
        $0.hasPrefix("\(tower).") && source.isEscapable($0, precision)
      }
      /// Whether the `count` noisiest layers are enough.
      func suffices(_ count: Int) throws -> Bool {
        try write(trial, escapes: result + layers.prefix(count))
        let engine = try Engine(Model(path: trial), for: kernels)
        let trialCard = AccuracyCard(exact: vectors, quantized: engine, layers: [])
        let isKept = tower == "vision" ? trialCard.keepsVision(budget) : trialCard.keepsText(budget)
        report("\(tower), \(count) of \(layers.count) layers in fp32: \(isKept ? "within" : "below") the budget")
        return isKept
      }
      guard try suffices(layers.count) else { return nil }
      var (least, most) = (1, layers.count)
      while least < most {
        let middle = (least + most) / 2
        if try suffices(middle) { most = middle } else { least = middle + 1 }
      }
      result += layers.prefix(most)
    }
    return result
  }
}

extension AccuracyCard {
  func keepsVision(_ budget: Budget) -> Bool {
    global.median >= budget.vectors && patches.median >= budget.patches
  }
  func keepsText(_ budget: Budget) -> Bool { text.median >= budget.vectors }
  package func keeps(_ budget: Budget) -> Bool { keepsVision(budget) && keepsText(budget) }
}
