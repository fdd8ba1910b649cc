import FastThenFine
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import Synchronization
import FTFTestSupport
import Testing
import FTFWeights

/// The public face, as another package uses it, over a tiny model of random weights.
@Suite struct Library {
  let folder: TemporaryFolder
  let engine: Engine
  let images = "\(Goldens.folder)/images"

  init() throws {
    folder = try TemporaryFolder()
    engine = try tinyEngine(in: folder)
  }

  private func index() throws -> IndexWriter {
    var writer = try IndexWriter(path: "\(folder.path)/index", engine: engine)
    let summary = try writer.add([images])
    #expect(summary.indexed == 17 && summary.failed == 0)
    return writer
  }

  @Test func manyThreadsAndTasksGetTheAnswerThatOneGets() async throws {
    let writer = try index()
    let searcher = try Searcher(writer.index, engine: engine)
    func results(_ query: Query) throws -> [Answer.Result] { try searcher.answer(query).results }
    let queries = ["a river", "two ships", "dense houses"].map { Query(.sentence($0), top: 5) }
    let expected = try queries.map(results)
    #expect(expected.allSatisfy { $0.count == 5 && $0[0].attention?.count == 49 })
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<60 {
        group.addTask { try await searcher.answer(queries[i % 3]).results == expected[i % 3] }
      }
      for try await isSame in group { #expect(isSame) }
    }
    let same = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: 30) { i in
      if (try? searcher.answer(queries[i % 3]).results) == expected[i % 3] { same.withLock { $0 += 1 } }
    }
    #expect(same.withLock { $0 } == 30)
  }

  @Test func sentencesThatComeTogetherAreAnsweredAsIfAlone() async throws {
    let writer = try index()
    let (alone, together) = (try Searcher(writer.index, engine: engine), try Searcher(writer.index, engine: engine, sharingFrom: 1))
    var queries = (0..<12).map { Query(.sentence("ship \($0) near a river"), top: 1 + $0 % 7, recallOnly: $0 % 5 == 0) }
    queries[3].unlike = [alone.now(queries[3])[0].id]
    let expected = queries.map(alone.now)
    let none = Query(.sentence("a"), unlike: [99999])
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<96 {
        group.addTask { [queries] in
          if i % 16 == 15 { return await (try? together.answer(none)) == nil }
          if i % 16 == 14 {
            let late = Cancellation(after: .zero)
            return await (try? together.answer(queries[0], cancellation: late)) == nil
          }
          return try await together.answer(queries[i % 12]).results == expected[i % 12]
        }
      }
      for try await isSame in group { #expect(isSame) }
    }
  }

  @Test func noMoreThreadsRunThanThePoolHas() async throws {
    let pool = ComputePool(threads: 3)
    let seen = Mutex((running: 0, most: 0, total: 0))
    let work: @Sendable (Int) -> Void = { threads in
      seen.withLock {
        $0.running += threads
        $0.most = max($0.most, $0.running)
      }
      usleep(2000)
      seen.withLock {
        $0.running -= threads
        $0.total += 1
      }
    }
    #expect(try await pool.run { $0 } == 3, "who comes alone gets all")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<100 { group.addTask { try await pool.run(work) } }
      group.addTask { DispatchQueue.concurrentPerform(iterations: 20) { _ in pool.run(work) } }
      try await group.waitForAll()
    }
    let (running, most, total) = seen.withLock { $0 }
    #expect(total == 120 && running == 0 && (1...3).contains(most))
    #expect(try await pool.run { $0 } == 3, "what was lent has come back")
    await #expect(throws: CancellationError.self) { try await pool.run { _ in throw CancellationError() } }
    #expect(try await pool.run { $0 } == 3)
  }

  /// Where all threads that tasks share compute, as a caller's closure may, the pool's work has a thread all the same.
  @Test func thePoolNeedsNoThreadThatTasksShare() {
    final class Flag: Sendable { let value = Atomic(false) }
    let isOver = Flag()
    for _ in 0..<Processors.usable { DispatchQueue.global().async { while !isOver.value.load(ordering: .relaxed) {} } }
    let (pool, done) = (ComputePool(threads: 1), DispatchSemaphore(value: 0))
    for _ in 0..<3 { pool.submit { _ in done.signal() } }
    for _ in 0..<3 { #expect(done.wait(timeout: .now() + 60) == .success) }
    isOver.value.store(true, ordering: .relaxed)
  }

  @Test func deadlinesAndCancellationsEndWork() async throws {
    let writer = try index()
    let searcher = try Searcher(writer.index, engine: engine)
    let query = Query(.sentence("a river"))
    let cancelled = Cancellation()
    cancelled.cancel()
    #expect(throws: FastThenFineError.self) { try searcher.answer(query, cancellation: cancelled) }
    do {
      _ = try await searcher.answer(query, cancellation: Cancellation(after: .zero))
      Issue.record("an answer after its deadline")
    } catch {
      #expect(error.code == .deadline)
    }
    let task = Task { try await searcher.answer(query) }
    task.cancel()
    // Too late is allowed; another error is not.
    if case .failure(let error) = await task.result { #expect((error as? FastThenFineError)?.code == .cancelled) }
  }

  @Test func indexingThatIsCancelledKeepsWhatItCountedAndGoesOn() throws {
    // More images than are encoded between two looks at the cancellation.
    let many = "\(folder.path)/many"
    try FileManager.default.createDirectory(atPath: many, withIntermediateDirectories: true)
    for i in 0..<150 {
      try FileManager.default.copyItem(atPath: "\(images)/small.png", toPath: "\(many)/\(i).png")
    }
    let stop = Cancellation()
    do {
      var writer = try IndexWriter(path: "\(folder.path)/i", engine: engine)
      let encoded = Mutex(0)
      let first = try writer.add([many], cancellation: stop) { event in
        guard case .encoded(let count) = event else { return }
        let all = encoded.withLock {
          $0 += count
          return $0
        }
        if all > 20 { stop.cancel() }
      }
      #expect(first.isCancelled && first.indexed == 64)
      #expect(try writer.index.count() == 64)
    }
    var writer = try IndexWriter(path: "\(folder.path)/i", engine: engine)
    let rest = try writer.add([many])
    #expect(rest.indexed == 86 && rest.unchanged == 64 && !rest.isCancelled)
    #expect(try writer.index.count() == 150 && writer.index.problems().isEmpty)
  }

  @Test func anIndexThatWasMadeEarlierAnswersAsItDid() throws {
    let path = "\(folder.path)/old"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/form5/index", toPath: path)
    let engine = try Engine(path: "\(Goldens.folder)/form5/tiny.ftf")
    let answer = try Searcher(ImageIndex(path: path), engine: engine).answer(Query(.sentence("a river"), top: 3))
    // What the version that made it printed.
    #expect(answer.results.map(\.id) == [4, 2, 3] && answer.results.map(\.recallRank) == [1, 2, 4])
    #expect(answer.results.map(\.recallScore) == [-0.25659552, -0.2695662, -0.27410454])
    #expect(answer.results.map(\.score) == [-0.25951684, -0.26665282, -0.272232])
    #expect(answer.results[2].attributes == #"{"year":2020}"#)
    let captions = try Searcher(ImageIndex(path: path), engine: engine, searching: .captions)
    let told = try captions.answer(Query(.image("\(images)/rgb.jpg")))
    #expect(told.results.map(\.name) == ["two ships", "a river"])
  }

  @Test func aModelIsKnownByWhatItComputes() throws {
    let writer = try index()
    let source = try SourceModel("\(Goldens.folder)/tiny")
    func engine(_ change: (inout SourceModel) -> Void) throws -> Engine {
      var source = source
      change(&source)
      let path = "\(folder.path)/other.ftf"
      try source.write(fp32: path)
      return try Engine(path: path)
    }
    let same = try engine { $0.origin = "told differently" }
    #expect(try Searcher(writer.index, engine: same).count == 17)
    let other = try engine { $0.config.interaction.tau *= 2 }
    #expect(throws: FastThenFineError.self) { try Searcher(writer.index, engine: other) }
  }

  @Test func errorsHaveCodesAndNameTheFile() throws {
    func code(_ body: () throws -> Void) -> FastThenFineError.Code? {
      do { try body() } catch { return (error as? FastThenFineError)?.code }
      return nil
    }
    let none = "\(folder.path)/none"
    #expect(code { _ = try ImageIndex(path: none) } == .notAnIndex)
    #expect(!FileManager.default.fileExists(atPath: none), "opening makes nothing")
    #expect(code { _ = try Engine(path: none) } == .unusableModel)
    #expect(code { _ = try engine.embed(imageAt: none) } == .unusableFile)
    let writer = try index()
    #expect(code { _ = try IndexWriter(path: writer.index.path, engine: engine) } == .locked)
    #expect(code { _ = try Searcher(writer.index, engine: engine, filter: "year >") } == .badInput)
    let searcher = try Searcher(writer.index, engine: engine)
    #expect(code { _ = try searcher.answer(Query(.sentence("x"), top: 0)) } == .badInput)
    #expect(code { _ = try searcher.answer(Query(.sentence("x"), interaction: Interaction(beta: 2))) } == .badInput)
    #expect(code { _ = try searcher.answer(Query(.image(none))) } == .unusableFile)
    #expect(engine.embed(text: "a river").count == engine.dimension)
    #expect(code { try Converter.convert("\(Goldens.folder)/tiny", to: none) } == .needsCalibrationImages)
    #expect(code { _ = try Engine(path: "\(Goldens.folder)/tiny/model.safetensors") } == .notAModel)
  }

  @Test func whatNoEngineCouldOpenIsNotWritten() throws {
    let (source, made) = ("\(folder.path)/foreign", "\(folder.path)/foreign.ftf")
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/clip", toPath: source)
    let words = try String(contentsOfFile: "\(source)/vocab.json", encoding: .utf8)
    let other = words.replacingOccurrences(of: "<|startoftext|>", with: "<start_of_text>")
    try other.write(toFile: "\(source)/vocab.json", atomically: true, encoding: .utf8)
    var options = Converter.Options()
    options.precision = .fp32
    let error = #expect(throws: FastThenFineError.self) { try Converter.convert(source, to: made, options) }
    #expect(error?.code == .unusableModel && error?.path == source && !FileManager.default.fileExists(atPath: made))
  }

  /// What a program acts on it does not read out of a sentence.
  @Test func errorsAreData() throws {
    let shaped = FastThenFineError(WeightsError.badShape(path: "/w", tensor: "t", expected: [2, 3], found: [3]))
    #expect(shaped.code == .unusableModel && shaped.path == "/w" && shaped.expected == "[2, 3]" && shaped.found == "[3]")
    #expect(shaped.description == "/w: \(shaped.reason)" && shaped.localizedDescription == shaped.description)
    let other = FastThenFineError(IndexError.otherModel(path: "/i", index: "a", given: "b"))
    #expect(other.code == .otherModel && other.path == "/i" && other.expected == "a" && other.found == "b")
    let bands = FastThenFineError(ImagingError.unknownBands(path: "/s.tif", reason: "it has 4 bands"))
    #expect(bands.code == .needsBands && bands.path == "/s.tif" && !bands.reason.contains("--"))
    #expect(FastThenFineError(.cancelled, "given up").path == nil)
  }

  @Test func theGroundOfAModelIsNoneOfItsIdentity() throws {
    func model(_ change: (inout [String: Any]) -> Void) throws -> Model {
      let source = "\(folder.path)/\(UUID().uuidString)"
      try FileManager.default.copyItem(atPath: "\(Goldens.folder)/tiny", toPath: source)
      let config = URL(fileURLWithPath: "\(source)/config.json")
      var json = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
      var preprocessing = try #require(json["preprocessing"] as? [String: Any])
      change(&preprocessing)
      json["preprocessing"] = preprocessing
      try JSONSerialization.data(withJSONObject: json).write(to: config)
      var options = Converter.Options()
      options.precision = .fp32
      try Converter.convert(source, to: "\(source).ftf", options)
      return try Model(path: "\(source).ftf")
    }
    let plain = try model { _ in }
    let (whole, fraction) = (try model { $0["ground"] = 150 }, try model { $0["ground"] = 112.5 })
    #expect(whole.config.preprocessing.ground == 150 && fraction.config.preprocessing.ground == 112.5)
    #expect(plain.fingerprint == whole.fingerprint && whole.fingerprint == fraction.fingerprint)
    #expect(try model { $0["interpolation"] = "bilinear" }.fingerprint != plain.fingerprint)
  }

  @Test func everyChangedByteOfAModelIsNoticed() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/tiny.ftf"))
    _ = try Model(path: folder.file("whole.ftf", whole))
    let header = Int(whole.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
    // All of the header's first and last bytes, and a spread over the rest.
    let places = Array(0..<200) + Array(header - 100..<header + 60) + Array(stride(from: 200, to: whole.count, by: 997))
    for place in places + [whole.count - 1] {
      var damaged = whole
      damaged[place] ^= UInt8(1 << (place % 7))
      let path = try folder.file("damaged.ftf", damaged)
      #expect(throws: WeightsError.self, "byte \(place)") { try Model(path: path) }
    }
  }
}

extension Searcher {
  /// What a query gets that comes alone.
  fileprivate func now(_ query: Query) -> [Answer.Result] { (try? answer(query).results) ?? [] }
}
