import Foundation
import GRDB

extension Catalog {
  /// The forms that a catalog has had since there are releases, by their number. What is here never changes; a new form is a new step.
  private static let migrator: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("5") { db in
      try db.execute(
        sql: """
          CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
          CREATE TABLE segments(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, items INTEGER NOT NULL, fingerprint TEXT NOT NULL);
          CREATE TABLE dead(id INTEGER PRIMARY KEY);
          CREATE TABLE attributes(path TEXT PRIMARY KEY, json TEXT NOT NULL);
          CREATE TABLE sources(
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, modified INTEGER NOT NULL,
            failure TEXT, content INTEGER, scene TEXT, done INTEGER, properties TEXT);
          CREATE TABLE entries(
            id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES sources(id),
            segment INTEGER NOT NULL REFERENCES segments(id),
            x INTEGER, y INTEGER, width INTEGER, height INTEGER, footprint TEXT);
          CREATE INDEX entries_source ON entries(source);
          CREATE INDEX entries_segment ON entries(segment);
          CREATE TABLE captions(
            id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, segment INTEGER NOT NULL REFERENCES segments(id));
          CREATE INDEX captions_segment ON captions(segment);
          CREATE VIRTUAL TABLE places USING rtree(id, west, east, south, north, +entry INTEGER);
          CREATE VIEW known AS
            SELECT sources.id AS source, sources.path AS path, sources.size AS size, sources.scene AS scene,
              CASE WHEN attributes.json IS NULL THEN properties WHEN properties IS NULL THEN attributes.json
                ELSE json_patch(properties, attributes.json) END AS json
            FROM sources LEFT JOIN attributes ON attributes.path = sources.path;
          """)
    }
    // When a file's inode last changed, and a hash of each row in place of one sum a table.
    migrator.registerMigration("6") { db in
      for name in ["attributes", "captions", "dead", "entries", "meta", "segments", "sources"] {
        for event in ["added", "taken", "changed"] { try db.execute(sql: "DROP TRIGGER IF EXISTS \(name)_\(event)") }
      }
      try db.execute(sql: "DROP TABLE IF EXISTS summary; ALTER TABLE sources ADD COLUMN changed INTEGER")
      try Checks.create(db)
    }
    // What filters look at, by attribute; and which entries are windows, which every search asks first.
    migrator.registerMigration("7") { db in
      let isWhole = try Checks.tablesAreWhole(db)
      try Catalog.createColumns(db)
      try db.execute(sql: "CREATE INDEX entries_windows ON entries(id) WHERE x IS NOT NULL")
      if isWhole { try Checks.seal(db) }
    }
    return migrator
  }()

  static func isCurrent(_ db: Database) throws -> Bool { try migrator.hasCompletedMigrations(db) }

  /// Whether a later version has made more of it than is known here.
  static func isLater(_ db: Database) throws -> Bool { try form(db) > migrator.migrations.compactMap { Int($0) }.max() ?? 0 }

  /// The number of its form; 0 where it has none.
  private static func form(_ db: Database) throws -> Int { try migrator.appliedIdentifiers(db).compactMap { Int($0) }.max() ?? 0 }

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
    guard try database.read(form) >= 5 else { throw IndexError.otherFormat(path: path, found: "one from before the first release") }
    try migrator.migrate(database)
    try completeColumns(database)
    try removeLeftovers(database, path)
  }

  /// Makes the tables of a new index.
  static func create(_ database: DatabaseQueue, _ path: String, _ model: ModelIdentity) throws {
    try migrator.migrate(database)
    try database.write { db in
      for (key, value) in [
        ("model_name", model.name), ("model_path", model.path), ("model_fingerprint", model.fingerprint),
        ("dimension", "\(model.dimension)"), ("views", "\(model.views)"), ("patches", model.patches.rawValue),
        ("next_id", "1"),
      ] {
        try db.execute(sql: "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", arguments: [key, value])
      }
    }
  }
}
