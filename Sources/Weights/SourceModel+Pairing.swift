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

  static let keys: Set<String> = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps", "vocab_size",
    "max_position_embeddings", "eos_token_id",
  ]

  /// Of modules.json.
  struct Module: Decodable {
    var type: String
    var path: String?
  }
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
      try Self.checkKeys(fields ?? [:], of: "", computed: BERTSource.keys, ignored: options.ignored, config)
      try Self.checkAdapters(path, ignored: options.ignored)
      try result.readSentences(path, bert, ignored: options.ignored)
      dimension = bert.hidden_size
    } else {
      let other = try SourceModel(path, options)
      for (name, values) in other.tensors where name.hasPrefix("text.") { result.tensors[name] = values }
      (result.config.text, result.vocabulary, result.merges) = (other.config.text, other.vocabulary, other.merges)
      result.addedTokens = other.addedTokens
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

  /// Takes the text tower from a BERT or sentence-transformers folder.
  private mutating func readSentences(_ folder: String, _ bert: BERTSource, ignored: [String]) throws(WeightsError) {
    let pooling = try Self.pooling(folder)
    let said = try Self.object("\(folder)/sentence_bert_config.json")
    let prompts = "\(folder)/config_sentence_transformers.json"
    if let prompt = try Self.object(prompts)?["default_prompt_name"] as? String {
      throw .badConfig(path: prompts, reason: "it puts the prompt '\(prompt)' before every text, which is not computed")
    }
    let base = WatchedTensors(try SafeTensors.open(folder))
    decisions += base.decisions
    try readBERT(
      folder, bert, "\(folder)/config.json", context: said?["max_seq_length"] as? Int, pooling: pooling,
      tensors: RenamedTensors(base: base) { String($0.dropFirst("text.".count)) })
    decisions += try base.requireTaken(["embeddings.", "encoder."], ignored: ignored)
    if said?["do_lower_case"] as? Bool == true, !config.text.lowercase {
      throw .badConfig(
        path: "\(folder)/sentence_bert_config.json", reason: "its do_lower_case is true and its tokenizer's is not")
    }
  }

  /// How the tokens of a sentence become one vector, by what the modules say; the mean for a plain BERT, as sentence-transformers
  /// takes one.
  private static func pooling(_ folder: String) throws(WeightsError) -> String {
    let list = "\(folder)/modules.json"
    guard FileManager.default.fileExists(atPath: list) else { return try pooling(of: "\(folder)/1_Pooling/config.json") }
    var pooling = "mean"
    for module in try decode(read(list), list) as [BERTSource.Module] {
      switch module.type.split(separator: ".").last ?? "" {
      case "Transformer", "Normalize": continue
      case "Pooling": pooling = try Self.pooling(of: "\(folder)/\(module.path ?? "1_Pooling")/config.json")
      // What follows the pooling, such as a Dense layer, makes other vectors.
      case let kind: throw .badConfig(path: list, reason: "it has a module \(kind), which is not computed")
      }
    }
    return pooling
  }

  /// Earlier versions of sentence-transformers have a field `pooling_mode_<kind>` for each kind, later ones `pooling_mode`.
  private static func pooling(of path: String) throws(WeightsError) -> String {
    guard let fields = try object(path) else { return "mean" }
    var modes: Set<String> = []
    for (key, value) in fields {
      switch (key, value) {
      case ("word_embedding_dimension", _), ("embedding_dimension", _), ("include_prompt", _): continue
      case ("pooling_mode", let mode as String): modes.insert(mode)
      case ("pooling_mode", let list as [String]): modes.formUnion(list)
      case ("pooling_mode_cls_token", let isOn as Bool): if isOn { modes.insert("cls") }
      case ("pooling_mode_mean_tokens", let isOn as Bool): if isOn { modes.insert("mean") }
      case (_, false as Bool): continue
      default: throw .badConfig(path: path, reason: "it has \(key) '\(value)', which is not computed; the mean and [CLS] are")
      }
    }
    switch modes {
    case ["cls"]: return "class"
    case ["mean"], []: return "mean"
    default:
      throw .badConfig(
        path: path, reason: "it pools by \(modes.sorted().joined(separator: " and ")); the mean or [CLS] alone are computed")
    }
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
    take(try TokenizerSource(wordPieces: folder, count: bert.vocab_size))
    try readText(tensors, projected: false)
  }
}
