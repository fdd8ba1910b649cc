#if Serve
import FastThenFine
import Foundation
import FTFGeography
import HTTPTypes
import Hummingbird
import FTFInterchange

/// A STAC API and OGC API Features, with free text: pystac-client finds places by a sentence. Each index is a collection.
extension SearchService {
  private static let version = "1.0.0"

  func addSTAC(to router: Router<ServiceContext>) {
    router.get("/conformance") { request, _ -> Response in
      _ = try Parameters(request).only([])
      return JSON.response(["conformsTo": Self.conformance])
    }
    router.get("/queryables") { request, _ in try await self.queryables(request, nil) }
    router.get("/collections") { request, _ in
      _ = try Parameters(request).only([])
      let root = self.root(request)
      var collections: [[String: Any]] = []
      for archive in self.archives { collections.append(try await self.collection(archive, root)) }
      return JSON.response(["collections": collections, "links": [Self.link("self", root + "/collections"), Self.link("root", root + "/")]])
    }
    router.get("/collections/:collection") { request, context -> Response in
      _ = try Parameters(request).only([])
      return JSON.response(try await self.collection(try self.archive(context), self.root(request)))
    }
    router.get("/collections/:collection/queryables") { request, context in try await self.queryables(request, self.archive(context)) }
    router.get("/collections/:collection/items/:id") { request, context -> Response in
      _ = try Parameters(request).only([])
      let archive = try self.archive(context)
      return JSON.response(self.feature((archive, try self.item(context, in: archive)), self.root(request)), type: "application/geo+json")
    }
    router.get("/collections/:collection/items") { request, context -> Response in
      let archive = try self.archive(context)
      var search = try StacSearch(Parameters(request))
      search.collections = [archive.name]
      return try await self.items(search, request, context, collection: archive)
    }
    router.get("/search") { request, context in try await self.items(StacSearch(Parameters(request)), request, context) }
    router.post("/search") { request, context in
      _ = try Parameters(request).only([])
      let fields = try await self.object(request)
      return try await self.items(StacSearch(fields), request, context, body: fields)
    }
  }

  /// What is there, and no more.
  private static let conformance = [
    "https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/collections", "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#sort", "https://api.stacspec.org/v1.0.0/item-search#fields",
    "https://api.stacspec.org/v1.0.0/item-search#filter", "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/ogcapi-features#sort", "https://api.stacspec.org/v1.0.0/ogcapi-features#fields",
    "https://api.stacspec.org/v1.0.0-rc.1/item-search#free-text",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core", "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson", "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter", "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json", "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators", "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
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

  // MARK: What there is

  func landing(_ request: Request) -> Response {
    let root = self.root(request)
    return JSON.response([
      "type": "Catalog", "stac_version": Self.version, "id": "fastthenfine", "title": "FastThenFine",
      "description": "Overhead images, found by sentences and pictures", "conformsTo": Self.conformance,
      "links": [
        Self.link("self", root + "/"), Self.link("root", root + "/"), Self.link("conformance", root + "/conformance"),
        Self.link("service-desc", root + "/openapi.json", type: "application/vnd.oai.openapi+json;version=3.1"),
        Self.link("data", root + "/collections"),
        Self.link("http://www.opengis.net/def/rel/ogc/1.0/queryables", root + "/queryables", type: "application/schema+json"),
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
    let (now, here) = (archive.now, root + Self.path(of: archive))
    let known: (box: [Double]?, times: [String]?)
    do { known = try await scan { try now.known() } } catch { throw Problem.wrapping(error) }
    return [
      "type": "Collection", "stac_version": Self.version, "stac_extensions": [String](), "id": archive.name, "title": archive.name,
      "description": "The images of the index \(archive.name)", "license": "other", "itemType": "feature",
      "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
      "extent": [
        "spatial": ["bbox": [known.box ?? [-180, -90, 180, 90]]], "temporal": ["interval": [Self.interval(known.times)]],
      ],
      "links": [
        Self.link("self", here), Self.link("root", root + "/"), Self.link("parent", root + "/"),
        Self.link("items", here + "/items", type: "application/geo+json"),
        Self.link("http://www.opengis.net/def/rel/ogc/1.0/queryables", here + "/queryables", type: "application/schema+json"),
      ],
    ]
  }

  /// What conditions may name: a JSON schema.
  private func queryables(_ request: Request, _ archive: Archive?) async throws -> Response {
    _ = try Parameters(request).only([])
    var properties: [String: Any] = [
      "id": ["type": "string", "description": "Of the item."], "path": ["type": "string", "description": "Of the file."],
      "geometry": ["$ref": "https://geojson.org/schema/Geometry.json"],
      "datetime": ["type": "string", "format": "date-time", "description": "When it was taken."],
    ]
    for archive in archive.map({ [$0] }) ?? archives {
      let now = archive.now
      let found: [ImageIndex.AttributeValues]
      do { found = try await scan { try now.attributeValues() } } catch { throw Problem.wrapping(error) }
      for one in found where properties[one.name] == nil {
        var types: [String] = []
        if one.least != nil { types.append("number") }
        if !one.texts.isEmpty { types.append("string") }
        properties[one.name] = types.isEmpty ? [:] as [String: Any] : ["type": types.count == 1 ? types[0] as Any : types]
      }
    }
    let here = root(request) + (archive.map(Self.path) ?? "") + "/queryables"
    return JSON.response(
      [
        "$schema": "https://json-schema.org/draft/2019-09/schema", "$id": here, "type": "object", "title": archive?.name ?? "FastThenFine",
        "properties": properties, "additionalProperties": true,
      ], type: "application/schema+json")
  }

  private func feature(_ found: Found, _ root: String) -> [String: Any] {
    let (archive, result) = found
    let item = Item(result)
    var properties: [String: Any] = item.attributes
    properties["datetime"] = result.datetime as Any? ?? NSNull()
    // An item without a time has to say between which it lies: that much is sure.
    if result.datetime == nil, properties["start_datetime"] == nil {
      (properties["start_datetime"], properties["end_datetime"]) = ("1900-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
    }
    if result.rank > 0 { properties["score"] = Double(result.score) }
    properties["probability"] = result.probability
    properties["path"] = result.name
    if let window = result.window { properties["window"] = [window.x, window.y, window.width, window.height] }
    var original: [String: Any] = ["href": root + address(of: result.id, "/original", in: archive), "roles": ["data"], "title": "The file"]
    original["type"] = Self.mediaType(result.name, isScene: result.projection != nil)
    var extensions: [String] = []
    if let place = result.projection {
      extensions.append("https://stac-extensions.github.io/projection/v1.1.0/schema.json")
      let t = place.transform
      properties["proj:epsg"] = place.epsg
      original["proj:epsg"] = place.epsg
      original["proj:shape"] = [place.height, place.width]
      original["proj:transform"] = [t[1], t[2], t[0], t[4], t[5], t[3]]
    }
    let collection = root + Self.path(of: archive)
    var feature: [String: Any] = [
      "type": "Feature", "stac_version": Self.version, "stac_extensions": extensions, "id": "\(result.id)", "collection": archive.name,
      "geometry": item.geometry, "properties": properties,
      "assets": [
        "thumbnail": ["href": root + address(of: result.id, "/thumbnail", in: archive), "type": "image/jpeg", "roles": ["thumbnail"]]
          as [String: Any],
        "original": original,
      ],
      "links": [
        Self.link("self", "\(collection)/items/\(result.id)", type: "application/geo+json"), Self.link("root", root + "/"),
        Self.link("parent", collection), Self.link("collection", collection),
      ],
    ]
    if let box = item.box { feature["bbox"] = [box.west, box.south, box.east, box.north] }
    return feature
  }

  /// By the ending of a name: what the file holds is looked at when it is sent.
  private static func mediaType(_ name: String, isScene: Bool) -> String {
    switch URL(fileURLWithPath: name, isDirectory: false).pathExtension.lowercased() {
    case "jpg", "jpeg", "jpe", "jfif": "image/jpeg"
    case "png": "image/png"
    case "tif", "tiff", "btf", "gtiff": isScene ? "image/tiff; application=geotiff" : "image/tiff"
    case "jp2", "j2k", "jpx": "image/jp2"
    case "webp": "image/webp"
    case "vrt": "application/xml"
    default: "application/octet-stream"
    }
  }

  // MARK: Searches

  /// Where a page begins: after so many of what is ranked or sorted, or in which index after which id.
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
      guard parts.count == 2, let archive = Int(parts[0]), let start = Int64(parts[1]), (0...Self.most).contains(start), archive >= 0 else {
        throw Problem(.badRequest, "bad_input", "the token is none of ours")
      }
      self.init(archive: archive, start: start)
    }

    private static let most: Int64 = 1 << 50

    var text: String { "\(archive)-\(start)" }
  }

  private static let mostRanked = 100_000

  /// What was found, of how many, and where the next page begins.
  private struct Page {
    var found: [Found] = []
    var matched = 0
    var next: PageToken?
  }

  /// A sentence ranks, `sortby` sorts; without them items come index by index in the order of their ids. Pages go on at `token`.
  private func items(
    _ search: StacSearch, _ request: Request, _ context: ServiceContext, collection: Archive? = nil, body: Fields? = nil
  ) async throws -> Response {
    context.notes.words = search.words
    let token = try PageToken(search.token)
    let among = archives.filter { search.collections.isEmpty || search.collections.contains($0.name) }
    var parts: [(archive: Archive, searcher: Searcher)] = []
    do {
      for archive in among { parts.append((archive, try await searcher(search.filter, search.area, archive.now, collection: archive.name))) }
      let page: Page
      if let ids = search.ids {
        page = try named(ids, parts, search.limit)
      } else if let words = search.words, !words.isEmpty {
        page = try await ranked(words, parts, token, search.limit)
      } else if search.order.isEmpty {
        page = try await listed(parts, token, search.limit)
      } else {
        page = try await sorted(search, parts, token)
      }
      return self.page(page, search, request, collection, body)
    } catch let problem as Problem {
      throw problem.status == .unprocessableContent ? Problem(.badRequest, problem.code, problem.detail) : problem
    }
  }

  /// By name they are found where nothing else keeps them out.
  private func named(_ ids: [String], _ parts: [(archive: Archive, searcher: Searcher)], _ limit: Int) throws -> Page {
    let numbers = Set(ids).compactMap { Int64($0) }.sorted()
    let all = parts.flatMap { part in
      numbers.compactMap { id -> Found? in
        guard part.searcher.searches(id), let item = try? part.searcher.item(id) else { return nil }
        return (part.archive, item)
      }
    }
    return Page(found: Array(all.prefix(limit)), matched: all.count)
  }

  private func ranked(
    _ words: String, _ parts: [(archive: Archive, searcher: Searcher)], _ token: PageToken, _ limit: Int
  ) async throws -> Page {
    guard token.start <= Self.mostRanked else { throw Problem(.badRequest, "bad_input", "the token is none of ours") }
    let (start, sentence) = (Int(token.start), try SearchRequest.sentence(words))
    var (all, page) = ([Found](), Page())
    // Of one index a page alone is looked up. Of several what comes before it says where it begins.
    let before = parts.count == 1 ? 0 : start
    for (archive, searcher) in parts {
      var query = Query(.sentence(sentence), top: before + limit + 1)
      query.offset = start - before
      all += try await answer(query, with: searcher).results.map { (archive, $0) }
      page.matched += try searcher.results()
    }
    // Scores of one model are comparable from index to index.
    if parts.count > 1 { all.sort { $0.item.score > $1.item.score } }
    page.found = Array(all.dropFirst(before).prefix(limit))
    page.next = all.count > before + limit ? PageToken(archive: 0, start: Int64(start + limit)) : nil
    return page
  }

  private func listed(_ parts: [(archive: Archive, searcher: Searcher)], _ token: PageToken, _ limit: Int) async throws -> Page {
    var page = Page()
    for (i, part) in parts.enumerated() {
      page.matched += try await scan { try part.searcher.results() }
      guard i >= token.archive, page.next == nil else { continue }
      let (start, missing) = (i == token.archive ? token.start : 0, limit - page.found.count)
      let items = try await scan { try part.searcher.items(after: start, limit: missing + 1) }
      page.found += items.prefix(missing).map { (part.archive, $0) }
      if items.count > missing { page.next = PageToken(archive: i, start: missing > 0 ? items[missing - 1].id : start) }
    }
    return page
  }

  /// Of several indexes one after the other.
  private func sorted(_ search: StacSearch, _ parts: [(archive: Archive, searcher: Searcher)], _ token: PageToken) async throws -> Page {
    var page = Page()
    for (i, part) in parts.enumerated() {
      page.matched += try await scan { try part.searcher.results() }
      guard i >= token.archive, page.next == nil else { continue }
      let (start, missing) = (i == token.archive ? Int(token.start) : 0, search.limit - page.found.count)
      let items = try await scan { try part.searcher.items(sortedBy: search.order, from: start, limit: missing + 1) }
      page.found += items.prefix(missing).map { (part.archive, $0) }
      if items.count > missing { page.next = PageToken(archive: i, start: Int64(start + missing)) }
    }
    return page
  }

  private func page(_ page: Page, _ search: StacSearch, _ request: Request, _ collection: Archive?, _ body: Fields?) -> Response {
    let (root, type) = (self.root(request), "application/geo+json")
    let address = root + (collection.map { Self.path(of: $0) + "/items" } ?? "/search")
    let query = request.uri.query.map { "?" + $0 } ?? ""
    var links = [Self.link("root", root + "/"), Self.link("self", address + (body == nil ? query : ""), type: type)]
    if let collection { links += ["parent", "collection"].map { Self.link($0, root + Self.path(of: collection)) } }
    if let next = page.next?.text {
      var link = Self.link("next", address, type: type, method: body == nil ? "GET" : "POST")
      if let body {
        link["body"] = body.values.merging(["token": next]) { $1 }
      } else {
        let kept = (request.uri.query ?? "").split(separator: "&").filter { !$0.hasPrefix("token=") }.map(String.init)
        link["href"] = address + "?" + (kept + ["token=\(next)"]).joined(separator: "&")
      }
      links.append(link)
    }
    return JSON.response(
      [
        "type": "FeatureCollection", "features": page.found.map { search.fields.applied(to: feature($0, root)) }, "links": links,
        "numberMatched": page.matched, "numberReturned": page.found.count, "timeStamp": Instant.text(Int64(Date().timeIntervalSince1970) * 1_000_000),
      ], type: type)
  }
}
#endif
