import Foundation
import FTFGeography
import FTFJSON

/// What is known of an image by a name, as filters compare it.
public enum AttributeValue: Sendable, Hashable {
  case whole(Int64)
  case number(Double)
  case text(String)
  /// Stored as ISO 8601 in UTC, to the millisecond.
  case instant(Date)
  case bool(Bool)
  case null
}

extension [String: AttributeValue] {
  /// From a JSON object; lists and objects in it are left out, and texts that are times stay texts.
  ///
  /// - Returns: nil for what is no JSON object.
  public init?(json: String) {
    guard let members = JSONValue(json)?.members else { return nil }
    self = members.compactMapValues { value in
      switch value {
      case .null: .null
      case .text(let text): .text(text)
      case .bool(let value): .bool(value)
      case .whole(let value): .whole(value)
      case .number(let value): .number(value)
      case .single, .list, .object: nil
      }
    }
  }

  /// As a JSON object with its keys in order.
  ///
  /// - Throws: `badInput` for a number that is not finite, which JSON has not.
  public func json() throws(FastThenFineError) -> String {
    var members: [String: JSONValue] = [:]
    for (name, value) in self {
      switch value {
      case .whole(let value): members[name] = .whole(value)
      case .number(let value):
        guard value.isFinite else { throw FastThenFineError(.badInput, "the attribute \(name) is \(value), which is no number that is kept") }
        members[name] = .number(value)
      case .text(let value): members[name] = .text(value)
      case .instant(let value): members[name] = .text(value.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
      case .bool(let value): members[name] = .bool(value)
      case .null: members[name] = .null
      }
    }
    return JSONValue.object(members).json
  }
}

extension NSNumber {
  /// A number that was written without a fraction and that 64 bits hold.
  package var isWhole: Bool { unsafe ["q", "i", "l", "s", "C", "S", "I", "L"].contains(String(cString: objCType)) }

  /// JSON's true and false come as numbers.
  package var isBool: Bool { unsafe ["c", "B"].contains(String(cString: objCType)) }
}
