import FTFKernels
import Synchronization
import Testing

/// The one parallel loop: whoever takes an index, each is taken once.
@Suite struct ParallelLoops {
  private func taken(_ count: Int, by kernels: KernelSet) -> [Int] {
    let times = Mutex([Int](repeating: 0, count: count))
    kernels.parallelFor(count) { i in times.withLock { $0[i] += 1 } }
    return times.withLock { $0 }
  }

  /// More threads than there are indices, processors, or runs that a loop keeps.
  @Test(arguments: [1, 2, 3, 5, 31, 32, 33, 40]) func everyIndexIsTakenOnce(threads: Int) throws {
    let kernels = try KernelSet().with(threads: threads)
    for count in [0, 1, 2, 3, 7, 31, 32, 33, 65, 1000] {
      for _ in 0..<20 { #expect(taken(count, by: kernels).allSatisfy { $0 == 1 }, "\(count)") }
    }
  }

  /// Short loops that follow each other, by more callers than there are threads: they are handed over, taken back and waited for.
  @Test func whatIsHandedOverIsDoneBeforeTheLoopReturns() async throws {
    let kernels = try KernelSet()
    await withTaskGroup(of: Int.self) { group in
      for caller in 0..<6 {
        group.addTask {
          let kernels = kernels.with(threads: 2 + caller % 3)
          return (0..<3000).reduce(0) { wrong, round in
            let sum = Mutex(0)
            kernels.parallelFor(4) { i in sum.withLock { $0 += round + i } }
            return wrong + (sum.withLock { $0 } == 4 * round + 6 ? 0 : 1)
          }
        }
      }
      for await wrong in group { #expect(wrong == 0) }
    }
  }

  @Test func loopsInLoopsAndBesideEachOtherTakeTheirOwn() async throws {
    let kernels = try KernelSet().with(threads: 3)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<6 {
        group.addTask {
          kernels.parallelMap(5) { outer in kernels.parallelMap(9 + outer) { $0 * $0 } == (0..<9 + outer).map { $0 * $0 } }
            == [Bool](repeating: true, count: 5)
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}
