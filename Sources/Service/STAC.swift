import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import Interchange

/// A STAC API over the index, with free text: pystac-client finds places by a sentence.
extension SearchService {
  private static let collection = "images"
  private static let version = "1.0.0"
  private static let mostItems = 1000

  func addSTAC(to router: Router<ServiceContext>) {
    router.get("/conformance") { _, _ in JSON.response(["conformsTo": Self.conformance]) }
    router.get("/collections") { request, _ in
      JSON.response(["collections": [self.collection(self.root(request))], "links": [Self.link("self", self.root(request) + "/collections")]])
    }
    router.get("/collections/:collection") { request, context -> Response in
      try Self.check(context)
      return JSON.response(self.collection(self.root(request)))
    }
    router.get("/collections/:collection/items/:id") { request, context -> Response in
      try Self.check(context)
      return JSON.response(Self.feature(try self.item(context), self.root(request)), type: "application/geo+json")
    }
    router.get("/search") { request, _ in
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
      return try await self.searchItems(Fields(values), request, isPost: false)
    }
    router.post("/search") { request, _ in
      try await self.searchItems(JSON.object(request, limit: self.options.bodyLimit), request, isPost: true)
    }
  }

  private static let conformance = [
    "https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/collections", "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0-rc.1/item-search#free-text", "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
  ]

  private static func check(_ context: ServiceContext) throws {
    guard context.parameters.get("collection") == collection else { throw Problem(.notFound, "not_found", "there is no such collection") }
  }

  /// As the client calls it.
  private func root(_ request: Request) -> String {
    let host = request.head.authority ?? "localhost"
    let isPlain = host.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 58, 91, 93].contains(byte)
    }
    return "\(options.certificate == nil ? "http" : "https")://\(isPlain ? host : "localhost")"
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
        Self.link("data", root + "/collections"), Self.link("child", root + "/collections/\(Self.collection)"),
        Self.link("search", root + "/search", type: "application/geo+json", method: "GET"),
        Self.link("search", root + "/search", type: "application/geo+json", method: "POST"),
      ],
    ])
  }

  private func collection(_ root: String) -> [String: Any] {
    [
      "type": "Collection", "stac_version": Self.version, "id": Self.collection, "description": "The images of the index", "license": "other",
      "extent": ["spatial": ["bbox": [[-180, -90, 180, 90]]], "temporal": ["interval": [[NSNull(), NSNull()]]]],
      "links": [
        Self.link("self", "\(root)/collections/\(Self.collection)"), Self.link("root", root + "/"), Self.link("parent", root + "/"),
      ],
    ]
  }

  private static func feature(_ result: Answer.Result, _ root: String) -> [String: Any] {
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
    let image = "\(root)/v1/images/\(result.id)"
    var feature: [String: Any] = [
      "type": "Feature", "stac_version": version, "stac_extensions": [String](), "id": "\(result.id)", "collection": collection,
      "geometry": item.geometry, "properties": properties,
      "assets": [
        "thumbnail": ["href": image + "/thumbnail", "type": "image/jpeg", "roles": ["thumbnail"]] as [String: Any],
        "original": ["href": image + "/original", "roles": ["data"]],
      ],
      "links": [
        link("self", "\(root)/collections/\(collection)/items/\(result.id)", type: "application/geo+json"), link("root", root + "/"),
        link("parent", "\(root)/collections/\(collection)"), link("collection", "\(root)/collections/\(collection)"),
      ],
    ]
    if let box = item.box { feature["bbox"] = [box.west, box.south, box.east, box.north] }
    return feature
  }

  /// `q` ranks; without it items come in the order of their ids. Pages go on at `token`.
  private func searchItems(_ fields: Fields, _ request: Request, isPost: Bool) async throws -> Response {
    let limit = min(Self.mostItems, try fields.integer("limit", in: 1...100_000) ?? 10)
    let start = try fields.string("token").map { token -> Int in
      guard let number = Int(token), (0...1_000_000).contains(number) else { throw Problem(.badRequest, "bad_input", "the token is none of ours") }
      return number
    } ?? 0
    var filter = try fields.string("filter")
    if let times = try fields.string("datetime") {
      let condition = try Self.condition(times)
      filter = filter.map { "(\($0)) and \(condition)" } ?? condition
    }
    let area = try fields.numbers("bbox", count: 4).map { SearchArea.box(west: $0[0], south: $0[1], east: $0[2], north: $0[3]) }
    let now = now
    let isText = fields.values["q"] is String
    let words = isText ? try fields.string("q") : try fields.strings("q")?.joined(separator: " ")
    let ids = try fields.strings("ids")
    if let collections = try fields.strings("collections"), !collections.isEmpty, !collections.contains(Self.collection) {
      return page([], next: nil, request, fields, isPost)
    }
    // By name they are found wherever they are.
    if let ids, !ids.isEmpty {
      let found = Set(ids).compactMap { Int64($0) }.sorted().compactMap { try? now.searcher.item($0) }
      return page(Array(found.prefix(limit)), next: nil, request, fields, isPost)
    }
    let searcher = try await self.searcher(filter, area, now)
    guard let words, !words.isEmpty else {
      let items = try await compute { _ in try searcher.items(after: Int64(start), limit: limit + 1) }
      return page(Array(items.prefix(limit)), next: items.count > limit ? Int(items[limit - 1].id) : nil, request, fields, isPost)
    }
    let query = Query(.sentence(try SearchRequest.sentence(words)), top: start + limit + 1)
    let results = try await answer(query, with: searcher).results.dropFirst(start)
    return page(Array(results.prefix(limit)), next: results.count > limit ? start + limit : nil, request, fields, isPost)
  }

  private func page(_ results: [Answer.Result], next: Int?, _ request: Request, _ fields: Fields, _ isPost: Bool) -> Response {
    let root = self.root(request)
    var links = [Self.link("root", root + "/"), Self.link("self", root + "/search", type: "application/geo+json")]
    if let next {
      var link = Self.link("next", root + "/search", type: "application/geo+json", method: isPost ? "POST" : "GET")
      if isPost {
        link["body"] = fields.values.merging(["token": "\(next)"]) { $1 }
      } else {
        var parts = URLComponents(string: root + "/search")!
        parts.queryItems = request.uri.queryParameters.filter { $0.key != "token" }.map { URLQueryItem(name: String($0.key), value: String($0.value)) }
        parts.queryItems?.append(URLQueryItem(name: "token", value: "\(next)"))
        link["href"] = parts.string ?? root + "/search"
      }
      links.append(link)
    }
    return JSON.response(
      [
        "type": "FeatureCollection", "features": results.map { Self.feature($0, root) }, "links": links, "numberReturned": results.count,
      ], type: "application/geo+json")
  }

  /// `2024-01-01T00:00:00Z/..` and the like as a condition of a filter.
  static func condition(_ times: String) throws -> String {
    let ends = times.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    func literal(_ text: String) throws -> String? {
      if text.isEmpty || text == ".." { return nil }
      guard Datetime.microseconds(text) != nil else { throw Problem(.badRequest, "bad_input", "datetime is a time or two with / between") }
      return "'\(text)'"
    }
    guard (1...2).contains(ends.count) else { throw Problem(.badRequest, "bad_input", "datetime is a time or two with / between") }
    if ends.count == 1 { return try literal(ends[0]).map { "datetime = \($0)" } ?? "datetime is not null" }
    let (first, last) = (try literal(ends[0]), try literal(ends[1]))
    let parts = [first.map { "datetime >= \($0)" }, last.map { "datetime <= \($0)" }].compactMap { $0 }
    return parts.isEmpty ? "datetime is not null" : parts.joined(separator: " and ")
  }
}
