import FastThenFine
import Foundation
import FTFImaging
import Synchronization
import FTFTestSupport
import Testing

/// What a program that holds the library by mistake, or at its limits, does to it.
@Suite struct Programs {
  let folder: TemporaryFolder
  let engine: Engine
  let images = "\(Goldens.folder)/images"

  init() throws {
    folder = try TemporaryFolder()
    engine = try tinyEngine(in: folder)
  }

  @Test func whatIsSaidOfImagesIsChecked() throws {
    var writer = try IndexWriter(path: "\(folder.path)/index", engine: engine)
    _ = try writer.add([images])
    for bad in ["{not json", "[1]", "1", "", "\"text\""] {
      #expect(throws: FastThenFineError.self) { try writer.set(attributes: [("rgb.jpg", #"{"year":2020}"#), ("grey.jpg", bad)]) }
    }
    #expect(throws: FastThenFineError.self) { try writer.set(values: [("rgb.jpg", ["height": .number(.nan)])]) }
    // Nothing of it is stored, and filters go on.
    #expect(throws: FastThenFineError.self) { try Searcher(writer.index, engine: engine, filter: "year = 2020") }
    let said: [String: AttributeValue] = [
      "year": .whole(2020), "cover": .number(12.5), "sensor": .text("S2 \"A\""), "cloudy": .bool(false), "note": .null,
      "datetime": .instant(Date(timeIntervalSince1970: 1_700_000_000.25)), "big": .whole(.max),
    ]
    #expect(try writer.set(values: [("rgb.jpg", said)]).isEmpty)
    for filter in [
      "year = 2020 and cover > 12.4", "sensor = 'S2 \"A\"' and cloudy = false", "note is null and year > 1", "datetime > '2023-11-14T22:13:20.2Z'",
    ] {
      let searcher = try Searcher(writer.index, engine: engine, filter: filter)
      let found = try searcher.answer(Query(.sentence("a river"))).results
      #expect(found.count == 1 && found[0].name.hasSuffix("rgb.jpg"), "\(filter)")
      var expected = said
      expected["datetime"] = .text("2023-11-14T22:13:20.250Z")
      #expect(found.first?.values == expected)
    }
    #expect(try writer.index.problems().isEmpty)
  }

  @Test func aTaskThatIsCancelledEndsNoOtherWithItsDeadline() async throws {
    var writer = try IndexWriter(path: "\(folder.path)/index", engine: engine)
    _ = try writer.add([images])
    let (searcher, deadline) = (try Searcher(writer.index, engine: engine), Cancellation(after: .seconds(3600)))
    for _ in 0..<20 {
      let cancelled = Task { try await searcher.answer(Query(.sentence("a")), cancellation: deadline) }
      cancelled.cancel()
      _ = try? await cancelled.value
    }
    #expect(try await searcher.answer(Query(.sentence("a river")), cancellation: deadline).results.isEmpty == false)
    // Whoever holds it ends all of them.
    deadline.cancel()
    await #expect(throws: FastThenFineError.self) { try await searcher.answer(Query(.sentence("a")), cancellation: deadline) }
  }

  /// More at once than there are cooperative threads, and on none of those; one that is cancelled stores what it has.
  @Test func indexingHoldsNoOtherTask() async throws {
    let many = "\(folder.path)/many"
    try FileManager.default.createDirectory(atPath: many, withIntermediateDirectories: true)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(images)/rgb.jpg"))
    for i in 0..<300 { try (bytes + [UInt8(i % 256), UInt8(i / 256)]).write(to: URL(fileURLWithPath: "\(many)/\(i).jpg")) }
    let (engine, path, images) = (engine, folder.path, images)
    final class Count: Sendable { let value = Atomic(0) }
    let onTasks = Count()
    try await withThrowingTaskGroup { group in
      for i in 0..<8 {
        group.addTask {
          try await IndexUpkeep.add([many], to: "\(path)/\(i)", engine: engine) { _ in
            // What runs on a cooperative thread belongs to a task.
            if unsafe withUnsafeCurrentTask(body: { unsafe $0 != nil }) { onTasks.value.add(1, ordering: .relaxed) }
          }
        }
      }
      for try await summary in group { #expect(summary.indexed == 300 && !summary.isCancelled) }
    }
    #expect(onTasks.value.load(ordering: .relaxed) == 0)
    // The first image waits until the task has been cancelled.
    let (begun, goesOn) = (Count(), Count())
    let cancelled = Task {
      try await IndexUpkeep.add([many], to: "\(path)/cancelled", engine: engine) { event in
        guard case .encoded = event else { return }
        begun.value.store(1, ordering: .releasing)
        while goesOn.value.load(ordering: .acquiring) == 0 { usleep(1000) }
      }
    }
    while begun.value.load(ordering: .acquiring) == 0 { try await Task.sleep(for: .milliseconds(1)) }
    cancelled.cancel()
    goesOn.value.store(1, ordering: .releasing)
    let summary = try await cancelled.value
    #expect(summary.isCancelled && (1..<300).contains(summary.indexed))
    #expect(try ImageIndex(path: "\(path)/cancelled").count() == summary.indexed)
    await #expect(throws: FastThenFineError.self) { try await IndexUpkeep.add([many], to: images, engine: engine) }
  }

  @Test func errorsSayTheirReasonWhereverTheyAreShown() {
    let error = #expect(throws: FastThenFineError.self) { _ = try Engine(path: "/nothing.ftf") }
    let shown: any Error = error!
    #expect(shown.localizedDescription == "\(shown)" && shown.localizedDescription.contains("/nothing.ftf"))
  }

  @Test func anIndexIsMadeAmongNoOtherFiles() throws {
    let photographs = "\(folder.path)/photographs"
    try FileManager.default.createDirectory(atPath: photographs, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: "\(images)/rgb.jpg", toPath: "\(photographs)/rgb.jpg")
    let error = #expect(throws: FastThenFineError.self) { _ = try IndexWriter(path: photographs, engine: engine) }
    #expect(error?.code == .unusableFile && "\(error!)".contains("rgb.jpg"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: photographs) == ["rgb.jpg"])
    // An empty folder becomes one.
    let empty = "\(folder.path)/empty"
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    _ = try IndexWriter(path: empty, engine: engine)
  }

  @Test func picturesInMemoryAreEncodedAsTheirFiles() throws {
    let path = "\(images)/exact.png"
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let image = try RGBImage(path: path)
    let pixels = image.pixels.array
    let vectors = engine.vectors(of: [
      .file(path), .encoded(bytes), .pixels(pixels, width: image.width, height: image.height), .file("/gone.jpg"),
      .pixels(pixels, width: image.width, height: image.height + 1), .pixels([], width: .max, height: .max), .encoded([1, 2, 3]), .file(path),
    ])
    let first = try vectors[0].get()
    #expect(try first.global == engine.embed(imageAt: path) && first.patches.count == 49 * engine.dimension)
    for i in [1, 2, 7] { #expect(try vectors[i].get() == first) }
    for i in [3, 4, 5, 6] { #expect(throws: FastThenFineError.self) { try vectors[i].get() } }
    let texts = engine.vectors(of: ["a river", "a river", "two ships"])
    #expect(texts[0] == texts[1] && texts[0] != texts[2] && texts[0].sentence == engine.embed(text: "a river"))
    #expect(texts[0].words.count % engine.dimension == 0 && !texts[0].words.isEmpty)
  }

  /// A progress closure runs on other threads, and its type says so: what it changes has a lock.
  @Test func progressIsToldFromAnyThread() throws {
    let seen = Mutex(0)
    var writer = try IndexWriter(path: "\(folder.path)/index", engine: engine)
    let summary = try writer.add([images]) { event in
      if case .encoded(let count) = event { seen.withLock { $0 += count } }
    }
    #expect(seen.withLock { $0 } == summary.indexed)
  }
}
