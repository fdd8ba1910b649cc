import FTFFiles
import Foundation
import GRDB
import FTFKernels

extension CatalogWriter {
  /// Items in a segment that `compact` writes, at the least.
  static let compactItems = 8192

  /// Writes the live items to new segments, in the order of their ids, a segment and a transaction at a time: of the old ones that leaves no more on
  /// the disk than one beside what replaces it. Whoever searches sees the index before or after each, and whatever stops it leaves an index that the
  /// next one goes on with. Full segments that come first and have lost nothing stay. What is known of sources that are gone goes at the end.
  ///
  /// - Parameter items: of a new segment, at the least; fewer than twice as many, where no old one had more.
  /// - Returns: how many segments there were and are.
  /// - Throws: where a segment is damaged, before anything is written: a damaged item would get a fresh checksum.
  package func compact(of items: Int = compactItems, progress: (Int) -> Void) throws -> (before: Int, after: Int) {
    if let problem = try catalog.problems(progress: { _ in }).first {
      throw IndexError.needsRepair(path: catalog.path, problem: problem)
    }
    func count() throws -> Int { try catalog.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM segments") } ?? 0 }
    let before = try count()
    for kind in ItemKind.allCases { try compact(kind, items, progress) }
    try catalog.write { db in
      try db.execute(sql: "DELETE FROM dead")
      try db.execute(sql: "DELETE FROM attributes WHERE path NOT IN (SELECT path FROM sources)")
    }
    save()
    return (before, try count())
  }

  private func compact(_ kind: ItemKind, _ enough: Int, _ progress: (Int) -> Void) throws {
    let (numbers, dead) = try numbersByItems(kind)
    var (kept, last) = (0, Int64(0))
    for number in numbers {
      let segment = try Segment(path: catalog.file(number), number: number)
      // Where an earlier one has a higher number, it was written anew and the run was stopped: what follows goes behind it.
      guard segment.count >= enough, number > last, dead.isDisjoint(with: segment.ids) else { break }
      (kept, last) = (kept + 1, number)
      progress(segment.count)
    }
    // Whole old ones at a time, as an item must not live in two; opened one by one, as a file that is mapped keeps its room when it is gone.
    var items: [(segment: Segment, index: Int)] = []
    var emptied: [Int64: [Int64]] = [:]
    for number in numbers[kept...] {
      let segment = try Segment(path: catalog.file(number), number: number)
      items += (0..<segment.count).filter { !dead.contains(segment.id($0)) }.map { (segment, $0) }
      emptied[number] = segment.ids.filter(dead.contains)
      guard items.count >= enough else { continue }
      try rewrite(items, kind, dropping: emptied)
      progress(items.count)
      (items, emptied) = ([], [:])
    }
    if !emptied.isEmpty { try rewrite(items, kind, dropping: emptied) }
    progress(items.count)
  }

  /// A segment of fewer items is small.
  static let smallItems = 2048
  /// Of so many small ones at the end one is made.
  static let mostSmall = 8

  /// Joins the small segments that came last, once there are enough of them: an index that grows by a few pictures a day, or on a slow machine, has few
  /// segments all the same. A step is bounded, and all the room that it needs is that of what it joins; where there is none, they stay as they are. So do
  /// damaged ones, which would get fresh checksums.
  func joinSmall(_ kind: ItemKind) throws {
    let last = try catalog.read { db in
      try Row.fetchAll(
        db, sql: "SELECT id, items FROM segments WHERE kind = ? ORDER BY id DESC LIMIT ?", arguments: [kind.rawValue, 4 * Self.mostSmall]
      ).map { (number: try $0.at(0) as Int64, items: try $0.at(1) as Int) }
    }
    var (numbers, sum) = ([Int64](), 0)
    for (number, items) in last {
      sum += items
      guard items < Self.smallItems, sum <= Self.mostSmall * Self.smallItems else { break }
      numbers.append(number)
    }
    guard numbers.count >= Self.mostSmall else { return }
    guard let opened = try? numbers.map({ try Segment(path: catalog.file($0), number: $0) }) else { return }
    let segments = opened.filter { $0.count > 0 }.sorted { $0.id(0) < $1.id(0) }
    guard let first = segments.first?.id(0), let end = segments.map({ $0.id($0.count - 1) }).max(), try isWhole(segments, kind, first...end) else {
      return
    }
    let dead = try catalog.read { try Int64.fetchSet($0, sql: "SELECT id FROM dead WHERE id BETWEEN ? AND ?", arguments: [first, end]) }
    let items = segments.flatMap { segment in (0..<segment.count).filter { !dead.contains(segment.id($0)) }.map { (segment, $0) } }
    guard !items.isEmpty else { return }
    do {
      try rewrite(items, kind, dropping: Dictionary(uniqueKeysWithValues: segments.map { ($0.number, $0.ids.filter(dead.contains)) }))
    } catch IndexError.unwritable {
      try Catalog.removeLeftovers(catalog.database, catalog.path)
    }
  }

  /// Whether items and the rows of these ids are as they were stored.
  private func isWhole(_ segments: [Segment], _ kind: ItemKind, _ ids: ClosedRange<Int64>) throws -> Bool {
    guard segments.allSatisfy({ segment in (0..<segment.count).allSatisfy(segment.isWhole) }) else { return false }
    let table = Checks.table(kind == .image ? "entries" : "captions")
    return try catalog.read { try !Checks.areDamaged(table, ids, $0) }
  }

  /// The segments of a kind, by the first of their items, and the ids that are no longer live.
  private func numbersByItems(_ kind: ItemKind) throws -> (numbers: [Int64], dead: Set<Int64>) {
    let (segments, dead) = try catalog.segments(kind)
    return (segments.map { ($0.count > 0 ? $0.id(0) : 0, $0.number) }.sorted { $0 < $1 }.map { $0.1 }, dead)
  }

  /// One new segment of items in place of those that had them, whose dead ids are forgotten.
  private func rewrite(_ items: [(segment: Segment, index: Int)], _ kind: ItemKind, dropping emptied: [Int64: [Int64]]) throws {
    var written: Rewritten?
    if !items.isEmpty {
      let number = try catalog.read { try catalog.number(after: Int64.fetchOne($0, sql: "SELECT max(id) FROM segments")) }
      var writer = try SegmentWriter(path: catalog.file(number), dimension: catalog.model.dimension, isPooled: kind == .image)
      for (segment, index) in items { try writer.append(segment.packed(index), id: segment.id(index)) }
      written = Rewritten(number: number, kind: kind, ids: items.map { $0.segment.id($0.index) }, fingerprint: try writer.finish())
    }
    try catalog.write { db in
      if let written {
        try written.take(db)
        try Catalog.refreshColumns(of: [written.number], db)
      }
      for (number, dead) in emptied {
        try db.execute(sql: "DELETE FROM segments WHERE id = ?", arguments: [number])
        for id in dead { try db.execute(sql: "DELETE FROM dead WHERE id = ?", arguments: [id]) }
      }
    }
    try Catalog.removeLeftovers(catalog.database, catalog.path)
  }

  /// What a repair found.
  package struct Repair: Sendable {
    /// One line on each segment that was not whole.
    package var problems: [String] = []
    /// Items that were kept from such segments.
    package var kept = 0
    /// One line on each thing that only the catalog knew.
    package var forgotten: [String] = []
    /// Sources whose entries are lost, and captions: to be encoded again. Those of a repair that was interrupted are among them.
    package var sources: [FilePath] = []
    package var captions: [String] = []
  }

  /// Mends the rows of the catalog, drops the segments that are lost or damaged, keeps every item of theirs that is whole in new ones, and
  /// remembers what is lost until it is encoded again. A crash leaves an index of which the same can be said.
  package mutating func repair(progress: (Int) -> Void) throws -> Repair {
    let catalog = catalog
    let database = catalog.database
    let mended = try Self.mend(catalog)
    let rows = try catalog.read { db in
      try Row.fetchAll(db, sql: "SELECT id, kind, items, fingerprint FROM segments ORDER BY id")
    }
    let named = try catalog.read { db in
      try Int64.fetchSet(db, sql: "SELECT segment FROM entries UNION SELECT segment FROM captions")
    }
    var repair = Repair(problems: mended.problems.map { "\(Catalog.file(catalog.path)): \($0)" }, forgotten: mended.lost)
    let numbers: [Int64] = try rows.map { try $0.at(0) }
    var bad = named.subtracting(numbers)
    for number in bad.sorted() { repair.problems.append("\(catalog.file(number)): is lost") }
    var written: [Rewritten] = []
    var next = try catalog.number(after: (numbers + named).max())
    for row in rows {
      let (number, kind, items): (Int64, String, Int) = try (row.at(0), row.at(1), row.at(2))
      let found = try catalog.problems(segment: number, kind: kind, items: items, fingerprint: row.at(3))
      progress(items)
      guard !found.isEmpty, let kind = ItemKind(rawValue: kind) else { continue }
      repair.problems += found
      bad.insert(number)
      guard let whole = try salvage(number, kind, to: next) else { continue }
      repair.kept += whole.ids.count
      written.append(whole)
      next += 1
    }
    try catalog.write { db in
      for segment in written { try segment.take(db) }
      var lost: [FilePath] = []
      var captions = try Self.lostCaptions(db)
      for number in bad {
        lost += try String.fetchAll(
          db,
          sql: "SELECT DISTINCT path FROM sources JOIN entries ON entries.source = sources.id WHERE segment = ?",
          arguments: [number]
        ).map { FilePath($0) }
        captions += try String.fetchAll(
          db, sql: "SELECT text FROM captions WHERE segment = ?", arguments: [number])
        try db.execute(sql: "DELETE FROM captions WHERE segment = ?", arguments: [number])
      }
      for path in lost {
        if let id = try Int64.fetchOne(db, sql: "SELECT id FROM sources WHERE path = ?", arguments: [path.spelling]) { try Self.empty(id, db) }
      }
      for number in bad { try db.execute(sql: "DELETE FROM segments WHERE id = ?", arguments: [number]) }
      next = try Self.mendDead(db, catalog)
      try Self.remember(lostCaptions: captions, db)
      (repair.sources, repair.captions) = (try Catalog.emptySources(db), captions)
      try db.execute(sql: "DELETE FROM columns")
    }
    try Catalog.completeColumns(database)
    nextID = next
    try Catalog.removeLeftovers(database, catalog.path)
    return repair
  }

  /// Takes the entries of a source out and keeps the source, with a stamp that no file has: it is encoded the next time.
  static func empty(_ id: Int64, _ db: Database) throws {
    try forgetEntries(of: id, db)
    try db.execute(sql: "UPDATE sources SET size = -1, scene = NULL, done = NULL WHERE id = ?", arguments: [id])
  }

  private static func lostCaptions(_ db: Database) throws -> [String] {
    let json = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'lost_captions'")
    return json.flatMap { try? JSONDecoder().decode([String].self, from: Data($0.utf8)) } ?? []
  }

  private static func remember(lostCaptions captions: [String], _ db: Database) throws {
    try db.execute(sql: "DELETE FROM meta WHERE key = 'lost_captions'")
    guard !captions.isEmpty else { return }
    let json = String(decoding: try JSONEncoder().encode(captions), as: UTF8.self)
    try db.execute(sql: "INSERT INTO meta VALUES ('lost_captions', ?)", arguments: [json])
  }

  /// To be called when the captions that a repair found lost are stored again.
  package func forgetLostCaptions() throws {
    try catalog.write { db in try Self.remember(lostCaptions: [], db) }
  }

  /// The items of a segment that are whole and still in the index, in a new one; nil where there are none.
  private func salvage(_ number: Int64, _ kind: ItemKind, to next: Int64) throws -> Rewritten? {
    guard let segment = try? Segment(path: catalog.file(number)), segment.dimension == catalog.model.dimension,
      segment.isPooled == (kind == .image)
    else { return nil }
    let live = try catalog.read { db in
      try Int64.fetchSet(
        db, sql: "SELECT id FROM \(kind == .image ? "entries" : "captions") WHERE segment = ?", arguments: [number])
    }
    let whole = (0..<segment.count).filter { live.contains(segment.id($0)) && segment.isWhole($0) }
    guard !whole.isEmpty else { return nil }
    var writer = try SegmentWriter(
      path: catalog.file(next), dimension: catalog.model.dimension, isPooled: kind == .image)
    for i in whole { try writer.append(segment.packed(i), id: segment.id(i)) }
    return Rewritten(number: next, kind: kind, ids: whole.map(segment.id), fingerprint: try writer.finish())
  }
}

extension Catalog {
  /// Sources whose entries a repair found lost and that are not encoded again yet.
  package func emptySources() throws -> [FilePath] { try read(Self.emptySources) }

  static func emptySources(_ db: Database) throws -> [FilePath] {
    try String.fetchAll(
      db,
      // A scene of nothing has no windows, and lacks none.
      sql: """
        SELECT path FROM sources WHERE failure IS NULL AND scene IS NULL AND id NOT IN (SELECT source FROM entries) ORDER BY path
        """
    ).map { FilePath($0) }
  }
}

/// A segment of items that others held before.
private struct Rewritten {
  var number: Int64
  var kind: ItemKind
  var ids: [Int64]
  var fingerprint: String

  /// Makes it live, and the one that holds its items.
  func take(_ db: Database) throws {
    try db.execute(
      sql: "INSERT INTO segments VALUES (?, ?, ?, ?)", arguments: [number, kind.rawValue, ids.count, fingerprint])
    let table = kind == .image ? "entries" : "captions"
    for id in ids { try db.execute(sql: "UPDATE \(table) SET segment = ? WHERE id = ?", arguments: [number, id]) }
  }
}
