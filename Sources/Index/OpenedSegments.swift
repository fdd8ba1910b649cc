import FTFFiles
import Foundation
import Synchronization

/// The segments that searchers of one index have open: a new one takes over what another has mapped and checked, and nothing is kept for its own sake.
final class OpenedSegments: Sendable {
  /// What tells a file from another that takes its place.
  private struct Identity: Equatable {
    var (device, inode, size) = (UInt64(0), UInt64(0), Int64(0))
    var times: [Int] = []

    init?(_ path: String) {
      var status = stat()
      guard unsafe FilePath(path).withCString({ unsafe stat($0, &status) }) == 0 else { return nil }
      (device, inode, size) = (UInt64(status.st_dev), UInt64(status.st_ino), Int64(status.st_size))
      times = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }
  }

  private struct Opened {
    var identity: Identity
    weak var segment: Segment?
  }

  private let known = Mutex<[Int64: Opened]>([:])

  func segment(_ path: String, _ number: Int64) throws(IndexError) -> Segment {
    let identity = Identity(path)
    if let found = known.withLock({ $0[number] }), found.identity == identity, let segment = found.segment { return segment }
    let segment = try Segment(path: path, number: number)
    if let identity {
      known.withLock { known in
        known = known.filter { $0.value.segment != nil }
        known[number] = Opened(identity: identity, segment: segment)
      }
    }
    return segment
  }
}
