import Foundation
import GRDB
import GRDBSQLite

/// The row that a statement stands at, where rows are many: GRDB's looks up for each value how its type is read, which is a second in a million rows.
///
/// A damaged catalog may have another type in a column, or nothing: then they throw.
@safe struct CurrentRow {
  private let statement: OpaquePointer

  fileprivate init(_ statement: Statement) { unsafe self.statement = statement.sqliteStatement }

  private static var mismatch: DatabaseError { DatabaseError(resultCode: .SQLITE_MISMATCH) }

  func integer(orNullAt column: Int32) throws -> Int64? {
    switch unsafe sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: unsafe sqlite3_column_int64(statement, column)
    case SQLITE_NULL: nil
    default: throw Self.mismatch
    }
  }

  func text(orNullAt column: Int32) throws -> String? {
    switch unsafe sqlite3_column_type(statement, column) {
    case SQLITE_TEXT:
      // The bytes are counted once the text is there.
      unsafe sqlite3_column_text(statement, column).map { start in
        unsafe String(decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))), as: UTF8.self)
      }
    case SQLITE_NULL: nil
    default: throw Self.mismatch
    }
  }

  func integer(at column: Int32) throws -> Int64 {
    guard let value = try integer(orNullAt: column) else { throw Self.mismatch }
    return value
  }

  func text(at column: Int32) throws -> String {
    guard let value = try text(orNullAt: column) else { throw Self.mismatch }
    return value
  }
}

/// The rows of a statement, one after the other.
struct RowReader {
  private let rows: RowCursor
  private let row: CurrentRow

  init(_ db: Database, sql: String, arguments: StatementArguments = []) throws {
    let statement = try db.makeStatement(sql: sql)
    (rows, row) = (try Row.fetchCursor(statement, arguments: arguments), CurrentRow(statement))
  }

  /// Nil at the end.
  func next() throws -> CurrentRow? { try rows.next() == nil ? nil : row }

  /// What is made of each of the rows that are left.
  func map<T>(_ made: (CurrentRow) throws -> T) throws -> [T] {
    var all: [T] = []
    while let row = try next() { all.append(try made(row)) }
    return all
  }
}
