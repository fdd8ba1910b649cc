import Encoders
import Foundation
import Imaging
import Kernels
import Retrieval
import Weights

/// An image and the sentences that are true of it.
public struct CaptionedImage: Sendable {
  public var path: String
  public var captions: [String]

  public init(path: String, captions: [String]) { (self.path, self.captions) = (path, captions) }
}

/// Finds the rerank that suits a model on captioned images, what images and captions have for every query, and what a score means.
struct Tuner {
  /// Images and captions in the model's vectors.
  private struct Encoded {
    var captions: [String] = []
    /// Of each image.
    var owned: [Set<String>] = []
    /// The image of each caption.
    var owner: [Int] = []
    var images: [EncodedImage] = []
    var texts: [EncodedText] = []
  }

  private let engine: Engine
  private let encoded: Encoded
  private let sentenceBank: [Float]
  private let imageBank: [Float]

  /// Interactions that are tried: a guide, its sharpness and its balance cost a computation each, the others none.
  private static let taus: [Float] = [0.05, 0.07, 0.1]
  private static let betas: [Float] = [0.3, 0.5, 0.75]
  private static let lambdas: [Float] = [0, 0.15, 0.3, 0.5, 0.7, 1]
  private static let candidates = [50, 100]
  private static let shares: [Float] = [0, 0.25, 0.5, 0.75, 1]
  private static let temperatures: [Float] = [0.05, 0.1]
  /// Rows of a bank, at most: hubs are a matter of near neighbours, so that few rows do not show them.
  private static let bank = 2048

  /// - Parameter others: captioned images for the banks, none of which is tuned on; where there are none, the tuned ones serve.
  init(
    _ engine: Engine, _ images: [CaptionedImage], others: [CaptionedImage], progress: (Converter.Event) -> Void
  ) throws {
    self.engine = engine
    progress(.begins("images to tune on", images.count))
    let vectors = engine.encode(imagePaths: images.map(\.path)) { progress(.done($0)) }
    progress(.ends)
    var encoded = Encoded()
    for (result, image) in zip(vectors, images) where !image.captions.isEmpty {
      switch result {
      case .success(let vectors):
        encoded.images.append(vectors)
        encoded.owner += image.captions.map { _ in encoded.images.count - 1 }
        encoded.captions += image.captions
        encoded.owned.append(Set(image.captions))
      case .failure(let error): progress(.report("\(error); left out"))
      }
    }
    guard encoded.images.count >= 10 else {
      throw FastThenFineError(.badInput, "tuning takes at least 10 captioned images, there are \(encoded.images.count)")
    }
    encoded.texts = engine.encode(texts: encoded.captions)
    self.encoded = encoded
    let sentences = Set((others.isEmpty ? images : others).flatMap(\.captions)).sorted().everyFew(Self.bank)
    sentenceBank = engine.encode(texts: sentences).flatMap(\.sentence)
    guard !others.isEmpty else {
      imageBank = encoded.images.everyFew(Self.bank).flatMap(\.global)
      return
    }
    let paths = others.map(\.path).everyFew(Self.bank)
    progress(.begins("images of the bank", paths.count))
    imageBank = engine.encode(imagePaths: paths) { progress(.done($0)) }.flatMap { (try? $0.get().global) ?? [] }
    progress(.ends)
    guard !imageBank.isEmpty else { throw FastThenFineError(.badInput, "no image of the bank could be read") }
  }

  /// The config with the interaction of the best mR, `none` where no rerank betters recall, and the banks that go with it.
  func tuned(report: (String) -> Void) throws -> (config: ModelConfig, banks: [String: RoundedLayer]) {
    var best: (setting: InteractionConfig, gain: Interval, hubness: HubnessConfig)?
    var base = 0.0
    for temperature in Self.temperatures {
      let hubness = level(temperature)
      let trials = trials(hubness)
      let recall = trials.parts([nil])[0]
      if base == 0 {
        base = recall.reduce(0, +) / Double(recall.count)
        report(
          String(format: "recall alone: mR %.2f over %d images, %d captions", base, recall.count, encoded.captions.count))
      }
      report(String(format: "hubness at temperature %g:", temperature))
      for (setting, gain) in bests(trials, recall, report) where gain.mean > best?.gain.mean ?? 0 {
        best = (setting, gain, hubness)
      }
    }
    var config = engine.model.config
    config.interaction = best?.setting ?? .recallOnly
    config.interaction.fusion = engine.model.config.interaction.fusion
    config.hubness = best?.hubness ?? level(Self.temperatures[0])
    if let best {
      report("taken: \(Self.line(best.setting, best.gain))" + (best.gain.low > 0 ? "" : "; no more than chance may give"))
    } else {
      report("recall alone is better than every rerank that was tried: the default is no rerank")
    }
    // A sentence is right for every image that has it.
    let chosen = config.interaction.mode == .none ? nil : config.interaction
    let answers = trials(config.hubness!).answers(chosen) { encoded.owned[$1].contains(encoded.captions[$0]) }
    config.probability = ProbabilityConfig(answers)
    if let probability = config.probability {
      report(String(format: "probabilities: expected calibration error %.3f", Reliability(probability, answers).expectedError))
    }
    let rows = (sentences: sentenceBank.count / engine.dimension, images: imageBank.count / engine.dimension)
    return (
      config,
      [
        "bank.sentences": RoundedLayer(nearest: sentenceBank, rows: rows.sentences),
        "bank.images": RoundedLayer(nearest: imageBank, rows: rows.images),
      ]
    )
  }

  /// The best setting of every guide and sharpness.
  private func bests(
    _ trials: RerankTrials, _ recall: [Double], _ report: (String) -> Void
  ) -> [(InteractionConfig, Interval)] {
    let guides: [(InteractionConfig.Mode, Float)] =
      Self.taus.map { (.balanced, $0) } + Self.taus.map { (.words, $0) } + [(.maxsim, Self.taus[0])]
    return guides.compactMap { mode, tau in
      var local: (setting: InteractionConfig, gain: [Double], mean: Double)?
      for beta in mode == .maxsim ? [0] : Self.betas {
        var settings: [InteractionConfig] = []
        for lambda in Self.lambdas {
          for candidates in Self.candidates {
            for share in Self.shares {
              settings.append(
                InteractionConfig(
                  mode: mode, candidates: candidates, tau: tau, beta: beta, lambda: lambda,
                  fusion: engine.model.config.interaction.fusion, hubness: share))
            }
          }
        }
        for (setting, parts) in zip(settings, trials.parts(settings)) {
          let gain = zip(parts, recall).map { $0 - $1 }
          let mean = gain.reduce(0, +) / Double(gain.count)
          if mean > local?.mean ?? -.infinity { local = (setting, gain, mean) }
        }
      }
      guard let local else { return nil }
      let gain = Interval(local.gain)
      report("  \(Self.line(local.setting, gain))")
      return (local.setting, gain)
    }
  }

  private func trials(_ config: HubnessConfig) -> RerankTrials {
    let (d, precision, kernels) = (engine.dimension, engine.precision, engine.kernels)
    func hubness(_ bank: [Float], _ level: Float) -> Hubness {
      Hubness(
        bank: bank, temperature: config.temperature, level: level, dimension: d, precision: precision,
        with: kernels.singleThreaded)
    }
    let evaluation = Evaluation(
      globals: encoded.images.map(\.global), patches: encoded.images.map(\.patches),
      sentences: encoded.texts.map(\.sentence), words: encoded.texts.map(\.words),
      owner: encoded.owner, dimension: d, precision: precision,
      hubness: (hubness(sentenceBank, config.imageLevel), hubness(imageBank, config.captionLevel)), with: kernels)
    return RerankTrials(evaluation, limit: Self.candidates.last!)
  }

  /// The levels of images and captions at a temperature.
  private func level(_ temperature: Float) -> HubnessConfig {
    let (d, single) = (engine.dimension, engine.kernels.singleThreaded)
    func mean(_ vectors: [[Float]], _ bank: [Float]) -> Float {
      let hubness = Hubness(bank: bank, temperature: temperature, level: 0, dimension: d, precision: .int8, with: single)
      let some = vectors.everyFew(256)
      let values = engine.kernels.parallelMap(some.count) { i in
        hubness.value(of: VectorSet(some[i], .int8, dimension: d, with: single).view, with: single)
      }
      return values.reduce(0, +) / Float(max(values.count, 1))
    }
    return HubnessConfig(
      sentences: sentenceBank.count / d, images: imageBank.count / d, temperature: temperature,
      imageLevel: mean(encoded.images.map(\.global), sentenceBank),
      captionLevel: mean(encoded.texts.map(\.sentence), imageBank))
  }

  private static func line(_ setting: InteractionConfig, _ gain: Interval) -> String {
    let numbers = setting.mode == .maxsim ? "" : String(format: " tau %g, beta %g,", setting.tau, setting.beta)
    return "\(setting.mode.rawValue),\(numbers)"
      + String(
        format: " lambda %g, %d candidates, hubness %g: %+.2f (%+.2f to %+.2f)", setting.lambda, setting.candidates,
        setting.hubness, gain.mean, gain.low, gain.high)
  }
}
