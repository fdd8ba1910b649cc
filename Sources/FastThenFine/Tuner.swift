import FTFEncoders
import Foundation
import FTFImaging
import FTFKernels
import FTFRetrieval
import FTFWeights

/// An image and the sentences that are true of it.
public struct CaptionedImage: Sendable {
  public var path: String
  public var captions: [String]
  /// What kind of scene it is, such as `airport`; nil where nobody says.
  public var kind: String?

  public init(path: String, captions: [String], kind: String? = nil) { (self.path, self.captions, self.kind) = (path, captions, kind) }
}

/// Finds the rerank that suits a model on captioned images, what images and captions have for every query, and what a score means.
struct Tuner {
  /// Images and captions in the model's vectors.
  private struct Encoded {
    var captions: [String] = []
    /// Of each image.
    var owned: [[String]] = []
    var kinds: [String?] = []
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
    _ engine: Engine, _ images: [CaptionedImage], others: [CaptionedImage], progress: @Sendable (Converter.Event) -> Void
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
        encoded.owned.append(image.captions)
        encoded.kinds.append(image.kind)
      case .failure(let error): progress(.report("\(error); left out"))
      }
    }
    guard encoded.images.count >= 10 else {
      throw FastThenFineError(.badInput, "tuning takes at least 10 captioned images, there are \(encoded.images.count)")
    }
    encoded.texts = engine.encode(texts: encoded.captions)
    self.encoded = encoded
    // A bank of no sentences tells nothing: pictures without captions leave that to those that are tuned on.
    let said = others.flatMap(\.captions)
    let sentences = Set(said.isEmpty ? encoded.captions : said).sorted().everyFew(Self.bank)
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
  ///
  /// First the sharpness and balance of every guide, then, with the best of each, all shares. Words and the maximum cost several times
  /// what the sentence costs: they are taken where they are better by more than chance may give.
  func tuned(report: (String) -> Void) throws -> (config: ModelConfig, banks: [String: RoundedLayer]) {
    let levels = Self.temperatures.map(level)
    let all = levels.map(trials)
    let recall = all[0].parts([nil])[0]
    let base = recall.reduce(0, +) / Double(recall.count)
    report(String(format: "recall alone: mR %.2f over %d images, %d captions", base, recall.count, encoded.captions.count))
    var best: (trial: Trial, level: Int)?
    for mode in [InteractionConfig.Mode.balanced, .words, .maxsim] {
      let guide = guide(mode, all[0], recall)
      let cheaper = best?.trial
      for level in levels.indices {
        let trials = trial(settings(guide, lambdas: Self.lambdas, shares: Self.shares, candidates: Self.candidates), all[level], recall)
        report(String(format: "%@, tau %g, beta %g, hubs at temperature %g:", mode.rawValue, guide.tau, guide.beta, levels[level].temperature))
        for (name, some) in [
          ("without hubness", trials.filter { $0.setting.hubness == 0 && $0.setting.lambda > 0 }),
          ("hubness alone", trials.filter { $0.setting.lambda == 0 }), ("both", trials.filter { $0.setting.lambda > 0 }),
        ] {
          let first = some.max { $0.mean < $1.mean }!
          report("  \(name): \(first.line)")
          if first.mean > best?.trial.mean ?? 0, cheaper.map(first.isSurelyBetter) ?? true { best = (first, level) }
        }
      }
    }
    var config = engine.model.config
    config.interaction = best?.trial.setting ?? .recallOnly
    config.interaction.fusion = engine.model.config.interaction.fusion
    config.hubness = levels[best?.level ?? 0]
    if let best {
      let isChance = Interval(best.trial.gain).low <= 0
      report("taken: \(config.interaction.mode.rawValue), \(best.trial.line)" + (isChance ? "; no more than chance may give" : ""))
    } else {
      report("recall alone is better than every rerank that was tried: the default is no rerank")
    }
    let chosen = config.interaction.mode == .none ? nil : config.interaction
    let relevance = Relevance(encoded.owned, kinds: encoded.kinds)
    let answers = all[best?.level ?? 0].judged(
      chosen, relevance, captions: encoded.captions, owner: encoded.owner, classes: trials(levels[best?.level ?? 0], of: relevance))
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

  /// What a setting adds to each image's part in mR.
  struct Trial {
    var setting: InteractionConfig
    var gain: [Double]
    var mean: Double { gain.reduce(0, +) / Double(max(gain.count, 1)) }

    func isSurelyBetter(than other: Trial) -> Bool { Interval(zip(gain, other.gain).map { $0 - $1 }).low > 0 }

    var line: String {
      let interval = Interval(gain)
      return String(
        format: "lambda %g, %d candidates, hubness %g: %+.2f (%+.2f to %+.2f)", setting.lambda, setting.candidates,
        setting.hubness, interval.mean, interval.low, interval.high)
    }
  }

  private func trial(_ settings: [InteractionConfig], _ trials: RerankTrials, _ recall: [Double]) -> [Trial] {
    zip(settings, trials.parts(settings)).map { Trial(setting: $0, gain: zip($1, recall).map { $0 - $1 }) }
  }

  /// The best sharpness and balance of a guide.
  private func guide(_ mode: InteractionConfig.Mode, _ trials: RerankTrials, _ recall: [Double]) -> InteractionConfig {
    var best: Trial?
    for tau in mode == .maxsim ? [Self.taus[0]] : Self.taus {
      for beta in mode == .maxsim ? [0] : Self.betas {
        let guide = InteractionConfig(
          mode: mode, candidates: 50, tau: tau, beta: beta, lambda: 1, fusion: engine.model.config.interaction.fusion)
        for one in trial(settings(guide, lambdas: Array(Self.lambdas.dropFirst()), shares: [0], candidates: [50]), trials, recall)
        where one.mean > best?.mean ?? -.infinity { best = one }
      }
    }
    return best!.setting
  }

  private func settings(
    _ guide: InteractionConfig, lambdas: [Float], shares: [Float], candidates: [Int]
  ) -> [InteractionConfig] {
    var settings: [InteractionConfig] = []
    for lambda in lambdas {
      for share in shares {
        for count in candidates {
          var setting = guide
          (setting.lambda, setting.hubness, setting.candidates) = (lambda, share, count)
          settings.append(setting)
        }
      }
    }
    return settings
  }

  private func trials(_ config: HubnessConfig) -> RerankTrials { trials(config, encoded.texts, encoded.owner) }

  /// Of the names of classes; nil where there are none.
  private func trials(_ config: HubnessConfig, of relevance: Relevance) -> RerankTrials? {
    let classes = relevance.classes
    return classes.isEmpty ? nil : trials(config, engine.encode(texts: classes.map(\.sentence)), classes.map(\.image))
  }

  private func trials(_ config: HubnessConfig, _ texts: [EncodedText], _ owner: [Int]) -> RerankTrials {
    let (d, precision, kernels) = (engine.dimension, engine.precision, engine.kernels)
    func hubness(_ bank: [Float], _ range: Hubness.Range) -> Hubness {
      Hubness(
        bank: bank, temperature: config.temperature, range: range, dimension: d, precision: precision,
        with: kernels.singleThreaded)
    }
    // As an index of these images would: by its own, where they are enough.
    let images = encoded.images.everyFew(Engine.mostOwnBank).flatMap(\.global)
    let captions =
      images.count < Engine.leastOwnBank * d
      ? hubness(imageBank, config.ofCaptions)
      : Hubness(
        bank: images, temperature: config.temperature, items: encoded.texts.map(\.sentence), dimension: d, precision: precision,
        with: kernels.singleThreaded)
    let evaluation = Evaluation(
      globals: encoded.images.map(\.global), patches: encoded.images.map(\.patches),
      sentences: texts.map(\.sentence), words: texts.map(\.words),
      owner: owner, dimension: d, precision: precision,
      hubness: (hubness(sentenceBank, config.ofImages), captions), with: kernels)
    return RerankTrials(evaluation, limit: Self.candidates.last!)
  }

  /// The ranges of images and captions at a temperature.
  private func level(_ temperature: Float) -> HubnessConfig {
    let (d, single) = (engine.dimension, engine.kernels.singleThreaded)
    func range(_ vectors: [[Float]], _ bank: [Float]) -> Hubness.Range {
      let hubness = Hubness(bank: bank, temperature: temperature, dimension: d, precision: .int8, with: single)
      let some = vectors.everyFew(256)
      return Hubness.Range(
        engine.kernels.parallelMap(some.count) { i in
          hubness.value(of: VectorSet(some[i], .int8, dimension: d, with: single).view, with: single)
        })
    }
    let (images, captions) = (range(encoded.images.map(\.global), sentenceBank), range(encoded.texts.map(\.sentence), imageBank))
    return HubnessConfig(
      sentences: sentenceBank.count / d, images: imageBank.count / d, temperature: temperature,
      imageLevel: images.level, captionLevel: captions.level, imageFloor: images.floor, captionFloor: captions.floor)
  }
}

extension HubnessConfig {
  var ofImages: Hubness.Range { Hubness.Range(level: imageLevel, floor: imageFloor ?? -.infinity) }
  var ofCaptions: Hubness.Range { Hubness.Range(level: captionLevel, floor: captionFloor ?? -.infinity) }
}
