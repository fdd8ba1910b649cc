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

  func shape(_ name: String) -> [Int]? { base.shape(Self.plain[name] ?? name) }
  /// `floats` checks the shape, under the name that the file has.
  func check(_ name: String, shape: [Int]) throws(WeightsError) { take(name) }
  func take(_ name: String) { base.take(original(name).name) }

  /// The tensor of the file that holds one, and which third of it is meant, where it holds queries, keys and values one after the other.
  private func original(_ name: String) -> (name: String, third: Int?) {
    if let plain = Self.plain[name] { return (plain, nil) }
    if name == "visual_projection.weight" { return ("visual.proj", nil) }
    if name == "text_projection.weight" { return ("text_projection", nil) }
    var other = name
    for (from, to) in Self.parts { other = other.replacingOccurrences(of: from, with: to) }
    for (i, part) in ["q_proj", "k_proj", "v_proj"].enumerated() {
      for kind in ["weight", "bias"] where other.hasSuffix(".self_attn.\(part).\(kind)") {
        return (other.replacingOccurrences(of: "self_attn.\(part).\(kind)", with: "attn.in_proj_\(kind)"), i)
      }
    }
    return (other, nil)
  }

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    let (original, third) = original(name)
    if ["visual.proj", "text_projection"].contains(original) { return try transposed(original, shape) }
    guard let third else { return try base.floats(original, shape: shape) }
    let values = try base.floats(original, shape: [3 * shape[0]] + shape.dropFirst())
    let size = values.count / 3
    return Array(values[third * size..<(third + 1) * size])
  }

  /// open_clip multiplies from the left: [width, dimension].
  private func transposed(_ name: String, _ shape: [Int]) throws(WeightsError) -> [Float] {
    let values = try base.floats(name, shape: shape.reversed())
    let (rows, columns) = (shape[0], shape[1])
    return (0..<rows * columns).map { values[$0 % columns * rows + $0 / columns] }
  }
}

/// What such a file does not say of its architecture.
private struct OpenCLIPArchitecture {
  var imageSize: Int?
  var patchSize: Int?
  var width: Int?
  /// Of a head of the image tower.
  var headWidth: Int?
  var textHeads: Int?
  var isQuickGELU: Bool?
  var preprocessing: PreprocessingConfig?

  /// By open_clip's name, ViT-<size>-<patch>[-<image>][-quickgelu], or OpenAI's, ViT-L/14@336px.
  init(name: String) throws(WeightsError) {
    let widths = ["S": 384, "M": 512, "B": 768, "L": 1024, "H": 1280, "g": 1408, "bigG": 1664, "e": 1792]
    var parts = name.replacingOccurrences(of: "px", with: "").split(whereSeparator: { "-/@".contains($0) })
    // A name without it is also given to models that have it.
    if parts.last == "quickgelu" {
      isQuickGELU = true
      parts.removeLast()
    }
    guard (3...4).contains(parts.count), parts[0] == "ViT", let width = widths[String(parts[1])],
      let patch = Int(parts[2]), let image = parts.count == 4 ? Int(parts[3]) : 224
    else {
      throw .badConfig(
        path: name, reason: "is no architecture that is known; say ViT-B-32, ViT-L-14-336, ViT-B-16-quickgelu and such")
    }
    (self.width, patchSize, imageSize) = (width, patch, image)
  }

  /// From open_clip_config.json. Whatever would make another computation is refused by name.
  init(config path: String) throws(WeightsError) {
    let known = [
      "model_cfg": ["embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text", "init_logit_scale"],
      "vision_cfg": ["image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"],
      "text_cfg": ["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"],
    ]
    let defaults: [String: String] = ["pool_type": "tok argmax"]
    let whole = try SourceModel.object(path)
    guard let model = whole?["model_cfg"] as? [String: Any], let vision = model["vision_cfg"] as? [String: Any],
      let text = model["text_cfg"] as? [String: Any]
    else { throw .badConfig(path: path, reason: "it has no model_cfg with vision_cfg and text_cfg") }
    for (part, fields) in [("model_cfg", model), ("vision_cfg", vision), ("text_cfg", text)] {
      for (key, value) in fields where !known[part]!.contains(key) {
        if value is NSNull || (value as? Bool) == false { continue }
        if let usual = defaults[key], let value = value as? String, usual.contains(value) { continue }
        throw .badConfig(path: path, reason: "its \(part) has '\(key)', which no encoder here computes")
      }
    }
    imageSize = try Self.side(vision["image_size"], "image_size", path)
    patchSize = try Self.side(vision["patch_size"], "patch_size", path)
    width = try Self.value(vision["width"], "width", path)
    headWidth = try Self.value(vision["head_width"], "head_width", path) ?? 64
    textHeads = try Self.value(text["heads"], "heads", path)
    isQuickGELU = try Self.value(model["quick_gelu"], "quick_gelu", path) ?? false
    guard (1...65536).contains(headWidth ?? 64) else {
      throw .badConfig(path: path, reason: "its head_width is \(headWidth!), of which no heads can be made")
    }
    guard let preprocess = whole?["preprocess_cfg"] as? [String: Any], let imageSize else { return }
    preprocessing = try Self.preprocessing(preprocess, imageSize, path)
  }

  private static func preprocessing(
    _ fields: [String: Any], _ imageSize: Int, _ path: String
  ) throws(WeightsError) -> PreprocessingConfig {
    let known = ["size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"]
    for (key, value) in fields where !known.contains(key) && !(value is NSNull) && (value as? Bool) != false {
      throw .badConfig(path: path, reason: "its preprocess_cfg has '\(key)', which is not computed")
    }
    func numbers(_ key: String) throws(WeightsError) -> [Float]? { (try value(fields[key], key, path) as [Double]?)?.map { Float($0) } }
    let mode = try value(fields["mode"], "mode", path) ?? "RGB"
    guard mode == "RGB" else { throw .badConfig(path: path, reason: "its mode is '\(mode)'; RGB is computed") }
    let resize = try value(fields["resize_mode"], "resize_mode", path) ?? "shortest"
    guard let how = ["shortest": "shortest_edge", "squash": "exact"][resize] else {
      throw .badConfig(path: path, reason: "its resize_mode is '\(resize)'; shortest and squash are computed")
    }
    // Where both are there they are one size; that of the images is what the towers were made for.
    let size = try side(fields["size"], "size", path) ?? imageSize
    guard size == imageSize else {
      throw .badConfig(path: path, reason: "its preprocess_cfg has the size \(size), its vision_cfg \(imageSize)")
    }
    return PreprocessingConfig(
      resize: how, resizeTo: size, rounding: "down", cropTo: size, centring: "nearest",
      interpolation: try value(fields["interpolation"], "interpolation", path) ?? "bicubic",
      mean: try numbers("mean") ?? PreprocessingConfig.clipMean, std: try numbers("std") ?? PreprocessingConfig.clipStd)
  }

  /// A field of a type, nil where it is not there; one of another type is not taken for one that is not there.
  private static func value<T>(_ field: Any?, _ name: String, _ path: String) throws(WeightsError) -> T? {
    guard let field, !(field is NSNull) else { return nil }
    guard let value = field as? T else { throw .badConfig(path: path, reason: "its \(name) is '\(field)', which is not understood") }
    return value
  }

  /// A side in pixels, of a number or of two equal ones.
  private static func side(_ field: Any?, _ name: String, _ path: String) throws(WeightsError) -> Int? {
    guard let pair = field as? [Int] else { return try value(field, name, path) }
    guard let side = pair.first, pair.allSatisfy({ $0 == side }) else {
      throw .badConfig(path: path, reason: "its \(name) is \(pair); squares are computed")
    }
    return side
  }
}

extension SourceModel {
  /// A CLIP of open_clip or OpenAI: the shapes say what the model is, but for the activation, the heads and the tokenizer.
  ///
  /// - Parameters:
  ///   - given: its tensors.
  ///   - location: a folder, which may hold open_clip_config.json and the tokenizer's files, or a file.
  init(openCLIP found: any TensorSource, _ location: String, _ options: Options) throws(WeightsError) {
    try Self.checkAdapters(location, ignored: options.ignored)
    let given = WatchedTensors(found)
    // open_clip saves the text tower of some models below `text.`.
    let textPrefix = given.shape("text.token_embedding.weight") != nil ? "text." : ""
    let base = RenamedTensors(base: given) { $0.hasPrefix("visual.") ? $0 : textPrefix + $0 }
    let path = base.path
    guard let patch = base.shape("visual.conv1.weight"), patch.count == 4,
      let places = base.shape("visual.positional_embedding"),
      let projection = base.shape("visual.proj"), let table = base.shape("token_embedding.weight"), table.count == 2,
      let context = base.shape("positional_embedding")?.first, places.count == 2, projection.count == 2, patch[3] > 0
    else {
      throw .badConfig(
        path: path,
        reason: "is neither a CLIP of open_clip or OpenAI (a ViT) nor a folder with a config.json; it holds \(base.summary)")
    }
    guard let grid = PositionGrid.side(places[0] - 1) else {
      throw .badConfig(path: path, reason: "has \(places[0]) positions, which are no square grid and a class token")
    }
    let (configured, width, textWidth) = ("\(location)/open_clip_config.json", patch[0], table[1])
    var known: OpenCLIPArchitecture?
    if FileManager.default.fileExists(atPath: configured) {
      known = try OpenCLIPArchitecture(config: configured)
      unused = options.given.intersection(["architecture"])
    } else if let name = options.architecture {
      known = try OpenCLIPArchitecture(name: name)
    }
    if let known, known.width ?? width != width || known.patchSize ?? patch[3] != patch[3] {
      throw .badConfig(
        path: path,
        reason:
          "has an image tower of width \(width) and patch \(patch[3]), the architecture \(known.width ?? width) and \(known.patchSize ?? patch[3])"
      )
    }
    func layers(_ prefix: String) -> Int {
      (base.names.compactMap { name -> Int? in
        guard name.hasPrefix(prefix) else { return nil }
        return Int(name.dropFirst(prefix.count).prefix { $0 != "." })
      }.max() ?? -1) + 1
    }
    var decisions: [String] = []
    let activation = Self.decideActivation(given, known?.isQuickGELU, options, &decisions)
    isActivationGuessed = known?.isQuickGELU == nil && options.activation == nil
    let side = known?.imageSize ?? grid * patch[3]
    let vision = ViTConfig(
      architecture: ViTConfig.name, imageSize: side, patchSize: patch[3],
      layers: layers("visual.transformer.resblocks."), width: width,
      heads: Self.decideHeads(width: width, known?.headWidth, &decisions),
      hidden: base.shape("visual.transformer.resblocks.0.mlp.c_fc.weight")?.first ?? 0, activation: activation,
      normEpsilon: 1e-5)
    let text = TextConfig(
      architecture: "clip", layers: layers("\(textPrefix)transformer.resblocks."), width: textWidth,
      heads: known?.textHeads ?? max(textWidth / 64, 1),
      hidden: base.shape("transformer.resblocks.0.mlp.c_fc.weight")?.first ?? 0, activation: activation,
      normEpsilon: 1e-5, vocabulary: table[0], positions: context, contextLength: context, pooling: "end",
      lowercase: true, repairs: true)
    let usual = PreprocessingConfig(
      resize: "shortest_edge", resizeTo: side, rounding: "down", cropTo: side, centring: "nearest",
      interpolation: "bicubic",
      mean: PreprocessingConfig.clipMean, std: PreprocessingConfig.clipStd)
    config = ModelConfig(
      format: ModelConfig.format, name: Self.name(location), dimension: projection[1], vision: .vit(vision), text: text,
      preprocessing: known?.preprocessing ?? usual, interaction: .untuned, precision: .fp32)
    self.decisions = given.decisions + decisions
    try finish(path, options)
    take(try TokenizerSource(bytePairs: Self.tokenizer(location, path, options), count: config.text.vocabulary))
    let named = OpenCLIPNames(base: base)
    try readCLIPVision(named)
    try readCLIPText(named)
    let towers = [
      "visual.", "\(textPrefix)transformer.", "\(textPrefix)ln_final", "\(textPrefix)token_embedding", "\(textPrefix)text_projection", "text.",
    ]
    self.decisions += try given.requireTaken(towers, ignored: options.ignored)
  }

  private static func tokenizer(_ location: String, _ path: String, _ options: Options) throws(WeightsError) -> String {
    if let given = options.tokenizer { return given }
    for name in ["vocab.json", "tokenizer.json"]
    where FileManager.default.fileExists(atPath: "\(location)/\(name)") { return location }
    throw .badConfig(
      path: path, reason: "holds no tokenizer; name a folder with CLIP's vocab.json and merges.txt as the tokenizer")
  }

  /// Heads cannot be seen in shapes: they are 64 wide but in open_clip's largest models.
  private static func decideHeads(width: Int, _ known: Int?, _ decisions: inout [String]) -> Int {
    let size = known ?? [1280: 80, 1408: 88, 1664: 104, 1792: 112][width] ?? 64
    let heads = max(width / size, 1)
    if known == nil { decisions.append("heads: \(heads), as all known models of width \(width) have") }
    return heads
  }

  /// Quick GELU against GELU, which no such file says: OpenAI trained with the first, and so did those who name it; the
  /// others with the second.
  private static func decideActivation(
    _ source: any TensorSource, _ isQuick: Bool?, _ options: Options, _ decisions: inout [String]
  ) -> String {
    func decide(_ activation: String, _ reason: String) -> String {
      decisions.append("activation: \(activation) (\(reason))")
      return activation
    }
    if let given = options.activation { return decide(given, "as given") }
    if let isQuick { return isQuick ? "quickgelu" : "gelu" }
    let name = URL(fileURLWithPath: source.path).path.lowercased()
    if source.isTorchScript {
      return decide("quickgelu", "a TorchScript archive, as OpenAI publishes CLIP")
    }
    for known in ["quickgelu", "openai", "remoteclip", "georsclip", "rs5m", "metaclip", "dfn"] where name.contains(known) {
      // RemoteCLIP and GeoRSCLIP go on from OpenAI's weights; MetaCLIP and DFN were trained as OpenAI's were.
      return decide("quickgelu", "the name says '\(known)'")
    }
    return decide(
      "gelu", "open_clip's default; if the model was trained with Quick GELU, give the activation quickgelu")
  }
}
