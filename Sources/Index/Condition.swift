import FTFGeography
import Foundation

/// What a filter asks of an item.
indirect enum Condition: Sendable {
  case all([Condition])
  case any([Condition])
  case not(Condition)
  case attribute(Attribute, Test)
  /// Whether the footprint has a place in common with an area.
  case meets(Geometry)
  case hasFootprint

  /// Whose value is looked at.
  enum Attribute: Sendable {
    /// The first of these columns in which an item has a value.
    case named([String])
    /// The same, or else the item's own id.
    case id([String])
    case path
    /// What is the same for all.
    case constant(String)
  }

  enum Sign: String, Sendable {
    case equal = "=", unequal = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="

    init?(_ text: String) {
      switch text {
      case "==": self = .equal
      case "<>": self = .unequal
      default: self.init(rawValue: text)
      }
    }

    /// - Parameter order: below 0 where the left side comes first.
    func holds(_ order: Int) -> Bool {
      switch self {
      case .equal: order == 0
      case .unequal: order != 0
      case .less: order < 0
      case .lessOrEqual: order <= 0
      case .greater: order > 0
      case .greaterOrEqual: order >= 0
      }
    }
  }

  /// A condition on a value; what is of another type than it asks for, or is not there, does not meet it.
  enum Test: Sendable {
    case isNull(Bool)
    case compared(Sign, Filter.Operand)
    /// A text that is a time, before, in or after a span.
    case timed(Sign, Span)
    case like(Pattern, isNot: Bool)
    case between(Filter.Operand, Filter.Operand, isNot: Bool)
    case isIn(Values, isNot: Bool)
    case list(ListRelation, [Filter.Operand])
  }

  /// Microseconds since 1970.
  struct Span: Sendable, Hashable {
    var first: Int64
    var last: Int64

    /// -1, 0 or 1 where a text is a time before, in or after it; nil where it is none.
    func order(of text: String) -> Int? {
      guard let instant = Instant(text) else { return nil }
      return instant.first < first ? -1 : instant.first > last ? 1 : 0
    }
  }

  enum ListRelation: String, Sendable { case contains = "a_contains", containedBy = "a_containedby", equals = "a_equals", overlaps = "a_overlaps" }

  /// Values by what they are, to be found at once among many.
  struct Values: Sendable {
    private var integers: Set<Int64> = []
    private var numbers: Set<Double> = []
    private var texts: Set<String.Bytes> = []
    private var composed: Set<String.Bytes> = []
    private var bools: Set<Bool> = []
    private var spans: [Span] = []

    mutating func insert(_ value: Filter.Operand) {
      switch value {
      case .integer(let value): integers.insert(value)
      case .number(let value): if let whole = Int64(exactly: value) { integers.insert(whole) } else { numbers.insert(value) }
      case .bool(let value): bools.insert(value)
      case .text(let text): if text.isASCII { texts.insert(text.bytes) } else { composed.insert(text.composed.bytes) }
      }
    }

    mutating func insert(_ span: Span) { spans.append(span) }

    func contains(_ value: ColumnValue) -> Bool {
      switch value {
      case .integer(let value): return integers.contains(value)
      case .number(let value): return Int64(exactly: value).map(integers.contains) ?? numbers.contains(value)
      case .bool(let value): return bools.contains(value)
      case .text(let text):
        if texts.contains(text.bytes) || !composed.isEmpty && composed.contains(text.composed.bytes) { return true }
        guard !spans.isEmpty, let instant = Instant(text) else { return false }
        return spans.contains { $0.first <= instant.first && instant.first <= $0.last }
      case .absent, .null, .list, .object: return false
      }
    }
  }
}

extension Condition.Test {
  func holds(_ value: ColumnValue) -> Bool {
    switch self {
    case .isNull(let expected): return value.isNull == expected
    case .compared(let sign, let operand): return value.order(to: operand).map(sign.holds) ?? false
    case .timed(let sign, let span):
      guard case .text(let text) = value else { return false }
      return span.order(of: text).map(sign.holds) ?? false
    case .like(let pattern, let isNot):
      guard case .text(let text) = value else { return false }
      return pattern.matches(text) != isNot
    case .between(let low, let high, let isNot):
      guard let low = value.order(to: low), let high = value.order(to: high) else { return false }
      return (low >= 0 && high <= 0) != isNot
    case .isIn(let values, let isNot): return isNot ? !value.isNull && !values.contains(value) : values.contains(value)
    case .list(let relation, let operands):
      guard case .list(let json) = value, let items = JSONMembers.items(of: json) else { return false }
      return Self.holds(relation, items, operands)
    }
  }

  /// What is null in a list counts for nothing.
  private static func holds(_ relation: Condition.ListRelation, _ items: [ColumnValue], _ operands: [Filter.Operand]) -> Bool {
    func equals(_ item: ColumnValue, _ operand: Filter.Operand) -> Bool { item.order(to: operand) == 0 }
    func containsAll() -> Bool { operands.allSatisfy { operand in items.contains { equals($0, operand) } } }
    func hasNoOther() -> Bool { items.allSatisfy { item in item.isNull || operands.contains { equals(item, $0) } } }
    switch relation {
    case .contains: return containsAll()
    case .containedBy: return hasNoOther()
    case .equals: return containsAll() && hasNoOther()
    case .overlaps: return items.contains { item in operands.contains { equals(item, $0) } }
    }
  }
}

/// What an item has for an attribute.
enum ColumnValue: Equatable, Sendable {
  case absent, null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  /// A JSON array.
  case list(String)
  case object

  var isNull: Bool { self == .absent || self == .null }

  /// Below, at or above 0 where the value comes before, is, or comes after one of its own type; nil for one of another.
  func order(to operand: Filter.Operand) -> Int? {
    switch (self, operand) {
    case (.integer(let a), .integer(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.integer(let a), .number(let b)): return Self.order(a, b)
    case (.number(let a), .integer(let b)): return -Self.order(b, a)
    case (.number(let a), .number(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.bool(let a), .bool(let b)): return a == b ? 0 : a ? 1 : -1
    case (.text(let a), .text(let b)):
      // A letter may be written in several ways.
      let a = b.isASCII ? a : a.composed
      return a.bytes < b.bytes ? -1 : b.bytes < a.bytes ? 1 : 0
    default: return nil
    }
  }

  /// Whole numbers are compared as such, however large.
  private static func order(_ a: Int64, _ b: Double) -> Int {
    if b >= 0x1p63 { return -1 }
    if b < -0x1p63 { return 1 }
    let whole = Int64(b.rounded(.down))
    return a < whole ? -1 : a > whole ? 1 : b > Double(whole) ? -1 : 0
  }
}

extension String {
  /// Its UTF-8, by which texts are compared: strings that look alike are equal to Swift whatever their bytes.
  struct Bytes: Hashable, Comparable, Sendable {
    fileprivate let text: String
    static func == (a: Bytes, b: Bytes) -> Bool {
      guard a.text.utf8.count == b.text.utf8.count else { return false }
      let same = unsafe a.text.utf8.withContiguousStorageIfAvailable { a in
        unsafe b.text.utf8.withContiguousStorageIfAvailable { b in unsafe a.count == 0 || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
      }
      return (same ?? nil) ?? a.text.utf8.elementsEqual(b.text.utf8)
    }
    static func < (a: Bytes, b: Bytes) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }

  var bytes: Bytes { Bytes(text: self) }
  var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }
  /// In one of the ways in which it may be written (NFC).
  var composed: String { precomposedStringWithCanonicalMapping }
}
