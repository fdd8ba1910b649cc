import Foundation
import FTFJSON

/// JSON of what `JSONSerialization` takes, and of `JSONValue` in it, with keys in the order of their bytes.
package enum JSONText {
  package static func of(_ value: Any) -> String {
    var writer = JSONWriter()
    append(value, to: &writer)
    return writer.text
  }

  private static func append(_ value: Any, to writer: inout JSONWriter) {
    switch value {
    case let value as String: writer.append(value)
    case let value as JSONValue: writer.append(value)
    case let value as [String: Any]:
      writer.sign("{")
      for (i, (key, member)) in value.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }).enumerated() {
        if i > 0 { writer.sign(",") }
        writer.append(key)
        writer.sign(":")
        append(member, to: &writer)
      }
      writer.sign("}")
    case let value as [JSONValue]: writer.append(.list(value))
    case let value as [Any]:
      writer.sign("[")
      for (i, item) in value.enumerated() {
        if i > 0 { writer.sign(",") }
        append(item, to: &writer)
      }
      writer.sign("]")
    case is NSNull: writer.sign("null")
    default: number(value, to: &writer)
    }
  }

  /// By its own type first: a cast to another would take 1 for true.
  private static func number(_ value: Any, to writer: inout JSONWriter) {
    if type(of: value) == Int.self { return writer.append(Int64(value as! Int)) }
    if type(of: value) == Int64.self { return writer.append(value as! Int64) }
    if type(of: value) == Bool.self { return writer.append(value as! Bool) }
    if type(of: value) == Float.self { return writer.append(value as! Float) }
    if type(of: value) == Double.self { return writer.append(value as! Double) }
    guard let value = value as? NSNumber else { preconditionFailure("JSON has no \(type(of: value))") }
    if value.isBool { return writer.append(value.boolValue) }
    value.isWhole ? writer.append(value.int64Value) : writer.append(value.doubleValue)
  }
}
