import Foundation

/// What `transformers` and sentence-transformers write for a BERT.
private struct BERTSource: Decodable {
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
  struct Sentences: Decodable { var max_seq_length: Int? }
  struct Tokenizer: Decodable { var do_lower_case: Bool? }
}

extension SourceModel {
  /// This model's image tower with another's text tower; both must end in vectors of one length.
  ///
  /// - Parameter path: a model that `init` reads, or a BERT or sentence-transformers folder (mean or [CLS] pooling).
  package func withText(from path: String, tokenizer: String? = nil, activation: String? = nil) throws(WeightsError)
    -> SourceModel
  {
    var result = self
    result.tensors = tensors.filter { $0.key.hasPrefix("vision.") }
    let config = "\(path)/config.json"
    let fields = try? JSONSerialization.jsonObject(with: Self.read(config)) as? [String: Any]
    let dimension: Int
    if fields?["model_type"] as? String == "bert" {
      dimension = try result.readBERT(path)
    } else {
      let other = try SourceModel(path, tokenizer: tokenizer, activation: activation)
      for (name, values) in other.tensors where name.hasPrefix("text.") { result.tensors[name] = values }
      (result.config.text, result.vocabulary, result.merges) = (other.config.text, other.vocabulary, other.merges)
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

  private func optional<T: Decodable>(_ path: String, _ type: T.Type) -> T? {
    (try? Self.read(path)).flatMap { try? JSONDecoder().decode(T.self, from: $0) }
  }

  /// Takes the text tower from a BERT folder; returns the length of its vectors.
  private mutating func readBERT(_ folder: String) throws(WeightsError) -> Int {
    let path = "\(folder)/config.json"
    let bert: BERTSource
    do {
      bert = try JSONDecoder().decode(BERTSource.self, from: Self.read(path))
    } catch let error as WeightsError {
      throw error
    } catch {
      throw .badConfig(path: path, reason: "it cannot be read as a BERT config: \(error)")
    }
    guard bert.hidden_act ?? "gelu" == "gelu", bert.position_embedding_type ?? "absolute" == "absolute" else {
      throw .badConfig(path: path, reason: "only BERTs with gelu and absolute positions are computed")
    }
    let pooling = optional("\(folder)/1_Pooling/config.json", BERTSource.Pooling.self)
    let limit = optional("\(folder)/sentence_bert_config.json", BERTSource.Sentences.self)?.max_seq_length
    let isLower = optional("\(folder)/tokenizer_config.json", BERTSource.Tokenizer.self)?.do_lower_case ?? true
    config.text = TextConfig(
      architecture: "bert", layers: bert.num_hidden_layers, width: bert.hidden_size, heads: bert.num_attention_heads,
      hidden: bert.intermediate_size, activation: "gelu", normEpsilon: bert.layer_norm_eps ?? 1e-12,
      vocabulary: bert.vocab_size, positions: bert.max_position_embeddings,
      contextLength: min(limit ?? bert.max_position_embeddings, bert.max_position_embeddings),
      pooling: pooling?.pooling_mode_cls_token == true ? "class" : "mean", lowercase: isLower)
    if let reason = config.contradiction { throw .badConfig(path: path, reason: "the config \(reason)") }
    guard pooling?.pooling_mode_mean_tokens ?? true || config.text.pooling == "class" else {
      throw .badConfig(path: "\(folder)/1_Pooling/config.json", reason: "only mean and [CLS] pooling are computed")
    }
    vocabulary = String(decoding: try Self.read("\(folder)/vocab.txt"), as: UTF8.self)
    _ = try Model.lines(of: vocabulary, count: bert.vocab_size, path: "\(folder)/vocab.txt")
    merges = ""
    try readText(SentenceNames(base: SafeTensors.open(folder)), projected: false)
    return bert.hidden_size
  }
}

/// A BERT's tensors under the names of this project's sources: `text.` before them, and no `bert.`.
private struct SentenceNames: TensorSource {
  let base: any TensorSource
  var path: String { base.path }
  var names: Set<String> { base.names }

  private func inner(_ name: String) -> String {
    let plain = String(name.dropFirst("text.".count))
    return base.names.contains("bert.\(plain)") ? "bert.\(plain)" : plain
  }

  func shape(_ name: String) -> [Int]? { base.shape(inner(name)) }
  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    try base.floats(inner(name), shape: shape)
  }
}
