import Foundation

/// Reads a text of JSON (RFC 8259) from its beginning to its end, a token at a time: a catalog has millions of small ones, and Foundation's reader takes
/// ten times as long, most of it for objects and casts.
package struct JSONScanner {
  /// What is no JSON.
  package struct Failure: Error { package init() {} }

  private let bytes: [UInt8]
  package private(set) var at = 0

  package init(_ text: String) { bytes = Array(text.utf8) }

  /// Whether there is nothing more.
  package var isAtEnd: Bool { at == bytes.count }

  /// The next byte; 0, which JSON has nowhere, behind the last.
  @inline(__always) private var next: UInt8 { at < bytes.count ? bytes[at] : 0 }

  package mutating func space() { while [0x20, 0x0a, 0x0d, 0x09].contains(next) { at += 1 } }

  /// The first byte of the next token.
  package mutating func peek() -> UInt8 {
    // Most texts have no space, and none have it within tokens.
    if next <= 0x20 { space() }
    return next
  }

  /// Passes over a sign where it comes next.
  package mutating func take(_ sign: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: sign) else { return false }
    at += 1
    return true
  }

  package mutating func word(_ word: StaticString) throws(Failure) {
    for i in 0..<word.utf8CodeUnitCount {
      guard unsafe word.utf8Start[i] == next else { throw Failure() }
      at += 1
    }
  }

  /// A text in quotes.
  package mutating func string() throws(Failure) -> String {
    let (place, isPlain) = try quoted()
    if isPlain { return String(decoding: bytes[place.lowerBound + 1..<place.upperBound - 1], as: UTF8.self) }
    // With what is escaped in it, by the library.
    guard let text = try? JSONSerialization.jsonObject(with: Data(bytes[place]), options: .fragmentsAllowed) as? String else { throw Failure() }
    return text
  }

  /// Where a text in quotes lies, with them, and whether nothing in it is escaped.
  private mutating func quoted() throws(Failure) -> (place: Range<Int>, isPlain: Bool) {
    guard peek() == UInt8(ascii: "\"") else { throw Failure() }
    let start = at
    var isPlain = true
    at += 1
    while next != UInt8(ascii: "\"") {
      guard next >= 0x20 else { throw Failure() }
      if next == UInt8(ascii: "\\") {
        isPlain = false
        at += 1
      }
      at += 1
    }
    at += 1
    return (start..<at, isPlain)
  }

  /// Passes over digits, and tells how many there were.
  private mutating func digits() -> Int {
    let start = at
    while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { at += 1 }
    return at - start
  }

  /// A number: whole where it is written without a fraction and 64 bits hold it.
  package mutating func number() throws(Failure) -> JSONValue {
    _ = peek()
    let start = at
    if next == UInt8(ascii: "-") { at += 1 }
    let (first, count) = (next, digits())
    guard count > 0, count == 1 || first != UInt8(ascii: "0") else { throw Failure() }
    var isWhole = true
    if next == UInt8(ascii: ".") {
      isWhole = false
      at += 1
      guard digits() > 0 else { throw Failure() }
    }
    let end = at
    if next | 0x20 == UInt8(ascii: "e") {
      isWhole = false
      at += 1
      if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { at += 1 }
      guard digits() > 0 else { throw Failure() }
    }
    if at == end, let short = short(start..<end, isWhole) { return short }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isWhole, let number = Int64(text) { return .whole(number) }
    guard let number = Double(text), number.isFinite else { throw Failure() }
    return .number(number)
  }

  /// 15 digits make a whole number below 2^53, over a power of ten below 10^22: their quotient is the nearest double. Nil of more.
  private func short(_ place: Range<Int>, _ isWhole: Bool) -> JSONValue? {
    guard place.count <= 16 else { return nil }
    let isNegative = bytes[place.lowerBound] == UInt8(ascii: "-")
    var (number, decimals, point) = (Int64(0), 0, false)
    for byte in bytes[(isNegative ? place.lowerBound + 1 : place.lowerBound)..<place.upperBound] {
      if byte == UInt8(ascii: ".") {
        point = true
      } else {
        number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        if point { decimals += 1 }
      }
    }
    guard number < 1 << 53 else { return nil }
    if isWhole { return .whole(isNegative ? -number : number) }
    let value = Double(number) / Self.powers[decimals]
    return .number(isNegative ? -value : value)
  }

  private static let powers: [Double] = (0...16).map { pow(10, Double($0)) }

  /// The text of a list or an object, as it is spelled; of what is in its brackets nothing is looked at but texts.
  package mutating func nested() throws(Failure) -> String {
    _ = peek()
    let (start, end) = (at, try passed())
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func passed() throws(Failure) -> Int {
    var depth = 0
    repeat {
      switch next {
      case UInt8(ascii: "\""): _ = try quoted()
      case UInt8(ascii: "["), UInt8(ascii: "{"): (depth, at) = (depth + 1, at + 1)
      case UInt8(ascii: "]"), UInt8(ascii: "}"): (depth, at) = (depth - 1, at + 1)
      default:
        guard !isAtEnd else { throw Failure() }
        at += 1
      }
    } while depth > 0
    return at
  }
}
