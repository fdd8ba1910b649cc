import FTFFiles
import Foundation
import GRDB
import FTFGeography

/// Rows of the catalog that are not as they were stored: taken from what was saved, or told by the segments and by other rows, or taken out so
/// that the files are read again. What neither can tell is listed.
extension CatalogWriter {
  /// What is lost, a line each, and the sources whose entries are to be made again.
  struct Mended {
    var problems: [String] = []
    var lost: [String] = []
    var sources: Set<Int64> = []
  }

  static func mend(_ catalog: Catalog) throws -> Mended {
    try Catalog.translated(catalog.path) {
      try catalog.database.writeWithoutTransaction { db in
        // Rows that refer to each other are taken out and put back one by one.
        try db.execute(sql: "PRAGMA foreign_keys = OFF")
        defer { try? db.execute(sql: "PRAGMA foreign_keys = ON") }
        var mended = Mended()
        try db.inTransaction {
          mended = try mend(db, catalog)
          for id in mended.sources { try empty(id, db) }
          return .commit
        }
        return mended
      }
    }
  }

  private static func mend(_ db: Database, _ catalog: Catalog) throws -> Mended {
    var mended = Mended(problems: try Checks.problems(db))
    try takeFromSaved(db, catalog)
    try mendMeta(db, catalog.model)
    try mendSegments(db, catalog)
    try mendSources(db, &mended)
    try mendEntries(db, &mended)
    try mendCaptions(db, &mended)
    try mendAttributes(db, &mended)
    mended.problems += try mendPlaces(db)
    return mended
  }

  /// The rows whose hash is known and that what was saved still has.
  private static func takeFromSaved(_ db: Database, _ catalog: Catalog) throws {
    guard let saved = Catalog.saved(catalog.path) else { return }
    for table in Checks.tables {
      for damage in try Checks.damage(table, db) {
        guard let hash = damage.hash,
          let row = try saved.read({ try Row.fetchOne($0, sql: "SELECT \(table.list) FROM \(table.name) WHERE rowid = ?", arguments: [damage.row]) }),
          Checks.hash(row.databaseValues) == hash
        else { continue }
        // Another row may have its path, by the damage of it.
        try? db.inSavepoint {
          try db.execute(sql: "DELETE FROM \(table.name) WHERE rowid = ?", arguments: [damage.row])
          let marks = Array(repeating: "?", count: table.columns.count).joined(separator: ", ")
          try db.execute(
            sql: table.isNamed
              ? "INSERT INTO \(table.name)(rowid, \(table.list)) VALUES (?, \(marks))" : "INSERT INTO \(table.name)(\(table.list)) VALUES (\(marks))",
            arguments: StatementArguments((table.isNamed ? [damage.row.databaseValue] : []) + row.databaseValues))
          return .commit
        }
      }
    }
  }

  private static func take(out damage: Checks.Damage, _ db: Database) throws {
    try db.execute(sql: "DELETE FROM \(damage.table.name) WHERE rowid = ?", arguments: [damage.row])
    try db.execute(sql: "DELETE FROM checks WHERE kind = ? AND id = ?", arguments: [damage.table.number, damage.row])
  }

  /// The model is the one that this was opened with.
  private static func mendMeta(_ db: Database, _ model: ModelIdentity) throws {
    for damage in try Checks.damage(Checks.table("meta"), db) { try take(out: damage, db) }
    for (key, value) in [
      ("model_name", model.name), ("model_path", model.path), ("model_fingerprint", model.fingerprint), ("dimension", "\(model.dimension)"),
      ("views", "\(model.views)"), ("patches", model.patches.rawValue),
    ] {
      try db.execute(sql: "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO NOTHING", arguments: [key, value])
    }
  }

  /// A segment says of itself what the catalog says of it.
  private static func mendSegments(_ db: Database, _ catalog: Catalog) throws {
    for damage in try Checks.damage(Checks.table("segments"), db) {
      try take(out: damage, db)
      guard let segment = try? Segment(path: catalog.file(damage.row)), segment.damage().isEmpty else { continue }
      let kind = segment.isPooled ? ItemKind.image : .caption
      try db.execute(
        sql: "INSERT INTO segments VALUES (?, ?, ?, ?)", arguments: [damage.row, kind.rawValue, segment.count, segment.fingerprint])
    }
  }

  /// A source whose path is that of a file is read again; of another nothing is known.
  private static func mendSources(_ db: Database, _ mended: inout Mended) throws {
    for damage in try Checks.damage(Checks.table("sources"), db) {
      let path = try? String.fetchOne(db, sql: "SELECT path FROM sources WHERE id = ?", arguments: [damage.row]).map { FilePath($0) }
      try take(out: damage, db)
      if let path, unsafe path.withCString({ unsafe access($0, F_OK) }) == 0 {
        try db.execute(sql: "INSERT INTO sources(id, path, size, modified) VALUES (?, ?, -1, 0)", arguments: [damage.row, path.spelling])
        mended.sources.insert(damage.row)
      } else if damage.state != .unknown {
        mended.lost.append("the path of an image, or a scene; index its folder again")
      }
    }
    // Rows that no row of the sources has.
    let without = try Int.fetchOne(db, sql: "SELECT count(*) FROM entries WHERE source NOT IN (SELECT id FROM sources)") ?? 0
    if without > 0 {
      mended.problems.append("\(without) images whose sources it does not have")
      try db.execute(sql: "DELETE FROM entries WHERE source NOT IN (SELECT id FROM sources)")
    }
  }

  /// Entries of a scene follow each other: one that is damaged or gone belongs to a source of its neighbours, or to the one that it names.
  private static func mendEntries(_ db: Database, _ mended: inout Mended) throws {
    let damages = try Checks.damage(Checks.table("entries"), db)
    for damage in damages {
      let suspects = try Int64.fetchAll(
        db,
        sql: """
          SELECT source FROM entries WHERE id IN (?, (SELECT max(id) FROM entries WHERE id < ?), (SELECT min(id) FROM entries WHERE id > ?))
          """, arguments: [damage.row, damage.row, damage.row])
      try take(out: damage, db)
      for suspect in suspects {
        let isScene = try Bool.fetchOne(db, sql: "SELECT scene IS NOT NULL FROM sources WHERE id = ?", arguments: [suspect]) ?? false
        let isBare = try Int.fetchOne(db, sql: "SELECT count(*) FROM entries WHERE source = ?", arguments: [suspect]) == 0
        if isScene || isBare { mended.sources.insert(suspect) }
      }
    }
    guard !damages.isEmpty else { return }
    // A scene of which nothing is left has no neighbour.
    mended.sources.formUnion(
      try Int64.fetchSet(db, sql: "SELECT id FROM sources WHERE scene IS NOT NULL AND done IS NULL AND id NOT IN (SELECT source FROM entries)"))
  }

  private static func mendCaptions(_ db: Database, _ mended: inout Mended) throws {
    for damage in try Checks.damage(Checks.table("captions"), db) {
      let text = try? String.fetchOne(db, sql: "SELECT text FROM captions WHERE id = ?", arguments: [damage.row])
      mended.lost.append("a caption" + (text.map { ", now '\($0)'" } ?? ""))
      try take(out: damage, db)
    }
  }

  private static func mendAttributes(_ db: Database, _ mended: inout Mended) throws {
    for damage in try Checks.damage(Checks.table("attributes"), db) {
      let path = try? String.fetchOne(db, sql: "SELECT path FROM attributes WHERE rowid = ?", arguments: [damage.row])
      mended.lost.append("the attributes of \(path.map { FilePath($0).description } ?? "an image")")
      try take(out: damage, db)
    }
  }

  /// The places of the entries, anew where they are not those of the footprints.
  private static func mendPlaces(_ db: Database) throws -> [String] {
    let problems = try Catalog.placeProblems(db)
    let without = try Int.fetchOne(db, sql: "SELECT count(*) FROM places WHERE entry NOT IN (SELECT id FROM entries)") ?? 0
    guard !problems.isEmpty || without > 0 else { return [] }
    try db.execute(sql: "DELETE FROM places")
    let rows = try Row.fetchAll(db, sql: "SELECT id, footprint FROM entries WHERE footprint IS NOT NULL")
    for row in rows {
      guard let footprint = try Geometry(geoJSON: row.at(1)) else { continue }
      try store(footprint, of: row.at(0), db)
    }
    return problems
  }

  /// Gives what only follows from the rest: the ids of items that are in segments and in no table, and the next id, which it returns.
  static func mendDead(_ db: Database, _ catalog: Catalog) throws -> Int64 {
    let table = Checks.table("dead")
    for damage in try Checks.damage(table, db) { try take(out: damage, db) }
    var left: Set<Int64> = []
    for number in try Int64.fetchAll(db, sql: "SELECT id FROM segments") {
      guard let segment = try? Segment(path: catalog.file(number)) else { continue }
      for i in 0..<segment.count { left.insert(segment.id(i)) }
    }
    let last =
      try Int64.fetchOne(
        db, sql: "SELECT max(id) FROM (SELECT id FROM entries UNION ALL SELECT id FROM captions UNION ALL SELECT id FROM dead)") ?? 0
    var next = min(max(last, left.max() ?? 0), Catalog.mostNumbers - 2) + 1
    left.subtract(try Int64.fetchSet(db, sql: "SELECT id FROM entries UNION SELECT id FROM captions"))
    let dead = try Int64.fetchSet(db, sql: "SELECT id FROM dead")
    for id in dead.subtracting(left) { try db.execute(sql: "DELETE FROM dead WHERE id = ?", arguments: [id]) }
    for id in left.subtracting(dead) { try db.execute(sql: "INSERT INTO dead VALUES (?)", arguments: [id]) }
    let said = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'next_id'").flatMap { Int64($0) } ?? 0
    next = max(said < Catalog.mostNumbers ? said : 0, next)
    try db.execute(
      sql: "INSERT INTO meta VALUES ('next_id', ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", arguments: ["\(next)"])
    return next
  }
}
