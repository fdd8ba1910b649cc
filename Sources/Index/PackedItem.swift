import FTFKernels

/// An item's vectors as a segment holds them: made in the thread that encoded it, so that a writer only copies.
package struct PackedItem: Sendable {
  let dimension: Int
  let rows: Int
  let isPooled: Bool
  /// s8[d] and its scale.
  let coarse: AlignedBuffer<Int8>
  let coarseScale: Float
  /// See `RecordLayout`.
  let record: AlignedBuffer<UInt8>

  /// - Parameters:
  ///   - coarse: f32[d]: g or t.
  ///   - fine: f32[rows, d]: P or W.
  ///   - isPooled: patches are, so that their Gram matrix is kept; words are not.
  package init(coarse: [Float], fine: [Float], isPooled: Bool, with kernels: KernelSet) {
    let d = coarse.count
    precondition(d > 0 && fine.count % d == 0, "PackedItem: \(fine.count) values, rows of \(d)")
    let n = fine.count / d
    let (g, p) = (AlignedBuffer<Int8>(count: d, repeating: 0), AlignedBuffer<Int8>(count: n * d, repeating: 0))
    let (gScale, pScales) = (AlignedBuffer<Float>(count: 1, repeating: 0), AlignedBuffer<Float>(count: n, repeating: 0))
    kernels.quantizeRows(coarse.span, rows: 1, columns: d, codes: g, scales: gScale)
    kernels.quantizeRows(fine.span, rows: n, columns: d, codes: p, scales: pScales)
    self.init(coarse: g, scale: gScale, fine: p, scales: pScales, isPooled: isPooled, with: kernels)
  }

  /// Of codes that are there already.
  ///
  /// - Parameters:
  ///   - coarse: s8[d] with its scale, f32[1].
  ///   - fine: s8[rows, d] with `scales` f32[rows].
  init(
    coarse: AlignedBuffer<Int8>, scale: AlignedBuffer<Float>, fine: AlignedBuffer<Int8>, scales: AlignedBuffer<Float>,
    isPooled: Bool, with kernels: KernelSet
  ) {
    (dimension, rows, self.isPooled) = (coarse.count, scales.count, isPooled)
    (self.coarse, coarseScale) = (coarse, scale[0])
    let layout = RecordLayout(rows: rows, dimension: dimension, isPooled: isPooled)
    record = AlignedBuffer(count: layout.size, repeating: 0)
    record.copy(scales.span.memory, at: layout.scales)
    record.copy(fine.span.memory, at: layout.codes)
    guard isPooled else {
      seal()
      return
    }
    let gram = GramMatrix(
      coarse: Rows(codes: coarse.span, scales: scale.span, dimension: dimension),
      fine: Rows(codes: fine.span, scales: scales.span, dimension: dimension), quantized: true, with: kernels)
    record.copy([gram.least, gram.step, gram.ownSquare].span.memory, at: layout.range)
    record.copy(gram.codes.span.memory, at: layout.gram)
    seal()
  }

  private func seal() {
    let checksum = Self.checksum(coarse: coarse.span, scale: coarseScale, record: record.span)
    record.copy([checksum].span.memory, at: 0)
  }

  /// Of all that belongs to an item: its coarse vector, and its record but for the checksum itself.
  static func checksum(coarse: Span<Int8>, scale: Float, record: Span<UInt8>) -> UInt32 {
    let first = KernelSet.checksum([scale].span.memory, after: KernelSet.checksum(coarse.memory))
    return KernelSet.checksum(record.extracting(droppingFirst: 4).memory, after: first)
  }

  init(dimension: Int, rows: Int, isPooled: Bool, coarse: Span<Int8>, coarseScale: Float, record: Span<UInt8>) {
    (self.dimension, self.rows, self.isPooled, self.coarseScale) = (dimension, rows, isPooled, coarseScale)
    (self.coarse, self.record) = (AlignedBuffer(copying: coarse), AlignedBuffer(copying: record))
  }
}

/// Where the fine vectors of an item lie in its record, which starts at a multiple of 64 bytes: what a rerank reads of an item is
/// one run of memory.
///
/// | part | type and shape | holds |
/// |---|---|---|
/// | checksum | u32 | CRC-32C of the coarse codes, their scale and the rest of the record |
/// | range | f32[3] | least and step of the Gram codes, and <g, g>; zeros where rows are not pooled |
/// | scales | f32[rows] | of the codes |
/// | Gram | u8[Gram count of rows], at a multiple of 16 | see `csimd_interaction_args`; where rows are pooled |
/// | codes | s8[rows, d], at a multiple of 64 | vector = scale * codes |
struct RecordLayout: Equatable {
  let rows, gram, gramCount, codes, size: Int
  let range = 4
  let scales = 16

  /// - Precondition: `rows` and `dimension` are at most 65,536 each.
  init(rows: Int, dimension: Int, isPooled: Bool) {
    precondition(rows <= 65536 && dimension <= 65536)
    self.rows = rows
    gram = (scales + 4 * rows + 15) & ~15
    gramCount = isPooled ? GramMatrix.count(patches: rows) : 0
    codes = (gram + gramCount + 63) & ~63
    size = (codes + rows * dimension + 63) & ~63
  }
}
