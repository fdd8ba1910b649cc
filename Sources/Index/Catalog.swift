import Foundation
import GRDB
import Kernels

/// What an index holds vectors of.
package enum ItemKind: String, Sendable, CaseIterable {
  case image
  case caption
}

/// The model that built an index: only its vectors can be compared with the index's.
package struct ModelIdentity: Sendable, Equatable {
  package var name: String
  package var path: String
  package var fingerprint: String
  package var dimension: Int

  package init(name: String, path: String, fingerprint: String, dimension: Int) {
    (self.name, self.path, self.fingerprint, self.dimension) = (name, path, fingerprint, dimension)
  }
}

/// What a file looked like when it was indexed; an unchanged one is not read again.
package struct FileStamp: Sendable, Equatable {
  package var size: Int64
  /// Nanoseconds since 1970.
  package var modified: Int64

  package init(size: Int64, modified: Int64) { (self.size, self.modified) = (size, modified) }
}

/// An item to be stored, already encoded.
package struct NewItem: Sendable {
  /// The path of an image, the words of a caption.
  package var name: String
  /// Of an image's file.
  package var stamp: FileStamp?
  package var vectors: PackedItem

  package init(name: String, stamp: FileStamp?, vectors: PackedItem) {
    (self.name, self.stamp, self.vectors) = (name, stamp, vectors)
  }
}

/// An index: a folder with `catalog.sqlite` (what there is, and which segments are live) and `segments/` (vectors).
///
/// A segment is on disk, synced, before the transaction that names it: a crash at any instant leaves the last committed
/// state, and a segment that no transaction named is removed by the next writer.
package final class Catalog: Sendable {
  static let format = "3"

  package let path: String
  package let model: ModelIdentity
  let database: DatabaseQueue

  /// Opens an index, or makes one.
  ///
  /// - Parameter model: creates the index where there is none; nil only opens.
  package init(path: String, creating model: ModelIdentity? = nil) throws {
    self.path = path
    let file = "\(path)/catalog.sqlite"
    let exists = FileManager.default.fileExists(atPath: file)
    guard exists || model != nil else { throw IndexError.notAnIndex(path: path) }
    do {
      try FileManager.default.createDirectory(atPath: "\(path)/segments", withIntermediateDirectories: true)
      var configuration = Configuration()
      configuration.busyMode = .timeout(10)
      configuration.prepareDatabase { db in
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        try db.execute(sql: "PRAGMA synchronous = FULL")
      }
      database = try DatabaseQueue(path: file, configuration: configuration)
      if let model, try database.read({ try !$0.tableExists("meta") }) { try Self.create(database, model) }
      let meta = try database.read { db in
        try Dictionary(
          uniqueKeysWithValues: Row.fetchAll(db, sql: "SELECT key, value FROM meta").map {
            ($0[0] as String, $0[1] as String)
          })
      }
      guard let format = meta["format"], let name = meta["model_name"], let modelPath = meta["model_path"],
        let fingerprint = meta["model_fingerprint"], let dimension = meta["dimension"].flatMap(Int.init)
      else { throw IndexError.damaged(path: file, reason: "it does not say what model built it") }
      guard format == Self.format else { throw IndexError.otherFormat(path: path, found: format) }
      self.model = ModelIdentity(name: name, path: modelPath, fingerprint: fingerprint, dimension: dimension)
    } catch let error as IndexError {
      throw error
    } catch let error as DatabaseError {
      throw IndexError.damaged(path: file, reason: error.message ?? "\(error)")
    } catch {
      throw IndexError.unwritable(path: path, reason: error.localizedDescription)
    }
  }

  private static func create(_ database: DatabaseQueue, _ model: ModelIdentity) throws {
    try database.write { db in
      try db.execute(
        sql: """
          CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
          CREATE TABLE segments(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, items INTEGER NOT NULL, fingerprint TEXT NOT NULL);
          CREATE TABLE items(
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER, modified INTEGER,
            segment INTEGER NOT NULL REFERENCES segments(id), UNIQUE(kind, name));
          CREATE TABLE dead(id INTEGER PRIMARY KEY);
          CREATE TABLE attributes(path TEXT PRIMARY KEY, json TEXT NOT NULL);
          CREATE TABLE failures(path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL);
          """)
      for (key, value) in [
        ("format", format), ("model_name", model.name), ("model_path", model.path),
        ("model_fingerprint", model.fingerprint), ("dimension", "\(model.dimension)"), ("next_id", "1"),
      ] {
        try db.execute(sql: "INSERT INTO meta VALUES (?, ?)", arguments: [key, value])
      }
    }
  }

  /// Throws where `model` is not the one that built the index.
  package func check(_ given: ModelIdentity) throws(IndexError) {
    guard given.fingerprint == model.fingerprint else {
      throw .otherModel(path: path, index: "\(model.name) from \(model.path)", given: given.path)
    }
  }

  // MARK: Reading

  package func count(_ kind: ItemKind) throws -> Int {
    try database.read {
      try Int.fetchOne($0, sql: "SELECT count(*) FROM items WHERE kind = ?", arguments: [kind.rawValue])!
    }
  }

  /// SQLite's version.
  package static var library: String {
    "SQLite \((try? DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }) ?? "unknown")"
  }

  /// How many segments are live, and how many of the items in them are not.
  package func segmentCounts() throws -> (segments: Int, dead: Int) {
    try database.read { db in
      (
        try Int.fetchOne(db, sql: "SELECT count(*) FROM segments")!,
        try Int.fetchOne(db, sql: "SELECT count(*) FROM dead")!
      )
    }
  }

  /// The stamps of all images that are indexed or known to be bad, by path.
  package func stamps() throws -> [String: (stamp: FileStamp, isBad: Bool)] {
    try database.read { db in
      var result: [String: (stamp: FileStamp, isBad: Bool)] = [:]
      for (sql, isBad) in [
        ("SELECT name, size, modified FROM items WHERE kind = 'image'", false),
        ("SELECT path, size, modified FROM failures", true),
      ] {
        for row in try Row.fetchAll(db, sql: sql) {
          result[row[0]] = (FileStamp(size: row[1], modified: row[2]), isBad)
        }
      }
      return result
    }
  }

  /// Whether each of these captions is stored.
  package func captions() throws -> Set<String> {
    try database.read { try String.fetchSet($0, sql: "SELECT name FROM items WHERE kind = 'caption'") }
  }

  /// The names of items, by id.
  package func names(_ ids: [Int64]) throws -> [Int64: String] {
    try database.read { db in
      var result: [Int64: String] = [:]
      for id in ids {
        result[id] = try String.fetchOne(db, sql: "SELECT name FROM items WHERE id = ?", arguments: [id])
      }
      return result
    }
  }

  /// The live segments of a kind in the order of their ids, and the ids in segments that are no longer live.
  package func segments(_ kind: ItemKind) throws -> (segments: [Segment], dead: Set<Int64>) {
    do {
      return try readSegments(kind)
    } catch IndexError.unreadable {
      // Another process may have compacted the index since its segments were listed.
      return try readSegments(kind)
    }
  }

  private func readSegments(_ kind: ItemKind) throws -> (segments: [Segment], dead: Set<Int64>) {
    let (numbers, dead) = try database.read { db in
      (
        try Int64.fetchAll(db, sql: "SELECT id FROM segments WHERE kind = ? ORDER BY id", arguments: [kind.rawValue]),
        try Int64.fetchSet(db, sql: "SELECT id FROM dead")
      )
    }
    let segments = try numbers.map { number in
      let segment = try Segment(path: file(number))
      guard segment.dimension == model.dimension else {
        throw IndexError.damaged(path: segment.path, reason: "its vectors have another length than the index's")
      }
      return segment
    }
    return (segments, dead)
  }

  func file(_ segment: Int64) -> String { "\(path)/segments/\(String(format: "%08d", segment)).ftfseg" }

  // MARK: Writing

  /// Removes segment files that no transaction named: what a crash left behind.
  package func removeLeftovers() throws {
    let live = try database.read { try Int64.fetchSet($0, sql: "SELECT id FROM segments") }
    let names = Set(live.map { URL(fileURLWithPath: file($0)).lastPathComponent })
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(path)/segments") where !names.contains(name) {
      try FileManager.default.removeItem(atPath: "\(path)/segments/\(name)")
    }
  }

  /// Stores items in a new segment; one of the same name takes the place of the one before. When this returns, they
  /// survive a crash.
  package func append(
    _ items: [NewItem], kind: ItemKind, failures: [(path: String, stamp: FileStamp, reason: String)] = []
  ) throws {
    let (firstID, segment) = try database.read { db in
      (
        Int64(try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'next_id'")!)!,
        try Int64.fetchOne(db, sql: "SELECT coalesce(max(id), 0) + 1 FROM segments")!
      )
    }
    var fingerprint = ""
    if !items.isEmpty {
      var writer = try SegmentWriter(path: file(segment), dimension: model.dimension, isPooled: kind == .image)
      for (i, item) in items.enumerated() { try writer.append(item.vectors, id: firstID + Int64(i)) }
      fingerprint = try writer.finish()
    }
    try database.write { db in
      if !items.isEmpty {
        try db.execute(
          sql: "INSERT INTO segments VALUES (?, ?, ?, ?)",
          arguments: [segment, kind.rawValue, items.count, fingerprint])
      }
      for (i, item) in items.enumerated() {
        try Self.remove(db, kind, item.name)
        try db.execute(
          sql: "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)",
          arguments: [firstID + Int64(i), kind.rawValue, item.name, item.stamp?.size, item.stamp?.modified, segment])
      }
      for failure in failures {
        try Self.remove(db, .image, failure.path)
        try db.execute(
          sql: "INSERT INTO failures VALUES (?, ?, ?, ?)",
          arguments: [failure.path, failure.stamp.size, failure.stamp.modified, failure.reason])
      }
      try db.execute(
        sql: "UPDATE meta SET value = ? WHERE key = 'next_id'", arguments: ["\(firstID + Int64(items.count))"])
    }
  }

  /// Forgets images; their vectors stay in their segments until those are written again.
  package func remove(images paths: [String]) throws {
    try database.write { db in
      for path in paths {
        try Self.remove(db, .image, path)
        try db.execute(sql: "DELETE FROM attributes WHERE path = ?", arguments: [path])
      }
    }
  }

  static func remove(_ db: Database, _ kind: ItemKind, _ name: String) throws {
    if kind == .image { try db.execute(sql: "DELETE FROM failures WHERE path = ?", arguments: [name]) }
    try db.execute(
      sql: "INSERT INTO dead SELECT id FROM items WHERE kind = ? AND name = ?", arguments: [kind.rawValue, name])
    try db.execute(sql: "DELETE FROM items WHERE kind = ? AND name = ?", arguments: [kind.rawValue, name])
  }
}
