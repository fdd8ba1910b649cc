/// The tensors of a checkpoint under the names of the model that it holds: what training and saving put around them is taken
/// off, wherever it stands, and renamings that every library makes are made.
///
/// | in the file | is |
/// |---|---|
/// | `_orig_mod.` (torch.compile), `module.` (data parallel) | left out of every name |
/// | a prefix such as `state_dict.`, `model.`, `net.`, `clip.`, `bert.` | what stands before the tensor that marks a model |
/// | `LayerNorm.gamma`, `LayerNorm.beta` | `weight`, `bias` |
struct UnwrappedTensors: TensorSource {
  private let base: any TensorSource
  /// From the model's names to the file's.
  private let originals: [String: String]
  let decisions: [String]

  var path: String { base.path }
  var names: Set<String> { Set(originals.keys) }
  var isTorchScript: Bool { base.isTorchScript }

  /// Tensors by which a model is known: one of them is in every model that is read.
  private static let marks = [
    "visual.conv1.weight", "vision_model.embeddings.class_embedding",
    "vision_model.vision_model.embeddings.class_embedding", "vision_model.embeddings.cls_token",
    "vision.stem.conv.weight", "embeddings.word_embeddings.weight",
  ]
  /// Where the text tower of a model has a mark of its own: nothing is wrapped by it.
  private static let towers: Set<String> = ["text_model", "text"]

  init(_ base: any TensorSource) throws(WeightsError) {
    self.base = base
    var plain: [String: String] = [:]
    for name in base.names.sorted() {
      let clean = Self.clean(name)
      // Of two that would have one name the one without additions is meant.
      if plain[clean] == nil || clean == name { plain[clean] = name }
    }
    let found = Self.prefixes(plain)
    guard let prefix = found.min(by: { ($0.count, $0) < ($1.count, $1) }) else {
      (originals, decisions) = (plain, [])
      return
    }
    let others = found.filter { $0.count == prefix.count && $0 != prefix }
    guard others.isEmpty else {
      throw .badConfig(
        path: base.path, reason: "holds several models (\(found.sorted().joined(separator: ", "))); keep one of them in the file")
    }
    var inside: [String: String] = [:]
    for (name, original) in plain where name.hasPrefix(prefix) { inside[String(name.dropFirst(prefix.count))] = original }
    originals = inside
    let left = found.filter { !$0.isEmpty && $0 != prefix }.sorted()
    decisions =
      left.isEmpty || prefix.isEmpty
      ? [] : ["weights: \(prefix.dropLast()) of a checkpoint that also holds \(left.map { $0.dropLast() }.joined(separator: ", "))"]
  }

  private static func clean(_ name: String) -> String {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false).filter { $0 != "_orig_mod" && $0 != "module" }
    if parts.count > 1, parts[parts.count - 2].lowercased().contains("norm") {
      if parts.last == "gamma" { parts[parts.count - 1] = "weight" }
      if parts.last == "beta" { parts[parts.count - 1] = "bias" }
    }
    return parts.joined(separator: ".")
  }

  /// What stands before the marks, with its dot.
  private static func prefixes(_ names: [String: String]) -> Set<String> {
    for mark in marks {
      var found: Set<String> = []
      for name in names.keys where name == mark || name.hasSuffix("." + mark) {
        let prefix = name.dropLast(mark.count)
        if let last = prefix.split(separator: ".").last, towers.contains(String(last)) || last == "vision_model" { continue }
        found.insert(String(prefix))
      }
      if !found.isEmpty { return found }
    }
    return []
  }

  func shape(_ name: String) -> [Int]? { originals[name].flatMap { base.shape($0) } }

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    guard let original = originals[name] else { throw .missingTensor(path: path, tensor: name) }
    return try base.floats(original, shape: shape)
  }
}

extension TensorSource {
  /// What it holds, in a few words: the beginnings of the names and how many tensors have them.
  var summary: String {
    let groups = Dictionary(grouping: names) { $0.split(separator: ".").prefix(2).joined(separator: ".") }
    let largest = groups.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    let shown = largest.prefix(4).map { "\($0.value.count) of '\($0.key)'" }.joined(separator: ", ")
    return "\(names.count) tensors: " + shown + (largest.count > 4 ? " and others" : "")
  }
}
