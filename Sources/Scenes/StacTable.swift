import FTFFiles
import Foundation
import FTFKernels
import FTFParquet

/// A STAC GeoParquet: items as rows, with their properties as columns.
///
/// https://github.com/stac-utils/stac-geoparquet/blob/main/spec/stac-geoparquet-spec.md
enum StacTable {
  private static let structural: Set<String> = ["type", "stac_version", "stac_extensions", "geometry", "bbox", "links", "assets"]

  /// The properties of the rows whose files are there, by file; nothing where a table is about something else.
  ///
  /// - Throws: ParquetError where it cannot be read.
  static func properties(_ path: FilePath, in folder: FilePath) throws -> [FilePath: [String: Any]] {
    let table = try ParquetReader(path)
    guard let id = table.columns.first(where: { $0.path == ["id"] }), table.columns.contains(where: { $0.path.first == "assets" }) else {
      return [:]
    }
    let hrefs = table.columns.filter { $0.path.count == 3 && $0.path[0] == "assets" && $0.path[2] == "href" }
    let named = table.columns.filter { $0.path.count == 1 && !structural.contains($0.path[0]) }
    var found: [FilePath: [String: Any]] = [:]
    for group in table.rows.indices {
      // Names first: a catalog has many rows, and a folder few of their files.
      let (ids, assets) = (try table.values(of: id, in: group), try hrefs.map { try table.values(of: $0, in: group) })
      var scenes: [(row: Int, path: FilePath)] = []
      for row in 0..<table.rows[group] {
        let paths = StacItems.scenes(assets.compactMap { text($0[row]) }, stem: text(ids[row]) ?? "", in: folder)
        for path in paths where isThere(path) { scenes.append((row, path)) }
      }
      guard !scenes.isEmpty else { continue }
      for column in named {
        // One that is encoded in a way that is not read costs itself alone.
        guard let values = try? table.values(of: column, in: group) else { continue }
        for (row, path) in scenes { if let value = json(values[row]) { found[path, default: [:]][column.path[0]] = value } }
      }
      for (_, path) in scenes {
        // A span of time has no datetime of its own.
        guard let start = found[path]?["start_datetime"], found[path]?["datetime"] == nil else { continue }
        found[path]?["datetime"] = start
      }
    }
    return found
  }

  private static func isThere(_ path: FilePath) -> Bool { unsafe path.withCString { unsafe access($0, F_OK) } == 0 }

  private static func text(_ value: ParquetReader.Value) -> String? { if case .text(let text) = value { text } else { nil } }

  private static func json(_ value: ParquetReader.Value) -> Any? {
    switch value {
    case .bool(let value): value
    case .integer(let value): value
    case .double(let value): value.isFinite ? value : nil
    case .text(let value): value
    case .null, .bytes: nil
    }
  }
}
