import FastThenFine
import Foundation
import FTFGeography
import FTFKernels
import FTFParquet

/// Images with their vectors as the field's programs read them: the columns of stac-geoparquet 1.1, and beside them the vector, its time
/// and its middle, so that DuckDB, GeoPandas, TorchGeo and QGIS need no glue.
package enum StacGeoParquet {
  private static let groupRows = 8192
  /// Groups that are made at once: each takes some fifty megabytes.
  private static let mostGroups = 3
  private static let own: Set<String> = [
    "id", "type", "stac_version", "collection", "path", "bytes", "geometry", "bbox", "datetime", "links", "assets", "window", "embedding",
    "timestamp", "centre_lat", "centre_lon",
  ]
  /// Attributes that are in these.
  private static let named: Set<String> = ["datetime", "collection"]

  /// Rows come along a Hilbert curve. Memory holds a few groups of them, and of each image its place on the curve: images are gone through twice.
  ///
  /// - Parameter items: images.
  package static func write(_ items: StoredItems, to file: FileHandle, collection: String, model: String, dimension: Int) throws {
    var (places, kinds, known) = ([(place: UInt64, id: Int64)](), Attribute.Kinds(beside: own, named: named), Known())
    places.reserveCapacity(items.count)
    var pages = items.pages()
    try Conveyor.run {
      try pages.next()
    } made: { page in
      let items = page.map { Item($0, isImage: true) }
      return (items.map { (place: $0.hilbert, id: $0.id) }, Attribute.Kinds(items, beside: own, named: named), Known(items))
    } take: { some in
      places += some.0
      kinds.add(some.1)
      known.add(some.2)
    }
    places.sort { $0 < $1 }
    let attributes = kinds.attributes
    var writer = try ParquetWriter(file, fields(attributes, dimension))
    var rest = places[...]
    try Conveyor.run(threads: min(Processors.usable, mostGroups)) { () throws -> [IndexEntry]? in
      guard !rest.isEmpty else { return nil }
      defer { rest = rest.dropFirst(groupRows) }
      return try items.entries(rest.prefix(groupRows).map(\.id))
    } made: { [leaves = writer.leaves, vectors = items.vectors] entries throws -> ParquetWriter.Group in
      let part = entries.map { Item($0, isImage: true) }
      return try ParquetWriter.group(rows: part.count, columns(part, attributes, collection, vectors(part.map(\.id))), leaves)
    } take: { group in
      try writer.add(group)
    }
    try writer.finish(metadata(known, model, dimension))
  }

  /// What is said of all images at the end.
  private struct Known: Sendable {
    var types: Set<String> = []
    var box: BoundingBox?
    var gsd: Double?
    var chip: Window?
    /// The left sides of the windows of the first image that has any.
    var lefts: (name: String, sides: Set<Int>)?

    init(_ items: [Item] = []) {
      for item in items { add(item) }
    }

    private mutating func add(_ item: Item) {
      if let footprint = item.footprint {
        types.insert(footprint.polygons.count == 1 ? "Polygon" : "MultiPolygon")
      } else if item.point != nil {
        types.insert("Point")
      }
      for part in item.box?.parts ?? [] { box = box?.with(part) ?? part }
      if let own = item.attributes["gsd"]?.double { gsd = min(gsd ?? own, own) }
      guard let window = item.window else { return }
      chip = chip ?? window
      if lefts == nil { lefts = (item.name, []) }
      if lefts?.name == item.name { lefts?.sides.insert(window.x) }
    }

    /// What is known of those that come after.
    mutating func add(_ others: Known) {
      types.formUnion(others.types)
      if let other = others.box { box = box?.with(other) ?? other }
      if let other = others.gsd { gsd = min(gsd ?? other, other) }
      chip = chip ?? others.chip
      guard let other = others.lefts else { return }
      if lefts == nil { lefts = other }
      if lefts?.name == other.name { lefts?.sides.formUnion(other.sides) }
    }
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
    _ items: [Item], _ attributes: [Attribute], _ collection: String, _ vectors: [Float]
  ) -> [ParquetWriter.Values] {
    let boxes = items.map(\.box)
    let windows = items.map(\.window)
    let times = items.map(\.time)
    let hrefs = items.map { URL(fileURLWithPath: $0.name, isDirectory: false).absoluteString }
    var columns: [ParquetWriter.Values] = []
    func texts(_ value: (Item) -> String) { columns.append(.strings(items.map(value))) }
    texts { "\($0.id)" }
    texts { _ in "Feature" }
    texts { _ in "1.1.0" }
    texts { $0.attributes["collection"]?.text ?? collection }
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
    columns.append(.vectors(vectors))
    columns.append(.times(times))
    columns.append(.doubles(items.map { $0.point?.lat }))
    columns.append(.doubles(items.map { $0.point?.lon }))
    return columns
  }

  private static func metadata(_ known: Known, _ model: String, _ dimension: Int) -> [(key: String, value: String)] {
    var column: [String: Any] = [
      "encoding": "WKB", "geometry_types": known.types.sorted(),
      "covering": ["bbox": Dictionary(uniqueKeysWithValues: ["xmin", "ymin", "xmax", "ymax"].map { ($0, ["bbox", $0]) })],
    ]
    if let box = known.box { column["bbox"] = [box.west, box.south, box.east, box.north] }
    var emb: [String: Any] = ["type": "chip", "model": model, "dimensions": dimension, "quantization": "int8, scaled back to f32"]
    emb["gsd"] = known.gsd
    if let chip = known.chip {
      emb["chip_size"] = [chip.width, chip.height]
      let lefts = (known.lefts?.sides ?? []).sorted()
      if lefts.count > 1 { emb["stride"] = lefts[1] - lefts[0] }
    }
    return [
      ("geo", JSONText.of(["version": "1.1.0", "primary_column": "geometry", "columns": ["geometry": column]])),
      ("stac-geoparquet", JSONText.of(["version": "1.1.0"])), ("emb", JSONText.of(emb)),
    ]
  }
}
