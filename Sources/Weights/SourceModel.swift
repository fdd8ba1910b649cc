import Foundation
import Kernels

/// A trained model as it comes (config.json, model.safetensors, vocab.txt), brought to the canonical names and shapes of
/// `ModelFile` with its batch norms folded, all in fp32.
package struct SourceModel: Sendable {
  package var config: ModelConfig
  /// Tokens in order of their ids, a line each.
  package var vocabulary: String
  /// Of byte-pair encoding: pairs, best first, a line each.
  package var merges = ""
  /// Where the weights come from, in a sentence; travels with the model.
  package var origin = ""
  /// What the source did not say and was decided; nil where it said everything.
  package var choice: Choice?
  /// By canonical name.
  package var tensors: [String: Values] = [:]

  package struct Values: Sendable {
    package var shape: [Int]
    package var floats: [Float]
  }

  /// Reads a model of this project, or a CLIP of `transformers`, open_clip or OpenAI.
  ///
  /// - Parameters:
  ///   - path: a folder with config.json, weights and the tokenizer's files, or a file of weights.
  ///   - tokenizer: a folder with the tokenizer's files, where the source has none.
  ///   - activation: `gelu` or `quickgelu`, where the source does not say it.
  package init(_ path: String, tokenizer: String? = nil, activation: String? = nil) throws(WeightsError) {
    let config = "\(path)/config.json"
    guard FileManager.default.fileExists(atPath: config) else {
      try self.init(openCLIP: SafeTensors.open(path), tokenizer: tokenizer, activation: activation)
      return
    }
    let json = try Self.read(config)
    let fields = (try? JSONSerialization.jsonObject(with: json)) as? [String: Any]
    switch fields?["model_type"] as? String {
    case nil: try self.init(own: path, config: json)
    case "clip": try self.init(clip: path, tokenizer: tokenizer ?? path, config: json)
    case let type?:
      throw .badConfig(path: config, reason: "models of type '\(type)' are not read; clip and this project's own are")
    }
  }

  static func read(_ path: String) throws(WeightsError) -> Data {
    do {
      return try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw .unreadable(
        path: path, reason: "a model is a folder with config.json, model.safetensors and its tokenizer's files")
    }
  }

  /// This project's own: the vocabulary is vocab.txt.
  private init(own directory: String, config json: Data) throws(WeightsError) {
    let path = "\(directory)/config.json"
    config = try ModelConfig(json: json, path: path)
    config.precision = .fp32
    config.activations = nil
    vocabulary = String(decoding: try Self.read("\(directory)/vocab.txt"), as: UTF8.self)
    _ = try ModelFile.lines(of: vocabulary, count: config.text.vocabulary, path: "\(directory)/vocab.txt")
    guard case .efficientNetLite(let vision) = config.vision, config.text.architecture == "bert" else {
      throw .badConfig(path: path, reason: "this format holds an efficientnet_lite and a bert tower")
    }
    let source = try SafeTensors.open(directory)
    try readVision(source, vision)
    try readText(source)
  }

  mutating func set(_ name: String, _ shape: [Int], _ floats: [Float]) {
    tensors[name] = Values(shape: shape, floats: floats)
  }

  mutating func copy(
    _ source: any TensorSource, _ from: String, to name: String, outputs: Int, inputs: Int
  ) throws(WeightsError) {
    set("\(name).weight", [outputs, inputs], try source.floats("\(from).weight", shape: [outputs, inputs]))
    set("\(name).bias", [outputs], try source.floats("\(from).bias", shape: [outputs]))
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
  }

  // MARK: Text

  mutating func readText(_ source: any TensorSource, projected: Bool = true) throws(WeightsError) {
    let text = config.text
    let width = text.width
    let words = try source.floats("text.embeddings.word_embeddings.weight", shape: [text.vocabulary, width])
    set("text.token_embedding.weight", [text.vocabulary, width], words)
    var positions = try source.floats("text.embeddings.position_embeddings.weight", shape: [text.positions, width])
    let types = try source.floats("text.embeddings.token_type_embeddings.weight", shape: [2, width])
    positions.removeLast((text.positions - text.contextLength) * width)
    for i in positions.indices { positions[i] += types[i % width] }
    set("text.position_embedding", [text.contextLength, width], positions)
    try norm(source, "text.embeddings.LayerNorm", to: "text.embedding_norm", width: width)
    for i in 0..<text.layers {
      let (from, to) = ("text.encoder.layer.\(i)", "text.blocks.\(i)")
      var weight: [Float] = []
      var bias: [Float] = []
      for part in ["query", "key", "value"] {
        weight += try source.floats("\(from).attention.self.\(part).weight", shape: [width, width])
        bias += try source.floats("\(from).attention.self.\(part).bias", shape: [width])
      }
      set("\(to).qkv.weight", [3 * width, width], weight)
      set("\(to).qkv.bias", [3 * width], bias)
      try copy(source, "\(from).attention.output.dense", to: "\(to).attention_out", outputs: width, inputs: width)
      try norm(source, "\(from).attention.output.LayerNorm", to: "\(to).norm1", width: width)
      try copy(source, "\(from).intermediate.dense", to: "\(to).mlp_in", outputs: text.hidden, inputs: width)
      try copy(source, "\(from).output.dense", to: "\(to).mlp_out", outputs: width, inputs: text.hidden)
      try norm(source, "\(from).output.LayerNorm", to: "\(to).norm2", width: width)
    }
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

  // MARK: Writing

  package func write(fp32 path: String) throws(WeightsError) {
    try write(
      tensors.map { StoredTensor($0.key, shape: $0.value.shape, .f32($0.value.floats)) }, config, card: nil, to: path)
  }

  func write(_ stored: [StoredTensor], _ config: ModelConfig, card: String?, to path: String) throws(WeightsError) {
    var metadata = [
      "format": ModelConfig.format, "config": config.json(), "vocabulary": vocabulary, "merges": merges,
      "origin": origin,
    ]
    metadata["card"] = card
    try SafeTensors.write(stored, metadata: metadata, to: path)
  }
}
