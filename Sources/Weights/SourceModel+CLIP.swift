import Foundation

/// What `transformers` writes for a CLIP model; what a file leaves out has the library's default.
private struct CLIPSource: Decodable {
  struct Tower: Decodable {
    var hidden_size: Int?
    var intermediate_size: Int?
    var num_hidden_layers: Int?
    var num_attention_heads: Int?
    var hidden_act: String?
    var layer_norm_eps: Float?
    var image_size: Int?
    var patch_size: Int?
    var vocab_size: Int?
    var max_position_embeddings: Int?
  }

  struct Size: Decodable {
    var shortest: Int
    private enum Key: String, CodingKey { case shortest_edge, height, width }

    /// A number, a shortest edge, or a square.
    init(from decoder: any Decoder) throws {
      if let number = try? decoder.singleValueContainer().decode(Int.self) {
        shortest = number
        return
      }
      let container = try decoder.container(keyedBy: Key.self)
      if let edge = try container.decodeIfPresent(Int.self, forKey: .shortest_edge) {
        shortest = edge
        return
      }
      shortest = try container.decode(Int.self, forKey: .height)
      guard try container.decode(Int.self, forKey: .width) == shortest else {
        throw DecodingError.dataCorruptedError(
          forKey: .width, in: container, debugDescription: "only squares are cropped")
      }
    }
  }

  struct Preprocessor: Decodable {
    var size: Size?
    var crop_size: Size?
    var image_mean: [Float]?
    var image_std: [Float]?
    var resample: Int?
  }

  var projection_dim: Int?
  var vision_config: Tower
  var text_config: Tower
}

extension SourceModel {
  /// A CLIP model of `transformers`: config.json, model.safetensors, preprocessor_config.json, and vocab.json with
  /// merges.txt or tokenizer.json.
  init(clip directory: String, tokenizer: String, config json: Data) throws(WeightsError) {
    let path = "\(directory)/config.json"
    let source: CLIPSource = try Self.decode(json, path)
    let preprocessor: CLIPSource.Preprocessor = try Self.decode(
      Self.read("\(directory)/preprocessor_config.json"), "\(directory)/preprocessor_config.json")
    let (vision, text) = (source.vision_config, source.text_config)
    let side = vision.image_size ?? 224
    func activation(_ name: String?) throws(WeightsError) -> String {
      switch name ?? "quick_gelu" {
      case "quick_gelu": return "quickgelu"
      case "gelu": return "gelu"
      default:
        throw .badConfig(path: path, reason: "the config has hidden_act '\(name!)'; quick_gelu and gelu are computed")
      }
    }
    guard preprocessor.resample ?? 3 == 3 else {
      throw .badConfig(
        path: "\(directory)/preprocessor_config.json",
        reason: "it resizes by resample \(preprocessor.resample!); 3, bicubic, is computed")
    }
    let context = text.max_position_embeddings ?? 77
    config = ModelConfig(
      format: ModelConfig.format, name: URL(fileURLWithPath: directory).standardizedFileURL.lastPathComponent,
      dimension: source.projection_dim ?? 512,
      vision: .vit(
        ViTConfig(
          architecture: ViTConfig.name, imageSize: side, patchSize: vision.patch_size ?? 32,
          layers: vision.num_hidden_layers ?? 12, width: vision.hidden_size ?? 768,
          heads: vision.num_attention_heads ?? 12,
          hidden: vision.intermediate_size ?? 3072, activation: try activation(vision.hidden_act),
          normEpsilon: vision.layer_norm_eps ?? 1e-5)),
      text: TextConfig(
        architecture: "clip", layers: text.num_hidden_layers ?? 12, width: text.hidden_size ?? 512,
        heads: text.num_attention_heads ?? 8, hidden: text.intermediate_size ?? 2048,
        activation: try activation(text.hidden_act), normEpsilon: text.layer_norm_eps ?? 1e-5,
        vocabulary: text.vocab_size ?? 49408, positions: context, contextLength: context, pooling: "end",
        lowercase: true),
      preprocessing: PreprocessingConfig(
        resize: "shortest_edge", resizeTo: preprocessor.size?.shortest ?? side, rounding: "down",
        cropTo: preprocessor.crop_size?.shortest ?? side, interpolation: "bicubic",
        mean: preprocessor.image_mean ?? [0.48145466, 0.4578275, 0.40821073],
        std: preprocessor.image_std ?? [0.26862954, 0.26130258, 0.27577711]),
      // Untuned: CLIP's patches were never trained to be compared with words, so that the fine side has a small say.
      interaction: InteractionConfig(mode: .balanced, candidates: 100, tau: 0.1, beta: 0.5, lambda: 0.3, fusion: .z),
      precision: .fp32)
    if let reason = config.contradiction { throw .badConfig(path: path, reason: "the config \(reason)") }
    (vocabulary, merges) = try Self.tokens(tokenizer, count: config.text.vocabulary)
    try readCLIP(SafeTensors.open(directory))
  }

  private static func decode<T: Decodable>(_ json: Data, _ path: String) throws(WeightsError) -> T {
    do {
      return try JSONDecoder().decode(T.self, from: json)
    } catch {
      throw .badConfig(path: path, reason: "it cannot be read as a CLIP config: \(error)")
    }
  }

  /// Tokens in order of their ids and merges in order of their rank, a line each.
  static func tokens(_ directory: String, count: Int) throws(WeightsError) -> (String, String) {
    var (path, ids, merges) = ("\(directory)/vocab.json", [String: Int](), [String]())
    if FileManager.default.fileExists(atPath: path) {
      ids = try decode(read(path), path)
      let text = String(decoding: try read("\(directory)/merges.txt"), as: UTF8.self)
      merges = text.split(separator: "\n").map(String.init).filter {
        !$0.hasPrefix("#version") && !$0.allSatisfy(\.isWhitespace)
      }
    } else {
      path = "\(directory)/tokenizer.json"
      let whole = try? JSONSerialization.jsonObject(with: read(path)) as? [String: Any]
      guard let model = whole?["model"] as? [String: Any], let vocabulary = model["vocab"] as? [String: Int] else {
        throw .badConfig(
          path: path, reason: "it holds no BPE vocabulary; give vocab.json and merges.txt, or tokenizer.json")
      }
      ids = vocabulary
      merges =
        (model["merges"] as? [String]) ?? (model["merges"] as? [[String]] ?? []).map { $0.joined(separator: " ") }
    }
    var tokens = [String](repeating: "", count: count)
    for (token, id) in ids {
      guard (0..<count).contains(id), !token.contains("\n") else {
        throw .badConfig(path: path, reason: "token '\(token)' has the id \(id) in a vocabulary of \(count)")
      }
      tokens[id] = token
    }
    return (tokens.joined(separator: "\n") + "\n", merges.joined(separator: "\n"))
  }

  mutating func readCLIP(_ source: any TensorSource) throws(WeightsError) {
    guard case .vit(let vision) = config.vision else { return }
    let (d, text) = (config.dimension, config.text)
    let (p, w) = (vision.patchSize, vision.width)
    let patch = ("vision_model.embeddings.patch_embedding.weight", [w, 3, p, p])
    try set("vision.patch_embedding.weight", [w, 3 * p * p], [patch], of: source)
    set("vision.patch_embedding.bias", [w], [Float](repeating: 0, count: w))
    let tokens = vision.grid * vision.grid + 1
    set("vision.class_embedding", [w], try source.floats("vision_model.embeddings.class_embedding", shape: [w]))
    let positions = try source.floats("vision_model.embeddings.position_embedding.weight", shape: [tokens, w])
    set("vision.position_embedding", [tokens, w], positions)
    try norm(source, "vision_model.pre_layrnorm", to: "vision.pre_norm", width: w)
    try readBlocks(source, "vision_model", to: "vision", layers: vision.layers, width: w, hidden: vision.hidden)
    try norm(source, "vision_model.post_layernorm", to: "vision.final_norm", width: w)
    let table = [text.vocabulary, text.width]
    try set("text.token_embedding.weight", table, [("text_model.embeddings.token_embedding.weight", table)], of: source)
    let places = try source.floats(
      "text_model.embeddings.position_embedding.weight", shape: [text.positions, text.width])
    set("text.position_embedding", [text.positions, text.width], places)
    try readBlocks(source, "text_model", to: "text", layers: text.layers, width: text.width, hidden: text.hidden)
    try norm(source, "text_model.final_layer_norm", to: "text.final_norm", width: text.width)
    for (from, name, inputs) in [
      ("visual_projection", "vision.projection", w), ("text_projection", "text.projection", text.width),
    ] {
      set("\(name).weight", [d, inputs], try source.floats("\(from).weight", shape: [d, inputs]))
      set("\(name).bias", [d], [Float](repeating: 0, count: d))
    }
  }

  private mutating func readBlocks(
    _ source: any TensorSource, _ tower: String, to name: String, layers: Int, width: Int, hidden: Int
  ) throws(WeightsError) {
    for i in 0..<layers {
      let (from, to) = ("\(tower).encoder.layers.\(i)", "\(name).blocks.\(i)")
      let parts = ["q_proj", "k_proj", "v_proj"].map { "\(from).self_attn.\($0)" }
      try set("\(to).qkv.weight", [3 * width, width], parts.map { ("\($0).weight", [width, width]) }, of: source)
      try set("\(to).qkv.bias", [3 * width], parts.map { ("\($0).bias", [width]) }, of: source)
      try copy(source, "\(from).self_attn.out_proj", to: "\(to).attention_out", outputs: width, inputs: width)
      try norm(source, "\(from).layer_norm1", to: "\(to).norm1", width: width)
      try copy(source, "\(from).mlp.fc1", to: "\(to).mlp_in", outputs: hidden, inputs: width)
      try copy(source, "\(from).mlp.fc2", to: "\(to).mlp_out", outputs: width, inputs: hidden)
      try norm(source, "\(from).layer_norm2", to: "\(to).norm2", width: width)
    }
  }
}
