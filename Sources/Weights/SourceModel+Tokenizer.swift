import FTFFiles
import Foundation
import FTFKernels
import FTFTokenization

/// A tokenizer as `transformers` or open_clip save it. What its files say is computed, or refused by name: a tokenizer that differs
/// in one rule gives other vectors and no error.
struct TokenizerSource {
  /// Tokens in order of their ids, a line each.
  var vocabulary: String
  /// Of byte-pair encoding: pairs, best first, a line each.
  var merges = ""
  var lowercase = true
  /// Nil for those that its kind always has.
  var added: [AddedToken]?

  // MARK: BERT's word pieces

  /// - Parameter count: of the embedding table.
  init(wordPieces folder: String, count: Int) throws(WeightsError) {
    let path = "\(folder)/tokenizer.json"
    let whole = try SourceModel.object(path)
    let said = try SourceModel.object("\(folder)/tokenizer_config.json")
    if let whole { try Self.checkWordPiece(whole, path) }
    added = try Self.added(folder, whole, said, usual: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    let normalizer = whole?["normalizer"] as? [String: Any]
    lowercase = said?["do_lower_case"] as? Bool ?? normalizer?["lowercase"] as? Bool ?? true
    for (file, fields, chinese) in [(path, normalizer, "handle_chinese_chars"), ("\(folder)/tokenizer_config.json", said, "tokenize_chinese_chars")] {
      if let strips = fields?["strip_accents"] as? Bool, strips != lowercase {
        throw .badConfig(path: file, reason: "its strip_accents is \(strips), which is not computed")
      }
      if fields?[chinese] as? Bool == false { throw .badConfig(path: file, reason: "its \(chinese) is false, which is not computed") }
    }
    let words = "\(folder)/vocab.txt"
    if FileManager.default.fileExists(atPath: words) {
      var lines = try SourceModel.text(words).lines.map(String.init)
      for token in (added ?? []).sorted(by: { $0.id < $1.id }) where Int(token.id) == lines.count { lines.append(token.content) }
      // Tables are padded to rows that suit a machine; nothing has those.
      if count % 8 == 0, (1..<512).contains(count - lines.count) { lines += [String](repeating: "", count: count - lines.count) }
      vocabulary = lines.joined(separator: "\n") + "\n"
      _ = try Model.lines(of: vocabulary, count: count, path: words)
    } else {
      guard let ids = (whole?["model"] as? [String: Any])?["vocab"] as? [String: Int] else {
        throw .badConfig(path: path, reason: "it holds no WordPiece vocabulary; give vocab.txt, or tokenizer.json")
      }
      vocabulary = try Self.lines(of: ids, added, count: count, path: path)
    }
  }

  private static func checkWordPiece(_ whole: [String: Any], _ path: String) throws(WeightsError) {
    try expect(
      whole["model"], ["type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100], of: "model",
      path)
    try expect(whole["normalizer"], ["type": "BertNormalizer", "clean_text": true], of: "normalizer", path)
    try expect(whole["pre_tokenizer"], ["type": "BertPreTokenizer"], of: "pre_tokenizer", path)
    try checkFrame(whole["post_processor"], "[CLS]", "[SEP]", path)
  }

  // MARK: CLIP's byte pairs

  init(bytePairs folder: String, count: Int) throws(WeightsError) {
    let path = "\(folder)/tokenizer.json"
    let whole = try SourceModel.object(path)
    if let whole { try Self.checkBytePairs(whole, path) }
    let usual = ["<|startoftext|>", "<|endoftext|>"]
    added = try Self.added(folder, whole, SourceModel.object("\(folder)/tokenizer_config.json"), usual: usual)
    // The two may stand there alone and not in the vocabulary.
    let beside = try SourceModel.object("\(folder)/added_tokens.json") as? [String: Int] ?? [:]
    let named = (added ?? []) + usual.compactMap { name in beside[name].map { AddedToken(id: Int32(clamping: $0), content: name) } }
    let separate = "\(folder)/vocab.json"
    if FileManager.default.fileExists(atPath: separate) {
      let ids: [String: Int] = try SourceModel.decode(SourceModel.read(separate), separate)
      vocabulary = try Self.lines(of: ids, named, count: count, path: separate)
      merges = try SourceModel.text("\(folder)/merges.txt").lines
        .filter { !$0.hasPrefix("#version") && !$0.allSatisfy(\.isWhitespace) }.joined(separator: "\n")
      return
    }
    guard let model = whole?["model"] as? [String: Any], let ids = model["vocab"] as? [String: Int] else {
      throw .badConfig(
        path: path, reason: "it holds no BPE vocabulary; give vocab.json and merges.txt, or tokenizer.json")
    }
    vocabulary = try Self.lines(of: ids, named, count: count, path: path)
    let pairs = (model["merges"] as? [String]) ?? (model["merges"] as? [[String]])?.map { $0.joined(separator: " ") }
    guard let pairs else { throw .badConfig(path: path, reason: "its merges are no list of pairs") }
    merges = pairs.joined(separator: "\n")
  }

  private static let words = #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#

  private static func checkBytePairs(_ whole: [String: Any], _ path: String) throws(WeightsError) {
    try expect(
      whole["model"],
      [
        "type": "BPE", "end_of_word_suffix": "</w>", "continuing_subword_prefix": "", "fuse_unk": false,
        "byte_fallback": false, "ignore_merges": false,
      ], of: "model", path)
    if let dropout = (whole["model"] as? [String: Any])?["dropout"], !(dropout is NSNull), (dropout as? Double) != 0 {
      throw .badConfig(path: path, reason: "its model has dropout, which is not computed")
    }
    let steps = (whole["normalizer"] as? [String: Any])?["normalizers"] as? [[String: Any]] ?? []
    guard steps.map({ $0["type"] as? String ?? "" }) == ["NFC", "Replace", "Lowercase"], steps[1]["content"] as? String == " ",
      (steps[1]["pattern"] as? [String: Any])?["Regex"] as? String == #"\s+"#
    else { throw .badConfig(path: path, reason: "its normalizer is not CLIP's (NFC, white space to one space, lowercase)") }
    let cuts = (whole["pre_tokenizer"] as? [String: Any])?["pretokenizers"] as? [[String: Any]] ?? []
    let pattern = (cuts.first?["pattern"] as? [String: Any])?["Regex"] as? String ?? ""
    guard cuts.map({ $0["type"] as? String ?? "" }) == ["Split", "ByteLevel"],
      [words, #"<\|startoftext\|>|<\|endoftext\|>|"# + words].contains(pattern), cuts[1]["add_prefix_space"] as? Bool == false
    else { throw .badConfig(path: path, reason: "its pre_tokenizer does not cut words as CLIP's does") }
    try checkFrame(whole["post_processor"], "<|startoftext|>", "<|endoftext|>", path)
  }

  // MARK: Parts of tokenizer.json

  /// What is there has to be what is computed; what is left out is the library's default, which is the same.
  private static func expect(
    _ part: Any?, _ expected: [String: any Equatable], of name: String, _ path: String
  ) throws(WeightsError) {
    guard let part = part as? [String: Any] else { throw .badConfig(path: path, reason: "it has no \(name)") }
    for (key, value) in expected.sorted(by: { $0.key > $1.key }) {
      guard let found = part[key], !(found is NSNull) else { continue }
      let isSame =
        switch value {
        case let value as Bool: found as? Bool == value
        case let value as Int: found as? Int == value
        default: found as? String == value as? String
        }
      guard isSame else {
        throw .badConfig(path: path, reason: "its \(name) has \(key) '\(found)', where '\(value)' is computed")
      }
    }
  }

  /// A sentence has to be put between one token before and one after.
  private static func checkFrame(_ part: Any?, _ start: String, _ end: String, _ path: String) throws(WeightsError) {
    let part = part as? [String: Any] ?? [:]
    func name(_ field: Any?) -> String? { (field as? [Any])?.first as? String }
    func pieces(_ template: Any?) -> [String] {
      (template as? [[String: [String: Any]]] ?? []).flatMap(\.values).map { $0["id"] as? String ?? "" }
    }
    let isFramed =
      switch part["type"] as? String {
      case "TemplateProcessing": pieces(part["single"]) == [start, "A", end]
      case "BertProcessing", "RobertaProcessing": name(part["cls"]) == start && name(part["sep"]) == end
      default: false
      }
    guard isFramed else { throw .badConfig(path: path, reason: "its post_processor does not put \(start) and \(end) around a text") }
  }

  private static func added(
    _ folder: String, _ whole: [String: Any]?, _ config: [String: Any]?, usual: [String]
  ) throws(WeightsError) -> [AddedToken]? {
    var list = whole?["added_tokens"] as? [[String: Any]]
    var path = "\(folder)/tokenizer.json"
    if list == nil, let decoder = config?["added_tokens_decoder"] as? [String: [String: Any]] {
      path = "\(folder)/tokenizer_config.json"
      list = decoder.map { id, fields in fields.merging(["id": Int(id) ?? -1]) { $1 } }
    }
    if list == nil, let ids = try SourceModel.object("\(folder)/added_tokens.json") {
      path = "\(folder)/added_tokens.json"
      list = ids.map { ["content": $0, "id": $1] }
      // This file has only what was added to the usual ones, whose ids the vocabulary gives.
      if list?.allSatisfy({ usual.contains($0["content"] as? String ?? "") }) == true { return nil }
    }
    guard let list else { return nil }
    var tokens: [AddedToken] = []
    for fields in list {
      guard let content = fields["content"] as? String, !content.isEmpty, let id = fields["id"] as? Int,
        (0..<1 << 24).contains(id)
      else { throw .badConfig(path: path, reason: "it has an added token without content or id") }
      func flag(_ name: String) -> Bool { fields[name] as? Bool ?? false }
      tokens.append(
        AddedToken(
          id: Int32(id), content: content, normalized: flag("normalized"), singleWord: flag("single_word"),
          lstrip: flag("lstrip"), rstrip: flag("rstrip")))
    }
    let isUsual = tokens.allSatisfy {
      usual.contains($0.content) && $0 == AddedToken(id: $0.id, content: $0.content)
    }
    return isUsual && tokens.count == usual.count ? nil : tokens.sorted { $0.id < $1.id }
  }

  /// Tokens in order of their ids, a line each.
  private static func lines(
    of ids: [String: Int], _ added: [AddedToken]?, count: Int, path: String
  ) throws(WeightsError) -> String {
    var tokens = [String](repeating: "", count: count)
    let all = ids.map { ($0.key, $0.value) } + (added ?? []).map { ($0.content, Int($0.id)) }
    for (token, id) in all {
      guard (0..<count).contains(id), !token.utf8.contains(where: { $0 == 10 || $0 == 13 }) else {
        throw .badConfig(path: path, reason: "token '\(token)' has the id \(id) in a vocabulary of \(count)")
      }
      tokens[id] = token
    }
    return tokens.joined(separator: "\n") + "\n"
  }
}

extension SourceModel {
  /// Takes a tokenizer for its own.
  mutating func take(_ tokenizer: TokenizerSource) {
    (vocabulary, merges, addedTokens) = (tokenizer.vocabulary, tokenizer.merges, tokenizer.added)
    config.text.lowercase = tokenizer.lowercase
  }
}
