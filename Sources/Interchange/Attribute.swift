import FTFJSON
import FTFParquet

/// A column of what is known of images, of one type.
struct Attribute: Sendable {
  enum Kind: Sendable { case integer, number, text, bool }
  var key: String
  var column: String
  var kind: Kind

  /// All that there are; what is of several types, or a list, is text.
  ///
  /// - Parameters:
  ///   - own: columns that there are beside.
  ///   - named: attributes that are in these already.
  static func all(in items: [Item], beside own: Set<String>, named: Set<String> = []) -> [Attribute] {
    Kinds(items, beside: own, named: named).attributes
  }

  /// The same, some items after others.
  struct Kinds: Sendable {
    private let own: Set<String>
    private let named: Set<String>
    private var kinds: [String: Kind] = [:]

    init(_ items: [Item] = [], beside own: Set<String>, named: Set<String>) {
      (self.own, self.named) = (own, named)
      for item in items {
        for (key, value) in item.attributes where !own.contains(key) || !named.contains(key) { add(key, Attribute.kind(value)) }
      }
    }

    private mutating func add(_ key: String, _ kind: Kind) {
      switch kinds[key] {
      case nil, kind: kinds[key] = kind
      case .integer where kind == .number, .number where kind == .integer: kinds[key] = .number
      default: kinds[key] = .text
      }
    }

    mutating func add(_ others: Kinds) {
      for (key, kind) in others.kinds { add(key, kind) }
    }

    var attributes: [Attribute] { kinds.keys.sorted().map { Attribute(key: $0, column: Item.column($0, beside: own), kind: kinds[$0]!) } }
  }

  private static func kind(_ value: JSONValue) -> Kind {
    switch value {
    case .bool: .bool
    case .whole: .integer
    case .number, .single: .number
    case .null, .text, .list, .object: .text
    }
  }

  var field: ParquetWriter.Field {
    switch kind {
    case .integer: .integers(column, isOptional: true)
    case .number: .doubles(column, isOptional: true)
    case .text: .strings(column, isOptional: true)
    case .bool: .bools(column, isOptional: true)
    }
  }

  func values(_ items: [Item]) -> ParquetWriter.Values {
    switch kind {
    case .integer: .integers(items.map { $0.attributes[key]?.whole.map { Int($0) } })
    case .number: .doubles(items.map { $0.attributes[key]?.double })
    case .bool: .bools(items.map { $0.attributes[key]?.bool })
    case .text: .strings(items.map { $0.attributes[key]?.description })
    }
  }
}
