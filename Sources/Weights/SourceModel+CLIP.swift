import Foundation

/// What `transformers` writes for a CLIP model; what a file leaves out has the library's default.
private struct CLIPSource: Decodable {
  var projection_dim: Int?
  var vision_config: CLIPTower
  var text_config: CLIPTower
}

struct CLIPTower: Decodable {
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
  var eos_token_id: Int?

  func activation(_ path: String, default name: String = "quick_gelu") throws(WeightsError) -> String {
    switch hidden_act ?? name {
    case "quick_gelu": return "quickgelu"
    case "gelu": return "gelu"
    case let other:
      throw .badConfig(
        path: path, reason: "the config has hidden_act '\(other)'; quick_gelu and gelu are computed")
    }
  }

  /// - Parameter path: of the config, for errors.
  func vision(_ path: String) throws(WeightsError) -> ViTConfig {
    ViTConfig(
      architecture: ViTConfig.name, imageSize: image_size ?? 224, patchSize: patch_size ?? 32,
      layers: num_hidden_layers ?? 12, width: hidden_size ?? 768, heads: num_attention_heads ?? 12,
      hidden: intermediate_size ?? 3072, activation: try activation(path), normEpsilon: layer_norm_eps ?? 1e-5)
  }

  func text(_ path: String) throws(WeightsError) -> TextConfig {
    let context = max_position_embeddings ?? 77
    return TextConfig(
      architecture: "clip", layers: num_hidden_layers ?? 12, width: hidden_size ?? 512,
      heads: num_attention_heads ?? 8, hidden: intermediate_size ?? 2048, activation: try activation(path),
      normEpsilon: layer_norm_eps ?? 1e-5, vocabulary: vocab_size ?? 49408, positions: context, contextLength: context,
      pooling: "end", lowercase: true)
  }
}

extension PreprocessingConfig {
  static let clipMean: [Float] = [0.48145466, 0.4578275, 0.40821073]
  static let clipStd: [Float] = [0.26862954, 0.26130258, 0.27577711]

  /// What `transformers` writes as preprocessor_config.json.
  private struct Source: Decodable {
    struct Size: Decodable {
      var shortest_edge: Int?
      var height: Int?
      var width: Int?
      /// Whether it is written as a number, which a processor's class gives a meaning.
      var isNumber = false

      private enum Key: String, CodingKey { case shortest_edge, height, width }

      /// A number is CLIP's shortest edge, the plain vision transformer's square, and for a crop a square.
      init(from decoder: any Decoder) throws {
        if let number = try? decoder.singleValueContainer().decode(Int.self) {
          (shortest_edge, isNumber) = (number, true)
          return
        }
        let container = try decoder.container(keyedBy: Key.self)
        shortest_edge = try container.decodeIfPresent(Int.self, forKey: .shortest_edge)
        height = try container.decodeIfPresent(Int.self, forKey: .height)
        width = try container.decodeIfPresent(Int.self, forKey: .width)
        guard shortest_edge != nil || height != nil && height == width else {
          throw DecodingError.dataCorruptedError(
            forKey: .width, in: container, debugDescription: "only squares are computed")
        }
      }

      init(square side: Int) { (height, width) = (side, side) }

      var side: Int { shortest_edge ?? height! }
    }

    var image_processor_type: String?
    /// Of earlier versions.
    var feature_extractor_type: String?
    var size: Size?
    var crop_size: Size?
    var do_resize: Bool?
    var do_center_crop: Bool?
    var do_rescale: Bool?
    var do_normalize: Bool?
    var do_pad: Bool?
    var rescale_offset: Bool?
    var rescale_factor: Double?
    var image_mean: [Float]?
    var image_std: [Float]?
    var resample: Int?
  }

  /// Reads preprocessor_config.json, or what processor_config.json of later versions has as `image_processor`, for images of a side;
  /// what it leaves out has CLIP's defaults, or the plain vision transformer's.
  init(transformers folder: String, side: Int) throws(WeightsError) {
    var path = "\(folder)/preprocessor_config.json"
    var fields = try SourceModel.object(path)
    if fields == nil {
      path = "\(folder)/processor_config.json"
      fields = try SourceModel.object(path)?["image_processor"] as? [String: Any]
    }
    guard let fields, let json = try? JSONSerialization.data(withJSONObject: fields) else {
      throw .unreadable(
        path: folder, reason: "it says nothing of its images; preprocessor_config.json is read, or processor_config.json with image_processor")
    }
    var source: Source = try SourceModel.decode(json, path)
    for (name, value) in [("do_pad", source.do_pad), ("rescale_offset", source.rescale_offset)] where value == true {
      throw .badConfig(path: path, reason: "\(name) is true, which is not computed")
    }
    if let factor = source.rescale_factor, abs(factor * 255 - 1) > 1e-6 {
      throw .badConfig(path: path, reason: "its rescale_factor is \(factor); 1/255 is computed")
    }
    // What prepares images: what it leaves out has the defaults of its class, whichever version wrote it.
    let classes = [
      "CLIPImageProcessor": false, "CLIPFeatureExtractor": false, "BitImageProcessor": false, "ViTImageProcessor": true, "ViTFeatureExtractor": true,
    ]
    let said = source.image_processor_type ?? source.feature_extractor_type ?? "CLIPImageProcessor"
    guard let isPlain = classes[said.hasSuffix("Fast") ? String(said.dropLast(4)) : said] else {
      throw .badConfig(path: path, reason: "its images are prepared by '\(said)', which is not computed")
    }
    if isPlain, let size = source.size, size.isNumber {
      source.size = Source.Size(square: size.side)
    }
    for (name, value) in [
      ("do_resize", source.do_resize), ("do_rescale", source.do_rescale), ("do_normalize", source.do_normalize),
    ] where value == false { throw .badConfig(path: path, reason: "\(name) is false, which is not computed") }
    let filters = [2: "bilinear", 3: "bicubic"]
    guard let filter = filters[source.resample ?? (isPlain ? 2 : 3)] else {
      throw .badConfig(
        path: path, reason: "it resizes by resample \(source.resample!); 2, bilinear, and 3, bicubic, are computed")
    }
    let crops = source.do_center_crop ?? !isPlain
    guard crops || source.size?.shortest_edge == nil else {
      throw .badConfig(path: path, reason: "it makes images of any shape; squares are encoded")
    }
    let isExact = source.size?.height != nil && source.size?.shortest_edge == nil
    guard !crops || !isExact || source.size!.side == source.crop_size?.side ?? side else {
      throw .badConfig(path: path, reason: "it stretches images to a square and then crops it, which is not computed")
    }
    let crop = crops ? source.crop_size?.side ?? side : source.size?.side ?? side
    self.init(
      resize: isExact ? "exact" : "shortest_edge", resizeTo: source.size?.side ?? side, rounding: "down", cropTo: crop,
      interpolation: filter, mean: source.image_mean ?? (isPlain ? [0.5, 0.5, 0.5] : Self.clipMean),
      std: source.image_std ?? (isPlain ? [0.5, 0.5, 0.5] : Self.clipStd))
  }

  /// The same for images of another side.
  mutating func scale(to side: Int) {
    guard (1...65536).contains(cropTo), (1...65536).contains(resizeTo) else { return }
    resizeTo = max(side, Int((Double(resizeTo) * Double(side) / Double(cropTo)).rounded()))
    cropTo = side
  }
}

extension InteractionConfig {
  /// Untuned: CLIP's patches were never trained to be compared with words, so that the fine side has a small say.
  static let untuned = InteractionConfig(
    mode: .balanced, candidates: 100, tau: 0.1, beta: 0.5, lambda: 0.3, fusion: .z)
}

extension SourceModel {
  /// A CLIP model of `transformers`: config.json, model.safetensors, preprocessor_config.json, and vocab.json with
  /// merges.txt or tokenizer.json.
  init(clip directory: String, config json: Data, _ options: Options) throws(WeightsError) {
    let path = "\(directory)/config.json"
    let source: CLIPSource = try Self.decode(json, path)
    try Self.checkCLIP(path, options)
    try Self.checkAdapters(directory, ignored: options.ignored)
    let vision = try source.vision_config.vision(path)
    config = ModelConfig(
      format: ModelConfig.format, name: Self.name(directory), dimension: source.projection_dim ?? 512,
      vision: .vit(vision), text: try source.text_config.text(path),
      preprocessing: try PreprocessingConfig(transformers: directory, side: vision.imageSize),
      interaction: .untuned, precision: .fp32)
    try finish(path, options)
    take(try TokenizerSource(bytePairs: options.tokenizer ?? directory, count: config.text.vocabulary))
    try checkEnd(source.text_config.eos_token_id, path)
    let tensors = WatchedTensors(try SafeTensors.open(directory))
    decisions += tensors.decisions
    try readCLIPVision(tensors)
    try readCLIPText(tensors)
    decisions += try tensors.requireTaken(
      ["vision_model.", "text_model.", "visual_projection", "text_projection"], ignored: options.ignored)
  }

  private static let clipKeys: Set<String> = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps", "image_size", "patch_size",
    "vocab_size", "max_position_embeddings", "projection_dim", "eos_token_id",
  ]

  /// Every key of a config of `transformers`: of the whole, and of both towers.
  static func checkCLIP(_ path: String, _ options: Options) throws(WeightsError) {
    guard let fields = try object(path) else { return }
    try checkKeys(fields, of: "", computed: ["projection_dim"], ignored: options.ignored, path)
    for part in ["text_config", "vision_config"] {
      try checkKeys(fields[part] as? [String: Any] ?? [:], of: part, computed: clipKeys, ignored: options.ignored, path)
    }
    try checkCopies(fields, path)
  }

  /// A text is pooled at its end token: by its id, or, where the config has the 2 of early versions, at the largest id.
  private func checkEnd(_ id: Int?, _ path: String) throws(WeightsError) {
    guard let id, id != 2 else { return }
    let tokens = vocabulary.lines
    guard tokens.indices.contains(id), tokens[id] == "<|endoftext|>" else {
      throw .badConfig(path: path, reason: "its eos_token_id is \(id), which is not the tokenizer's <|endoftext|>")
    }
  }

  static func name(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.deletingPathExtension().lastPathComponent
  }

  /// Takes what the user decided about a config, and checks it.
  mutating func finish(_ path: String, _ options: Options) throws(WeightsError) {
    let said = activation(ofImages: true).name
    if let given = options.activation, given != said {
      self = with(activation: given)
      decisions.append("activation: \(given) (as given; the source says \(said))")
    }
    if let side = options.imageSize, side != config.vision.imageSize, case .vit(var vision) = config.vision {
      vision.imageSize = side
      config.vision = .vit(vision)
      config.preprocessing.scale(to: side)
    }
    if let reason = config.contradiction { throw .badConfig(path: path, reason: "the config \(reason)") }
  }

  static func decode<T: Decodable>(_ json: Data, _ path: String) throws(WeightsError) -> T {
    do {
      return try JSONDecoder().decode(T.self, from: json)
    } catch {
      throw .badConfig(path: path, reason: ModelConfig.reason(error))
    }
  }

  mutating func readCLIPVision(_ source: any TensorSource) throws(WeightsError) {
    guard case .vit(let vision) = config.vision else { return }
    let (p, w) = (vision.patchSize, vision.width)
    let patch = ("vision_model.embeddings.patch_embedding.weight", [w, 3, p, p])
    try set("vision.patch_embedding.weight", [w, 3 * p * p], [patch], of: source)
    set("vision.patch_embedding.bias", [w], [Float](repeating: 0, count: w))
    set("vision.class_embedding", [w], try source.floats("vision_model.embeddings.class_embedding", shape: [w]))
    try readPositions(source, "vision_model.embeddings.position_embedding.weight", vision)
    try norm(source, "vision_model.pre_layrnorm", to: "vision.pre_norm", width: w)
    try readBlocks(
      source, "vision_model.encoder.layers", .clip, to: "vision", layers: vision.layers, width: w, hidden: vision.hidden
    )
    try norm(source, "vision_model.post_layernorm", to: "vision.final_norm", width: w)
    try readProjection(source, "visual_projection", to: "vision.projection", inputs: w)
  }

  mutating func readCLIPText(_ source: any TensorSource) throws(WeightsError) {
    let text = config.text
    let table = [text.vocabulary, text.width]
    try set("text.token_embedding.weight", table, [("text_model.embeddings.token_embedding.weight", table)], of: source)
    let places = try source.floats(
      "text_model.embeddings.position_embedding.weight", shape: [text.positions, text.width])
    set("text.position_embedding", [text.positions, text.width], places)
    try readBlocks(
      source, "text_model.encoder.layers", .clip, to: "text", layers: text.layers, width: text.width,
      hidden: text.hidden)
    try norm(source, "text_model.final_layer_norm", to: "text.final_norm", width: text.width)
    try readProjection(source, "text_projection", to: "text.projection", inputs: text.width)
  }

  /// A projection that has no bias.
  mutating func readProjection(
    _ source: any TensorSource, _ from: String, to name: String, inputs: Int
  ) throws(WeightsError) {
    let d = config.dimension
    set("\(name).weight", [d, inputs], try source.floats("\(from).weight", shape: [d, inputs]))
    set("\(name).bias", [d], [Float](repeating: 0, count: d))
  }

  /// The positions of the class token and the patches, resized where the grid is another than the source's.
  ///
  /// - Parameter from: of [1 + N, width], or [1, 1 + N, width].
  mutating func readPositions(
    _ source: any TensorSource, _ from: String, _ vision: ViTConfig
  ) throws(WeightsError) {
    guard let shape = source.shape(from) else { throw .missingTensor(path: source.path, tensor: from) }
    let (w, tokens) = (vision.width, vision.tokens)
    let rows = shape.reduce(1, *) / max(w, 1)
    let side = PositionGrid.side(rows - 1)
    guard shape == [rows, w] || shape == [1, rows, w], rows == tokens || side != nil else {
      throw .badShape(path: source.path, tensor: from, expected: [tokens, w], found: shape)
    }
    var positions = try source.floats(from, shape: shape)
    if rows != tokens, let side {
      let grid = vision.grid
      decisions.append(
        "position embeddings: resized from \(side) x \(side) to \(grid) x \(grid) patches for images of "
          + "\(vision.imageSize) pixels, which the model was not trained on")
      positions = PositionGrid.resize(positions, from: side, to: grid, width: w)
    }
    set("vision.position_embedding", [tokens, w], positions)
  }
}
