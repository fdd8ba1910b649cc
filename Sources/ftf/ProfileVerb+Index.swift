import FastThenFine
import Foundation
import FTFProfiling

extension ProfileVerb {
  /// Whether a path is that of an index.
  static func isIndex(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/catalog.sqlite") }

  func profileIndex(_ path: String) throws {
    let index = try ImageIndex(path: path)
    guard try index.count() > 0 else { throw Failure("\(path): holds no images") }
    let rounds = rounds ?? 200
    let profile =
      index.modelPath.isEmpty
      ? try IndexProfile(index, pool: ComputePool(threads: machine.threads), rounds: rounds)
      : try IndexProfile(index, engine: machine.engine(modelPath(of: index, given: nil), mapped: index.mappedBytes), rounds: rounds)
    if json {
      return printJSON([
        "items": profile.items, "opening_ms": profile.opening, "first_ms": profile.first, "queries": profile.queries,
        "parts": profile.parts.map { ["name": $0.name, "p50_ms": $0.p50, "p99_ms": $0.p99] as [String: Any] },
        "minor_faults": profile.minorFaults, "major_faults": profile.majorFaults, "bytes_read": profile.bytesRead,
      ])
    }
    print(String(format: "%@: %d items, opened in %.1f ms, the first query in %.1f ms", path.shown, profile.items, profile.opening, profile.first))
    print("of \(profile.queries) queries after it     p50 ms     p99 ms")
    for part in profile.parts { print(String(format: "%-28@ %9.3f  %9.3f", part.name as NSString, part.p50, part.p99)) }
    print(
      String(
        format: "a query: %.1f page faults, %.2f of them from the disk, %.0f kB read from it", profile.minorFaults + profile.majorFaults,
        profile.majorFaults, profile.bytesRead / 1000))
  }
}
