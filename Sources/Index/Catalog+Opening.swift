import FTFFiles
import Foundation
import GRDB
import FTFKernels

/// How the catalog of an index is opened: nothing is ever created by a reader, and an index that cannot be written is read as it is.
extension Catalog {
  /// A connection that reads and writes.
  ///
  /// - Parameter creating: makes the file where there is none.
  static func connection(_ path: String, creating: Bool = false) throws -> DatabaseQueue {
    guard creating || FileManager.default.fileExists(atPath: file(path)) else { throw IndexError.notAnIndex(path: path) }
    return try translated(path) {
      try DatabaseQueue(
        path: file(path),
        configuration: configuration { db in
          try db.execute(sql: "PRAGMA journal_mode = WAL")
          try db.execute(sql: "PRAGMA synchronous = FULL")
        })
    }
  }

  /// A connection that reads, in the way that the folder allows.
  static func reader(_ path: String) throws -> DatabaseQueue {
    let catalog = file(path)
    guard FileManager.default.fileExists(atPath: catalog) else { throw IndexError.notAnIndex(path: path) }
    if may(W_OK, path), may(W_OK, catalog) {
      do {
        let queue = try connection(path)
        try look(queue, path)
        return queue
      } catch IndexError.unwritable {
        // Reading beside a writer takes a little room on the disk, which may be full.
        return try translated(path) { try copy(catalog) }
      } catch IndexError.unreadable {
        return try translated(path) { try copy(catalog) }
      }
    }
    guard may(R_OK, catalog) else {
      throw IndexError.unreadable(path: catalog, reason: unsafe String(cString: strerror(errno)))
    }
    return try translated(path) {
      // What was committed and not yet moved into the catalog lies beside it.
      let hasLog = ((try? FileManager.default.attributesOfItem(atPath: catalog + "-wal"))?[.size] as? Int ?? 0) > 0
      if isReadOnly(path), !hasLog, let queue = try? immutable(catalog) { return queue }
      if !isReadOnly(path), let queue = try? shared(catalog) { return queue }
      return try copy(catalog)
    }
  }

  static func may(_ mode: Int32, _ path: String) -> Bool { unsafe FilePath(path).withCString { unsafe access($0, mode) } == 0 }

  private static func configuration(isReadOnly: Bool = false, _ prepare: @escaping @Sendable (Database) throws -> Void) -> Configuration {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.readonly = isReadOnly
    // A snapshot is a transaction that stays open.
    configuration.allowsUnsafeTransactions = true
    configuration.prepareDatabase { db in
      db.add(function: Checks.function)
      db.add(function: Filter.instant)
      db.add(function: Catalog.Order.shuffling)
      try prepare(db)
    }
    return configuration
  }

  /// Whether the whole file system is: nobody else changes it either.
  private static func isReadOnly(_ path: String) -> Bool {
    var system = statvfs()
    return unsafe statvfs(path, &system) == 0 && system.f_flag & UInt(ST_RDONLY) != 0
  }

  private static func immutable(_ catalog: String) throws -> DatabaseQueue {
    let name = FilePath(catalog).absolute.map(\.bytes) ?? Array(catalog.utf8)
    let escaped = name.map { (byte: UInt8) -> String in
      let isPlain = byte == UInt8(ascii: "/") || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
    let queue = try DatabaseQueue(path: "file:\(escaped)?immutable=1", configuration: configuration(isReadOnly: true) { _ in })
    try look(queue, catalog)
    return queue
  }

  /// Beside whoever writes it: needs the files that a writer has there.
  private static func shared(_ catalog: String) throws -> DatabaseQueue {
    let queue = try DatabaseQueue(path: catalog, configuration: configuration(isReadOnly: true) { _ in })
    try look(queue, catalog)
    return queue
  }

  /// A connection opens its files when it first reads.
  private static func look(_ queue: DatabaseQueue, _ path: String) throws {
    _ = try translated(path) { try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") } }
  }

  /// A copy of its own, with what lies beside the catalog, that nobody sees and that goes with the connection.
  private static func copy(_ catalog: String) throws -> DatabaseQueue {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ftf-\(UUID().uuidString)").path
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw IndexError.unreadable(
        path: catalog, reason: "its folder cannot be written and there is no place for a copy; name one in TMPDIR")
    }
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let names = ["", "-wal"].filter { FileManager.default.fileExists(atPath: catalog + $0) }
    func stamps() -> [String] {
      names.map {
        "\((try? FileManager.default.attributesOfItem(atPath: catalog + $0)).map { "\($0[.size] ?? 0) \($0[.modificationDate] ?? 0)" } ?? "")"
      }
    }
    for attempt in 0... {
      let before = stamps()
      for name in names {
        let target = "\(folder)/catalog.sqlite\(name)"
        try? FileManager.default.removeItem(atPath: target)
        do {
          try FileManager.default.copyItem(atPath: catalog + name, toPath: target)
        } catch {
          throw IndexError.unreadable(path: catalog, reason: "its folder cannot be written, nor a copy to \(folder): \(error.systemReason)")
        }
        try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: target)
      }
      // Not while it changed under the copy's hands.
      if stamps() == before || attempt == 20 { break }
      usleep(50_000)
    }
    let queue = try DatabaseQueue(path: "\(folder)/catalog.sqlite", configuration: configuration { _ in })
    // One file and no others, so that the names can go while it is open.
    try queue.inDatabase { try $0.execute(sql: "PRAGMA journal_mode = DELETE; PRAGMA query_only = 1") }
    return queue
  }

  // MARK: Transactions

  /// What a transaction sees; of a snapshot, always the same.
  func read<T>(_ body: (Database) throws -> T) throws -> T {
    try Self.translated(path) { try isSnapshot ? database.inDatabase(body) : database.read(body) }
  }

  func write<T>(_ body: (Database) throws -> T) throws -> T { try Self.translated(path) { try database.write(body) } }

  /// Errors of SQLite as those of an index: only what was found damaged is called so.
  static func translated<T>(_ path: String, _ body: () throws -> T) throws -> T {
    do {
      return try body()
    } catch let error as DatabaseError {
      throw IndexError(error, catalog: file(path), index: path)
    }
  }
}

extension IndexError {
  init(_ error: DatabaseError, catalog: String, index: String) {
    let reason = error.message ?? "\(error.resultCode)"
    switch error.resultCode.primaryResultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_ERROR:
      self = .damaged(path: catalog, reason: reason)
    case .SQLITE_FULL: self = .unwritable(path: catalog, reason: "No space left on device")
    case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH: self = .unwritable(path: catalog, reason: reason)
    case .SQLITE_BUSY, .SQLITE_LOCKED: self = .locked(path: index)
    default: self = .unreadable(path: catalog, reason: reason)
    }
  }
}

extension Row {
  /// The value of a column. A subscript would end the program where a damaged catalog has another type there, or nothing.
  func at<Value: DatabaseValueConvertible>(_ column: Int) throws -> Value { try decode(atIndex: column) }
}
