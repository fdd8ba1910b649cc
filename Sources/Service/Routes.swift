#if Serve
import FastThenFine
import Files
import Foundation
import HTTPTypes
import Hummingbird
import Interchange

extension SearchService {
  /// All that there is.
  func router() -> Router<ServiceContext> {
    let router = Router(context: ServiceContext.self, options: .autoGenerateHeadEndpoints)
    // Before who may come in is asked: what a browser asks first it asks without a token.
    if let origin = options.origin {
      router.add(middleware: CORSMiddleware(allowOrigin: origin == "*" ? .all : .custom(origin), maxAge: .hours(1)))
    }
    router.add(middleware: Front(service: self))
    router.get("/livez") { _, _ in "ok\n" }
    for path in ["/readyz", "/health"] as [RouterPath] {
      router.get(path) { _, _ -> Response in
        guard self.isOpen else { throw Problem(.serviceUnavailable, "draining", "it is going down") }
        return JSON.response(["status": "ok", "images": self.images])
      }
    }
    router.get("/metrics") { _, _ -> Response in
      let (searches, rest) = (self.gates.searches.count, self.gates.rest.count)
      let text = self.metrics.text(inside: (searches + rest, searches), images: self.images)
      return Response(status: .ok, headers: [.contentType: "text/plain; version=0.0.4"], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
    let document = OpenAPI.document(archives.map(\.name))
    router.get("/openapi.json") { _, _ -> Response in
      Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(bytes: document)))
    }
    router.get("/v1/index") { request, _ in try self.index(self.archive(request)) }
    router.get("/v1/attributes") { request, _ in try await self.attributes(self.archive(request).now) }
    router.post("/v1/search") { request, _ in try await self.search(request) }
    router.get("/v1/images/:id") { request, context in JSON.response(try self.item(context, in: self.archive(request)).object()) }
    router.get("/v1/images/:id/thumbnail") { request, context in try await self.thumbnail(request, context) }
    router.get("/v1/images/:id/heatmap") { request, context in try await self.heatmap(request, context) }
    router.get("/v1/images/:id/original") { request, context in try self.original(self.item(context, in: self.archive(request))) }
    addForeign(to: router)
    addSTAC(to: router)
    addPage(to: router)
    return router
  }

  private func index(_ archive: Archive) throws -> Response {
    let now = archive.now
    var object: [String: Any] = [
      "name": archive.name, "images": now.images, "model": now.index.modelName, "dimension": now.index.dimension,
      "states_probabilities": archive.engine.statesProbabilities, "suggestions": archive.suggestions,
      "indexes": archives.map { ["name": $0.name, "images": $0.now.images] as [String: Any] },
    ]
    object["tiles"] = options.tiles
    return JSON.response(object)
  }

  private func attributes(_ now: Archive.Moment) async throws -> Response {
    let found: [ImageIndex.AttributeValues]
    do { found = try await compute { _ in try now.attributeValues() } } catch { throw Problem.wrapping(error) }
    let list = found.map { attribute -> [String: Any] in
      var object: [String: Any] = ["name": attribute.name]
      if let least = attribute.least, let most = attribute.most {
        (object["least"], object["most"], object["histogram"]) = (least, most, attribute.histogram)
      }
      if !attribute.texts.isEmpty {
        object["values"] = attribute.texts.map { ["value": $0.value, "count": $0.count] as [String: Any] }
        object["distinct"] = attribute.distinctTexts
      }
      return object
    }
    return JSON.response(["attributes": list])
  }

  private func search(_ request: Request) async throws -> Response {
    let fields = try await fields(of: request)
    let asked = try SearchRequest(fields)
    let searcher = try await self.searcher(asked.filter, asked.area, archive(fields.string("index")).now)
    var answer = try await answer(asked.query, with: searcher)
    if let like = asked.like {
      answer.results.removeAll { $0.id == like }
      answer.results = Array(answer.results.prefix(asked.query.top - 1))
      for i in answer.results.indices { answer.results[i].rank = i + 1 }
    }
    return JSON.response(answer.object(asked.words))
  }

  /// What a search asks for: in JSON, in a form, or as the picture itself with the rest in the address.
  private func fields(of request: Request) async throws -> Fields {
    let type = request.headers[.contentType] ?? ""
    if type.lowercased().hasPrefix("multipart/form-data") {
      guard let parts = Multipart.parts(try await JSON.body(request, limit: options.bodyLimit), type: type) else {
        throw Problem(.badRequest, "bad_form", "the body has to be multipart/form-data with the boundary that its type names")
      }
      var values: [String: Any] = [:]
      for part in parts {
        values[part.name] = part.isFile ? part.data : SearchRequest.value(String(decoding: part.data, as: UTF8.self), of: part.name)
      }
      return Fields(values)
    }
    guard type.hasPrefix("image/") else { return try await JSON.object(request, limit: options.bodyLimit) }
    var values: [String: Any] = ["image": try await JSON.body(request, limit: options.bodyLimit)]
    for (key, text) in request.uri.queryParameters { values[String(key)] = SearchRequest.value(String(text), of: String(key)) }
    return Fields(values)
  }

  /// Filters read the catalog, which takes its time.
  func searcher(_ filter: String?, _ area: SearchArea?, _ now: Archive.Moment) async throws -> Searcher {
    guard filter != nil || area != nil else { return now.searcher }
    do { return try await compute { _ in try now.searcher(filter: filter, area: area) } } catch { throw Problem.wrapping(error) }
  }

  // MARK: Images

  /// Indexed images only: what the address says is a number, never a path.
  func item(_ context: ServiceContext, in archive: Archive) throws -> Answer.Result {
    guard let id = context.parameters.get("id").flatMap({ Int64($0) }), let item = try? archive.now.searcher.item(id) else {
      throw Problem(.notFound, "not_found", "the index has no image of that id")
    }
    return item
  }

  private func picture(_ item: Answer.Result, _ engine: Engine) async throws -> RGBImage {
    do { return try await compute { _ in try engine.picture(of: item) } } catch {
      throw Problem(.notFound, "unusable_image", "its file cannot be read any more")
    }
  }

  private static func jpeg(_ image: RGBImage) -> Response {
    Response(
      status: .ok, headers: [.contentType: "image/jpeg", .cacheControl: "private, max-age=3600"],
      body: .init(byteBuffer: ByteBuffer(bytes: image.jpeg(quality: 88))))
  }

  private func thumbnail(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let side = request.uri.queryParameters["size"].map { Int(String($0)) ?? 0 } ?? 224
    guard (16...1024).contains(side) else { throw Problem(.unprocessableContent, "bad_input", "size lies in 16...1024") }
    let archive = try archive(request)
    let picture = try await picture(item(context, in: archive), archive.engine)
    return try await compute { _ in
      let short = min(picture.width, picture.height)
      guard short > side else { return Self.jpeg(picture) }
      return Self.jpeg(picture.resized(width: max(1, picture.width * side / short), height: max(1, picture.height * side / short)))
    }
  }

  /// Where a sentence was found in an image, or a word of it: over its picture, or with format=json as a grid.
  private func heatmap(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let archive = try archive(request)
    let item = try item(context, in: archive)
    let sentence = try SearchRequest.sentence(request.uri.queryParameters["q"].map { String($0) } ?? "")
    let format = request.uri.queryParameters["format"].map { String($0) } ?? "jpeg"
    let word = request.uri.queryParameters["word"].map { String($0) }
    guard sentence.unicodeScalars.count <= 1000, (1...100).contains(word?.unicodeScalars.count ?? 1), ["jpeg", "json"].contains(format) else {
      throw Problem(.unprocessableContent, "bad_input", "q has 1 to 1000 characters, word 1 to 100, format is jpeg or json")
    }
    let found: [Answer.Result]
    do {
      found = try await archive.now.searcher.rank(sentence, word: word, among: [item.id], cancellation: cancellation())
    } catch { throw Problem.wrapping(error) }
    guard let weights = found.first?.attention else { throw Problem(.unprocessableContent, "no_heat", "this model reranks nothing") }
    let engine = archive.engine
    let side = engine.patchGrid
    if format == "json" {
      let grid = (0..<side).map { row in weights[row * side..<(row + 1) * side].map(Double.init) }
      return JSON.response(["id": item.id, "query": sentence, "score": Double(found[0].score), "grid": grid])
    }
    do {
      return try await compute { _ in Self.jpeg(try HeatMap.picture(weights, of: item, with: engine)) }
    } catch {
      throw Problem(.notFound, "unusable_image", "its file cannot be read any more")
    }
  }

  private static let mostOriginalBytes = 64 << 20

  private func original(_ item: Answer.Result) throws -> Response {
    let path = item.pathBytes.map { FilePath(bytes: $0) } ?? FilePath(item.name)
    guard let data = try? RGBImage.bytes(path.spelling), data.count <= Self.mostOriginalBytes else {
      throw Problem(.notFound, "unusable_image", "its file cannot be read any more, or is too large to send")
    }
    let type = data.starts(with: [0xff, 0xd8]) ? "image/jpeg" : data.starts(with: [0x89, 0x50]) ? "image/png" : "application/octet-stream"
    return Response(
      status: .ok, headers: [.contentType: type, .contentDisposition: "attachment"], body: .init(byteBuffer: ByteBuffer(bytes: data)))
  }
}

/// Before every route: who may come in, how many, what is counted and logged, and how errors look.
struct Front: RouterMiddleware {
  typealias Context = ServiceContext
  private let service: SearchService
  private let headers: [(HTTPField.Name, String)]

  init(service: SearchService) {
    let tiles = service.options.tiles.flatMap(ServiceOptions.origin(ofTiles:)).map { " \($0)" } ?? ""
    self.service = service
    headers = [
      (.xContentTypeOptions, "nosniff"), (HTTPField.Name("Referrer-Policy")!, "no-referrer"),
      (
        .contentSecurityPolicy,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:\(tiles); connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      ),
    ]
  }

  /// What anybody may know.
  private static let open: Set<String> = ["/livez", "/readyz", "/health", "/", "/page.js", "/page.css", "/openapi.json"]

  func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
    let began = ContinuousClock.now
    var response: Response
    do {
      try authorise(request)
      response =
        Self.open.contains(request.uri.path) || request.uri.path == "/metrics"
        ? try await next(request, context)
        : try await gate(request).run { try await service.connections.answer(context.channel) { try await next(request, context) } }
    } catch {
      response = refusal(of: request, error)
    }
    let seconds = (ContinuousClock.now - began) / .seconds(1)
    service.metrics.count(route: Self.route(request.uri.path), status: response.status.code, seconds: seconds)
    let query = service.options.logsQueries ? "?\(request.uri.query ?? "")" : ""
    context.logger.info("\(request.method) \(request.uri.path.shown)\(query.shown) \(response.status.code) \(Int(seconds * 1000)) ms")
    for (name, value) in headers { response.headers[name] = value }
    return response
  }

  private func gate(_ request: Request) -> Gate {
    let isSearch = request.method == .post || request.uri.path == "/search" || request.uri.path.hasSuffix("/heatmap")
    return isSearch ? service.gates.searches : service.gates.rest
  }

  private func refusal(of request: Request, _ error: any Error) -> Response {
    let problem = Problem.wrapping(error)
    guard problem.status == .notFound, let methods = OpenAPI.methods(of: request.uri.path), !methods.contains(request.method.rawValue) else {
      return problem.response
    }
    let allowed = methods.joined(separator: ", ")
    var response = Problem(.methodNotAllowed, "method_not_allowed", "this address takes \(allowed)").response
    response.headers[.allow] = allowed
    return response
  }

  private func authorise(_ request: Request) throws {
    guard let token = service.options.token, !Self.open.contains(request.uri.path) else { return }
    let given = request.headers[.authorization] ?? ""
    guard Self.isSame("Bearer \(token)", given) else { throw Problem(.unauthorized, "unauthorised", "it asks for a bearer token") }
  }

  /// Takes as long whichever byte differs.
  static func isSame(_ a: String, _ b: String) -> Bool {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    var difference = UInt(bitPattern: a.count ^ b.count)
    for i in a.indices { difference |= UInt(a[i] ^ (i < b.count ? b[i] : 0)) }
    return difference == 0
  }

  /// Without what changes from request to request.
  private static func route(_ path: String) -> String {
    let known = [
      "/v1/search", "/v1/index", "/v1/attributes", "/v1/embeddings", "/v1/rerank", "/knn-service", "/search", "/collections", "/conformance",
      "/metrics",
    ]
    if open.contains(path) || known.contains(path) { return path }
    return path.hasPrefix("/v1/images/") ? "/v1/images" : "other"
  }
}
#endif
