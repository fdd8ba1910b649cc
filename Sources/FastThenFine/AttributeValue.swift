import Foundation
import FTFGeography

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
    guard let object = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] else { return nil }
    self = object.compactMapValues { value in
      switch value {
      case is NSNull: .null
      case let text as String: .text(text)
      case let number as NSNumber where number.isBool: .bool(number.boolValue)
      case let number as NSNumber: number.isWhole ? .whole(number.int64Value) : .number(number.doubleValue)
      default: nil
      }
    }
  }

  /// As a JSON object with its keys in order.
  ///
  /// - Throws: `badInput` for a number that is not finite, which JSON has not.
  public func json() throws(FastThenFineError) -> String {
    var object: [String: Any] = [:]
    for (name, value) in self {
      switch value {
      case .whole(let value): object[name] = value
      case .number(let value):
        guard value.isFinite else { throw FastThenFineError(.badInput, "the attribute \(name) is \(value), which is no number that is kept") }
        object[name] = value
      case .text(let value): object[name] = value
      case .instant(let value): object[name] = value.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
      case .bool(let value): object[name] = value
      case .null: object[name] = NSNull()
      }
    }
    return try FastThenFineError.wrapping {
      String(decoding: try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes]), as: UTF8.self)
    }
  }
}

extension NSNumber {
  /// A number that was written without a fraction and that 64 bits hold.
  package var isWhole: Bool { unsafe ["q", "i", "l", "s", "C", "S", "I", "L"].contains(String(cString: objCType)) }

  /// JSON's true and false come as numbers.
  package var isBool: Bool { unsafe ["c", "B"].contains(String(cString: objCType)) }
}
