import Foundation

/// What `transformers` writes for a VisionTextDualEncoder.
private struct DualSource: Decodable {
  struct Kind: Decodable { var model_type: String? }
  struct Kinds: Decodable {
    var vision_config: Kind
    var text_config: Kind
  }
  struct Towers: Decodable {
    var projection_dim: Int?
    var vision_config: CLIPTower
  }
  struct Texts: Decodable { var text_config: BERTSource }
}

extension SourceModel {
  /// A VisionTextDualEncoder of `transformers`: CLIP's or the plain vision transformer, with a BERT behind its pooler.
  init(dual directory: String, config json: Data, _ options: Options) throws(WeightsError) {
    let path = "\(directory)/config.json"
    let kinds: DualSource.Kinds = try Self.decode(json, path)
    try Self.checkCLIP(path, options)
    try Self.checkAdapters(directory, ignored: options.ignored)
    let (eyes, words) = (kinds.vision_config.model_type ?? "none", kinds.text_config.model_type ?? "none")
    guard ["clip_vision_model", "vit"].contains(eyes), words == "bert" else {
      throw .badConfig(
        path: path, reason: "it pairs '\(eyes)' with '\(words)'; clip_vision_model or vit, with bert, are computed")
    }
    let towers: DualSource.Towers = try Self.decode(json, path)
    let texts: DualSource.Texts = try Self.decode(json, path)
    var vision = towers.vision_config
    if eyes == "vit" {
      // The plain transformer's own defaults.
      vision.hidden_act = vision.hidden_act ?? "gelu"
      vision.layer_norm_eps = vision.layer_norm_eps ?? 1e-12
      vision.patch_size = vision.patch_size ?? 16
    }
    let shape = try vision.vision(path)
    config = ModelConfig(
      format: ModelConfig.format, name: Self.name(directory), dimension: towers.projection_dim ?? 512,
      vision: .vit(shape), text: try CLIPTower().text(path),
      preprocessing: try PreprocessingConfig(transformers: directory, side: shape.imageSize),
      interaction: .untuned, precision: .fp32)
    try finish(path, options)
    let tensors = WatchedTensors(try SafeTensors.open(directory))
    decisions += tensors.decisions
    if eyes == "vit" {
      try readPlainVision(tensors)
    } else {
      // Older versions of transformers have the tower's name twice.
      let isDoubled = tensors.names.contains { $0.hasPrefix("vision_model.vision_model.") }
      try readCLIPVision(
        RenamedTensors(base: tensors) { isDoubled && $0.hasPrefix("vision_model.") ? "vision_model.\($0)" : $0 })
    }
    try readBERT(
      options.tokenizer ?? directory, texts.text_config, path, context: nil, pooling: "pooler",
      tensors: RenamedTensors(base: tensors) { "text_model." + $0.dropFirst("text.".count) })
    let width = config.text.width
    try copy(tensors, "text_model.pooler.dense", to: "text.pooler", outputs: width, inputs: width)
    try readProjection(tensors, "text_projection", to: "text.projection", inputs: width)
    decisions += try tensors.requireTaken(
      ["vision_model.", "text_model.", "visual_projection", "text_projection"], ignored: options.ignored)
  }

  private mutating func readPlainVision(_ source: any TensorSource) throws(WeightsError) {
    guard case .vit(let vision) = config.vision else { return }
    let (p, w, embeddings) = (vision.patchSize, vision.width, "vision_model.embeddings")
    let patch = "\(embeddings).patch_embeddings.projection"
    try set("vision.patch_embedding.weight", [w, 3 * p * p], [("\(patch).weight", [w, 3, p, p])], of: source)
    try set("vision.patch_embedding.bias", [w], [("\(patch).bias", [w])], of: source)
    set("vision.class_embedding", [w], try source.floats("\(embeddings).cls_token", shape: [1, 1, w]))
    try readPositions(source, "\(embeddings).position_embeddings", vision)
    try readBlocks(
      source, "vision_model.encoder.layer", .vit, to: "vision", layers: vision.layers, width: w, hidden: vision.hidden)
    try norm(source, "vision_model.layernorm", to: "vision.final_norm", width: w)
    try copy(source, "vision_model.pooler.dense", to: "vision.pooler", outputs: w, inputs: w)
    try readProjection(source, "visual_projection", to: "vision.projection", inputs: w)
  }
}
