#if Serve
import FastThenFine
import Foundation
import Geography
import HTTPTypes
import Hummingbird
import Interchange

/// A STAC API, with free text: pystac-client finds places by a sentence. Each index is a collection.
extension SearchService {
  private static let version = "1.0.0"
  private static let mostItems = 1000

  func addSTAC(to router: Router<ServiceContext>) {
    router.get("/conformance") { _, _ in JSON.response(["conformsTo": Self.conformance]) }
    router.get("/collections") { request, _ in
      let root = self.root(request)
      var collections: [[String: Any]] = []
      for archive in self.archives { collections.append(try await self.collection(archive, root)) }
      return JSON.response(["collections": collections, "links": [Self.link("self", root + "/collections")]])
    }
    router.get("/collections/:collection") { request, context -> Response in
      JSON.response(try await self.collection(try self.archive(context), self.root(request)))
    }
    router.get("/collections/:collection/items/:id") { request, context -> Response in
      let archive = try self.archive(context)
      return JSON.response(self.feature((archive, try self.item(context, in: archive)), self.root(request)), type: "application/geo+json")
    }
    router.get("/collections/:collection/items") { request, context -> Response in
      let values = Self.values(of: request).merging(["collections": [try self.archive(context).name]]) { $1 }
      return try await self.searchItems(Fields(values), request, isPost: false)
    }
    router.get("/search") { request, _ in try await self.searchItems(Fields(Self.values(of: request)), request, isPost: false) }
    router.post("/search") { request, _ in
      try await self.searchItems(self.object(request), request, isPost: true)
    }
  }

  /// What a search in an address asks for, as it would be in a body.
  private static func values(of request: Request) -> [String: Any] {
    var values: [String: Any] = [:]
    for (key, value) in request.uri.queryParameters {
      let text = String(value)
      switch key {
      case "bbox": values["bbox"] = text.split(separator: ",").map { Double($0) as Any? ?? "?" }
      case "limit": values["limit"] = Int(text) as Any? ?? "?"
      case "ids", "collections": values[String(key)] = text.split(separator: ",").map(String.init)
      default: values[String(key)] = text
      }
    }
    return values
  }

  private static let conformance = [
    "https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/collections", "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/ogcapi-features", "https://api.stacspec.org/v1.0.0-rc.1/item-search#free-text",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core", "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
  ]

  private typealias Found = (archive: Archive, item: Answer.Result)

  private func archive(_ context: ServiceContext) throws -> Archive {
    let name = context.parameters.get("collection").map { $0.removingPercentEncoding ?? $0 }
    guard let found = archives.first(where: { $0.name == name }) else { throw Problem(.notFound, "not_found", "there is no such collection") }
    return found
  }

  private static func path(of archive: Archive) -> String {
    "/collections/" + (archive.name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")
  }

  private static func link(_ rel: String, _ href: String, type: String = "application/json", method: String? = nil) -> [String: Any] {
    var link: [String: Any] = ["rel": rel, "href": href, "type": type]
    link["method"] = method
    return link
  }

  func landing(_ request: Request) -> Response {
    let root = self.root(request)
    return JSON.response([
      "type": "Catalog", "stac_version": Self.version, "id": "fastthenfine", "title": "FastThenFine",
      "description": "Overhead images, found by sentences and pictures", "conformsTo": Self.conformance,
      "links": [
        Self.link("self", root + "/"), Self.link("root", root + "/"), Self.link("conformance", root + "/conformance"),
        Self.link("service-desc", root + "/openapi.json", type: "application/vnd.oai.openapi+json;version=3.1"),
        Self.link("data", root + "/collections"),
        Self.link("search", root + "/search", type: "application/geo+json", method: "GET"),
        Self.link("search", root + "/search", type: "application/geo+json", method: "POST"),
      ] + archives.map { Self.link("child", root + Self.path(of: $0)) },
    ])
  }

  /// Open at an end that is no time.
  private static func interval(_ times: [String]?) -> [Any] {
    (times ?? ["", ""]).map { Instant($0) == nil ? NSNull() : $0 as Any }
  }

  private func collection(_ archive: Archive, _ root: String) async throws -> [String: Any] {
    let now = archive.now
    let known: (box: [Double]?, times: [String]?)
    do { known = try await compute { _ in try now.known() } } catch { throw Problem.wrapping(error) }
    return [
      "type": "Collection", "stac_version": Self.version, "id": archive.name, "description": "The images of the index \(archive.name)",
      "license": "other",
      "extent": [
        "spatial": ["bbox": [known.box ?? [-180, -90, 180, 90]]], "temporal": ["interval": [Self.interval(known.times)]],
      ],
      "links": [
        Self.link("self", root + Self.path(of: archive)), Self.link("root", root + "/"), Self.link("parent", root + "/"),
        Self.link("items", root + Self.path(of: archive) + "/items", type: "application/geo+json"),
      ],
    ]
  }

  private func feature(_ found: Found, _ root: String) -> [String: Any] {
    let (archive, result) = found
    let item = Item(result)
    var properties = item.attributes
    properties["datetime"] = result.datetime as Any? ?? NSNull()
    // An item without a time has to say between which it lies: that much is sure.
    if result.datetime == nil, properties["start_datetime"] == nil {
      (properties["start_datetime"], properties["end_datetime"]) = ("1900-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
    }
    if result.rank > 0 { properties["score"] = Double(result.score) }
    properties["probability"] = result.probability
    properties["path"] = result.name
    if let window = result.window { properties["window"] = [window.x, window.y, window.width, window.height] }
    let collection = root + Self.path(of: archive)
    var feature: [String: Any] = [
      "type": "Feature", "stac_version": Self.version, "stac_extensions": [String](), "id": "\(result.id)", "collection": archive.name,
      "geometry": item.geometry, "properties": properties,
      "assets": [
        "thumbnail": ["href": root + address(of: result.id, "/thumbnail", in: archive), "type": "image/jpeg", "roles": ["thumbnail"]]
          as [String: Any],
        "original": ["href": root + address(of: result.id, "/original", in: archive), "roles": ["data"]],
      ],
      "links": [
        Self.link("self", "\(collection)/items/\(result.id)", type: "application/geo+json"), Self.link("root", root + "/"),
        Self.link("parent", collection), Self.link("collection", collection),
      ],
    ]
    if let box = item.box { feature["bbox"] = [box.west, box.south, box.east, box.north] }
    return feature
  }

  /// Where a page begins: after so many of what is ranked, or in which index after which id.
  private struct PageToken {
    let archive: Int
    let start: Int64

    init(archive: Int, start: Int64) { (self.archive, self.start) = (archive, start) }

    init(_ text: String?) throws {
      guard let text else {
        self.init(archive: 0, start: 0)
        return
      }
      let parts = text.split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count == 2, let archive = Int(parts[0]), let start = Int64(parts[1]), archive >= 0, start >= 0 else {
        throw Problem(.badRequest, "bad_input", "the token is none of ours")
      }
      self.init(archive: archive, start: start)
    }

    var text: String { "\(archive)-\(start)" }
  }

  private static let mostRanked = 1_000_000

  /// `q` ranks; without it items come index by index in the order of their ids. Pages go on at `token`.
  private func searchItems(_ fields: Fields, _ request: Request, isPost: Bool) async throws -> Response {
    let limit = min(Self.mostItems, try fields.integer("limit", in: 1...100_000) ?? 10)
    let token = try PageToken(fields.string("token"))
    var filter = try fields.string("filter")
    if let times = try fields.string("datetime") {
      let condition = try Self.condition(times)
      filter = filter.map { "(\($0)) and \(condition)" } ?? condition
    }
    let area = try fields.numbers("bbox", count: 4).map { SearchArea.box(west: $0[0], south: $0[1], east: $0[2], north: $0[3]) }
    let isText = fields.values["q"] is String
    let words = isText ? try fields.string("q") : try fields.strings("q")?.joined(separator: " ")
    let collections = try fields.strings("collections") ?? []
    let among = archives.filter { collections.isEmpty || collections.contains($0.name) }
    let found: [Found], next: PageToken?
    if let ids = try fields.strings("ids"), !ids.isEmpty {
      // By name they are found wherever they are.
      let numbers = Set(ids).compactMap { Int64($0) }.sorted()
      let all = among.flatMap { archive in numbers.compactMap { id in (try? archive.now.searcher.item(id)).map { (archive, $0) } } }
      (found, next) = (Array(all.prefix(limit)), nil)
    } else if let words, !words.isEmpty {
      (found, next) = try await ranked(words, among, filter, area, token, limit)
    } else {
      (found, next) = try await listed(among, filter, area, token, limit)
    }
    return page(found, next: next?.text, request, fields, isPost)
  }

  private func ranked(
    _ words: String, _ among: [Archive], _ filter: String?, _ area: SearchArea?, _ token: PageToken, _ limit: Int
  ) async throws -> ([Found], PageToken?) {
    guard token.start <= Self.mostRanked else { throw Problem(.badRequest, "bad_input", "the token is none of ours") }
    let (start, sentence) = (Int(token.start), try SearchRequest.sentence(words))
    var all: [Found] = []
    for archive in among {
      let searcher = try await searcher(filter, area, archive.now)
      all += try await answer(Query(.sentence(sentence), top: start + limit + 1), with: searcher).results.map { (archive, $0) }
    }
    // Scores of one model are comparable from index to index.
    if among.count > 1 { all.sort { $0.item.score > $1.item.score } }
    let page = Array(all.dropFirst(start).prefix(limit))
    return (page, all.count > start + limit ? PageToken(archive: 0, start: Int64(start + limit)) : nil)
  }

  private func listed(
    _ among: [Archive], _ filter: String?, _ area: SearchArea?, _ token: PageToken, _ limit: Int
  ) async throws -> ([Found], PageToken?) {
    var found: [Found] = []
    for (i, archive) in among.enumerated() where i >= token.archive {
      let (searcher, start, missing) = (try await searcher(filter, area, archive.now), i == token.archive ? token.start : 0, limit - found.count)
      let items = try await compute { _ in try searcher.items(after: start, limit: missing + 1) }
      found += items.prefix(missing).map { (archive, $0) }
      if items.count > missing { return (found, PageToken(archive: i, start: missing > 0 ? items[missing - 1].id : start)) }
    }
    return (found, nil)
  }

  private func page(_ found: [Found], next: String?, _ request: Request, _ fields: Fields, _ isPost: Bool) -> Response {
    let root = self.root(request)
    var here = URLComponents(string: root + request.uri.path) ?? URLComponents()
    let address = here.string ?? root
    var links = [Self.link("root", root + "/"), Self.link("self", address, type: "application/geo+json")]
    if let next {
      var link = Self.link("next", address, type: "application/geo+json", method: isPost ? "POST" : "GET")
      if isPost {
        link["body"] = fields.values.merging(["token": next]) { $1 }
      } else {
        let kept = request.uri.queryParameters.filter { $0.key != "token" }
        here.queryItems = kept.map { URLQueryItem(name: String($0.key), value: String($0.value)) } + [URLQueryItem(name: "token", value: next)]
        link["href"] = here.string ?? root
      }
      links.append(link)
    }
    return JSON.response(
      [
        "type": "FeatureCollection", "features": found.map { feature($0, root) }, "links": links, "numberReturned": found.count,
      ], type: "application/geo+json")
  }

  /// `2024-01-01T00:00:00Z/..` and the like as a condition of a filter.
  static func condition(_ times: String) throws -> String {
    let ends = times.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    func literal(_ text: String) throws -> String? {
      if text.isEmpty || text == ".." { return nil }
      guard Instant(text) != nil else { throw Problem(.badRequest, "bad_input", "datetime is a time or two with / between") }
      return "'\(text)'"
    }
    guard (1...2).contains(ends.count) else { throw Problem(.badRequest, "bad_input", "datetime is a time or two with / between") }
    if ends.count == 1 { return try literal(ends[0]).map { "datetime = \($0)" } ?? "datetime is not null" }
    let (first, last) = (try literal(ends[0]), try literal(ends[1]))
    let parts = [first.map { "datetime >= \($0)" }, last.map { "datetime <= \($0)" }].compactMap { $0 }
    return parts.isEmpty ? "datetime is not null" : parts.joined(separator: " and ")
  }
}
#endif
