import FTFFiles
import Foundation
import GRDB
import FTFGeography
import FTFKernels

/// Keeps other processes from writing an index while it lives.
final class IndexLock: Sendable {
  private let file: Int32

  init(_ folder: String) throws(IndexError) {
    file = unsafe open("\(folder)/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .unwritable(path: folder, reason: unsafe String(cString: strerror(errno))) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      close(file)
      throw .locked(path: folder)
    }
  }

  deinit {
    // Closing alone would leave it to a process that is being started and has the descriptor still.
    flock(file, LOCK_UN)
    close(file)
  }
}

/// Something found in a source: the whole picture, or a window of it.
package struct NewEntry: Sendable {
  /// Nil for the whole picture.
  package var window: Window?
  /// Where it lies, where that is known.
  package var footprint: Geometry?
  package var vectors: PackedItem

  package init(window: Window? = nil, footprint: Geometry? = nil, vectors: PackedItem) {
    (self.window, self.footprint, self.vectors) = (window, footprint, vectors)
  }
}

/// A scene whose windows are being stored.
package struct SceneState: Sendable {
  /// How it is cut, and what was found out for it.
  package var json: String
  /// What it says of itself, a JSON object; nil for nothing.
  package var properties: String?
  /// Whether windows of it were stored before these.
  package var continues: Bool
  /// Windows that are stored or left out for good; nil where those were the last.
  package var done: Int?

  package init(json: String, properties: String?, continues: Bool, done: Int?) {
    (self.json, self.properties, self.continues, self.done) = (json, properties, continues, done)
  }
}

/// An index, as it is written. Holding one keeps other writers away, in other processes too; the system lets go of it when a process
/// dies.
///
/// Vectors go to a segment as they come. A segment is on disk, synced, before the transaction that names it: a crash at any instant
/// leaves the last committed state, and a segment that no transaction named is removed by the next writer.
package struct CatalogWriter: ~Copyable {
  package let catalog: Catalog
  private let lock: IndexLock
  private var database: DatabaseQueue { catalog.database }
  private var segment: SegmentWriter?
  private var segmentNumber: Int64 = 0
  private var kind = ItemKind.image
  /// 0 where the catalog does not say it, by damage.
  var nextID: Int64
  private var sources: [PendingSource] = []
  private var captions: [(id: Int64, text: String)] = []

  private struct PendingSource {
    var path: FilePath
    var stamp: FileStamp
    var content: Int64?
    var entries: [(id: Int64, window: Window?, footprint: Geometry?)] = []
    var failure: String?
    var scene: SceneState?
  }

  /// Opens an index for writing.
  ///
  /// - Parameter model: creates the index where there is none; nil only opens.
  package init(path: String, creating model: ModelIdentity? = nil) throws {
    (catalog, lock, nextID) = try Self.opened(path, creating: model)
  }

  private static func opened(
    _ path: String, creating model: ModelIdentity?
  ) throws -> (catalog: Catalog, lock: IndexLock, nextID: Int64) {
    if let model, try isMissing(path) { try create(path, model) }
    let catalog = try Catalog(path: path)
    let lock = try IndexLock(path)
    let next = try catalog.read { db in
      // Of its pages, 32 MB: a transaction of many rows writes and reads what does not fit over and over.
      try db.execute(sql: "PRAGMA cache_size = -32768")
      return try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'next_id'").flatMap { Int64($0) }
    }
    try Catalog.removeLeftovers(catalog.database, path)
    try Catalog.completeColumns(catalog.database)
    // A repair finds out which.
    return (catalog, lock, max(0, next ?? 0))
  }

  /// Whether there is no index, or one whose making was interrupted, which starts over.
  private static func isMissing(_ path: String) throws -> Bool {
    guard FileManager.default.fileExists(atPath: Catalog.file(path)) else { return true }
    let queue = try Catalog.reader(path)
    return try Catalog.translated(path) { try queue.read(Catalog.isUnfinished) }
  }

  private static func create(_ path: String, _ model: ModelIdentity) throws {
    // Vectors without a catalog are no new index: beginning it would take them away.
    let left = ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/segments")) ?? []).count { $0.hasSuffix(".ftfseg") }
    guard left == 0 else {
      throw IndexError.damaged(
        path: Catalog.file(path),
        reason: "it is gone or empty, and \(left) files of vectors lie beside it, whose images it knew alone")
    }
    // Not among somebody's photographs: what was begun and interrupted is an index's own, all else is not.
    let own = ["segments", "lock"]
    let others = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { !own.contains($0) && !$0.hasPrefix("catalog.") }
    if let other = others.min() {
      throw IndexError.unwritable(
        path: path, reason: "it holds other files (\(other)); an index is a folder of its own, so name one that is new or empty")
    }
    do {
      try FileManager.default.createDirectory(atPath: "\(path)/segments", withIntermediateDirectories: true)
    } catch {
      throw IndexError.unwritable(path: path, reason: error.systemReason)
    }
    // Only who holds the lock creates: two at once would be each other's ruin.
    let lock = try IndexLock(path)
    defer { withExtendedLifetime(lock) {} }
    let database = try Catalog.connection(path, creating: true)
    try Catalog.translated(path) {
      if try database.read(Catalog.isUnfinished) { try Catalog.create(database, path, model) }
    }
  }

  /// Items that have come since the last commit.
  package private(set) var pending = 0

  /// Stores what was found in a source, in place of what was known of it, with the next commit.
  ///
  /// - Parameter content: a checksum of the file's bytes, by which it is known again where it was moved.
  package mutating func add(path: FilePath, stamp: FileStamp, content: Int64? = nil, entries: [NewEntry]) throws {
    var source = PendingSource(path: path, stamp: stamp, content: content)
    for entry in entries {
      source.entries.append((try append(entry.vectors, .image), entry.window, entry.footprint))
    }
    sources.append(source)
  }

  /// Stores windows of a scene with the next commit: the first of them in place of what was known of the source, later ones beside them.
  ///
  /// - Parameter state: `done` counts the windows up to these.
  package mutating func add(path: FilePath, stamp: FileStamp, content: Int64?, windows: [NewEntry], of state: SceneState) throws {
    try add(path: path, stamp: stamp, content: content, entries: windows)
    sources[sources.count - 1].scene = state
  }

  /// Remembers that a source has a content that cannot be read, in place of what was known of it, with the next commit.
  package mutating func add(path: FilePath, stamp: FileStamp, failure: String) {
    sources.append(PendingSource(path: path, stamp: stamp, failure: failure))
  }

  /// Stores a sentence that is not stored yet, with the next commit.
  package mutating func add(caption text: String, vectors: PackedItem) throws {
    captions.append((try append(vectors, .caption), text))
  }

  private mutating func append(_ vectors: PackedItem, _ kind: ItemKind) throws -> Int64 {
    if segment != nil, self.kind != kind { try commit() }
    guard (1..<Catalog.mostNumbers).contains(nextID) else {
      throw IndexError.damaged(path: Catalog.file(catalog.path), reason: "it does not say which id comes next")
    }
    if segment == nil {
      self.kind = kind
      segmentNumber = try catalog.read { try catalog.number(after: Int64.fetchOne($0, sql: "SELECT max(id) FROM segments")) }
      segment = try SegmentWriter(
        path: catalog.file(segmentNumber), dimension: catalog.model.dimension, isPooled: kind == .image)
    }
    try segment!.append(vectors, id: nextID)
    pending += 1
    nextID += 1
    return nextID - 1
  }

  /// Makes what was added part of the index. When this returns, it survives a crash.
  package mutating func commit() throws {
    guard segment != nil || !sources.isEmpty else { return }
    let count = pending
    var fingerprint: String?
    if segment != nil {
      fingerprint = try segment!.finish()
      segment = nil
    }
    let (number, kind, next) = (segmentNumber, kind, nextID)
    let (sources, captions) = (sources, captions)
    try catalog.write { db in
      if let fingerprint {
        try db.run(
          sql: "INSERT INTO segments VALUES (?, ?, ?, ?)", arguments: [number, kind.rawValue, count, fingerprint])
      }
      for source in sources { try Self.store(source, segment: number, db) }
      for (id, text) in captions {
        try db.run(
          sql: "INSERT INTO captions VALUES (?, ?, ?)", arguments: [id, text, number])
      }
      if fingerprint != nil { try Catalog.refreshColumns(of: [number], db) }
      try db.run(
        sql: "UPDATE meta SET value = ? WHERE key = 'next_id'", arguments: ["\(next)"])
    }
    (self.sources, self.captions, pending) = ([], [], 0)
    if fingerprint != nil { try joinSmall(kind) }
  }

  private static func store(_ source: PendingSource, segment: Int64, _ db: Database) throws {
    let id: Int64
    if let scene = source.scene, scene.continues,
      let known = try Int64.fetchOne(db.cachedStatement(sql: "SELECT id FROM sources WHERE path = ?"), arguments: [source.path.spelling])
    {
      id = known
      try db.run(
        sql: "UPDATE sources SET done = ? WHERE id = ?", arguments: [scene.done, id])
    } else {
      try forget(source.path, db)
      try db.run(
        sql: """
          INSERT INTO sources(path, size, modified, changed, failure, content, scene, done, properties) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          source.path.spelling, source.stamp.size, source.stamp.modified, source.stamp.changed, source.failure, source.content,
          source.scene?.json, source.scene?.done, source.scene?.properties,
        ])
      id = db.lastInsertedRowID
    }
    for (entry, window, footprint) in source.entries {
      try db.run(
        sql: "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        arguments: [entry, id, segment, window?.x, window?.y, window?.width, window?.height, footprint?.geoJSON])
      if let footprint { try store(footprint, of: entry, db) }
    }
  }

  static func store(_ footprint: Geometry, of entry: Int64, _ db: Database) throws {
    for box in footprint.boxes {
      try db.run(
        sql: "INSERT INTO places(west, east, south, north, entry) VALUES (?, ?, ?, ?, ?)",
        arguments: [box.west, box.east, box.south, box.north, entry])
    }
  }

  /// Takes the entries of a source out; their vectors stay in their segments until those are written again.
  static func forgetEntries(of source: Int64, _ db: Database) throws {
    // By box: the tree has no order of entries.
    let footprints = try Row.fetchAll(
      db.cachedStatement(sql: "SELECT id, footprint FROM entries WHERE source = ? AND footprint IS NOT NULL"), arguments: [source])
    for row in footprints {
      guard let box = try Geometry(geoJSON: row.at(1))?.boxes else { continue }
      for box in box {
        try db.run(
          sql: """
            DELETE FROM places WHERE id IN (
              SELECT id FROM places WHERE east >= ? AND west <= ? AND north >= ? AND south <= ? AND entry = ?)
            """, arguments: [box.west, box.east, box.south, box.north, row.at(0) as Int64])
      }
    }
    try db.run(
      sql: "INSERT INTO dead SELECT id FROM entries WHERE source = ?", arguments: [source])
    try db.run(
      sql: "DELETE FROM entries WHERE source = ?", arguments: [source])
  }

  /// Takes a source and its entries out; their vectors stay in their segments until those are written again.
  static func forget(_ path: FilePath, _ db: Database) throws {
    guard let id = try Int64.fetchOne(db.cachedStatement(sql: "SELECT id FROM sources WHERE path = ?"), arguments: [path.spelling]) else {
      return
    }
    try forgetEntries(of: id, db)
    try db.run(
      sql: "DELETE FROM sources WHERE id = ?", arguments: [id])
  }

  /// Forgets sources. What is known of them beside their pixels stays until the next `compact`: they may come back.
  ///
  /// - Parameter stamps: of those whose files are there and that are to stay away all the same.
  package func remove(sources paths: [FilePath], settingAside stamps: [FilePath: FileStamp] = [:]) throws {
    try catalog.write { db in
      for path in paths {
        try Self.forget(path, db)
        guard let stamp = stamps[path] else { continue }
        try Self.store(PendingSource(path: path, stamp: stamp, failure: Catalog.setAside), segment: 0, db)
      }
    }
  }

  /// Gives sources other paths, in place of what was known of those: their entries keep their ids, and what is known of them goes along.
  /// All at once, so that two can change places.
  package func move(sources moves: [(from: FilePath, to: FilePath, stamp: FileStamp)]) throws {
    try catalog.write { db in
      var known: [String?] = []
      for (i, move) in moves.enumerated() {
        try db.run(
          sql: "UPDATE sources SET path = ? WHERE path = ?", arguments: ["\(i)", move.from.spelling])
        known.append(try String.fetchOne(db.cachedStatement(sql: "SELECT json FROM attributes WHERE path = ?"), arguments: [move.from.spelling]))
        try db.run(
          sql: "DELETE FROM attributes WHERE path = ?", arguments: [move.from.spelling])
      }
      for (i, move) in moves.enumerated() {
        try Self.forget(move.to, db)
        try db.run(
          sql: "UPDATE sources SET path = ?, size = ?, modified = ?, changed = ? WHERE path = ?",
          arguments: [move.to.spelling, move.stamp.size, move.stamp.modified, move.stamp.changed, "\(i)"])
        if let json = known[i] { try Self.set(json, of: move.to, db) }
      }
      try Catalog.refreshColumns(of: Catalog.segments(of: moves.map(\.to), db), db)
    }
  }

  /// Remembers when files were last changed that an earlier version indexed.
  package func set(stamps: [(path: FilePath, stamp: FileStamp)]) throws {
    try catalog.write { db in
      for (path, stamp) in stamps {
        try db.run(
          sql: "UPDATE sources SET changed = ? WHERE path = ?", arguments: [stamp.changed, path.spelling])
      }
    }
  }

  /// Keeps a copy of the catalog for a repair: to be called when all is written. Where there is no room for one, what was written stays.
  package func save() { try? catalog.save() }

  private static func set(_ json: String, of path: FilePath, _ db: Database) throws {
    try db.run(
      sql: "INSERT INTO attributes VALUES (?, ?) ON CONFLICT(path) DO UPDATE SET json = excluded.json",
      arguments: [path.spelling, json])
  }

  /// Stores what scenes are said to be beside their pixels, in place of what was.
  package func set(properties: [(path: FilePath, json: String)]) throws {
    try catalog.write { db in
      for (path, json) in properties {
        try db.run(
          sql: "UPDATE sources SET properties = ? WHERE path = ?", arguments: [json, path.spelling])
      }
      try Catalog.refreshColumns(of: Catalog.segments(of: properties.map(\.path), db), db)
    }
  }

  /// Stores what is known of sources beside their pixels, in place of what was; all of it, or nothing.
  ///
  /// - Parameter attributes: a JSON object for each path.
  package func set(attributes: [(path: FilePath, json: String)]) throws {
    try catalog.write { db in
      for (path, json) in attributes { try Self.set(json, of: path, db) }
      try Catalog.refreshColumns(of: Catalog.segments(of: attributes.map(\.path), db), db)
    }
  }
}

extension Database {
  /// A statement that is read once and run many times: reading one costs ten times what an insertion does.
  fileprivate func run(sql: String, arguments: StatementArguments) throws { try cachedStatement(sql: sql).execute(arguments: arguments) }
}

extension Catalog {
  /// Removes segment files that no transaction named: what a crash left behind.
  static func removeLeftovers(_ database: DatabaseQueue, _ path: String) throws {
    // One whose row is gone by damage has a hash still.
    let live = try database.read { db in
      try Int64.fetchSet(db, sql: "SELECT id FROM segments UNION SELECT id FROM checks WHERE kind = \(Checks.table("segments").number)")
    }
    let names = Set(live.map { URL(fileURLWithPath: file(path, $0)).lastPathComponent })
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(path)/segments") where !names.contains(name) {
      try FileManager.default.removeItem(atPath: "\(path)/segments/\(name)")
    }
  }
}
