import GRDB
import GRDBSQLite

/// A value of the table `columns`, read where it is asked for: as a row SQLite would first put all of it together from its pages.
@safe struct StoredColumn: ~Copyable {
  private let blob: OpaquePointer
  /// Of bytes.
  let count: Int

  /// Nil where there is none.
  init?(_ segment: Int64, _ name: String, _ db: Database) throws {
    let statement = try db.cachedStatement(sql: "SELECT rowid FROM columns WHERE segment = ? AND name = ?")
    guard let row = try Int64.fetchOne(statement, arguments: [segment, name]) else { return nil }
    var opened: OpaquePointer?
    let code = unsafe sqlite3_blob_open(db.sqliteConnection, "main", "columns", "data", row, 0, &opened)
    guard code == SQLITE_OK, let opened = unsafe opened else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
    unsafe (blob, count) = (opened, Int(sqlite3_blob_bytes(opened)))
  }

  deinit { unsafe sqlite3_blob_close(blob) }

  /// Numbers from some byte on.
  func read<T: FixedWidthInteger & BitwiseCopyable>(_ numbers: Int, at start: Int) throws -> [T] {
    let size = numbers * MemoryLayout<T>.size
    guard start >= 0, numbers >= 0, start + size <= count else { throw DatabaseError(resultCode: .SQLITE_CORRUPT) }
    return unsafe try [T](unsafeUninitializedCapacity: numbers) { buffer, filled in
      let code = unsafe sqlite3_blob_read(blob, buffer.baseAddress, Int32(size), Int32(start))
      guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
      filled = numbers
    }
  }
}
