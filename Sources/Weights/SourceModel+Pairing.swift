import Foundation

/// What `transformers` and sentence-transformers write for a BERT.
struct BERTSource: Decodable {
  var hidden_size: Int
  var intermediate_size: Int
  var num_hidden_layers: Int
  var num_attention_heads: Int
  var hidden_act: String?
  var layer_norm_eps: Float?
  var vocab_size: Int
  var max_position_embeddings: Int
  var position_embedding_type: String?

  struct Pooling: Decodable {
    var pooling_mode_cls_token: Bool?
    var pooling_mode_mean_tokens: Bool?
  }
  /// Of modules.json.
  struct Module: Decodable { var type: String }
  struct Sentences: Decodable { var max_seq_length: Int? }
  struct Tokenizer: Decodable { var do_lower_case: Bool? }
}

extension SourceModel {
  /// This model's image tower with another's text tower; both must end in vectors of one length.
  ///
  /// - Parameter path: a model that `init` reads, or a BERT or sentence-transformers folder (mean or [CLS] pooling).
  package func withText(from path: String, _ options: Options = Options()) throws(WeightsError) -> SourceModel {
    var result = self
    result.tensors = tensors.filter { $0.key.hasPrefix("vision.") }
    let config = "\(path)/config.json"
    let fields = try? JSONSerialization.jsonObject(with: Self.read(config)) as? [String: Any]
    let dimension: Int
    if fields?["model_type"] as? String == "bert" {
      let bert: BERTSource = try Self.decode(Self.read(config), config)
      try result.readSentences(path, bert)
      dimension = bert.hidden_size
    } else {
      let other = try SourceModel(path, options)
      for (name, values) in other.tensors where name.hasPrefix("text.") { result.tensors[name] = values }
      (result.config.text, result.vocabulary, result.merges) = (other.config.text, other.vocabulary, other.merges)
      result.unused.formIntersection(other.unused)
      result.decisions += other.decisions.filter { !result.decisions.contains($0) }
      dimension = other.config.dimension
    }
    guard dimension == result.config.dimension else {
      throw .badConfig(
        path: path,
        reason:
          "its sentences have \(dimension) dimensions, the images of \(result.config.name) \(result.config.dimension): they cannot be compared"
      )
    }
    return result
  }

  private static func optional<T: Decodable>(_ path: String, _ type: T.Type) -> T? {
    (try? read(path)).flatMap { try? JSONDecoder().decode(T.self, from: $0) }
  }

  /// Takes the text tower from a BERT or sentence-transformers folder.
  private mutating func readSentences(_ folder: String, _ bert: BERTSource) throws(WeightsError) {
    // What follows the pooling, such as a Dense layer, makes other vectors.
    for module in Self.optional("\(folder)/modules.json", [BERTSource.Module].self) ?? [] {
      let kind = module.type.split(separator: ".").last ?? ""
      guard ["Transformer", "Pooling", "Normalize"].contains(kind) else {
        throw .badConfig(path: "\(folder)/modules.json", reason: "it has a module \(kind), which is not computed")
      }
    }
    let place = "\(folder)/1_Pooling/config.json"
    let pooling = Self.optional(place, BERTSource.Pooling.self)
    let isClass = pooling?.pooling_mode_cls_token == true
    guard pooling?.pooling_mode_mean_tokens ?? true || isClass else {
      throw .badConfig(path: place, reason: "only mean and [CLS] pooling are computed")
    }
    let limit = Self.optional("\(folder)/sentence_bert_config.json", BERTSource.Sentences.self)?.max_seq_length
    let base = try SafeTensors.open(folder)
    let prefix = base.names.contains { $0.hasPrefix("bert.") } ? "bert." : ""
    try readBERT(
      folder, bert, "\(folder)/config.json", context: limit, pooling: isClass ? "class" : "mean",
      tensors: RenamedTensors(base: base) { prefix + $0.dropFirst("text.".count) })
  }

  /// A BERT without its pooler and projections.
  ///
  /// - Parameters:
  ///   - path: of its config, for errors.
  ///   - context: the longest input where it is not all positions.
  mutating func readBERT(
    _ folder: String, _ bert: BERTSource, _ path: String, context: Int?, pooling: String, tensors: any TensorSource
  ) throws(WeightsError) {
    guard bert.hidden_act ?? "gelu" == "gelu", bert.position_embedding_type ?? "absolute" == "absolute" else {
      throw .badConfig(path: path, reason: "only BERTs with gelu and absolute positions are computed")
    }
    let positions = bert.max_position_embeddings
    config.text = TextConfig(
      architecture: "bert", layers: bert.num_hidden_layers, width: bert.hidden_size, heads: bert.num_attention_heads,
      hidden: bert.intermediate_size, activation: "gelu", normEpsilon: bert.layer_norm_eps ?? 1e-12,
      vocabulary: bert.vocab_size, positions: positions, contextLength: min(context ?? positions, positions),
      pooling: pooling, lowercase: true)
    if let reason = config.contradiction { throw .badConfig(path: path, reason: "the config \(reason)") }
    (vocabulary, config.text.lowercase) = try Self.pieces(folder, count: bert.vocab_size)
    merges = ""
    try readText(tensors, projected: false)
  }

  /// Word pieces in order of their ids, a line each, and whether sentences are lowercased: from vocab.txt and
  /// tokenizer_config.json, or from tokenizer.json.
  private static func pieces(_ folder: String, count: Int) throws(WeightsError) -> (String, Bool) {
    var path = "\(folder)/vocab.txt"
    let isLower = optional("\(folder)/tokenizer_config.json", BERTSource.Tokenizer.self)?.do_lower_case
    if FileManager.default.fileExists(atPath: path) {
      let text = String(decoding: try read(path), as: UTF8.self)
      _ = try Model.lines(of: text, count: count, path: path)
      return (text, isLower ?? true)
    }
    path = "\(folder)/tokenizer.json"
    let whole = try? JSONSerialization.jsonObject(with: read(path)) as? [String: Any]
    guard let model = whole?["model"] as? [String: Any], model["type"] as? String == "WordPiece",
      let ids = model["vocab"] as? [String: Int]
    else { throw .badConfig(path: path, reason: "it holds no WordPiece vocabulary; give vocab.txt, or tokenizer.json") }
    let normalizer = whole?["normalizer"] as? [String: Any]
    return (try lines(of: ids, count: count, path: path), normalizer?["lowercase"] as? Bool ?? isLower ?? true)
  }
}
