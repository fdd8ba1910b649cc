import Foundation
import FTFKernels

/// Writes a segment beside its place as its items come, and hashes it as it is written: no more than the coarse vectors is held.
/// `finish` makes it visible, whole and synced; a writer that is let go leaves nothing.
package struct SegmentWriter: ~Copyable {
  private let path: String
  private let dimension: Int
  private let isPooled: Bool
  private let file: FileHandle
  private var rowCount = 0
  private var rows: [UInt32] = []
  private var ids: [Int64] = []
  private var scales: [Float] = []
  private var coarse: [Int8] = []
  private var recordsChecksum: UInt32 = 0

  package var count: Int { ids.count }

  private static func partial(_ path: String) -> String { path + ".partial" }

  /// - Parameter isPooled: whether the items are images, whose patches are pooled.
  package init(path: String, dimension: Int, isPooled: Bool) throws(IndexError) {
    (self.path, self.dimension, self.isPooled) = (path, dimension, isPooled)
    file = try Self.created(path)
  }

  private static func created(_ path: String) throws(IndexError) -> FileHandle {
    do {
      try Data(count: 64).write(to: URL(fileURLWithPath: partial(path)))
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: partial(path)))
      try file.seekToEnd()
      return file
    } catch {
      throw .unwritable(path: path, reason: error.systemReason)
    }
  }

  deinit {
    try? file.close()
    try? FileManager.default.removeItem(atPath: Self.partial(path))
  }

  package mutating func append(_ item: PackedItem, id: Int64) throws(IndexError) {
    precondition(
      item.dimension == dimension && item.isPooled == isPooled, "append: an item of another kind than the segment's")
    recordsChecksum = try write(item.record.span.memory, after: recordsChecksum)
    ids.append(id)
    rows.append(UInt32(item.rows))
    rowCount += item.rows
    scales.append(item.coarseScale)
    unsafe coarse.append(contentsOf: UnsafeBufferPointer(start: item.coarse.address, count: dimension))
  }

  /// Writes the rest, syncs the file and renames it, and syncs the folder: whoever sees it sees it whole.
  ///
  /// - Returns: the segment's fingerprint.
  @discardableResult package mutating func finish() throws(IndexError) -> String {
    let checksums = [
      recordsChecksum, try write(padded: coarse.span.memory), try write(padded: scales.span.memory),
      try write(padded: ids.span.memory), try write(padded: rows.span.memory),
    ]
    var header = Data(Segment.magic)
    for value in [UInt64(ids.count), UInt64(dimension), UInt64(rowCount), isPooled ? 1 : 0] { header.append(little: value) }
    for value in checksums { header.append(little: value) }
    let own = KernelSet.checksum(header.bytes)
    header.append(little: own)
    do {
      try file.seek(toOffset: 0)
      try file.write(contentsOf: header)
      try file.synchronize()
      try FileManager.default.moveItem(atPath: Self.partial(path), toPath: path)
      let folder = try FileHandle(forReadingFrom: URL(fileURLWithPath: path).deletingLastPathComponent())
      try folder.synchronize()
      try folder.close()
    } catch {
      throw .unwritable(path: path, reason: error.systemReason)
    }
    return String(own, radix: 16)
  }

  private func write(padded bytes: RawSpan) throws(IndexError) -> UInt32 {
    let checksum = try write(bytes, after: 0)
    let rest = [UInt8](repeating: 0, count: (64 - bytes.byteCount % 64) % 64)
    return try write(rest.span.memory, after: checksum)
  }

  /// - Returns: the checksum of what `previous` is of, and of these.
  private func write(_ bytes: RawSpan, after previous: UInt32) throws(IndexError) -> UInt32 {
    do {
      try file.write(contentsOf: unsafe bytes.withUnsafeBytes { unsafe Data($0) })
    } catch {
      throw .unwritable(path: path, reason: error.systemReason)
    }
    return KernelSet.checksum(bytes, after: previous)
  }
}

extension Data {
  fileprivate mutating func append<T: FixedWidthInteger>(little value: T) {
    unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
  }
}
