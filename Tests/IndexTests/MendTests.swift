import FTFFiles
import Foundation
import GRDB
import FTFGeography
import FTFKernels
import FTFTestSupport
import Testing

@testable import FTFIndex

/// Catalogs whose rows or pages are not those that were stored.
@Suite struct Mending {
  let folder: TemporaryFolder
  let path: String
  /// Files that are there: their sources can be read again.
  let files: [FilePath]
  private let identity = ModelIdentity(name: "tiny", path: "/models/tiny.ftf", fingerprint: "abc", dimension: 8)

  init() throws {
    folder = try TemporaryFolder()
    path = "\(folder.path)/i"
    let folder = folder
    files = try (0..<6).map { FilePath(try folder.file("\($0).jpg", Data("\($0)".utf8))) }
  }

  private func entry(_ seed: UInt64, isPooled: Bool = true, window: Window? = nil) throws -> NewEntry {
    var random = SeededGenerator(seed: seed)
    let packed = PackedItem(coarse: random.floats(8), fine: random.floats(16), isPooled: isPooled, with: try KernelSet())
    return NewEntry(
      window: window, footprint: window.map { BoundingBox(west: Double($0.x), south: 1, east: Double($0.x) + 1, north: 2).geometry }, vectors: packed)
  }

  /// Pictures, a scene of three windows, one that was replaced, a caption, attributes.
  private func make(saved: Bool) throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    let stamp = FileStamp(size: 1, modified: 2, changed: 3)
    for (i, file) in files.dropLast().enumerated() { try writer.add(path: file, stamp: stamp, content: Int64(i), entries: [entry(UInt64(i))]) }
    try writer.commit()
    let windows = try (0..<3).map { try entry(UInt64(10 + $0), window: Window(x: $0, y: 0, width: 1, height: 1)) }
    try writer.add(
      path: files[5], stamp: stamp, content: 9, windows: windows, of: SceneState(json: "{}", properties: nil, continues: false, done: nil))
    try writer.commit()
    try writer.add(caption: "a sentence", vectors: entry(20, isPooled: false).vectors)
    try writer.commit()
    try writer.add(path: files[0], stamp: stamp, content: 0, entries: [entry(21)])
    try writer.commit()
    try writer.set(attributes: [(files[1], #"{"year":2020}"#), (files[2], #"{"year":2021}"#)])
    if saved { writer.save() }
  }

  /// What a searcher finds: the windows of each file.
  private func found(_ catalog: Catalog) throws -> [String: Int] {
    try catalog.entries(.image).reduce(into: [:]) { $0[$1.name, default: 0] += 1 }
  }

  /// SQLite would make a number of any text, and a text of any number.
  @Test(arguments: [
    "UPDATE sources SET size = 'large' WHERE id = 3", "UPDATE sources SET modified = 1.5 WHERE id = 3",
    "UPDATE sources SET scene = x'ff' WHERE id = 6", "UPDATE sources SET path = x'2f61' WHERE id = 3", "UPDATE entries SET y = 'top' WHERE id = 7",
    "UPDATE entries SET y = NULL WHERE id = 7", "UPDATE entries SET footprint = x'07' WHERE id = 8",
  ]) func aValueOfAnotherTypeIsRefusedAndNotReadAsSomethingElse(sql: String) throws {
    try make(saved: false)
    let before = try Catalog(path: path)
    #expect(try before.sources().count == 6 && before.entries(.image).count == 8)
    try damage(sql)
    let catalog = try Catalog(path: path)
    let error = #expect(throws: IndexError.self) {
      _ = try catalog.sources()
      _ = try catalog.entries(.image)
    }
    guard case .damaged? = error else { return #expect(Bool(false), "\(String(describing: error))") }
  }

  /// As a disk would: the hashes stay what they were.
  private func damage(_ sql: String) throws {
    let queue = try Catalog.connection(path)
    try queue.writeWithoutTransaction { db in
      try db.execute(sql: "PRAGMA foreign_keys = OFF")
      let triggers = try Row.fetchAll(db, sql: "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
      for trigger in triggers { try db.execute(sql: "DROP TRIGGER \(trigger[0] as String)") }
      try db.execute(sql: sql)
      for trigger in triggers { try db.execute(sql: trigger[1]) }
    }
  }

  static let damages = [
    "UPDATE entries SET source = source + 1 WHERE id = 2", "UPDATE entries SET source = 99 WHERE id = 3", "DELETE FROM entries WHERE id = 2",
    "DELETE FROM entries WHERE id = 7", "UPDATE entries SET x = 77 WHERE id = 7", "UPDATE entries SET footprint = 'none' WHERE id = 7",
    "UPDATE entries SET segment = 3 WHERE id = 4", "UPDATE sources SET path = '/elsewhere' WHERE id = 3",
    "UPDATE sources SET size = 12345 WHERE id = 3", "DELETE FROM sources WHERE id = 2", "UPDATE sources SET scene = NULL WHERE id = 6",
    "UPDATE segments SET items = 3 WHERE id = 1", "UPDATE segments SET kind = 'caption' WHERE id = 1", "DELETE FROM segments WHERE id = 1",
    "UPDATE segments SET fingerprint = 'x' WHERE id = 2", "DELETE FROM dead", "INSERT INTO dead VALUES (2)", "INSERT INTO dead VALUES (999)",
    "UPDATE meta SET value = 3 WHERE key = 'next_id'", "DELETE FROM meta WHERE key = 'next_id'",
    "UPDATE attributes SET json = '{\"year\":1999}'", "UPDATE attributes SET path = '/nobody' WHERE json like '%2021%'",
    "UPDATE captions SET text = 'another sentence'", "DELETE FROM captions", "DELETE FROM places",
    "UPDATE checks SET hash = hash + 1 WHERE kind = 4 AND id = 2",
    "DELETE FROM checks WHERE kind = 7", "DELETE FROM entries", "INSERT INTO sources(id, path, size, modified) VALUES (77, '/new', 1, 1)",
    "UPDATE meta SET value = 'other' WHERE key = 'model_name'",
    // Of another type, or beyond every count.
    "UPDATE segments SET items = 'many' WHERE id = 1", "UPDATE segments SET kind = x'00' WHERE id = 2",
    "UPDATE sources SET size = 'large' WHERE id = 3", "UPDATE sources SET scene = x'ff' WHERE id = 6", "UPDATE entries SET y = 'top' WHERE id = 7",
    "UPDATE entries SET footprint = 7 WHERE id = 8",
    "UPDATE segments SET id = 9223372036854775807 WHERE id = 1", "UPDATE meta SET value = 9223372036854775807 WHERE key = 'next_id'",
  ]

  @Test(arguments: damages, [true, false]) func whateverRowIsDamagedTheRepairEndsWithAnIndexThatIsWhole(_ sql: String, isSaved: Bool) throws {
    try make(saved: isSaved)
    let before = try found(Catalog(path: path))
    let known = try Catalog(path: path).entries(.image).reduce(into: [:]) { $0[$1.name] = $1.attributes }
    try damage(sql)
    #expect(try !Catalog(path: path).problems { _ in }.isEmpty)
    var writer = try CatalogWriter(path: path)
    let repair = try writer.repair { _ in }
    #expect(try writer.catalog.problems { _ in }.isEmpty)
    #expect(!repair.problems.isEmpty)
    // What is not there any more is asked for again, or said to be lost.
    let after = try found(writer.catalog)
    let again = Set(repair.sources.map(\.spelling))
    for (name, count) in before where after[name] != count { #expect(again.contains(name) || !repair.forgotten.isEmpty, "\(name)") }
    #expect(after.allSatisfy { before[$0.key] == $0.value }, "\(after)")
    if isSaved && !sql.contains("checks") {
      #expect(after == before && repair.forgotten.isEmpty && repair.sources.isEmpty && repair.captions.isEmpty, "it was all saved: \(repair)")
    }
    // No answer says what nobody stored.
    for entry in try writer.catalog.entries(.image) { #expect(entry.attributes == nil || entry.attributes == known[entry.name]!) }
    #expect(try writer.catalog.captions().isSubset(of: ["a sentence"]))
    // It goes on, and no id is given twice.
    let ids = Set((1...10).map(Int64.init))
    try writer.add(path: FilePath(folder.path + "/new"), stamp: FileStamp(size: 1, modified: 1), entries: [entry(30)])
    try writer.commit()
    let last = try #require(try writer.catalog.entries(.image).last)
    #expect(!ids.contains(last.id) && last.name.hasSuffix("new"))
    #expect(try writer.catalog.problems { _ in }.isEmpty)
    #expect(try writer.compact { _ in }.after >= 1)
  }

  @Test func aCatalogThatCannotBeReadIsTakenFromWhatWasSaved() throws {
    try make(saved: true)
    let before = try found(Catalog(path: path))
    let file = Catalog.file(path)
    try Catalog.connection(path).inDatabase { _ = try $0.checkpoint(.truncate) }
    let whole = try Data(contentsOf: URL(fileURLWithPath: file))
    #expect(try Catalog.restore(path) == nil, "nothing is wrong")
    var (random, restored) = (SeededGenerator(seed: 5), 0)
    for turn in 0..<80 {
      for end in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file + end) }
      var damaged = whole
      switch turn {
      case 0: damaged = Data()
      case 1: damaged = whole.prefix(whole.count / 2)
      case 2: damaged.replaceSubrange(0..<100, with: Data(count: 100))
      default: for _ in 0..<(1 << (turn % 8)) { damaged[Int(random.next() % UInt64(whole.count))] = UInt8(truncatingIfNeeded: random.next()) }
      }
      try damaged.write(to: URL(fileURLWithPath: file))
      if turn == 0 { #expect(throws: IndexError.self) { _ = try CatalogWriter(path: path, creating: identity) } }
      if try Catalog.restore(path) != nil { restored += 1 }
      var writer = try CatalogWriter(path: path)
      let repair = try writer.repair { _ in }
      #expect(try writer.catalog.problems { _ in }.isEmpty, "turn \(turn)")
      let after = try found(writer.catalog)
      #expect(after == before || !repair.sources.isEmpty || !repair.forgotten.isEmpty, "turn \(turn): \(after)")
    }
    #expect(restored > 5)
    for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file + end) }
    try FileManager.default.removeItem(atPath: Catalog.savedFile(path))
    #expect(throws: IndexError.self) { try Catalog.restore(path) }
    let other = "\(folder.path)/photographs"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    #expect(throws: IndexError.notAnIndex(path: other)) { try Catalog.restore(other) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: other).isEmpty)
  }
}
