import Foundation

/// The members of a JSON object, one after the other, without making an object of it: a catalog has millions.
struct JSONMembers {
  private let bytes: [UInt8]
  private var at = 0
  private let visit: (_ path: [String], _ value: ColumnValue) -> Void

  private init(_ text: String, _ visit: @escaping (_ path: [String], _ value: ColumnValue) -> Void) {
    (bytes, self.visit) = (Array(text.utf8), visit)
  }

  private struct Failure: Error {}

  /// Members of objects inside are told of too, by the keys that lead there; what lies deeper than anybody asks is passed over.
  ///
  /// - Returns: whether it is an object.
  static func read(_ text: String, _ visit: (_ path: [String], _ value: ColumnValue) -> Void) -> Bool {
    withoutActuallyEscaping(visit) { visit in
      var members = JSONMembers(text, visit)
      do {
        try members.object([])
        members.space()
        return members.at == members.bytes.count
      } catch {
        return false
      }
    }
  }

  /// The items of a JSON array; nil where it is none.
  static func items(of text: String) -> [ColumnValue]? {
    var items: [ColumnValue] = []
    let isList = withoutActuallyEscaping({ (path: [String], value: ColumnValue) in if path.count == 1 { items.append(value) } }) { visit in
      var members = JSONMembers(text, visit)
      return (try? members.list()) != nil
    }
    return isList ? items : nil
  }

  private mutating func list() throws(Failure) {
    guard take("[") else { throw Failure() }
    if take("]") { return }
    repeat { try value([""]) } while take(",")
    guard take("]") else { throw Failure() }
  }

  private static let deepest = 8

  private mutating func space() { while at < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[at]) { at += 1 } }

  private mutating func take(_ byte: Character) -> Bool {
    space()
    guard at < bytes.count, bytes[at] == byte.asciiValue else { return false }
    at += 1
    return true
  }

  private mutating func object(_ path: [String]) throws(Failure) {
    guard take("{") else { throw Failure() }
    if take("}") { return }
    repeat {
      space()
      let inside = path + [try string()]
      guard take(":") else { throw Failure() }
      try value(inside)
    } while take(",")
    guard take("}") else { throw Failure() }
  }

  private mutating func value(_ path: [String]) throws(Failure) {
    space()
    guard at < bytes.count else { throw Failure() }
    switch bytes[at] {
    case UInt8(ascii: "\""): visit(path, .text(try string()))
    case UInt8(ascii: "t"): try word("true", path, .bool(true))
    case UInt8(ascii: "f"): try word("false", path, .bool(false))
    case UInt8(ascii: "n"): try word("null", path, .null)
    case UInt8(ascii: "{"):
      visit(path, .object)
      if path.count < Self.deepest { try object(path) } else { _ = try nested() }
    case UInt8(ascii: "["): visit(path, .list(String(decoding: bytes[try nested()], as: UTF8.self)))
    default: visit(path, try number())
    }
  }

  private mutating func word(_ word: StaticString, _ path: [String], _ value: ColumnValue) throws(Failure) {
    let count = word.utf8CodeUnitCount
    guard bytes[at...].starts(with: "\(word)".utf8) else { throw Failure() }
    at += count
    visit(path, value)
  }

  /// The text in quotes that begins here; with what is escaped in it, by the library.
  private mutating func string() throws(Failure) -> String {
    guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw Failure() }
    let start = at
    at += 1
    var isPlain = true
    while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
      if bytes[at] == UInt8(ascii: "\\") {
        isPlain = false
        at += 1
      }
      at += 1
    }
    guard at < bytes.count else { throw Failure() }
    at += 1
    if isPlain { return String(decoding: bytes[start + 1..<at - 1], as: UTF8.self) }
    guard let text = try? JSONSerialization.jsonObject(with: Data(bytes[start..<at]), options: .fragmentsAllowed) as? String else { throw Failure() }
    return text
  }

  private mutating func number() throws(Failure) -> ColumnValue {
    let start = at
    var isWhole = true
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"): break
      case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): isWhole = false
      default:
        guard at > start else { throw Failure() }
        return try number(bytes[start..<at], isWhole)
      }
      at += 1
    }
    throw Failure()
  }

  private func number(_ digits: ArraySlice<UInt8>, _ isWhole: Bool) throws(Failure) -> ColumnValue {
    let text = String(decoding: digits, as: UTF8.self)
    if isWhole, let number = Int64(text) { return .integer(number) }
    guard let number = Double(text), number.isFinite else { throw Failure() }
    return .number(number)
  }

  /// Where a list or an object that begins here lies.
  private mutating func nested() throws(Failure) -> Range<Int> {
    let start = at
    var depth = 0
    repeat {
      guard at < bytes.count else { throw Failure() }
      switch bytes[at] {
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        at += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        depth -= 1
        at += 1
      default: at += 1
      }
    } while depth > 0
    return start..<at
  }
}
