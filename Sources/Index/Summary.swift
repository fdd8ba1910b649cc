import GRDB

/// What the catalog says of its own rows: for each table how many there are and the sum of their hashes, kept by triggers in the
/// transaction that changes a row. SQLite finds broken pages; this finds a value that is another than was stored.
enum Summary {
  /// The tables and their columns, in the order in which a row is hashed.
  private static let tables: [(name: String, columns: [String])] = [
    ("attributes", ["path", "json"]), ("captions", ["id", "text", "segment"]), ("dead", ["id"]),
    ("entries", ["id", "source", "segment", "x", "y", "width", "height", "footprint"]), ("meta", ["key", "value"]),
    ("segments", ["id", "kind", "items", "fingerprint"]),
    ("sources", ["id", "path", "size", "modified", "failure", "content", "scene", "done", "properties"]),
  ]
  /// What the summary calls the tables, indexes and triggers themselves.
  private static let schema = "sqlite_master"

  /// `row_sum(sum, sign, values...)`: the sum with the hash of a row added (1) or taken off (-1), modulo 2^64.
  static let function = DatabaseFunction("row_sum", argumentCount: nil, pure: true) { values in
    guard values.count > 2, let sum = Int64.fromDatabaseValue(values[0]), let sign = Int64.fromDatabaseValue(values[1]) else {
      return nil
    }
    return sum &+ sign &* hash(values.dropFirst(2))
  }

  /// FNV-1a over the values with their types and lengths.
  private static func hash(_ values: some Sequence<DatabaseValue>) -> Int64 {
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

  /// Makes the summary of what is there and the triggers that keep it, in place of an earlier one.
  static func create(_ db: Database) throws {
    try db.execute(sql: "DROP TABLE IF EXISTS summary")
    for table in tables {
      for event in ["added", "taken", "changed"] { try db.execute(sql: "DROP TRIGGER IF EXISTS \(table.name)_\(event)") }
    }
    try db.execute(sql: "CREATE TABLE summary(name TEXT PRIMARY KEY, rows INTEGER NOT NULL, sum INTEGER NOT NULL)")
    for table in tables {
      func row(_ prefix: String) -> String { table.columns.map { "\(prefix).\"\($0)\"" }.joined(separator: ", ") }
      func update(_ rows: String, _ sum: String) -> String {
        "BEGIN UPDATE summary SET rows = rows \(rows), sum = \(sum) WHERE name = '\(table.name)'; END"
      }
      let (added, taken) = ("row_sum(sum, 1, \(row("NEW")))", "row_sum(sum, -1, \(row("OLD")))")
      try db.execute(
        sql: """
          CREATE TRIGGER \(table.name)_added AFTER INSERT ON \(table.name) \(update("+ 1", added));
          CREATE TRIGGER \(table.name)_taken AFTER DELETE ON \(table.name) \(update("- 1", taken));
          CREATE TRIGGER \(table.name)_changed AFTER UPDATE ON \(table.name)
            \(update("+ 0", "row_sum(row_sum(sum, -1, \(row("OLD"))), 1, \(row("NEW")))"));
          """)
      let found = try found(table.columns, in: table.name, db)
      try db.execute(sql: "INSERT INTO summary VALUES (?, ?, ?)", arguments: [table.name, found.rows, found.sum])
    }
    let found = try found(["type", "name", "tbl_name", "sql"], in: schema, db)
    try db.execute(sql: "INSERT INTO summary VALUES (?, ?, ?)", arguments: [schema, found.rows, found.sum])
  }

  private static func found(_ columns: [String], in table: String, _ db: Database) throws -> (rows: Int, sum: Int64) {
    var (rows, sum): (Int, Int64) = (0, 0)
    let names = columns.map { "\"\($0)\"" }.joined(separator: ", ")
    let cursor = try Row.fetchCursor(db, sql: "SELECT \(names) FROM \(table)")
    while let row = try cursor.next() {
      rows += 1
      sum = sum &+ hash(row.databaseValues)
    }
    return (rows, sum)
  }

  /// The tables whose rows are not those that were stored, a line each.
  static func problems(_ db: Database) throws -> [String] {
    let kept = try Row.fetchAll(db, sql: "SELECT name, rows, sum FROM summary").map { row -> (String, Int, Int64) in (row[0], row[1], row[2]) }
    return try (tables + [(schema, ["type", "name", "tbl_name", "sql"])]).compactMap { table in
      guard let (_, rows, sum) = kept.first(where: { $0.0 == table.name }) else { return "its summary lacks \(table.name)" }
      let found = try found(table.columns, in: table.name, db)
      if found.rows != rows { return "its \(table.name) has \(found.rows) rows, \(rows) were stored" }
      return found.sum == sum ? nil : "its \(table.name) are not those that were stored"
    }
  }
}
