import FTFKernels
import FTFWeights

/// Owns rows of one length: f32, or s8 codes with a scale a row.
package struct VectorSet: Sendable {
  package enum Storage: Sendable {
    case f32(AlignedBuffer<Float>)
    case int8(AlignedBuffer<Int8>, scales: AlignedBuffer<Float>)
  }

  package let count: Int
  package let dimension: Int
  package let storage: Storage

  /// f32 for fp32, else s8 codes, each row with its own scale.
  ///
  /// - Parameter rows: f32[count, dimension].
  package init(_ rows: [Float], _ precision: Precision, dimension: Int, with kernels: KernelSet) {
    precondition(
      dimension > 0 && rows.count % dimension == 0, "VectorSet: \(rows.count) values, rows of \(dimension)")
    (count, self.dimension) = (rows.count / dimension, dimension)
    guard precision != .fp32 else {
      storage = .f32(AlignedBuffer(copying: rows.span))
      return
    }
    let codes = AlignedBuffer<Int8>(count: rows.count, repeating: 0)
    let scales = AlignedBuffer<Float>(count: count, repeating: 0)
    kernels.quantizeRows(rows.span, rows: count, columns: dimension, codes: codes, scales: scales)
    storage = .int8(codes, scales: scales)
  }

  /// The rows of sets of one dimension and kind, one after the other.
  init(joining sets: [VectorSet]) {
    (count, dimension) = (sets.reduce(0) { $0 + $1.count }, sets[0].dimension)
    precondition(sets.allSatisfy { $0.dimension == sets[0].dimension }, "VectorSet: rows of several lengths")
    if case .f32 = sets[0].storage {
      let rows = AlignedBuffer<Float>(count: count * dimension, repeating: 0)
      Self.copy(sets.map { if case .f32(let part) = $0.storage { part } else { preconditionFailure("VectorSet: codes among floats") } }, to: rows)
      storage = .f32(rows)
      return
    }
    let (codes, scales) = (AlignedBuffer<Int8>(count: count * dimension, repeating: 0), AlignedBuffer<Float>(count: count, repeating: 0))
    let parts = sets.map { set -> (AlignedBuffer<Int8>, AlignedBuffer<Float>) in
      guard case .int8(let codes, let scales) = set.storage else { preconditionFailure("VectorSet: floats among codes") }
      return (codes, scales)
    }
    Self.copy(parts.map(\.0), to: codes)
    Self.copy(parts.map(\.1), to: scales)
    storage = .int8(codes, scales: scales)
  }

  private static func copy<T>(_ parts: [AlignedBuffer<T>], to whole: AlignedBuffer<T>) {
    var place = 0
    for part in parts {
      for i in 0..<part.count { whole[place + i] = part[i] }
      place += part.count
    }
  }

  /// What the codes of these rows leave of them, f32[count, dimension].
  package func rest(of rows: [Float]) -> [Float] {
    guard case .int8(let codes, let scales) = storage else { return rows.map { _ in 0 } }
    return rows.indices.map { rows[$0] - scales[$0 / dimension] * Float(codes[$0]) }
  }

  package var view: Rows {
    @_lifetime(borrow self)
    get {
      switch storage {
      case .f32(let rows): Rows(unsafe _overrideLifetime(rows.span, borrowing: self), dimension: dimension)
      case .int8(let codes, let scales):
        Rows(
          codes: unsafe _overrideLifetime(codes.span, borrowing: self),
          scales: unsafe _overrideLifetime(scales.span, borrowing: self), dimension: dimension)
      }
    }
  }
}
