#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import FTFImaging
import FTFIndex
import FTFInterchange
import FTFJSON

/// All that a search finds, as a list that is written as its client reads it: memory holds the order and one piece.
extension SearchService {
  private static let piece = 500

  func list(_ query: Query, _ picture: RGBImage?, _ searcher: Searcher, _ format: ResultsFormat, _ flow: ServiceContext.Flow) async throws -> Response
  {
    let found: Searcher.ResultList
    do { found = try await searcher.order(of: query, showing: picture, cancellation: cancellation()) } catch { throw Problem(error) }
    var headers: HTTPFields = [.contentType: format.mediaType, .contentDisposition: "attachment; filename=\"results.\(format.rawValue)\""]
    headers[HTTPField.Name("X-Total-Count")!] = "\(found.count)"
    if format == .parquet { return Response(status: .ok, headers: headers, body: try await table(found, flow)) }
    let attributes = format == .csv ? try await scan { try searcher.attributeNames() } : []
    let body = ResponseBody { writer in
      try await writer.write(ByteBuffer(string: format.head(attributes)))
      for start in stride(from: 0, to: found.count, by: Self.piece) {
        let range = start..<min(start + Self.piece, found.count)
        let text = try await self.scan { format.text(try found.results(range), attributes, isFirst: start == 0) }
        try await writer.write(ByteBuffer(string: text))
        try await flow.room()
      }
      try await writer.write(ByteBuffer(string: format.tail))
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: headers, body: body)
  }

  private static let orders = ["newest", "oldest", "place", "path", "random"]

  /// Images without a question, in an order: to look around.
  func browse(_ request: Request) async throws -> Response {
    let parameters = try Parameters(request).only(["index", "order", "seed", "top", "offset", "filter", "bbox"])
    func number(_ name: String, _ range: ClosedRange<Int>, _ otherwise: Int) throws -> Int {
      guard let text = parameters[name] else { return otherwise }
      guard let number = Int(text), range.contains(number) else {
        throw Problem(.unprocessableContent, "bad_input", "\(name) is a whole number, \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
    let seed = try number("seed", 0...Int(Int32.max), 0)
    let (top, offset) = (try number("top", 1...SearchRequest.mostResults, 24), try number("offset", 0...SearchRequest.mostOffset, 0))
    let order: Catalog.Order
    switch parameters["order"] ?? "newest" {
    case "newest": order = Catalog.Order(name: "datetime", isDescending: true)
    case "oldest": order = Catalog.Order(name: "datetime", isDescending: false)
    case "place": order = .place
    case "path": order = Catalog.Order(name: "id", isDescending: false)
    case "random": order = .shuffled(seed)
    default: throw Problem(.unprocessableContent, "bad_input", "order is one of \(Self.orders.joined(separator: ", "))")
    }
    var area: SearchArea?
    if let box = parameters["bbox"] {
      let numbers = box.split(separator: ",", omittingEmptySubsequences: false).compactMap { Double($0) }
      guard numbers.count == 4 else { throw Problem(.unprocessableContent, "bad_input", "bbox has 4 numbers") }
      area = .box(west: numbers[0], south: numbers[1], east: numbers[2], north: numbers[3])
    }
    let searcher = try await searcher(parameters["filter"].flatMap { $0.isEmpty ? nil : $0 }, area, archive(parameters["index"]).now)
    let found: (items: [Answer.Result], all: Int)
    do {
      found = try await scan { (try searcher.items(sortedBy: [order], from: offset, limit: top), try searcher.results()) }
    } catch { throw Problem.wrapping(error) }
    let results = found.items.enumerated().map { i, item -> JSONValue in
      var item = item
      item.rank = offset + i + 1
      return item.json()
    }
    return JSON.response(["results": results, "matched": found.all])
  }

  private static let groupRows = 4096

  /// Its end says where all lies: it is written whole, to a file that has no name any more.
  private func table(_ found: Searcher.ResultList, _ flow: ServiceContext.Flow) async throws -> ResponseBody {
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
      while let part = try file.read(upToCount: 1 << 16), !part.isEmpty {
        try await writer.write(ByteBuffer(bytes: part))
        try await flow.room()
      }
      try await writer.finish(nil)
    }
  }
}
#endif
