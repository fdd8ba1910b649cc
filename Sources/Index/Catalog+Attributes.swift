import Foundation
import GRDB

extension Catalog {
  /// Stores what is known of images beside their pixels, in place of what was; all of it, or nothing.
  ///
  /// - Parameter attributes: a JSON object for each path.
  package func set(attributes: [(path: String, json: String)]) throws {
    try database.write { db in
      for (path, json) in attributes {
        try db.execute(sql: "INSERT OR REPLACE INTO attributes VALUES (?, ?)", arguments: [path, json])
      }
    }
  }

  /// The attributes of items that have any, as JSON, by id.
  package func attributes(_ ids: [Int64]) throws -> [Int64: String] {
    try database.read { db in
      var result: [Int64: String] = [:]
      for id in ids {
        result[id] = try String.fetchOne(
          db, sql: "SELECT json FROM attributes JOIN items ON items.name = attributes.path WHERE items.id = ?",
          arguments: [id])
      }
      return result
    }
  }

  /// The items of a kind for which a filter holds.
  package func ids(_ kind: ItemKind, matching filter: Filter) throws -> Set<Int64> {
    try database.read { db in
      let sql = """
        SELECT items.id FROM items LEFT JOIN attributes ON attributes.path = items.name
        WHERE items.kind = ? AND \(filter.sql)
        """
      let arguments: [any DatabaseValueConvertible] = [kind.rawValue] + filter.arguments.map(\.value)
      return try Int64.fetchSet(db, sql: sql, arguments: StatementArguments(arguments))
    }
  }
}
