/// What `like` asks of a text: % stands for any characters, _ for one; characters are equal in any case and in any composition.
struct Pattern: Sendable {
  private let characters: [Character]
  /// The same where it is ASCII: a text that is too is looked at byte by byte, in a tenth of the time.
  private let bytes: [UInt8]?

  init(_ text: String) {
    characters = Array(text.lowercased())
    bytes = text.utf8.allSatisfy(Self.isPlain) ? text.utf8.map(Self.lowercased) : nil
  }

  func matches(_ text: String) -> Bool { Self.matches(characters, Array(text.lowercased()), any: "%", one: "_") }

  /// Whether it meets a text in UTF-8; nil where its characters have to be looked at.
  func matches(_ text: Span<UInt8>) -> Bool? {
    guard let bytes else { return nil }
    for i in text.indices where !Self.isPlain(text[i]) { return nil }
    return unsafe text.withUnsafeBufferPointer { text in
      unsafe Self.matches(bytes, text.lazy.map(Self.lowercased), any: UInt8(ascii: "%"), one: UInt8(ascii: "_"))
    }
  }

  /// A character by itself: of ASCII all but CR, which makes one with the LF behind it.
  private static func isPlain(_ byte: UInt8) -> Bool { byte < 0x80 && byte != 0x0d }
  private static func lowercased(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte }

  private static func matches<T: Equatable>(_ pattern: [T], _ text: some RandomAccessCollection<T>, any: T, one: T) -> Bool {
    var (p, t) = (0, text.startIndex)
    // Where the last % stands, and what of the text it has taken.
    var last = (pattern: -1, text: text.startIndex)
    while t < text.endIndex {
      if p < pattern.count, pattern[p] == any {
        last = (p, t)
        p += 1
      } else if p < pattern.count, pattern[p] == one || pattern[p] == text[t] {
        p += 1
        t = text.index(after: t)
      } else if last.pattern >= 0 {
        last.text = text.index(after: last.text)
        (p, t) = (last.pattern + 1, last.text)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == any }
  }
}
