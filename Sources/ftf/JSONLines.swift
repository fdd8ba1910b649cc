import FTFFiles
import FTFKernels
import Foundation

/// A file with a JSON object a line; empty lines are left out.
enum JSONLines {
  /// Where a line is, for errors.
  struct Place: CustomStringConvertible, Sendable {
    var path: String
    /// From 1.
    var number: Int
    var description: String { "\(path):\(number)" }
  }

  /// - Parameters:
  ///   - content: what an error calls it.
  ///   - made: what is made of a line.
  /// - Returns: in the order of the lines.
  static func read<Made: Sendable>(
    _ path: String, _ content: String, _ made: @escaping @Sendable (_ place: Place, _ line: Data) -> Made
  ) throws -> [Made] {
    let failure = Failure("\(path): the \(content) cannot be read; give a UTF-8 file of JSON lines")
    guard let file = FileHandle(forReadingAtPath: path) else { throw failure }
    var (pieces, all) = (Pieces(file: file), [Made]())
    try Conveyor.run { () throws -> (first: Int, bytes: [UInt8])? in
      do { return try pieces.next() } catch { throw failure }
    } made: { piece throws -> [Made] in
      guard String(validating: piece.bytes, as: UTF8.self) != nil else { throw failure }
      let lines = piece.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      return lines.enumerated().compactMap { number, line in
        isEmpty(line) ? nil : made(Place(path: path, number: piece.first + number), Data(line.last == UInt8(ascii: "\r") ? line.dropLast() : line))
      }
    } take: { some in
      all += some
    }
    return all
  }

  private static func isEmpty(_ line: ArraySlice<UInt8>) -> Bool {
    guard let first = line.first(where: { $0 > 0x20 }) else { return true }
    return first >= 0x80 && String(decoding: line, as: UTF8.self).allSatisfy(\.isWhitespace)
  }

  /// A file by whole lines, without a byte-order mark.
  private struct Pieces {
    let file: FileHandle
    private var rest: [UInt8] = []
    private var line = 1
    private var isFirst = true
    private static let size = 1 << 20

    init(file: FileHandle) { self.file = file }

    /// - Returns: some lines, and the number of the first; nil at the end.
    mutating func next() throws -> (first: Int, bytes: [UInt8])? {
      while var more = try file.read(upToCount: Self.size), !more.isEmpty {
        if isFirst, more.starts(with: [0xef, 0xbb, 0xbf]) { more = more.dropFirst(3) }
        isFirst = false
        guard let end = more.lastIndex(of: UInt8(ascii: "\n")) else {
          rest += more
          continue
        }
        let piece = rest + more[...end]
        rest = Array(more[(end + 1)...])
        defer { line += piece.count { $0 == UInt8(ascii: "\n") } }
        return (line, piece)
      }
      defer { rest = [] }
      return rest.isEmpty ? nil : (line, rest)
    }
  }
}
