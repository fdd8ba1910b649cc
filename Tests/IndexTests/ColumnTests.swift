import FTFFiles
import FTFGeography
import FTFKernels
import FTFTestSupport
import Foundation
import GRDB
import Testing

@testable import FTFIndex

/// What filters look at: made of the catalog's rows, kept with them.
@Suite struct Columns {
  let folder: TemporaryFolder
  let path: String
  private let identity = ModelIdentity(name: "tiny", path: "/models/tiny.ftf", fingerprint: "abc", dimension: 8)

  init() throws {
    folder = try TemporaryFolder()
    path = "\(folder.path)/i"
  }

  @Test(
    arguments: [
      [.integer(1), .integer(-128), .integer(127)], [.integer(.min), .integer(.max)], [.integer(40000)], [.number(0.1), .number(-.infinity)],
      [.text("a"), .text("é"), .text("e\u{301}"), .text(""), .text("a")],
      [.absent, .null, .bool(true), .bool(false), .object, .list("[1]"), .text("[1]")],
      [], [.absent, .integer(3)],
    ] as [[ColumnValue]]) func aColumnIsReadAsItWasMade(values: [ColumnValue]) throws
  {
    var builder = ColumnBuilder()
    for (i, value) in values.enumerated() where value != .absent { builder.set(value, of: i) }
    let data = builder.data(items: values.count)
    let column = try #require(Column(data))
    #expect(column.count == values.count && (0..<values.count).allSatisfy { same(column[$0], values[$0]) })
    for cut in 0..<data.count { #expect(Column(data.prefix(cut)) == nil, "cut at \(cut)") }
    for i in 0..<data.count {
      // Whatever is in it, reading it ends.
      var bad = data
      bad[i] ^= 0xff
      if let column = Column(bad) { _ = column.meeting(.isNull(true)) }
    }
  }

  /// Texts by their bytes.
  private func same(_ a: ColumnValue, _ b: ColumnValue) -> Bool {
    if case .text(let a) = a, case .text(let b) = b { a.bytes == b.bytes } else { a == b }
  }

  @Test func itemsAndBoxesAreReadAsTheyWereMade() throws {
    var items = ItemColumn()
    let box = BoundingBox(west: 9, south: 50, east: 10, north: 51)
    items.append(3, nil)
    items.append(5, box.geometry)
    items.append(8, BoundingBox(west: 179, south: 0, east: -179, north: 1).geometry)
    let read = try #require(ItemColumn(items.data))
    #expect(read.ids == [3, 5, 8] && [0, 1, 2].map(read.hasFootprint) == [false, true, true])
    func near(_ west: Double) throws -> [Bool] {
      let area = BoundingBox(west: west, south: -10, east: west + 0.5, north: 60)
      let met = read.meeting(near: [area], holds: { _ in false }, meets: area.geometry.intersects, footprint: { _ in area.geometry })
      return (0..<3).map { met[$0] }
    }
    #expect(
      try near(9.2) == [false, true, false] && near(179.2) == [false, false, true] && near(-180) == [false, false, true]
        && near(20) == [false, false, false])
    for cut in 0..<items.data.count { #expect(ItemColumn(items.data.prefix(cut)) == nil) }
  }

  @Test(arguments: [
    (#"{"a": 1, "b": {"c": [1, {"d": 2}], "e": "x\"y\u00e9"}, "f": null, "g": true, "h": -1.5e3}"#, 7), ("{}", 0), (#" { "a" : { } } "#, 1),
    (#"{"a":9223372036854775808}"#, 1), (#"{"a":1"#, -1), ("[1]", -1), ("{not json", -1), (#"{"a":1}x"#, -1), ("", -1), (#"{"a":tru}"#, -1),
    (#"{"a":"\"#, -1), (#"{"a":[1,"]"]}"#, 1), (#"{"a":1,}"#, -1), (#"{"a":--1}"#, -1), (#"{"a":[}"#, -1),
  ]) func jsonIsReadByItsMembers(text: String, expected: Int) {
    var found: [String: ColumnValue] = [:]
    let isObject = JSONMembers.read(text) { path, value in found[Column.name(of: path)] = value }
    #expect(isObject == (expected >= 0), "\(text): \(found)")
    guard expected >= 0 else { return }
    #expect(found.count == expected, "\(found)")
    if expected == 7 {
      #expect(found["b\u{1f}e"] == .text("x\"yé") && found["b"] == .object && found["b\u{1f}c"] == .list(#"[1, {"d": 2}]"#))
      #expect(found["h"] == .number(-1500) && found["g"] == .bool(true) && found["f"] == .null && found["a"] == .integer(1))
    }
  }

  /// As many levels as a text can have.
  @Test func whatIsNestedDeeplyIsPassedOver() {
    let deep = String(repeating: #"{"a":"#, count: 100_000) + "1" + String(repeating: "}", count: 100_000)
    var count = 0
    #expect(JSONMembers.read(deep) { _, _ in count += 1 } && count == 8)
    #expect(!JSONMembers.read(String(repeating: #"{"a":["#, count: 100_000)) { _, _ in })
  }

  /// Bytes and characters say the same.
  @Test func aPatternMeansTheSameForBytesAsForCharacters() {
    var random = SeededGenerator(seed: 8)
    func text(_ letters: String, _ most: Int) -> String {
      String((0..<Int.random(in: 0...most, using: &random)).map { _ in letters.randomElement(using: &random)! })
    }
    var met = 0
    for _ in 0..<20_000 {
      let (pattern, text) = (text("aB%_", 6), text("abA\r\n", 6))
      let matches = Pattern(pattern).matches(text)
      let bytes = Array(text.utf8)
      #expect(Pattern(pattern).matches(bytes.span) == (bytes.contains(13) ? nil : matches), "\(pattern) \(text.debugDescription)")
      met += matches ? 1 : 0
    }
    #expect((2000..<18_000).contains(met), "\(met)")
  }

  private func entry(_ seed: UInt64, at west: Double? = nil) throws -> NewEntry {
    var random = SeededGenerator(seed: seed)
    return NewEntry(
      footprint: west.map { BoundingBox(west: $0, south: 50, east: $0 + 0.5, north: 50.25).geometry },
      vectors: PackedItem(coarse: random.floats(8), fine: random.floats(16), isPooled: true, with: try KernelSet()))
  }

  private func problems(_ catalog: Catalog) throws -> [String] { try catalog.problems { _ in } }

  @Test func whateverChangesRowsChangesColumns() throws {
    let stamp = FileStamp(size: 1, modified: 2)
    var writer = try CatalogWriter(path: path, creating: identity)
    for i in 0..<6 {
      try writer.add(path: FilePath("/\(i)"), stamp: stamp, content: Int64(i), entries: [entry(UInt64(i), at: Double(i))])
      if i % 2 == 1 { try writer.commit() }
    }
    func ids(_ text: String) throws -> [Int64] { try writer.catalog.ids(matching: Filter(text)).sorted() }
    #expect(try ids("year is null").count == 6 && writer.catalog.unknownAttribute(of: Filter("year = 1")) != nil)
    try writer.set(attributes: (0..<6).map { (FilePath("/\($0)"), #"{"year": \#(2000 + $0)}"#) })
    #expect(try ids("year >= 2003") == [4, 5, 6] && problems(writer.catalog).isEmpty)
    try writer.set(attributes: [(FilePath("/5"), #"{"month": 7}"#)])
    #expect(try ids("year >= 2003") == [4, 5] && ids("month = 7") == [6] && problems(writer.catalog).isEmpty)
    try writer.move(sources: [(FilePath("/0"), FilePath("/moved"), stamp)])
    #expect(try ids("path = '/moved' and year = 2000") == [1] && ids("path = '/0'").isEmpty && problems(writer.catalog).isEmpty)
    try writer.remove(sources: [FilePath("/1")])
    #expect(try ids("year = 2001").isEmpty && ids("not year = 2000").count == 4 && problems(writer.catalog).isEmpty)
    let before = try ids("intersects(2, 0, 4.2, 60)")
    _ = try writer.compact { _ in }
    #expect(try ids("intersects(2, 0, 4.2, 60)") == before && ids("year >= 2003") == [4, 5] && problems(writer.catalog).isEmpty)
    _ = try writer.repair { _ in }
    #expect(try ids("year >= 2003") == [4, 5] && problems(writer.catalog).isEmpty)
  }

  /// What one moment of an index has mapped the next takes over, unless another file has taken its place; it goes with the last that has it.
  @Test func momentsShareTheirSegments() throws {
    try make()
    let catalog = try Catalog(path: path)
    var first: Segment? = try catalog.snapshot().segments(.image).segments[0]
    let file = try #require(first?.path)
    #expect(try catalog.snapshot().segments(.image).segments[0] === first && Catalog(path: path).segments(.image).segments[0] !== first)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    try bytes.write(to: URL(fileURLWithPath: file), options: .atomic)
    let second = try catalog.snapshot().segments(.image).segments[0]
    #expect(second !== first && second.ids == first?.ids)
    weak let left = first
    first = nil
    #expect(left == nil)
    try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: file))
    #expect(throws: IndexError.self) { try catalog.snapshot().segments(.image) }
  }

  private func run(_ sql: String) throws { try Catalog.connection(path).write { try $0.execute(sql: sql) } }

  private func make() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(path: FilePath("/a"), stamp: FileStamp(size: 1, modified: 2), entries: [entry(1)])
    try writer.commit()
    try writer.set(attributes: [(FilePath("/a"), #"{"year": 2020}"#)])
  }

  @Test func thoseThatAreMissingAreMade() throws {
    try make()
    try run("DELETE FROM columns")
    let catalog = try Catalog(path: path)
    #expect(try catalog.ids(matching: Filter("year = 2020")) == [1] && problems(catalog).isEmpty)
    _ = try CatalogWriter(path: path)
    #expect(try catalog.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM columns") } == 3)
  }

  @Test(arguments: [
    "UPDATE columns SET data = x'01' WHERE name = 'year'", "DELETE FROM columns WHERE name = 'year'", "UPDATE columns SET data = x''",
  ])
  func thoseThatAreOthersAreToldAndMadeAnew(sql: String) throws {
    try make()
    try run(sql)
    var writer = try CatalogWriter(path: path)
    #expect(try problems(writer.catalog).contains { $0.contains("columns") })
    _ = try writer.repair { _ in }
    #expect(try problems(writer.catalog).isEmpty && writer.catalog.ids(matching: Filter("year = 2020")) == [1])
  }

  /// Whether there are windows, which every search asks first, is not looked for among all entries.
  @Test func whetherThereAreWindowsIsKnownAtOnce() throws {
    let catalog = try CatalogWriter(path: "\(folder.path)/windows", creating: identity).catalog
    let plan = try catalog.read { db in
      try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN SELECT EXISTS (SELECT 1 FROM entries WHERE x IS NOT NULL)").map { "\($0["detail"]!)" }
    }
    #expect(plan.contains { $0.contains("entries_windows") }, "\(plan)")
    #expect(try !catalog.hasWindows())
  }
}
