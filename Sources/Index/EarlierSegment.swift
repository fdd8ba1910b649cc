import Kernels

/// A segment of format 2, read once to be written anew.
///
/// | section | type and shape |
/// |---|---|
/// | header | 64 bytes: `FTFSEG1\0`, u64 items n, u64 dimension d, u64 rows r in all, zeros |
/// | ids, starts | i64[n], u64[n + 1]: the first fine row of each item |
/// | coarse scales, codes | f32[n], s8[n, d] |
/// | fine scales, codes | f32[r], s8[r, d] |
final class EarlierSegment {
  let count: Int
  private let dimension: Int
  private let file: MappedFile
  /// The first byte of each section, and the end.
  private let offsets: [Int]
  private let kernels = try! KernelSet()

  init(path: String, dimension: Int, fingerprint: String) throws(IndexError) {
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    guard file.count >= 64, Array(file.array(at: 0, count: 8) as [UInt8]) == Array("FTFSEG1\0".utf8),
      Self.fingerprint(of: file) == fingerprint
    else { throw .damaged(path: path, reason: "its bytes are not those that an earlier version wrote") }
    let (n, d) = (file.load(at: 8, as: UInt64.self), file.load(at: 16, as: UInt64.self))
    let rows = file.load(at: 24, as: UInt64.self)
    guard n < 1 << 32, d == UInt64(dimension), (1...65536).contains(dimension), rows < 1 << 40 else {
      throw .damaged(path: path, reason: "its header holds impossible sizes")
    }
    let sizes = [8 * Int(n), 8 * (Int(n) + 1), 4 * Int(n), Int(n) * dimension, 4 * Int(rows), Int(rows) * dimension]
    offsets = sizes.reduce(into: [64]) { $0.append(($0.last! + $1 + 63) & ~63) }
    guard offsets.last! == file.count else {
      throw .damaged(path: path, reason: "its header does not explain its \(file.count) bytes")
    }
    (count, self.dimension) = (Int(n), dimension)
    var last = 0
    for i in 0...count {
      let start = self.start(i)
      guard start >= last, start <= Int(rows), start - last <= 65536 else {
        throw .damaged(path: path, reason: "the rows of item \(i) are out of order")
      }
      last = start
    }
  }

  func id(_ i: Int) -> Int64 { file.load(at: offsets[0] + 8 * i, as: Int64.self) }

  private func start(_ i: Int) -> Int {
    Int(truncatingIfNeeded: file.load(at: offsets[1] + 8 * i, as: UInt64.self))
  }

  func packed(_ i: Int, isPooled: Bool) -> PackedItem {
    let (first, rows) = (start(i), start(i + 1) - start(i))
    func part<T>(_ section: Int, _ start: Int, _ count: Int) -> AlignedBuffer<T> {
      let buffer = AlignedBuffer<T>(uninitialised: count)
      file.copy(at: offsets[section] + start * MemoryLayout<T>.stride, count: count, into: buffer, from: 0)
      return buffer
    }
    return PackedItem(
      coarse: part(3, i * dimension, dimension), scale: part(2, i, 1),
      fine: part(5, first * dimension, rows * dimension), scales: part(4, first, rows), isPooled: isPooled,
      with: kernels)
  }

  /// How format 2 knew the bytes of a file, a model's too.
  static func fingerprint(of file: MappedFile) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    let words = file.count / 8
    for i in 0..<words { hash = (hash ^ file.load(at: 8 * i, as: UInt64.self)) &* 0x100_0000_01b3 ^ (hash >> 29) }
    for i in 8 * words..<file.count { hash = (hash ^ UInt64(file.load(at: i, as: UInt8.self))) &* 0x100_0000_01b3 }
    return String(hash, radix: 16)
  }
}

extension ModelIdentity {
  /// How format 2 knew a model: by all bytes of its file.
  package static func earlierFingerprint(ofFile path: String) throws -> String {
    EarlierSegment.fingerprint(of: try MappedFile(path: path))
  }
}
