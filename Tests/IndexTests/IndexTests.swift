import FTFFiles
import Foundation
import FTFGeography
import FTFKernels
import FTFTestSupport
import Testing

@testable import FTFIndex

private let d = 24
private let identity = ModelIdentity(name: "tiny", path: "/models/tiny.ftf", fingerprint: "abc", dimension: d)

private func vectors(_ random: inout SeededGenerator, rows: Int, isPooled: Bool = true) -> PackedItem {
  PackedItem(
    coarse: random.floats(d), fine: random.floats(d * rows), isPooled: isPooled, with: try! KernelSet())
}

private let stamp = FileStamp(size: 1, modified: 2)

extension CatalogWriter {
  /// Images of some rows each, one an image, as a part of the index.
  mutating func add(_ names: [String], seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for name in names {
      let packed = vectors(&random, rows: Int(random.next() % 5))
      try add(path: FilePath(name), stamp: stamp, entries: [NewEntry(vectors: packed)])
    }
    try commit()
  }

  mutating func add(captions: [String], seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for text in captions { try add(caption: text, vectors: vectors(&random, rows: 2, isPooled: false)) }
    try commit()
  }
}

/// The dequantised rows of an item, the coarse one first.
private func rows(_ segment: Segment, _ i: Int) -> [[Float]] {
  let item = segment.item(i)
  func values(_ rows: Rows) -> [[Float]] {
    (0..<rows.count).map { row in (0..<d).map { rows.scales[row] * Float(rows.codes[row * d + $0]) } }
  }
  return values(item.coarse) + values(item.fine)
}

@Suite struct Segments {
  let folder: TemporaryFolder
  let kernels: KernelSet
  init() throws {
    folder = try TemporaryFolder()
    kernels = try KernelSet()
  }

  func write(_ items: [PackedItem], _ name: String = "a.ftfseg", isPooled: Bool = true) throws -> String {
    let path = "\(folder.path)/\(name)"
    var writer = try SegmentWriter(path: path, dimension: d, isPooled: isPooled)
    for (i, item) in items.enumerated() { try writer.append(item, id: Int64(10 + i)) }
    try writer.finish()
    return path
  }

  func three(isPooled: Bool = true) -> [PackedItem] {
    var random = SeededGenerator(seed: 4)
    return [3, 0, 17].map { vectors(&random, rows: $0, isPooled: isPooled) }
  }

  @Test func whatTheSystemSaysIsSaidInItsWords() throws {
    let missing = IndexError.unwritable(path: "\(folder.path)/none/a.ftfseg", reason: "No such file or directory")
    #expect(throws: missing) { try write([], "none/a.ftfseg") }
    // A disk that is full.
    try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/full", withDestinationPath: "/dev/full")
    let file = try #require(FileHandle(forWritingAtPath: "\(folder.path)/full"))
    let error = #expect(throws: (any Error).self) { try file.write(contentsOf: Data([1])) }
    #expect(error?.systemReason == "No space left on device")
  }

  @Test(arguments: [true, false]) func theBytesAreThoseOfTheTables(isPooled: Bool) throws {
    let path = try write(three(isPooled: isPooled), isPooled: isPooled)
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let segment = try Segment(path: path)
    func padded(_ n: Int, to multiple: Int = 64) -> Int { (n + multiple - 1) / multiple * multiple }
    // Checksum, range and scales, the Gram matrix (1, 4 and 18 rows in columns of 16), codes.
    let gram = [(3, 4 * 16), (0, 16), (17, (16 + 16 + 2) * 16)]
    let records = gram.map { rows, gram in
      padded(padded(padded(16 + 4 * rows, to: 16) + (isPooled ? gram : 0)) + rows * d)
    }.reduce(0, +)
    #expect(data.count == 64 + records + padded(3 * d) + padded(12) + padded(24) + padded(12))
    #expect(data.prefix(8) == Data("FTFSEG2\0".utf8) && data[8] == 3 && data[16] == UInt8(d) && data[24] == 20)
    #expect(data[32] == (isPooled ? 1 : 0) && segment.damage().isEmpty)
    #expect(segment.id(0) == 10 && segment.id(2) == 12 && segment.count == 3)
    #expect(!FileManager.default.fileExists(atPath: path + ".partial"))
  }

  @Test func whatIsStoredIsWithinHalfAStepOfWhatWasGiven() throws {
    var random = SeededGenerator(seed: 5)
    let given = (0..<4).map { i in (random.floats(d), random.floats(d * 3 * i)) }
    let segment = try Segment(
      path: write(given.map { PackedItem(coarse: $0, fine: $1, isPooled: true, with: kernels) }))
    for (i, (coarse, fine)) in given.enumerated() {
      let item = segment.item(i)
      #expect(item.fine.count == 3 * i && item.fine.dimension == d)
      for (j, row) in rows(segment, i).enumerated() {
        let scale = j == 0 ? item.coarse.scales[0] : item.fine.scales[j - 1]
        for k in 0..<d { #expect(abs((coarse + fine)[j * d + k] - row[k]) <= scale * 0.50001) }
      }
      // <row r, row l> of the stored codes, within half a step, where csimd_interaction_args says it lies.
      let all = rows(segment, i).map { $0.map(Double.init) }
      var at = 0
      for c in stride(from: 0, to: all.count, by: 16) {
        let end = min(c + 16, all.count)
        for r in Array(c..<end) + Array(0..<c) {
          for l in c..<end {
            let product = zip(all[r], all[l]).reduce(0) { $0 + $1.0 * $1.1 }
            let code = Double(item.gram.least) + Double(item.gram.step) * Double(item.gram.codes[at + l - c])
            #expect(abs(product - code) <= Double(item.gram.step) * 0.501 + 1e-5)
          }
          for l in end - c..<16 { #expect(item.gram.codes[at + l] == 0) }
          at += 16
        }
      }
      #expect(at == item.gram.codes.count)
    }
  }

  @Test func aSegmentCutAnywhereOrChangedInAnyByteIsNoticed() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: try write(three())))
    for length in 0..<data.count {
      let path = try folder.file("cut", data.prefix(length))
      #expect(throws: IndexError.self) { try Segment(path: path) }
    }
    for offset in 0..<data.count {
      var lying = data
      lying[offset] ^= UInt8(1 << (offset % 8))
      let path = try folder.file("lying", lying)
      do {
        let segment = try Segment(path: path)
        #expect(offset >= 64 && !segment.damage().isEmpty, "byte \(offset)")
      } catch {}
    }
  }

  @Test func aWriterThatIsLetGoLeavesNothing() throws {
    do {
      var writer = try SegmentWriter(path: "\(folder.path)/gone", dimension: d, isPooled: true)
      try writer.append(three()[0], id: 1)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    #expect(throws: IndexError.self) {
      _ = try SegmentWriter(path: "\(folder.path)/none/x", dimension: d, isPooled: true)
    }
  }
}

@Suite struct Catalogs {
  let folder: TemporaryFolder
  let path: String
  init() throws {
    folder = try TemporaryFolder()
    path = "\(folder.path)/i"
  }

  func names(_ kind: ItemKind, _ ids: [Int64]) throws -> [Int64: String] {
    try Catalog(path: path).entries(kind, ids).mapValues(\.name)
  }

  @Test func whatWasAddedIsThereWhenTheIndexIsOpenedAgain() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b"], seed: 1)
    writer.add(path: "/bad", stamp: FileStamp(size: 3, modified: 4), failure: "why")
    try writer.add(["/c"], seed: 2)
    try writer.add(captions: ["a sentence"], seed: 3)
    let again = try Catalog(path: path)
    #expect(again.model == identity)
    #expect(try again.count(.image) == 3 && again.count(.caption) == 1)
    let (segments, dead) = try again.segments(.image)
    #expect(segments.map(\.count) == [2, 1] && dead.isEmpty && segments[1].id(0) == 3)
    #expect(try names(.image, [1, 3, 9]) == [1: "/a", 3: "/c"] && names(.caption, [4]) == [4: "a sentence"])
    let sources = try again.sources()
    #expect(sources.count == 4 && sources["/bad"]!.failure == "why" && sources["/bad"]!.stamp.size == 3 && sources["/a"]!.failure == nil)
    #expect(try again.captions() == ["a sentence"] && again.problems { _ in }.isEmpty)
  }

  @Test func aSourceHasWindowsAndFootprints() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    var random = SeededGenerator(seed: 1)
    let windows = [(0, 0), (224, 0), (0, 448)].map { Window(x: $0, y: $1, width: 224, height: 200) }
    let square = BoundingBox(west: 9, south: 50, east: 9.5, north: 50.25).geometry
    let point = square.geoJSON
    try writer.add(
      path: "/scene.tif", stamp: stamp,
      entries: windows.map { NewEntry(window: $0, footprint: square, vectors: vectors(&random, rows: 4)) })
    try writer.add(["/whole.jpg"], seed: 2)
    let entries = try writer.catalog.entries(.image)
    #expect(entries.map(\.window) == windows + [nil] && entries.map(\.footprint) == [point, point, point, nil])
    #expect(entries.map(\.name) == ["/scene.tif", "/scene.tif", "/scene.tif", "/whole.jpg"])
    // A scene that changed is one that was cut anew.
    try writer.add(path: "/scene.tif", stamp: stamp, entries: [NewEntry(vectors: vectors(&random, rows: 1))])
    try writer.commit()
    #expect(try writer.catalog.entries(.image).map(\.id) == [4, 5])
    #expect(try writer.catalog.segments(.image).dead == [1, 2, 3] && writer.catalog.problems { _ in }.isEmpty)
  }

  @Test func aChangedImageTakesThePlaceOfTheOneBefore() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b"], seed: 1)
    try writer.add(["/a"], seed: 2)
    #expect(try writer.catalog.count(.image) == 2 && writer.catalog.segments(.image).dead == [1])
    try writer.remove(sources: ["/b"])
    #expect(try writer.catalog.count(.image) == 1 && writer.catalog.segments(.image).dead == [1, 2])
    writer.add(path: "/a", stamp: stamp, failure: "broken")
    try writer.commit()
    #expect(try writer.catalog.count(.image) == 0)
  }

  @Test func someVectorsAreSpreadOverAllSegmentsAndNoneIsDead() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    for part in 0..<4 { try writer.add((0..<5).map { "/\(part)\($0)" }, seed: UInt64(part)) }
    try writer.remove(sources: ["/00", "/13"])
    let catalog = try Catalog(path: path)
    let d = identity.dimension
    let all = try catalog.coarseVectors(.image).values
    let live = (0..<18).map { Array(all[$0 * d..<($0 + 1) * d]) }
    #expect(try catalog.someCoarse(.image, most: 100) == live)
    for most in [1, 3, 7, 19] {
      let some = try catalog.someCoarse(.image, most: most)
      #expect(some.count <= most && some.count >= most / 2 - 2 && some.allSatisfy(live.contains))
    }
    #expect(try catalog.someCoarse(.caption, most: 9).isEmpty)
  }

  @Test func whatWasNotCommittedGoes() throws {
    let stray = "\(path)/segments/00000002.ftfseg"
    do {
      var writer = try CatalogWriter(path: path, creating: identity)
      try writer.add(["/a"], seed: 1)
      var random = SeededGenerator(seed: 4)
      try writer.add(path: "/b", stamp: stamp, entries: [NewEntry(vectors: vectors(&random, rows: 1))])
      #expect(writer.pending == 1)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/segments") == ["00000001.ftfseg"])
    try Data([1, 2, 3]).write(to: URL(fileURLWithPath: stray))
    var writer = try CatalogWriter(path: path)
    #expect(!FileManager.default.fileExists(atPath: stray))
    try writer.add(["/b"], seed: 2)
    #expect(try writer.catalog.segments(.image).segments.count == 2)
  }

  @Test func foreignFoldersModelsAndVersionsAreNamed() throws {
    #expect(throws: IndexError.notAnIndex(path: "\(folder.path)/none")) { try Catalog(path: "\(folder.path)/none") }
    let catalog = try CatalogWriter(path: path, creating: identity).catalog
    var other = identity
    other.fingerprint = "def"
    #expect(throws: IndexError.self) { try catalog.check(other) }
    try catalog.check(identity)
    try FileManager.default.createDirectory(atPath: "\(folder.path)/junk", withIntermediateDirectories: true)
    _ = try folder.file("junk/catalog.sqlite", Data(repeating: 7, count: 5000))
    #expect(throws: IndexError.self) { try Catalog(path: "\(folder.path)/junk") }
    try catalog.database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('9')") }
    #expect(throws: IndexError.otherFormat(path: path, found: "a later version's")) { try Catalog(path: path) }
  }

  /// Six images in three segments, of which one was replaced and one removed, and two captions.
  private func used() throws -> CatalogWriter {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b", "/c"], seed: 1)
    try writer.add(captions: ["one", "two"], seed: 2)
    try writer.add(["/d", "/e", "/f"], seed: 3)
    try writer.add(["/b", "/g"], seed: 4)
    try writer.remove(sources: ["/e"])
    return writer
  }

  /// What a search sees, in the order of the scan.
  private func content(_ catalog: Catalog, _ kind: ItemKind) throws -> [String: [Float]] {
    let (segments, dead) = try catalog.segments(kind)
    var result: [String: [Float]] = [:]
    for segment in segments {
      for i in 0..<segment.count where !dead.contains(segment.id(i)) {
        let name = try #require(names(kind, [segment.id(i)])[segment.id(i)])
        result[name] = rows(segment, i).flatMap { $0 }
      }
    }
    return result
  }

  @Test func compactingKeepsEveryLiveVectorAndItsOrder() throws {
    var writer = try used()
    let catalog = writer.catalog
    let before = (try content(catalog, .image), try content(catalog, .caption), try catalog.coarseVectors(.image).ids)
    #expect(before.0.count == 6 && before.1.count == 2 && before.2 == [1, 3, 6, 8, 9, 10])
    let (old, new) = try writer.compact { _ in }
    #expect(old == 4 && new == 2)
    #expect(try content(catalog, .image) == before.0 && content(catalog, .caption) == before.1)
    #expect(try catalog.coarseVectors(.image).ids == before.2)
    #expect(try catalog.segmentCounts() == (segments: 2, dead: 0))
    #expect(try catalog.problems { _ in }.isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(catalog.path)/segments").count == 2)
    // The index goes on as before.
    try writer.add(["/a", "/h"], seed: 5)
    #expect(try catalog.coarseVectors(.image).ids == [3, 6, 8, 9, 10, 11, 12])
    try writer.remove(sources: ["/a", "/b", "/c", "/d", "/f", "/g", "/h"])
    #expect(try writer.compact { _ in }.after == 1)
    #expect(try catalog.count(.image) == 0 && catalog.problems { _ in }.isEmpty)
  }

  @Test func verifyingFindsOneChangedBitAndEveryLostFile() throws {
    let catalog = try used().catalog
    #expect(try catalog.problems { _ in }.isEmpty)
    let path = "\(catalog.path)/segments/00000003.ftfseg"
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for place in [20, 70, whole.count / 2, whole.count - 1] {
      var damaged = whole
      damaged[place] ^= 1
      try damaged.write(to: URL(fileURLWithPath: path))
      let found = try catalog.problems { _ in }
      #expect(found.count == 1 && found[0].contains(path), "\(found)")
    }
    try whole.dropLast(64).write(to: URL(fileURLWithPath: path))
    #expect(try catalog.problems { _ in }.count == 1)
    try FileManager.default.removeItem(atPath: path)
    #expect(try catalog.problems { _ in }.count == 1)
    try whole.write(to: URL(fileURLWithPath: path))
    try catalog.database.write { try $0.execute(sql: "DELETE FROM dead") }
    #expect(try catalog.problems { _ in }.contains { $0.contains("does not know 1") })
    try catalog.database.write { try $0.execute(sql: "UPDATE entries SET segment = 3 WHERE id = 1") }
    #expect(try catalog.problems { _ in }.contains { $0.contains("lacks 1") })
  }

  @Test func vectorsAreReadFromTheFileAsTheyAreMapped() throws {
    let catalog = try used().catalog
    let (segments, _) = try catalog.segments(.image)
    for segment in segments {
      for opening in [true, false] {
        let read = segment.coarseReader(opening: opening)
        var (room, values) = ([UInt8](), [Float]())
        for i in (0..<segment.count).reversed() { #expect(read(i, &room, &values)) }
        #expect(values == (0..<segment.count).reversed().flatMap { segment.coarseVector($0) })
      }
    }
    let all = try catalog.coarseVectors(.image)
    let find = try catalog.coarseVectorFinder(.image)
    let d = catalog.model.dimension
    for (i, id) in all.ids.enumerated() {
      let (values, missing) = find([id])
      #expect(values == Array(all.values[i * d..<(i + 1) * d]) && missing == nil)
    }
    #expect(find(all.ids.reversed()).values.count == all.values.count)
    #expect(find([all.ids[0], 1 << 40]).missing == 1 << 40)
  }

  @Test func onlyOneWriterAtATime() throws {
    do {
      let writer = try used()
      #expect(throws: IndexError.locked(path: path)) { _ = try CatalogWriter(path: path) }
      #expect(try Catalog(path: path).count(.image) == 6, "readers do not wait")
      _ = consume writer
    }
    _ = try CatalogWriter(path: path)
  }

  /// Made when the form had numbers before the first release's, by steps that are no more.
  @Test func anIndexOfTheFirstReleasesFormIsReadAndOneFromBeforeIsRefused() throws {
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/form5/index", toPath: path)
    let catalog = try Catalog(path: path)
    #expect(try catalog.count(.image) == 4 && catalog.count(.caption) == 2 && catalog.problems { _ in }.isEmpty)
    #expect(try catalog.entries(.image, [3])[3]?.attributes == #"{"year":2020}"#)
    #expect(try catalog.sources().values.allSatisfy { $0.stamp.changed == nil })
    #expect(try catalog.namesInColumns() == ["year"] && catalog.ids(matching: Filter("year = 2020")) == [3])
    try catalog.database.write { try $0.execute(sql: "DELETE FROM grdb_migrations") }
    #expect(throws: IndexError.otherFormat(path: path, found: "one from before the first release")) { try Catalog(path: path) }
    try catalog.database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('5'), ('6'), ('7'), ('8')") }
    #expect(throws: IndexError.otherFormat(path: path, found: "a later version's")) { try Catalog(path: path) }
  }

  @Test(arguments: [
    ("year = 2020", "b"), ("year >= 2020", "bc"), ("year != 2020", "ac"), ("not year = 2020", "acdf"),
    ("sensor = 'S2' or year > 2020", "ac"), ("sensor = 'S2' and year > 2020 or cloudy = true", "b"),
    ("sensor = \"S2\" AND (year < 2020 OR year > 2020)", "a"), ("year = '2020'", ""), ("sensor > 5", ""),
    ("sensor like 's%'", "a"), ("path like '%d' or path = '/f'", "df"), ("place.lon > 7.5", "c"),
    ("missing = 1", ""), ("not (missing = 1)", "abcdf"), ("cloudy = false", "a"),
    ("note = \"it's; DROP TABLE items\"", "c"),
    ("place.lon > -1e3", "bc"), ("year == 2020", "b"), ("year <> 2020", "ac"), ("year in (2019, 2020)", "ab"),
    ("year not in (2019, 2020)", "c"), ("sensor in ('S2', 5, true)", "a"), ("year between 2019.5 and 2022", "bc"),
    ("year not between 2019.5 and 2022", "a"), ("sensor not like 's%'", "b"), ("cloudy is null", "cdf"),
    ("cloudy IS NOT NULL and year = 2019", "a"), ("eo:cloud_cover < 20", "a"), ("\"cloud cover\" >= 3", "b"),
    ("`cloud cover` >= 3", "b"), ("dotted.key = 1", "c"), ("note = 'it''s; DROP TABLE items'", "c"),
    ("cloudy = 1", ""), ("flag = 1", "d"), ("flag = true", ""), ("ort like 'ZÜRICH%'", "d"), ("ort like '%_erg'", "f"),
    ("ort = 'null' or nothing is null", "abcdf"), ("path like '/A'", "a"), ("path in ('/a', '/f')", "af"),
  ]) func filtersHoldForWhatTheySay(text: String, expected: String) throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b", "/c", "/d", "/f"], seed: 1)
    try writer.add(captions: ["a sentence"], seed: 2)
    try writer.set(attributes: [
      ("/a", #"{"year": 2019, "sensor": "S2", "cloudy": false, "eo:cloud_cover": 12.5}"#),
      ("/b", #"{"year": 2020, "sensor": "L8", "cloudy": true, "place": {"lon": 7}, "cloud cover": 3}"#),
      ("/c", #"{"year": 2021.5, "note": "it's; DROP TABLE items", "place": {"lon": 8}, "dotted.key": 1}"#),
      ("/d", #"{"flag": 1, "ort": "zürich-Nord", "nothing": null}"#), ("/f", #"{"ort": "Heidelberg"}"#),
    ])
    let found = try names(.image, Array(writer.catalog.ids(matching: Filter(text))))
    #expect(found.values.map { String($0.dropFirst()) }.sorted().joined() == expected)
  }

  @Test(arguments: [
    ("s_intersects(geometry, POINT(9.25 50.1))", "a"), ("S_INTERSECTS(geometry, BBOX(9,50,10.2,51))", "ab"),
    ("s_disjoint(geometry, bbox(9,50,10,51))", "b"),
    ("s_intersects(geometry, POLYGON((9 50, 9.1 50, 9.1 50.1, 9 50)))", "a"), ("intersects('LINESTRING(9.2 50.1, 10.2 50.1)')", "ab"),
    ("intersects('{\"type\":\"Point\",\"coordinates\":[10.2,50.1]}')", "b"), ("s_intersects(geometry, MULTIPOINT((0 0), (10.2 50.1)))", "b"),
    ("intersects(9, 50, 0, 9.1, 50.1, 100)", "a"), ("t_after(datetime, timestamp('2020-06-01T00:00:00Z'))", "b"),
    ("datetime = DATE('2020-05-01')", "a"), ("T_INTERSECTS(datetime, INTERVAL('..', '2020-12-31'))", "a"),
    ("t_during(properties.datetime, interval('2020-05-01T09:00:00Z', '2022-01-01'))", "ab"), ("t_before(datetime, date('2021-01-01'))", "a"),
    ("a_contains(tags, ('x', 'y'))", "a"), ("a_overlaps(tags, ('y', 'z'))", "ab"), ("a_equals(tags, ('y', 'x'))", "a"),
    ("a_containedby(tags, ('z', 'w'))", "b"), ("a_contains(tags, (1))", "b"), ("a_contains(tags, ('1'))", ""), ("properties.year > 2019", "b"),
    ("year <> 2019 and not a_contains(tags, ('x'))", "b"), ("id = '1'", "a"), ("id in ('2', '7')", "b"),
  ]) func cql2IsRead(text: String, expected: String) throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    var random = SeededGenerator(seed: 1)
    for (name, west) in [("/a", 9.0), ("/b", 10.1)] {
      let square = BoundingBox(west: west, south: 50, east: west + 0.5, north: 50.25).geometry
      try writer.add(path: FilePath(name), stamp: stamp, entries: [NewEntry(footprint: square, vectors: vectors(&random, rows: 1))])
    }
    try writer.commit()
    try writer.set(attributes: [
      ("/a", #"{"year": 2019, "datetime": "2020-05-01T10:00:00Z", "tags": ["x", "y"]}"#),
      ("/b", #"{"year": 2021, "datetime": "2021-05-01", "tags": ["z", 1, "w"]}"#.replacing(", 1", with: text.contains("containedby") ? "" : ", 1")),
    ])
    let found = try names(.image, Array(writer.catalog.ids(matching: Filter(text))))
    #expect(found.values.map { String($0.dropFirst()) }.sorted().joined() == expected)
  }

  @Test(arguments: [
    "s_intersects(geometry, POINT(9))", "s_intersects(geometry POINT(9 50))", "s_intersects(year, POINT(9 50))", "intersects(1, 2, 3)",
    "s_intersects(geometry, CIRCLE(1 2))", "s_intersects(geometry, POLYGON((1 2, 3", "t_after(datetime, 5)", "t_after(datetime, 'soon')",
    "t_during(datetime, interval('2020'))", "datetime > timestamp('31')", "a_contains(tags, 'x')", "a_contains(tags, ())", "a_sum(tags, (1))",
  ]) func cql2ThatSaysNothingIsRefused(text: String) { #expect(throws: IndexError.self) { try Filter(text) } }

  @Test(arguments: [
    "", "year", "year >", "year > and", "year > x", "(year = 1", "year = 1)", "year = 'a", "year === 1", "= 1", "a in ()", "a in (1", "a in 1",
    "a between 1", "a between 1 and 'b'", "a is 1",
    "a = null", "a not = 1", "a like 5", "'a' = 1", "`a = 1", "a =  `b`", "a = 1 or or b = 2",
    "year = 1 sensor = 2", "not", "year = 1 or", "1; DROP TABLE items", String(repeating: "(", count: 5000),
    String(repeating: "not ", count: 5000) + "a = 1", "a = nan", "a = 1e999",
  ]) func filtersThatSayNothingAreRefused(text: String) {
    #expect(throws: IndexError.self) { try Filter(text) }
  }

  @Test func aFilterMayHaveManyTermsAndTooManyAreOneLine() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b"], seed: 1)
    try writer.set(attributes: [("/a", #"{"year": 1999}"#), ("/b", #"{"year": 7}"#)])
    for word in ["or", "and"] {
      let sign = word == "or" ? "=" : "!="
      let text = (1000..<4000).map { "year \(sign) \($0)" }.joined(separator: " \(word) ")
      #expect(try names(.image, Array(writer.catalog.ids(matching: Filter(text)))).values.sorted() == [word == "or" ? "/a" : "/b"])
    }
    let list = "year in (\((1000..<20000).map { "\($0)" }.joined(separator: ",")))"
    #expect(try writer.catalog.ids(matching: Filter(list)).count == 1)
    for text in ["year in (\((0..<60_000).map { "\($0)" }.joined(separator: ",")))", "a = '" + String(repeating: "x", count: 2 << 20) + "'"] {
      do {
        _ = try Filter(text)
        Issue.record("was taken")
      } catch {
        #expect("\(error)".utf8.count < 400 && !"\(error)".contains("json_"), "\(error)")
      }
    }
  }

  @Test func attributesStayWithAnImageThatIsIndexedAgainAndGoWithIt() throws {
    var writer = try used()
    try writer.set(attributes: [("/a", #"{"year":1}"#), ("/c", #"{"year":2}"#)])
    try writer.add(["/a"], seed: 9)
    let id = try #require(writer.catalog.entries(.image).first { $0.name == "/a" }).id
    let found = try writer.catalog.entries(.image, [id, 3])
    #expect(found[id]?.attributes == #"{"year":1}"# && found[3]?.attributes == #"{"year":2}"#)
    // It may come back, until the index is compacted without it.
    func attributes() throws -> String? { try writer.catalog.entries(.image).first { $0.name == "/a" }?.attributes }
    try writer.remove(sources: ["/a"])
    try writer.add(["/a"], seed: 9)
    #expect(try attributes() == #"{"year":1}"#)
    #expect(try writer.catalog.entries(.image).map(\.id) == [3, 6, 8, 9, 10, 12])
    try writer.remove(sources: ["/a"])
    _ = try writer.compact { _ in }
    try writer.add(["/a"], seed: 9)
    #expect(try attributes() == nil)
  }

  /// Opening a segment and reranking by an item of it leaves the records beside it on the disk.
  @Test func whatIsNotTouchedIsNotRead() throws {
    var random = SeededGenerator(seed: 2)
    let (d, rows, items) = (64, 30, 2000)
    let file = "\(folder.path)/large.ftfseg"
    var writer = try SegmentWriter(path: file, dimension: d, isPooled: true)
    let item = PackedItem(coarse: random.floats(d), fine: random.floats(rows * d), isPooled: true, with: try KernelSet())
    for i in 0..<items { try writer.append(item, id: Int64(i + 1)) }
    _ = try writer.finish()
    let size = try MappedFile(path: file).count
    let descriptor = unsafe open(file, O_RDONLY)
    defer { close(descriptor) }
    fsync(descriptor)
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    func pages() throws -> Int {
      let mapped = try MappedFile(path: file)
      return stride(from: 0, to: size - items * d * 2, by: 4096).count { mapped.isInMemory(at: $0) }
    }
    // Files in memory, as in a tmpfs, stay there.
    guard try pages() == 0 else { return }
    let segment = try Segment(path: file)
    let sum = (0..<items).reduce(Int32(0)) { $0 &+ Int32(segment.coarse.codes[$1 * d]) }
    segment.bring(1000)
    #expect(segment.item(1000).fine.codes[0] != 0 || sum != 0)
    #expect(try (1...8).contains(pages()))
    // Whoever reads all of it has it read ahead.
    #expect(segment.damage().isEmpty)
    #expect(try pages() > 900)
  }

  /// However often a little comes, there are few segments, and what is in them is what came and was not taken out.
  @Test func smallSegmentsAreJoined() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    let catalog = writer.catalog
    for i in 0..<100 {
      let before = try content(catalog, .image)
      try writer.add((0...i % 3).map { "/\(i)-\($0)" }, seed: UInt64(i))
      if i % 7 == 6 { try writer.remove(sources: [FilePath("/\(i - 3)-0")]) }
      if i % 9 == 0 { try writer.add(captions: ["a river of \(i)"], seed: UInt64(i)) }
      let now = try content(catalog, .image)
      #expect(i % 7 == 6 || before.allSatisfy { now[$0.key] == $0.value }, "\(i)")
      #expect(try catalog.segments(.image).segments.count < 8 && catalog.segments(.caption).segments.count < 8)
    }
    #expect(try catalog.problems { _ in }.isEmpty)
    #expect(try catalog.coarseVectors(.image).ids == catalog.coarseVectors(.image).ids.sorted())
    // What is damaged is not taken for whole: it stays where it is found.
    let damaged = catalog.file(try #require(catalog.segments(.image).segments.last).number)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: damaged))
    bytes[bytes.count - 20] ^= 1
    try bytes.write(to: URL(fileURLWithPath: damaged))
    for i in 100..<120 { try writer.add(["/\(i)"], seed: UInt64(i)) }
    #expect(try FileManager.default.fileExists(atPath: damaged) && !catalog.problems { _ in }.isEmpty)
    _ = try writer.repair { _ in }
    #expect(try catalog.problems { _ in }.isEmpty)
    try writer.add(["/end"], seed: 1)
    #expect(try catalog.segments(.image).segments.count < 8)
  }

  /// What a crash after any of its steps leaves is the same index, with which the next run goes on; each step leaves little more than there was.
  @Test func compactingGoesOnWhereItWasStopped() throws {
    var random = SeededGenerator(seed: 3)
    var writer = try CatalogWriter(path: path, creating: identity)
    for i in 0..<7 { try writer.add((0...(Int(random.next() % 4))).map { "/\(i)-\($0)" }, seed: UInt64(i)) }
    try writer.add(captions: ["a river", "a bridge", "a road"], seed: 4)
    try writer.remove(sources: ["/2-0", "/5-0", "/6-0"])
    let catalog = writer.catalog
    let before = (try content(catalog, .image), try content(catalog, .caption), try catalog.coarseVectors(.image).ids)
    var steps: [String] = []
    _ = try writer.compact(of: 2) { _ in
      let step = "\(folder.path)/step\(steps.count)"
      try! FileManager.default.copyItem(atPath: path, toPath: step)
      steps.append(step)
    }
    #expect(steps.count > 4)
    #expect(try content(catalog, .image) == before.0 && catalog.coarseVectors(.image).ids == before.2 && catalog.problems { _ in }.isEmpty)
    for step in steps {
      let left = try CatalogWriter(path: step)
      #expect(try left.catalog.problems { _ in }.isEmpty)
      #expect(try content(left.catalog, .image) == before.0 && content(left.catalog, .caption) == before.1)
      let segments = try left.compact(of: 2) { _ in }.after
      #expect((before.0.count / 5...before.0.count / 2 + 2).contains(segments))
      #expect(try left.catalog.coarseVectors(.image).ids == before.2 && left.catalog.problems { _ in }.isEmpty)
      #expect(try left.catalog.segmentCounts().dead == 0)
      // What is compact stays as it is, but for the last one, which may grow.
      let files = try FileManager.default.contentsOfDirectory(atPath: "\(step)/segments")
      _ = try left.compact(of: 2) { _ in }
      #expect(try Set(FileManager.default.contentsOfDirectory(atPath: "\(step)/segments")).intersection(files).count >= segments - 2)
    }
  }

  @Test func compactingRefusesDamageAndARepairKeepsWhatIsWhole() throws {
    var writer = try used()
    let catalog = writer.catalog
    let before = (try content(catalog, .image), try content(catalog, .caption))
    func file(_ number: Int) -> String { "\(path)/segments/0000000\(number).ftfseg" }
    // One bit of one item of the first segment, and all of the captions'.
    let whole = try Data(contentsOf: URL(fileURLWithPath: file(1)))
    let segment = try Segment(path: file(1))
    let place = (0..<3).reduce(64) { sum, i in i < 2 ? sum + segment.bytes(ofItem: i).byteCount : sum } + 70
    var damaged = whole
    damaged[place] ^= 1
    try damaged.write(to: URL(fileURLWithPath: file(1)))
    #expect(throws: IndexError.self) { try writer.compact { _ in } }
    #expect(try Data(contentsOf: URL(fileURLWithPath: file(1))) == damaged, "nothing was written")
    try FileManager.default.removeItem(atPath: file(2))
    let repair = try writer.repair { _ in }
    // /b of that segment had been replaced; /c was the damaged one.
    #expect(repair.problems.count == 2 && repair.kept == 1 && repair.sources == ["/c"])
    #expect(repair.captions.sorted() == ["one", "two"])
    #expect(try catalog.problems { _ in }.isEmpty)
    var expected = before.0
    expected["/c"] = nil
    #expect(try content(catalog, .image) == expected && catalog.count(.caption) == 0)
    #expect(try writer.repair { _ in }.problems.isEmpty)
    #expect(try writer.compact { _ in }.after == 1)
    #expect(try content(catalog, .image) == expected)
  }
}

extension Catalogs {
  @Test func vectorsWhoseCatalogIsGoneAreNotBegunOver() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b"], seed: 1)
    _ = consume writer
    let segments = try FileManager.default.contentsOfDirectory(atPath: "\(path)/segments")
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] { try? FileManager.default.removeItem(atPath: "\(path)/\(name)") }
    for isEmpty in [false, true] {
      if isEmpty { try Data().write(to: URL(fileURLWithPath: "\(path)/catalog.sqlite")) }
      #expect(throws: IndexError.self) { _ = try CatalogWriter(path: path, creating: identity) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/segments") == segments)
    }
  }

  @Test func timesAreInstantsAndNamesAreTheSameInEveryComposition() throws {
    var writer = try CatalogWriter(path: path, creating: identity)
    try writer.add(["/a", "/b", "/c", "/d"], seed: 1)
    try writer.set(attributes: [
      ("/a", #"{"datetime": "2021-05-01T00:00:00Z", "ort": "M\u00fcnchen", "big": 9007199254740993}"#),
      ("/b", #"{"datetime": "2021-05-01T02:00:00+02:00", "ort": "Mu\u0308nchen", "big": 9007199254740992}"#),
      ("/c", #"{"datetime": "2021-05-01T00:00:00.500Z"}"#), ("/d", #"{"datetime": "2021-04-30"}"#),
    ])
    for (text, expected) in [
      ("datetime = '2021-05-01T00:00:00+00:00'", "ab"), ("datetime = '2021-05-01'", "abc"), ("datetime > '2021-05-01T00:00:00z'", "c"),
      ("datetime <= '2021-04-30'", "d"), ("datetime < '2021-05-01'", "d"), ("datetime between '2021-04-30' and '2021-05-01T00:00Z'", "abcd"),
      ("datetime in ('2021-04-30', '2021-05-01T01:00:00+01:00')", "abd"), ("ort = 'M\u{fc}nchen'", "ab"), ("ort in ('Mu\u{308}nchen', 'x')", "ab"),
      ("ort != 'Mu\u{308}nchen'", ""), ("big = 9007199254740993", "a"), ("big < 9007199254740993", "b"),
    ] {
      let found = try names(.image, Array(writer.catalog.ids(matching: Filter(text)))).values.map { String($0.dropFirst()) }.sorted().joined()
      #expect(found == expected, "\(text): \(found)")
    }
    for text in ["datetime > '2021-02-31'", "datetime = 'yesterday'"] { #expect(throws: IndexError.self) { try Filter(text) } }
    let unknown = try writer.catalog.unknownAttribute(of: Filter("datetme > 3"))
    #expect(unknown?.name == "datetme" && unknown?.near == ["datetime"])
  }
}
