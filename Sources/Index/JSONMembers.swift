import FTFJSON

/// The members of a JSON object, one after the other, without making an object of it: a catalog has millions.
struct JSONMembers {
  private var scanner: JSONScanner
  private let visit: (_ path: [String], _ value: ColumnValue) -> Void

  private init(_ text: String, _ visit: @escaping (_ path: [String], _ value: ColumnValue) -> Void) {
    (scanner, self.visit) = (JSONScanner(text), visit)
  }

  private typealias Failure = JSONScanner.Failure

  /// Members of objects inside are told of too, by the keys that lead there; what lies deeper than anybody asks is passed over.
  ///
  /// - Returns: whether it is an object.
  static func read(_ text: String, _ visit: (_ path: [String], _ value: ColumnValue) -> Void) -> Bool {
    withoutActuallyEscaping(visit) { visit in
      var members = JSONMembers(text, visit)
      guard (try? members.object([])) != nil else { return false }
      members.scanner.space()
      return members.scanner.isAtEnd
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
    guard scanner.take("[") else { throw Failure() }
    if scanner.take("]") { return }
    repeat { try value([""]) } while scanner.take(",")
    guard scanner.take("]") else { throw Failure() }
  }

  private static let deepest = 8

  private mutating func object(_ path: [String]) throws(Failure) {
    guard scanner.take("{") else { throw Failure() }
    if scanner.take("}") { return }
    repeat {
      let inside = path + [try scanner.string()]
      guard scanner.take(":") else { throw Failure() }
      try value(inside)
    } while scanner.take(",")
    guard scanner.take("}") else { throw Failure() }
  }

  private mutating func value(_ path: [String]) throws(Failure) {
    switch scanner.peek() {
    case UInt8(ascii: "\""): visit(path, .text(try scanner.string()))
    case UInt8(ascii: "t"):
      try scanner.word("true")
      visit(path, .bool(true))
    case UInt8(ascii: "f"):
      try scanner.word("false")
      visit(path, .bool(false))
    case UInt8(ascii: "n"):
      try scanner.word("null")
      visit(path, .null)
    case UInt8(ascii: "{"):
      visit(path, .object)
      if path.count < Self.deepest { try object(path) } else { _ = try scanner.nested() }
    case UInt8(ascii: "["): visit(path, .list(try scanner.nested()))
    default:
      switch try scanner.number() {
      case .whole(let number): visit(path, .integer(number))
      case .number(let number): visit(path, .number(number))
      default: throw Failure()
      }
    }
  }
}
