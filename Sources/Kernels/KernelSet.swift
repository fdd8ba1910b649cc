import CFTFSIMD
import Synchronization

/// The best kernels up to a level, operation by operation, and the number of threads that share their work. A value: keep one and pass it on.
///
/// Every method checks its shapes against its spans; a mismatch is a programmer's mistake and stops the program.
/// Matrices are row-major and dense unless a stride is named. Results are the same bits on every
/// level, but for layers with f32 weights, whose products are fused where the level can.
package struct KernelSet: Sendable {
  package let level: Level
  package let threads: Int
  let table: csimd_kernels

  /// - Parameter threads: at least 1.
  package init(level: Level = .best, threads: Int = 1) throws(LevelError) {
    precondition(threads >= 1, "at least one thread")
    guard level.isAvailable else { throw .unavailable(level) }
    var table = Portable.kernels
    unsafe csimd_choose(level.code, csimd_features(), &table, nil)
    self.table = table
    self.level = level
    self.threads = threads
  }

  /// - Parameter name: a level's name, as in `FTF_LEVEL`; nil chooses the best.
  package init(levelName name: String?, threads: Int) throws(LevelError) {
    guard let name else {
      try self.init(threads: threads)
      return
    }
    guard let level = Level(rawValue: name) else { throw .unknown(name) }
    try self.init(level: level, threads: threads)
  }

  /// The level that each operation's kernel is from, in the order of the list.
  package var kernels: [(operation: String, level: Level)] {
    var chosen = [csimd_level](repeating: csimd_level_portable, count: Int(csimd_operations.rawValue))
    var table = Portable.kernels
    unsafe csimd_choose(level.code, csimd_features(), &table, &chosen)
    return chosen.indices.map {
      unsafe (String(cString: csimd_operation_name(csimd_operation(rawValue: UInt32($0)))), Level(chosen[$0]))
    }
  }

  /// The same kernels for one thread: what runs inside an outer loop over images.
  package var singleThreaded: KernelSet { KernelSet(self, threads: 1) }

  /// The same kernels for another number of threads, at least 1.
  package func with(threads: Int) -> KernelSet { KernelSet(self, threads: threads) }

  private init(_ other: KernelSet, threads: Int) {
    level = other.level
    self.threads = threads
    table = other.table
  }

  init(_ other: KernelSet, recordingTo table: csimd_kernels) { (level, threads, self.table) = (other.level, 1, table) }

  /// `body(i)` for i in 0..<count, shared among the threads as they come free. `body` must not throw and must write
  /// only what belongs to its index.
  package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
    if threads == 1 || count <= 1 {
      for i in 0..<count { body(i) }
      return
    }
    withoutActuallyEscaping(body) { escaping in
      var box = escaping
      unsafe withUnsafeMutablePointer(to: &box) { pointer in
        unsafe csimd_parallel_for(count, Int32(threads), pointer) { context, index in
          unsafe context!.assumingMemoryBound(to: (@Sendable (Int) -> Void).self).pointee(index)
        }
      }
    }
  }

  /// What `body` makes of each i in 0..<count, in order; as `parallelFor`.
  package func parallelMap<R: Sendable>(_ count: Int, _ body: @Sendable (Int) -> R) -> [R] {
    let results = Mutex([R?](repeating: nil, count: count))
    parallelFor(count) { i in
      let result = body(i)
      results.withLock { $0[i] = result }
    }
    return results.withLock { $0.map { $0! } }
  }

  /// The int8 multiply-adds a second that one core reaches on registers alone: what no product can exceed. Nil for
  /// `portable`.
  package func peakInt8() -> Double? {
    guard let peak = table.peak_s8 else { return nil }
    var best = 0.0
    for _ in 0..<5 {
      let start = ContinuousClock.now
      let operations = peak(2_000_000)
      best = max(best, Double(operations) / ((ContinuousClock.now - start) / .seconds(1)))
    }
    return best
  }

  /// Bytes a second that a core reads over and over from `size` bytes, a multiple of 256: by default from memory, over a buffer that no cache holds.
  /// The cores read buffers of their own, all at once.
  package func bandwidth(of size: Int = 512 << 20) -> Double {
    let buffers = (0..<threads).map { _ in AlignedBuffer<Float>(count: size / 4, repeating: 1) }
    let times = max(1, (64 << 20) / size)
    var best = 0.0
    for _ in 0..<5 {
      let start = ContinuousClock.now
      parallelFor(threads) { thread in
        for _ in 0..<times {
          let most = unsafe table.peak_read(buffers[thread].address, size)
          precondition(most == 1)
        }
      }
      best = max(best, Double(size * times) / ((ContinuousClock.now - start) / .seconds(1)))
    }
    return best
  }

  /// CRC-32C of bytes that follow those whose checksum is `previous`; 0 where none do.
  package func checksum(_ bytes: RawSpan, after previous: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return previous }
      return unsafe table.crc32c(previous, start, bytes.count)
    }
  }

  /// The same, on the best level: the result is every level's.
  package static func checksum(_ bytes: RawSpan, after previous: UInt32 = 0) -> UInt32 {
    best.checksum(bytes, after: previous)
  }

  private static let best = try! KernelSet()
}
