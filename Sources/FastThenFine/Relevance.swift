import FTFEncoders
import FTFKernels
import FTFRetrieval
import FTFWeights

/// Which images show what a sentence says, as far as captions tell it: those that have the sentence, those whose captions say all of its words of
/// meaning, and those of the class of its own image whose captions share a word of meaning with it. Captions leave out much of what is to be seen:
/// this errs to the strict side.
struct Relevance {
  /// Of each image: its sentences, the words of meaning in them, and its class.
  private let owned: [Set<String>]
  private let said: [Set<String>]
  private let kinds: [String?]
  private let words: [String: Set<String>]

  init(_ captions: [[String]], kinds: [String?]) {
    words = Set(captions.joined()).reduce(into: [:]) { $0[$1] = Self.words($1) }
    let words = words
    (owned, self.kinds) = (captions.map(Set.init), kinds)
    said = captions.map { $0.reduce(into: []) { $0.formUnion(words[$1]!) } }
  }

  /// - Parameter owner: the image that the sentence was written for.
  func shows(_ sentence: String, of owner: Int, image: Int) -> Bool {
    let asked = words[sentence] ?? []
    return owned[image].contains(sentence) || (!asked.isEmpty && asked.isSubset(of: said[image]))
      || (kinds[owner] != nil && kinds[owner] == kinds[image] && !asked.isDisjoint(with: said[image]))
  }

  /// The classes as somebody would ask for them, each with one of its images.
  var classes: [(kind: String, sentence: String, image: Int)] {
    var first: [String: Int] = [:]
    for (image, kind) in kinds.enumerated() { if let kind, first[kind] == nil { first[kind] = image } }
    let known = Set(words.keys.flatMap { $0.lowercased().split { !$0.isLetter }.map(String.init) })
    return first.sorted { $0.key < $1.key }.map { ($0.key, Self.spelled($0.key, known), $0.value) }
  }

  /// Where an image says no class, its captions have to name it.
  func isOf(_ name: (kind: String, sentence: String, image: Int), image: Int) -> Bool {
    if let kind = kinds[image] { return kind == name.kind }
    let words = Self.words(name.sentence)
    return !words.isEmpty && words.isSubset(of: said[image])
  }

  /// `storagetanks`, `StorageTanks` and `storage_tanks` as two words, where captions have them.
  static func spelled(_ kind: String, _ known: Set<String>) -> String {
    var parts: [String] = []
    for part in kind.split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
      var word = ""
      for letter in part {
        if letter.isUppercase, word.last?.isLowercase == true {
          parts.append(word)
          word = ""
        }
        word.append(letter)
      }
      parts.append(word)
    }
    return parts.flatMap { split($0.lowercased(), known) }.joined(separator: " ")
  }

  /// Two words that are written as one.
  private static func split(_ word: String, _ known: Set<String>) -> [String] {
    if known.contains(word) || word.count < 6 { return [word] }
    for i in word.indices.dropFirst(3).dropLast(2) where known.contains(String(word[..<i])) && known.contains(String(word[i...])) {
      return [String(word[..<i]), String(word[i...])]
    }
    return [word]
  }

  /// What of a sentence says something, in the singular.
  static func words(_ sentence: String) -> Set<String> {
    Set(sentence.lowercased().split { !$0.isLetter }.map(String.init).filter { !empty.contains($0) }.map(singular))
  }

  private static func singular(_ word: String) -> String {
    if word.count > 4, word.hasSuffix("ies") { return word.dropLast(3) + "y" }
    if word.count > 4, ["ses", "xes", "ches", "shes"].contains(where: word.hasSuffix) { return String(word.dropLast(2)) }
    return word.count > 3 && word.hasSuffix("s") && !word.hasSuffix("ss") ? String(word.dropLast()) : word
  }

  private static let empty = Set(
    """
    a about above across all along also among an and another any are around as at be beside besides between big both but by can did do does down each \
    eight few five four from front had has have he her here his in into is it its kind large little lot lots many more most much near next nine no \
    not of off on one only onto or other our out over part parts piece pieces seen seven several side sides six small so some ten than that the their \
    them then there these they this those three through to two under up very was we were where which while who with without you
    """.split(separator: " ").map(String.init))
}

extension RerankTrials {
  /// Answers to captions and to the names of classes, which count as much together: what people ask is between the two.
  func judged(_ interaction: InteractionConfig?, _ relevance: Relevance, captions: [String], owner: [Int], classes: RerankTrials?) -> [JudgedAnswer] {
    var answers = self.answers(interaction) { relevance.shows(captions[$0], of: owner[$0], image: $1) }
    guard let classes else { return answers }
    let names = relevance.classes
    var others = classes.answers(interaction) { relevance.isOf(names[$0], image: $1) }
    for i in answers.indices { answers[i].weight = 1 / Double(answers.count) }
    for i in others.indices { others[i].weight = 1 / Double(others.count) }
    return answers + others
  }
}
