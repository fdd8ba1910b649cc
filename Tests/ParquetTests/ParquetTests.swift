import FTFFiles
import Foundation
import FTFTestSupport
import Testing

@testable import FTFParquet

@Suite struct ParquetTests {
  private static let fields: [ParquetWriter.Field] = [
    .strings("id", isOptional: false), .strings("note", isOptional: true), .bytes("geometry", isOptional: true),
    .group("assets", [.group("image", [.strings("href", isOptional: true)])]), .doubles("cloud", isOptional: true),
    .integers("orbit", isOptional: true), .bools("good", isOptional: true), .times("datetime", isOptional: true),
    .nothing("links", of: [.strings("href", isOptional: false)]), .vectors("embedding", length: 3),
  ]

  /// Two groups of rows with something missing in each column.
  private static func written(to url: URL) throws {
    try Data().write(to: url)
    let file = try FileHandle(forWritingTo: url)
    var writer = try ParquetWriter(file, fields)
    for group in 0..<2 {
      try writer.add(
        rows: 3,
        [
          .strings((0..<3).map { "\(group)-\($0)" }), .strings(["é", nil, ""]), .bytes([[1, 2], [], nil]), .strings([nil, "a.tif", "b.tif"]),
          .doubles([1.5, nil, -.infinity]), .integers([nil, -7, .max]), .bools([true, nil, false]),
          .times([1_717_236_000_000_000, nil, 1_717_236_000_250_000]), .nothing, .vectors((0..<9).map { Float($0) }),
        ])
    }
    try writer.finish([("geo", "{}")])
    try file.close()
  }

  @Test func whatIsWrittenIsRead() throws {
    let folder = try TemporaryFolder()
    let url = URL(fileURLWithPath: try folder.file("t.parquet"))
    try Self.written(to: url)
    let table = try ParquetReader(FilePath(url.path))
    #expect(table.rows == [3, 3] && table.metadata["geo"] == "{}")
    func values(_ path: String...) throws -> [ParquetReader.Value] {
      try table.values(of: #require(table.columns.first { $0.path == path }), in: 1)
    }
    #expect(try values("id") == [.text("1-0"), .text("1-1"), .text("1-2")])
    #expect(try values("note") == [.text("é"), .null, .text("")])
    #expect(try values("geometry") == [.bytes([1, 2]), .bytes([]), .null])
    #expect(try values("assets", "image", "href") == [.null, .text("a.tif"), .text("b.tif")])
    #expect(try values("cloud") == [.double(1.5), .null, .double(-.infinity)])
    #expect(try values("orbit") == [.null, .integer(-7), .integer(.max)])
    #expect(try values("good") == [.bool(true), .null, .bool(false)])
    #expect(try values("datetime") == [.text("2024-06-01T10:00:00Z"), .null, .text("2024-06-01T10:00:00.250Z")])
    #expect(!table.columns.contains { ["links", "embedding"].contains($0.path[0]) }, "repeated columns are not offered")
  }

  /// Every byte, in one of three ways: it is read or refused, and nothing is read outside of the file.
  @Test func damageIsRefusedOrRead() throws {
    let folder = try TemporaryFolder()
    let url = URL(fileURLWithPath: try folder.file("t.parquet"))
    try Self.written(to: url)
    let whole = [UInt8](try Data(contentsOf: url))
    let damaged = URL(fileURLWithPath: try folder.file("damaged.parquet"))
    func read() {
      guard let table = try? ParquetReader(FilePath(damaged.path)) else { return }
      for column in table.columns { for group in table.rows.indices { _ = try? table.values(of: column, in: group) } }
    }
    for place in whole.indices {
      var bytes = whole
      bytes[place] ^= [0x01, 0x80, 0xff][place % 3]
      try Data(bytes).write(to: damaged)
      read()
    }
    for count in stride(from: 0, to: whole.count, by: 7) {
      try Data(whole.prefix(count)).write(to: damaged)
      #expect(throws: ParquetError.self) { try ParquetReader(FilePath(damaged.path)) }
    }
  }

  @Test func snappyIsUnfolded() throws {
    // "ab", then eight bytes from two back, which run into what they make, then "c".
    #expect(try Snappy.decompressed([11, 0x04, 97, 98, 0x11, 2, 0x00, 99], to: 11) == Array("abababababc".utf8))
    for bytes: [UInt8] in [
      [], [11], [11, 0x04, 97], [11, 0x11, 2], [3, 0x04, 97, 98, 0x11, 2], [1, 0x00, 97, 0x00, 97], [2, 0xfc, 255, 255, 255, 255],
    ] {
      #expect(throws: ParquetError.self) { try Snappy.decompressed(bytes, to: 11) }
    }
  }
}
