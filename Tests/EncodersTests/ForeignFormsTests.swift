import FastThenFine
import FTFFiles
import Foundation
import FTFTestSupport
import Testing
import FTFTokenization

@testable import FTFWeights

/// What other programs write in more than one form: each form is the same model, or refused by name.
@Suite struct ForeignForms {
  let folder: TemporaryFolder
  private let clip = "\(Goldens.folder)/clip"
  init() throws { folder = try TemporaryFolder() }

  private func copy(_ name: String, to other: String = "other") throws -> String {
    let path = "\(folder.path)/\(other)"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/\(name)", toPath: path)
    return path
  }

  private func change(_ path: String, _ body: (String) -> String) throws {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    try Data(body(text).utf8).write(to: URL(fileURLWithPath: path))
  }

  private func object(_ path: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
  }

  private func write(_ object: Any, _ path: String) throws {
    try JSONSerialization.data(withJSONObject: object).write(to: URL(fileURLWithPath: path))
  }

  private func reason(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  /// The tensors of a safetensors file under other names.
  private func rename(_ from: String, _ to: String, _ name: (String) -> String?) throws {
    let file = try SafeTensors(path: from)
    let tensors = try file.names.sorted().compactMap { old -> StoredTensor? in
      guard let new = name(old), [.f32, .f16].contains(file.tensors[old]?.type) else { return nil }
      let shape = file.shape(old)!
      return StoredTensor(new, shape: shape, .f32(try file.floats(old, shape: shape)))
    }
    try SafeTensors.write(tensors, metadata: [:], to: to)
  }

  private func embed(_ source: SourceModel) throws -> [Float] {
    let path = "\(folder.path)/m.ftf"
    try source.write(fp32: path)
    let engine = try Engine(path: path, pool: ComputePool(threads: 1))
    let text = engine.encode(text: "two white ships")
    return try engine.encode(imagePaths: ["\(Goldens.folder)/images/rgb.jpg"])[0].get().global + text.sentence + text.words
  }

  @Test func lineEndsOfAnotherSystemChangeNothing() throws {
    let other = try copy("clip")
    try change("\(other)/merges.txt") { "\u{FEFF}" + $0.replacingOccurrences(of: "\n", with: "\r\n") }
    let (a, b) = (try SourceModel(clip), try SourceModel(other))
    #expect(!a.merges.isEmpty && a.merges == b.merges && a.vocabulary == b.vocabulary)
    #expect("a\r\nb\n\r\nc".lines == ["a", "b", "", "c"] && "".lines.isEmpty && "\u{FEFF}x\r\n".lines == ["x"])
  }

  @Test(arguments: [
    "_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod.", "state_dict.module.", "model_state_dict.", "net.", "clip_model.",
    "model.clip.", "anything.at.all.",
  ]) func whatWrapsTheNamesIsTakenOff(prefix: String) throws {
    let other = try copy("clip")
    try rename("\(clip)/model.safetensors", "\(other)/model.safetensors") { prefix + $0 }
    #expect(try embed(SourceModel(other)) == embed(SourceModel(clip)))
  }

  @Test func aNameInsideCanBeWrappedTooAndACopyIsNotTaken() throws {
    let other = try copy("clip")
    try rename("\(clip)/model.safetensors", "\(other)/model.safetensors") {
      "model." + $0.replacingOccurrences(of: "encoder.layers", with: "encoder._orig_mod.layers")
    }
    let whole = try SafeTensors(path: "\(other)/model.safetensors")
    var tensors = try whole.names.sorted().map { name in
      let shape = whole.shape(name)!
      return StoredTensor(name, shape: shape, .f32(try whole.floats(name, shape: shape)))
    }
    tensors += tensors.map { tensor in
      StoredTensor("model_ema." + tensor.name.dropFirst(6), shape: tensor.shape, .f32([Float](repeating: 9, count: tensor.shape.reduce(1, *))))
    }
    try SafeTensors.write(tensors, metadata: [:], to: "\(other)/both.safetensors")
    try FileManager.default.removeItem(atPath: "\(other)/model.safetensors")
    try FileManager.default.moveItem(atPath: "\(other)/both.safetensors", toPath: "\(other)/model.safetensors")
    let model = try SourceModel(other)
    #expect(try embed(model) == embed(SourceModel(clip)))
    #expect(model.decisions.contains { $0.contains("model of a checkpoint") && $0.contains("model_ema") }, "\(model.decisions)")
  }

  @Test func aContainerIsWhatItHoldsWhateverItIsCalled() throws {
    let other = try copy("clip")
    try FileManager.default.removeItem(atPath: "\(other)/model.safetensors")
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/clip.pt", toPath: "\(other)/model.safetensors")
    #expect(try embed(SourceModel(other)) == embed(SourceModel(clip)))
    let bare = "\(folder.path)/bare.pt"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/open_clip/open_clip_model.safetensors", toPath: bare)
    #expect(try SourceModel(bare, .init(tokenizer: clip)).tensors.count > 20)
    let strange = "\(folder.path)/strange.safetensors"
    try SafeTensors.write([StoredTensor("head.linear.weight", shape: [1], .f32([1]))], metadata: [:], to: strange)
    #expect(reason { _ = try SourceModel(strange) }.contains("1 of 'head.linear'"))
  }

  @Test func openCLIPBesideAConfigOfAnotherLibraryIsOpenCLIP() throws {
    let alone = try copy("open_clip", to: "alone")
    for name in ["vocab.json", "merges.txt"] {
      try FileManager.default.copyItem(atPath: "\(clip)/\(name)", toPath: "\(alone)/\(name)")
    }
    let expected = try embed(SourceModel(alone))
    for config in [#"{"model_type": "clip", "vision_config": {}, "text_config": {}}"#, #"{"architecture": "vit_base_patch16_clip_224"}"#] {
      try Data(config.utf8).write(to: URL(fileURLWithPath: "\(alone)/config.json"))
      #expect(try embed(SourceModel(alone)) == expected)
    }
  }

  @Test func openCLIPsFieldsAreUnderstoodOrRefused() throws {
    let other = try copy("open_clip")
    let path = "\(other)/open_clip_config.json"
    let whole = try object(path)
    let options = SourceModel.Options(tokenizer: clip)
    func with(_ part: String, _ key: String, _ value: Any) throws -> [String: Any] {
      var whole = whole
      if part == "preprocess_cfg" {
        whole[part] = (whole[part] as? [String: Any] ?? [:]).merging([key: value]) { $1 }
      } else {
        var model = whole["model_cfg"] as! [String: Any]
        model[part] = (model[part] as! [String: Any]).merging([key: value]) { $1 }
        whole["model_cfg"] = model
      }
      return whole
    }
    let expected = try SourceModel(other, options).config
    try write(with("vision_cfg", "image_size", [56, 56]), path)
    #expect(try SourceModel(other, options).config == expected)
    #expect(expected.preprocessing.mean != PreprocessingConfig.clipMean, "the case would show nothing")
    for (part, key, value, expected) in [
      ("vision_cfg", "image_size", [56, 28], "image_size"), ("vision_cfg", "image_size", "56", "image_size"),
      ("preprocess_cfg", "mean", 0.5, "mean"), ("preprocess_cfg", "std", "x", "std"), ("preprocess_cfg", "mode", "L", "mode"),
      ("preprocess_cfg", "size", 48, "size"), ("preprocess_cfg", "gamma", 2, "gamma"), ("text_cfg", "heads", "2", "heads"),
    ] as [(String, String, Any, String)] {
      try write(with(part, key, value), path)
      let found = reason { _ = try SourceModel(other, options) }
      #expect(found.contains("'\(expected)'") || found.contains(" \(expected) "), "\(key): \(found)")
    }
  }

  @Test func laterTransformersSayTheirImagesInAnotherFile() throws {
    let other = try copy("clip")
    let fields = try object("\(other)/preprocessor_config.json")
    try FileManager.default.removeItem(atPath: "\(other)/preprocessor_config.json")
    #expect(reason { _ = try SourceModel(other) }.contains("processor_config.json"))
    func processor(_ more: [String: Any]) throws {
      try write(["image_processor": fields.merging(more) { $1 }, "processor_class": "CLIPProcessor"], "\(other)/processor_config.json")
    }
    try processor([:])
    #expect(try SourceModel(other).config.preprocessing == SourceModel(clip).config.preprocessing)
    for (key, value, name) in [("do_pad", true, "do_pad"), ("rescale_factor", 0.5, "rescale_factor"), ("image_mean", "x", "image_mean")]
      as [(String, Any, String)]
    {
      try processor([key: value])
      let found = reason { _ = try SourceModel(other) }
      #expect(found.contains(name) && !found.contains("DecodingError") && !found.contains("CodingKeys"), "\(found)")
    }
  }

  // MARK: Sentences

  /// The text tower of the golden pair as a folder of sentence-transformers, beside a CLIP's image tower of its length.
  private func sentences(gamma: Bool = false, _ files: [String: Any] = [:]) throws -> SourceModel {
    let other = "\(folder.path)/bert"
    try? FileManager.default.removeItem(atPath: other)
    try FileManager.default.createDirectory(atPath: "\(other)/1_Pooling", withIntermediateDirectories: true)
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      try FileManager.default.copyItem(atPath: "\(Goldens.folder)/dual-vit/\(name)", toPath: "\(other)/\(name)")
    }
    var config = try #require(object("\(Goldens.folder)/dual-vit/config.json")["text_config"] as? [String: Any])
    config["model_type"] = "bert"
    try write(config, "\(other)/config.json")
    try rename("\(Goldens.folder)/dual-vit/model.safetensors", "\(other)/model.safetensors") { name in
      guard name.hasPrefix("text_model.") else { return nil }
      let plain = String(name.dropFirst("text_model.".count))
      guard gamma, plain.contains("LayerNorm") else { return plain }
      return plain.replacingOccurrences(of: "LayerNorm.weight", with: "LayerNorm.gamma").replacingOccurrences(
        of: "LayerNorm.bias", with: "LayerNorm.beta")
    }
    for (name, content) in files { try write(content, "\(other)/\(name)") }
    var image = try SourceModel(clip)
    let (d, w) = (try #require(config["hidden_size"] as? Int), try #require(image.tensors["vision.projection.weight"]).shape[1])
    image.config.dimension = d
    image.set("vision.projection.weight", [d, w], (0..<d * w).map { Float($0 % 7) - 3 })
    image.set("vision.projection.bias", [d], [Float](repeating: 0, count: d))
    return try image.withText(from: other)
  }

  private let pooling = "1_Pooling/config.json"
  private let modules: [String: Any] = ["modules.json": [["type": "x.Transformer", "path": ""], ["type": "x.Pooling", "path": "1_Pooling"]]]

  @Test func poolingIsReadInBothSpellings() throws {
    func mode(_ fields: [String: Any]) throws -> String { try sentences(modules.merging([pooling: fields]) { $1 }).config.text.pooling }
    #expect(try sentences().config.text.pooling == "mean")
    for fields in [
      ["pooling_mode": "cls", "embedding_dimension": 24, "include_prompt": true], ["pooling_mode": ["cls"]],
      ["pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false, "pooling_mode_max_tokens": false],
    ] as [[String: Any]] { #expect(try mode(fields) == "class") }
    for fields in [["pooling_mode": "mean"], ["pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false]] as [[String: Any]] {
      #expect(try mode(fields) == "mean")
    }
    for (fields, name) in [
      (["pooling_mode": "max"], "max"), (["pooling_mode": "lasttoken"], "lasttoken"), (["pooling_mode": ["cls", "mean"]], "cls and mean"),
      (["pooling_mode_max_tokens": true], "pooling_mode_max_tokens"),
      (["pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true], "cls and mean"),
      (["pooling_mode": 7], "pooling_mode"),
    ] as [([String: Any], String)] {
      let found = reason { _ = try mode(fields) }
      #expect(found.contains(name) && found.contains(pooling), "\(found)")
    }
    #expect(reason { _ = try sentences(["modules.json": [["type": "x.Dense"]]]) }.contains("Dense"))
    #expect(reason { _ = try sentences(["config_sentence_transformers.json": ["default_prompt_name": "query"]]) }.contains("'query'"))
  }

  @Test func gammaAndBetaAreWeightAndBias() throws {
    let (a, b) = (try sentences(), try sentences(gamma: true))
    for (name, values) in a.tensors { #expect(try b.tensors[name]?.load() == values.load(), "\(name)") }
  }

  // MARK: Tokenizers

  @Test func addedTokensOfAFileAreKeptInTheModelAndUsed() throws {
    let whole = try object("\(Goldens.folder)/dual-vit/tokenizer.json")
    var tokens = try #require(whole["added_tokens"] as? [[String: Any]])
    let plain = try embed(sentences())
    let vocabulary = try #require((whole["model"] as? [String: Any])?["vocab"] as? [String: Int])
    tokens.append(["id": vocabulary["water"] ?? 7, "content": "hite s", "normalized": true, "special": false])
    let added = try sentences(["tokenizer.json": whole.merging(["added_tokens": tokens]) { $1 }])
    #expect(added.addedTokens?.count == tokens.count)
    #expect(try embed(added) != plain)
    let path = "\(folder.path)/m.ftf"
    #expect(try Model(path: path).addedTokens == added.addedTokens)
    #expect(try SourceModel(path).addedTokens == added.addedTokens)
  }

  @Test(
    arguments: [
      ("normalizer", "clean_text", false), ("normalizer", "handle_chinese_chars", false), ("normalizer", "strip_accents", false),
      ("normalizer", "type", "Lowercase"), ("pre_tokenizer", "type", "Whitespace"), ("post_processor", "type", "ByteLevel"),
      ("model", "type", "Unigram"), ("model", "max_input_chars_per_word", 50), ("model", "continuing_subword_prefix", "@@"),
    ] as [(String, String, any Sendable)]) func aTokenizerThatIsNotComputedIsRefused(part: String, key: String, value: any Sendable) throws
  {
    let whole = try object("\(Goldens.folder)/dual-vit/tokenizer.json")
    let changed = try #require(whole[part] as? [String: Any]).merging([key: value]) { $1 }
    let found = reason { _ = try sentences(["tokenizer.json": whole.merging([part: changed]) { $1 }]) }
    #expect(found.contains(key) || found.contains(part), "\(found)")
  }

  @Test func addedTokensAreFoundAsTheTokenizersLibraryFindsThem() throws {
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "bridge", "##s", "sar", "##scene"]
    func ids(_ text: String, _ token: AddedToken) throws -> [Int32] {
      Array(try WordPiece(vocabulary: words, lowercase: true, added: [token]).encode(text, limit: 20).dropFirst().dropLast())
    }
    let plain = AddedToken(id: 50, content: "SarScene", normalized: true)
    #expect(try ids("a sarscene bridge", plain) == [5, 50, 6])
    #expect(try ids("a SARSCENEs", plain) == [5, 50, 1], "the rest of a word is a word")
    var exact = plain
    exact.normalized = false
    #expect(try ids("a sarscene SarScene", exact) == [5, 8, 9, 50])
    var single = plain
    single.singleWord = true
    #expect(try ids("sarscene, sarscenes", single).first == 50)
    #expect(try !ids("sarscenes _sarscene", single).contains(50))
    let pair = try WordPiece(
      vocabulary: words, lowercase: true,
      added: [AddedToken(id: 60, content: "sar"), AddedToken(id: 61, content: "sar bridge", rstrip: true)])
    #expect(pair.encode("sar bridge  a", limit: 20).dropFirst().dropLast() == [61, 5], "the longest of those that begin there")
    #expect(try ids("[CLS]", plain).count == 3, "what is not in the list is plain text")
  }
}
