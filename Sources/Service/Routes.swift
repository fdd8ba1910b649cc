#if Serve
import FastThenFine
import FTFFiles
import Foundation
import HTTPTypes
import Hummingbird
import FTFInterchange

extension SearchService {
  /// All that there is.
  func router() -> Router<ServiceContext> {
    let router = Router(context: ServiceContext.self, options: .autoGenerateHeadEndpoints)
    // Before who may come in is asked: what a browser asks first it asks without a token.
    if let origin = options.origin {
      let exposed = ["ETag", "Content-Range", "Retry-After"]
      router.add(middleware: CORSMiddleware(allowOrigin: origin == "*" ? .all : .custom(origin), exposedHeaders: exposed, maxAge: .hours(1)))
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
      let (searches, rest) = (self.gates.searches.count + self.gates.large.count, self.gates.rest.count)
      let text = self.metrics.text(inside: (searches + rest, searches), images: self.images)
      return Response(status: .ok, headers: [.contentType: "text/plain; version=0.0.4"], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
    let document = OpenAPI.document(archives.map(\.name))
    router.get("/openapi.json") { _, _ -> Response in
      Response(
        status: .ok, headers: [.contentType: "application/vnd.oai.openapi+json;version=3.1"], body: .init(byteBuffer: ByteBuffer(bytes: document)))
    }
    router.get("/v1/index") { request, _ in try self.index(self.archive(request)) }
    router.get("/v1/attributes") { request, _ in try await self.attributes(self.archive(request).now) }
    router.post("/v1/search") { request, context in try await self.search(request, context) }
    router.get("/v1/images/:id") { request, context in JSON.response(try self.item(context, in: self.archive(request)).json()) }
    router.get("/v1/images/:id/thumbnail") { request, context in try await self.thumbnail(request, context) }
    router.get("/v1/images/:id/heatmap") { request, context in try await self.heatmap(request, context) }
    router.get("/v1/images/:id/original") { request, context in try await self.original(request, context) }
    router.get("/v1/browse") { request, _ in try await self.browse(request) }
    router.get("/v1/images/:id/view") { request, context in try await self.view(request, context) }
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

  private func attributes(_ now: LiveIndex.Moment) async throws -> Response {
    let found: [ImageIndex.AttributeValues]
    do { found = try await scan { try now.attributeValues() } } catch { throw Problem.wrapping(error) }
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

  private func search(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let fields = try await fields(of: request)
    // A picture's text is long; a sentence waits for no picture.
    let isText = fields.values["image"] == nil && fields.values["examples"] == nil
    var asked = isText ? try SearchRequest(fields) : try await decode { try SearchRequest(fields) }
    context.notes.words = asked.words
    let archive = try archive(fields.string("index"))
    asked.query = try await encoded(asked.query, in: archive)
    let picture = try await picture(of: asked.query, in: archive)
    let searcher = try await self.searcher(asked.filter, asked.area, archive.now)
    if let format = asked.format { return try await list(asked.query, picture, searcher, format, context.flow) }
    let answer = try await answer(asked.query, showing: picture, with: searcher)
    return JSON.response(answer.json(asked.words))
  }

  /// What a search asks for: in JSON, in a form, or as the picture itself with the rest in the address.
  private func fields(of request: Request) async throws -> Fields {
    let type = request.headers[.contentType] ?? ""
    if type.lowercased().hasPrefix("multipart/form-data") {
      return try await body(request) { data in
        guard let parts = Multipart.parts(data, type: type) else {
          throw Problem(.badRequest, "bad_form", "the body has to be multipart/form-data with the boundary that its type names")
        }
        var values: [String: Any] = [:]
        for part in parts {
          values[part.name] = part.isFile ? part.data : SearchRequest.value(String(decoding: part.data, as: UTF8.self), of: part.name)
        }
        return try Fields(values).only(SearchRequest.names)
      }
    }
    guard type.lowercased().hasPrefix("image/") else { return try await object(request).only(SearchRequest.names) }
    var values: [String: Any] = ["image": try await body(request) { $0 }]
    for (key, text) in try Parameters(request).pairs { values[key] = SearchRequest.value(text, of: key) }
    return try Fields(values).only(SearchRequest.names)
  }

  /// Filters read the catalog, which takes its time.
  func searcher(_ filter: String?, _ area: SearchArea?, _ now: LiveIndex.Moment, collection: String? = nil) async throws -> Searcher {
    guard filter != nil || area != nil else { return now.searcher }
    do {
      return try await scan { try now.searcher(filter: filter, area: area, collection: collection) }
    } catch { throw Problem.wrapping(error) }
  }
}
#endif
