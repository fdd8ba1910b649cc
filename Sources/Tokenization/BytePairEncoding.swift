import Foundation

/// CLIP's byte-level BPE: ids equal to those of `transformers` (NFC, white space collapsed, lowercase; words by CLIP's
/// pattern; `</w>` at a word's end).
package struct BytePairEncoding: Sendable {
  private struct Merge {
    var rank: Int
    var id: Int32
  }

  /// By the two ids, the first in the upper half.
  private let merges: [UInt64: Merge]
  /// The id of each byte alone, within a word and at its end; nil where the vocabulary lacks it.
  private let bytes: [Int32?]
  private let lastBytes: [Int32?]
  private let start: Int32
  private let end: Int32
  /// Tokens that are looked for in the text as it came, and in what is between them once it is normalised.
  private let verbatim: AddedTokens
  private let normalizedTokens: AddedTokens

  package enum Failure: Error, Equatable, CustomStringConvertible {
    case missing(token: String)
    case badMerge(line: Int)
    package var description: String {
      switch self {
      case .missing(let token): "the vocabulary has no \(token); it is not CLIP's"
      case .badMerge(let line): "merge \(line) is not a pair of tokens of the vocabulary"
      }
    }
  }

  /// - Parameters:
  ///   - vocabulary: tokens in order of their ids.
  ///   - merges: pairs of tokens with a space between, best first.
  ///   - added: tokens that are recognised as they are written; nil for CLIP's own two.
  package init(vocabulary: [String], merges lines: [String], added: [AddedToken]? = nil) throws(Failure) {
    var ids: [String: Int32] = [:]
    for (i, token) in vocabulary.enumerated() where ids[token] == nil { ids[token] = Int32(i) }
    guard let start = ids["<|startoftext|>"] else { throw .missing(token: "<|startoftext|>") }
    guard let end = ids["<|endoftext|>"] else { throw .missing(token: "<|endoftext|>") }
    (self.start, self.end) = (start, end)
    let added =
      added ?? [AddedToken(id: start, content: "<|startoftext|>"), AddedToken(id: end, content: "<|endoftext|>")]
    verbatim = AddedTokens(added.filter { !$0.normalized })
    normalizedTokens = AddedTokens(added.filter(\.normalized)) { Self.normalized($0) }
    let characters = Self.byteCharacters
    bytes = characters.map { ids[String($0)] }
    lastBytes = characters.map { ids["\($0)</w>"] }
    var merges: [UInt64: Merge] = [:]
    merges.reserveCapacity(lines.count)
    for (rank, line) in lines.enumerated() {
      let pair = line.split(separator: " ")
      guard pair.count == 2, let a = ids[String(pair[0])], let b = ids[String(pair[1])],
        let merged = ids["\(pair[0])\(pair[1])"]
      else { throw .badMerge(line: rank + 1) }
      let key = Self.key(a, b)
      if merges[key] == nil { merges[key] = Merge(rank: rank, id: merged) }
    }
    self.merges = merges
  }

  /// The printable character that stands for each byte in a byte-level vocabulary.
  private static var byteCharacters: [Character] {
    var next: UInt32 = 256
    return (0..<256).map { byte -> Character in
      switch byte {
      case 33...126, 161...172, 174...255: return Character(Unicode.Scalar(UInt8(byte)))
      default:
        defer { next += 1 }
        return Character(Unicode.Scalar(next)!)
      }
    }
  }

  private static func key(_ a: Int32, _ b: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
  }

  /// The start token, the pieces, the end token; cut to `limit` with the end token kept.
  package func encode(_ text: String, limit: Int) -> [Int32] {
    var result = [start]
    for part in verbatim.split(Array(text.unicodeScalars)[...]) where result.count < limit {
      switch part {
      case .token(let id): result.append(id)
      case .text(let scalars):
        for part in normalizedTokens.split(Self.normalized(scalars)[...]) where result.count < limit {
          switch part {
          case .token(let id): result.append(id)
          case .text(let scalars): append(scalars, to: &result, limit: limit)
          }
        }
      }
    }
    return Array(result.prefix(limit - 1)) + [end]
  }

  private func append(_ normalized: ArraySlice<Unicode.Scalar>, to result: inout [Int32], limit: Int) {
    var i = normalized.startIndex
    while i < normalized.endIndex && result.count < limit {
      let length = Self.wordLength(normalized, at: i)
      if length > 0 { appendWord(normalized[i..<i + length], to: &result) }
      i += max(length, 1)
    }
  }

  private static func normalized(_ scalars: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    let composed =
      scalars.allSatisfy(\.isASCII) ? text : String(text).precomposedStringWithCanonicalMapping.unicodeScalars
    return composed.flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
  }

  private enum Class { case letter, number, space, other }

  private static func kind(_ scalar: Unicode.Scalar) -> Class {
    if scalar.properties.isWhitespace { return .space }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
    case .decimalNumber, .letterNumber, .otherNumber: return .number
    default: return .other
    }
  }

  /// The length of what matches at `i`: 's|'t|'re|'ve|'m|'ll|'d|letters|one number|others; 0 for white space.
  private static func wordLength(_ text: ArraySlice<Unicode.Scalar>, at i: Int) -> Int {
    if text[i] == "'" {
      for ending in ["s", "t", "re", "ve", "m", "ll", "d"] where text[(i + 1)...].starts(with: ending.unicodeScalars) {
        return 1 + ending.unicodeScalars.count
      }
    }
    let first = kind(text[i])
    switch first {
    case .space: return 0
    case .number: return 1
    case .letter, .other: return text[i...].prefix { kind($0) == first }.count
    }
  }

  /// Merges the best-ranked pair, again and again, all its places at once.
  private func appendWord(_ word: ArraySlice<Unicode.Scalar>, to result: inout [Int32]) {
    var utf8: [UInt8] = []
    for scalar in word { utf8.append(contentsOf: String(Character(scalar)).utf8) }
    var pieces = utf8.enumerated().map { i, byte in
      (i == utf8.count - 1 ? lastBytes : bytes)[Int(byte)] ?? end
    }
    while pieces.count > 1 {
      var best: (merge: Merge, key: UInt64)?
      for i in 0..<pieces.count - 1 {
        let key = Self.key(pieces[i], pieces[i + 1])
        if let merge = merges[key], merge.rank < best?.merge.rank ?? Int.max { best = (merge, key) }
      }
      guard let best else { break }
      var merged: [Int32] = []
      var i = 0
      while i < pieces.count {
        if i + 1 < pieces.count && Self.key(pieces[i], pieces[i + 1]) == best.key {
          merged.append(best.merge.id)
          i += 2
        } else {
          merged.append(pieces[i])
          i += 1
        }
      }
      pieces = merged
    }
    result += pieces
  }
}
