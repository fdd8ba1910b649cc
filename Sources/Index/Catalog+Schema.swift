import Foundation
import GRDB

extension Catalog {
  /// Marks the fingerprint of an index that was made when a model was known by all bytes of its file.
  static let earlierFingerprint = "file:"

  /// The forms that a catalog has had. What is here never changes; a new form is a new step.
  private static func migrator(_ path: String) -> DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("2") { db in
      // The first form that was kept: it may be there without the migrator having made it.
      try db.execute(
        sql: """
          CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
          CREATE TABLE IF NOT EXISTS segments(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, items INTEGER NOT NULL, fingerprint TEXT NOT NULL);
          CREATE TABLE IF NOT EXISTS items(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER, modified INTEGER,
            segment INTEGER NOT NULL REFERENCES segments(id), UNIQUE(kind, name));
          CREATE TABLE IF NOT EXISTS dead(id INTEGER PRIMARY KEY);
          CREATE TABLE IF NOT EXISTS attributes(path TEXT PRIMARY KEY, json TEXT NOT NULL);
          CREATE TABLE IF NOT EXISTS failures(
            path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL);
          """)
    }
    migrator.registerMigration("3") { db in
      try db.execute(
        sql: """
          CREATE TABLE sources(
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, modified INTEGER NOT NULL,
            failure TEXT);
          CREATE TABLE entries(
            id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES sources(id),
            segment INTEGER NOT NULL REFERENCES segments(id),
            x INTEGER, y INTEGER, width INTEGER, height INTEGER, footprint TEXT);
          CREATE INDEX entries_source ON entries(source);
          CREATE INDEX entries_segment ON entries(segment);
          CREATE TABLE captions(
            id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, segment INTEGER NOT NULL REFERENCES segments(id));
          CREATE INDEX captions_segment ON captions(segment);
          INSERT INTO sources(path, size, modified)
            SELECT name, size, modified FROM items WHERE kind = 'image' ORDER BY id;
          INSERT INTO sources(path, size, modified, failure) SELECT path, size, modified, reason FROM failures;
          """)
      try rewriteSegments(db, path)
      try db.execute(
        sql: """
          INSERT INTO entries(id, source, segment)
            SELECT items.id, sources.id, segment FROM items JOIN sources ON sources.path = name WHERE kind = 'image';
          INSERT INTO captions SELECT id, name, segment FROM items WHERE kind = 'caption';
          DROP TABLE items;
          DROP TABLE failures;
          DELETE FROM meta WHERE key = 'format';
          UPDATE meta SET value = '\(earlierFingerprint)' || value WHERE key = 'model_fingerprint';
          """)
    }
    migrator.registerMigration("4") { db in
      // What could not be read for a passing reason is to be tried again.
      try db.execute(
        sql: """
          ALTER TABLE sources ADD COLUMN content INTEGER;
          DELETE FROM sources WHERE failure LIKE '%: the file cannot be read' OR failure LIKE '%: there is no such file'
            OR failure LIKE '%there is no memory for it';
          """)
    }
    migrator.registerMigration("5") { db in
      try db.execute(
        sql: """
          ALTER TABLE sources ADD COLUMN scene TEXT;
          ALTER TABLE sources ADD COLUMN done INTEGER;
          ALTER TABLE sources ADD COLUMN properties TEXT;
          CREATE VIRTUAL TABLE places USING rtree(id, west, east, south, north, +entry INTEGER);
          CREATE VIEW known AS
            SELECT sources.id AS source, sources.path AS path, sources.size AS size, sources.scene AS scene,
              CASE WHEN attributes.json IS NULL THEN properties WHEN properties IS NULL THEN attributes.json
                ELSE json_patch(properties, attributes.json) END AS json
            FROM sources LEFT JOIN attributes ON attributes.path = sources.path;
          """)
      try Summary.create(db)
    }
    return migrator
  }

  static func isCurrent(_ db: Database) throws -> Bool { try migrator("").hasCompletedMigrations(db) }

  /// Whether a later version has made more of it than is known here.
  static func isLater(_ db: Database) throws -> Bool { try migrator("").hasBeenSuperseded(db) }

  /// Whether the making of an index ended before its tables were there.
  static func isUnfinished(_ db: Database) throws -> Bool { try !db.tableExists("meta") || Int.fetchOne(db, sql: "SELECT count(*) FROM meta") == 0 }

  /// Brings an index that an earlier version made to today's form: as a whole, or not at all.
  static func bringForward(_ path: String) throws {
    guard may(W_OK, path) else {
      throw IndexError.unwritable(path: path, reason: "an earlier version made it; open it once where it can be written")
    }
    let lock = try IndexLock(path)
    defer { withExtendedLifetime(lock) {} }
    let database = try connection(path)
    let format = try database.read { db in
      try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'format'")
    }
    guard try format == "2" || database.read({ try migrator("").appliedIdentifiers($0).contains("2") }) else {
      throw IndexError.otherFormat(path: path, found: format ?? "unknown")
    }
    try migrator(path).migrate(database)
    try removeLeftovers(database, path)
  }

  /// Makes the tables of a new index.
  static func create(_ database: DatabaseQueue, _ path: String, _ model: ModelIdentity) throws {
    try migrator(path).migrate(database)
    try database.write { db in
      for (key, value) in [
        ("model_name", model.name), ("model_path", model.path), ("model_fingerprint", model.fingerprint),
        ("dimension", "\(model.dimension)"), ("next_id", "1"),
      ] {
        try db.execute(sql: "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", arguments: [key, value])
      }
    }
  }

  /// Writes the live items of format 2's segments in today's form, under new numbers.
  private static func rewriteSegments(_ db: Database, _ path: String) throws {
    let old = try Row.fetchAll(db, sql: "SELECT id, kind, fingerprint FROM segments ORDER BY id")
    guard !old.isEmpty else { return }
    let dead = try Int64.fetchSet(db, sql: "SELECT id FROM dead")
    let dimension = try Int.fetchOne(db, sql: "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'dimension'") ?? 0
    var number = (old.map { $0[0] as Int64 }.max() ?? 0) + 1
    for row in old {
      let (id, kind, fingerprint): (Int64, String, String) = (row[0], row[1], row[2])
      let segment = try EarlierSegment(path: file(path, id), dimension: dimension, fingerprint: fingerprint)
      let isPooled = kind == ItemKind.image.rawValue
      let live = (0..<segment.count).filter { !dead.contains(segment.id($0)) }
      if !live.isEmpty {
        var writer = try SegmentWriter(path: file(path, number), dimension: dimension, isPooled: isPooled)
        for i in live { try writer.append(segment.packed(i, isPooled: isPooled), id: segment.id(i)) }
        try db.execute(
          sql: "INSERT INTO segments VALUES (?, ?, ?, ?)", arguments: [number, kind, live.count, try writer.finish()])
        try db.execute(sql: "UPDATE items SET segment = ? WHERE segment = ?", arguments: [number, id])
      }
      try db.execute(sql: "DELETE FROM segments WHERE id = ?", arguments: [id])
      number += 1
    }
    try db.execute(sql: "DELETE FROM dead")
  }
}
