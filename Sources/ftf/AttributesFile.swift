import Foundation
import FTFGeography
import FTFJSON

/// JSON lines: `{"filename": s, ...}`, where the rest is what is known of the image.
struct AttributesFile {
  struct Line {
    /// File and line, for errors.
    var place: String
    var filename: String
    /// The line's object without `filename`.
    var json: String
  }

  var lines: [Line] = []
  /// What is wrong with the lines that were left out, each naming the file and the line.
  var problems: [String] = []

  init(path: String) throws {
    try JSONLines.read(path, "attributes") { place, line in
      var object = JSONValue(line)?.members
      // A time that is none would never be met by a filter.
      for (key, value) in object ?? [:] where key == "datetime" || key.hasSuffix("_datetime") {
        guard let text = value.text, Instant(text) == nil else { continue }
        problems.append("\(place): \(key) '\(text)' is no time, and is left out; expected 2024-06-01 or 2024-06-01T12:00:00Z")
        object?[key] = nil
      }
      guard let filename = object?.removeValue(forKey: "filename")?.text, !filename.isEmpty, let object else {
        problems.append("\(place): not a line of attributes; expected {\"filename\": ..., \"name\": value, ...}")
        return
      }
      lines.append(Line(place: place, filename: filename, json: JSONValue.object(object).json))
    }
  }
}
