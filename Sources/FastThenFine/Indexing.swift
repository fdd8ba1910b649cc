import FTFKernels
import Foundation
import Synchronization

/// Indexing as a sequence of how far it is, on threads of its own: it begins with the first look, and ends when the loop is left or the task is
/// cancelled; what is stored stays.
///
///     for try await state in IndexUpkeep.indexing(["/imagery"], to: "archive.ftfindex", engine: engine) {
///       print(state.done, "of", state.total)
///     }
///
/// Whoever looks seldom misses nothing: a state holds all that came since the last.
public struct Indexing: AsyncSequence, Sendable {
  /// How far it is.
  public struct State: Sendable {
    /// Images, or windows of scenes, that will be encoded, as far as is known.
    public var total = 0
    /// Of them those that are.
    public var done = 0
    /// Files that were left out since the last state, and why.
    public var skipped: [FastThenFineError] = []
    /// One line on each thing that could not be seen since the last state.
    public var warnings: [String] = []
    /// What was done; of the last state alone.
    public var summary: IndexWriter.Summary?

    public init() {}

    fileprivate mutating func take(_ event: IndexWriter.Event) {
      switch event {
      case .begins(let count): total += count
      case .encoded(let count): done += count
      case .skipped(let error): skipped.append(error)
      case .warned(let line): warnings.append(line)
      }
    }
  }

  package typealias Work = @Sendable (Cancellation, @escaping @Sendable (IndexWriter.Event) -> Void) -> Result<IndexWriter.Summary, FastThenFineError>
  private let work: Work

  package init(_ work: @escaping Work) { self.work = work }

  public func makeAsyncIterator() -> Iterator { Iterator(work) }

  public struct Iterator: AsyncIteratorProtocol {
    private let progress = Progress()
    private var signals: AsyncStream<Void>.Iterator
    private var isOver = false

    fileprivate init(_ work: @escaping Work) {
      let cancellation = Cancellation()
      let (stream, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
      signal.onTermination = { _ in cancellation.cancel() }
      signals = stream.makeAsyncIterator()
      OwnThread.run { [progress] in
        let result = work(cancellation) { event in
          progress.state.withLock { $0.take(event) }
          signal.yield()
        }
        progress.result.withLock { $0 = result }
        signal.finish()
      }
    }

    public mutating func next() async throws(FastThenFineError) -> State? { try await next(isolation: nil) }

    /// - Throws: as `IndexWriter` and its `add`; `cancelled` in a task that is.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(FastThenFineError) -> State? {
      guard !isOver else { return nil }
      isOver = await signals.next(isolation: actor) == nil
      var state = progress.state.withLock { state in
        defer { (state.skipped, state.warnings) = ([], []) }
        return state
      }
      guard isOver else { return state }
      // Work that is cancelled ends with what it stored, sooner or later than this is asked.
      guard !Task.isCancelled, let result = progress.result.withLock({ $0 }) else { throw FastThenFineError(.cancelled, "indexing was cancelled") }
      state.summary = try result.get()
      return state
    }
  }

  private final class Progress: Sendable {
    let state = Mutex(State())
    let result = Mutex<Result<IndexWriter.Summary, FastThenFineError>?>(nil)
  }
}

extension IndexUpkeep {
  /// Indexes files and folders as ``IndexWriter/add(_:rereading:cutting:shard:cancellation:progress:)`` does, while whoever asks looks on.
  ///
  /// - Parameters:
  ///   - paths: of files and folders.
  ///   - index: the folder of one, which is made where there is none.
  ///   - engine: encodes; its model has to be the one that built the index.
  ///   - views: of each picture, whose vectors are averaged; nil for those that the index has, or one.
  ///   - patches: what is kept of them; nil for what the index has, or all.
  ///   - rereading: which files are read.
  ///   - cutting: of scenes.
  public static func indexing(
    _ paths: [String], to index: String, engine: Engine, views: Views? = nil, patches: StoredPatches? = nil,
    rereading: IndexWriter.Rereading = .changed,
    cutting: SceneCutting = SceneCutting()
  ) -> Indexing {
    Indexing { cancellation, progress in
      Result { () throws(FastThenFineError) in
        try add(
          paths, to: index, views: views, patches: patches, rereading: rereading, cutting: cutting, cancellation: cancellation, progress: progress
        ) { engine }
      }
    }
  }
}
