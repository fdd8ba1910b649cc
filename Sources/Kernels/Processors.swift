import CFTFSIMD

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The processors that this process may use.
package enum Processors {
  /// At least 1: what the scheduler lets it run on, no more than its control group's quota pays for, nor than `OMP_NUM_THREADS` asks for.
  package static var usable: Int {
    let asked = Int(csimd_threads_asked())
    return max(1, min(Int(csimd_processors()), quota ?? .max, asked > 0 ? asked : .max))
  }

  /// How often this process has waited for a page from a disk.
  package static var diskWaits: Int {
    var usage = rusage()
    unsafe _ = getrusage(0, &usage)  // RUSAGE_SELF
    return usage.ru_majflt
  }

  /// Of cgroup v2's `cpu.max`: quota over period, rounded up. Nil without a limit.
  private static var quota: Int? {
    guard let file = unsafe fopen("/sys/fs/cgroup/cpu.max", "r") else { return nil }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 64)
    guard unsafe fgets(&line, 64, file) != nil else { return nil }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    guard fields.count == 2, fields[0] > 0, fields[1] > 0 else { return nil }
    return (fields[0] + fields[1] - 1) / fields[1]
  }
}
