#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import Interchange

/// All that a search finds, as a list that is written as its client reads it: memory holds the order and one piece.
extension SearchService {
  private static let piece = 500

  func list(_ query: Query, _ picture: RGBImage?, _ searcher: Searcher, _ format: ResultsFormat) async throws -> Response {
    let found: Searcher.ResultList
    do { found = try await searcher.order(of: query, showing: picture, cancellation: cancellation()) } catch { throw Problem(error) }
    var headers: HTTPFields = [.contentType: format.mediaType, .contentDisposition: "attachment; filename=\"results.\(format.rawValue)\""]
    headers[HTTPField.Name("X-Total-Count")!] = "\(found.count)"
    if format == .parquet { return Response(status: .ok, headers: headers, body: try await table(found)) }
    let attributes = format == .csv ? try await compute { _ in try searcher.attributeNames() } : []
    let body = ResponseBody { writer in
      try await writer.write(ByteBuffer(string: format.head(attributes)))
      for start in stride(from: 0, to: found.count, by: Self.piece) {
        let range = start..<min(start + Self.piece, found.count)
        let text = try await self.compute { _ in format.text(try found.results(range), attributes, isFirst: start == 0) }
        try await writer.write(ByteBuffer(string: text))
      }
      try await writer.write(ByteBuffer(string: format.tail))
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: headers, body: body)
  }

  private static let groupRows = 4096

  /// Its end says where all lies: it is written whole, to a file that has no name any more.
  private func table(_ found: Searcher.ResultList) async throws -> ResponseBody {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("ftf-results-\(UUID().uuidString)").path
    guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
      let file = FileHandle(forUpdatingAtPath: path)
    else { throw Problem(.internalServerError, "no_room", "there is no place for a table") }
    try? FileManager.default.removeItem(atPath: path)
    let size = try await decode {
      var table = try ResultsTable(file)
      for start in stride(from: 0, to: found.count, by: Self.groupRows) {
        try table.add(found.results(start..<min(start + Self.groupRows, found.count)))
      }
      try table.finish()
      return Int(try file.offset())
    }
    return ResponseBody(contentLength: size) { writer in
      try file.seek(toOffset: 0)
      while let part = try file.read(upToCount: 1 << 16), !part.isEmpty { try await writer.write(ByteBuffer(bytes: part)) }
      try await writer.finish(nil)
    }
  }
}
#endif
