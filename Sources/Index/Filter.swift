import Foundation
import GRDB
import Geography
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
  /// A condition on `known` and `entries`.
  let sql: String
  let arguments: [Operand]

  enum Operand: Sendable, Equatable {
    case integer(Int64)
    case number(Double)
    case text(String)
    case bool(Bool)

    var value: any DatabaseValueConvertible {
      switch self {
      case .integer(let number): number
      case .number(let number): number
      case .text(let text): text
      case .bool(let bool): bool
      }
    }

    /// The names that SQLite has for its type.
    var types: String {
      switch self {
      case .integer, .number: "('integer', 'real')"
      case .text: "('text')"
      case .bool: "('true', 'false')"
      }
    }
  }

  /// The attributes that it names.
  let names: Set<String>

  /// `compared(text, first, last)`: -1, 0 or 1 where the text is a time before, in or after a span of microseconds since 1970; nil where
  /// it is none.
  static let compared = DatabaseFunction("compared", argumentCount: 3, pure: true) { values in
    guard let text = String.fromDatabaseValue(values[0]), let instant = Instant(text), let first = Int64.fromDatabaseValue(values[1]),
      let last = Int64.fromDatabaseValue(values[2])
    else { return nil }
    return instant.first < first ? -1 : instant.first > last ? 1 : 0
  }

  /// `instant(text)`: microseconds since 1970; nil where the text is no time.
  static let instant = DatabaseFunction("instant", argumentCount: 1, pure: true) { values in
    String.fromDatabaseValue(values[0]).flatMap { Instant($0)?.first }
  }

  /// `composed(text)`: in one of the ways in which a text may be written (NFC).
  static let composed = DatabaseFunction("composed", argumentCount: 1, pure: true) { values in
    String.fromDatabaseValue(values[0])?.precomposedStringWithCanonicalMapping
  }

  /// `meets(footprint, area)`: whether two GeoJSON geometries have a place in common.
  static let meets = DatabaseFunction("meets", argumentCount: 2, pure: true) { values in
    guard let footprint = String.fromDatabaseValue(values[0]).flatMap({ Geometry(geoJSON: $0) }),
      let text = String.fromDatabaseValue(values[1])
    else { return false }
    // The same area for every row of a query.
    let area = lastArea.withLock { last in
      if last?.text != text { last = Geometry(geoJSON: text).map { (text, $0) } }
      return last?.area
    }
    return area.map(footprint.intersects) ?? false
  }

  private static let lastArea = Mutex<(text: String, area: Geometry)?>(nil)

  /// More than a filter that somebody wrote has.
  static let longest = 1 << 20
  static let mostValues = 50_000

  /// - Parameter constants: names that are no attributes, and what each is for all images.
  package init(_ text: String, constants: [String: String] = [:]) throws(IndexError) {
    var parser = FilterParser(text, constants: constants)
    sql = try parser.condition(depth: 0)
    guard parser.next == nil else { throw parser.refusal("expected and, or, or the end") }
    (arguments, names) = (parser.arguments, parser.names)
  }

  /// `like(pattern, text)` beyond ASCII: characters are equal in any case and in any composition.
  static let like = DatabaseFunction("folded_like", argumentCount: 2, pure: true) { values in
    guard let pattern = String.fromDatabaseValue(values[0]), let text = String.fromDatabaseValue(values[1]) else { return nil }
    return matches(Array(pattern.lowercased()), Array(text.lowercased()))
  }

  static func matches(_ pattern: [Character], _ text: [Character]) -> Bool {
    var (p, t) = (0, 0)
    // Where the last % stands, and what of the text it has taken.
    var last: (pattern: Int, text: Int)?
    while t < text.count {
      if p < pattern.count, pattern[p] == "%" {
        last = (p, t)
        p += 1
      } else if p < pattern.count, pattern[p] == "_" || pattern[p] == text[t] {
        (p, t) = (p + 1, t + 1)
      } else if let back = last {
        last = (back.pattern, back.text + 1)
        (p, t) = (back.pattern + 1, back.text + 1)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "%" }
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
  var arguments: [Filter.Operand] = []
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

  mutating func condition(depth: Int) throws(IndexError) -> String {
    guard failure == nil else { throw refusal("") }
    guard depth < 100 else { throw refusal("it is nested too deeply") }
    var parts = [try all(depth: depth)]
    while takeWord("or") { parts.append(try all(depth: depth)) }
    return Self.joined(parts[...], by: " OR ")
  }

  private mutating func all(depth: Int) throws(IndexError) -> String {
    var parts = [try part(depth: depth)]
    while takeWord("and") { parts.append(try part(depth: depth)) }
    return Self.joined(parts[...], by: " AND ")
  }

  /// As a balanced tree: SQLite has a limit on the depth of one.
  private static func joined(_ parts: ArraySlice<String>, by word: String) -> String {
    guard parts.count > 1 else { return parts.first! }
    let half = parts.startIndex + parts.count / 2
    return "(" + joined(parts[..<half], by: word) + word + joined(parts[half...], by: word) + ")"
  }

  private mutating func part(depth: Int) throws(IndexError) -> String {
    guard depth < 100 else { throw refusal("it is nested too deeply") }
    if takeWord("not") { return "NOT coalesce(\(try part(depth: depth + 1)), 0)" }
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
    /// SQL of the value and of the name of its type.
    var value: String
    var type: String
    /// What both have to be given.
    var arguments: [Filter.Operand]
  }

  private mutating func field() throws(IndexError) -> Field {
    let name: String
    var keys: [String] = []
    switch next {
    case .word(let whole)?:
      let word = whole.hasPrefix("properties.") ? String(whole.dropFirst("properties.".count)) : whole
      name = word
      // A dot is part of a key, or goes into an object.
      keys = ["$.\"\(word)\""]
      if word.contains(".") { keys.append("$" + word.split(separator: ".").map { ".\"\($0)\"" }.joined()) }
    case .quoted(let text, let quote)? where quote != "'":
      guard !text.contains("\"") else { throw refusal("a name cannot hold a double quote") }
      (name, keys) = (text, ["$.\"\(text)\""])
    default: throw refusal("expected the name of an attribute")
    }
    place += 1
    if let constant = constants[name] { return Field(name: name, value: "?", type: "typeof(?)", arguments: [.text(constant)]) }
    if name != "path", name != "id" { names.insert(name) }
    if name == "path" { return Field(name: name, value: "known.path", type: "typeof(known.path)", arguments: []) }
    func first(_ function: String) -> String {
      keys.count == 1
        ? "\(function)(known.json, ?)"
        : "coalesce(\(function)(known.json, ?), \(function)(known.json, ?))"
    }
    if name == "id" {
      let (value, type) = (first("json_extract"), first("json_type"))
      return Field(
        name: name, value: "coalesce(\(value), CAST(entries.id AS TEXT))", type: "coalesce(\(type), 'text')", arguments: keys.map { .text($0) })
    }
    return Field(name: name, value: first("json_extract"), type: first("json_type"), arguments: keys.map { .text($0) })
  }

  private mutating func value(after what: String) throws(IndexError) -> Filter.Operand {
    defer { place += 1 }
    guard arguments.count < Filter.mostValues * 3 else { throw refusal("it has more than \(Filter.mostValues) values") }
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

  private mutating func function(_ name: String) throws(IndexError) -> String? {
    guard place + 1 < tokens.count, tokens[place + 1] == .symbol("(") else { return nil }
    func begin() { place += 2 }
    let sql: String
    switch name {
    case "intersects":
      begin()
      sql = try meeting()
    case "s_intersects", "s_disjoint":
      begin()
      guard takeWord("geometry") || takeWord("footprint"), take(",") else { throw refusal("expected geometry and an area after '\(name)('") }
      let meets = try meeting()
      sql = name == "s_disjoint" ? "(entries.footprint IS NOT NULL AND NOT \(meets))" : meets
    case "t_after", "t_before", "t_equals", "t_intersects", "t_during":
      begin()
      sql = try time(name)
    case "a_contains", "a_containedby", "a_equals", "a_overlaps":
      begin()
      sql = try list(name)
    default: return nil
    }
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    return sql
  }

  /// The entries that an area meets.
  private mutating func meeting() throws(IndexError) -> String {
    guard let geometry = try area() else {
      throw refusal("expected west, south, east, north, or a geometry as WKT or GeoJSON, after 'intersects('")
    }
    let boxes = geometry.boxes
    let limits: [Filter.Operand] = boxes.flatMap { [.number($0.west), .number($0.east), .number($0.south), .number($0.north)] }
    let near = boxes.map { _ in "(east >= ? AND west <= ? AND north >= ? AND south <= ?)" }.joined(separator: " OR ")
    let looked = "(entries.id IN (SELECT entry FROM places WHERE \(near)) AND meets(entries.footprint, ?))"
    // What lies in a box with all of its own box need not be looked at.
    guard boxes.allSatisfy({ box in geometry.polygons.contains { Geometry(polygons: [$0]).isBox && box == Geometry(polygons: [$0]).boxes[0] } })
    else {
      arguments += limits + [.text(geometry.geoJSON)]
      return looked
    }
    arguments += limits + limits + [.text(geometry.geoJSON)]
    let inside = boxes.map { _ in "(west >= ? AND east <= ? AND south >= ? AND north <= ?)" }.joined(separator: " OR ")
    // The sign keeps SQLite from looking up both sides by themselves, and at the geometry of all that the second finds.
    return "(+entries.id IN (SELECT entry FROM places WHERE \(inside)) OR (+\(looked.dropFirst()))"
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

  private mutating func time(_ name: String) throws(IndexError) -> String {
    let field = try field()
    guard take(",") else { throw refusal("expected a time after '\(name)(\(field.name)'") }
    let (first, last) = try span(after: name)
    switch name {
    case "t_after": return hold(field, (first, last), "> 0")
    case "t_before": return hold(field, (first, last), "< 0")
    default: return hold(field, (first, last), "= 0")
    }
  }

  private mutating func span(after name: String) throws(IndexError) -> (Int64, Int64) {
    func instant(_ value: Filter.Operand) -> Instant? { if case .text(let text) = value { Instant(text) } else { nil } }
    let refused = refusal("expected a time, timestamp('...'), date('...') or interval('...', '...') in '\(name)'")
    guard takeWord("interval") else {
      guard let found = instant(try value(after: name)) else { throw refused }
      return (found.first, found.last)
    }
    guard take("(") else { throw refused }
    let start = try value(after: "interval(")
    guard take(",") else { throw refused }
    let end = try value(after: "interval(...,")
    guard take(")") else { throw refused }
    let (first, last) = (instant(start)?.first, instant(end)?.last)
    guard first != nil || start == .text(".."), last != nil || end == .text("..") else { throw refused }
    return (first ?? .min, last ?? .max)
  }

  /// Of an attribute that is a list: whether it has all, no others, the same or one of some values.
  private mutating func list(_ name: String) throws(IndexError) -> String {
    let field = try field()
    guard take(","), take("(") else { throw refusal("expected a list after '\(name)(\(field.name)': ('a', 'b')") }
    var values = [try value(after: name)]
    while take(",") { values.append(try value(after: name)) }
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    let key = field.arguments.count == 1 ? "?" : "CASE WHEN json_type(known.json, ?) IS NULL THEN ? ELSE ? END"
    let keys = field.arguments.count == 1 ? field.arguments : [field.arguments[0], field.arguments[1], field.arguments[0]]
    func each(_ condition: String) -> String { "EXISTS (SELECT 1 FROM json_each(known.json, \(key)) AS item WHERE \(condition))" }
    var parts: [String] = []
    arguments += field.arguments
    if name == "a_contains" || name == "a_equals" {
      for value in values {
        arguments += keys + [value]
        parts.append(each("item.type IN \(value.types) AND item.value = ?"))
      }
    }
    if name == "a_overlaps" {
      arguments += keys + values
      parts.append(each("item.value IN (\(values.map { _ in "?" }.joined(separator: ", ")))"))
    }
    if name == "a_containedby" || name == "a_equals" {
      arguments += keys + values
      parts.append("NOT " + each("item.value NOT IN (\(values.map { _ in "?" }.joined(separator: ", ")))"))
    }
    return "(\(field.type) = 'array' AND \(Self.joined(parts[...], by: " AND ")))"
  }

  private mutating func comparison() throws(IndexError) -> String {
    if case .word(let word)? = next, let sql = try function(word.lowercased()) { return sql }
    let field = try field()
    if takeWord("is") {
      let isNot = takeWord("not")
      guard takeWord("null") else { throw refusal("expected null after '\(field.name) is'") }
      arguments += field.arguments
      return "(coalesce(\(field.type), 'null') \(isNot ? "!=" : "=") 'null')"
    }
    if case .symbol(let sign)? = next, ["=", "==", "!=", "<>", "<", "<=", ">", ">="].contains(sign) {
      place += 1
      let value = try value(after: "\(field.name) \(sign)")
      if let instant = try instant(value, field) { return hold(field, instant, "\(sign) 0") }
      if ["=", "==", "!=", "<>"].contains(sign), let composed = Self.composed(value) {
        return hold(field, [composed]) { "composed(\($0)) \(sign) ?" }
      }
      return hold(field, [value]) { "\($0) \(sign) ?" }
    }
    let isNot = takeWord("not")
    let not = isNot ? "NOT " : ""
    if takeWord("like") {
      let pattern = try value(after: "\(field.name) like")
      guard case .text = pattern else { throw refusal("expected a quoted text after '\(field.name) like'") }
      // The pattern stands before the value.
      arguments += field.arguments + [pattern] + field.arguments
      return "(\(field.type) = 'text' AND \(not)folded_like(?, \(field.value)))"
    }
    if takeWord("between") {
      let low = try value(after: "\(field.name) between")
      guard takeWord("and") else { throw refusal("expected and after '\(field.name) between'") }
      let high = try value(after: "\(field.name) between ... and")
      guard low.types == high.types else { throw refusal("'\(field.name) between' has values of two types") }
      if let first = try instant(low, field), let last = try instant(high, field) {
        return hold(field, (first.first, last.last), isNot ? "!= 0" : "= 0")
      }
      return hold(field, [low, high]) { "\($0) \(not)BETWEEN ? AND ?" }
    }
    if takeWord("in") { return try list(field, isNot: isNot) }
    throw refusal("expected = != < <= > >= like, in, between or is after '\(field.name)\(isNot ? " not" : "")'")
  }

  private mutating func list(_ field: Field, isNot: Bool) throws(IndexError) -> String {
    guard take("(") else { throw refusal("expected ( after '\(field.name) in'") }
    var values = [try value(after: "\(field.name) in (")]
    while take(",") {
      guard values.count < Filter.mostValues else { throw refusal("it has more than \(Filter.mostValues) values") }
      values.append(try value(after: "\(field.name) in (..."))
    }
    guard take(")") else { throw refusal("a parenthesis is not closed") }
    var groups: [String] = []
    var plain: [Filter.Operand] = []
    for value in values {
      if let instant = try instant(value, field) {
        groups.append(hold(field, instant, "= 0"))
      } else if let composed = Self.composed(value) {
        groups.append(hold(field, [composed]) { "composed(\($0)) = ?" })
      } else {
        plain.append(value)
      }
    }
    values = plain
    for types in Set(values.map(\.types)).sorted() {
      let same = values.filter { $0.types == types }
      groups.append(hold(field, same) { "\($0) IN (\(same.map { _ in "?" }.joined(separator: ", ")))" })
    }
    let isIn = Self.joined(groups[...], by: " OR ")
    guard isNot else { return isIn }
    arguments += field.arguments
    return "(NOT coalesce(\(isIn), 0) AND coalesce(\(field.type), 'null') != 'null')"
  }

  /// A text that may be written in several ways, in one of them: nil for ASCII, and for what is no text.
  private static func composed(_ value: Filter.Operand) -> Filter.Operand? {
    guard case .text(let text) = value, !text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    return .text(text.precomposedStringWithCanonicalMapping)
  }

  /// The span of a text that is a time. One that looks like a time and is none would be compared as text, in silence.
  private func instant(_ value: Filter.Operand, _ field: Field) throws(IndexError) -> (first: Int64, last: Int64)? {
    guard case .text(let text) = value, field.name != "path" else { return nil }
    if let instant = Instant(text) { return (instant.first, instant.last) }
    let isOfTimes = field.name == "datetime" || field.name.hasSuffix("_datetime")
    if isOfTimes { throw refusal("'\(text)' is no time; say '2024-06-01' or '2024-06-01T12:00:00Z'") }
    return nil
  }

  private mutating func hold(_ field: Field, _ span: (first: Int64, last: Int64), _ condition: String) -> String {
    arguments += field.arguments + field.arguments + [.integer(span.first), .integer(span.last)]
    return "(\(field.type) = 'text' AND compared(\(field.value), ?, ?) \(condition))"
  }

  /// SQLite orders every number before every text and takes true for 1: a comparison of one type with another has to be refused first.
  private mutating func hold(_ field: Field, _ values: [Filter.Operand], _ condition: (String) -> String) -> String {
    arguments += field.arguments + field.arguments + values
    return "(\(field.type) IN \(values[0].types) AND \(condition(field.value)))"
  }
}
