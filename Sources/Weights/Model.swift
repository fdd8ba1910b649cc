import FTFFiles
import Foundation
import FTFKernels
import FTFTokenization

/// What an engine computes with: a config, a vocabulary, and tensors by their canonical names; read from a `.ftf` file (a
/// safetensors container whose metadata holds the config and the vocabulary), or a source on its way to one.
///
/// Linear and 1x1 weights are [outputs, inputs], as PyTorch saves them. `T` is a layer of this table.
///
/// | tensor | shape |
/// |---|---|
/// | of an `efficientnet_lite` tower | |
/// | `vision.stem.{weight,bias}` | [stem, 3, 3, 3], [stem] |
/// | `vision.blocks.I.{expand,project}.{weight,bias}` | [outputs, inputs], [outputs]; expand only where it is not 1 |
/// | `vision.blocks.I.depthwise.{weight,bias}` | [channels, kernel, kernel], [channels] |
/// | `vision.head.{weight,bias}` | [head, inputs], [head] |
/// | `vision.{projection,patch_projection}.{weight,bias}` | [dimension, head], [dimension] |
/// | `vision.detail_projection.{weight,bias}` | [dimension, cells * channels of the detail block]; where there is one |
/// | of a `vit` tower | |
/// | `vision.patch_embedding.{weight,bias}` | [width, 3 * patch * patch] in the order c, y, x; [width] |
/// | `vision.class_embedding`, `vision.position_embedding` | [width]; [1 + N, width], the class token first |
/// | `vision.{pre_norm,final_norm}.{weight,bias}` | [width]; the first may be missing |
/// | `vision.pooler.{weight,bias}` | [width, width], [width]; may be missing |
/// | `vision.projection.{weight,bias}` | [dimension, width], [dimension]; for patches too |
/// | of a text tower, and of `vit` with `vision` for `text` | |
/// | `text.token_embedding.weight` | [vocabulary, width] |
/// | `text.position_embedding` | [context, width], token type 0 added in |
/// | `text.embedding_norm.{weight,bias}` | [width], `bert` |
/// | `text.final_norm.{weight,bias}` | [width], `clip` |
/// | `text.blocks.I.qkv.{weight,bias}` | [3 width, width], [3 width]: queries, keys, values |
/// | `text.blocks.I.attention_out.{weight,bias}` | [width, width], [width] |
/// | `text.blocks.I.mlp_in.{weight,bias}` | [hidden, width], [hidden] |
/// | `text.blocks.I.mlp_out.{weight,bias}` | [width, hidden], [width] |
/// | `text.blocks.I.norm{1,2}.{weight,bias}` | [width] |
/// | `text.pooler.{weight,bias}` | [width, width], [width]; where the pooling is `pooler` |
/// | `text.{projection,word_projection}.{weight,bias}` | [dimension, width], [dimension]; one may serve both, |
/// | | and a tower of width = dimension may have none |
///
/// | of a tuned model | |
/// | `bank.{sentences,images}.weight` | [rows, dimension], I8: sentences and images like those to be asked and searched |
///
/// Batch norms are folded. In an int8 file a matrix `T.weight` is I8 with `T.weight_scale` F32, one a row; where `T.columns`
/// is there too, F32 [inputs], the matrix is scale * code * columns, and the input is multiplied by it before it is quantised.
package final class Model: Sendable {
  package let path: String
  package let config: ModelConfig
  /// Word pieces, one a line, in order of their ids.
  package let vocabulary: [String]
  /// Of byte-pair encoding: pairs of tokens, best first; empty for others.
  package let merges: [String]
  /// Tokens that are recognised as they are written; nil for those that its kind always has.
  package let addedTokens: [AddedToken]?
  package let weights: any ModelWeights
  /// What a file says beside its config: `origin`, and the `card` of a quantised model.
  package let metadata: [String: String]
  package var precision: Precision { config.precision! }
  /// Of what it computes, the tensors, the config and the tokenizer, and not of what is said of it; empty for a source.
  package let fingerprint: String

  package init(path: String) throws(WeightsError) {
    self.path = path
    let file = try SafeTensors(path: path)
    (weights, metadata) = (file, file.metadata)
    guard let json = metadata["config"], let words = metadata["vocabulary"] else {
      throw .notAModel(path: path)
    }
    guard [ModelConfig.format, Self.format].contains(file.metadata["format"]),
      file.metadata["format"] == ModelConfig.format || file.metadata[SafeTensors.checksumKey] != nil
    else { throw .malformed(path: path, reason: "its header is not what was written") }
    let data = file.dataChecksum
    guard file.isWhole(data: data) else {
      throw .malformed(path: path, reason: "its bytes are not those that were written (its checksum does not match)")
    }
    config = try ModelConfig(json: Data(json.utf8), path: path)
    fingerprint = Self.fingerprint(file, data: data)
    guard config.precision != nil else { throw .badConfig(path: path, reason: "the config does not say its precision") }
    merges = (metadata["merges"] ?? "").lines.map(String.init)
    vocabulary = try Self.lines(of: words, count: config.text.vocabulary, path: path)
    addedTokens = try Self.addedTokens(metadata, count: config.text.vocabulary, path)
  }

  /// A source, in fp32.
  package init(_ source: SourceModel) throws(WeightsError) {
    (path, config, metadata, fingerprint) = (source.path, source.config, [:], "")
    weights = SourceWeights(path: path, tensors: source.tensors)
    addedTokens = source.addedTokens
    merges = source.merges.lines.map(String.init)
    vocabulary = try Self.lines(of: source.vocabulary, count: config.text.vocabulary, path: path)
  }

  private static func fingerprint(_ file: SafeTensors, data: UInt32) -> String {
    // How scenes are cut changes no vector of a picture, and an index remembers how it cut its own.
    let config = (file.metadata["config"] ?? "").replacing(/"ground":[0-9.e+-]+,/, with: "")
    let said = [config] + ["vocabulary", "merges"].map { file.metadata[$0] ?? "" } + [file.metadata["added_tokens"]].compactMap { $0 }
    let table = file.tensors.sorted { $0.key < $1.key }.map { name, tensor in
      "\(name) \(tensor.dtype) \(tensor.shape) \(tensor.bytes.lowerBound - file.dataStart)"
    }
    let text = Array((said + table).joined(separator: "\0").utf8)
    return SafeTensors.hexadecimal(data) + SafeTensors.hexadecimal(KernelSet.checksum(text.span.memory))
  }

  /// What `format` in the metadata says of a file that has to have a checksum; without one it is `ModelConfig.format`.
  static let format = ModelConfig.format + "/2"

  static func json(_ tokens: [AddedToken]) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Encoding values of this type cannot fail.
    return String(decoding: try! encoder.encode(tokens), as: UTF8.self)
  }

  private static func addedTokens(
    _ metadata: [String: String], count: Int, _ path: String
  ) throws(WeightsError) -> [AddedToken]? {
    guard let json = metadata["added_tokens"] else { return nil }
    guard let tokens = try? JSONDecoder().decode([AddedToken].self, from: Data(json.utf8)),
      tokens.allSatisfy({ (0..<Int32(clamping: count)).contains($0.id) })
    else { throw .malformed(path: path, reason: "its added tokens are not those of its vocabulary") }
    return tokens
  }

  static func lines(of text: String, count: Int, path: String) throws(WeightsError) -> [String] {
    let lines = text.lines.map(String.init)
    guard lines.count == count else {
      throw .badConfig(path: path, reason: "the vocabulary has \(lines.count) words, the config asks for \(count)")
    }
    return lines
  }

  /// A matrix or kernel of the model, in whichever precision the file holds it.
  package func matrix(_ name: String, rows: Int, shape: [Int]) throws(WeightsError) -> StoredMatrix {
    if weights.isInt8("\(name).weight") {
      let codes = try weights.codes("\(name).weight", shape: shape)
      let scales = try weights.floats("\(name).weight_scale", shape: [rows])
      guard precision == .int8Weights else { return .int8(codes: codes, scales: scales) }
      let size = codes.count / max(rows, 1)
      let columns = try columns(name, count: size)
      return .fp32(codes.indices.map { scales[$0 / size] * Float(codes[$0]) * (columns?[$0 % size] ?? 1) })
    }
    return .fp32(try weights.floats("\(name).weight", shape: shape))
  }
}

extension Model {
  /// Writes the same weights with another config, to the same file or to another: whole, or not at all.
  ///
  /// - Parameter more: layers by name, in the place of those that have their names.
  package func write(
    _ config: ModelConfig, adding more: [String: RoundedLayer] = [:], to path: String
  ) throws(WeightsError) {
    let names = weights.names.filter { name in !more.keys.contains { name.hasPrefix("\($0).") } }
    var parts = names.map { [weights] name in
      let (shape, type) = (weights.shape(name)!, weights.isInt8(name) ? ElementType.i8 : .f32)
      return LazyTensors([TensorPlan(name, type, shape)]) { () throws(WeightsError) in
        let values: StoredTensor.Values =
          type == .i8 ? .i8(try weights.codes(name, shape: shape)) : .f32(try weights.floats(name, shape: shape))
        return [StoredTensor(name, shape: shape, values)]
      }
    }
    for (name, layer) in more {
      let rows = layer.scales.count
      let shape = [rows, layer.codes.count / rows]
      let plans = [TensorPlan("\(name).weight", .i8, shape), TensorPlan("\(name).weight_scale", .f32, [rows])]
      parts.append(
        LazyTensors(plans) { () throws(WeightsError) in
          [StoredTensor("\(name).weight", shape: shape, .i8(layer.codes)), StoredTensor("\(name).weight_scale", shape: [rows], .f32(layer.scales))]
        })
    }
    var metadata = metadata
    metadata["config"] = config.json()
    try SafeTensors.write(parts, metadata: metadata, to: path)
  }

  /// A bank of vectors, f32[rows, dimension].
  package func bank(_ name: String, rows: Int) throws(WeightsError) -> [Float] {
    let shape = [rows, config.dimension]
    let codes = try weights.codes("\(name).weight", shape: shape)
    let scales = try weights.floats("\(name).weight_scale", shape: [rows])
    return codes.indices.map { scales[$0 / config.dimension] * Float(codes[$0]) }
  }

  /// What the columns of a layer's input are multiplied by before they are quantised; nil where the file has none.
  package func columns(_ name: String, count: Int) throws(WeightsError) -> [Float]? {
    guard weights.shape("\(name).columns") != nil else { return nil }
    return try weights.floats("\(name).columns", shape: [count])
  }
}

/// The tensors of a model, of which some may be int8.
package protocol ModelWeights: TensorSource {
  func isInt8(_ name: String) -> Bool
  /// The tensor's int8 codes, all in [-127, 127].
  func codes(_ name: String, shape: [Int]) throws(WeightsError) -> [Int8]
}

extension SafeTensors: ModelWeights {
  package func isInt8(_ name: String) -> Bool { tensors[name]?.type == .i8 }
}

/// The canonical tensors of a source, read when they are asked for.
private struct SourceWeights: ModelWeights {
  let path: String
  let tensors: [String: SourceModel.Values]
  var names: Set<String> { Set(tensors.keys) }

  func shape(_ name: String) -> [Int]? { tensors[name]?.shape }
  func isInt8(_ name: String) -> Bool { false }

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    try check(name, shape: shape)
    return try tensors[name]!.load()
  }

  func codes(_ name: String, shape: [Int]) throws(WeightsError) -> [Int8] {
    throw .badType(path: path, tensor: name, expected: "I8", found: "F32")
  }
}

/// The values of a matrix as a file holds them.
package enum StoredMatrix: Sendable {
  case fp32([Float])
  /// value = scale of its row * code.
  case int8(codes: [Int8], scales: [Float])
}
