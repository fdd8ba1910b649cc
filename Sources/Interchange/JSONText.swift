import FastThenFine
import Foundation

/// JSON of what `JSONSerialization` takes, with keys in the order of their bytes. That one sorts keys by a language's rules, which was two thirds of the
/// time of a long answer.
package enum JSONText {
  package static func of(_ value: Any) -> String {
    var text = ""
    append(value, to: &text)
    return text
  }

  private static func append(_ value: Any, to text: inout String) {
    switch value {
    case let value as String: append(value, to: &text)
    case let value as [String: Any]:
      text += "{"
      for (i, (key, member)) in value.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }).enumerated() {
        if i > 0 { text += "," }
        append(key, to: &text)
        text += ":"
        append(member, to: &text)
      }
      text += "}"
    case let value as [Any]:
      text += "["
      for (i, item) in value.enumerated() {
        if i > 0 { text += "," }
        append(item, to: &text)
      }
      text += "]"
    case is NSNull: text += "null"
    default: text += number(value)
    }
  }

  /// By its own type first: a cast to another would take 1 for true.
  private static func number(_ value: Any) -> String {
    if type(of: value) == Int.self || type(of: value) == Int64.self { return "\(value)" }
    if type(of: value) == Bool.self { return value as! Bool ? "true" : "false" }
    if type(of: value) == Float.self { return number(Double(value as! Float), "\(value)") }
    if type(of: value) == Double.self { return number(value as! Double, "\(value)") }
    guard let value = value as? NSNumber else { preconditionFailure("JSON has no \(type(of: value))") }
    if value.isBool { return value.boolValue ? "true" : "false" }
    return value.isWhole ? "\(value.int64Value)" : number(value.doubleValue, "\(value.doubleValue)")
  }

  /// JSON has no other numbers than finite ones.
  private static func number(_ value: Double, _ text: String) -> String {
    guard value.isFinite else { return "null" }
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  private static func append(_ string: String, to text: inout String) {
    text += "\""
    if string.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      text += string
    } else {
      for scalar in string.unicodeScalars {
        switch scalar {
        case "\"": text += "\\\""
        case "\\": text += "\\\\"
        case "\n": text += "\\n"
        case "\r": text += "\\r"
        case "\t": text += "\\t"
        case _ where scalar.value < 0x20: text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        default: text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}
