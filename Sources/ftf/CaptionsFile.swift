import Foundation

/// JSON lines: `{"filename": s, "split": "train|val|test", "captions": [s, ...]}`.
struct CaptionsFile {
  struct Line: Decodable {
    var filename: String
    var split: String?
    var captions: [String]
  }

  var lines: [Line] = []
  /// What is wrong with the lines that were left out, each naming the file and the line.
  var problems: [String] = []

  init(path: String) throws {
    let decoder = JSONDecoder()
    try JSONLines.read(path, "captions") { place, line in
      do {
        lines.append(try decoder.decode(Line.self, from: line))
      } catch {
        problems.append(
          "\(place): not a caption line; expected {\"filename\": ..., \"split\": ..., \"captions\": [...]}")
      }
    }
  }
}
