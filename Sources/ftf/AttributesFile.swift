import Foundation
import FTFGeography
import FTFJSON

/// JSON lines: `{"filename": s, ...}`, where the rest is what is known of the image.
struct AttributesFile {
  struct Line {
    var place: JSONLines.Place
    var filename: String
    /// The line's object without `filename`.
    var json: String
  }

  var lines: [Line] = []
  /// What is wrong with the lines that were left out, each naming the file and the line.
  var problems: [String] = []

  init(path: String) throws {
    for (line, problems) in try JSONLines.read(path, "attributes", Self.line) {
      if let line { lines.append(line) }
      self.problems += problems
    }
  }

  @Sendable private static func line(_ place: JSONLines.Place, _ line: Data) -> (Line?, problems: [String]) {
    var (object, problems) = (JSONValue(line)?.members, [String]())
    // A time that is none would never be met by a filter.
    for (key, value) in object ?? [:] where key == "datetime" || key.hasSuffix("_datetime") {
      guard let text = value.text, Instant(text) == nil else { continue }
      problems.append("\(place): \(key) '\(text)' is no time, and is left out; expected 2024-06-01 or 2024-06-01T12:00:00Z")
      object?[key] = nil
    }
    guard let filename = object?.removeValue(forKey: "filename")?.text, !filename.isEmpty, let object else {
      return (nil, problems + ["\(place): not a line of attributes; expected {\"filename\": ..., \"name\": value, ...}"])
    }
    return (Line(place: place, filename: filename, json: JSONValue.object(object).json), problems)
  }
}
