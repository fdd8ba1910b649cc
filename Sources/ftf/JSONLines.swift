import FTFFiles
import Foundation

/// A file with a JSON object a line; empty lines are left out.
enum JSONLines {
  /// - Parameters:
  ///   - content: what an error calls it.
  ///   - body: is given file and line, for errors, and the line.
  static func read(_ path: String, _ content: String, _ body: (_ place: String, _ line: Data) -> Void) throws {
    let text: String
    do {
      text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
    } catch {
      throw Failure("\(path): the \(content) cannot be read; give a UTF-8 file of JSON lines")
    }
    for (number, line) in text.lines.enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      body("\(path):\(number + 1)", Data(line.utf8))
    }
  }
}
