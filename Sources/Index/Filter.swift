import GRDB

/// A condition on the attributes of images, such as `year >= 2020 and (sensor = 'S2' or not cloudy = true)`.
///
/// | rule | is |
/// |---|---|
/// | condition | all { `or` all } |
/// | all | part { `and` part } |
/// | part | `not` part, `(` condition `)`, or name operator value |
/// | name | letters, digits and `_ - .`, where a dot goes into an object; `path` is the image's own |
/// | operator | `= != < <= > >= like`; `like` has `%` and `_` for any characters and one |
/// | value | a number, `'text'` or `"text"`, `true`, `false` |
///
/// A comparison with an attribute that an image lacks, or that has another type, does not hold.
package struct Filter: Sendable {
  /// A condition on `sources.path` and `attributes.json`.
  let sql: String
  let arguments: [Operand]

  enum Operand: Sendable, Equatable {
    case number(Double)
    case text(String)

    var value: any DatabaseValueConvertible {
      switch self {
      case .number(let number): number
      case .text(let text): text
      }
    }
  }

  package init(_ text: String) throws(IndexError) {
    var parser = FilterParser(text)
    sql = try parser.condition(depth: 0)
    guard parser.next == nil else { throw parser.refusal("expected and, or, or the end") }
    arguments = parser.arguments
  }
}

private struct FilterParser {
  enum Token: Equatable {
    case word(String)
    case text(String)
    case symbol(String)
  }

  private let source: String
  private var tokens: [Token] = []
  private var place = 0
  private var failure: String?
  var arguments: [Filter.Operand] = []

  var next: Token? { place < tokens.count ? tokens[place] : nil }

  init(_ source: String) {
    self.source = source
    var rest = Substring(source)
    while let first = rest.first {
      if first.isWhitespace {
        rest.removeFirst()
      } else if first == "'" || first == "\"" {
        guard let end = rest.dropFirst().firstIndex(of: first) else {
          failure = "a quote is not closed"
          return
        }
        tokens.append(.text(String(rest[rest.index(after: rest.startIndex)..<end])))
        rest = rest[rest.index(after: end)...]
      } else if Self.isPart(first) {
        let word = rest.prefix(while: Self.isPart)
        tokens.append(.word(String(word)))
        rest = rest.dropFirst(word.count)
      } else {
        let pair = String(rest.prefix(2))
        let symbol = ["!=", "<=", ">="].contains(pair) ? pair : String(first)
        tokens.append(.symbol(symbol))
        rest = rest.dropFirst(symbol.count)
      }
    }
  }

  private static func isPart(_ c: Character) -> Bool { c.isLetter || c.isNumber || "_-.+".contains(c) }

  func refusal(_ reason: String) -> IndexError { .badFilter(text: source, reason: failure ?? reason) }

  private mutating func take(_ token: Token) -> Bool {
    guard next == token else { return false }
    place += 1
    return true
  }

  private mutating func takeWord(_ word: String) -> Bool {
    guard case .word(let found)? = next, found.lowercased() == word else { return false }
    place += 1
    return true
  }

  mutating func condition(depth: Int) throws(IndexError) -> String {
    guard depth < 100, failure == nil else { throw refusal("it is nested too deeply") }
    var parts = [try all(depth: depth)]
    while takeWord("or") { parts.append(try all(depth: depth)) }
    return "(" + parts.joined(separator: " OR ") + ")"
  }

  private mutating func all(depth: Int) throws(IndexError) -> String {
    var parts = [try part(depth: depth)]
    while takeWord("and") { parts.append(try part(depth: depth)) }
    return parts.joined(separator: " AND ")
  }

  private mutating func part(depth: Int) throws(IndexError) -> String {
    guard depth < 100 else { throw refusal("it is nested too deeply") }
    if takeWord("not") { return "NOT coalesce(\(try part(depth: depth + 1)), 0)" }
    if take(.symbol("(")) {
      let inner = try condition(depth: depth + 1)
      guard take(.symbol(")")) else { throw refusal("a parenthesis is not closed") }
      return inner
    }
    return try comparison()
  }

  private mutating func comparison() throws(IndexError) -> String {
    guard case .word(let name)? = next else { throw refusal("expected the name of an attribute") }
    place += 1
    let sign: String
    switch next {
    case .symbol(let symbol)? where ["=", "!=", "<", "<=", ">", ">="].contains(symbol): sign = symbol
    case .word(let word)? where word.lowercased() == "like": sign = "LIKE"
    default: throw refusal("expected = != < <= > >= or like after '\(name)'")
    }
    place += 1
    let value: Filter.Operand
    switch next {
    case .text(let text)?: value = .text(text)
    case .word("true")?: value = .number(1)
    case .word("false")?: value = .number(0)
    case .word(let word)?:
      guard let number = Double(word), number.isFinite else {
        throw refusal("expected a number or a quoted text, not '\(word)'")
      }
      value = .number(number)
    default: throw refusal("expected a value after '\(name) \(sign)'")
    }
    place += 1
    return comparison(name, sign, value)
  }

  /// SQLite orders every number before every text: a comparison of one with the other has to be refused first.
  private mutating func comparison(_ name: String, _ sign: String, _ value: Filter.Operand) -> String {
    let types = if case .text = value { "('text')" } else { "('integer', 'real')" }
    guard name != "path" else {
      arguments.append(value)
      return "(typeof(sources.path) IN \(types) AND sources.path \(sign) ?)"
    }
    let key = Filter.Operand.text("$" + name.split(separator: ".").map { ".\"\($0)\"" }.joined())
    arguments += [key, key, value]
    let field = "json_extract(attributes.json, ?)"
    return "(typeof(\(field)) IN \(types) AND \(field) \(sign) ?)"
  }
}
