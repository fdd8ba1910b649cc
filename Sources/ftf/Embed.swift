import ArgumentParser
import FastThenFine
import Foundation

struct Embed: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Encode images or sentences to .npy files.",
    discussion: "Example: ftf embed small.ftf --text 'a bridge over a river' -o t.npy")

  @Argument(help: "The model file.")
  var model: String

  @Option(parsing: .upToNextOption, help: "Images.")
  var image: [String] = []

  @Option(parsing: .upToNextOption, help: "Sentences.")
  var text: [String] = []

  @Flag(help: "Sentences from stdin, one a line.")
  var stdin = false

  @Option(name: .shortAndLong, help: "f32 [n, d], rows of unit norm.")
  var output: String

  @Option(help: "f32 [n, N, d], the patches of each image.")
  var patches: String?

  @Option(help: "f32 [n, M, d], the word pieces of each sentence; rows past a sentence's end are zero.")
  var tokens: String?

  @Option(help: "How many of the eight symmetries of an image are encoded, and averaged: 1, 2, 4 or 8.")
  var views = Views.one

  @Flag(help: "JSON on stdout: the files and their shapes.")
  var json = false

  @OptionGroup var machine: Machine

  func validate() throws {
    let sources = [!image.isEmpty, !text.isEmpty, stdin].filter { $0 }.count
    if sources != 1 { throw ValidationError("give one of --image, --text and --stdin") }
    if patches != nil && image.isEmpty { throw ValidationError("--patches needs --image") }
    if views != .one && image.isEmpty { throw ValidationError("--views needs --image") }
    if tokens != nil && !image.isEmpty { throw ValidationError("--tokens needs --text or --stdin") }
  }

  func run() throws {
    let engine = try machine.engine(model, for: image.isEmpty ? .sentences : .images)
    if image.isEmpty {
      var sentences = text
      if stdin { while let line = readLine() { sentences.append(line) } }
      try write(engine.encode(texts: sentences), engine.dimension)
    } else {
      try write(engine.encode(imagePaths: image, views: views).map { try $0.get() }, engine)
    }
  }

  private func write(_ images: [EncodedImage], _ engine: Engine) throws {
    let d = engine.dimension
    var files = [output: [images.count, d]]
    try NPY.write(images.flatMap(\.global), shape: [images.count, d], to: output)
    if let patches {
      files[patches] = [images.count, engine.patches, d]
      try NPY.write(images.flatMap(\.patches), shape: files[patches]!, to: patches)
    }
    if json { printJSON(["shapes": files]) }
  }

  private func write(_ texts: [EncodedText], _ d: Int) throws {
    var files = [output: [texts.count, d]]
    try NPY.write(texts.flatMap(\.sentence), shape: [texts.count, d], to: output)
    if let tokens {
      let longest = texts.map(\.words.count).max() ?? 0
      let padded = texts.flatMap { $0.words + [Float](repeating: 0, count: longest - $0.words.count) }
      files[tokens] = [texts.count, longest / d, d]
      try NPY.write(padded, shape: files[tokens]!, to: tokens)
    }
    if json { printJSON(["shapes": files]) }
  }
}
