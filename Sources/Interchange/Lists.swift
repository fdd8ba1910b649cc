import FastThenFine
import Foundation
import FTFJSON

/// How a list of items is written.
package enum ListFormat: String, CaseIterable, Sendable {
  case jsonl, csv, geojson, parquet, gpkg

  /// The list as text; nil for a format that is none.
  package func text(_ items: [Item], isImage: Bool) -> String? {
    switch self {
    case .jsonl: items.map { Self.jsonLine($0, isImage: isImage) }.joined()
    case .geojson: Self.geoJSON(items.map { ($0, Self.record($0, isImage)) })
    case .csv: Self.csv(items, isImage)
    case .parquet, .gpkg: nil
    }
  }

  /// An item as a line of JSON.
  package static func jsonLine(_ item: Item, isImage: Bool) -> String {
    JSONValue.object(record(item, isImage).merging(["attributes": .object(item.attributes)]) { $1 }).json + "\n"
  }

  private static func record(_ item: Item, _ isImage: Bool) -> [String: JSONValue] {
    var record: [String: JSONValue] = ["id": .whole(item.id), (isImage ? "path" : "caption"): .text(item.name)]
    if let bytes = item.pathBytes { record["path_bytes"] = .text(Data(bytes).base64EncodedString()) }
    record["bytes"] = item.bytes.map(JSONValue.whole)
    if let window = item.window { record["window"] = .list([window.x, window.y, window.width, window.height]) }
    return record
  }

  /// A collection of features (RFC 7946); what has no place has a null geometry.
  ///
  /// - Parameter items: with the properties that come before the attributes'.
  package static func geoJSON(_ items: [(item: Item, properties: [String: JSONValue])]) -> String {
    let features = items.map { item, properties -> JSONValue in
      let box = item.footprint?.boundingBox
      return .object([
        "bbox": box.map { .list([$0.west, $0.south, $0.east, $0.north]) }, "geometry": item.geometry, "id": .whole(item.id),
        "properties": .object(item.attributes.merging(properties) { $1 }), "type": .text("Feature"),
      ])
    }
    return JSONValue.object(["features": .list(features), "type": .text("FeatureCollection")]).json + "\n"
  }

  private static func csv(_ items: [Item], _ isImage: Bool) -> String {
    let places = items.contains { $0.footprint != nil } ? ["west", "south", "east", "north", "centre_lon", "centre_lat"] : []
    let windows = items.contains { $0.window != nil } ? ["x", "y", "width", "height"] : []
    let own = ["id", isImage ? "path" : "caption", "bytes"] + windows + places
    let keys = Set(items.flatMap(\.attributes.keys)).sorted()
    let rows = items.map { item -> String in
      var fields = ["\(item.id)", item.name, item.bytes.map { "\($0)" } ?? ""]
      if !windows.isEmpty {
        let window = item.window
        fields += [window?.x, window?.y, window?.width, window?.height].map { $0.map { "\($0)" } ?? "" }
      }
      if !places.isEmpty {
        let box = item.box
        fields += [box?.west, box?.south, box?.east, box?.north, item.point?.lon, item.point?.lat].map { $0.map { "\($0)" } ?? "" }
      }
      return (fields + keys.map { item.attributes[$0]?.description ?? "" }).map(quoted).joined(separator: ",")
    }
    let header = (own + keys.map { Item.column($0, beside: Set(own)) }).map(quoted).joined(separator: ",")
    return ([header] + rows).joined(separator: "\r\n") + "\r\n"
  }

  /// A line of CSV, with its end.
  static func line(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\r\n" }

  /// RFC 4180.
  private static func quoted(_ field: String) -> String {
    guard field.utf8.contains(where: { [0x22, 0x2c, 0x0d, 0x0a].contains($0) }) else { return field }
    return "\"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}
