import Dispatch
import FTFKernels
import Synchronization
import Testing

@Suite struct Conveyors {
  struct Stop: Error, Equatable {}

  @Test(arguments: [1, 2, 5]) func piecesComeAndGoInOrderWhateverTheyTake(threads: Int) throws {
    let most = Mutex(0)
    let now = Mutex(0)
    var (fetched, taken) = (0, [Int]())
    try Conveyor.run(threads: threads) { () -> Int? in
      // No more are fetched than are worked at.
      #expect(fetched - taken.count <= threads)
      fetched += 1
      return fetched <= 60 ? fetched : nil
    } made: { piece in
      let running = now.withLock { now in
        now += 1
        return now
      }
      most.withLock { $0 = max($0, running) }
      var sum = 0
      for i in 0..<(piece % 7) * 50_000 { sum &+= i &* piece }
      now.withLock { $0 -= 1 }
      return (piece, sum)
    } take: { piece, _ in
      taken.append(piece)
    }
    #expect(taken == Array(1...60))
    #expect(most.withLock { $0 } <= threads)
  }

  @Test(arguments: [1, 3]) func whatFailsEndsItAndWhatCameBeforeIsTaken(threads: Int) {
    var (fetched, taken) = (0, [Int]())
    #expect(throws: Stop()) {
      try Conveyor.run(threads: threads) { () -> Int? in
        fetched += 1
        return fetched
      } made: { piece in
        if piece == 20 { throw Stop() }
        return piece
      } take: { piece in
        taken.append(piece)
      }
    }
    #expect(taken == Array(1..<20))
    var left = 5
    #expect(throws: Stop()) {
      try Conveyor.run(threads: threads) { () -> Int? in
        if left == 0 { throw Stop() }
        left -= 1
        return left
      } made: {
        $0
      } take: { _ in
      }
    }
    #expect(throws: Stop()) {
      try Conveyor.run(threads: threads) { () -> Int? in
        1
      } made: {
        $0
      } take: { _ in
        throw Stop()
      }
    }
  }

  /// All threads that tasks and Dispatch's queues share compute, as a progress closure may: what comes and goes needs none of them.
  @Test func threadsThatAllTasksShareAreNotWaitedFor() {
    let isOver = Flag()
    for _ in 0..<Processors.usable { DispatchQueue.global().async { while !isOver.value.load(ordering: .relaxed) {} } }
    let done = DispatchSemaphore(value: 0)
    let sum = Mutex(0)
    OwnThread.run {
      var left = 20
      try? Conveyor.run(threads: 3) { () -> Int? in
        left -= 1
        return left > 0 ? left : nil
      } made: { piece in
        Promise { piece }
      } take: { promise in
        let piece = try promise.value()
        sum.withLock { $0 += piece }
      }
      done.signal()
    }
    #expect(done.wait(timeout: .now() + 60) == .success)
    isOver.value.store(true, ordering: .relaxed)
    #expect(sum.withLock { $0 } == 190)
  }

  private final class Flag: Sendable { let value = Atomic(false) }
}
