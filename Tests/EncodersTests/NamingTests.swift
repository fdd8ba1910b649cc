import FastThenFine
import Foundation
import FTFTestSupport
import Testing
import FTFWeights

/// One model under the names of `transformers` and of open_clip: both conversions are the same model.
@Suite struct Namings {
  let folder: TemporaryFolder
  private let w = 64
  private let d = 12
  private let p = 8
  private let context = 10
  private let vocabulary: Int

  init() throws {
    folder = try TemporaryFolder()
    let ids = try JSONDecoder().decode(
      [String: Int].self, from: Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/clip/vocab.json")))
    vocabulary = ids.count
  }

  /// Shapes by the names of `transformers`.
  private var shapes: [(String, [Int])] {
    var shapes: [(String, [Int])] = [
      ("vision_model.embeddings.patch_embedding.weight", [w, 3, p, p]),
      ("vision_model.embeddings.class_embedding", [w]),
      ("vision_model.embeddings.position_embedding.weight", [5, w]),
      ("text_model.embeddings.token_embedding.weight", [vocabulary, w]),
      ("text_model.embeddings.position_embedding.weight", [context, w]), ("visual_projection.weight", [d, w]),
      ("text_projection.weight", [d, w]),
    ]
    for norm in ["vision_model.pre_layrnorm", "vision_model.post_layernorm", "text_model.final_layer_norm"] {
      shapes += [("\(norm).weight", [w]), ("\(norm).bias", [w])]
    }
    for tower in ["vision_model", "text_model"] {
      let layer = "\(tower).encoder.layers.0"
      for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        shapes += [("\(layer).self_attn.\(part).weight", [w, w]), ("\(layer).self_attn.\(part).bias", [w])]
      }
      for norm in ["layer_norm1", "layer_norm2"] {
        shapes += [("\(layer).\(norm).weight", [w]), ("\(layer).\(norm).bias", [w])]
      }
      shapes += [("\(layer).mlp.fc1.weight", [2 * w, w]), ("\(layer).mlp.fc1.bias", [2 * w])]
      shapes += [("\(layer).mlp.fc2.weight", [w, 2 * w]), ("\(layer).mlp.fc2.bias", [w])]
    }
    return shapes
  }

  /// The same tensors as open_clip names and turns them.
  private func renamed(_ tensors: [String: (shape: [Int], values: [Float])]) -> [StoredTensor] {
    var result: [StoredTensor] = []
    func add(_ name: String, _ from: String) {
      let tensor = tensors[from]!
      result.append(StoredTensor(name, shape: tensor.shape, .f32(tensor.values)))
    }
    add("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight")
    add("visual.class_embedding", "vision_model.embeddings.class_embedding")
    add("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight")
    add("token_embedding.weight", "text_model.embeddings.token_embedding.weight")
    add("positional_embedding", "text_model.embeddings.position_embedding.weight")
    for (name, from) in [("visual.proj", "visual_projection.weight"), ("text_projection", "text_projection.weight")] {
      let values = tensors[from]!.values
      result.append(StoredTensor(name, shape: [w, d], .f32((0..<w * d).map { values[$0 % d * w + $0 / d] })))
    }
    for kind in ["weight", "bias"] {
      add("visual.ln_pre.\(kind)", "vision_model.pre_layrnorm.\(kind)")
      add("visual.ln_post.\(kind)", "vision_model.post_layernorm.\(kind)")
      add("ln_final.\(kind)", "text_model.final_layer_norm.\(kind)")
      for (block, layer) in [
        ("visual.transformer.resblocks.0", "vision_model.encoder.layers.0"),
        ("transformer.resblocks.0", "text_model.encoder.layers.0"),
      ] {
        let parts = ["q_proj", "k_proj", "v_proj"].map { tensors["\(layer).self_attn.\($0).\(kind)"]! }
        let shape = [3 * w] + parts[0].shape.dropFirst()
        result.append(StoredTensor("\(block).attn.in_proj_\(kind)", shape: shape, .f32(parts.flatMap(\.values))))
        for (name, from) in [
          ("attn.out_proj", "self_attn.out_proj"), ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
          ("mlp.c_fc", "mlp.fc1"),
          ("mlp.c_proj", "mlp.fc2"),
        ] { add("\(block).\(name).\(kind)", "\(layer).\(from).\(kind)") }
      }
    }
    return result
  }

  @Test func openCLIPAndTransformersAreTheSameModel() throws {
    var random = SeededGenerator(seed: 12)
    var tensors: [String: (shape: [Int], values: [Float])] = [:]
    for (name, shape) in shapes { tensors[name] = (shape, random.floats(shape.reduce(1, *), limit: 0.3)) }
    let known = "\(folder.path)/known"
    try FileManager.default.createDirectory(atPath: known, withIntermediateDirectories: true)
    for name in ["vocab.json", "merges.txt"] {
      try FileManager.default.copyItem(atPath: "\(Goldens.folder)/clip/\(name)", toPath: "\(known)/\(name)")
    }
    _ = try folder.file("known/preprocessor_config.json", Data(#"{"size": 16, "crop_size": 16}"#.utf8))
    let tower =
      #""hidden_size": \#(w), "intermediate_size": \#(2 * w), "num_hidden_layers": 1, "num_attention_heads": 1"#
    let config = """
      {"model_type": "clip", "projection_dim": \(d), "vision_config": {\(tower), "image_size": 16, "patch_size": \(p)},
      "text_config": {\(tower), "vocab_size": \(vocabulary), "max_position_embeddings": \(context)}}
      """
    _ = try folder.file("known/config.json", Data(config.utf8))
    try SafeTensors.write(
      tensors.map { StoredTensor($0.key, shape: $0.value.shape, .f32($0.value.values)) }, metadata: [:],
      to: "\(known)/model.safetensors")
    let other = "\(folder.path)/model.safetensors"
    try SafeTensors.write(renamed(tensors), metadata: [:], to: other)

    func embed(_ source: SourceModel) throws -> [Float] {
      let path = "\(folder.path)/m.ftf"
      try source.write(fp32: path)
      let engine = try Engine(path: path, pool: ComputePool(threads: 1))
      let image = try engine.encode(imagePaths: ["\(Goldens.folder)/images/rgb.jpg"])[0].get()
      let text = engine.encode(text: "two white ships")
      return image.global + image.patches + text.sentence + text.words
    }
    let expected = try embed(SourceModel(known))
    #expect(expected.count > 6 * d && expected.contains { abs($0) > 0.1 })
    #expect(try embed(SourceModel(other, .init(tokenizer: known, activation: "quickgelu"))) == expected)
    let silent = try SourceModel(other, .init(tokenizer: known))
    #expect(silent.config.text.activation == "gelu")
    #expect(silent.decisions.contains { $0.contains("the activation quickgelu") })
    #expect(try embed(silent) != expected, "GELU for Quick GELU is another model")
    #expect(throws: WeightsError.self) { try SourceModel(other) }
  }

  @Test func aTextTowerOfAnotherLengthIsRefused() throws {
    let clip = try SourceModel("\(Goldens.folder)/clip")
    do {
      _ = try clip.withText(from: "\(Goldens.folder)/tiny")
      Issue.record("was taken")
    } catch {
      #expect("\(error)".contains("24 dimensions") && "\(error)".contains("20"), "\(error)")
    }
  }
}
