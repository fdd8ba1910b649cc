import FTFFiles
import Foundation
import GRDB
import FTFGeography
import FTFKernels

/// What an index holds vectors of.
package enum ItemKind: String, Sendable, CaseIterable {
  case image
  case caption
}

/// What an index keeps of the patches of a picture, as its catalog says it. Vectors that were made elsewhere have none.
package enum KeptPatches: String, Sendable {
  case none = "0"
  case all = "1"
  /// Means of neighbours.
  case pooled
}

/// The model that built an index: only its vectors can be compared with the index's.
package struct ModelIdentity: Sendable, Equatable {
  package var name: String
  package var path: String
  /// Of what the model computes: the weights, the config and the tokenizer.
  package var fingerprint: String
  package var dimension: Int
  /// Of a picture, whose vectors are averaged.
  package var views: Int
  package var patches: KeptPatches
  package var hasPatches: Bool { patches != .none }

  package init(name: String, path: String, fingerprint: String, dimension: Int, views: Int = 1, patches: KeptPatches = .all) {
    (self.name, self.path, self.fingerprint, self.dimension, self.views) = (name, path, fingerprint, dimension, views)
    self.patches = patches
  }

  /// Of vectors of which nobody says what made them: no model has it.
  package static let unknownFingerprint = "unknown"
}

/// What a file looked like when it was indexed; an unchanged one is not read again.
package struct FileStamp: Sendable, Equatable {
  package var size: Int64
  /// Nanoseconds since 1970.
  package var modified: Int64
  /// When the system last changed what it says of the file, which nobody can set: a file that was exchanged for another of the same size and
  /// time is noticed. Nil where an earlier version indexed it.
  package var changed: Int64?

  package init(size: Int64, modified: Int64, changed: Int64? = nil) { (self.size, self.modified, self.changed) = (size, modified, changed) }

  /// Whether a file may still be what it was.
  package func agrees(with other: FileStamp) -> Bool {
    size == other.size && modified == other.modified && (changed == nil || other.changed == nil || changed == other.changed)
  }
}

/// An index, as it is read: a folder with `catalog.sqlite` (sources, their entries, captions, attributes, and which segments are
/// live) and `segments/` (vectors).
///
/// | table | a row is |
/// |---|---|
/// | sources | a file: path (see `FilePath`), size, time and a checksum of its bytes when it was read, and what is wrong with them; of a |
/// | | scene also how it was cut and stretched, what it says of itself, and while it is being read how many windows are done |
/// | entries | what was found in a source: the whole picture, or a window of it, with a footprint (GeoJSON, lon/lat) where known |
/// | places | an R*Tree with the box of each part of a footprint; `entry` is whose |
/// | captions | a sentence |
/// | segments | a live file of vectors; an entry or caption names the one that holds it |
/// | dead | the id of an item that is still in a segment and no longer in the index |
/// | attributes | what its owner says of a source, a JSON object |
/// | known | a view: what a source says of itself and its owner of it, whose word counts |
/// | meta | the model that built the index, of how many views, what is kept of patches, the next id |
/// | checks | of each row of the others the hash |
/// | columns | of a segment and an attribute what its images have, for filters; made of the others |
///
/// Entries and captions take their ids from one count, and an id is never given twice.
package final class Catalog: Sendable {
  package let path: String
  package let model: ModelIdentity
  let database: DatabaseQueue

  /// Whether it sees the index as it was when it was opened, whatever is written since.
  let isSnapshot: Bool
  private let opened: OpenedSegments

  /// Opens an index that is there; one that an earlier version made is brought forward first.
  package convenience init(path: String) throws { try self.init(opening: path) }

  /// The index as it is now, and as this will see it for as long as it lives.
  package func snapshot() throws -> Catalog { try Catalog(opening: path, isSnapshot: true, opened: opened) }

  static func file(_ path: String) -> String { "\(path)/catalog.sqlite" }

  init(opening path: String, isSnapshot: Bool = false, opened: OpenedSegments = OpenedSegments()) throws {
    (self.path, self.isSnapshot, self.opened) = (path, isSnapshot, opened)
    guard path.hasPrefix("/") || FilePath(path).absolute != nil else {
      throw IndexError.unreadable(path: path, reason: "the working directory is gone; give the whole path")
    }
    var queue = try Self.reader(path)
    (database, model) = try Self.translated(path) {
      let isCurrent = try queue.read { db in
        if try Self.isUnfinished(db) { throw IndexError.notAnIndex(path: path) }
        if try Self.isLater(db) { throw IndexError.otherFormat(path: path, found: "a later version's") }
        return try Self.isCurrent(db)
      }
      if !isCurrent {
        try Self.bringForward(path)
        queue = try Self.reader(path)
      }
      // The first that is read is what a snapshot holds on to.
      if isSnapshot { try queue.inDatabase { try $0.beginTransaction(.deferred) } }
      return (queue, try isSnapshot ? queue.inDatabase { try Self.model($0, path) } : queue.read { try Self.model($0, path) })
    }
  }

  deinit {
    if isSnapshot { try? database.inDatabase { if $0.isInsideTransaction { try $0.rollback() } } }
  }

  static func model(_ db: Database, _ path: String) throws -> ModelIdentity {
    let meta = try Dictionary(
      uniqueKeysWithValues: Row.fetchAll(db, sql: "SELECT key, value FROM meta").map {
        try ($0.at(0) as String, $0.at(1) as String)
      })
    guard let name = meta["model_name"], let modelPath = meta["model_path"],
      let fingerprint = meta["model_fingerprint"], let dimension = meta["dimension"].flatMap(Int.init)
    else { throw IndexError.damaged(path: file(path), reason: "it does not say what model built it") }
    guard let patches = KeptPatches(rawValue: meta["patches"] ?? KeptPatches.all.rawValue) else {
      throw IndexError.otherFormat(path: path, found: "a later version's")
    }
    // Of one view is what says nothing of them.
    return ModelIdentity(
      name: name, path: modelPath, fingerprint: fingerprint, dimension: dimension, views: meta["views"].flatMap(Int.init) ?? 1,
      patches: patches)
  }

  /// Throws where `given` is not the model that built the index.
  package func check(_ given: ModelIdentity) throws {
    guard given.fingerprint == model.fingerprint else {
      throw IndexError.otherModel(path: path, index: "\(model.name) from \(model.path)", given: given.path)
    }
  }

  // MARK: Reading

  package func count(_ kind: ItemKind) throws -> Int {
    let table = kind == .image ? "entries" : "captions"
    return try read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)")! }
  }

  /// SQLite's version.
  package static var library: String {
    "SQLite \((try? DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }) ?? "unknown")"
  }

  /// How many segments are live, and how many of the items in them are not.
  package func segmentCounts() throws -> (segments: Int, dead: Int) {
    try read { db in
      (
        try Int.fetchOne(db, sql: "SELECT count(*) FROM segments")!,
        try Int.fetchOne(db, sql: "SELECT count(*) FROM dead")!
      )
    }
  }

  /// What is known of a file.
  package struct Source: Sendable {
    package var stamp: FileStamp
    /// Why it could not be read, where its content is the reason.
    package var failure: String?
    /// Whether somebody took it out of the index: it stays away, though its file is there.
    package var isSetAside = false
    /// Of its bytes; nil where an earlier version indexed it.
    package var content: Int64?
    /// How a scene was cut and what was found out for it, a JSON object.
    package var scene: String?
    /// Windows of a scene that are stored or left out for good, where there are more to come; nil where all is done.
    package var done: Int?
    /// What a scene says of itself, a JSON object.
    package var properties: String?
  }

  /// What stands in place of a failure where nothing failed: earlier versions leave such a file alone too.
  static let setAside = "it was taken out of the index"

  /// Sources, whether indexed or known to be bad.
  ///
  /// - Parameter places: files, and folders of which all below is meant; nil for everything, which many places mean too.
  package func sources(in places: Set<FilePath>? = nil) throws -> [FilePath: Source] {
    try read { db in
      var result: [FilePath: Source] = [:]
      let all = "SELECT path, size, modified, changed, failure, content, scene, done, properties FROM sources"
      guard let places, places.count <= Self.mostPlaces else {
        result.reserveCapacity(try Int.fetchOne(db, sql: "SELECT count(*) FROM sources")!)
        try Self.read(RowReader(db, sql: all), to: &result)
        return result
      }
      for place in places {
        // '0' comes behind '/'.
        let (folder, end) = (place.spelling == "/" ? "/" : place.spelling + "/", place.spelling == "/" ? "0" : place.spelling + "0")
        let some = all + " WHERE path = ? OR path > ? AND path < ?"
        try Self.read(RowReader(db, sql: some, arguments: [place.spelling, folder, end]), to: &result)
      }
      return result
    }
  }

  /// Of all sources but those that were taken out.
  package func paths() throws -> [FilePath] {
    try read { try String.fetchAll($0, sql: "SELECT path FROM sources WHERE failure IS NOT ?", arguments: [Self.setAside]).map { FilePath($0) } }
  }

  /// More are looked up in no less time than everything is read in.
  private static let mostPlaces = 1000

  private static func read(_ rows: RowReader, to sources: inout [FilePath: Source]) throws {
    while let row = try rows.next() {
      var source = try Source(
        stamp: FileStamp(size: row.integer(at: 1), modified: row.integer(at: 2), changed: row.integer(orNullAt: 3)), failure: row.text(orNullAt: 4),
        content: row.integer(orNullAt: 5), scene: row.text(orNullAt: 6), done: row.integer(orNullAt: 7).map { Int($0) },
        properties: row.text(orNullAt: 8))
      if source.failure == setAside { (source.failure, source.isSetAside) = (nil, true) }
      sources[FilePath(try row.text(at: 0))] = source
    }
  }

  /// More than any catalog counts to: a number beyond it is damage.
  static let mostNumbers = Int64(1) << 53

  /// The next segment's.
  func number(after last: Int64?) throws(IndexError) -> Int64 {
    let last = last ?? 0
    guard (0..<Self.mostNumbers).contains(last) else { throw .damaged(path: Self.file(path), reason: "it counts segments to \(last)") }
    return last + 1
  }

  /// Of the file of an image, when it was indexed; nil where there is none of that id.
  package func stamp(ofEntry id: Int64) throws -> FileStamp? {
    try read { db in
      let sql = "SELECT size, modified, changed FROM sources JOIN entries ON source = sources.id WHERE entries.id = ?"
      return try Row.fetchOne(db, sql: sql, arguments: [id]).map { try FileStamp(size: $0.at(0), modified: $0.at(1), changed: $0.at(2)) }
    }
  }

  /// By what the bands of scenes are known that do not say it themselves, and of how many scenes.
  package func bandBases() throws -> [(basis: String, scenes: Int)] {
    try read { db in
      let basis = "json_extract(scene, '$.basis')"
      return try Row.fetchAll(db, sql: "SELECT \(basis), count(*) FROM sources WHERE \(basis) IS NOT NULL GROUP BY 1 ORDER BY 1").map {
        try ($0.at(0), $0.at(1))
      }
    }
  }

  /// The sentences that are stored.
  package func captions() throws -> Set<String> {
    try read { try String.fetchSet($0, sql: "SELECT text FROM captions") }
  }

  /// An item as a search or a listing shows it.
  package struct Entry: Sendable {
    package var id: Int64
    /// The path of an entry's source, or the words of a caption.
    package var name: String
    /// Of the source's file.
    package var size: Int64?
    /// Nil where the entry is the whole picture.
    package var window: Window?
    /// GeoJSON, where it is known.
    package var footprint: String?
    /// A JSON object; nil where nothing is known of the source.
    package var attributes: String?
    /// See `Source`.
    package var scene: String?
  }

  private static func entries(_ kind: ItemKind) -> String {
    kind == .image
      ? """
      SELECT entries.id, known.path, known.size, x, y, width, height, footprint, known.json, known.scene FROM entries
      JOIN known ON known.source = entries.source
      """ : "SELECT id, text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM captions"
  }

  private static func entry(_ row: CurrentRow) throws -> Entry {
    func side(_ column: Int32) throws -> Int { Int(try row.integer(at: column)) }
    let window = try row.integer(orNullAt: 3).map { x in try Window(x: Int(x), y: side(4), width: side(5), height: side(6)) }
    return try Entry(
      id: row.integer(at: 0), name: row.text(at: 1), size: row.integer(orNullAt: 2), window: window, footprint: row.text(orNullAt: 7),
      attributes: row.text(orNullAt: 8), scene: row.text(orNullAt: 9))
  }

  /// x, y, width and height; nil where the first is null.
  static func window(_ row: Row, at column: Int) throws -> Window? {
    guard let x: Int = try row.at(column) else { return nil }
    return try Window(x: x, y: row.at(column + 1), width: row.at(column + 2), height: row.at(column + 3))
  }

  /// Whether there are windows of scenes among the entries.
  package func hasWindows() throws -> Bool {
    try read { try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM entries WHERE x IS NOT NULL)")! }
  }

  /// Entries that are results: pictures, and windows of scenes.
  package func pictures() throws -> Int {
    try read { db in
      let parts = "SELECT count(*) FROM entries JOIN sources ON sources.id = source WHERE x IS NOT NULL AND sources.scene IS NULL"
      return try Int.fetchOne(db, sql: "SELECT count(*) FROM entries")! - Int.fetchOne(db, sql: parts)!
    }
  }

  /// All items of a kind, by id.
  package func entries(_ kind: ItemKind) throws -> [Entry] {
    try read { try RowReader($0, sql: Self.entries(kind) + " ORDER BY 1").map(Self.entry) }
  }

  /// Items of a kind by id, those after one, as many as are asked for.
  package func entries(_ kind: ItemKind, after id: Int64, limit: Int) throws -> [Entry] {
    let table = kind == .image ? "entries" : "captions"
    return try read { db in
      try RowReader(db, sql: Self.entries(kind) + " WHERE \(table).id > ? ORDER BY 1 LIMIT ?", arguments: [id, limit]).map(Self.entry)
    }
  }

  /// Images by id, those after one, as many as are asked for; of a picture that is seen in several windows too, the picture.
  ///
  /// - Parameter ids: those that are meant; nil for all.
  package func images(after id: Int64, limit: Int, among ids: Set<Int64>? = nil) throws -> [Entry] {
    if let ids {
      var (left, found) = (ids.filter { $0 > id }.sorted()[...], [Entry]())
      while !left.isEmpty, found.count < limit {
        let (part, rest) = (left.prefix(limit), left.dropFirst(limit))
        let entries = try entries(.image, Array(part))
        found += part.compactMap { entries[$0] }.filter { $0.window == nil || $0.scene != nil }
        left = rest
      }
      return Array(found.prefix(limit))
    }
    return try read { db in
      try RowReader(
        db, sql: Self.entries(.image) + " WHERE entries.id > ? AND (x IS NULL OR known.scene IS NOT NULL) ORDER BY 1 LIMIT ?", arguments: [id, limit]
      ).map(Self.entry)
    }
  }

  /// Entries that are not results of their own: windows along a long picture.
  package func parts() throws -> Set<Int64> {
    try read { try Int64.fetchSet($0, sql: "SELECT id FROM entries WHERE x IS NOT NULL AND source IN (SELECT id FROM sources WHERE scene IS NULL)") }
  }

  /// What images are sorted by.
  package struct Order: Sendable, Equatable {
    /// An attribute (a time by what it means), or `id`.
    package var name: String
    package var isDescending: Bool

    package init(name: String, isDescending: Bool) { (self.name, self.isDescending) = (name, isDescending) }

    /// As shuffled cards, the same for the same seed.
    package static func shuffled(_ seed: Int) -> Order { Order(name: "\u{0}\(seed)", isDescending: false) }
    /// Neighbours on the ground near each other: by cells of a degree, row by row.
    package static let place = Order(name: "\u{0}place", isDescending: false)

    /// SQL of the terms, and what they are given.
    fileprivate var terms: (sql: String, arguments: [String]) {
      let (direction, key) = (isDescending ? "DESC" : "ASC", "$.\"\(name)\"")
      switch name {
      case "id": return ("entries.id \(direction)", [])
      case "\u{0}place":
        return ("spot.west IS NULL, CAST(spot.south AS INTEGER) DESC, CAST(spot.west AS INTEGER), spot.south DESC, spot.west", [])
      case _ where name.hasPrefix("\u{0}"): return ("shuffled(entries.id, \(name.dropFirst()))", [])
      default:
        let value = "json_extract(known.json, ?)"
        return ("\(value) IS NULL, coalesce(instant(\(value)), \(value)) \(direction)", [key, key, key])
      }
    }

    /// `shuffled(id, seed)`: a number that looks like none.
    static let shuffling = DatabaseFunction("shuffled", argumentCount: 2, pure: true) { values in Checks.hash(values) }
  }

  /// The ids of images in an order; those without an attribute come last.
  ///
  /// - Parameter ids: those that are meant; nil for all.
  package func ids(sortedBy order: [Order], among ids: Set<Int64>? = nil) throws -> [Int64] {
    try read { db in
      let terms = order.map(\.terms)
      let arguments = terms.flatMap(\.arguments)
      let needsPlace = order.contains { $0.name == Order.place.name }
      let spot =
        needsPlace
        ? "LEFT JOIN (SELECT entry, min(west) AS west, min(south) AS south FROM places GROUP BY entry) AS spot ON spot.entry = entries.id" : ""
      let sql = """
        SELECT entries.id FROM entries JOIN known ON known.source = entries.source \(spot) WHERE x IS NULL OR known.scene IS NOT NULL
        ORDER BY \((terms.map(\.sql) + ["entries.id"]).joined(separator: ", "))
        """
      var result: [Int64] = []
      let cursor = try Int64.fetchCursor(db, sql: sql, arguments: StatementArguments(arguments))
      while let id = try cursor.next() { if ids?.contains(id) ?? true { result.append(id) } }
      return result
    }
  }

  /// Items of a kind by their ids; those that the index does not have are left out.
  package func entries(_ kind: ItemKind, _ ids: [Int64]) throws -> [Int64: Entry] {
    try read { db in
      let rows = try RowReader(
        db, sql: Self.entries(kind) + " WHERE \(kind == .image ? "entries" : "captions").id IN (SELECT value FROM json_each(?))",
        arguments: ["[\(ids.sorted().map(String.init).joined(separator: ","))]"])
      var found = [Int64: Entry](minimumCapacity: ids.count)
      while let row = try rows.next() {
        let entry = try Self.entry(row)
        found[entry.id] = entry
      }
      return found
    }
  }

  /// Of images by their ids: the source, the part of it that they show, nil for all of it, and whether the source is one picture, of which there
  /// is one result.
  package func windows(_ ids: [Int64]) throws -> [Int64: (source: Int64, window: Window?, isPicture: Bool)] {
    try read { db in
      let statement = try db.cachedStatement(
        sql: """
          SELECT source, x, y, width, height, scene IS NULL OR json_extract(scene, '$.picture') IS 1
          FROM entries JOIN sources ON sources.id = source WHERE entries.id = ?
          """)
      return try ids.reduce(into: [:]) { result, id in
        guard let row = try Row.fetchOne(statement, arguments: [id]) else { return }
        result[id] = try (row.at(0), Self.window(row, at: 1), row.at(5))
      }
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
    let (numbers, dead) = try read { db in
      (
        try Int64.fetchAll(db, sql: "SELECT id FROM segments WHERE kind = ? ORDER BY id", arguments: [kind.rawValue]),
        try Int64.fetchSet(db, sql: "SELECT id FROM dead")
      )
    }
    let segments = try numbers.map { number in
      let segment = try opened.segment(file(number), number)
      guard segment.dimension == model.dimension else {
        throw IndexError.damaged(path: segment.path, reason: "its vectors have another length than the index's")
      }
      return segment
    }
    return (segments, dead)
  }

  func file(_ segment: Int64) -> String { Self.file(path, segment) }

  static func file(_ path: String, _ segment: Int64) -> String {
    "\(path)/segments/\(String(format: "%08d", segment)).ftfseg"
  }

  /// The names of all attributes.
  package func attributeNames() throws -> [String] {
    try read { try String.fetchAll($0, sql: "SELECT DISTINCT key FROM known, json_each(known.json) ORDER BY 1") }
  }

  /// The first attribute that a filter names and no item has, and those that are called nearly so. `datetime` is none: what has no time
  /// lies in no span of it, as `search` and STAC ask for one.
  package func unknownAttribute(of filter: Filter) throws -> (name: String, near: [String])? {
    let known = try namesInColumns()
    for name in filter.names.sorted()
    where name != "datetime" && !known.contains(name) && !(name.split(separator: ".").first.map { known.contains(String($0)) } ?? false) {
      let near = known.map { ($0, Self.distance($0.lowercased(), name.lowercased())) }
        .filter { $0.1 <= max(1, name.count / 3) || $0.0.lowercased().hasSuffix(":" + name.lowercased()) }
      return (name, near.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.prefix(3).map(\.0))
    }
    return nil
  }

  /// Letters to be changed, put in, left out or exchanged with their neighbours to come from one word to the other (optimal string alignment).
  private static func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var rows = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
    for i in 0...a.count { rows[i][0] = i }
    for j in 0...b.count { rows[0][j] = j }
    guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
    for i in 1...a.count {
      for j in 1...b.count {
        rows[i][j] = min(rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), rows[i - 1][j] + 1, rows[i][j - 1] + 1)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1) }
      }
    }
    return rows[a.count][b.count]
  }

  /// The coarse vectors of all items of a kind, f32[n, d], and their ids.
  package func coarseVectors(_ kind: ItemKind) throws -> (ids: [Int64], values: [Float]) {
    let (segments, dead) = try segments(kind)
    var (ids, values) = ([Int64](), [Float]())
    for segment in segments {
      for i in 0..<segment.count where !dead.contains(segment.id(i)) {
        ids.append(segment.id(i))
        values += segment.coarseVector(i)
      }
    }
    return (ids, values)
  }

  /// Finds coarse vectors by the ids of their items: f32[ids, dimension], or an id that no live segment has. What is read does not stay in memory.
  package func coarseVectorFinder(_ kind: ItemKind) throws -> @Sendable (_ ids: [Int64]) -> (values: [Float], missing: Int64?) {
    let (segments, dead) = try segments(kind)
    var places: [(id: Int64, segment: Int32, index: Int32)] = []
    places.reserveCapacity(segments.reduce(0) { $0 + $1.count })
    for (number, segment) in segments.enumerated() {
      for i in 0..<segment.count where !dead.contains(segment.id(i)) { places.append((segment.id(i), Int32(number), Int32(i))) }
    }
    places.sort { $0.id < $1.id }
    let readers = segments.enumerated().map { $1.coarseReader(opening: $0 < Self.mostReaders) }
    return { [places] ids in
      var (room, values) = ([UInt8](), [Float]())
      values.reserveCapacity(ids.count * (segments.first?.dimension ?? 0))
      for id in ids {
        var found = 0..<places.count
        while found.count > 1 {
          let middle = found.lowerBound + found.count / 2
          found = places[middle].id <= id ? middle..<found.upperBound : found.lowerBound..<middle
        }
        guard let place = places[found].first, place.id == id, readers[Int(place.segment)](Int(place.index), &room, &values) else {
          return (values, id)
        }
      }
      return (values, nil)
    }
  }

  /// Segments that are opened as files, of which a process may have a thousand; the others are read as they are mapped.
  private static let mostReaders = 128

  /// The coarse vectors of some items, spread evenly over all.
  package func someCoarse(_ kind: ItemKind, most: Int) throws -> [[Float]] {
    let (segments, dead) = try segments(kind)
    let all = segments.reduce(0) { $0 + $1.count }
    let step = max(1, (all + most - 1) / most)
    var (found, place) = ([[Float]](), 0)
    for segment in segments {
      for i in stride(from: (step - place % step) % step, to: segment.count, by: step) where !dead.contains(segment.id(i)) {
        found.append(segment.coarseVector(i))
      }
      place += segment.count
    }
    return found
  }
}
