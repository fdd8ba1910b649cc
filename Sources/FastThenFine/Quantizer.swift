import FTFEncoders
import Foundation
import FTFImaging
import FTFKernels
import FTFWeights

/// Makes a quantised file of a source and measures what that cost.
package struct Quantizer {
  private let source: SourceModel
  private let precision: Precision
  private let sentences: [String]
  private let samples: Samples
  private let calibration: Calibration
  private let kernels: KernelSet
  /// The images that could not be read.
  package var failures: [ImagingError] { samples.failures }

  /// Finds the scales of activations, what smooths the layers, and the codes of their weights.
  ///
  /// - Parameters:
  ///   - imagePaths: images like those that will be searched.
  ///   - sentences: sentences like those that will be asked.
  ///   - progress: is told what is decided and done, from any thread.
  package init(
    _ source: SourceModel, _ precision: Precision, imagePaths: [String], sentences: [String], smooth: Bool,
    for kernels: KernelSet, progress: @Sendable (Converter.Event) -> Void
  ) throws {
    (self.source, self.precision, self.kernels) = (source, precision, kernels)
    self.sentences = sentences
    // Weights alone are weighed where there are images to weigh them on.
    let isWeighed = precision == .int8 || !imagePaths.isEmpty
    samples = try Samples(Model(source), sentences: isWeighed ? sentences : [], imagePaths: imagePaths, with: kernels)
    calibration = try Calibration(source, precision, samples, smooth: smooth, for: kernels, progress: progress)
  }

  /// - Parameter escapes: layers, or beginnings of their names, to keep in fp32.
  package func write(_ path: String, escapes: [String], card: AccuracyCard? = nil) throws {
    try calibration.source.write(
      int8: path, precision: precision, activations: calibration.activations, calibrationImages: samples.images.count,
      rounded: calibration.rounded, escapes: escapes, card: card?.json())
  }

  package func exactVectors(of imagePaths: [String], progress: @Sendable (Int) -> Void = { _ in }) throws -> ExactVectors {
    try ExactVectors(Engine(Model(source), for: kernels), imagePaths: imagePaths, sentences: sentences, progress: progress)
  }

  /// - Parameter path: of a file that `write` made with the same escapes.
  package func card(of path: String, escapes: [String], against vectors: ExactVectors) throws -> AccuracyCard {
    let quantized = try Engine(Model(path: path), for: kernels)
    let layers = try LayerNoise.measure(
      exact: Model(calibration.source), quantized: quantized.model, samples, with: kernels)
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
