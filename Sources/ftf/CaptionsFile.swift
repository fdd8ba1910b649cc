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
    let text: String
    do {
      text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
    } catch {
      throw Failure("\(path): the captions cannot be read; give a UTF-8 file of JSON lines")
    }
    let decoder = JSONDecoder()
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      do {
        lines.append(try decoder.decode(Line.self, from: Data(line.utf8)))
      } catch {
        problems.append(
          "\(path):\(number + 1): not a caption line; expected {\"filename\": ..., \"split\": ..., \"captions\": [...]}"
        )
      }
    }
  }
}
