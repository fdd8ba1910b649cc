/// Makes a text of JSON, without spaces, with the names in an object in the order of their bytes.
package struct JSONWriter {
  private var bytes: [UInt8] = []

  package init() {}

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// What is JSON by itself.
  package mutating func sign(_ text: StaticString) {
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  package mutating func append(_ value: JSONValue) {
    switch value {
    case .null: sign("null")
    case .bool(let value): append(value)
    case .whole(let value): append(value)
    case .number(let value): append(value)
    case .single(let value): append(value)
    case .text(let text): append(text)
    case .list(let items):
      sign("[")
      for (i, item) in items.enumerated() {
        if i > 0 { sign(",") }
        append(item)
      }
      sign("]")
    case .object(let members): append(members)
    }
  }

  private mutating func append(_ members: [JSONValue.Member]) {
    sign("{")
    for (i, member) in Self.sorted(members).enumerated() {
      if i > 0 { sign(",") }
      append(member.name)
      sign(":")
      append(member.value)
    }
    sign("}")
  }

  /// By the bytes of their names, of each name the last.
  private static func sorted(_ members: [JSONValue.Member]) -> [JSONValue.Member] {
    func less(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
    if zip(members, members.dropFirst()).allSatisfy({ less($0.name, $1.name) }) { return members }
    let last = Dictionary(members.map { ($0.name, $0) }) { $1 }
    return last.values.sorted { less($0.name, $1.name) }
  }

  package mutating func append(_ value: Bool) { value ? sign("true") : sign("false") }
  package mutating func append(_ value: Int64) { bytes.append(contentsOf: "\(value)".utf8) }
  package mutating func append(_ value: Double) { number(value.isFinite, value.description) }
  package mutating func append(_ value: Float) { number(value.isFinite, value.description) }

  /// JSON has no other numbers than finite ones.
  private mutating func number(_ isFinite: Bool, _ text: String) {
    guard isFinite else { return sign("null") }
    bytes.append(contentsOf: text.utf8)
    if bytes.last == UInt8(ascii: "0"), bytes[bytes.count - 2] == UInt8(ascii: ".") { bytes.removeLast(2) }
  }

  package mutating func append(_ text: String) {
    sign("\"")
    let start = bytes.count
    bytes.append(contentsOf: text.utf8)
    if let place = bytes[start...].firstIndex(where: Self.isEscaped) {
      let rest = Array(bytes[place...])
      bytes.removeSubrange(place...)
      for byte in rest { escape(byte) }
    }
    sign("\"")
  }

  private static func isEscaped(_ byte: UInt8) -> Bool { byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") }

  private mutating func escape(_ byte: UInt8) {
    guard Self.isEscaped(byte) else { return bytes.append(byte) }
    switch byte {
    case UInt8(ascii: "\""): sign("\\\"")
    case UInt8(ascii: "\\"): sign("\\\\")
    case UInt8(ascii: "\n"): sign("\\n")
    case UInt8(ascii: "\r"): sign("\\r")
    case UInt8(ascii: "\t"): sign("\\t")
    default: bytes.append(contentsOf: "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
    }
  }
}

extension JSONValue {
  package var json: String {
    var writer = JSONWriter()
    writer.append(self)
    return writer.text
  }
}
