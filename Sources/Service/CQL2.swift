#if Serve
import Foundation

/// A condition in CQL2's JSON (OGC 21-065), written as its text, so that there is one grammar.
enum CQL2 {
  private static let refusal = Problem(.badRequest, "bad_filter", "the filter is no CQL2 that is known here")
  private static let mostDepth = 50

  static func text(_ value: Any) throws -> String { try condition(value, 0) }

  private static func condition(_ value: Any, _ depth: Int) throws -> String {
    guard depth < mostDepth, let object = value as? [String: Any], let name = (object["op"] as? String)?.lowercased(),
      let arguments = object["args"] as? [Any], !arguments.isEmpty
    else { throw refusal }
    switch name {
    case "and", "or": return "(" + (try arguments.map { try condition($0, depth + 1) }.joined(separator: " \(name) ")) + ")"
    case "not": return "not (\(try condition(arguments[0], depth + 1)))"
    case "isnull": return "\(try property(arguments[0])) is null"
    case "=", "<>", "<", "<=", ">", ">=", "like":
      guard arguments.count == 2 else { throw refusal }
      return "\(try property(arguments[0])) \(name) \(try literal(arguments[1]))"
    case "between":
      // The bounds one after the other, or as a list, as drafts had it.
      let bounds = arguments.count == 2 ? arguments[1] as? [Any] ?? [] : Array(arguments.dropFirst())
      guard bounds.count == 2 else { throw refusal }
      return "\(try property(arguments[0])) between \(try literal(bounds[0])) and \(try literal(bounds[1]))"
    case "in":
      guard arguments.count == 2, let values = arguments[1] as? [Any], !values.isEmpty else { throw refusal }
      return "\(try property(arguments[0])) in (\(try values.map(literal).joined(separator: ", ")))"
    case "s_intersects", "s_disjoint":
      guard arguments.count == 2 else { throw refusal }
      return "\(name)(\(try property(arguments[0])), \(try area(arguments[1])))"
    case "t_after", "t_before", "t_equals", "t_intersects", "t_during":
      guard arguments.count == 2 else { throw refusal }
      return "\(name)(\(try property(arguments[0])), \(try literal(arguments[1])))"
    case "a_contains", "a_containedby", "a_equals", "a_overlaps":
      guard arguments.count == 2, let values = arguments[1] as? [Any], !values.isEmpty else { throw refusal }
      return "\(name)(\(try property(arguments[0])), (\(try values.map(literal).joined(separator: ", "))))"
    default: throw Problem(.badRequest, "bad_filter", "the filter has '\(name.prefix(40))', which is not known here")
    }
  }

  private static func property(_ value: Any) throws -> String {
    guard let name = (value as? [String: Any])?["property"] as? String, !name.isEmpty, !name.contains("\"") else { throw refusal }
    let isPlain = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.:".contains($0)) } && name.first?.isLetter == true
    return isPlain ? name : "\"\(name)\""
  }

  private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

  private static func literal(_ value: Any) throws -> String {
    switch value {
    case let text as String: return quoted(text)
    case let number as NSNumber: return number.isBool ? (number.boolValue ? "true" : "false") : "\(number)"
    case let object as [String: Any]:
      if let time = object["timestamp"] as? String ?? object["date"] as? String { return "timestamp(\(quoted(time)))" }
      guard let ends = object["interval"] as? [Any], ends.count == 2 else { throw refusal }
      return "interval(" + (try ends.map(literal).joined(separator: ", ")) + ")"
    default: throw refusal
    }
  }

  private static func area(_ value: Any) throws -> String {
    guard let object = value as? [String: Any] else { throw refusal }
    if let box = object["bbox"] as? [NSNumber] { return "bbox(\(box.map { "\($0)" }.joined(separator: ", ")))" }
    return quoted(String(decoding: JSON.data(object), as: UTF8.self))
  }
}
#endif
