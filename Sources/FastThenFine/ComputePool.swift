import Dispatch
import FTFKernels
import Synchronization

/// Threads that all callers share: however many compute at once, no more than `threads` run. A caller that comes alone gets all of them,
/// one that comes when others wait gets one.
///
/// Waiting callers are served in the order in which they came. Asynchronous callers wait without a thread, and their work never runs on
/// Swift's cooperative threads.
public final class ComputePool: Sendable {
  /// The most that run at once.
  public let threads: Int

  private struct State {
    var free: Int
    /// Served from `first` on.
    var waiting: [@Sendable (Int) -> Void] = []
    var first = 0
  }
  private let state: Mutex<State>

  /// - Parameter threads: at least 1; nil takes all cores that this process may use.
  public init(threads: Int? = nil) {
    self.threads = max(1, threads ?? Processors.usable)
    state = Mutex(State(free: self.threads))
  }

  /// `body(n)` in this thread once there are threads for it, n of them.
  package func run<R: ~Copyable, E: Error>(_ body: (Int) throws(E) -> R) throws(E) -> R {
    let (semaphore, granted) = (DispatchSemaphore(value: 0), Granted())
    acquire {
      granted.set($0)
      semaphore.signal()
    }
    semaphore.wait()
    defer { release(granted.count) }
    return try body(granted.count)
  }

  /// `body(n)` in a thread of its own once there are threads for it, n of them.
  package func run<R: Sendable>(_ body: @escaping @Sendable (Int) throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      acquire { count in
        OwnThread.run {
          let result = Result { try body(count) }
          self.release(count)
          continuation.resume(with: result)
        }
      }
    }
  }

  /// `body(n)` in a thread of its own once there are threads for it, n of them; nobody waits for it.
  package func submit(_ body: @escaping @Sendable (Int) -> Void) {
    acquire { count in
      OwnThread.run {
        body(count)
        self.release(count)
      }
    }
  }

  private final class Granted: Sendable {
    private let value = Atomic(0)
    var count: Int { value.load(ordering: .acquiring) }
    func set(_ count: Int) { value.store(count, ordering: .releasing) }
  }

  private func acquire(_ grant: @escaping @Sendable (Int) -> Void) {
    let granted: Int = state.withLock { state in
      guard state.free > 0, state.first == state.waiting.count else {
        state.waiting.append(grant)
        return 0
      }
      let all = state.free
      state.free = 0
      return all
    }
    if granted > 0 { grant(granted) }
  }

  private func release(_ count: Int) {
    let next: [@Sendable (Int) -> Void] = state.withLock { state in
      state.free += count
      let served = min(state.free, state.waiting.count - state.first)
      let next = Array(state.waiting[state.first..<state.first + served])
      (state.free, state.first) = (state.free - served, state.first + served)
      if state.first == state.waiting.count { (state.waiting, state.first) = ([], 0) }
      return next
    }
    for grant in next { grant(1) }
  }
}

/// Lets a caller give up, or a clock do it: looked at between images and between segments, so that little more is computed.
public final class Cancellation: Sendable {
  private let isCancelled = Atomic(false)
  private let deadline: ContinuousClock.Instant?
  private let parent: Cancellation?

  /// - Parameter limit: the time after which work stops by itself; nil for none.
  public init(after limit: Duration? = nil) { (deadline, parent) = (limit.map { ContinuousClock.now + $0 }, nil) }

  /// One of its own that is due when `parent` is, and may be cancelled alone.
  init(within parent: Cancellation) { (deadline, self.parent) = (nil, parent) }

  /// From any thread, and from a signal handler.
  public func cancel() { isCancelled.store(true, ordering: .relaxed) }

  /// Whether work should stop.
  public var isDue: Bool {
    wasCancelled || deadline.map { ContinuousClock.now >= $0 } ?? false || parent?.isDue ?? false
  }

  private var wasCancelled: Bool { isCancelled.load(ordering: .relaxed) || parent?.wasCancelled ?? false }

  /// - Throws: `cancelled` or `deadline` where work should stop.
  package func check() throws(FastThenFineError) {
    if wasCancelled { throw FastThenFineError(.cancelled, "it was cancelled") }
    if isDue { throw FastThenFineError(.deadline, "its time was up before it was done") }
  }
}
