import Foundation
import GRDB

extension CatalogWriter {
  /// Items in a segment that `compact` writes.
  static let compactItems = 8192

  /// Writes the live items to new segments, in their order, and drops the old ones in one transaction: whoever searches sees
  /// the index before or after, and a crash leaves it as it was.
  ///
  /// - Returns: how many segments there were and are.
  package func compact(progress: (Int) -> Void) throws -> (before: Int, after: Int) {
    let database = catalog.database
    let old = try database.read { try Int64.fetchAll($0, sql: "SELECT id FROM segments") }
    var number = (old.max() ?? 0) + 1
    var written: [(number: Int64, kind: ItemKind, ids: [Int64], fingerprint: String)] = []
    for kind in ItemKind.allCases {
      let (segments, dead) = try catalog.segments(kind)
      let live = segments.flatMap { segment in
        (0..<segment.count).filter { !dead.contains(segment.id($0)) }.map { (segment, $0) }
      }
      for start in stride(from: 0, to: live.count, by: Self.compactItems) {
        let part = live[start..<min(start + Self.compactItems, live.count)]
        var writer = try SegmentWriter(
          path: catalog.file(number), dimension: catalog.model.dimension, isPooled: kind == .image)
        for (segment, i) in part { try writer.append(segment.packed(i), id: segment.id(i)) }
        written.append((number, kind, part.map { $0.id($1) }, try writer.finish()))
        progress(part.count)
        number += 1
      }
    }
    try database.write { db in
      for segment in written {
        try db.execute(
          sql: "INSERT INTO segments VALUES (?, ?, ?, ?)",
          arguments: [segment.number, segment.kind.rawValue, segment.ids.count, segment.fingerprint])
        let table = segment.kind == .image ? "entries" : "captions"
        for id in segment.ids {
          try db.execute(sql: "UPDATE \(table) SET segment = ? WHERE id = ?", arguments: [segment.number, id])
        }
      }
      for id in old { try db.execute(sql: "DELETE FROM segments WHERE id = ?", arguments: [id]) }
      try db.execute(sql: "DELETE FROM dead")
    }
    try Catalog.removeLeftovers(database, catalog.path)
    return (old.count, written.count)
  }
}
