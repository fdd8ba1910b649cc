#if Serve
import FastThenFine
import FTFFiles
import Foundation
import HTTPTypes
import Hummingbird
import FTFImaging

/// Before every route: who may come in, how many, what is counted and logged, and how answers look.
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

  /// The address that a request came from.
  @TaskLocal static var client: String?

  /// What asks whether it lives, again and again.
  private static let probes: Set<String> = ["/livez", "/readyz", "/health", "/metrics"]
  /// What anybody may know.
  private static let open: Set<String> = [
    "/livez", "/readyz", "/health", "/", "/page.js", "/view.js", "/map.js", "/coast.js", "/page.css", "/openapi.json",
  ]

  func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
    let (began, path) = (ContinuousClock.now, request.uri.path)
    var response: Response
    do {
      guard service.address.isMeant(request.head.authority ?? "localhost") else {
        throw Problem(.misdirectedRequest, "other_host", "this service has another name; it is started with --public-url to have this one")
      }
      try authorise(request)
      response = try await Self.$client.withValue(context.client) {
        try await Self.open.contains(path) || Self.probes.contains(path) ? next(request, context) : inside(request, context, next)
      }
    } catch {
      response = refusal(of: request, error)
    }
    let seconds = (ContinuousClock.now - began) / .seconds(1)
    service.metrics.count(route: Self.route(path), status: response.status.code, seconds: seconds)
    log(request, context, response.status.code, seconds)
    for (name, value) in headers { response.headers[name] = value }
    return Self.compressed(response, for: request)
  }

  /// Its body comes before it counts as one that is inside: who sends slowly keeps nobody out.
  private func inside(
    _ request: Request, _ context: Context, _ next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    let share = service.bodies.share
    defer { withExtendedLifetime(share) {} }
    let request = request.method == .get || request.method == .head ? request : try await service.received(request, share)
    return try await gate(request, share.count).run { try await service.connections.answer(context.channel) { try await next(request, context) } }
  }

  /// Pictures and long lists have a gate of their own: sentences are let in beside them.
  private func gate(_ request: Request, _ bytes: Int) -> Gate {
    if bytes > BodyBudget.free { return service.gates.large }
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

  /// Probes are logged where they fail. Words are where it was asked for, whether they stood in the address or in the body.
  private func log(_ request: Request, _ context: Context, _ status: Int, _ seconds: Double) {
    let path = request.uri.path
    if Self.probes.contains(path), status < 400 { return }
    var line = "\((service.address.client(request, from: context.client) ?? "-").shown) \(request.method) \(path.shown)"
    if service.options.logsQueries {
      if let query = request.uri.query { line += "?\(query.shown)" }
      if let words = context.notes.words { line += " '\(words.shown)'" }
    }
    context.logger.info("\(line) \(status) \(Int(seconds * 1000)) ms")
  }

  private func authorise(_ request: Request) throws {
    let tokens = service.options.tokens
    guard !tokens.isEmpty, !Self.open.contains(request.uri.path) else { return }
    let parts = (request.headers[.authorization] ?? "").split(separator: " ", maxSplits: 1).map(String.init)
    let given = parts.count == 2 && parts[0].lowercased() == "bearer" ? parts[1].trimmingCharacters(in: .whitespaces) : ""
    // All are looked at, whichever it is.
    guard tokens.map({ Self.isSame($0, given) }).contains(true) else { throw Problem(.unauthorized, "unauthorised", "it asks for a bearer token") }
  }

  /// Takes as long whichever byte differs.
  static func isSame(_ a: String, _ b: String) -> Bool {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    var difference = UInt(bitPattern: a.count ^ b.count)
    for i in a.indices { difference |= UInt(a[i] ^ (i < b.count ? b[i] : 0)) }
    return difference == 0
  }

  private static let leastCompressed = 1024

  /// Texts of some length are sent as gzip to whoever takes it.
  private static func compressed(_ response: Response, for request: Request) -> Response {
    let accepted = (request.headers[.acceptEncoding] ?? "").lowercased().split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    let type = response.headers[.contentType] ?? ""
    let isText = type.hasPrefix("text/") || type.contains("json") || type.contains("javascript")
    guard isText, response.headers[.contentEncoding] == nil else { return response }
    var response = response
    response.headers[.vary] = "Accept-Encoding"
    guard accepted.contains(where: { $0 == "gzip" || $0.hasPrefix("gzip;") && !$0.hasSuffix("q=0") }),
      response.body.contentLength ?? 0 >= leastCompressed
    else { return response }
    response.headers[.contentEncoding] = "gzip"
    response.headers[.contentLength] = nil
    response.body = response.body.map { part in
      guard let packed = RGBImage.gzip(Data(buffer: part)) else { throw Problem(.internalServerError, "internal", "there is no memory for it") }
      return ByteBuffer(bytes: packed)
    }
    return response
  }

  /// Without what changes from request to request.
  private static func route(_ path: String) -> String {
    let known = [
      "/v1/search", "/v1/browse", "/v1/index", "/v1/attributes", "/v1/embeddings", "/v1/rerank", "/v1/models", "/v2/rerank", "/knn-service",
      "/indices-list", "/search",
      "/collections", "/conformance", "/queryables",
    ]
    if open.contains(path) || probes.contains(path) || known.contains(path) { return path }
    let parts = path.split(separator: "/")
    if path.hasPrefix("/v1/images/") {
      return "/v1/images/{id}" + (parts.count == 4 ? "/\(pieces.contains(String(parts[3])) ? parts[3] : "other")" : "")
    }
    if path.hasPrefix("/v1/models/") { return "/v1/models/{id}" }
    guard path.hasPrefix("/collections/") else { return "other" }
    return "/collections/{id}" + (parts.count > 2 ? "/\(parts[2] == "items" || parts[2] == "queryables" ? parts[2] : "other")" : "")
      + (parts.count > 3 ? "/{id}" : "")
  }

  private static let pieces: Set<String> = ["thumbnail", "heatmap", "original", "view"]
}
#endif
