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
      "A folder of transformers' CLIP or of this project's own format, or a file of weights (.safetensors, .pt, .bin).")
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

  enum Activation: String, ExpressibleByArgument, CaseIterable { case gelu, quickgelu }

  @Option(parsing: .upToNextOption, help: "Layers, or beginnings of their names, to keep in fp32.")
  var keepFp32: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: "Divide the difficulty of large activations between them and the weights, in int8 transformers.")
  var smooth = true

  @Flag(help: "Measure what quantisation cost on the images of --calibrate, print it and keep it in the file.")
  var verify = false

  @Option(help: "Fail where a median cosine of --verify is lower, and name the noisiest layers.")
  var budget: Double?

  @OptionGroup var machine: Machine

  func validate() throws {
    if (source == nil) == (vision == nil) || (vision == nil) != (text == nil) {
      throw ValidationError("give one source, or --vision SRC and --text SRC")
    }
    if (verify || budget != nil) && (calibrate == nil || precision == .fp32) {
      throw ValidationError(
        "--verify and --budget compare a quantised model with fp32 on the images of --calibrate DIR")
    }
    if !keepFp32.isEmpty && precision == .fp32 { throw ValidationError("--keep-fp32 is for quantised models") }
    if calibrationImages < 1 { throw ValidationError("--calibration-images takes 1 or more") }
  }

  func run() throws {
    var model = try SourceModel(source ?? vision!, tokenizer: tokenizer, activation: activation?.rawValue)
    if let text { model = try model.withText(from: text, tokenizer: tokenizer, activation: activation?.rawValue) }
    if let choice = model.choice { report("activation: \(choice.activation) (\(choice.reason))") }
    model.origin = origin
    if precision == .fp32 {
      try model.write(fp32: output)
    } else {
      try quantize(model)
    }
    let bytes = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
    report("wrote \(output): \(model.config.name), \(precision.rawValue), \(bytes / 1_000_000) MB")
  }

  private func quantize(_ model: SourceModel) throws {
    // Transformers quantise each row of activations as it comes; only convolutions need images to find their scales.
    var needsScales = false
    if case .efficientNetLite = model.config.vision { needsScales = precision == .int8 }
    let measures = verify || budget != nil
    let smooth = smooth && precision == .int8
    guard needsScales || measures || smooth else {
      return try model.write(
        int8: output, precision: precision, activations: [:], calibrationImages: 0, escapes: keepFp32)
    }
    let images = needsScales || measures || calibrate != nil ? try calibrationPaths() : []
    let whole = output + ".fp32"
    defer { try? FileManager.default.removeItem(atPath: whole) }
    try model.write(fp32: whole)
    let exact = try machine.engine(whole)
    var scales = [String: ActivationScale]()
    var used = 0
    if needsScales {
      let progress = Progress("calibration images", total: images.count)
      let calibration = try Calibration(exact, imagePaths: images, progress: progress.add)
      progress.finish()
      for failure in calibration.failures { report("ftf: \(failure); left out") }
      guard calibration.images > 0 else {
        throw Failure("\(calibrate!): no image could be read, so nothing was calibrated")
      }
      (scales, used) = (calibration.activations, calibration.images)
    }
    let sentences = SceneKind.allCases.flatMap(\.sentences)
    let ranges =
      smooth ? Calibration.inputRanges(exact, sentences: sentences, imagePaths: Array(images.prefix(64))) : [:]
    func write(_ card: String?) throws {
      try model.write(
        int8: output, precision: precision, activations: scales, calibrationImages: used, ranges: ranges,
        escapes: keepFp32, card: card)
    }
    try write(nil)
    guard measures else { return }
    let card = try AccuracyCard(
      exact: exact, quantized: machine.engine(output), imagePaths: images, sentences: sentences)
    try write(card.json())
    for line in card.lines(allLayers: verify) { print(line) }
    try keep(card)
  }

  /// Removes what misses the budget.
  private func keep(_ card: AccuracyCard) throws {
    guard let budget, card.least < budget else { return }
    try FileManager.default.removeItem(atPath: output)
    let worst = card.layers.prefix(3).map(\.name).joined(separator: ", ")
    throw Failure(
      String(format: "\(output): not kept: its least median cosine is %.4f, the budget %.4f; ", card.least, budget)
        + "the noisiest layers are \(worst); keep some in fp32 by --keep-fp32, or take --precision int8-weights")
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
