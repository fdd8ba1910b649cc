import ArgumentParser
import FastThenFine
import Foundation
import Weights

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model file of trained weights.",
    discussion: "Example: ftf convert ftf-lite2 -o small.ftf --precision fp32")

  @Argument(help: "Folder with config.json, model.safetensors and vocab.txt.")
  var source: String

  @Option(name: .shortAndLong, help: "The model file to write.")
  var output: String

  @Option(help: "fp32 or int8.")
  var precision: Precision = .int8

  @OptionGroup var machine: Machine

  func run() throws {
    let model = try SourceModel(directory: source)
    try model.write(fp32: output)
    report("wrote \(output): \(model.config.name), \(precision.rawValue)")
  }
}

extension Precision: ExpressibleByArgument {}
