import Foundation
import Kernels
import TestSupport
import Testing

@testable import Index

private let d = 24
private let identity = ModelIdentity(name: "tiny", path: "/models/tiny.ftf", fingerprint: "abc", dimension: d)

private func items(_ names: [String], seed: UInt64) -> [NewItem] {
  var random = SeededGenerator(seed: seed)
  return names.map {
    NewItem(
      name: $0, stamp: FileStamp(size: 1, modified: 2), coarse: random.floats(d),
      fine: random.floats(d * Int(random.next() % 5)))
  }
}

@Suite struct Segments {
  let folder: TemporaryFolder
  let kernels: KernelSet
  init() throws {
    folder = try TemporaryFolder()
    kernels = try KernelSet()
  }

  func write(_ items: [NewItem], _ name: String = "a.ftfseg") throws -> String {
    var writer = SegmentWriter(dimension: d)
    for (i, item) in items.enumerated() {
      writer.append(id: Int64(10 + i), coarse: item.coarse, fine: item.fine, with: kernels)
    }
    let path = "\(folder.path)/\(name)"
    try writer.write(to: path)
    return path
  }

  @Test func theBytesAreThoseOfTheTable() throws {
    let path = try write(items(["a", "b", "c"], seed: 4))
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let segment = try Segment(path: path)
    let rows = (0..<3).map { segment.vectors($0).scales.count - 1 }.reduce(0, +)
    func padded(_ n: Int) -> Int { (n + 63) / 64 * 64 }
    #expect(
      data.count == 64 + padded(24) + padded(32) + padded(12) + padded(3 * d) + padded(4 * rows) + padded(rows * d))
    #expect(data.prefix(8) == Data("FTFSEG1\0".utf8) && data[8] == 3 && data[16] == UInt8(d) && data[24] == UInt8(rows))
    #expect(segment.id(0) == 10 && segment.id(2) == 12)
  }

  @Test func whatIsStoredIsWithinHalfAStepOfWhatWasGiven() throws {
    let given = items(["a", "b", "c", "d"], seed: 5)
    let segment = try Segment(path: try write(given))
    for (i, item) in given.enumerated() {
      let (codes, scales) = segment.vectors(i)
      for (j, value) in (item.coarse + item.fine).enumerated() {
        #expect(abs(value - scales[j / d] * Float(codes[j])) <= scales[j / d] * 0.50001)
      }
    }
  }

  @Test func aSegmentCutAnywhereOrWithALyingHeaderIsAnError() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: try write(items(["a", "b", "c"], seed: 6))))
    for length in 0..<data.count {
      let path = try folder.file("cut", data.prefix(length))
      #expect(throws: IndexError.self) { try Segment(path: path) }
    }
    for (offset, value) in [(0, 65), (8, 4), (15, 0x40), (16, 0), (23, 1), (24, 200), (31, 0x20), (128, 9)] {
      var lying = data
      lying[offset] = UInt8(value)
      let path = try folder.file("lying", lying)
      #expect(throws: IndexError.self, "byte \(offset)") { try Segment(path: path) }
    }
  }
}

@Suite struct Catalogs {
  let folder: TemporaryFolder
  let kernels: KernelSet
  init() throws {
    folder = try TemporaryFolder()
    kernels = try KernelSet()
  }

  @Test func whatWasAppendedIsThereWhenTheIndexIsOpenedAgain() throws {
    let catalog = try Catalog(path: "\(folder.path)/i", creating: identity)
    try catalog.append(items(["/a", "/b"], seed: 1), kind: .image, with: kernels)
    try catalog.append(
      items(["/c"], seed: 2), kind: .image, failures: [("/bad", FileStamp(size: 3, modified: 4), "why")], with: kernels)
    try catalog.append(items(["a sentence"], seed: 3), kind: .caption, with: kernels)
    let again = try Catalog(path: "\(folder.path)/i")
    #expect(again.model == identity)
    #expect(try again.count(.image) == 3 && again.count(.caption) == 1)
    let (segments, dead) = try again.segments(.image)
    #expect(segments.map(\.count) == [2, 1] && dead.isEmpty)
    #expect(segments[1].id(0) == 3)
    #expect(try again.names([1, 3]) == [1: "/a", 3: "/c"])
    let stamps = try again.stamps()
    #expect(stamps.count == 4 && stamps["/bad"]!.isBad && stamps["/bad"]!.stamp.size == 3 && !stamps["/a"]!.isBad)
    #expect(try again.captions() == ["a sentence"])
  }

  @Test func aChangedImageTakesThePlaceOfTheOneBefore() throws {
    let catalog = try Catalog(path: "\(folder.path)/i", creating: identity)
    try catalog.append(items(["/a", "/b"], seed: 1), kind: .image, with: kernels)
    try catalog.append(items(["/a"], seed: 2), kind: .image, with: kernels)
    #expect(try catalog.count(.image) == 2)
    #expect(try catalog.segments(.image).dead == [1])
    try catalog.remove(images: ["/b"])
    #expect(try catalog.count(.image) == 1 && catalog.segments(.image).dead == [1, 2])
    try catalog.append([], kind: .image, failures: [("/a", FileStamp(size: 1, modified: 1), "broken")], with: kernels)
    #expect(try catalog.count(.image) == 0)
  }

  @Test func aSegmentThatNoTransactionNamedGoes() throws {
    let catalog = try Catalog(path: "\(folder.path)/i", creating: identity)
    try catalog.append(items(["/a"], seed: 1), kind: .image, with: kernels)
    let stray = "\(folder.path)/i/segments/00000002.ftfseg"
    try Data([1, 2, 3]).write(to: URL(fileURLWithPath: stray))
    try catalog.removeLeftovers()
    #expect(!FileManager.default.fileExists(atPath: stray))
    try catalog.append(items(["/b"], seed: 2), kind: .image, with: kernels)
    #expect(try catalog.segments(.image).segments.count == 2)
  }

  @Test func foreignFoldersAndModelsAreNamed() throws {
    #expect(throws: IndexError.notAnIndex(path: "\(folder.path)/none")) { try Catalog(path: "\(folder.path)/none") }
    let catalog = try Catalog(path: "\(folder.path)/i", creating: identity)
    var other = identity
    other.fingerprint = "def"
    #expect(throws: IndexError.self) { try catalog.check(other) }
    try FileManager.default.createDirectory(atPath: "\(folder.path)/junk", withIntermediateDirectories: true)
    _ = try folder.file("junk/catalog.sqlite", Data(repeating: 7, count: 5000))
    #expect(throws: IndexError.self) { try Catalog(path: "\(folder.path)/junk") }
  }
}
