import FastThenFine
import Foundation
import FTFGeography
import FTFParquet

/// Images with their vectors as the field's programs read them: the columns of stac-geoparquet 1.1, and beside them the vector, its time
/// and its middle, so that DuckDB, GeoPandas, TorchGeo and QGIS need no glue.
package enum StacGeoParquet {
  private static let groupRows = 16384
  private static let own: Set<String> = [
    "id", "type", "stac_version", "collection", "path", "bytes", "geometry", "bbox", "datetime", "links", "assets", "window", "embedding",
    "timestamp", "centre_lat", "centre_lon",
  ]

  /// - Parameters:
  ///   - items: images, in any order; the file has them along a Hilbert curve.
  ///   - vector: of an item by its id, f32[dimension].
  package static func write(
    _ items: [Item], to file: FileHandle, collection: String, model: String, dimension: Int, vector: (Int64) -> ArraySlice<Float>
  ) throws {
    let items = items.map { (place: $0.hilbert, item: $0) }.sorted { ($0.place, $0.item.id) < ($1.place, $1.item.id) }.map(\.item)
    let attributes = Attribute.all(in: items, beside: own, named: ["datetime", "collection"])
    var writer = try ParquetWriter(file, fields(attributes, dimension))
    for start in stride(from: 0, to: items.count, by: groupRows) {
      let part = Array(items[start..<min(start + groupRows, items.count)])
      try writer.add(rows: part.count, columns(part, attributes, collection, vector))
    }
    try writer.finish(metadata(items, model, dimension))
  }

  private static func fields(_ attributes: [Attribute], _ dimension: Int) -> [ParquetWriter.Field] {
    [
      .strings("id", isOptional: false), .strings("type", isOptional: false), .strings("stac_version", isOptional: false),
      .strings("collection", isOptional: false), .bytes("geometry", isOptional: true),
      .group("bbox", ["xmin", "ymin", "xmax", "ymax"].map { .doubles($0, isOptional: true) }), .times("datetime", isOptional: true),
      .nothing("links", of: [.strings("href", isOptional: false), .strings("rel", isOptional: false)]),
      .group("assets", [.group("image", [.strings("href", isOptional: false), .strings("title", isOptional: false)])]),
      .strings("path", isOptional: false), .integers("bytes", isOptional: true),
      .group("window", ["x", "y", "width", "height"].map { .integers($0, isOptional: true) }),
    ] + attributes.map(\.field) + [
      .vectors("embedding", length: dimension), .times("timestamp", isOptional: true), .doubles("centre_lat", isOptional: true),
      .doubles("centre_lon", isOptional: true),
    ]
  }

  private static func columns(
    _ items: [Item], _ attributes: [Attribute], _ collection: String, _ vector: (Int64) -> ArraySlice<Float>
  ) -> [ParquetWriter.Values] {
    let boxes = items.map(\.box)
    let windows = items.map(\.window)
    let times = items.map(\.time)
    let hrefs = items.map { URL(fileURLWithPath: $0.name).absoluteString }
    var columns: [ParquetWriter.Values] = []
    func texts(_ value: (Item) -> String) { columns.append(.strings(items.map(value))) }
    texts { "\($0.id)" }
    texts { _ in "Feature" }
    texts { _ in "1.1.0" }
    texts { $0.attributes["collection"] as? String ?? collection }
    columns.append(.bytes(items.map(\.wkb)))
    for side in [\BoundingBox.west, \.south, \.east, \.north] { columns.append(.doubles(boxes.map { $0?[keyPath: side] })) }
    columns.append(.times(times))
    columns += [.nothing, .nothing]
    columns.append(.strings(hrefs))
    texts(\.name)
    texts(\.name)
    columns.append(.integers(items.map { $0.bytes.map { Int($0) } }))
    for side in [\Window.x, \.y, \.width, \.height] { columns.append(.integers(windows.map { $0?[keyPath: side] })) }
    for attribute in attributes { columns.append(attribute.values(items)) }
    columns.append(.vectors(items.flatMap { Array(vector($0.id)) }))
    columns.append(.times(times))
    columns.append(.doubles(items.map { $0.point?.lat }))
    columns.append(.doubles(items.map { $0.point?.lon }))
    return columns
  }

  private static func metadata(_ items: [Item], _ model: String, _ dimension: Int) -> [(key: String, value: String)] {
    func json(_ object: [String: Any]) -> String {
      let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
      return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    let footprints = items.compactMap(\.footprint)
    var types: Set<String> = Set(footprints.map { $0.polygons.count == 1 ? "Polygon" : "MultiPolygon" })
    if items.contains(where: { $0.footprint == nil && $0.point != nil }) { types.insert("Point") }
    let boxes = items.compactMap(\.box).flatMap(\.parts)
    var column: [String: Any] = [
      "encoding": "WKB", "geometry_types": types.sorted(),
      "covering": ["bbox": Dictionary(uniqueKeysWithValues: ["xmin", "ymin", "xmax", "ymax"].map { ($0, ["bbox", $0]) })],
    ]
    if !boxes.isEmpty {
      column["bbox"] = [boxes.map(\.west).min()!, boxes.map(\.south).min()!, boxes.map(\.east).max()!, boxes.map(\.north).max()!]
    }
    let gsd = items.compactMap { ($0.attributes["gsd"] as? NSNumber)?.doubleValue }.min()
    let chip = items.compactMap(\.window).first
    var emb: [String: Any] = ["type": "chip", "model": model, "dimensions": dimension, "quantization": "int8, scaled back to f32"]
    emb["gsd"] = gsd
    if let chip {
      emb["chip_size"] = [chip.width, chip.height]
      let lefts = Set(items.compactMap { $0.name == items[0].name ? $0.window?.x : nil }).sorted()
      if lefts.count > 1 { emb["stride"] = lefts[1] - lefts[0] }
    }
    return [
      ("geo", json(["version": "1.1.0", "primary_column": "geometry", "columns": ["geometry": column]])),
      ("stac-geoparquet", json(["version": "1.1.0"])), ("emb", json(emb)),
    ]
  }
}
