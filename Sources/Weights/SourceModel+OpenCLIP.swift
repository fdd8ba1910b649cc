import Foundation

/// The tensors of an open_clip or OpenAI model under the names that `transformers` gives them.
private struct OpenCLIPNames: TensorSource {
  let base: any TensorSource
  var path: String { base.path }
  var names: Set<String> { base.names }

  private static let plain = [
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
  ]
  private static let parts = [
    ("vision_model.pre_layrnorm", "visual.ln_pre"), ("vision_model.post_layernorm", "visual.ln_post"),
    ("text_model.final_layer_norm", "ln_final"), ("vision_model.encoder.layers", "visual.transformer.resblocks"),
    ("text_model.encoder.layers", "transformer.resblocks"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
    ("self_attn.out_proj", "attn.out_proj"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
  ]

  func shape(_ name: String) -> [Int]? { base.shape(name) }
  /// `floats` checks, under the name that the file has.
  func check(_ name: String, shape: [Int]) throws(WeightsError) {}

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    if let plain = Self.plain[name] { return try base.floats(plain, shape: shape) }
    if name == "visual_projection.weight" { return try transposed("visual.proj", shape) }
    if name == "text_projection.weight" { return try transposed("text_projection", shape) }
    var other = name
    for (from, to) in Self.parts { other = other.replacingOccurrences(of: from, with: to) }
    for (i, part) in ["q_proj", "k_proj", "v_proj"].enumerated() {
      for kind in ["weight", "bias"] where other.hasSuffix(".self_attn.\(part).\(kind)") {
        // Queries, keys and values lie one after the other in one tensor.
        let whole = other.replacingOccurrences(of: "self_attn.\(part).\(kind)", with: "attn.in_proj_\(kind)")
        let values = try base.floats(whole, shape: [3 * shape[0]] + shape.dropFirst())
        let size = values.count / 3
        return Array(values[i * size..<(i + 1) * size])
      }
    }
    return try base.floats(other, shape: shape)
  }

  /// open_clip multiplies from the left: [width, dimension].
  private func transposed(_ name: String, _ shape: [Int]) throws(WeightsError) -> [Float] {
    let values = try base.floats(name, shape: shape.reversed())
    let (rows, columns) = (shape[0], shape[1])
    return (0..<rows * columns).map { values[$0 % columns * rows + $0 / columns] }
  }
}

extension SourceModel {
  /// What a source is silent about, and what was decided, for the user to see.
  package struct Choice: Sendable {
    package var activation: String
    package var reason: String
  }

  /// A CLIP of open_clip or OpenAI: the shapes say what the model is, but for the activation and the tokenizer.
  ///
  /// - Parameters:
  ///   - tokenizer: a folder with vocab.json and merges.txt, or tokenizer.json.
  ///   - activation: `gelu` or `quickgelu`; nil decides by what is known of such files.
  init(openCLIP base: any TensorSource, tokenizer: String?, activation: String?) throws(WeightsError) {
    let path = base.path
    guard let patch = base.shape("visual.conv1.weight"), patch.count == 4,
      let places = base.shape("visual.positional_embedding"),
      let projection = base.shape("visual.proj"), let table = base.shape("token_embedding.weight"), table.count == 2,
      let context = base.shape("positional_embedding")?.first, places.count == 2, projection.count == 2, patch[3] > 0
    else {
      throw .badConfig(
        path: path, reason: "is neither a CLIP of open_clip or OpenAI (a ViT) nor a folder with a config.json")
    }
    guard let tokenizer else {
      throw .badConfig(
        path: path, reason: "holds no tokenizer; name a folder with CLIP's vocab.json and merges.txt by --tokenizer")
    }
    let (width, textWidth) = (patch[0], table[1])
    let grid = Int(Double(max(places[0] - 1, 0)).squareRoot().rounded())
    guard grid > 0, grid * grid + 1 == places[0] else {
      throw .badConfig(path: path, reason: "has \(places[0]) positions, which are no square grid and a class token")
    }
    func layers(_ prefix: String) -> Int {
      (base.names.compactMap { name -> Int? in
        guard name.hasPrefix(prefix) else { return nil }
        return Int(name.dropFirst(prefix.count).prefix { $0 != "." })
      }.max() ?? -1) + 1
    }
    let choice = Self.choice(base, activation)
    let side = grid * patch[3]
    config = ModelConfig(
      format: ModelConfig.format, name: URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent,
      dimension: projection[1],
      vision: .vit(
        ViTConfig(
          architecture: ViTConfig.name, imageSize: side, patchSize: patch[3],
          layers: layers("visual.transformer.resblocks."),
          width: width, heads: max(width / 64, 1),
          hidden: base.shape("visual.transformer.resblocks.0.mlp.c_fc.weight")?.first ?? 0,
          activation: choice.activation, normEpsilon: 1e-5)),
      text: TextConfig(
        architecture: "clip", layers: layers("transformer.resblocks."), width: textWidth, heads: max(textWidth / 64, 1),
        hidden: base.shape("transformer.resblocks.0.mlp.c_fc.weight")?.first ?? 0, activation: choice.activation,
        normEpsilon: 1e-5, vocabulary: table[0], positions: context, contextLength: context, pooling: "end",
        lowercase: true),
      preprocessing: PreprocessingConfig(
        resize: "shortest_edge", resizeTo: side, rounding: "down", cropTo: side, interpolation: "bicubic",
        mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711]),
      interaction: InteractionConfig(mode: .balanced, candidates: 100, tau: 0.1, beta: 0.5, lambda: 0.3, fusion: .z),
      precision: .fp32)
    self.choice = choice
    if let reason = config.contradiction {
      throw .badConfig(path: path, reason: "the config that its shapes make \(reason)")
    }
    (vocabulary, merges) = try Self.tokens(tokenizer, count: config.text.vocabulary)
    try readCLIP(OpenCLIPNames(base: base))
  }

  /// Quick GELU against GELU, which no such file says: OpenAI trained with the first, and so did those who name it; the
  /// others with the second.
  private static func choice(_ source: any TensorSource, _ given: String?) -> Choice {
    if let given { return Choice(activation: given, reason: "as given") }
    let name = URL(fileURLWithPath: source.path).path.lowercased()
    if (source as? PyTorchArchive)?.isTorchScript == true {
      return Choice(activation: "quickgelu", reason: "a TorchScript archive, as OpenAI publishes CLIP")
    }
    for known in ["quickgelu", "openai", "remoteclip", "georsclip", "rs5m"] where name.contains(known) {
      // RemoteCLIP and GeoRSCLIP go on from OpenAI's weights.
      return Choice(activation: "quickgelu", reason: "the name says '\(known)'")
    }
    return Choice(
      activation: "gelu",
      reason: "open_clip's default; if the model was trained with Quick GELU, say --activation quickgelu")
  }
}
