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

  @Test func indexingIsASequence() async throws {
    let (bad, path) = ("\(folder.path)/bad", "\(folder.path)/sequence")
    try FileManager.default.createDirectory(atPath: bad, withIntermediateDirectories: true)
    try Data("no picture".utf8).write(to: URL(fileURLWithPath: "\(bad)/a.jpg"))
    var (last, skipped) = (Indexing.State(), [FastThenFineError]())
    for try await state in IndexUpkeep.indexing([images, bad], to: path, engine: engine) {
      #expect(state.done >= last.done && last.summary == nil)
      skipped += state.skipped
      last = state
    }
    #expect(last.done == 18 && last.total == 18 && last.summary?.indexed == 17 && last.summary?.failed == 1)
    #expect(skipped.map(\.path) == ["\(bad)/a.jpg"] && skipped.map(\.code) == [.unusableFile])
    let none = "\(folder.path)/none"
    for other in [IndexUpkeep.indexing([images], to: images, engine: engine), IndexUpkeep.indexing([none], to: "\(none).ftfindex", engine: engine)] {
      await #expect(throws: FastThenFineError.self) { for try await _ in other {} }
    }
    #expect(!FileManager.default.fileExists(atPath: "\(none).ftfindex"), "what is not there makes no index")
  }

  /// Whoever looks seldom gets all that was left out; whoever leaves the loop, or is cancelled, ends the work.
  @Test func aSequenceThatNobodyReadsEndsItsWork() async throws {
    let flood = Indexing { _, tell in
      for i in 0..<10_000 { tell(i % 1000 == 0 ? .skipped(FastThenFineError(.unusableFile, at: "\(i)", "is bad")) : .encoded(1)) }
      return .success(IndexWriter.Summary())
    }
    var (skipped, done) = (0, 0)
    for try await state in flood {
      (skipped, done) = (skipped + state.skipped.count, state.done)
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(skipped == 10 && done == 9990)

    let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
    let endless = Indexing { cancellation, tell in
      while !cancellation.isDue { tell(.encoded(1)) }
      continuation.yield()
      return .success(IndexWriter.Summary())
    }
    var ends = ended.makeAsyncIterator()
    for try await _ in endless { break }
    #expect(await ends.next() != nil)
    let reader = Task { for try await _ in endless {} }
    reader.cancel()
    await #expect(throws: FastThenFineError.self) { try await reader.value }
    #expect(await ends.next() != nil)
    // Also where the work has ended before it is asked.
    let late = Task {
      unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
      for try await _ in Indexing({ _, _ in .success(IndexWriter.Summary()) }) {}
    }
    await #expect(throws: FastThenFineError.self) { try await late.value }
  }

  @Test func whatAnIndexHoldsIsListedInPages() throws {
    var writer = try IndexWriter(path: "\(folder.path)/listed", engine: engine)
    _ = try writer.add([images])
    let searcher = try Searcher(writer.index, engine: engine)
    var (items, page) = ([Answer.Result](), try searcher.items(after: 0, limit: 5))
    while let last = page.last {
      items += page
      page = try searcher.items(after: last.id, limit: 5)
    }
    #expect(items.count == 17 && Set(items.map(\.id)).count == 17 && items.map(\.id) == items.map(\.id).sorted())
    let item = try #require(items.first { $0.name.hasSuffix("/rgb.jpg") })
    #expect(try searcher.item(item.id) == item)
    let stored = searcher.vectors(of: [item.id, -1])
    let own = try engine.embed(imageAt: item.name)
    #expect(stored.count == 1 && zip(stored[item.id]!, own).reduce(0) { $0 + $1.0 * $1.1 } > 0.999)
    guard case .pixels(let bytes, let width, let height) = try HeatMap.drawn(item, with: engine) else { throw CocoaError(.featureUnsupported) }
    #expect(bytes.count == width * height * 3)
    let seen = try searcher.rerank("a river", among: [item.id]).results
    guard case .pixels(let hot, _, _) = try HeatMap.drawn(seen[0], with: engine) else { throw CocoaError(.featureUnsupported) }
    #expect(hot.count == bytes.count && hot != bytes)
    // What a program keeps for its own tests it makes itself.
    let made = Answer(results: [Answer.Result(rank: 1, id: 7, name: "/a.jpg", score: 0.5, window: PixelWindow(x: 0, y: 0, width: 9, height: 9))])
    #expect(made.results[0].recallScore == 0.5 && made.results[0].values.isEmpty)
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
