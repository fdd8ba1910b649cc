#if Serve
import Foundation
import Synchronization

/// Threads for what clients sent and files hold, which step back where others have work: a picture that takes a second to decode slows no search
/// that takes a millisecond.
final class Decoding: Sendable {
  private let waiting = Mutex<(work: [@Sendable () -> Void], first: Int)>(([], 0))
  private let count = DispatchSemaphore(value: 0)
  /// Of Unix, 0 to 19, which Linux has by thread: one of 0 that is ready gets the core at once, and nearly all of it.
  private static let niceness: Int32 = 15

  init(threads: Int) {
    for i in 0..<threads {
      let thread = Thread { [self] in
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
        while true {
          count.wait()
          next()()
        }
      }
      thread.name = "ftf decoding \(i)"
      thread.start()
    }
  }

  private func next() -> @Sendable () -> Void {
    waiting.withLock { waiting in
      let work = waiting.work[waiting.first]
      waiting.first += 1
      if waiting.first == waiting.work.count { waiting = ([], 0) }
      return work
    }
  }

  /// `body` once a thread has time for it, in the order in which they came.
  func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      waiting.withLock { $0.work.append { continuation.resume(with: Result { try body() }) } }
      count.signal()
    }
  }
}
#endif
