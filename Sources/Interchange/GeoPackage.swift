import FastThenFine
import Foundation
import GRDB
import FTFGeography
import FTFJSON

/// Images with their footprints as a GeoPackage, which QGIS and every GIS opens.
///
/// https://www.geopackage.org/spec/
package enum GeoPackage {
  private static let own: Set<String> = ["id", "path", "bytes", "x", "y", "width", "height", "geom"]

  /// - Parameter path: of a file that is not there.
  package static func write(_ items: [Item], to path: String) throws {
    let attributes = Attribute.all(in: items, beside: own)
    // Names of columns are the same in any case.
    var taken = own
    let columns = attributes.map { attribute -> (name: String, type: String) in
      var name = attribute.column
      while taken.contains(where: { $0.lowercased() == name.lowercased() }) { name += "_" }
      taken.insert(name)
      let type =
        switch attribute.kind {
        case .text: "TEXT"
        case .bool: "BOOLEAN"
        case .integer: "INTEGER"
        case .number: "DOUBLE"
        }
      return (name, type)
    }
    let queue = try DatabaseQueue(path: path)
    try queue.writeWithoutTransaction {
      try $0.execute(sql: "PRAGMA application_id = 0x47504B47; PRAGMA user_version = 10300; PRAGMA journal_mode = DELETE")
    }
    try queue.write { db in
      try db.execute(sql: schema)
      func quoted(_ name: String) -> String { "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\"" }
      let more = columns.map { ", \(quoted($0.name)) \($0.type)" }.joined()
      try db.execute(
        sql: """
          CREATE TABLE images(id INTEGER PRIMARY KEY, geom GEOMETRY, path TEXT NOT NULL, bytes INTEGER, x INTEGER, y INTEGER,
            width INTEGER, height INTEGER\(more))
          """)
      let marks = Array(repeating: "?", count: 8 + columns.count).joined(separator: ", ")
      let statement = try db.makeStatement(sql: "INSERT INTO images VALUES (\(marks))")
      for item in items {
        let window = item.window
        var row: [(any DatabaseValueConvertible)?] = [
          item.id, blob(item), item.name, item.bytes, window?.x, window?.y, window?.width, window?.height,
        ]
        row += attributes.map { attribute -> (any DatabaseValueConvertible)? in
          let value = item.attributes[attribute.key]
          return switch attribute.kind {
          case .text: value?.description
          case .bool: value?.bool
          case .integer: value?.whole
          case .number: value?.double
          }
        }
        try statement.execute(arguments: StatementArguments(row))
      }
      let boxes = items.compactMap(\.box).flatMap(\.parts)
      try db.execute(
        sql: """
          INSERT INTO gpkg_contents(table_name, data_type, identifier, min_x, min_y, max_x, max_y, srs_id)
          VALUES ('images', 'features', 'images', ?, ?, ?, ?, 4326);
          INSERT INTO gpkg_geometry_columns VALUES ('images', 'geom', 'GEOMETRY', 4326, 0, 0);
          """,
        arguments: [boxes.map(\.west).min(), boxes.map(\.south).min(), boxes.map(\.east).max(), boxes.map(\.north).max()])
    }
    try queue.close()
  }

  /// GeoPackage's header before WKB: "GP", version 0, little-endian without an envelope, and the reference system.
  private static func blob(_ item: Item) -> Data? {
    guard let wkb = item.wkb else { return nil }
    var bytes: [UInt8] = [0x47, 0x50, 0, 1]
    bytes.append(little: UInt32(4326))
    return Data(bytes + wkb)
  }

  private static let schema = """
    CREATE TABLE gpkg_spatial_ref_sys(srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
      organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
    INSERT INTO gpkg_spatial_ref_sys VALUES
      ('Undefined Cartesian', -1, 'NONE', -1, 'undefined', NULL), ('Undefined geographic', 0, 'NONE', 0, 'undefined', NULL),
      ('WGS 84', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]', NULL);
    CREATE TABLE gpkg_contents(table_name TEXT PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
      last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
      srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
    CREATE TABLE gpkg_geometry_columns(table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
      srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
    """
}
