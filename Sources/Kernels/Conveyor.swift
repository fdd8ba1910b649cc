import Dispatch
import Synchronization

/// Work that comes and goes in order, and that several threads do in between.
package enum Conveyor {
  /// More have nothing to do: pieces come and go through one thread.
  package static let most = 8

  /// Every piece, in order: one that `next` fetches, what `made` makes of it, and what `take` does with that. The first and the last are called by the
  /// calling thread alone, as a catalog or a file wants it; what lies between is done by as many threads as there are processors, up to `most`, and no
  /// more pieces than those are in memory.
  ///
  /// - Parameters:
  ///   - next: nil at the end.
  ///   - threads: 1 for the calling thread alone.
  package static func run<Piece: Sendable, Made: Sendable>(
    threads: Int = min(Processors.usable, most), _ next: () throws -> Piece?, made: @escaping @Sendable (Piece) throws -> Made,
    take: (Made) throws -> Void
  ) throws {
    guard threads > 1 else {
      while let piece = try next() { try take(made(piece)) }
      return
    }
    var underWay: [Promise<Made>] = []
    while let piece = try next() {
      if underWay.count == threads { try take(underWay.removeFirst().value()) }
      underWay.append(Promise { try made(piece) })
    }
    for promise in underWay { try take(promise.value()) }
  }
}

/// What another thread is making, or whoever asks for it first.
package final class Promise<Value: Sendable>: Sendable {
  private let make: @Sendable () throws -> Value
  private let isBegun = Atomic(false)
  private let result = Mutex<Result<Value, any Error>?>(nil)
  private let done = DispatchSemaphore(value: 0)

  package init(_ make: @escaping @Sendable () throws -> Value) {
    self.make = make
    OwnThread.run { self.begin() }
  }

  private func begin() {
    guard !isBegun.exchange(true, ordering: .relaxed) else { return }
    let made = Result { try make() }
    result.withLock { $0 = made }
    done.signal()
  }

  /// To be asked for once. Nobody waits for a thread that has not come: what is not begun is made here.
  package func value() throws -> Value {
    begin()
    done.wait()
    return try result.withLock { $0 }!.get()
  }
}
