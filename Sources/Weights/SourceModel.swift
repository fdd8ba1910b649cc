import FTFFiles
import Foundation
import FTFKernels
import FTFTokenization

/// A trained model as it comes (config.json, model.safetensors, vocab.txt), brought to the canonical names and shapes of
/// `Model` with its batch norms folded, all in fp32.
package struct SourceModel: Sendable {
  /// What an error names.
  package private(set) var path = ""
  package var config: ModelConfig
  /// Tokens in order of their ids, a line each.
  package var vocabulary = ""
  /// Of byte-pair encoding: pairs, best first, a line each.
  package var merges = ""
  /// Tokens that are recognised as they are written; nil for those that its kind always has.
  package var addedTokens: [AddedToken]?
  /// Where the weights come from, in a sentence; travels with the model.
  package var origin = ""
  /// What the source did not say and was decided, and what was changed, for the user to see; travels with the model.
  package var decisions: [String] = []
  /// Whether neither the source nor the user said the activation.
  package internal(set) var isActivationGuessed = false
  /// The options that were given and that this source has no use for.
  package internal(set) var unused: Set<String> = []
  /// By canonical name.
  package var tensors: [String: Values] = [:]

  package struct Values: Sendable {
    package var shape: [Int]
    /// Read when they are needed and not kept: a model may be larger than memory has room for twice.
    package let load: @Sendable () throws(WeightsError) -> [Float]
  }

  /// What a source may leave open.
  package struct Options: Sendable {
    /// A folder with the tokenizer's files, where the source has none.
    package var tokenizer: String?
    /// `gelu` or `quickgelu`, where the source does not say it.
    package var activation: String?
    /// open_clip's name of the architecture, such as ViT-L-14-336 or ViT-B-32-quickgelu, where the source is a bare file.
    package var architecture: String?
    /// Side of the images to encode, where it is not the one of the training.
    package var imageSize: Int?
    /// Tensors (names, or beginnings of names) and keys of a config that nothing here computes and that may be left out.
    package var ignored: [String] = []

    package init(
      tokenizer: String? = nil, activation: String? = nil, architecture: String? = nil, imageSize: Int? = nil, ignored: [String] = []
    ) {
      self.ignored = ignored
      (self.tokenizer, self.activation) = (tokenizer, activation)
      (self.architecture, self.imageSize) = (architecture, imageSize)
    }

    /// Those of `activation`, `architecture` and `imageSize` that are given, as an error names them.
    package var given: Set<String> {
      var names: Set<String> = []
      if activation != nil { names.insert("activation") }
      if architecture != nil { names.insert("architecture") }
      if imageSize != nil { names.insert("image size") }
      return names
    }
  }

  /// Reads a model of this project, a CLIP or VisionTextDualEncoder of `transformers`, or a CLIP of open_clip or OpenAI.
  ///
  /// - Parameter path: a folder with config.json or open_clip_config.json, weights and the tokenizer's files, a file of
  ///   weights, or an fp32 `.ftf` file.
  package init(_ path: String, _ options: Options = Options()) throws(WeightsError) {
    self = try Self.read(path, options)
    self.path = path
  }

  private static func read(_ path: String, _ options: Options) throws(WeightsError) -> SourceModel {
    if path.hasSuffix(".ftf") {
      var model = try SourceModel(model: Model(path: path))
      model.unused = options.given
      return model
    }
    let config = "\(path)/config.json"
    // Where both are, a config belongs to the weights that lie beside it under its library's name.
    let isOpenCLIP = FileManager.default.fileExists(atPath: "\(path)/open_clip_config.json")
    guard let fields = try object(config), !isOpenCLIP || isTransformers(fields, path) else {
      return try SourceModel(openCLIP: SafeTensors.open(path, .openCLIP), path, options)
    }
    let json = try read(config)
    switch fields["model_type"] as? String {
    case nil:
      var model = try SourceModel(own: path, config: json)
      model.unused = options.given
      return model
    case "clip", "vision-text-dual-encoder":
      var model =
        fields["model_type"] as? String == "clip"
        ? try SourceModel(clip: path, config: json, options) : try SourceModel(dual: path, config: json, options)
      model.unused = options.given.intersection(["architecture"])
      return model
    case let type?:
      throw .badConfig(
        path: config,
        reason: "models of type '\(type)' are not read; clip, vision-text-dual-encoder and this project's own are")
    }
  }

  private static func isTransformers(_ config: [String: Any], _ folder: String) -> Bool {
    config["model_type"] != nil && WeightsLayout.transformers.file(in: folder) != nil
  }

  /// The activation of a tower, and whether no other is computed for it.
  package func activation(ofImages: Bool) -> (name: String, isFixed: Bool) {
    if ofImages {
      guard case .vit(let vision) = config.vision else { return ("relu6", true) }
      return (vision.activation, false)
    }
    return (config.text.activation, config.text.architecture == "bert")
  }

  /// The same weights with `gelu` or `quickgelu` in every tower that can have either.
  package func with(activation: String) -> SourceModel {
    var model = self
    if case .vit(var vision) = config.vision {
      vision.activation = activation
      model.config.vision = .vit(vision)
    }
    if config.text.architecture == "clip" { model.config.text.activation = activation }
    return model
  }

  static func read(_ path: String) throws(WeightsError) -> Data {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw .unreadable(
        path: path, reason: "a model is a folder with config.json, model.safetensors and its tokenizer's files")
    }
    if let kind = FileKind.name(of: Array(data.prefix(FileKind.prefix))) { throw .unreadable(path: path, reason: "it is \(kind)") }
    return data
  }

  /// A text file, with LF at its lines' ends.
  static func text(_ path: String) throws(WeightsError) -> String {
    String(decoding: try read(path), as: UTF8.self).lines.joined(separator: "\n") + "\n"
  }

  /// The object that a JSON file holds; nil where there is no such file.
  static func object(_ path: String) throws(WeightsError) -> [String: Any]? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    guard let object = try? JSONSerialization.jsonObject(with: read(path)) as? [String: Any] else {
      throw .badConfig(path: path, reason: "it is no JSON object")
    }
    return object
  }

  /// A model that was converted before, in fp32.
  private init(model: Model) throws(WeightsError) {
    guard model.precision == .fp32 else {
      throw .badConfig(
        path: model.path,
        reason: "holds \(model.precision.rawValue): what was rounded off is gone; convert the weights it was made of")
    }
    config = model.config
    (vocabulary, merges) = (model.vocabulary.joined(separator: "\n"), model.merges.joined(separator: "\n"))
    addedTokens = model.addedTokens
    origin = model.metadata["origin"] ?? ""
    decisions = (model.metadata["decisions"] ?? "").lines.map(String.init)
    for name in model.weights.names {
      let shape = model.weights.shape(name)!
      try set(name, shape, [(name, shape)], of: model.weights)
    }
  }

  /// This project's own: the vocabulary is vocab.txt.
  private init(own directory: String, config json: Data) throws(WeightsError) {
    let path = "\(directory)/config.json"
    config = try ModelConfig(json: json, path: path)
    config.precision = .fp32
    config.activations = nil
    vocabulary = try Self.text("\(directory)/vocab.txt")
    _ = try Model.lines(of: vocabulary, count: config.text.vocabulary, path: "\(directory)/vocab.txt")
    guard case .efficientNetLite(let vision) = config.vision, config.text.architecture == "bert" else {
      throw .badConfig(path: path, reason: "this format holds an efficientnet_lite and a bert tower")
    }
    let source = try SafeTensors.open(directory)
    try readVision(source, vision)
    try readText(source)
  }

  package mutating func set(_ name: String, _ shape: [Int], _ floats: [Float]) {
    tensors[name] = Values(shape: shape) { () throws(WeightsError) -> [Float] in floats }
  }

  /// The tensors of a source one after the other, their shapes checked now and their values read later.
  mutating func set(
    _ name: String, _ shape: [Int], _ parts: [(name: String, shape: [Int])], of source: any TensorSource
  ) throws(WeightsError) {
    for part in parts { try source.check(part.name, shape: part.shape) }
    tensors[name] = Values(shape: shape) { () throws(WeightsError) -> [Float] in
      if parts.count == 1 { return try source.floats(parts[0].name, shape: parts[0].shape) }
      var floats: [Float] = []
      for part in parts { floats += try source.floats(part.name, shape: part.shape) }
      return floats
    }
  }

  mutating func copy(
    _ source: any TensorSource, _ from: String, to name: String, outputs: Int, inputs: Int
  ) throws(WeightsError) {
    try set("\(name).weight", [outputs, inputs], [("\(from).weight", [outputs, inputs])], of: source)
    try set("\(name).bias", [outputs], [("\(from).bias", [outputs])], of: source)
  }

  // MARK: Vision

  /// W' = W gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps), in double precision.
  private mutating func fold(
    _ source: any TensorSource, _ name: String, epsilon: Float, outputs: Int, shape: [Int], as canonical: [Int]
  ) throws(WeightsError) {
    var weight = try source.floats("\(name).conv.weight", shape: shape)
    let gamma = try source.floats("\(name).norm.weight", shape: [outputs])
    let beta = try source.floats("\(name).norm.bias", shape: [outputs])
    let mean = try source.floats("\(name).norm.running_mean", shape: [outputs])
    let variance = try source.floats("\(name).norm.running_var", shape: [outputs])
    var bias = beta
    let size = weight.count / outputs
    for row in 0..<outputs {
      guard variance[row] >= 0 else {
        throw .badValue(path: source.path, tensor: "\(name).norm.running_var", reason: "holds a negative variance")
      }
      let factor = Double(gamma[row]) / (Double(variance[row]) + Double(epsilon)).squareRoot()
      for i in row * size..<(row + 1) * size { weight[i] = Float(Double(weight[i]) * factor) }
      bias[row] = Float(Double(beta[row]) - Double(mean[row]) * factor)
    }
    set("\(name).weight", canonical, weight)
    set("\(name).bias", [outputs], bias)
  }

  private mutating func readVision(_ source: any TensorSource, _ vision: EfficientNetLiteConfig) throws(WeightsError) {
    let epsilon = vision.normEpsilon
    try fold(
      source, "vision.stem", epsilon: epsilon, outputs: vision.stem, shape: [vision.stem, 3, 3, 3],
      as: [vision.stem, 3, 3, 3])
    for (i, block) in vision.blocks.enumerated() {
      let name = "vision.blocks.\(i)"
      let inside = block.input * block.expand
      if block.expand != 1 {
        try fold(
          source, "\(name).expand", epsilon: epsilon, outputs: inside, shape: [inside, block.input, 1, 1],
          as: [inside, block.input])
      }
      let k = block.kernel
      try fold(
        source, "\(name).depthwise", epsilon: epsilon, outputs: inside, shape: [inside, 1, k, k], as: [inside, k, k])
      try fold(
        source, "\(name).project", epsilon: epsilon, outputs: block.output, shape: [block.output, inside, 1, 1],
        as: [block.output, inside])
    }
    let last = vision.blocks.last!.output
    try fold(
      source, "vision.head", epsilon: epsilon, outputs: vision.head, shape: [vision.head, last, 1, 1],
      as: [vision.head, last])
    for name in ["vision.projection", "vision.patch_projection"] {
      try copy(source, name, to: name, outputs: config.dimension, inputs: vision.head)
    }
    if let detail = vision.detailShape {
      let name = "vision.detail_projection"
      try copy(source, name, to: name, outputs: config.dimension, inputs: detail.inputs)
    }
  }

  // MARK: Text

  mutating func readText(_ source: any TensorSource, projected: Bool = true) throws(WeightsError) {
    let text = config.text
    let width = text.width
    let table = [text.vocabulary, width]
    try set("text.token_embedding.weight", table, [("text.embeddings.word_embeddings.weight", table)], of: source)
    var positions = try source.floats("text.embeddings.position_embeddings.weight", shape: [text.positions, width])
    let types = try source.floats("text.embeddings.token_type_embeddings.weight", shape: [2, width])
    positions.removeLast((text.positions - text.contextLength) * width)
    for i in positions.indices { positions[i] += types[i % width] }
    set("text.position_embedding", [text.contextLength, width], positions)
    try norm(source, "text.embeddings.LayerNorm", to: "text.embedding_norm", width: width)
    try readBlocks(
      source, "text.encoder.layer", .bert, to: "text", layers: text.layers, width: width, hidden: text.hidden)
    guard projected else { return }
    for name in ["text.projection", "text.word_projection"] {
      try copy(source, name, to: name, outputs: config.dimension, inputs: width)
    }
  }

  mutating func norm(
    _ source: any TensorSource, _ from: String, to name: String, width: Int
  ) throws(WeightsError) {
    set("\(name).weight", [width], try source.floats("\(from).weight", shape: [width]))
    set("\(name).bias", [width], try source.floats("\(from).bias", shape: [width]))
  }

  /// The parts of a transformer block under the names that a library gives them.
  struct BlockNames {
    var queryKeyValue: [String]
    var attentionOut: String
    var norm1: String
    var mlpIn: String
    var mlpOut: String
    var norm2: String

    static let clip = BlockNames(
      queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], attentionOut: "self_attn.out_proj",
      norm1: "layer_norm1", mlpIn: "mlp.fc1", mlpOut: "mlp.fc2", norm2: "layer_norm2")
    static let bert = BlockNames(
      queryKeyValue: ["attention.self.query", "attention.self.key", "attention.self.value"],
      attentionOut: "attention.output.dense", norm1: "attention.output.LayerNorm", mlpIn: "intermediate.dense",
      mlpOut: "output.dense", norm2: "output.LayerNorm")
    static let vit = BlockNames(
      queryKeyValue: ["attention.attention.query", "attention.attention.key", "attention.attention.value"],
      attentionOut: "attention.output.dense", norm1: "layernorm_before", mlpIn: "intermediate.dense",
      mlpOut: "output.dense", norm2: "layernorm_after")
  }

  /// - Parameters:
  ///   - from: what precedes the number of a block in the source's names.
  ///   - tower: in the canonical names.
  mutating func readBlocks(
    _ source: any TensorSource, _ from: String, _ names: BlockNames, to tower: String, layers: Int, width: Int,
    hidden: Int
  ) throws(WeightsError) {
    for i in 0..<layers {
      let (from, to) = ("\(from).\(i)", "\(tower).blocks.\(i)")
      let parts = names.queryKeyValue.map { "\(from).\($0)" }
      try set("\(to).qkv.weight", [3 * width, width], parts.map { ("\($0).weight", [width, width]) }, of: source)
      try set("\(to).qkv.bias", [3 * width], parts.map { ("\($0).bias", [width]) }, of: source)
      try copy(source, "\(from).\(names.attentionOut)", to: "\(to).attention_out", outputs: width, inputs: width)
      try norm(source, "\(from).\(names.norm1)", to: "\(to).norm1", width: width)
      try copy(source, "\(from).\(names.mlpIn)", to: "\(to).mlp_in", outputs: hidden, inputs: width)
      try copy(source, "\(from).\(names.mlpOut)", to: "\(to).mlp_out", outputs: width, inputs: hidden)
      try norm(source, "\(from).\(names.norm2)", to: "\(to).norm2", width: width)
    }
  }

  // MARK: Writing

  package func write(fp32 path: String) throws(WeightsError) {
    let parts = tensors.map { name, values in
      LazyTensors([TensorPlan(name, .f32, values.shape)]) { () throws(WeightsError) in
        [StoredTensor(name, shape: values.shape, .f32(try values.load()))]
      }
    }
    try write(parts, config, card: nil, to: path)
  }

  func write(_ parts: [LazyTensors], _ config: ModelConfig, card: String?, to path: String) throws(WeightsError) {
    var metadata = [
      "format": Model.format, "config": config.json(), "vocabulary": vocabulary, "origin": origin,
    ]
    if !merges.isEmpty { metadata["merges"] = merges }
    metadata["added_tokens"] = addedTokens.map(Model.json)
    if !decisions.isEmpty { metadata["decisions"] = decisions.joined(separator: "\n") }
    metadata["card"] = card
    try SafeTensors.write(parts, metadata: metadata, to: path)
  }
}
