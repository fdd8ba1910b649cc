import Encoders
import Foundation
import Imaging
import Retrieval
import Weights

/// Images and the sentences that are true of them.
public struct CaptionedImages: Sendable {
  public var path: String
  public var captions: [String]

  public init(path: String, captions: [String]) { (self.path, self.captions) = (path, captions) }
}

/// Finds the rerank that suits a model on captioned images, and what its scores mean there.
struct Tuner {
  private let trials: RerankTrials
  /// By number, whether a sentence is among an image's.
  private let captions: [String]
  private let owned: [Set<String>]
  private let fusion: InteractionConfig.Fusion

  /// Interactions that are tried: their guides, sharpness and balance cost a computation each, the others none.
  private static let taus: [Float] = [0.02, 0.05, 0.07, 0.1, 0.2]
  private static let betas: [Float] = [0.25, 0.5, 0.75, 1]
  private static let lambdas: [Float] = [0.15, 0.3, 0.5, 0.7, 1]
  private static let candidates = [20, 50, 100]

  init(_ engine: Engine, _ images: [CaptionedImages], progress: (Converter.Event) -> Void) throws {
    progress(.begins("images to tune on", images.count))
    let encoded = engine.encode(imagePaths: images.map(\.path)) { progress(.done($0)) }
    progress(.ends)
    var kept: [(image: EncodedImage, captions: [String])] = []
    for (result, image) in zip(encoded, images) where !image.captions.isEmpty {
      switch result {
      case .success(let vectors): kept.append((vectors, image.captions))
      case .failure(let error): progress(.report("\(error); left out"))
      }
    }
    guard kept.count >= 10 else {
      throw FastThenFineError(.badInput, "tuning takes at least 10 captioned images, there are \(kept.count)")
    }
    captions = kept.flatMap(\.captions)
    owned = kept.map { Set($0.captions) }
    let texts = engine.encode(texts: captions)
    let evaluation = Evaluation(
      globals: kept.map(\.image.global), patches: kept.map(\.image.patches), sentences: texts.map(\.sentence),
      words: texts.map(\.words), owner: kept.indices.flatMap { i in kept[i].captions.map { _ in i } },
      dimension: engine.dimension, precision: engine.precision, with: engine.kernels)
    trials = RerankTrials(evaluation, limit: Self.candidates.last!)
    fusion = engine.model.config.interaction.fusion
  }

  /// The interaction with the best mR, `none` where no rerank betters recall; what a score means with it.
  func tuned(report: (String) -> Void) -> (interaction: InteractionConfig, probability: ProbabilityConfig?) {
    let recall = trials.parts([nil])[0]
    let base = recall.reduce(0, +) / Double(recall.count)
    report(String(format: "recall alone: mR %.2f over %d images, %d captions", base, recall.count, captions.count))
    var best: (setting: InteractionConfig, gain: Interval)?
    for (mode, tau) in Self.guides {
      var local: (setting: InteractionConfig, gain: [Double], mean: Double)?
      for beta in mode == .maxsim ? [0] : Self.betas {
        let settings = Self.lambdas.flatMap { lambda in
          Self.candidates.map {
            InteractionConfig(mode: mode, candidates: $0, tau: tau, beta: beta, lambda: lambda, fusion: fusion)
          }
        }
        for (setting, parts) in zip(settings, trials.parts(settings)) {
          let gain = zip(parts, recall).map { $0 - $1 }
          let mean = gain.reduce(0, +) / Double(gain.count)
          if mean > local?.mean ?? -.infinity { local = (setting, gain, mean) }
        }
      }
      guard let local else { continue }
      let gain = Interval(local.gain)
      report(Self.line(local.setting, gain))
      if gain.mean > best?.gain.mean ?? 0 { best = (local.setting, gain) }
    }
    var chosen = InteractionConfig(mode: .none, candidates: 50, tau: 0.1, beta: 0.5, lambda: 0.5, fusion: fusion)
    if let best {
      chosen = best.setting
      report("taken: \(Self.line(best.setting, best.gain))" + (best.gain.low > 0 ? "" : "; no more than chance may give"))
    } else {
      report("recall alone is better than every rerank that was tried: the default is no rerank")
    }
    let answers = answers(chosen)
    let probability = ProbabilityConfig(answers)
    if let probability {
      report(String(format: "probabilities: expected calibration error %.3f", Reliability(probability, answers).expectedError))
    }
    return (chosen, probability)
  }

  private static var guides: [(InteractionConfig.Mode, Float)] {
    taus.map { (.balanced, $0) } + taus.map { (.words, $0) } + [(.maxsim, taus[0])]
  }

  /// A sentence is right for every image that has it.
  private func answers(_ interaction: InteractionConfig) -> [(scores: [Float], isRight: [Bool])] {
    trials.answers(interaction.mode == .none ? nil : interaction) { owned[$1].contains(captions[$0]) }
  }

  private static func line(_ setting: InteractionConfig, _ gain: Interval) -> String {
    let numbers = setting.mode == .maxsim ? "" : String(format: " tau %g, beta %g,", setting.tau, setting.beta)
    return "\(setting.mode.rawValue),\(numbers)"
      + String(
        format: " lambda %g, %d candidates: %+.2f (%+.2f to %+.2f)", setting.lambda, setting.candidates, gain.mean, gain.low,
        gain.high)
  }
}
