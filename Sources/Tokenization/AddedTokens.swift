/// A token that is recognised as it is written, before words are cut into pieces.
package struct AddedToken: Codable, Sendable, Equatable {
  package var id: Int32
  package var content: String
  /// Whether it is looked for in the normalised text, normalised itself; otherwise in the text as it came.
  package var normalized: Bool
  /// Whether letters, digits and `_` before or after it make it another word.
  package var singleWord: Bool
  /// Whether it takes the white space before or after it.
  package var lstrip: Bool
  package var rstrip: Bool

  package init(
    id: Int32, content: String, normalized: Bool = false, singleWord: Bool = false, lstrip: Bool = false,
    rstrip: Bool = false
  ) {
    (self.id, self.content, self.normalized) = (id, content, normalized)
    (self.singleWord, self.lstrip, self.rstrip) = (singleWord, lstrip, rstrip)
  }

  private enum CodingKeys: String, CodingKey {
    case id, content, normalized, lstrip, rstrip
    case singleWord = "single_word"
  }
}

/// Finds added tokens from left to right, of those that begin at one place the longest, as the `tokenizers` library does.
struct AddedTokens: Sendable {
  enum Part {
    case text(ArraySlice<Unicode.Scalar>)
    case token(Int32)
  }

  private struct Found: Sendable {
    var scalars: [Unicode.Scalar]
    var token: AddedToken
  }

  /// By their first scalar, the longest first.
  private let tokens: [Unicode.Scalar: [Found]]

  /// - Parameter normalize: what is done to a text before it is searched, to be done to the tokens too.
  init(_ tokens: [AddedToken], normalize: (ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] = Array.init) {
    var found: [Unicode.Scalar: [Found]] = [:]
    for token in tokens {
      let scalars = normalize(Array(token.content.unicodeScalars)[...])
      if let first = scalars.first { found[first, default: []].append(Found(scalars: scalars, token: token)) }
    }
    self.tokens = found.mapValues { $0.sorted { $0.scalars.count > $1.scalars.count } }
  }

  /// The text in its order, cut at the tokens.
  func split(_ text: ArraySlice<Unicode.Scalar>) -> [Part] {
    guard !tokens.isEmpty else { return [.text(text)] }
    var parts: [Part] = []
    var (plain, i) = (text.startIndex, text.startIndex)
    while i < text.endIndex {
      guard let found = tokens[text[i]]?.first(where: { text[i...].starts(with: $0.scalars) }) else {
        i += 1
        continue
      }
      var (start, end) = (i, i + found.scalars.count)
      i = end
      if found.token.singleWord {
        let isAlone =
          (start == text.startIndex || !Self.isWord(text[start - 1])) && (end == text.endIndex || !Self.isWord(text[end]))
        guard isAlone else { continue }
      }
      if found.token.lstrip {
        while start > plain, text[start - 1].properties.isWhitespace { start -= 1 }
      }
      if found.token.rstrip {
        while end < text.endIndex, text[end].properties.isWhitespace { end += 1 }
      }
      if plain < start { parts.append(.text(text[plain..<start])) }
      parts.append(.token(found.token.id))
      (plain, i) = (end, end)
    }
    if plain < text.endIndex { parts.append(.text(text[plain...])) }
    return parts
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: true
    default: scalar.properties.isAlphabetic
    }
  }
}
