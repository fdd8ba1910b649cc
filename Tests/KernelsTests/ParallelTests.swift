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
