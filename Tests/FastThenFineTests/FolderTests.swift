import FTFFiles
import Foundation
import FTFImaging
import FTFKernels
import FTFTestSupport
import Testing
import FTFWeights

@testable import FastThenFine

/// What an index does with folders as they are found: unreadable, away, linked, renamed, with names of any bytes.
@Suite struct Folders {
  let folder: TemporaryFolder
  let engine: Engine
  let root: String
  private let index: String

  init() throws {
    folder = try TemporaryFolder()
    engine = try tinyEngine(in: folder)
    (root, index) = ("\(folder.path)/root", "\(folder.path)/index")
    for (name, image) in [("a.jpg", "rgb.jpg"), ("b.png", "exact.png"), ("sub/c.jpg", "grey.jpg"), ("sub/deep/d.jpg", "cmyk.jpg")] {
      try copy(image, name)
    }
  }

  private func copy(_ image: String, _ name: String) throws {
    let path = FilePath("\(root)/\(name)")
    try FileManager.default.createDirectory(atPath: path.folder!.spelling, withIntermediateDirectories: true)
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(image)"))
    try write(data, path)
  }

  /// By the bytes of the name, which Foundation cannot say.
  private func write(_ data: Data, _ path: FilePath) throws {
    let file = unsafe path.withCString { unsafe open($0, O_CREAT | O_WRONLY | O_TRUNC, 0o644) }
    try #require(file >= 0)
    try FileHandle(fileDescriptor: file, closeOnDealloc: true).write(contentsOf: data)
  }

  private func rename(_ from: FilePath, _ to: FilePath) {
    let failed = unsafe from.withCString { a in unsafe to.withCString { b in unsafe Glibc.rename(a, b) } }
    #expect(failed == 0)
  }

  private final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [String] = []
    func add(_ line: String) { lock.withLock { all.append(line) } }
    var lines: [String] { lock.withLock { all } }
  }

  private func add(
    _ paths: [String]? = nil, _ rereading: IndexWriter.Rereading = .changed
  ) throws -> (summary: IndexWriter.Summary, lines: [String]) {
    let lines = Lines()
    var writer = try IndexWriter(path: index, engine: engine)
    let summary = try writer.add(paths ?? [root], rereading: rereading) {
      if case .warned(let line) = $0 { lines.add(line) }
      if case .skipped(let error) = $0 { lines.add("\(error)") }
    }
    #expect(try writer.index.problems().isEmpty)
    return (summary, lines.lines)
  }

  /// Ids by path below the root.
  private func ids() throws -> [String: Int64] {
    let entries = try ImageIndex(path: index).entries(.images)
    return Dictionary(uniqueKeysWithValues: entries.map { (String($0.name.dropFirst(root.count + 1)), $0.id) })
  }

  // MARK: What cannot be seen

  @Test func aRootThatIsAwayOrEmptyKeepsItsImagesAndStopsNoOther() throws {
    let other = "\(folder.path)/other"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    #expect(try add().summary.indexed == 4)
    let before = try ids()
    try FileManager.default.moveItem(atPath: root, toPath: "\(folder.path)/away")
    for makesIt in [false, true] {
      if makesIt { try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true) }
      try copyOther(other)
      let (summary, lines) = try add([root, other, "\(folder.path)/none"])
      #expect(summary.removed == 0 && summary.unseen == 2 && lines.contains { $0.hasPrefix(root) }, "\(lines)")
      #expect(try ImageIndex(path: index).count() == 5)
    }
    try FileManager.default.removeItem(atPath: root)
    try FileManager.default.moveItem(atPath: "\(folder.path)/away", toPath: root)
    #expect(try add().summary.unchanged == 4)
    #expect(try ids().filter { before[$0.key] != nil } == before)
  }

  private func copyOther(_ other: String) throws {
    if !FileManager.default.fileExists(atPath: "\(other)/o.jpg") {
      try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images/exif2.jpg", toPath: "\(other)/o.jpg")
    }
  }

  @Test func whatIsGoneFromAFolderThatWasReadIsGone() throws {
    _ = try add()
    try FileManager.default.removeItem(atPath: "\(root)/sub")
    #expect(try add().summary.removed == 2)
    try FileManager.default.removeItem(atPath: "\(root)/b.png")
    let (summary, lines) = try add()
    #expect(summary.removed == 1 && lines.isEmpty)
    #expect(try ids().keys.sorted() == ["a.jpg"])
    // A file that is named says nothing of its neighbours.
    try FileManager.default.removeItem(atPath: "\(root)/a.jpg")
    try copy("grey.jpg", "z.jpg")
    #expect(try add(["\(root)/z.jpg"]).summary.removed == 0)
  }

  @Test func aFolderThatCannotBeReadKeepsWhatIsInIt() throws {
    _ = try add()
    let sub = "\(root)/sub"
    try FileManager.default.setAttributes([.posixPermissions: 0o000], ofItemAtPath: sub)
    defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: sub) }
    // Nobody keeps root out: there the folder is one that a file has taken the place of.
    let isRoot = getuid() == 0
    if isRoot { return }
    let (summary, lines) = try add()
    #expect(summary.removed == 0 && summary.unseen == 1 && lines.contains { $0.contains(sub) })
    #expect(try ids().count == 4)
  }

  @Test func aFileExchangedForOneOfTheSameSizeAndTimeIsNoticed() throws {
    _ = try add()
    let (file, before) = ("\(root)/a.jpg", try ids()["a.jpg"]!)
    let time = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate]!
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    // Written anew with the same bytes it is the same image.
    try bytes.write(to: URL(fileURLWithPath: file))
    try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: file)
    #expect(try add().summary.indexed == 0 && ids()["a.jpg"] == before)
    // A comment's last byte, or what is there of the picture.
    bytes[bytes.count - 20] ^= 1
    for inPlace in [true, false] {
      try bytes.write(to: URL(fileURLWithPath: file), options: inPlace ? [] : .atomic)
      try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: file)
      let (summary, _) = try add()
      #expect(summary.indexed == 1 && summary.unchanged == 3, "\(summary)")
      bytes[bytes.count - 21] ^= 1
    }
  }

  // MARK: Failures

  @Test func whatPassesIsTriedAgainAndWhatDoesNotIsRemembered() throws {
    try copy("rgb.jpg", "later.jpg")
    try write(Data("no image".utf8), FilePath("\(root)/bad.jpg"))
    #expect(try add().summary.failed == 1)
    #expect(try add().summary.knownBad == 1)
    let (again, lines) = try add(nil, .failed)
    #expect(again.failed == 1 && again.knownBad == 0 && again.unchanged == 5 && lines.contains { $0.contains("bad.jpg") })
    let all = try add(nil, .all).summary
    #expect(all.indexed == 5 && all.failed == 1 && all.unchanged == 0)
    // Too large for the memory that there is, or not to be opened: nothing that the content explains.
    try FileManager.default.removeItem(atPath: "\(root)/bad.jpg")
    try FileManager.default.createSymbolicLink(atPath: "\(root)/bad.jpg", withDestinationPath: "\(root)/bad.jpg")
    let (loop, said) = try add(["\(root)/a.jpg", "\(root)/bad.jpg"])
    #expect(loop.unseen == 1 && said.count == 1)
    try FileManager.default.removeItem(atPath: "\(root)/bad.jpg")
    try copy("rgb.jpg", "bad.jpg")
    #expect(try add().summary.indexed == 1)
  }

  // MARK: Moves

  @Test func whatWasTakenOutStaysAwayUntilItIsNamed() throws {
    _ = try add()
    #expect(try IndexUpkeep.remove(["\(root)/sub"], from: index) == 2)
    let again = try add().summary
    #expect(again.indexed == 0 && again.setAside == 2 && again.unchanged == 2 && again.knownBad == 0)
    let archive = try ImageIndex(path: index)
    #expect(try archive.count() == 2 && archive.problems().isEmpty)
    #expect(throws: FastThenFineError.self) { _ = try Searcher(archive, engine: engine).item(3) }
    // By its name, or all of them.
    #expect(try add(["\(root)/sub/c.jpg"]).summary.indexed == 1)
    #expect(try add().summary.setAside == 1)
    #expect(try add(nil, .failed).summary.indexed == 1)
    let all = try add().summary
    #expect(all.setAside == 0 && all.unchanged == 4)
    // One whose file is gone is forgotten.
    #expect(try IndexUpkeep.remove(["\(root)/b.png"], from: index) == 1)
    try FileManager.default.removeItem(atPath: "\(root)/b.png")
    let gone = try add().summary
    #expect(gone.setAside == 0 && gone.removed == 0)
    try copy("exact.png", "b.png")
    #expect(try add().summary.indexed == 1)
  }

  @Test func aFileThatMovedKeepsItsIdAndWhatIsKnownOfIt() throws {
    _ = try add()
    let before = try ids()
    do {
      var writer = try IndexWriter(path: index, engine: engine)
      #expect(try writer.set(attributes: [("a.jpg", #"{"year":1}"#), ("sub/c.jpg", #"{"year":2}"#)]).isEmpty)
    }
    try FileManager.default.moveItem(atPath: "\(root)/a.jpg", toPath: "\(root)/sub/e.jpg")
    try FileManager.default.moveItem(atPath: "\(root)/sub/c.jpg", toPath: "\(root)/a.jpg")
    let moved = try add().summary
    #expect(moved.moved == 2 && moved.indexed == 0 && moved.removed == 0)
    let after = try ids()
    #expect(after["sub/e.jpg"] == before["a.jpg"] && after["a.jpg"] == before["sub/c.jpg"] && after.count == 4)
    let known = try ImageIndex(path: index).entries(.images).reduce(into: [Int64: String]()) { $0[$1.id] = $1.attributes }
    #expect(known[before["a.jpg"]!] == #"{"year":1}"# && known[before["sub/c.jpg"]!] == #"{"year":2}"#)
    // And back, into a folder that was not looked at.
    try FileManager.default.moveItem(atPath: "\(root)/sub/e.jpg", toPath: "\(folder.path)/e.jpg")
    #expect(try add(["\(folder.path)/e.jpg"]).summary.moved == 1)
    try FileManager.default.moveItem(atPath: "\(folder.path)/e.jpg", toPath: "\(root)/z.jpg")
    #expect(try add().summary.moved == 1 && ids()["z.jpg"] == before["a.jpg"])
    // A copy is another image.
    try FileManager.default.copyItem(atPath: "\(root)/z.jpg", toPath: "\(root)/y.jpg")
    #expect(try add().summary.indexed == 1 && ids()["z.jpg"] == before["a.jpg"])
  }

  // MARK: Names

  @Test func namesAreBytes() throws {
    let names = [Array("caf".utf8) + [0xe9] + Array(".jpg".utf8), Array("\u{e9}.jpg".utf8), Array("e\u{301}.jpg".utf8), Array("\u{10F7E9}.jpg".utf8)]
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/rgb.jpg"))
    let paths = names.map { FilePath(root).appending(FilePath(bytes: $0)) }
    for (i, path) in paths.enumerated() { try write(data + Data(repeating: 7, count: i + 1), path) }
    #expect(try add().summary.indexed == 8)
    #expect(try add().summary.unchanged == 8)
    let searcher = try Searcher(ImageIndex(path: index), engine: engine)
    let results = try searcher.answer(Query(.sentence("a"), top: 8)).results
    #expect(results.contains { $0.name.hasSuffix("caf\\xe9.jpg") && $0.pathBytes == paths[0].bytes })
    #expect(results.filter { $0.pathBytes == nil }.count == 6)
    try HeatMap.write(
      Answer(results: results, encodeMilliseconds: 0, recallMilliseconds: 0, rerankMilliseconds: 0), "a", to: "\(folder.path)/why", with: engine)
    let written = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/why").sorted()
    #expect(written.count == 2 * results.count { $0.attention != nil } && written.count >= 10)
    // From one form of a name to the other is a rename.
    let old = try ImageIndex(path: index).entries(.images).first { FilePath($0.name) == paths[2] }
    rename(paths[2], FilePath(root).appending("o\u{308}.jpg"))
    rename(paths[1], paths[2])
    let summary = try add().summary
    #expect(summary.moved == 2 && summary.indexed == 0, "\(summary)")
    let new = try ImageIndex(path: index).entries(.images).first { FilePath($0.name).name == "o\u{308}.jpg" }
    #expect(old?.id == new?.id)
  }

  @Test func everyNameHasOneSpellingAndComesBack() {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 1...12, using: &random)).map { _ in
        [UInt8.random(in: 1...255, using: &random), 0xf4, 0x8f, 0x9f, 0xa9, 0xc3].randomElement(using: &random)!
      }
      let path = FilePath(bytes: bytes)
      #expect(path.bytes == bytes && FilePath(path.spelling).bytes == bytes)
      #expect(path.isUTF8 == (String(validating: bytes, as: UTF8.self) != nil) || bytes.contains(0xf4))
    }
    #expect(FilePath("\u{e9}") != FilePath("e\u{301}") && FilePath("/a/./b//c/").absolute == "/a/b/c" && FilePath("/").absolute == "/")
    #expect(FilePath("/a/b.JPG").ending == "jpg" && FilePath("/a.b/c").ending == "" && FilePath("/a/.jpg").ending == "")
    #expect(FilePath("/a/b").isBelow("/a") && !FilePath("/ab").isBelow("/a") && !FilePath("/a").isBelow("/a") && FilePath("/a").isBelow("/"))
    #expect(FilePath("/a/b").folder == "/a" && FilePath("/a").folder == "/" && FilePath("/").folder == nil)
  }

  // MARK: Links and kinds

  @Test func linksAreFollowedOnceAndLoopsEnd() throws {
    func link(_ name: String, _ target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: "\(root)/\(name)", withDestinationPath: target)
    }
    let outside = "\(folder.path)/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images/exif3.jpg", toPath: "\(outside)/o.jpg")
    try link("aaa", "sub")
    try link("loop", ".")
    try link("sub/up", "..")
    try link("out", outside)
    try link("same.jpg", "a.jpg")
    try link("one.jpg", "\(Goldens.folder)/images/exif4.jpg")
    #expect(try add().summary.indexed == 6)
    #expect(try ids().keys.sorted() == ["a.jpg", "b.png", "one.jpg", "out/o.jpg", "sub/c.jpg", "sub/deep/d.jpg"])
    // As a root, and twice.
    try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/to", withDestinationPath: root)
    #expect(FolderWalk(["\(folder.path)/to"]).files.count == 6)
    #expect(FolderWalk([root, "\(root)/sub", "\(root)/sub/../a.jpg"]).files.count == 6)
    #expect(FolderWalk(["\(folder.path)/to/../to/a.jpg"]).files.count == 1)
  }

  @Test func whatAFileIsItsContentSays() throws {
    for (image, name) in [("rgb.jpg", "e.jfif"), ("rgb.jpg", "f.JPE"), ("rgb.jpg", "noending"), ("exact.png", "g.tif")] { try copy(image, name) }
    for name in ["h.tif", "i.webp", "j.txt", "k.TIF"] { try write(Data("x".utf8), FilePath("\(root)/\(name)")) }
    try write(Data([0x49, 0x49, 0x2a, 0]), FilePath("\(root)/named.jpg"))
    let (summary, lines) = try add()
    #expect(summary.indexed == 8 && summary.failed == 1 && summary.leftOut == ["tif": 2, "webp": 1, "txt": 1])
    #expect(
      lines.contains { $0.contains(".tif 2, .txt 1, .webp 1") } && lines.contains { $0.contains("named.jpg") && $0.contains("TIFF") }, "\(lines)")
    try FileManager.default.createDirectory(atPath: "\(folder.path)/none", withIntermediateDirectories: true)
    #expect(throws: FastThenFineError.self) { try ImageFiles.require(["\(folder.path)/none"]) }
    try ImageFiles.require(["\(folder.path)/none", root])
  }

  // MARK: One moment

  @Test func aSearchSeesOneMomentNamesIncluded() throws {
    _ = try add()
    let searcher = try Searcher(ImageIndex(path: index), engine: engine)
    let before = try searcher.answer(Query(.sentence("a"), top: 9)).results
    _ = try IndexUpkeep.remove(["\(root)/sub"], from: index)
    try FileManager.default.moveItem(atPath: "\(root)/a.jpg", toPath: "\(root)/q.jpg")
    _ = try add(["\(root)/q.jpg"])
    _ = try IndexUpkeep.compact(index)
    #expect(try searcher.answer(Query(.sentence("a"), top: 9)).results == before && before.count == 4)
    let now = try Searcher(ImageIndex(path: index), engine: engine).answer(Query(.sentence("a"), top: 9)).results
    #expect(now.count == 2 && now.allSatisfy { !$0.name.isEmpty })
  }

  /// Several pictures go into a pass of a vision transformer, the parts of wide ones among them: each vector stays its picture's.
  @Test func whatGoesIntoAPassTogetherStaysApart() throws {
    let path = "\(folder.path)/clip.ftf"
    try SourceModel("\(Goldens.folder)/clip").write(int8: path, precision: .int8, activations: [:], calibrationImages: 0)
    let engine = try Engine(path: path, pool: ComputePool(threads: 1))
    let pictures = "\(folder.path)/pictures"
    try FileManager.default.createDirectory(atPath: pictures, withIntermediateDirectories: true)
    for i in 0..<7 {
      let width = i % 2 == 0 ? 64 : 300 + i
      let pixels = (0..<64 * width * 3).map { UInt8(truncatingIfNeeded: $0 / (9 + i) * (17 + i)) }
      try RGBImage(width: width, height: 64, pixels: AlignedBuffer(copying: pixels.span)).write(png: "\(pictures)/\(i).png")
    }
    try Data("no picture".utf8).write(to: URL(fileURLWithPath: "\(pictures)/2b.png"))
    func vectors(_ index: String, _ runs: [[String]]) throws -> [String: [Float]] {
      for run in runs {
        var writer = try IndexWriter(path: "\(folder.path)/\(index)", engine: engine)
        _ = try writer.add(run)
      }
      let catalog = try ImageIndex(path: "\(folder.path)/\(index)").catalog
      let (ids, values) = try catalog.coarseVectors(.image)
      let d = values.count / ids.count
      let names = Dictionary(uniqueKeysWithValues: try catalog.entries(.image).map { ($0.id, "\($0.name) \(String(describing: $0.window))") })
      return Dictionary(uniqueKeysWithValues: ids.enumerated().map { (names[$1]!, Array(values[$0 * d..<($0 + 1) * d])) })
    }
    let together = try vectors("together", [[pictures]])
    let alone = try vectors("alone", (0..<7).map { ["\(pictures)/\($0).png"] })
    #expect(together.count > 7 + 3 * 3 && Set(together.values).count == together.count)
    #expect(together == alone)
  }
}
