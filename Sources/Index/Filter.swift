import Foundation
import GRDB
import FTFGeography
import Synchronization

/// A condition on the attributes of images, such as `year >= 2020 and (sensor in ('S2', 'L8') or not cloudy = true)`.
///
/// | rule | is |
/// |---|---|
/// | condition | all { `or` all } |
/// | all | part { `and` part } |
/// | part | `not` part, `(` condition `)`, or a comparison |
/// | comparison | name operator value, name [`not`] `in (`value { `,` value }`)`, name [`not`] `between` value `and` value, |
/// | | name [`not`] `like` text, name `is` [`not`] `null`, or a function |
/// | function | `intersects(`area`)`, `s_intersects(geometry,` area`)`, `s_disjoint(geometry,` area`)`; `t_after`, `t_before`, `t_equals`, |
/// | | `t_intersects` or `t_during` `(`name`,` time`)`; `a_contains`, `a_containedby`, `a_equals` or `a_overlaps` |
/// | | `(`name`, (`value { `,` value }`))`, of an attribute that is a list |
/// | area | west `,` south `,` east `,` north in degrees, also in `bbox(`...`)`; WKT, in quotes or not; GeoJSON in quotes |
/// | time | a value, `timestamp(`text`)`, `date(`text`)`, or `interval(`text`,` text`)`, of which `'..'` is open |
/// | name | letters, digits and `_ - . :`, where a dot is part of the name or goes into an object; any text in `"` or a backquote |
/// | operator | `= == != <> < <= > >=` |
/// | value | a number, `'text'` or `"text"` (a quote inside is doubled), `true`, `false`, `timestamp(`text`)`, `date(`text`)` |
/// | text of `like` | `%` for any characters and `_` for one, in any case |
///
/// So CQL2 of OGC is read too, as text, with `properties.` before a name or without. `path` is the image's own, and so is `id` where it has no
/// attribute of that name. A comparison with an attribute that an image lacks, or that is of another type than the value, does not
/// hold, whether it is `=`, `!=` or `not in`; `not` before it turns that around: `not year = 2020` holds where there is no year.
///
/// A text that is a time (see `Instant`) is compared as one, with those of an attribute that are: `'2021-05-01T02:00:00+02:00'` is
/// `'2021-05-01T00:00:00Z'`, and a date is all of its day. Whole numbers are compared as such, however large.
package struct Filter: Sendable {
  let condition: Condition

  enum Operand: Sendable, Equatable {
    case integer(Int64)
    case number(Double)
    case text(String)
    case bool(Bool)

    var isNumber: Bool {
      switch self {
      case .integer, .number: true
      case .text, .bool: false
      }
    }
  }

  /// The attributes that it names.
  let names: Set<String>

  /// `instant(text)` for SQL: microseconds since 1970; nil where the text is no time.
  static let instant = DatabaseFunction("instant", argumentCount: 1, pure: true) { values in
    String.fromDatabaseValue(values[0]).flatMap { Instant($0)?.first }
  }

  /// More than a filter that somebody wrote has.
  static let longest = 1 << 20
  static let mostValues = 50_000

  /// - Parameter constants: names that are no attributes, and what each is for all images.
  package init(_ text: String, constants: [String: String] = [:]) throws(IndexError) {
    var parser = FilterParser(text, constants: constants)
    condition = try parser.condition(depth: 0)
    guard parser.next == nil else { throw parser.refusal("expected and, or, or the end") }
    names = parser.names
  }
}

private struct FilterParser {
  enum Token: Equatable {
    case word(String)
    /// In single or double quotes, or backquotes.
    case quoted(String, by: Character)
    case symbol(String)
  }

  private let source: String
  private var tokens: [Token] = []
  private var place = 0
  private var failure: String?
  private var valueCount = 0
  var names: Set<String> = []

  var next: Token? { place < tokens.count ? tokens[place] : nil }

  private let constants: [String: String]

  init(_ source: String, constants: [String: String]) {
    (self.source, self.constants) = (source, constants)
    guard source.utf8.count <= Filter.longest else {
      failure = "it has \(source.utf8.count) bytes, the limit is \(Filter.longest)"
      return
    }
    var rest = Substring(source)
    while let first = rest.first {
      if first.isWhitespace {
        rest.removeFirst()
      } else if first == "'" || first == "\"" || first == "`" {
        guard let text = Self.quoted(&rest) else {
          failure = "a quote is not closed"
          return
        }
        tokens.append(.quoted(text, by: first))
      } else if Self.isPart(first) {
        let word = rest.prefix(while: Self.isPart)
        tokens.append(.word(String(word)))
        rest = rest.dropFirst(word.count)
      } else {
        let pair = String(rest.prefix(2))
        let symbol = ["==", "!=", "<>", "<=", ">="].contains(pair) ? pair : String(first)
        tokens.append(.symbol(symbol))
        rest = rest.dropFirst(symbol.count)
      }
    }
  }

  /// Takes a text in quotes off; a quote inside is doubled.
  private static func quoted(_ rest: inout Substring) -> String? {
    let quote = rest.removeFirst()
    var text = ""
    while let end = rest.firstIndex(of: quote) {
      text += rest[..<end]
      rest = rest[rest.index(after: end)...]
      guard rest.first == quote else { return text }
      text.append(quote)
      rest.removeFirst()
    }
    return nil
  }

  private static func isPart(_ c: Character) -> Bool { c.isLetter || c.isNumber || "_-.+:".contains(c) }

  func refusal(_ reason: String) -> IndexError {
    .badFilter(text: source.count > 120 ? "\(source.prefix(120))..." : source, reason: failure ?? reason)
  }

  private mutating func take(_ symbol: String) -> Bool {
    guard next == .symbol(symbol) else { return false }
    place += 1
    return true
  }

  private mutating func takeWord(_ word: String) -> Bool {
    guard case .word(let found)? = next, found.lowercased() == word else { return false }
    place += 1
    return true
  }

  mutating func condition(depth: Int) throws(IndexError) -> Condition {
    guard failure == nil else { throw refusal("") }
    guard depth < 100 else { throw refusal("it is nested too deeply") }
    var parts = [try all(depth: depth)]
    while takeWord("or") { parts.append(try all(depth: depth)) }
    return parts.count == 1 ? parts[0] : .any(parts)
  }

  private mutating func all(depth: Int) throws(IndexError) -> Condition {
    var parts = [try part(depth: depth)]
    while takeWord("and") { parts.append(try part(depth: depth)) }
    return parts.count == 1 ? parts[0] : .all(parts)
  }

  private mutating func part(depth: Int) throws(IndexError) -> Condition {
    guard depth < 100 else { throw refusal("it is nested too deeply") }
    if takeWord("not") { return .not(try part(depth: depth + 1)) }
    if take("(") {
      let inner = try condition(depth: depth + 1)
      guard take(")") else { throw refusal("a parenthesis is not closed") }
      return inner
    }
    return try comparison()
  }

  // MARK: Comparisons

  private struct Field {
    /// As it was written.
    var name: String
    var attribute: Condition.Attribute
  }

  private mutating func field() throws(IndexError) -> Field {
    let name: String
    var columns: [String] = []
    switch next {
    case .word(let whole)?:
      let word = whole.hasPrefix("properties.") ? String(whole.dropFirst("properties.".count)) : whole
      name = word
      // A dot is part of a key, or goes into an object.
      columns = [word]
      if word.contains(".") { columns.append(Column.name(of: word.split(separator: ".").map(String.init))) }
    case .quoted(let text, let quote)? where quote != "'":
      guard !text.contains("\"") else { throw refusal("a name cannot hold a double quote") }
      (name, columns) = (text, [text])
    default: throw refusal("expected the name of an attribute")
    }
    place += 1
    if let constant = constants[name] { return Field(name: name, attribute: .constant(constant)) }
    if name == "path" { return Field(name: name, attribute: .path) }
    if name == "id" { return Field(name: name, attribute: .id(columns)) }
    names.insert(name)
    return Field(name: name, attribute: .named(columns))
  }

  private mutating func value(after what: String) throws(IndexError) -> Filter.Operand {
    defer { place += 1 }
    valueCount += 1
    guard valueCount <= Filter.mostValues * 3 else { throw refusal("it has more than \(Filter.mostValues) values") }
    switch next {
    case .quoted(let text, let quote)? where quote != "`": return .text(text)
    case .word(let word)?:
      switch word.lowercased() {
      case "true": return .bool(true)
      case "false": return .bool(false)
      case "null": throw refusal("null is asked for by 'is null'")
      case "timestamp", "date":
        guard place + 3 < tokens.count, tokens[place + 1] == .symbol("("), case .quoted(let text, by: "'") = tokens[place + 2],
          tokens[place + 3] == .symbol(")"), Instant(text) != nil
        else { throw refusal("expected a time in quotes, as in \(word.lowercased())('2024-06-01')") }
        place += 3
        return .text(text)
      default:
        if let number = Int64(word) { return .integer(number) }
        guard let number = Double(word), number.isFinite else {
          throw refusal("expected a number or a quoted text, not '\(word)'")
        }
        return .number(number)
      }
    default: throw refusal("expected a value after '\(what)'")
    }
  }

  // MARK: Functions

  private mutating func function(_ name: String) throws(IndexError) -> Condition? {
    guard place + 1 < tokens.count, tokens[place + 1] == .symbol("(") else { return nil }
    func begin() { place += 2 }
    let condition: Condition
    switch name {
    case "intersects":
      begin()
      condition = try meeting()
    case "s_intersects", "s_disjoint":
      begin()
      guard takeWord("geometry") || takeWord("footprint"), take(",") else { throw refusal("expected geometry and an area after '\(name)('") }
      let meets = try meeting()
      condition = name == "s_disjoint" ? .all([.hasFootprint, .not(meets)]) : meets
    case "t_after", "t_before", "t_equals", "t_intersects", "t_during":
      begin()
      condition = try time(name)
    case "a_contains", "a_containedby", "a_equals", "a_overlaps":
      begin()
      condition = try list(name)
    default: return nil
    }
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    return condition
  }

  /// The entries that an area meets.
  private mutating func meeting() throws(IndexError) -> Condition {
    guard let geometry = try area() else {
      throw refusal("expected west, south, east, north, or a geometry as WKT or GeoJSON, after 'intersects('")
    }
    return .meets(geometry)
  }

  private static let shapes: Set<String> = ["point", "multipoint", "linestring", "multilinestring", "polygon", "multipolygon"]

  private mutating func area() throws(IndexError) -> Geometry? {
    switch next {
    case .quoted(let text, _)?:
      place += 1
      return Geometry(area: text)
    case .word(let word)? where Self.shapes.contains(word.lowercased()):
      // WKT as it stands: to the parenthesis that closes the first.
      var (text, depth) = (word, 0)
      place += 1
      repeat {
        switch next {
        case .symbol(let symbol)? where ["(", ")", ","].contains(symbol):
          depth += symbol == "(" ? 1 : symbol == ")" ? -1 : 0
          text += symbol
        case .word(let number)?: text += " " + number
        default: return nil
        }
        place += 1
      } while depth > 0
      return Geometry(area: text)
    default: break
    }
    let isNamed = takeWord("bbox")
    if isNamed, !take("(") { return nil }
    var numbers: [Double] = []
    repeat {
      switch try value(after: "intersects(") {
      case .number(let number): numbers.append(number)
      case .integer(let number): numbers.append(Double(number))
      default: throw refusal("expected a number of degrees")
      }
    } while take(",")
    if isNamed, !take(")") { throw refusal("a parenthesis is not closed") }
    // With heights, which nothing here has.
    if numbers.count == 6 { numbers = [numbers[0], numbers[1], numbers[3], numbers[4]] }
    return BoundingBox(numbers)?.geometry
  }

  private mutating func time(_ name: String) throws(IndexError) -> Condition {
    let field = try field()
    guard take(",") else { throw refusal("expected a time after '\(name)(\(field.name)'") }
    let span = try span(after: name)
    let sign: Condition.Sign = name == "t_after" ? .greater : name == "t_before" ? .less : .equal
    return .attribute(field.attribute, .timed(sign, span))
  }

  private mutating func span(after name: String) throws(IndexError) -> Condition.Span {
    func instant(_ value: Filter.Operand) -> Instant? { if case .text(let text) = value { Instant(text) } else { nil } }
    let refused = refusal("expected a time, timestamp('...'), date('...') or interval('...', '...') in '\(name)'")
    guard takeWord("interval") else {
      guard let found = instant(try value(after: name)) else { throw refused }
      return Condition.Span(first: found.first, last: found.last)
    }
    guard take("(") else { throw refused }
    let start = try value(after: "interval(")
    guard take(",") else { throw refused }
    let end = try value(after: "interval(...,")
    guard take(")") else { throw refused }
    let (first, last) = (instant(start)?.first, instant(end)?.last)
    guard first != nil || start == .text(".."), last != nil || end == .text("..") else { throw refused }
    return Condition.Span(first: first ?? .min, last: last ?? .max)
  }

  /// Of an attribute that is a list: whether it has all, no others, the same or one of some values.
  private mutating func list(_ name: String) throws(IndexError) -> Condition {
    let field = try field()
    guard take(","), take("(") else { throw refusal("expected a list after '\(name)(\(field.name)': ('a', 'b')") }
    var values = [try value(after: name)]
    while take(",") { values.append(try value(after: name)) }
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    return .attribute(field.attribute, .list(Condition.ListRelation(rawValue: name)!, values))
  }

  private mutating func comparison() throws(IndexError) -> Condition {
    if case .word(let word)? = next, let condition = try function(word.lowercased()) { return condition }
    let field = try field()
    return .attribute(field.attribute, try test(of: field))
  }

  private mutating func test(of field: Field) throws(IndexError) -> Condition.Test {
    if takeWord("is") {
      let isNot = takeWord("not")
      guard takeWord("null") else { throw refusal("expected null after '\(field.name) is'") }
      return .isNull(!isNot)
    }
    if case .symbol(let text)? = next, let sign = Condition.Sign(text) {
      place += 1
      let value = try value(after: "\(field.name) \(text)")
      if let span = try instant(value, field) { return .timed(sign, span) }
      return .compared(sign, Self.composed(value))
    }
    let isNot = takeWord("not")
    if takeWord("like") {
      guard case .text(let pattern) = try value(after: "\(field.name) like") else {
        throw refusal("expected a quoted text after '\(field.name) like'")
      }
      return .like(Pattern(pattern), isNot: isNot)
    }
    if takeWord("between") {
      let low = try value(after: "\(field.name) between")
      guard takeWord("and") else { throw refusal("expected and after '\(field.name) between'") }
      let high = try value(after: "\(field.name) between ... and")
      guard Self.areAlike(low, high) else { throw refusal("'\(field.name) between' has values of two types") }
      if let first = try instant(low, field), let last = try instant(high, field) {
        return .timed(isNot ? .unequal : .equal, Condition.Span(first: first.first, last: last.last))
      }
      return .between(low, high, isNot: isNot)
    }
    if takeWord("in") { return .isIn(try values(of: field), isNot: isNot) }
    throw refusal("expected = != < <= > >= like, in, between or is after '\(field.name)\(isNot ? " not" : "")'")
  }

  private static func areAlike(_ a: Filter.Operand, _ b: Filter.Operand) -> Bool {
    switch (a, b) {
    case (.text, .text), (.bool, .bool): true
    default: a.isNumber && b.isNumber
    }
  }

  private mutating func values(of field: Field) throws(IndexError) -> Condition.Values {
    guard take("(") else { throw refusal("expected ( after '\(field.name) in'") }
    var (values, count) = (Condition.Values(), 0)
    repeat {
      guard count < Filter.mostValues else { throw refusal("it has more than \(Filter.mostValues) values") }
      count += 1
      let value = try value(after: "\(field.name) in (\(count > 1 ? "..." : "")")
      if let span = try instant(value, field) { values.insert(span) } else { values.insert(value) }
    } while take(",")
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    return values
  }

  /// A text that may be written in several ways, in one of them.
  private static func composed(_ value: Filter.Operand) -> Filter.Operand {
    if case .text(let text) = value { .text(text.composed) } else { value }
  }

  /// The span of a text that is a time. One that looks like a time and is none would be compared as text, in silence.
  private func instant(_ value: Filter.Operand, _ field: Field) throws(IndexError) -> Condition.Span? {
    guard case .text(let text) = value, field.name != "path" else { return nil }
    if let instant = Instant(text) { return Condition.Span(first: instant.first, last: instant.last) }
    let isOfTimes = field.name == "datetime" || field.name.hasSuffix("_datetime")
    if isOfTimes { throw refusal("'\(text)' is no time; say '2024-06-01' or '2024-06-01T12:00:00Z'") }
    return nil
  }
}
