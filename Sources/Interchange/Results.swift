import FastThenFine
import Foundation
import FTFGeography
import FTFJSON
import FTFParquet

/// How a list of results is written, as they come: the rank, the scores, the place, the time and all that is known of each.
package enum ResultsFormat: String, CaseIterable, Sendable {
  case ndjson, csv, geojson, parquet

  package var mediaType: String {
    switch self {
    case .ndjson: "application/x-ndjson"
    case .csv: "text/csv; charset=utf-8; header=present"
    case .geojson: "application/geo+json"
    case .parquet: "application/vnd.apache.parquet"
    }
  }

  private static let columns = [
    "rank", "id", "path", "score", "recall_score", "probability", "datetime", "lon", "lat", "west", "south", "east", "north", "x", "y", "width",
    "height",
  ]

  /// What stands before the first result.
  ///
  /// - Parameter attributes: the names of those that a result may have.
  package func head(_ attributes: [String]) -> String {
    switch self {
    case .csv: ListFormat.line(Self.columns + attributes.map { Item.column($0, beside: Set(Self.columns)) })
    case .geojson: #"{"type":"FeatureCollection","features":["#
    case .ndjson, .parquet: ""
    }
  }

  package var tail: String { self == .geojson ? "\n]}\n" : "" }

  /// Some results.
  ///
  /// - Parameter isFirst: whether none came before them.
  package func text(_ results: [Answer.Result], _ attributes: [String], isFirst: Bool) -> String {
    switch self {
    case .ndjson: results.map { JSONText.of($0.json()) + "\n" }.joined()
    case .csv: results.map { Self.row($0, attributes) }.joined()
    case .geojson: (isFirst ? "\n" : ",\n") + results.map { JSONText.of(Self.feature($0)) }.joined(separator: ",\n")
    case .parquet: ""
    }
  }

  private static func feature(_ result: Answer.Result) -> JSONValue {
    let item = Item(result)
    var properties = item.attributes
    properties["rank"] = .whole(result.rank)
    properties["path"] = .text(result.name)
    properties["score"] = .single(result.score)
    properties["recall_score"] = .single(result.recallScore)
    if let probability = result.probability { properties["probability"] = .number(probability) }
    if let window = result.window { properties["window"] = .list([window.x, window.y, window.width, window.height]) }
    return .object(["geometry": item.geometry, "id": .whole(result.id), "properties": .object(properties), "type": .text("Feature")])
  }

  private static func row(_ result: Answer.Result, _ attributes: [String]) -> String {
    let item = Item(result)
    let (box, window) = (item.box, result.window)
    func text(_ value: (some Any)?) -> String { value.map { "\($0)" } ?? "" }
    var fields = [
      text(result.rank), text(result.id), result.name, text(result.score), text(result.recallScore), text(result.probability), text(result.datetime),
    ]
    fields += [item.point?.lon, item.point?.lat, box?.west, box?.south, box?.east, box?.north].map(text)
    fields += [window?.x, window?.y, window?.width, window?.height].map(text)
    return ListFormat.line(
      fields
        + attributes.map { text(item.attributes[$0]) })
  }
}

/// Results as a table of Parquet, with places as GeoParquet has them and attributes as JSON.
package struct ResultsTable {
  private var writer: ParquetWriter

  /// - Parameter file: empty.
  package init(_ file: FileHandle) throws {
    writer = try ParquetWriter(
      file,
      [
        .integers("rank", isOptional: false), .integers("id", isOptional: false), .strings("path", isOptional: false),
        .doubles("score", isOptional: false),
        .doubles("recall_score", isOptional: false), .doubles("probability", isOptional: true), .times("datetime", isOptional: true),
        .bytes("geometry", isOptional: true), .group("bbox", ["xmin", "ymin", "xmax", "ymax"].map { .doubles($0, isOptional: true) }),
        .group("window", ["x", "y", "width", "height"].map { .integers($0, isOptional: true) }), .strings("attributes", isOptional: true),
      ])
  }

  package mutating func add(_ results: [Answer.Result]) throws {
    let items = results.map { Item($0) }
    let (boxes, windows) = (items.map(\.box), items.map(\.window))
    var columns: [ParquetWriter.Values] = [
      .integers(results.map(\.rank)), .integers(results.map { Int($0.id) }), .strings(results.map(\.name)),
      .doubles(results.map { Double($0.score) }),
      .doubles(results.map { Double($0.recallScore) }), .doubles(results.map(\.probability)), .times(items.map(\.time)), .bytes(items.map(\.wkb)),
    ]
    for side in [\BoundingBox.west, \.south, \.east, \.north] { columns.append(.doubles(boxes.map { $0?[keyPath: side] })) }
    for side in [\Window.x, \.y, \.width, \.height] { columns.append(.integers(windows.map { $0?[keyPath: side] })) }
    columns.append(.strings(results.map(\.attributes)))
    try writer.add(rows: results.count, columns)
  }

  package mutating func finish() throws {
    let geo = #"{"version":"1.1.0","primary_column":"geometry","columns":{"geometry":{"encoding":"WKB","geometry_types":[]}}}"#
    try writer.finish([("geo", geo)])
  }
}
