import FTFFiles
import Foundation
import FTFWeights

/// What the last block of a vision transformer makes of its patches.
public typealias PatchSource = FTFWeights.PatchSource

/// How the numbers of a model are held: `fp32`, `int8` (weights and activations), `int8-weights` (a small file, fp32 arithmetic).
public typealias Precision = FTFWeights.Precision

/// Makes model files of weights as people have them. Nothing that weights carry is ever run.
public enum Converter {
  public struct Options: Sendable {
    public var precision = Precision.int8
    /// Where the text tower comes from, where it is another source than the image tower's.
    public var text: String?
    /// A folder with the tokenizer's files, where the source has none.
    public var tokenizer: String?
    /// `gelu` or `quickgelu`, where the source does not say it: the same weights make another model.
    public var activation: String?
    /// open_clip's name of the architecture, where the source is a bare file.
    public var architecture: String?
    /// Side of the images to encode, where it is not that of the training.
    public var imageSize: Int?
    /// Tensors (names, or beginnings of names) and keys of a config that nothing here computes and that may be left out all the same.
    public var ignored: [String] = []
    /// What the patches of a vision transformer are made of; nil takes what the literature found to point at things.
    public var patches: PatchSource?
    /// Where the weights come from, in a sentence; it travels with the model.
    public var origin = ""
    /// Image files like those to be searched: int8 takes the ranges of its activations from them.
    public var calibrationImages: [String] = []
    /// Others like them, on which what quantisation cost is measured; none for measuring on the calibration images.
    public var verificationImages: [String] = []
    /// Sentences like those to be asked.
    public var sentences = commonSentences
    /// Layers, or beginnings of their names, that stay fp32.
    public var keepFP32: [String] = []
    /// Divides the difficulty of large activations between them and the weights, in int8 transformers.
    public var smooths = true
    /// Measures what quantisation cost on the calibration images and keeps it in the file.
    public var verifies = false
    /// The least median cosine with fp32 that g and t may have, and P where it is another.
    public var budget: Double?
    public var patchBudget: Double?
    /// Captioned images, on which the rerank's settings are chosen and the meaning of a score is found; none for leaving both.
    public var tuning: [CaptionedImage] = []
    /// Others like them, which show what is near to whatever is asked; where there are none, `tuning` does.
    public var tuningBank: [CaptionedImage] = []
    /// Vectors that another program made, f32[rows, d], a row for each of `images` or, where that is nil, of the sentences; and where
    /// they are from. They say which activation a silent source has.
    public var expected: (path: String, rows: Int, values: [Float], images: [String]?)?

    public init() {}

    var source: SourceModel.Options {
      SourceModel.Options(
        tokenizer: tokenizer, activation: activation, architecture: architecture, imageSize: imageSize, ignored: ignored)
    }
  }

  /// What a conversion tells while it works, from any thread.
  public enum Event: Sendable {
    /// One line on what was decided or found.
    case report(String)
    /// A stage over some images begins.
    case begins(String, Int)
    case done(Int)
    case ends
  }

  /// What was made.
  public struct Outcome: Sendable {
    public var name: String
    public var bytes: Int
    /// What the source did not say and was decided.
    public var decisions: [String]
    /// What quantisation cost, as JSON; where it was measured.
    public var card: String?
    package var accuracy: AccuracyCard?
  }

  /// Sentences of the kind that people ask of overhead images.
  public static let commonSentences = [
    "a bridge over a wide river", "planes parked at an airport", "dense houses and narrow streets", "a green forest",
    "farmland divided into fields", "many cars in a parking lot", "white storage tanks in rows", "boats in a port",
    "a sandy beach with waves", "a football field with a red track", "mountains with snow", "a pond among trees",
    "a railway station with many tracks", "an industrial area with large roofs", "a desert with dunes",
    "a school with a playground", "a church beside a square", "a highway with an overpass",
  ]

  /// Reads weights and writes a model file: whole, or not at all.
  ///
  /// - Parameters:
  ///   - source: a folder of transformers' CLIP or VisionTextDualEncoder, of open_clip or of this project's own format, or a file of
  ///     weights (.safetensors, .pt, .bin, an fp32 model file).
  ///   - output: the model file to write.
  ///   - options: what the source leaves open, and how it is quantised.
  ///   - level: an instruction-set level by name; nil takes the best.
  ///   - threads: nil takes all cores that the process may use.
  ///   - progress: is told what is decided and done, from any thread.
  /// - Throws: `unusableModel`, `badInput`, `unusableFile`.
  @discardableResult
  public static func convert(
    _ source: String, to output: String, _ options: Options = Options(), level: String? = nil, threads: Int? = nil,
    progress: @Sendable (Event) -> Void = { _ in }
  ) throws(FastThenFineError) -> Outcome {
    do {
      return try withoutActuallyEscaping(progress) { progress in
        try Conversion(output: output, options: options, level: level, threads: threads, progress: progress).run(source)
      }
    } catch {
      throw FastThenFineError(error)
    }
  }
}

/// One conversion on its way.
private struct Conversion {
  var output: String
  let options: Converter.Options
  let level: String?
  let threads: Int?
  let progress: @Sendable (Converter.Event) -> Void

  func run(_ source: String) throws -> Converter.Outcome {
    var model = try SourceModel(source, options.source)
    if let text = options.text { model = try model.withText(from: text, options.source) }
    guard model.unused.isEmpty else {
      throw FastThenFineError(
        .badInput, at: source, "has no use for \(model.unused.sorted().joined(separator: " and ")): it says itself what it is")
    }
    try choosePatches(&model)
    // What no engine could open is not written.
    _ = try Engine.tokenizer(of: Model(model))
    if options.expected != nil { try ReferenceVectors(options).check(&model, level, threads) { progress(.report($0)) } }
    for decision in model.decisions { progress(.report(decision)) }
    if !options.origin.isEmpty { model.origin = options.origin }
    let card = try options.tuning.isEmpty ? write(model) : tune(model)
    let bytes = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
    return Converter.Outcome(
      name: model.config.name, bytes: bytes, decisions: model.decisions, card: try card?.json(), accuracy: card)
  }

  private func write(_ model: SourceModel) throws -> AccuracyCard? {
    guard options.precision == .fp32 else { return try quantize(model) }
    try model.write(fp32: output)
    return nil
  }

  /// Tunes the file as it would be without, in its own precision: where that fails, nothing is written.
  private func tune(_ model: SourceModel) throws -> AccuracyCard? {
    var plain = self
    plain.output = Converter.untuned(of: output)
    defer { try? FileManager.default.removeItem(atPath: plain.output) }
    let card = try plain.write(model)
    let engine = try Engine(Model(path: plain.output), for: Engine.kernels(level: level, threads: threads))
    let tuner = try Tuner(engine, options.tuning, others: options.tuningBank, progress: progress)
    let (config, banks) = try tuner.tuned { progress(.report($0)) }
    try engine.model.write(config, adding: banks, to: output)
    return card
  }

  /// A CLIP's tokens point at the background. The likeness of queries in the last block (ClearCLIP) finds things better than its values
  /// do (MaskCLIP), which find them better than its tokens; both without training. Where a pooler stands behind the class token, no
  /// projection was trained for what a block makes of patches, and the tokens stay.
  private func choosePatches(_ model: inout SourceModel) throws {
    guard case .vit(var vision) = model.config.vision else {
      if options.patches != nil { throw FastThenFineError(.badInput, at: model.path, "only a vision transformer has a choice of patches") }
      return
    }
    let hasPooler = model.tensors["vision.pooler.weight"] != nil
    vision.patches = options.patches ?? vision.patches ?? (hasPooler ? .token : .selfAttention)
    if options.patches == nil, vision.patches == .selfAttention {
      model.decisions.append("patches: by the likeness of queries in the last block, which points at things; the patches 'token' are the model's own")
    }
    model.config.vision = .vit(vision)
  }

  /// The card is measured where it is asked for, or a budget needs it.
  private func quantize(_ model: SourceModel) throws -> AccuracyCard? {
    let images = options.calibrationImages
    var isConvolutional = false
    if case .efficientNetLite = model.config.vision { isConvolutional = true }
    let isCalibrated = isConvolutional && options.precision == .int8
    guard !isCalibrated || !images.isEmpty else {
      throw FastThenFineError(
        .needsCalibrationImages, "int8 of this model needs calibration images, like those to be searched; or take fp32")
    }
    if !isConvolutional && options.smooths && options.precision == .int8 && images.isEmpty {
      progress(.report("smoothing: the text tower alone, by sentences; the image tower takes calibration images"))
    }
    let kernels = try Engine.kernels(level: level, threads: threads)
    let quantizer = try Quantizer(
      model, options.precision, imagePaths: images, sentences: options.sentences, smooth: options.smooths, for: kernels,
      progress: progress)
    for failure in quantizer.failures { progress(.report("\(failure); left out")) }
    guard images.isEmpty || quantizer.failures.count < images.count else {
      throw FastThenFineError(.badInput, "no calibration image could be read, so nothing was calibrated")
    }
    guard !images.isEmpty, options.verifies || options.budget != nil else {
      try quantizer.write(output, escapes: options.keepFP32)
      return nil
    }
    return try measure(quantizer)
  }

  /// Writes the file only when it keeps the budget, if there is one.
  private func measure(_ quantizer: Quantizer) throws -> AccuracyCard {
    let images = options.verificationImages.isEmpty ? options.calibrationImages : options.verificationImages
    let trial = Converter.trial(of: output)
    defer { try? FileManager.default.removeItem(atPath: trial) }
    progress(.begins("images in fp32", images.count))
    let vectors = try quantizer.exactVectors(of: images) { progress(.done($0)) }
    progress(.ends)
    guard !vectors.images.isEmpty else {
      throw FastThenFineError(.badInput, "no image could be read, so nothing was measured")
    }
    var escapes = options.keepFP32
    try quantizer.write(trial, escapes: escapes)
    var card = try quantizer.card(of: trial, escapes: escapes, against: vectors)
    if let budget = gates, !card.keeps(budget) {
      guard
        let more = try quantizer.escapes(
          escapes, keeping: budget, card: card, against: vectors, trial: trial, report: { progress(.report($0)) })
      else { throw missed(card, budget) }
      progress(.report("kept in fp32: \(more.dropFirst(escapes.count).joined(separator: ", "))"))
      escapes = more
      try quantizer.write(trial, escapes: escapes)
      card = try quantizer.card(of: trial, escapes: escapes, against: vectors)
    }
    try quantizer.write(output, escapes: escapes, card: card)
    return card
  }

  private var gates: AccuracyCard.Budget? {
    options.budget.map { AccuracyCard.Budget(vectors: $0, patches: options.patchBudget ?? $0) }
  }

  private func missed(_ card: AccuracyCard, _ budget: AccuracyCard.Budget) -> FastThenFineError {
    let worst = card.layers.prefix(3).map(\.name).joined(separator: ", ")
    let figures = String(
      format: "median cosines are g %.4f, P %.4f and t %.4f, the budget %.4f and %.4f for P",
      card.global.median, card.patches.median, card.text.median, budget.vectors, budget.patches)
    return FastThenFineError(
      .badInput, at: output,
      "not written: \(figures), which no layers in fp32 mend; the noisiest are \(worst); "
        + "take the precision int8-weights, or fp32")
  }
}

extension Converter {
  fileprivate static func trial(of output: String) -> String { OutputFile.partial(of: output) + ".trial" }

  fileprivate static func untuned(of output: String) -> String { OutputFile.partial(of: output) + ".untuned" }

  /// Files that are there while a model is converted: what is left of them when the conversion is interrupted.
  package static func unfinished(of output: String) -> [String] {
    [untuned(of: output)]
      + [output, untuned(of: output)].flatMap { [OutputFile.partial(of: $0), trial(of: $0), OutputFile.partial(of: trial(of: $0))] }
  }
}
