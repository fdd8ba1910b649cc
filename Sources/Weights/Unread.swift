import Foundation
import Synchronization

/// Tensors that remember which of them were taken: what is left of a tower at the end would have made another model of it.
final class WatchedTensors: TensorSource {
  private let base: any TensorSource
  private let taken = Mutex<Set<String>>([])

  init(_ base: any TensorSource) { self.base = base }

  var path: String { base.path }
  var names: Set<String> { base.names }
  var isTorchScript: Bool { base.isTorchScript }
  var decisions: [String] { base.decisions }

  func shape(_ name: String) -> [Int]? { base.shape(name) }
  func take(_ name: String) { taken.withLock { _ = $0.insert(name) } }
  func check(_ name: String, shape: [Int]) throws(WeightsError) {
    take(name)
    try base.check(name, shape: shape)
  }
  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    take(name)
    return try base.floats(name, shape: shape)
  }

  /// Ends of names that change no vector: counts of batches, positions that are counted anyway, the temperature of the training, BERT's
  /// pooler where nothing asks for it, and what TorchScript keeps as numbers.
  private static let idle = [
    "position_ids", "num_batches_tracked", "logit_scale", "logit_bias", "attn_mask", "pooler.dense.weight", "pooler.dense.bias",
    "input_resolution", "context_length", "vocab_size",
  ]

  /// Throws where a tensor of a tower was not taken, by its name.
  ///
  /// - Parameters:
  ///   - towers: what the names of their tensors begin with.
  ///   - ignored: what the user leaves out: names, or beginnings of names.
  /// - Returns: what was left out as asked for, for the user to see.
  func requireTaken(_ towers: [String], ignored: [String]) throws(WeightsError) -> [String] {
    let taken = taken.withLock { $0 }
    let left = names.subtracting(taken).filter { name in
      let isOfTower = towers.contains { name.hasPrefix($0) } || name.contains("lora_")
      return isOfTower && !Self.idle.contains { name == $0 || name.hasSuffix("." + $0) }
    }
    let meant = left.filter { name in ignored.contains { name.hasPrefix($0) || name.contains(".\($0)") } }
    let unread = left.subtracting(meant).sorted()
    guard unread.isEmpty else { throw .unread(path: path, what: "tensors", names: unread) }
    return meant.isEmpty
      ? [] : ["ignored: \(meant.count) tensors, \(meant.sorted().prefix(3).joined(separator: ", "))" + (meant.count > 3 ? ", ..." : "")]
  }
}

extension SourceModel {
  /// Keys of a config of `transformers` that change no vector of an encoder.
  private static let idleKeys: Set<String> = [
    "_attn_implementation_autoset", "_name_or_path", "architectures", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation",
    "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout", "cross_attention_hidden_size",
    "decoder_start_token_id", "diversity_penalty", "do_sample", "dropout", "dtype", "early_stopping", "encoder_no_repeat_ngram_size",
    "encoder_stride", "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "gradient_checkpointing", "hidden_dropout_prob", "id2label", "initializer_factor", "initializer_range", "is_composition",
    "is_encoder_decoder", "label2id", "length_penalty", "logit_scale_init_value", "max_length", "min_length", "model_type",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores",
    "pad_token_id", "pooler_output_size", "prefix", "problem_type", "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict",
    "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss", "tie_encoder_decoder",
    "tie_word_embeddings", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version", "typical_p",
    "use_bfloat16", "use_cache", "vision_config_dict", "text_config_dict", "vision_config", "text_config",
  ]
  /// Those that have one value which is computed.
  private static let fixed: [String: [String]] = [
    "is_decoder": ["0"], "add_cross_attention": ["0"], "pooler_act": ["tanh"], "num_channels": ["3"], "qkv_bias": ["1"],
    "type_vocab_size": ["2"], "position_embedding_type": ["absolute"],
  ]

  /// Throws where a config of `transformers` holds a key that is neither computed nor known not to matter, by its name.
  ///
  /// - Parameters:
  ///   - computed: the keys that are read.
  ///   - ignored: what the user leaves out.
  static func checkKeys(_ fields: [String: Any], of part: String, computed: Set<String>, ignored: [String], _ path: String) throws(WeightsError) {
    var unknown: [String] = []
    for (key, value) in fields where !computed.contains(key) && !idleKeys.contains(key) && !ignored.contains(key) {
      // What is off or not said is no other computation.
      if value is NSNull || (value as? Bool) == false && fixed[key] == nil { continue }
      if let list = value as? [Any], list.isEmpty { continue }
      if let map = value as? [String: Any], map.isEmpty { continue }
      guard let allowed = fixed[key] else {
        unknown.append(part.isEmpty ? key : "\(part).\(key)")
        continue
      }
      let found = (value as? NSNumber).map { "\($0.intValue)" } ?? "\(value)"
      guard allowed.contains(found) else {
        throw .badConfig(path: path, reason: "its \(part.isEmpty ? key : "\(part).\(key)") is '\(value)'; \(allowed[0]) is computed")
      }
    }
    guard unknown.isEmpty else { throw .unread(path: path, what: "keys", names: unknown.sorted()) }
  }

  /// Earlier versions of `transformers` write a part twice, and let the copy win: one that says something else is another model.
  static func checkCopies(_ fields: [String: Any], _ path: String) throws(WeightsError) {
    for part in ["text_config", "vision_config"] {
      guard let copy = fields["\(part)_dict"] as? [String: Any], let own = fields[part] as? [String: Any] else { continue }
      for (key, value) in copy.sorted(by: { $0.key < $1.key }) where !idleKeys.contains(key) && !(value is NSNull) {
        guard let said = own[key], "\(said)" != "\(value)" else { continue }
        throw .badConfig(path: path, reason: "its \(part) says \(key) '\(said)' and its \(part)_dict '\(value)'; one of them is wrong")
      }
    }
  }

  /// An adapter beside the weights would be left out.
  static func checkAdapters(_ folder: String, ignored: [String]) throws(WeightsError) {
    for name in ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"] where !ignored.contains(name) {
      guard FileManager.default.fileExists(atPath: "\(folder)/\(name)") else { continue }
      throw .unread(path: folder, what: "files", names: ["\(name) (an adapter of PEFT, to be merged into the weights first)"])
    }
  }
}
