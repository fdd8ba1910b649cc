import FTFEncoders
import FastThenFine
import Foundation
import FTFKernels
import FTFTestSupport
import Testing
import FTFWeights

/// A tiny CLIP as `transformers` saves it.
@Suite struct CLIPGoldens {
  let goldens: Goldens
  let folder: TemporaryFolder
  let source = "\(Goldens.folder)/clip"

  init() throws {
    goldens = try Goldens(name: "clip")
    folder = try TemporaryFolder()
  }

  private func model(_ precision: Precision) throws -> String {
    let path = "\(folder.path)/\(precision).ftf"
    let model = try SourceModel(source)
    switch precision {
    case .fp32: try model.write(fp32: path)
    case .int8, .int8Weights:
      try model.write(int8: path, precision: precision, activations: [:], calibrationImages: 0)
    }
    return path
  }

  private func images(_ engine: Engine) throws -> [EncodedImage] {
    try engine.encode(imagePaths: goldens.lists.images.map { "\(Goldens.folder)/images/\($0)" }).map { try $0.get() }
  }

  @Test(arguments: Level.available) func bothTowersMatchTransformers(level: Level) throws {
    let engine = try Engine(path: model(.fp32), level: level.rawValue, pool: ComputePool(threads: 2))
    let images = try images(engine)
    let texts = engine.encode(texts: Array(goldens.lists.sentences.prefix(3)))
    let longest = texts.map(\.words.count).max()!
    let words = texts.flatMap { $0.words + [Float](repeating: 0, count: longest - $0.words.count) }
    for (name, values) in [
      ("g", images.flatMap(\.global)), ("P", images.flatMap(\.patches)), ("t", texts.flatMap(\.sentence)), ("W", words),
    ] {
      let (worst, cosine) = distance(values, try goldens.floats(name), width: engine.dimension)
      // A pixel may differ from Pillow's by one grey level where a rounding falls the other way.
      #expect(worst <= 2e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
    }
    #expect(engine.encode(text: goldens.lists.sentences[2]) == texts[2], "a sentence alone differs from one of many")
  }

  @Test(arguments: Level.available) func otherPatchesMatchPyTorch(level: Level) throws {
    var model = try SourceModel(source)
    guard case .vit(var vision) = model.config.vision else { fatalError("the tiny CLIP is no ViT") }
    for patches in [PatchSource.value, .selfAttention] {
      vision.patches = patches
      model.config.vision = .vit(vision)
      let path = "\(folder.path)/\(patches).ftf"
      try model.write(fp32: path)
      let engine = try Engine(path: path, level: level.rawValue, pool: ComputePool(threads: 2))
      let images = try images(engine)
      for (name, values) in [("g", images.flatMap(\.global)), ("P_\(patches.rawValue)", images.flatMap(\.patches))] {
        let (worst, cosine) = distance(values, try goldens.floats(name), width: engine.dimension)
        #expect(worst <= 4e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
      }
    }
  }

  @Test func pairsOfHardStringsMatchTransformers() throws {
    let engine = try Engine(path: model(.fp32), pool: ComputePool(threads: 1))
    for (sentence, ids) in zip(goldens.lists.sentences, goldens.lists.ids) {
      #expect(engine.tokens(sentence) == ids, "\(sentence.prefix(60).debugDescription)")
    }
  }

  @Test func int8IsTheSameOnEveryLevelAndNearTheFloats() throws {
    let path = try model(.int8)
    var expected: (images: [EncodedImage], text: EncodedText)?
    for level in Level.available {
      let engine = try Engine(path: path, level: level.rawValue, pool: ComputePool(threads: 2))
      let found = (images: try images(engine), text: engine.encode(text: "two white ships"))
      #expect(found == expected ?? found, "\(level)")
      expected = found
    }
    let g = distance(expected!.images.flatMap(\.global), try goldens.floats("g"), width: 20)
    #expect(g.cosine > 0.9997, "\(g.cosine)")
  }

  /// Weights are read once for several pictures: nobody's vectors are another's, nor depend on who else is in the pass.
  @Test(arguments: Level.available) func severalInAPassAreAsOneByOne(level: Level) throws {
    for patches in [PatchSource.token, .value, .selfAttention] {
      for precision in [Precision.fp32, .int8] {
        var source = try SourceModel(source)
        guard case .vit(var vision) = source.config.vision else { fatalError("the tiny CLIP is no ViT") }
        vision.patches = patches
        source.config.vision = .vit(vision)
        let path = "\(folder.path)/\(patches)-\(precision).ftf"
        switch precision {
        case .fp32: try source.write(fp32: path)
        default: try source.write(int8: path, precision: precision, activations: [:], calibrationImages: 0)
        }
        let engine = try Engine(path: path, level: level.rawValue, pool: ComputePool(threads: 2))
        let (together, side) = (engine.images.together, engine.images.side)
        #expect(together > 4 && together < 40)
        let pictures = (0..<together + 3).map { seed in
          let pixels = AlignedBuffer<UInt8>(count: side * side * 3, repeating: 0)
          for i in 0..<pixels.count { pixels[i] = UInt8(truncatingIfNeeded: (i / 7 + seed) &* (31 + seed) &+ i &* i) }
          return pixels
        }
        for kernels in [engine.kernels, engine.kernels.singleThreaded] {
          let alone = pictures.map { engine.images.encode($0, with: kernels) }
          #expect(Set(alone.map(\.global)).count == pictures.count)
          #expect(engine.images.encode(pictures, with: kernels) == alone, "\(patches), \(precision)")
          // Room that was made for many is used for few.
          #expect(engine.images.encode(Array(pictures.prefix(2)), with: kernels) == Array(alone.prefix(2)), "\(patches), \(precision)")
        }
      }
    }
    #expect(try Engine(path: model(.fp32), pool: ComputePool(threads: 1)).images.encode([], with: KernelSet(levelName: nil, threads: 1)).isEmpty)
  }

  /// Pictures that cannot be read, in a pass with such that can.
  @Test func aBadPictureCostsNoOtherOfItsPass() throws {
    let engine = try Engine(path: model(.int8), pool: ComputePool(threads: 2))
    let good = goldens.lists.images.map { "\(Goldens.folder)/images/\($0)" }
    let bad = try folder.file("bad.jpg")
    try Data("no picture".utf8).write(to: URL(fileURLWithPath: bad))
    let alone = try good.map { try engine.encode(imagePaths: [$0])[0].get() }
    let mixed = engine.encode(imagePaths: [bad] + good.flatMap { [$0, bad, "\(folder.path)/none.png"] })
    #expect(mixed.compactMap { try? $0.get() } == alone)
    #expect(mixed.enumerated().allSatisfy { ($0 % 3 == 1) == ((try? $1.get()) != nil) })
    for views in [Views.two, .eight] {
      let alone = try good.map { try engine.encode(imagePaths: [$0], views: views)[0].get() }
      let all = try engine.encode(imagePaths: good, views: views).map { try $0.get() }
      #expect(all == alone)
    }
  }

  @Test func theActivationDecidesWhatTheModelIs() throws {
    // QuickGELU and GELU are different models for the same weights: a wrong one must show.
    let other = "\(folder.path)/other"
    try FileManager.default.copyItem(atPath: source, toPath: other)
    let config = try String(contentsOfFile: "\(other)/config.json", encoding: .utf8)
    let changed = config.replacingOccurrences(of: "\"quick_gelu\"", with: "\"gelu\"")
    #expect(changed != config)
    try Data(changed.utf8).write(to: URL(fileURLWithPath: "\(other)/config.json"))
    let path = "\(folder.path)/other.ftf"
    try SourceModel(other).write(fp32: path)
    let engine = try Engine(path: path, pool: ComputePool(threads: 2))
    let (worst, _) = distance(try images(engine).flatMap(\.global), try goldens.floats("g"), width: 20)
    #expect(worst > 2e-4)
  }

  @Test(arguments: [
    ("config.json", "\"patch_size\": 14", "\"patch_size\": 15", "patch_size"),
    ("config.json", "\"hidden_size\": 36", "\"hidden_size\": 39", "shape"),
    ("config.json", "\"hidden_act\": \"quick_gelu\"", "\"hidden_act\": \"relu\"", "hidden_act"),
    ("config.json", "\"model_type\": \"clip\"", "\"model_type\": \"blip\"", "blip"),
    ("config.json", "\"patch_size\": 14", "\"patch_size\": 9000000000000000000", "patch_size"),
    ("config.json", "\"max_position_embeddings\": 20", "\"max_position_embeddings\": 1", "context_length"),
    ("config.json", "\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 2.5", "epsilon"),
    ("preprocessor_config.json", "0.26862954", "-1", "stds"),
    ("preprocessor_config.json", "\"resample\": 3", "\"resample\": 1", "resample"),
    ("preprocessor_config.json", "\"height\": 56", "\"height\": 40", "square"),
  ]) func aSourceThatContradictsItselfIsNamed(file: String, from: String, to: String, expected: String) throws {
    let other = "\(folder.path)/other"
    try FileManager.default.copyItem(atPath: source, toPath: other)
    let text = try String(contentsOfFile: "\(other)/\(file)", encoding: .utf8)
    #expect(text.contains(from))
    try Data(text.replacingOccurrences(of: from, with: to).utf8).write(to: URL(fileURLWithPath: "\(other)/\(file)"))
    do {
      _ = try SourceModel(other)
      Issue.record("was taken")
    } catch {
      #expect("\(error)".contains(expected) && "\(error)".contains(other), "\(error)")
    }
  }
}
