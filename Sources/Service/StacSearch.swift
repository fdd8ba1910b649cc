#if Serve
import FastThenFine
import Foundation
import FTFGeography
import Hummingbird
import FTFIndex
import FTFJSON

/// What an item search asks for, in an address or a body: what is not known, or is not what it has to be, is refused (400).
struct StacSearch {
  var limit = 10
  var token: String?
  /// A sentence, which ranks.
  var words: String?
  /// A condition of the grammar that `--filter` has: all that narrows.
  var filter: String?
  var area: SearchArea?
  var ids: [String]?
  var collections: [String] = []
  var order: [Catalog.Order] = []
  var fields = StacFields()

  static let mostItems = 1000
  private static let names: Set<String> = [
    "limit", "token", "q", "bbox", "datetime", "intersects", "ids", "collections", "filter", "filter-lang", "filter-crs", "sortby", "fields",
  ]
  private static let longest = 1 << 17

  private static func refusal(_ detail: String) -> Problem { Problem(.badRequest, "bad_input", detail) }

  init(_ parameters: Parameters) throws {
    var values: [String: Any] = [:]
    for (name, text) in try parameters.only(Self.names).pairs where !text.isEmpty {
      switch name {
      case "bbox":
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0.trimmingCharacters(in: .whitespaces)) }
        guard numbers.allSatisfy({ $0 != nil }) else { throw Self.refusal("bbox has 4 or 6 numbers") }
        values[name] = numbers.map { NSNumber(value: $0!) }
      case "limit":
        guard let number = Int(text) else { throw Self.refusal("limit is a whole number") }
        values[name] = number
      case "ids", "collections": values[name] = text.split(separator: ",").map(String.init)
      case "intersects":
        guard let object = JSONValue(text)?.any else { throw Self.refusal("intersects is a GeoJSON geometry") }
        values[name] = object
      case "sortby":
        values[name] = text.split(separator: ",").map { part -> [String: Any] in
          let name = part.trimmingCharacters(in: CharacterSet(charactersIn: "+- "))
          return ["field": name, "direction": part.hasPrefix("-") ? "desc" : "asc"]
        }
      case "fields":
        let parts = text.split(separator: ",").map(String.init)
        values[name] = [
          "include": parts.filter { !$0.hasPrefix("-") }.map { $0.hasPrefix("+") ? String($0.dropFirst()) : $0 },
          "exclude": parts.filter { $0.hasPrefix("-") }.map { String($0.dropFirst()) },
        ]
      case "filter":
        let isJSON = parameters["filter-lang"] == "cql2-json"
        guard let object = isJSON ? JSONValue(text)?.any : text as Any else {
          throw Self.refusal("filter is no JSON, which filter-lang says that it is")
        }
        values[name] = object
      default: values[name] = text
      }
    }
    try self.init(values)
  }

  init(_ fields: Fields) throws {
    // Some clients send addresses of what they are going on from along.
    let unknown = fields.values.keys.filter { !Self.names.contains($0) && $0 != "conf" }
    guard unknown.isEmpty else { throw Self.refusal("\(unknown.min()!) is none of the fields here: \(Self.names.sorted().joined(separator: ", "))") }
    try self.init(fields.values)
  }

  private init(_ values: [String: Any]) throws {
    do { try read(Fields(values)) } catch let problem as Problem {
      // Whatever is wrong with what is asked for has one status here.
      throw problem.status == .unprocessableContent ? Problem(.badRequest, problem.code, problem.detail) : problem
    }
  }

  private mutating func read(_ fields: Fields) throws {
    let values = fields.values
    limit = min(Self.mostItems, try fields.integer("limit", in: 1...Int(Int32.max)) ?? 10)
    token = try fields.string("token")
    words = values["q"] is String ? try fields.string("q") : try fields.strings("q")?.joined(separator: " ")
    ids = try fields.strings("ids").flatMap { $0.isEmpty ? nil : $0 }
    collections = try fields.strings("collections") ?? []
    if let ids, ids.count > 10_000 { throw Self.refusal("ids has at most 10000") }
    var conditions: [String] = []
    if let times = try fields.string("datetime") { conditions.append(try Self.condition(times)) }
    if let box = values["bbox"] {
      guard values["intersects"] == nil else { throw Self.refusal("give one of bbox and intersects") }
      area = try Self.box(box)
    }
    if let given = values["intersects"] {
      guard let object = given as? [String: Any], Geometry(area: object) != nil else { throw Self.refusal("intersects is a GeoJSON geometry") }
      conditions.append("intersects('\(String(decoding: JSON.data(object), as: UTF8.self).replacing("'", with: "''"))')")
    }
    if let crs = try fields.string("filter-crs"), !crs.hasSuffix("/CRS84") { throw Self.refusal("filter-crs is CRS84") }
    if let filter = try condition(fields) { conditions.append("(\(filter))") }
    filter = conditions.isEmpty ? nil : conditions.joined(separator: " and ")
    guard filter?.utf8.count ?? 0 <= Self.longest else { throw Self.refusal("the conditions are too long") }
    order = try Self.order(values["sortby"])
    self.fields = try StacFields(values["fields"])
  }

  private func condition(_ fields: Fields) throws -> String? {
    let language = try fields.string("filter-lang")
    guard language == nil || ["cql2-text", "cql2-json"].contains(language!) else { throw Self.refusal("filter-lang is cql2-text or cql2-json") }
    guard let filter = fields.values["filter"] else { return nil }
    let text: String
    if let given = filter as? String, language != "cql2-json" { text = given } else { text = try CQL2.text(filter) }
    do { _ = try Filter(text) } catch { throw Self.refusal("\(error)") }
    return text
  }

  /// Four numbers, or six with heights, which are left out.
  private static func box(_ value: Any) throws -> SearchArea {
    let refused = refusal("bbox has 4 or 6 numbers: west, south, east, north in degrees, with heights between")
    guard let given = value as? [NSNumber], !given.contains(where: \.isBool) else { throw refused }
    let all = given.map(\.doubleValue)
    let numbers = all.count == 6 ? [all[0], all[1], all[3], all[4]] : all
    guard numbers.count == 4, BoundingBox(numbers) != nil else { throw refused }
    return .box(west: numbers[0], south: numbers[1], east: numbers[2], north: numbers[3])
  }

  /// `2024-01-01T00:00:00Z/..` and the like as a condition of a filter.
  static func condition(_ times: String) throws -> String {
    let refused = refusal("datetime is a time of RFC 3339, or two with / between, of which one may be open (..)")
    let ends = times.split(separator: "/", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
    func literal(_ text: String) throws -> String {
      if text.isEmpty || text == ".." { return ".." }
      // RFC 3339, with a zone; a date alone is all of its day.
      guard Instant(text) != nil, text.contains(/^\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?$/) else { throw refused }
      return text
    }
    guard (1...2).contains(ends.count) else { throw refused }
    let first = try literal(ends[0])
    guard ends.count == 2 else {
      // A day is an interval: clients write it so, and the standard has it so.
      guard first != "..", first.utf8.count > 10 else { throw refused }
      return "t_intersects(datetime, '\(first)')"
    }
    let last = try literal(ends[1])
    guard first != ".." || last != ".." else { throw refused }
    if let start = Instant(first)?.first, let end = Instant(last)?.last, start > end { throw refused }
    return "t_intersects(datetime, interval('\(first)', '\(last)'))"
  }

  private static func order(_ value: Any?) throws -> [Catalog.Order] {
    guard let value else { return [] }
    guard let list = value as? [[String: Any]], (1...8).contains(list.count) else { throw refusal("sortby is a list of field and direction") }
    return try list.map { one in
      guard var name = one["field"] as? String, !name.isEmpty, !name.contains("\""), let direction = one["direction"] as? String? ?? "asc",
        ["asc", "desc"].contains(direction)
      else { throw refusal("sortby is a list of field and direction, asc or desc") }
      if name.hasPrefix("properties.") { name = String(name.dropFirst("properties.".count)) }
      return Catalog.Order(name: name, isDescending: direction == "desc")
    }
  }
}

/// Which parts of an item are sent.
struct StacFields {
  private var include: [String] = []
  private var exclude: [String] = []
  private static let always: Set<String> = ["type", "id", "collection", "stac_version", "links"]

  private static let refused = Problem(.badRequest, "bad_input", "fields has lists of names: include and exclude")

  init() {}

  init(_ value: Any?) throws {
    guard let value else { return }
    guard let object = value as? [String: Any] else { throw Self.refused }
    func names(_ key: String) throws -> [String] {
      guard let value = object[key], !(value is NSNull) else { return [] }
      guard let names = value as? [String], names.count <= 100 else { throw Self.refused }
      return names.filter { !$0.isEmpty }
    }
    (include, exclude) = (try names("include"), try names("exclude"))
  }

  func applied(to item: [String: Any]) -> [String: Any] {
    guard !include.isEmpty || !exclude.isEmpty else { return item }
    var result = include.isEmpty ? item : item.filter { Self.always.contains($0.key) }
    for path in include {
      let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
      guard let value = item[parts[0]] else { continue }
      if parts.count == 1 {
        result[parts[0]] = value
      } else if let part = (value as? [String: Any])?[parts[1]] {
        result[parts[0]] = (result[parts[0]] as? [String: Any] ?? [:]).merging([parts[1]: part]) { $1 }
      }
    }
    for path in exclude where !include.contains(path) {
      let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
      if parts.count == 1, !["type", "id"].contains(parts[0]) {
        result[parts[0]] = nil
      } else if parts.count == 2, var object = result[parts[0]] as? [String: Any] {
        object[parts[1]] = nil
        result[parts[0]] = object
      }
    }
    return result
  }
}
#endif
