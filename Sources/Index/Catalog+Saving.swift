import Foundation
import GRDB

/// A copy of the catalog beside it, as it was when a writer last ended: what is damaged or lost is taken from there.
extension Catalog {
  static func savedFile(_ path: String) -> String { "\(path)/catalog.saved.sqlite" }

  /// A catalog of more bytes is saved once in so many seconds.
  private static let largeBytes = 32 << 20
  private static let seconds = 600.0

  /// Saves it, whole or not at all. One that is large and was saved a moment ago is left for the next time.
  func save() throws {
    let saved = Self.savedFile(path)
    func attributes(_ path: String) -> [FileAttributeKey: Any]? { try? FileManager.default.attributesOfItem(atPath: path) }
    if let time = attributes(saved)?[.modificationDate] as? Date, -time.timeIntervalSinceNow < Self.seconds,
      attributes(Self.file(path))?[.size] as? Int ?? 0 > Self.largeBytes
    {
      return
    }
    let partial = saved + ".partial"
    for end in ["", "-wal", "-shm", "-journal"] { try? FileManager.default.removeItem(atPath: partial + end) }
    try Self.translated(path) {
      let copy = try DatabaseQueue(path: partial)
      try database.backup(to: copy)
      try copy.inDatabase { try $0.execute(sql: "PRAGMA journal_mode = DELETE") }
      try copy.close()
    }
    try Self.put(partial, at: saved, in: path)
  }

  /// Renames a file once it is on the disk.
  private static func put(_ file: String, at place: String, in folder: String) throws(IndexError) {
    do {
      let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
      try handle.synchronize()
      try handle.close()
      guard unsafe rename(file, place) == 0 else { throw IndexError.unwritable(path: place, reason: unsafe String(cString: strerror(errno))) }
      let directory = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder))
      try directory.synchronize()
      try directory.close()
    } catch let error as IndexError {
      throw error
    } catch {
      throw .unwritable(path: place, reason: error.systemReason)
    }
  }

  /// What was saved, to be read; nil where there is nothing or nothing that is whole.
  static func saved(_ path: String) -> DatabaseQueue? {
    guard FileManager.default.fileExists(atPath: savedFile(path)) else { return nil }
    var configuration = Configuration()
    configuration.readonly = true
    configuration.prepareDatabase { $0.add(function: Checks.function) }
    guard let queue = try? DatabaseQueue(path: savedFile(path), configuration: configuration),
      (try? queue.read { try isCurrent($0) && !isUnfinished($0) && isReadable($0) }) == true
    else { return nil }
    return queue
  }

  /// Whether every page is what SQLite expects.
  private static func isReadable(_ db: Database) throws -> Bool { try String.fetchAll(db, sql: "PRAGMA integrity_check(1)") == ["ok"] }

  /// Puts what was saved in the place of a catalog that is gone or cannot be read, which is kept under another name.
  ///
  /// - Returns: what was wrong; nil where the catalog can be read.
  /// - Throws: `notAnIndex` where nothing of one is there; `unreadable` where it cannot be read, and nothing was saved.
  package static func restore(_ path: String) throws -> String? {
    let catalog = file(path)
    // Whoever names another folder by mistake finds nothing in it afterwards.
    guard [catalog, savedFile(path), "\(path)/segments"].contains(where: FileManager.default.fileExists) else {
      throw IndexError.notAnIndex(path: path)
    }
    guard let problem = unreadable(path) else { return nil }
    guard saved(path) != nil else {
      throw IndexError.unreadable(
        path: catalog, reason: "\(problem), and there is no copy of it that is whole; move the folder away and index the images again")
    }
    let lock = try IndexLock(path)
    defer { withExtendedLifetime(lock) {} }
    do {
      let copy = catalog + ".partial"
      try? FileManager.default.removeItem(atPath: copy)
      try FileManager.default.copyItem(atPath: savedFile(path), toPath: copy)
      for end in ["", "-wal", "-shm"] {
        let aside = "\(path)/catalog.damaged.sqlite\(end)"
        try? FileManager.default.removeItem(atPath: aside)
        if FileManager.default.fileExists(atPath: catalog + end) { try FileManager.default.moveItem(atPath: catalog + end, toPath: aside) }
      }
      try put(copy, at: catalog, in: path)
    } catch let error as IndexError {
      throw error
    } catch {
      throw IndexError.unwritable(path: catalog, reason: error.systemReason)
    }
    return "\(catalog): \(problem); what was saved of it when it was last written took its place"
  }

  /// Why a catalog cannot be read as a database with the tables of one.
  private static func unreadable(_ path: String) -> String? {
    guard FileManager.default.fileExists(atPath: file(path)) else { return "it is gone" }
    do {
      let queue = try connection(path)
      return try queue.read { db in
        if try isUnfinished(db) { return "it is empty" }
        // An earlier form, which has no hashes, is brought forward first.
        guard try !isLater(db), try db.tableExists("checks") else { return nil }
        guard try isCurrent(db), try Checks.tablesAreWhole(db) else { return "its tables are not those that were made" }
        let problems = try String.fetchAll(db, sql: "PRAGMA integrity_check(1)").filter { $0 != "ok" }
        return problems.first
      }
    } catch {
      switch error {
      case IndexError.damaged(_, let reason): return reason
      case let error as DatabaseError where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode.primaryResultCode):
        return error.message ?? "it is no database"
      default: return nil
      }
    }
  }
}
