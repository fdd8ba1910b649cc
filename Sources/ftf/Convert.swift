import ArgumentParser
import Demo
import FastThenFine
import Foundation
import Kernels
import Weights

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model file of trained weights.",
    discussion: "Example: ftf convert ftf-lite2 -o small.ftf --precision fp32")

  @Argument(
    help:
      "A folder of transformers' CLIP or VisionTextDualEncoder, of open_clip or of this project's own format, or a file of weights (.safetensors, .pt, .bin, an fp32 .ftf)."
  )
  var source: String?

  @Option(help: "With --text instead of one source: where the image tower comes from.")
  var vision: String?

  @Option(help: "With --vision: where the text tower comes from; a BERT or sentence-transformers folder too.")
  var text: String?

  @Option(name: .shortAndLong, help: "The model file to write.")
  var output: String

  @Option(help: "fp32, int8 (weights and activations) or int8-weights (a small file, fp32 arithmetic).")
  var precision: Precision = .int8

  @Option(help: "Folder of images like those to be searched; int8 takes the scales of its activations from them.")
  var calibrate: String?

  @Option(help: "How many of them to use, evenly spaced over the sorted names.")
  var calibrationImages = 300

  @Option(help: "Where the weights come from, in a sentence; it travels with the model.")
  var origin = ""

  @Option(help: "Folder with vocab.json and merges.txt, or tokenizer.json, where the source has none.")
  var tokenizer: String?

  @Option(help: "gelu or quickgelu, where the source does not say it: the same weights make another model.")
  var activation: Activation?

  @Option(
    help:
      "open_clip's name of the architecture, such as ViT-L-14-336 or ViT-B-32-quickgelu, where the source is a bare file."
  )
  var arch: String?

  @Option(help: "Side of the images to encode, where it is not that of the training: positions are resized.")
  var imageSize: Int?

  enum Activation: String, ExpressibleByArgument, CaseIterable { case gelu, quickgelu }

  @Option(parsing: .upToNextOption, help: "Layers, or beginnings of their names, to keep in fp32.")
  var keepFp32: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: "Divide the difficulty of large activations between them and the weights, in int8 transformers.")
  var smooth = true

  @Flag(help: "Measure what quantisation cost on the images of --calibrate, print it and keep it in the file.")
  var verify = false

  @Option(
    help: ArgumentHelp(
      "Vectors that another program made of the images of --calibrate, sorted by path, or else of the lines of --sentences: says which activation explains them, and takes it where the source is silent.",
      valueName: "file.npy"))
  var expect: String?

  @Option(help: "Sentences like those to be asked, one a line, in place of the built-in ones.")
  var sentences: String?

  @Option(
    help: ArgumentHelp(
      "The least median cosine with fp32 that g and t may have: layers stay fp32, the noisiest first, until it is kept.",
      valueName: "cosine"))
  var budget: Double?

  @Option(help: ArgumentHelp("The same for the patches, where it is not that of --budget.", valueName: "cosine"))
  var patchBudget: Double?

  @Flag(help: "What was made, and the card of --verify, as JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func validate() throws {
    if (source == nil) == (vision == nil) || (vision == nil) != (text == nil) {
      throw ValidationError("give one source, or --vision SRC and --text SRC")
    }
    if expect != nil && calibrate == nil && sentences == nil {
      throw ValidationError("--expect goes with the images of --calibrate DIR, or with the lines of --sentences FILE")
    }
    let canMeasure = calibrate != nil && precision != .fp32
    if (budget != nil || verify && expect == nil) && !canMeasure {
      throw ValidationError(
        "--verify and --budget compare a quantised model with fp32 on the images of --calibrate DIR")
    }
    if !keepFp32.isEmpty && precision == .fp32 { throw ValidationError("--keep-fp32 is for quantised models") }
    if patchBudget != nil && budget == nil { throw ValidationError("--patch-budget goes with --budget") }
    if let budget, !(-1...1).contains(budget) || !(-1...1).contains(patchBudget ?? 0) {
      throw ValidationError("--budget and --patch-budget take cosines")
    }
    if calibrationImages < 1 { throw ValidationError("--calibration-images takes 1 or more") }
  }

  func run() throws {
    let interrupt = Interrupt.removing([".partial", ".trial", ".trial.partial"].map { output + $0 })
    defer { interrupt.cancel() }
    let options = SourceModel.Options(
      tokenizer: tokenizer, activation: activation?.rawValue, architecture: arch, imageSize: imageSize)
    var model = try SourceModel(source ?? vision!, options)
    if let text { model = try model.withText(from: text, options) }
    guard model.unused.isEmpty else {
      throw Failure(
        "\(source ?? vision!): has no use for \(model.unused.sorted().joined(separator: " and ")): it says itself what it is"
      )
    }
    if let expect {
      let inputs: Reference.Inputs =
        try calibrate.map { .images(try imagePaths([$0])) } ?? .sentences(questions())
      try Reference(expect, inputs).check(&model, machine)
    }
    for decision in model.decisions { report(decision) }
    if !origin.isEmpty { model.origin = origin }
    var card: AccuracyCard?
    if precision == .fp32 {
      try model.write(fp32: output)
    } else {
      card = try quantize(model)
    }
    let bytes = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
    report("wrote \(output): \(model.config.name), \(precision.rawValue), \(bytes / 1_000_000) MB")
    guard json else {
      for line in card?.lines(allLayers: verify) ?? [] { print(line) }
      return
    }
    var facts: [String: Any] = [
      "path": output, "name": model.config.name, "precision": precision.rawValue, "bytes": bytes,
      "decisions": model.decisions,
    ]
    if let card {
      facts["card"] = try JSONSerialization.jsonObject(with: Data(card.json().utf8))
      facts["verdict"] = card.verdict
    }
    try printJSON(facts)
  }

  /// The card is measured where --verify or --budget ask for it.
  private func quantize(_ model: SourceModel) throws -> AccuracyCard? {
    let measures = calibrate != nil && (verify || budget != nil)
    var isConvolutional = false
    if case .efficientNetLite = model.config.vision { isConvolutional = true }
    let images = measures || calibrate != nil || isConvolutional && precision == .int8 ? try calibrationPaths() : []
    if !isConvolutional && smooth && precision == .int8 && images.isEmpty {
      report("smoothing: the text tower alone, by built-in sentences; the image tower takes images of --calibrate DIR")
    }
    let kernels = try Engine.kernels(level: machine.level, threads: machine.threads)
    let progress = Progress("calibration images", total: images.count)
    let quantizer = try Quantizer(
      model, precision, imagePaths: images, sentences: try questions(), smooth: smooth,
      for: kernels, progress: progress.add)
    if isConvolutional && precision == .int8 { progress.finish() }
    for failure in quantizer.failures { report("ftf: \(failure); left out") }
    guard images.isEmpty || quantizer.failures.count < images.count else {
      throw Failure("\(calibrate!): no image could be read, so nothing was calibrated")
    }
    guard measures else {
      try quantizer.write(output, escapes: keepFp32)
      return nil
    }
    return try measure(quantizer, images.count)
  }

  /// Writes the file only when it keeps the budget, if there is one.
  private func measure(_ quantizer: Quantizer, _ images: Int) throws -> AccuracyCard {
    let trial = output + ".trial"
    defer { try? FileManager.default.removeItem(atPath: trial) }
    let progress = Progress("images in fp32", total: images)
    let vectors = try quantizer.exactVectors(progress: progress.add)
    progress.finish()
    guard !vectors.images.isEmpty else {
      throw Failure("\(calibrate!): no image could be read, so nothing was measured")
    }
    var escapes = keepFp32
    try quantizer.write(trial, escapes: escapes)
    var card = try quantizer.card(of: trial, escapes: escapes, against: vectors)
    if let budget = gates, !card.keeps(budget) {
      guard
        let more = try quantizer.escapes(
          escapes, keeping: budget, card: card, against: vectors, trial: trial, report: report)
      else { throw missed(card, budget) }
      report("kept in fp32: \(more.dropFirst(escapes.count).joined(separator: ", "))")
      escapes = more
      try quantizer.write(trial, escapes: escapes)
      card = try quantizer.card(of: trial, escapes: escapes, against: vectors)
    }
    try quantizer.write(output, escapes: escapes, card: card)
    return card
  }

  private var gates: AccuracyCard.Budget? {
    budget.map { AccuracyCard.Budget(vectors: $0, patches: patchBudget ?? $0) }
  }

  private func missed(_ card: AccuracyCard, _ budget: AccuracyCard.Budget) -> Failure {
    let worst = card.layers.prefix(3).map(\.name).joined(separator: ", ")
    let figures = String(
      format: "median cosines are g %.4f, P %.4f and t %.4f, the budget %.4f and %.4f for P",
      card.global.median, card.patches.median, card.text.median, budget.vectors, budget.patches)
    return Failure(
      "\(output): not written: \(figures), which no layers in fp32 mend; the noisiest are \(worst); "
        + "take --precision int8-weights, or fp32")
  }

  private func questions() throws -> [String] {
    guard let sentences else { return SceneKind.allCases.flatMap(\.sentences) }
    let text: String
    do {
      text = try String(contentsOfFile: sentences, encoding: .utf8)
    } catch {
      throw Failure("\(sentences): cannot be read: \(error.localizedDescription)")
    }
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard !lines.isEmpty else { throw Failure("\(sentences): holds no sentences") }
    return lines
  }

  private func calibrationPaths() throws -> [String] {
    guard let calibrate else {
      throw ValidationError(
        "int8 of this model needs --calibrate DIR, a folder of images like those to be searched; or --precision fp32")
    }
    let all = try imagePaths([calibrate])
    let count = min(calibrationImages, all.count)
    return (0..<count).map { all[$0 * all.count / count] }
  }
}

extension Precision: ExpressibleByArgument {}
