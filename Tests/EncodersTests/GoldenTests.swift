import FastThenFine
import Foundation
import Imaging
import Kernels
import TestSupport
import Testing
import Weights

@Suite struct FloatGoldens {
  let goldens: Goldens
  let folder: TemporaryFolder
  let model: String

  init() throws {
    goldens = try Goldens()
    folder = try TemporaryFolder()
    model = try folder.file("tiny.ftf")
    try SourceModel(directory: "\(Goldens.folder)/tiny").write(fp32: model)
  }

  @Test(arguments: Level.available) func imagesMatchPyTorch(level: Level) throws {
    let engine = try Engine(path: model, level: level.rawValue, threads: 2)
    let paths = goldens.lists.images.map { "\(Goldens.folder)/images/\($0)" }
    let images = try engine.encode(imagePaths: paths).map { try $0.get() }
    for (name, values) in [("g", images.flatMap(\.global)), ("P", images.flatMap(\.patches))] {
      let (worst, cosine) = distance(values, try goldens.floats(name), width: engine.dimension)
      // Pixels may differ from Pillow's by one grey level where a rounding falls the other way.
      #expect(worst <= 2e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
    }
    let alone = engine.encode(try RGBImage(path: paths[0]))
    #expect(alone == images[0], "one image on all threads differs from one of many")
  }

  @Test(arguments: Level.available) func sentencesMatchPyTorch(level: Level) throws {
    let engine = try Engine(path: model, level: level.rawValue, threads: 2)
    let texts = engine.encode(texts: goldens.lists.sentences)
    let longest = texts.map(\.words.count).max()!
    let words = texts.flatMap { $0.words + [Float](repeating: 0, count: longest - $0.words.count) }
    for (name, values) in [("t", texts.flatMap(\.sentence)), ("W", words)] {
      let (worst, cosine) = distance(values, try goldens.floats(name), width: engine.dimension)
      #expect(worst <= 2e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
    }
    for (sentence, text) in zip(goldens.lists.sentences, texts) {
      #expect(engine.encode(text: sentence) == text, "a sentence alone differs from one of many")
    }
  }

  @Test func tokensMatchTransformers() throws {
    let engine = try Engine(path: model, threads: 1)
    for (sentence, ids) in zip(goldens.lists.sentences, goldens.lists.ids) {
      #expect(engine.tokens(sentence) == ids, "\(sentence)")
    }
  }

  @Test func aBadImageCostsNoOtherItsResult() throws {
    let engine = try Engine(path: model, threads: 2)
    let good = "\(Goldens.folder)/images/rgb.jpg"
    let bad = try folder.file("bad.jpg", Data([0xff, 0xd8, 0xff, 0x00]))
    let results = engine.encode(imagePaths: [good, bad, good, "\(folder.path)/none.png"])
    #expect(try results[0].get() == results[2].get())
    #expect(throws: ImagingError.self) { try results[1].get() }
    #expect(throws: ImagingError.unreadable(path: "\(folder.path)/none.png", reason: "there is no such file")) {
      try results[3].get()
    }
  }
}
