import Kernels

/// Rows of one dimension: f32, or s8 codes with a scale a row.
package struct VectorSet: Sendable {
  package enum Storage: Sendable {
    case f32(AlignedBuffer<Float>)
    case int8(AlignedBuffer<Int8>, scales: AlignedBuffer<Float>)
  }

  package let count: Int
  package let dimension: Int
  package let storage: Storage

  /// - Parameter rows: f32[count, dimension].
  package init(_ rows: [Float], dimension: Int) {
    precondition(dimension > 0 && rows.count % dimension == 0, "VectorSet: shapes disagree")
    (count, self.dimension) = (rows.count / dimension, dimension)
    storage = .f32(AlignedBuffer(copying: rows.span))
  }

  /// The rows as s8 codes, each with its own scale.
  package init(quantizing rows: [Float], dimension: Int, with kernels: KernelSet) {
    precondition(dimension > 0 && rows.count % dimension == 0, "VectorSet: shapes disagree")
    let count = rows.count / dimension
    let codes = AlignedBuffer<Int8>(count: rows.count, repeating: 0)
    let scales = AlignedBuffer<Float>(count: count, repeating: 0)
    kernels.quantizeRows(rows.span, rows: count, columns: dimension, codes: codes, scales: scales)
    (self.count, self.dimension) = (count, dimension)
    storage = .int8(codes, scales: scales)
  }

  /// - Parameters:
  ///   - codes: s8[count, dimension] in [-127, 127].
  ///   - scales: f32[count].
  package init(codes: AlignedBuffer<Int8>, scales: AlignedBuffer<Float>, dimension: Int) {
    precondition(codes.count == scales.count * dimension, "VectorSet: shapes disagree")
    (count, self.dimension) = (scales.count, dimension)
    storage = .int8(codes, scales: scales)
  }

  /// <row i of self, row j of queries> as f32[queries, count]. Both sets have the same kind of storage.
  package func dots(_ queries: VectorSet, with kernels: KernelSet) -> AlignedBuffer<Float> {
    precondition(dimension == queries.dimension, "dots: the dimensions differ")
    let scores = AlignedBuffer<Float>(count: count * queries.count, repeating: 0)
    switch (storage, queries.storage) {
    case (.f32(let rows), .f32(let others)):
      kernels.dots(rows.span, queries: others.span, dimension: dimension, into: scores)
    case (.int8(let codes, let scales), .int8(let others, let otherScales)):
      kernels.dots(
        codes.span, scales: scales.span, queries: others.span, queryScales: otherScales.span, dimension: dimension,
        into: scores)
    default: preconditionFailure("dots: one set is f32 and the other int8")
    }
    return scores
  }

  /// Rows of `range`, copied.
  package func rows(_ range: Range<Int>) -> VectorSet {
    let part = range.lowerBound * dimension..<range.upperBound * dimension
    switch storage {
    case .f32(let rows): return VectorSet(AlignedBuffer(copying: rows.span.extracting(part)), dimension: dimension)
    case .int8(let codes, let scales):
      return VectorSet(
        codes: AlignedBuffer(copying: codes.span.extracting(part)),
        scales: AlignedBuffer(copying: scales.span.extracting(range)), dimension: dimension)
    }
  }

  private init(_ rows: AlignedBuffer<Float>, dimension: Int) {
    (count, self.dimension, storage) = (rows.count / dimension, dimension, .f32(rows))
  }
}
