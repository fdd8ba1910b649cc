import GRDB

/// What the catalog says of its own rows: the hash of each, kept by triggers in the transaction that changes a row. SQLite finds broken pages;
/// this finds the value that is another than was stored, and the row that is gone.
enum Checks {
  /// A table, the columns of a row in the order in which they are hashed, and what `checks` calls it.
  struct Table: Sendable {
    let name: String
    let number: Int
    let columns: [String]
    /// Rows have a number of their own, which is none of the columns.
    let isNamed: Bool

    var list: String { columns.map { "\"\($0)\"" }.joined(separator: ", ") }
  }

  static let tables: [Table] = [
    Table(name: "attributes", number: 1, columns: ["path", "json"], isNamed: true),
    Table(name: "captions", number: 2, columns: ["id", "text", "segment"], isNamed: false),
    Table(name: "dead", number: 3, columns: ["id"], isNamed: false),
    Table(name: "entries", number: 4, columns: ["id", "source", "segment", "x", "y", "width", "height", "footprint"], isNamed: false),
    Table(name: "meta", number: 5, columns: ["key", "value"], isNamed: true),
    Table(name: "segments", number: 6, columns: ["id", "kind", "items", "fingerprint"], isNamed: false),
    Table(
      name: "sources", number: 7,
      columns: ["id", "path", "size", "modified", "changed", "failure", "content", "scene", "done", "properties"], isNamed: false),
  ]

  static func table(_ name: String) -> Table { tables.first { $0.name == name }! }

  /// `row_hash(values...)`: FNV-1a over the values with their types and lengths.
  static let function = DatabaseFunction("row_hash", argumentCount: nil, pure: true) { hash($0) }

  static func hash(_ values: some Sequence<DatabaseValue>) -> Int64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    func add(_ number: UInt64) { for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) } }
    for value in values {
      switch value.storage {
      case .null: add(0 as UInt8)
      case .int64(let number):
        add(1 as UInt8)
        add(UInt64(bitPattern: number))
      case .double(let number):
        add(2 as UInt8)
        add(number.bitPattern)
      case .string(let text):
        add(3 as UInt8)
        add(UInt64(text.utf8.count))
        for byte in text.utf8 { add(byte) }
      case .blob(let data):
        add(4 as UInt8)
        add(UInt64(data.count))
        for byte in data { add(byte) }
      }
    }
    return Int64(bitPattern: hash)
  }

  /// The place in `checks` of the sum of the hashes of all tables, indexes and triggers.
  private static let schema = (number: 0, id: 0)

  /// Makes the hashes of what is there and the triggers that keep them.
  static func create(_ db: Database) throws {
    try db.execute(
      sql: "CREATE TABLE checks(kind INTEGER NOT NULL, id INTEGER NOT NULL, hash INTEGER NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID")
    for table in tables {
      let row = table.columns.map { "NEW.\"\($0)\"" }.joined(separator: ", ")
      let store = "INSERT OR REPLACE INTO checks VALUES (\(table.number), NEW.rowid, row_hash(\(row)));"
      let forget = "DELETE FROM checks WHERE kind = \(table.number) AND id = OLD.rowid;"
      try db.execute(
        sql: """
          CREATE TRIGGER \(table.name)_added AFTER INSERT ON \(table.name) BEGIN \(store) END;
          CREATE TRIGGER \(table.name)_taken AFTER DELETE ON \(table.name) BEGIN \(forget) END;
          CREATE TRIGGER \(table.name)_changed AFTER UPDATE ON \(table.name) BEGIN \(forget) \(store) END;
          INSERT INTO checks SELECT \(table.number), rowid, row_hash(\(table.list)) FROM \(table.name);
          """)
    }
    try seal(db)
  }

  /// Takes the tables, indexes and triggers for those that are meant.
  static func seal(_ db: Database) throws {
    try db.execute(sql: "INSERT OR REPLACE INTO checks VALUES (?, ?, ?)", arguments: [schema.number, schema.id, try schemaHash(db)])
  }

  private static func schemaHash(_ db: Database) throws -> Int64 {
    try Row.fetchAll(db, sql: "SELECT type, name, tbl_name, sql FROM sqlite_master").reduce(0) { $0 &+ hash($1.databaseValues) }
  }

  /// A row that is not as it was stored.
  struct Damage {
    enum State { case changed, lost, unknown }
    let table: Table
    let row: Int64
    let state: State
    /// Of the row as it was stored.
    let hash: Int64?
  }

  /// The rows of a table that are not those that were stored.
  static func damage(_ table: Table, _ db: Database) throws -> [Damage] {
    let there = try Row.fetchAll(
      db,
      sql: "SELECT t.rowid, c.hash FROM \(changed(table)) ORDER BY 1"
    ).map { try Damage(table: table, row: $0.at(0), state: $0.hasNull(atIndex: 1) ? .unknown : .changed, hash: $0.at(1)) }
    let lost = try Row.fetchAll(
      db, sql: "SELECT id, hash FROM checks WHERE kind = \(table.number) AND id NOT IN (SELECT rowid FROM \(table.name)) ORDER BY 1"
    ).map { try Damage(table: table, row: $0.at(0), state: .lost, hash: $0.at(1)) }
    return there + lost
  }

  /// Whether a row of these numbers is not as it was stored; one that is gone is none.
  static func areDamaged(_ table: Table, _ rows: ClosedRange<Int64>, _ db: Database) throws -> Bool {
    try Row.fetchOne(
      db, sql: "SELECT 1 FROM \(changed(table)) AND t.rowid BETWEEN ? AND ? LIMIT 1", arguments: [rows.lowerBound, rows.upperBound]) != nil
  }

  /// Its rows `t`, with the hash `c.hash` of each as it was stored, that have another.
  private static func changed(_ table: Table) -> String {
    """
    \(table.name) t LEFT JOIN checks c ON c.kind = \(table.number) AND c.id = t.rowid
    WHERE c.hash IS NOT row_hash(\(table.columns.map { "t.\"\($0)\"" }.joined(separator: ", ")))
    """
  }

  /// A line on each table whose rows are not those that were stored.
  static func problems(_ db: Database) throws -> [String] {
    let tables = try Self.tables.compactMap { table -> String? in
      let found = try damage(table, db)
      guard let first = found.first else { return nil }
      return "\(found.count) of its \(table.name) \(found.count == 1 ? "is" : "are") not as stored, the first with the number \(first.row)"
    }
    return tables + (try tablesAreWhole(db) ? [] : ["its tables are not those that were made"])
  }

  /// Whether the tables, indexes and triggers are those that were made.
  static func tablesAreWhole(_ db: Database) throws -> Bool {
    try schemaHash(db) == Int64.fetchOne(db, sql: "SELECT hash FROM checks WHERE kind = ? AND id = ?", arguments: [schema.number, schema.id])
  }
}
