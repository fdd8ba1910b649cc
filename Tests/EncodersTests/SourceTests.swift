import FTFEncoders
import FastThenFine
import Foundation
import FTFTestSupport
import Testing

@testable import FTFWeights

/// Models as open_clip and `transformers` save them, against those libraries; see Models/source_goldens.py.
@Suite struct SourceGoldens {
  let folder: TemporaryFolder
  let lists: Goldens.Lists

  init() throws {
    folder = try TemporaryFolder()
    lists = try Goldens(name: "clip").lists
  }

  private func options(_ name: String, imageSize: Int? = nil) -> SourceModel.Options {
    SourceModel.Options(tokenizer: name == "open_clip" ? "\(Goldens.folder)/clip" : nil, imageSize: imageSize)
  }

  private func engine(_ name: String, imageSize: Int? = nil) throws -> Engine {
    let path = "\(folder.path)/m.ftf"
    try SourceModel("\(Goldens.folder)/\(name)", options(name, imageSize: imageSize)).write(fp32: path)
    return try Engine(path: path, pool: ComputePool(threads: 2))
  }

  private func images(_ engine: Engine) throws -> [EncodedImage] {
    try engine.encode(imagePaths: lists.images.map { "\(Goldens.folder)/images/\($0)" }).map { try $0.get() }
  }

  private func expect(_ values: [Float], _ name: String, of goldens: SafeTensors) throws {
    let expected = try goldens.floats(name, shape: #require(goldens.shape(name)))
    let (worst, cosine) = distance(values, expected, width: 20)
    #expect(worst <= 2e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
  }

  @Test(arguments: ["open_clip", "dual-clip", "dual-vit"]) func bothTowersMatchTheirLibrary(name: String) throws {
    let engine = try engine(name)
    let goldens = try SafeTensors(path: "\(Goldens.folder)/\(name).safetensors")
    let images = try images(engine)
    let texts = engine.encode(texts: Array(lists.sentences.prefix(3)))
    let longest = texts.map(\.words.count).max()!
    let words = texts.flatMap { $0.words + [Float](repeating: 0, count: longest - $0.words.count) }
    try expect(images.flatMap(\.global), "g", of: goldens)
    try expect(images.flatMap(\.patches), "P", of: goldens)
    try expect(texts.flatMap(\.sentence), "t", of: goldens)
    try expect(words, "W", of: goldens)
  }

  @Test func positionsAreResizedAsOpenCLIPDoesAndThatIsSaid() throws {
    let engine = try engine("open_clip", imageSize: 84)
    let goldens = try SafeTensors(path: "\(Goldens.folder)/open_clip.safetensors")
    let images = try images(engine)
    try expect(images.flatMap(\.global), "resized_g", of: goldens)
    try expect(images.flatMap(\.patches), "resized_P", of: goldens)
    let said = try #require(engine.model.metadata["decisions"])
    #expect(said.contains("from 4 x 4 to 6 x 6"), "\(said)")
  }

  @Test(arguments: [
    ("open_clip", "open_clip_config.json", "\"head_width\": 12", "\"pool_type\": \"avg\"", "pool_type"),
    ("open_clip", "open_clip_config.json", "\"head_width\": 12", "\"timm_model_name\": \"x\"", "timm_model_name"),
    ("open_clip", "open_clip_config.json", "\"patch_size\": 14", "\"patch_size\": 16", "patch 14"),
    (
      "open_clip", "open_clip_config.json", "\"width\": 36,\n   \"head_width\": 12,\n   \"patch_size\": 14",
      "\"patch_size\": 16", "patch 14"
    ),
    ("open_clip", "open_clip_config.json", "\"head_width\": 12", "\"head_width\": 0", "head_width"),
    ("open_clip", "open_clip_config.json", "\"image_size\": 56", "\"image_size\": 9000000000000000000", "image_size"),
    ("dual-clip", "preprocessor_config.json", "\"height\": 56", "\"height\": 0", "square"),
    ("open_clip", "open_clip_config.json", "0.45", "1e300", "means"),
    ("open_clip", "open_clip_config.json", "\"shortest\"", "\"longest\"", "resize_mode"),
    ("open_clip", "open_clip_config.json", "\"bicubic\"", "\"nearest\"", "interpolation"),
    ("dual-vit", "config.json", "\"vit\"", "\"swin\"", "swin"),
    ("dual-vit", "config.json", "\"bert\"", "\"roberta\"", "roberta"),
    ("dual-vit", "preprocessor_config.json", "\"do_resize\": true", "\"do_resize\": false", "do_resize"),
    ("dual-vit", "tokenizer.json", "WordPiece", "Unigram", "WordPiece"),
  ]) func whatWouldBeAnotherModelIsRefused(
    name: String, file: String, from: String, to: String, expected: String
  ) throws {
    let other = "\(folder.path)/other"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/\(name)", toPath: other)
    let text = try String(contentsOfFile: "\(other)/\(file)", encoding: .utf8)
    #expect(text.contains(from))
    try Data(text.replacingOccurrences(of: from, with: to).utf8).write(to: URL(fileURLWithPath: "\(other)/\(file)"))
    do {
      _ = try SourceModel(other, options(name, imageSize: name == "dual-clip" ? 84 : nil))
      Issue.record("was taken")
    } catch {
      #expect("\(error)".contains(expected) && "\(error)".contains(other), "\(error)")
    }
  }

  @Test func architecturesByName() throws {
    // A bare file of the same weights: the name says nothing of 36 wide towers.
    let bare = try folder.file("bare.safetensors")
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/open_clip/open_clip_model.safetensors", toPath: bare)
    for name in ["ViT-B-32", "ViT-Q-32", "RN50", "ViT-B-x"] {
      #expect(throws: WeightsError.self, "\(name)") {
        try SourceModel(bare, .init(tokenizer: "\(Goldens.folder)/clip", architecture: name))
      }
    }
    let model = try SourceModel(bare, .init(tokenizer: "\(Goldens.folder)/clip"))
    #expect(model.decisions.contains { $0.hasPrefix("heads: 1") })
  }

  @Test func enlargedAndReducedGridsKeepConstantsAndTheClassToken() {
    for (from, to) in [(4, 7), (7, 4), (3, 3), (1, 5)] {
      let positions = [9, 8] + [Float](repeating: 0.5, count: from * from * 2)
      let resized = PositionGrid.resize(positions, from: from, to: to, width: 2)
      #expect(resized.count == 2 + to * to * 2 && resized[0] == 9 && resized[1] == 8)
      #expect(resized.dropFirst(2).allSatisfy { abs($0 - 0.5) < 1e-6 })
    }
  }
}
