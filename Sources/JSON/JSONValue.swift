import Foundation

/// A value of JSON.
package enum JSONValue: Sendable, Equatable, CustomStringConvertible {
  case null
  case bool(Bool)
  /// Written without a fraction, and 64 bits hold it.
  case whole(Int64)
  case number(Double)
  /// A number of 32 bits, with the digits that tell it from others of these.
  case single(Float)
  case text(String)
  case list([JSONValue])
  /// In the order in which they came; of several of one name the last counts.
  case object([Member])

  package struct Member: Sendable, Equatable {
    package var name: String
    package var value: JSONValue

    package init(_ name: String, _ value: JSONValue) { (self.name, self.value) = (name, value) }
  }

  /// An object of those members that there are.
  package static func object(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
    .object(members.compactMap { name, value in value.map { Member(name, $0) } })
  }

  package static func object(_ members: [String: JSONValue]) -> JSONValue { .object(members.map { Member($0.key, $0.value) }) }

  package static func whole(_ value: Int) -> JSONValue { .whole(Int64(value)) }

  package static func list(_ values: [Double]) -> JSONValue { .list(values.map(JSONValue.number)) }
  package static func list(_ values: [Int]) -> JSONValue { .list(values.map { .whole($0) }) }

  /// The member of an object; nil where there is none, and for what is none.
  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }

  /// The members of an object; nil for what is none.
  package var members: [String: JSONValue]? {
    guard case .object(let members) = self else { return nil }
    return Dictionary(members.lazy.map { ($0.name, $0.value) }) { $1 }
  }

  package var text: String? {
    guard case .text(let text) = self else { return nil }
    return text
  }

  package var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  package var whole: Int64? {
    guard case .whole(let value) = self else { return nil }
    return value
  }

  /// A number of any kind.
  package var double: Double? {
    switch self {
    case .whole(let value): Double(value)
    case .number(let value): value
    case .single(let value): Double(value)
    default: nil
    }
  }

  /// As a text: of a text itself, of anything else its JSON.
  package var description: String {
    if case .text(let text) = self { return text }
    return json
  }

  /// As Foundation has it: dictionaries, arrays, strings, numbers and `NSNull`. Its own reader rounds numbers, so that what was stored is not what is asked for.
  package var any: Any {
    switch self {
    case .null: NSNull()
    case .bool(let value): NSNumber(value: value)
    case .whole(let value): NSNumber(value: value)
    case .number(let value): NSNumber(value: value)
    case .single(let value): NSNumber(value: value)
    case .text(let text): text
    case .list(let items): items.map(\.any)
    case .object(let members): Dictionary(members.map { ($0.name, $0.value.any) }) { $1 }
    }
  }

  // MARK: Reading

  /// Lists and objects inside others, as deep as Foundation reads them.
  private static let deepest = 512

  /// - Returns: nil for what is no JSON.
  package init?(_ text: String) {
    var scanner = JSONScanner(text)
    guard let value = try? Self(&scanner, depth: 0) else { return nil }
    scanner.space()
    guard scanner.isAtEnd else { return nil }
    self = value
  }

  /// - Parameter bytes: UTF-8, also behind a mark of the order of bytes.
  package init?(_ bytes: Data) {
    guard let text = String(validating: bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes, as: UTF8.self) else { return nil }
    self.init(text)
  }

  private init(_ scanner: inout JSONScanner, depth: Int) throws(JSONScanner.Failure) {
    switch scanner.peek() {
    case UInt8(ascii: "\""): self = .text(try scanner.string())
    case UInt8(ascii: "{"): self = .object(try Self.members(&scanner, depth + 1))
    case UInt8(ascii: "["): self = .list(try Self.items(&scanner, depth + 1))
    case UInt8(ascii: "t"):
      try scanner.word("true")
      self = .bool(true)
    case UInt8(ascii: "f"):
      try scanner.word("false")
      self = .bool(false)
    case UInt8(ascii: "n"):
      try scanner.word("null")
      self = .null
    default: self = try scanner.number()
    }
  }

  private static func items(_ scanner: inout JSONScanner, _ depth: Int) throws(JSONScanner.Failure) -> [JSONValue] {
    var items: [JSONValue] = []
    guard depth <= deepest, scanner.take("[") else { throw JSONScanner.Failure() }
    if scanner.take("]") { return items }
    repeat { items.append(try JSONValue(&scanner, depth: depth)) } while scanner.take(",")
    guard scanner.take("]") else { throw JSONScanner.Failure() }
    return items
  }

  private static func members(_ scanner: inout JSONScanner, _ depth: Int) throws(JSONScanner.Failure) -> [Member] {
    var members: [Member] = []
    guard depth <= deepest, scanner.take("{") else { throw JSONScanner.Failure() }
    if scanner.take("}") { return members }
    repeat {
      let name = try scanner.string()
      guard scanner.take(":") else { throw JSONScanner.Failure() }
      members.append(Member(name, try JSONValue(&scanner, depth: depth)))
    } while scanner.take(",")
    guard scanner.take("}") else { throw JSONScanner.Failure() }
    return members
  }
}
