import FTFFiles
import FTFGeography
import FTFKernels
import Foundation
import GRDB

/// What filters and areas look at: for each segment of images a column an attribute, made of the catalog's rows in the transaction that changes those.
/// They only follow from the rest: who finds one missing makes it anew.
extension Catalog {
  /// Names that no attribute has: of the ids with their boxes, and of the paths.
  private static let (itemsName, pathsName) = ("\u{1e}items", "\u{1e}path")

  static func createColumns(_ db: Database) throws {
    try db.execute(
      sql: """
        CREATE TABLE columns(
          segment INTEGER NOT NULL REFERENCES segments(id) ON DELETE CASCADE, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(segment, name));
        """)
  }

  // MARK: Writing

  /// What the columns of a segment are made of.
  private struct ItemRow: Sendable {
    var id: Int64
    var path: String
    var json: String?
    var footprint: String?
  }

  /// The columns of some items that follow each other in a segment.
  private struct Columns: Sendable {
    var items = ItemColumn()
    var paths = ColumnBuilder()
    var others: [String: ColumnBuilder] = [:]

    init() {}

    init(_ rows: [ItemRow]) throws(IndexError) {
      for (i, row) in rows.enumerated() {
        items.append(row.id, row.footprint.flatMap { Geometry(geoJSON: $0) })
        paths.set(.text(row.path), of: i)
        guard let json = row.json else { continue }
        // The view makes no object of what is none.
        guard JSONMembers.read(json, { path, value in others[Column.name(of: path), default: ColumnBuilder()].set(value, of: i) }) else {
          throw IndexError.damaged(path: "catalog", reason: "what is said of \(FilePath(row.path).description) is no JSON object")
        }
      }
    }

    mutating func append(_ more: Columns) {
      for (name, column) in more.others { others[name, default: ColumnBuilder()].append(column, at: items.ids.count) }
      paths.append(more.paths, at: items.ids.count)
      items.append(more.items)
    }

    /// By their names.
    var data: [String: Data] {
      var columns = others.mapValues { column in
        var column = column
        return column.data(items: items.ids.count)
      }
      var paths = paths
      columns[pathsName] = paths.data(items: items.ids.count)
      columns[itemsName] = items.data
      return columns
    }
  }

  /// Rows that are read at once.
  private static let rowsAtOnce = 8192

  /// The columns of a segment, by their names: rows are read in this thread, and understood in others.
  private static func columns(of segment: Int64, _ db: Database) throws -> [String: Data] {
    let rows = try RowReader(
      db,
      sql: """
        SELECT entries.id, known.path, known.json, entries.footprint FROM entries JOIN known ON known.source = entries.source
        WHERE entries.segment = ? ORDER BY entries.id
        """, arguments: [segment])
    var columns = Columns()
    try Conveyor.run { () throws -> [ItemRow]? in
      var some: [ItemRow] = []
      while some.count < rowsAtOnce, let row = try rows.next() {
        some.append(try ItemRow(id: row.integer(at: 0), path: row.text(at: 1), json: row.text(orNullAt: 2), footprint: row.text(orNullAt: 3)))
      }
      return some.isEmpty ? nil : some
    } made: { some in
      try Columns(some)
    } take: { some in
      columns.append(some)
    }
    return columns.data
  }

  /// Makes the columns of some segments anew; of those that hold sentences none.
  static func refreshColumns(of segments: some Sequence<Int64>, _ db: Database) throws {
    for segment in segments {
      try db.execute(sql: "DELETE FROM columns WHERE segment = ?", arguments: [segment])
      guard try String.fetchOne(db, sql: "SELECT kind FROM segments WHERE id = ?", arguments: [segment]) == ItemKind.image.rawValue else { continue }
      let statement = try db.cachedStatement(sql: "INSERT INTO columns VALUES (?, ?, ?)")
      for (name, data) in try columns(of: segment, db) { try statement.execute(arguments: [segment, name, data]) }
    }
  }

  /// The segments that have items of some sources. They are looked up here and there among the paths, so that the search soon ends where every segment
  /// has some.
  static func segments(of paths: [FilePath], _ db: Database) throws -> Set<Int64> {
    let statement = try db.cachedStatement(
      sql: "SELECT DISTINCT segment FROM entries WHERE source = (SELECT id FROM sources WHERE path = ?)")
    let all = try Int.fetchOne(db, sql: "SELECT count(*) FROM segments WHERE kind = ?", arguments: [ItemKind.image.rawValue])!
    // No number of paths has this prime, so that its multiples come to each of them once.
    let step = 4_294_967_291
    var found: Set<Int64> = []
    for i in paths.indices where found.count < all {
      found.formUnion(try Int64.fetchAll(statement, arguments: [paths[i * step % paths.count].spelling]))
    }
    return found
  }

  /// The segments of images that have no columns.
  private static func segmentsWithout(_ db: Database) throws -> [Int64] {
    try Int64.fetchAll(
      db, sql: "SELECT id FROM segments WHERE kind = ? AND id NOT IN (SELECT segment FROM columns WHERE name = ?)",
      arguments: [ItemKind.image.rawValue, itemsName])
  }

  /// Makes the columns that are missing, a segment a transaction: what is interrupted is gone on with.
  static func completeColumns(_ database: DatabaseQueue) throws {
    for segment in try database.read(segmentsWithout) { try database.write { try refreshColumns(of: [segment], $0) } }
  }

  /// A line where columns are not those that would be made now.
  static func columnProblems(_ db: Database) throws -> [String] {
    for segment in try Int64.fetchAll(db, sql: "SELECT id FROM segments WHERE kind = ? ORDER BY id", arguments: [ItemKind.image.rawValue]) {
      let stored = try Row.fetchAll(db, sql: "SELECT name, data FROM columns WHERE segment = ?", arguments: [segment])
      if stored.isEmpty { continue }
      let live = try Int64.fetchSet(db, sql: "SELECT id FROM entries WHERE segment = ?", arguments: [segment])
      let made = try columns(of: segment, db)
      var found: [String: Data] = [:]
      for row in stored { found[try row.at(0)] = try row.at(1) }
      // Items that were taken out since are in the columns still.
      guard let items = found[itemsName].flatMap(ItemColumn.init) else { return ["its columns of segment \(segment) cannot be read"] }
      if Set(items.ids) == live, found != made { return ["its columns of segment \(segment) are not what its rows say"] }
      if !live.isSubset(of: Set(items.ids)) { return ["its columns of segment \(segment) lack images"] }
    }
    return []
  }

  // MARK: Reading

  /// The columns of one segment, read as they are asked for.
  private final class Block {
    let segment: Int64
    let ids: [Int64]
    private let db: Database
    private var made: [String: Data]?
    private var known: [String: Column?] = [:]
    private var knownItems: ItemColumn?

    init(_ segment: Int64, _ db: Database) throws {
      (self.segment, self.db) = (segment, db)
      if let stored = try StoredColumn(segment, itemsName, db),
        let count = try ItemColumn.count(stored.read(ItemColumn.idsAt, at: 0), of: stored.count)
      {
        ids = try stored.read(count, at: ItemColumn.idsAt)
      } else {
        let columns = try Catalog.columns(of: segment, db)
        made = columns
        let items = ItemColumn(columns[itemsName]!)!
        (knownItems, ids) = (items, items.ids)
      }
    }

    private func bytes(_ name: String) throws -> [UInt8]? {
      if let made { return made[name].map { [UInt8]($0) } }
      guard let stored = try StoredColumn(segment, name, db) else { return nil }
      return try stored.read(stored.count, at: 0)
    }

    private var damaged: IndexError { .damaged(path: "catalog", reason: "its columns of segment \(segment) cannot be read") }

    /// With the boxes, which are the most of what is stored and which most filters do not ask for.
    func items() throws -> ItemColumn {
      if let knownItems { return knownItems }
      guard let read = try bytes(itemsName).flatMap({ ItemColumn($0) }) else { throw damaged }
      knownItems = read
      return read
    }

    func column(_ name: String) throws -> Column? {
      if let found = known[name] { return found }
      let bytes = try bytes(name)
      let column = bytes.flatMap { Column($0) }
      guard bytes == nil || column?.count == ids.count else { throw damaged }
      known[name] = column
      return column
    }

    /// Names of columns, but for those of objects inside others.
    func attributes() throws -> [String] {
      let names = try made?.keys.map { $0 } ?? String.fetchAll(db, sql: "SELECT name FROM columns WHERE segment = ?", arguments: [segment])
      return names.filter { $0 != itemsName && $0 != pathsName && !$0.contains("\u{1f}") }
    }

    private func all(_ value: Bool) -> Bitmap { Bitmap(repeating: value, count: ids.count) }

    func meeting(_ condition: Condition) throws -> Bitmap {
      switch condition {
      case .all(let parts):
        var result = try meeting(parts[0])
        for part in parts.dropFirst() where result.hasAny { result = result & (try meeting(part)) }
        return result
      case .any(let parts): return try parts.dropFirst().reduce(meeting(parts[0])) { $0 | (try meeting($1)) }
      case .not(let part): return ~(try meeting(part))
      case .hasFootprint:
        let items = try items()
        return Bitmap(count: ids.count) { items.hasFootprint($0) }
      case .meets(let area):
        let boxes = area.polygons.map { Geometry(polygons: [$0]) }.filter(\.isBox).map { $0.boxes[0] }
        return try items().meeting(
          near: area.boxes,
          holds: { own in boxes.contains { $0.west <= own.west && own.east <= $0.east && $0.south <= own.south && own.north <= $0.north } },
          meets: area.intersects, footprint: footprint)
      case .attribute(let attribute, let test): return try meeting(test, attribute)
      }
    }

    func meeting(_ filter: Filter?, _ area: Area?) throws -> Bitmap {
      let met = try filter.map { try meeting($0.condition) } ?? all(true)
      guard let area, met.hasAny else { return met }
      return met & (try items().meeting(near: area.boxes, holds: area.holds, meets: area.meets, footprint: footprint))
    }

    private func footprint(_ id: Int64) throws -> Geometry? {
      let statement = try db.cachedStatement(sql: "SELECT footprint FROM entries WHERE id = ?")
      let text = try Row.fetchOne(statement, arguments: [id]).map { try $0.at(0) as String? } ?? nil
      return text.flatMap { Geometry(geoJSON: $0) }
    }

    private func meeting(_ test: Condition.Test, _ attribute: Condition.Attribute) throws -> Bitmap {
      switch attribute {
      case .constant(let text): return all(test.holds(.text(text)))
      case .path: return try column(pathsName)?.meeting(test) ?? all(false)
      case .named(let names): return try meeting(test, names) { _ in .absent }
      case .id(let names): return try meeting(test, names) { [ids] i in .text(String(ids[i])) }
      }
    }

    /// - Parameter missing: what stands in for a value that none of the columns has.
    private func meeting(_ test: Condition.Test, _ names: [String], missing: (Int) -> ColumnValue) throws -> Bitmap {
      let columns = try names.compactMap { try column($0) }
      let met = columns.map { $0.meeting(test) }
      if let first = columns.first, first.hasAll { return met[0] }
      let holds = test.holds(.absent)
      return Bitmap(count: ids.count) { i in
        for (column, met) in zip(columns, met) where !column.isAbsent(i) { return met[i] }
        let value = missing(i)
        return value == .absent ? holds : test.holds(value)
      }
    }
  }

  /// Which items of some segments a filter and an area leave, segment by segment in the order of their items; none that was taken out.
  package func chosen(from segments: [Segment], filter: Filter?, area: Area?, without dead: Set<Int64>) throws -> Bitmap {
    do {
      return try read { db in
        try segments.reduce(into: Bitmap()) { chosen, segment in
          let block = try Block(segment.number, db)
          chosen.append(Self.placed(try block.meeting(filter, area), of: block.ids, in: segment, dead))
        }
      }
    } catch IndexError.damaged(_, let reason) {
      throw IndexError.damaged(path: Self.file(path), reason: reason)
    }
  }

  /// Ids ascend in both: whoever was written first comes first.
  private static func placed(_ met: Bitmap, of ids: [Int64], in segment: Segment, _ dead: Set<Int64>) -> Bitmap {
    if dead.isEmpty, segment.hasIDs(ids) { return met }
    var (next, last) = (0, Int64.min)
    return Bitmap(count: segment.count) { i in
      let id = segment.id(i)
      if id < last { next = 0 }
      last = id
      while next < ids.count, ids[next] < id { next += 1 }
      return next < ids.count && ids[next] == id && met[next] && !dead.contains(id)
    }
  }

  /// The ids of the images that a filter and an area leave.
  package func ids(matching filter: Filter? = nil, in area: Area? = nil) throws -> Set<Int64> {
    var found: Set<Int64> = []
    try forEachBlock { block, dead in
      let met = try block.meeting(filter, area)
      met.forEach(in: 0..<met.count) { i in if !dead.contains(block.ids[i]) { found.insert(block.ids[i]) } }
    }
    return found
  }

  /// What an attribute has among the images, for whoever wants to choose.
  package struct AttributeSummary: Sendable {
    package var name: String
    /// Of the values that are numbers.
    package var numbers: [Double] = []
    /// Of those that are texts, how often each is met; the most frequent first.
    package var texts: [(value: String, count: Int)] = []
  }

  /// The attributes of the images, by name.
  package func attributeSummaries() throws -> [AttributeSummary] {
    var (numbers, texts) = ([String: [Double]](), [String: [String: Int]]())
    try forEachBlock { block, dead in
      for name in try block.attributes() {
        guard let column = try block.column(name) else { continue }
        for (i, id) in block.ids.enumerated() where !dead.contains(id) {
          switch column[i] {
          case .integer(let value): numbers[name, default: []].append(Double(value))
          case .number(let value): numbers[name, default: []].append(value)
          case .text(let text): texts[name, default: [:]][text, default: 0] += 1
          default: break
          }
        }
      }
    }
    return Set(numbers.keys).union(texts.keys).sorted { $0.bytes < $1.bytes }.map { name in
      let sorted = (texts[name] ?? [:]).sorted { ($1.value, $0.key.bytes) < ($0.value, $1.key.bytes) }
      return AttributeSummary(name: name, numbers: numbers[name] ?? [], texts: sorted.map { ($0.key, $0.value) })
    }
  }

  /// Where and when the images lie: a box in degrees, and the first and the last time; nil for what none of them says.
  package func extent() throws -> (box: [Double]?, times: [String]?) {
    var (box, first, last): (BoundingBox?, Int64?, Int64?)
    try forEachBlock { block, dead in
      let times = try block.column("datetime")
      try block.items().forEach { i, boxes in
        guard !dead.contains(block.ids[i]) else { return }
        for part in boxes { box = box?.with(part) ?? part }
        if case .text(let text)? = times?[i], let instant = Instant(text) {
          (first, last) = (min(first ?? instant.first, instant.first), max(last ?? instant.first, instant.first))
        }
      }
    }
    return (box.map { [$0.west, $0.south, $0.east, $0.north] }, first.flatMap { first in last.map { [Instant.text(first), Instant.text($0)] } })
  }

  private func forEachBlock(_ body: (Block, Set<Int64>) throws -> Void) throws {
    do {
      try read { db in
        let dead = try Int64.fetchSet(db, sql: "SELECT id FROM dead")
        for segment in try Int64.fetchAll(db, sql: "SELECT id FROM segments WHERE kind = ? ORDER BY id", arguments: [ItemKind.image.rawValue]) {
          try body(Block(segment, db), dead)
        }
      }
    } catch IndexError.damaged(_, let reason) {
      throw IndexError.damaged(path: Self.file(path), reason: reason)
    }
  }

  /// The names of the attributes that images have had since their segments were written.
  func namesInColumns() throws -> Set<String> {
    try read { db in
      Set(try String.fetchAll(db, sql: "SELECT DISTINCT name FROM columns").filter { $0 != Self.itemsName && $0 != Self.pathsName })
    }
  }
}
