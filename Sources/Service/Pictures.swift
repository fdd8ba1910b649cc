#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import FTFImaging
import FTFKernels

/// Thumbnails, heat maps and originals: of indexed images alone, from the files that were indexed and from no others.
extension SearchService {
  /// Indexed images only: what the address says is a number, never a path.
  func item(_ context: ServiceContext, in archive: Archive) throws -> Answer.Result {
    guard let id = context.parameters.get("id").flatMap({ Int64($0) }), let item = try? archive.now.searcher.item(id) else {
      throw Problem(.notFound, "not_found", "the index has no image of that id")
    }
    return item
  }

  /// The file of an item, if it is still the one.
  private func file(of item: Answer.Result, in archive: Archive) throws -> IndexedFile {
    do { return try IndexedFile(of: item, in: archive.now.index) } catch {
      throw Problem(.notFound, "unusable_image", "its file is not there any more, or is another than was indexed")
    }
  }

  /// Of what is shown of a file: other pixels, another index or another question have another.
  private static func tag(_ file: IndexedFile, _ parts: Any...) -> String {
    let text = file.stamp + parts.map { "\u{0}\($0)" }.joined()
    return "\"\(String(KernelSet.checksum(Array(text.utf8).span.memory), radix: 36))-\(file.stamp)\""
  }

  /// An answer that a client may keep, but asks for again; nothing where it has the same already.
  private func kept(_ request: Request, _ tag: String, _ make: () async throws -> Response) async throws -> Response {
    let known = (request.headers[.ifNoneMatch] ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    let isKnown = known.contains { $0 == "*" || $0 == tag || $0 == "W/" + tag }
    var response = isKnown ? Response(status: .notModified) : try await make()
    response.headers[.eTag] = tag
    response.headers[.cacheControl] = "private, no-cache"
    return response
  }

  private static func jpeg(_ image: RGBImage) -> Response {
    Response(status: .ok, headers: [.contentType: "image/jpeg"], body: .init(byteBuffer: ByteBuffer(bytes: image.jpeg(quality: 88))))
  }

  /// The picture of a query that shows one: decoded beside the threads that search.
  func picture(of query: Query, in archive: Archive) async throws -> RGBImage? {
    let engine = archive.engine
    switch query.content {
    case .imageData(let bytes): return try await decode { try engine.picture(Data(bytes)) }
    case .item(let id):
      let item: Answer.Result
      do { item = try archive.now.searcher.item(id) } catch { throw Problem.wrapping(error) }
      let file = try file(of: item, in: archive)
      return try await decode { try file.picture(of: item, with: engine) }
    case .image, .sentence, .vector, .examples: return nil
    }
  }

  /// The query with the pictures among its examples as vectors: they too are decoded beside the threads that search.
  func encoded(_ query: Query, in archive: Archive) async throws -> Query {
    guard case .examples(var examples) = query.content else { return query }
    let engine = archive.engine
    for (i, example) in examples.enumerated() {
      guard case .imageData(let bytes) = example.content else { continue }
      let picture = try await decode { try engine.picture(Data(bytes)) }
      examples[i].content = .vector(try await compute { _ in engine.embed(picture) })
    }
    var query = query
    query.content = .examples(examples)
    return query
  }

  func thumbnail(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let parameters = try Parameters(request).only(["index", "size"])
    let side = parameters["size"].map { Int($0) ?? 0 } ?? 224
    guard (16...1024).contains(side) else { throw Problem(.unprocessableContent, "bad_input", "size lies in 16...1024") }
    let archive = try archive(parameters["index"])
    let (item, engine) = (try item(context, in: archive), archive.engine)
    let file = try file(of: item, in: archive)
    return try await kept(request, Self.tag(file, archive.name, item.id, item.window as Any, side)) {
      try await decode {
        let picture = try file.picture(of: item, with: engine)
        let short = min(picture.width, picture.height)
        guard short > side else { return Self.jpeg(picture) }
        return Self.jpeg(picture.resized(width: max(1, picture.width * side / short), height: max(1, picture.height * side / short)))
      }
    }
  }

  /// A part of an image's file, with as many of its own pixels as fit: what a large view zooms into. Parts of a scene may lie around its window.
  func view(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let parameters = try Parameters(request).only(["index", "x", "y", "width", "height", "size"])
    let numbers = ["x", "y", "width", "height"].map { parameters[$0].flatMap { Int($0) } }
    let side = parameters["size"].map { Int($0) ?? 0 } ?? 1024
    guard let x = numbers[0], let y = numbers[1], let width = numbers[2], let height = numbers[3], (16...2048).contains(side) else {
      throw Problem(.unprocessableContent, "bad_input", "x, y, width and height are pixels of the file, size lies in 16...2048")
    }
    let archive = try archive(parameters["index"])
    let (item, engine) = (try item(context, in: archive), archive.engine)
    let file = try file(of: item, in: archive)
    return try await kept(request, Self.tag(file, archive.name, item.id, "view", x, y, width, height, side)) {
      try await decode {
        guard let picture = try file.view(of: item, x: x, y: y, width: width, height: height, side: side, with: engine) else {
          throw Problem(.notFound, "not_there", "nothing of the image lies there")
        }
        return Self.jpeg(picture)
      }
    }
  }

  /// Where a sentence was found in an image, or a word of it: over its picture, or with format=json as a grid.
  func heatmap(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let parameters = try Parameters(request).only(["index", "q", "format", "word"])
    let archive = try archive(parameters["index"])
    let item = try item(context, in: archive)
    let sentence = try SearchRequest.sentence(parameters["q"] ?? "")
    let (format, word) = (parameters["format"] ?? "jpeg", parameters["word"])
    guard sentence.unicodeScalars.count <= 1000, (1...100).contains(word?.unicodeScalars.count ?? 1), ["jpeg", "json"].contains(format) else {
      throw Problem(.unprocessableContent, "bad_input", "q has 1 to 1000 characters, word 1 to 100, format is jpeg or json")
    }
    context.notes.words = sentence
    let (file, engine) = (try file(of: item, in: archive), archive.engine)
    return try await kept(request, Self.tag(file, archive.name, item.id, sentence, format, word as Any, engine.model.fingerprint)) {
      let found: [Answer.Result]
      do {
        found = try await archive.now.searcher.rank(sentence, word: word, among: [item.id], cancellation: cancellation())
      } catch { throw Problem.wrapping(error) }
      guard let weights = found.first?.attention else { throw Problem(.unprocessableContent, "no_heat", "this model reranks nothing") }
      if format == "json" {
        let side = engine.patchGrid
        let grid = (0..<side).map { row in weights[row * side..<(row + 1) * side].map(Double.init) }
        return JSON.response(["id": item.id, "query": sentence, "score": Double(found[0].score), "grid": grid])
      }
      return try await decode { Self.jpeg(try HeatMap.picture(weights, of: item, in: file, with: engine)) }
    }
  }

  // MARK: Originals

  private static let chunk = 64 << 10

  /// The file itself, of any size, in pieces as the client takes them.
  func original(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let archive = try archive(try Parameters(request).only(["index"])["index"])
    let item = try item(context, in: archive)
    let file = try file(of: item, in: archive)
    let tag = "\"\(file.stamp)\""
    return try await kept(request, tag) {
      var headers: HTTPFields = [.contentType: file.mediaType, .contentDisposition: "attachment", .acceptRanges: "bytes"]
      let asked = request.headers[.ifRange].map { $0 == tag } ?? true ? request.headers[.range] : nil
      switch asked.map({ Self.range($0, of: file.size) }) ?? .all {
      case .all: return Response(status: .ok, headers: headers, body: Self.body(file, 0..<file.size, context.flow))
      case .part(let range):
        headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.size)"
        return Response(status: .partialContent, headers: headers, body: Self.body(file, range, context.flow))
      case .none:
        var response = Problem(.rangeNotSatisfiable, "bad_range", "the file has \(file.size) bytes").response
        response.headers[.contentRange] = "bytes */\(file.size)"
        return response
      }
    }
  }

  private enum Asked {
    case all, none
    case part(Range<Int>)
  }

  /// One range is understood; several, or what is none, are the whole file (RFC 9110).
  private static func range(_ text: String, of size: Int) -> Asked {
    guard let match = text.firstMatch(of: /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/) else { return .all }
    // More digits than a number has are beyond every end.
    func number(_ digits: Substring) -> Int? { digits.isEmpty ? nil : Int(digits) ?? .max }
    let (first, last) = (number(match.1), number(match.2))
    if match.1.isEmpty {
      guard let last else { return .all }
      return last == 0 || size == 0 ? .none : .part(max(0, size - last)..<size)
    }
    guard let first, match.2.isEmpty || last.map({ $0 >= first }) ?? false else { return match.2.isEmpty || last != nil ? .all : .none }
    return first >= size ? .none : .part(first..<min(size - 1, last ?? size - 1) + 1)
  }

  private static func body(_ file: IndexedFile, _ range: Range<Int>, _ flow: ServiceContext.Flow) -> ResponseBody {
    ResponseBody(contentLength: range.count) { writer in
      var place = range.lowerBound
      while place < range.upperBound {
        let bytes = try file.bytes(at: place, count: min(chunk, range.upperBound - place))
        // A file that became shorter: the client sees that it did not get all.
        guard !bytes.isEmpty else { throw Problem(.internalServerError, "unusable_image", "its file became shorter") }
        try await writer.write(ByteBuffer(bytes: bytes))
        try await flow.room()
        place += bytes.count
      }
      try await writer.finish(nil)
    }
  }
}
#endif
