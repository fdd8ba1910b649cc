import ArgumentParser
import FastThenFine
import Foundation
import Weights

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model file of trained weights.",
    discussion: "Example: ftf convert ftf-lite2 -o small.ftf --precision fp32")

  @Argument(
    help:
      "A folder of transformers' CLIP or of this project's own format, or a file of weights (.safetensors, .pt, .bin).")
  var source: String

  @Option(name: .shortAndLong, help: "The model file to write.")
  var output: String

  @Option(help: "fp32 or int8.")
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

  @OptionGroup var machine: Machine

  func validate() throws {
    if calibrationImages < 1 { throw ValidationError("--calibration-images takes 1 or more") }
  }

  func run() throws {
    var model = try SourceModel(source, tokenizer: tokenizer, activation: activation?.rawValue)
    if let choice = model.choice { report("activation: \(choice.activation) (\(choice.reason))") }
    model.origin = origin
    switch precision {
    case .fp32: try model.write(fp32: output)
    case .int8:
      switch model.config.vision {
      case .efficientNetLite: try convertToInt8(model)
      // Transformers quantise each row of activations as it comes: there is nothing to calibrate.
      case .vit: try model.write(int8: output, activations: [:], calibrationImages: 0)
      }
    }
    let bytes = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
    report("wrote \(output): \(model.config.name), \(precision.rawValue), \(bytes / 1_000_000) MB")
  }

  private func convertToInt8(_ model: SourceModel) throws {
    guard let calibrate else {
      throw ValidationError(
        "int8 of this model needs --calibrate DIR, a folder of images like those to be searched; or --precision fp32")
    }
    let all = try imagePaths([calibrate])
    let count = min(calibrationImages, all.count)
    let chosen = (0..<count).map { all[$0 * all.count / count] }
    let whole = output + ".fp32"
    defer { try? FileManager.default.removeItem(atPath: whole) }
    try model.write(fp32: whole)
    let progress = Progress("calibration images", total: count)
    let calibration = Calibration(try machine.engine(whole), imagePaths: chosen, progress: progress.add)
    progress.finish()
    for failure in calibration.failures { report("ftf: \(failure); left out") }
    guard calibration.images > 0 else {
      throw Failure("\(calibrate): no image could be read, so nothing was calibrated")
    }
    try model.write(int8: output, activations: calibration.activations, calibrationImages: calibration.images)
  }
}

extension Precision: ExpressibleByArgument {}
