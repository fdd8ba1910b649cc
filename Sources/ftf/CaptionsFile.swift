import Foundation

/// JSON lines: `{"filename": s, "split": "train|val|test", "captions": [s, ...], "class": s}`; the split and the class may be left out.
struct CaptionsFile {
  struct Line: Decodable {
    var filename: String
    var split: String?
    var captions: [String]
    var `class`: String?

    /// What kind of scene it is: `airport` of `airport_12.jpg` where the line says none, as the field's data sets name their files.
    var kind: String? {
      if let `class` { return `class` }
      let name = filename.split(separator: "/").last ?? ""
      return name.firstMatch(of: /^(.+)_\d+\.\w+$/).map { String($0.1) }
    }
  }

  var lines: [Line] = []
  /// What is wrong with the lines that were left out, each naming the file and the line.
  var problems: [String] = []

  init(path: String) throws {
    let read = try JSONLines.read(path, "captions") { place, line in (place, line: try? JSONDecoder().decode(Line.self, from: line)) }
    lines = read.compactMap(\.line)
    problems = read.filter { $0.line == nil }.map {
      "\($0.0): not a caption line; expected {\"filename\": ..., \"split\": ..., \"captions\": [...]}"
    }
  }
}
