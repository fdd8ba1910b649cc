import Foundation

/// BERT's uncased WordPiece: ids equal to those of the `tokenizers` library for a BertNormalizer (clean text, CJK spaced,
/// accents stripped, lowercase), a BertPreTokenizer and a WordPiece model of 100 characters a word.
package struct WordPiece: Sendable {
  /// By UTF-8, since canonically equal strings are different pieces.
  private let ids: [[UInt8]: Int32]
  private let unknown: Int32
  private let start: Int32
  private let end: Int32
  private let lowercase: Bool
  /// Tokens that are looked for in the text as it came, and in what is between them once it is normalised.
  private let verbatim: AddedTokens
  private let normalizedTokens: AddedTokens

  private static let longestWord = 100

  package enum Failure: Error, Equatable, CustomStringConvertible {
    case missing(token: String)
    package var description: String {
      switch self {
      case .missing(let token): "the vocabulary has no \(token); it is not a BERT vocabulary"
      }
    }
  }

  /// - Parameters:
  ///   - vocabulary: pieces in order of their ids; the first of equal ones counts.
  ///   - added: tokens that are recognised as they are written; nil for BERT's own five.
  package init(vocabulary: [String], lowercase: Bool, added: [AddedToken]? = nil) throws(Failure) {
    var ids: [[UInt8]: Int32] = [:]
    for (i, piece) in vocabulary.enumerated() where ids[[UInt8](piece.utf8)] == nil {
      ids[[UInt8](piece.utf8)] = Int32(i)
    }
    func id(_ token: String) throws(Failure) -> Int32 {
      guard let id = ids[[UInt8](token.utf8)] else { throw .missing(token: token) }
      return id
    }
    (unknown, start, end) = (try id("[UNK]"), try id("[CLS]"), try id("[SEP]"))
    let added =
      added
      ?? ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].compactMap { token in
        ids[[UInt8](token.utf8)].map { AddedToken(id: $0, content: token) }
      }
    verbatim = AddedTokens(added.filter { !$0.normalized })
    normalizedTokens = AddedTokens(added.filter(\.normalized)) { Self.normalized($0, lowercase: lowercase) }
    self.ids = ids
    self.lowercase = lowercase
  }

  /// [CLS], the pieces, [SEP]; cut to `limit` with [SEP] kept.
  package func encode(_ text: String, limit: Int) -> [Int32] {
    var result = [start]
    for part in verbatim.split(Array(text.unicodeScalars)[...]) where result.count < limit {
      switch part {
      case .token(let id): result.append(id)
      case .text(let scalars):
        for part in normalizedTokens.split(Self.normalized(scalars, lowercase: lowercase)[...]) where result.count < limit {
          switch part {
          case .token(let id): result.append(id)
          case .text(let scalars): appendPieces(of: scalars, to: &result, limit: limit)
          }
        }
      }
    }
    return Array(result.prefix(limit - 1)) + [end]
  }

  private func appendPieces(of scalars: ArraySlice<Unicode.Scalar>, to result: inout [Int32], limit: Int) {
    var word: [Unicode.Scalar] = []
    for scalar in scalars where result.count < limit {
      if scalar.properties.isWhitespace {
        appendWord(word, to: &result)
        word.removeAll(keepingCapacity: true)
      } else if Self.isPunctuation(scalar) {
        appendWord(word, to: &result)
        appendWord([scalar], to: &result)
        word.removeAll(keepingCapacity: true)
      } else {
        word.append(scalar)
      }
    }
    appendWord(word, to: &result)
  }

  /// The longest pieces from left to right; the whole word is unknown where one is missing.
  private func appendWord(_ word: [Unicode.Scalar], to result: inout [Int32]) {
    guard !word.isEmpty else { return }
    guard word.count <= Self.longestWord else { return result.append(unknown) }
    var pieces: [Int32] = []
    var first = 0
    while first < word.count {
      var piece: [UInt8] = first > 0 ? [35, 35] : []
      var ends: [Int] = []
      for scalar in word[first...] {
        piece += Array(String(Character(scalar)).utf8)
        ends.append(piece.count)
      }
      var length = ends.count
      while length > 0, let last = Optional(ends[length - 1]) {
        piece.removeLast(piece.count - last)
        if let id = ids[piece] {
          pieces.append(id)
          break
        }
        length -= 1
      }
      if length == 0 { return result.append(unknown) }
      first += length
    }
    result += pieces
  }

  // MARK: Normalising

  private static func normalized(_ scalars: ArraySlice<Unicode.Scalar>, lowercase: Bool) -> [Unicode.Scalar] {
    var cleaned: [Unicode.Scalar] = []
    cleaned.reserveCapacity(scalars.count)
    var isASCII = true
    for scalar in scalars {
      if isRemoved(scalar) { continue }
      isASCII = isASCII && scalar.isASCII
      if scalar.properties.isWhitespace {
        cleaned.append(" ")
      } else if isCJK(scalar) {
        cleaned += [" ", scalar, " "]
      } else {
        cleaned.append(scalar)
      }
    }
    guard lowercase else { return cleaned }
    if isASCII { return cleaned.map { $0.properties.isUppercase ? Unicode.Scalar($0.value + 32)! : $0 } }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: cleaned)
    return String(text).decomposedStringWithCanonicalMapping.unicodeScalars
      .filter { $0.properties.generalCategory != .nonspacingMark }
      .flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
  }

  /// NUL, the replacement character and everything of categories Cc, Cf and Co but tab and line ends.
  private static func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\r": return false
    case "\0", "\u{FFFD}": return true
    default: break
    }
    if scalar.isASCII { return scalar.value < 32 || scalar.value == 127 }
    switch scalar.properties.generalCategory {
    case .control, .format, .privateUse, .surrogate: return true
    default: return false
    }
  }

  private static func isCJK(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B820...0x2CEAF,
      0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 33...47, 58...64, 91...96, 123...126: return true
    case 0..<128: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }
}
