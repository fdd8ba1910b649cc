import Foundation
import Kernels

/// One immutable file of vectors: a coarse vector and some fine rows for every item. An item is an image (g and its
/// patches) or a caption (t and its word pieces). Little-endian; each section starts at a multiple of 64 bytes.
///
/// | section | type and shape | holds |
/// |---|---|---|
/// | header | 64 bytes | `FTFSEG1\0`, u64 items n, u64 dimension d, u64 rows r in all, zeros |
/// | ids | i64[n] | the catalog's id of each item |
/// | starts | u64[n + 1] | the first fine row of each item; the last is r |
/// | coarse scales, codes | f32[n], s8[n, d] | vector = scale * codes |
/// | fine scales, codes | f32[r], s8[r, d] | the same of the fine rows |
package final class Segment: Sendable {
  package static let magic = Array("FTFSEG1\0".utf8)

  package let path: String
  package let count: Int
  package let dimension: Int
  private let file: MappedFile
  private let layout: Layout

  struct Layout: Equatable {
    var ids, starts, coarseScales, coarseCodes, fineScales, fineCodes, end: Int

    /// Nil where the sizes overflow.
    init?(items: Int, dimension: Int, rows: Int) {
      var offset = 64
      func section(_ factors: Int...) -> Int? {
        var size = 1
        for factor in factors {
          let (product, overflow) = size.multipliedReportingOverflow(by: factor)
          if overflow { return nil }
          size = product
        }
        let (rounded, overflow) = size.addingReportingOverflow(63)
        if overflow { return nil }
        let start = offset
        let (next, overflown) = offset.addingReportingOverflow(rounded & ~63)
        if overflown { return nil }
        offset = next
        return start
      }
      guard let ids = section(items, 8), let starts = section(items + 1, 8), let coarseScales = section(items, 4),
        let coarseCodes = section(items, dimension), let fineScales = section(rows, 4),
        let fineCodes = section(rows, dimension)
      else { return nil }
      (self.ids, self.starts, self.coarseScales) = (ids, starts, coarseScales)
      (self.coarseCodes, self.fineScales, self.fineCodes) = (coarseCodes, fineScales, fineCodes)
      end = offset
    }
  }

  package init(path: String) throws(IndexError) {
    self.path = path
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    self.file = file
    guard file.count >= 64 else { throw .damaged(path: path, reason: "it has \(file.count) bytes") }
    for (i, byte) in Self.magic.enumerated() where file.load(at: i, as: UInt8.self) != byte {
      throw .damaged(path: path, reason: "it is no segment")
    }
    let (items, dimension) = (file.load(at: 8, as: UInt64.self), file.load(at: 16, as: UInt64.self))
    let rows = file.load(at: 24, as: UInt64.self)
    guard items < 1 << 40, (1...65536).contains(dimension), rows < 1 << 40,
      let layout = Layout(items: Int(items), dimension: Int(dimension), rows: Int(rows)), layout.end == file.count
    else { throw .damaged(path: path, reason: "its header does not explain its \(file.count) bytes") }
    (count, self.dimension, self.layout) = (Int(items), Int(dimension), layout)
    var last: UInt64 = 0
    for i in 0...count {
      let start = file.load(at: layout.starts + 8 * i, as: UInt64.self)
      guard start >= last && start <= rows && (i > 0 || start == 0) && (i < count || start == rows) else {
        throw .damaged(path: path, reason: "the rows of item \(i) are out of order")
      }
      last = start
    }
  }

  /// Of the whole file.
  package var fingerprint: String { file.fingerprint }

  /// The catalog's id of item `i`.
  package func id(_ i: Int) -> Int64 {
    precondition(i >= 0 && i < count)
    return file.load(at: layout.ids + 8 * i, as: Int64.self)
  }

  /// <query, coarse vector i> as f32[n]: the scan of stage 1, in place in the file.
  ///
  /// - Parameters:
  ///   - query: s8[d] with its scale f32[1].
  package func scores(
    query: AlignedBuffer<Int8>, scale: AlignedBuffer<Float>, with kernels: KernelSet
  ) -> AlignedBuffer<Float> {
    let scores = AlignedBuffer<Float>(count: count, repeating: 0)
    let file = file
    kernels.dots(
      file.span(at: layout.coarseCodes, count: count * dimension),
      scales: file.span(at: layout.coarseScales, count: count), queries: query.span, queryScales: scale.span,
      dimension: dimension, into: scores)
    return scores
  }

  /// f32[d], as it was before it was quantised, within half a step.
  package func coarse(_ i: Int) -> [Float] {
    precondition(i >= 0 && i < count)
    let codes: [Int8] = file.array(at: layout.coarseCodes + i * dimension, count: dimension)
    let scale: [Float] = file.array(at: layout.coarseScales + 4 * i, count: 1)
    return codes.map { scale[0] * Float($0) }
  }

  /// One item's vectors, copied out of the file: s8[1 + rows, d] and f32[1 + rows], the coarse one first.
  package func vectors(_ i: Int) -> (codes: AlignedBuffer<Int8>, scales: AlignedBuffer<Float>) {
    precondition(i >= 0 && i < count)
    let first = Int(file.load(at: layout.starts + 8 * i, as: UInt64.self))
    let end = Int(file.load(at: layout.starts + 8 * (i + 1), as: UInt64.self))
    let codes = AlignedBuffer<Int8>(count: (1 + end - first) * dimension, repeating: 0)
    let scales = AlignedBuffer<Float>(count: 1 + end - first, repeating: 0)
    file.copy(at: layout.coarseCodes + i * dimension, count: dimension, into: codes, from: 0)
    file.copy(at: layout.fineCodes + first * dimension, count: (end - first) * dimension, into: codes, from: dimension)
    file.copy(at: layout.coarseScales + 4 * i, count: 1, into: scales, from: 0)
    file.copy(at: layout.fineScales + 4 * first, count: end - first, into: scales, from: 1)
    return (codes, scales)
  }
}

/// Collects items for a segment and writes it.
package struct SegmentWriter {
  private let dimension: Int
  private var ids: [Int64] = []
  private var starts: [UInt64] = [0]
  private var coarseScales: [Float] = []
  private var coarseCodes: [Int8] = []
  private var fineScales: [Float] = []
  private var fineCodes: [Int8] = []

  package var count: Int { ids.count }

  package init(dimension: Int) { self.dimension = dimension }

  /// - Parameters:
  ///   - coarse: f32[d].
  ///   - fine: f32[rows, d].
  package mutating func append(id: Int64, coarse: [Float], fine: [Float], with kernels: KernelSet) {
    precondition(coarse.count == dimension && fine.count % dimension == 0, "append: shapes disagree")
    let rows = fine.count / dimension
    let codes = AlignedBuffer<Int8>(count: (rows + 1) * dimension, repeating: 0)
    let scales = AlignedBuffer<Float>(count: rows + 1, repeating: 0)
    kernels.quantizeRows((coarse + fine).span, rows: rows + 1, columns: dimension, codes: codes, scales: scales)
    append(id: id, codes: codes, scales: scales)
  }

  /// - Parameters:
  ///   - codes: s8[1 + rows, d], the coarse vector first.
  ///   - scales: f32[1 + rows].
  mutating func append(id: Int64, codes: AlignedBuffer<Int8>, scales: AlignedBuffer<Float>) {
    let rows = scales.count - 1
    ids.append(id)
    starts.append(starts.last! + UInt64(rows))
    for i in 0..<dimension { coarseCodes.append(codes[i]) }
    for i in dimension..<codes.count { fineCodes.append(codes[i]) }
    coarseScales.append(scales[0])
    for i in 1..<scales.count { fineScales.append(scales[i]) }
  }

  /// Writes the file beside its place, syncs it and renames it, and syncs the folder: whoever sees it sees it whole.
  ///
  /// - Returns: the file's fingerprint.
  @discardableResult package func write(to path: String) throws(IndexError) -> String {
    var data = Data(Segment.magic)
    for value in [UInt64(ids.count), UInt64(dimension), starts.last!] {
      unsafe withUnsafeBytes(of: value.littleEndian) { unsafe data.append(contentsOf: $0) }
    }
    func pad() { data.append(Data(count: (64 - data.count % 64) % 64)) }
    func append<T>(_ values: [T]) {
      pad()
      unsafe values.withUnsafeBytes { unsafe data.append(contentsOf: $0) }
    }
    append(ids)
    append(starts)
    append(coarseScales)
    append(coarseCodes)
    append(fineScales)
    append(fineCodes)
    pad()
    do {
      let partial = URL(fileURLWithPath: path + ".partial")
      try Data().write(to: partial)
      let handle = try FileHandle(forWritingTo: partial)
      try handle.write(contentsOf: data)
      try handle.synchronize()
      try handle.close()
      try FileManager.default.moveItem(atPath: partial.path, toPath: path)
      let folder = try FileHandle(forReadingFrom: URL(fileURLWithPath: path).deletingLastPathComponent())
      try folder.synchronize()
      try folder.close()
      return try MappedFile(path: path).fingerprint
    } catch {
      throw .unwritable(path: path, reason: error.localizedDescription)
    }
  }
}
