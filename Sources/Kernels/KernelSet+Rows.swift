import CFTFSIMD

extension KernelSet {
  /// Rows that one task of a parallel loop over rows takes.
  private static var rowsPerTask: Int { 16 }

  /// `body(first, count)` over blocks of rows.
  func forRowBlocks(_ rows: Int, _ body: @Sendable (Int, Int) -> Void) {
    if threads == 1 { return body(0, rows) }
    let block = Self.rowsPerTask
    parallelFor((rows + block - 1) / block) { body($0 * block, min(block, rows - $0 * block)) }
  }

  /// Y[i,:] = (X[i,:] - mean) / sqrt(var + epsilon) * weight + bias for `rows` rows.
  ///
  /// - Parameters:
  ///   - x: f32[rows, k], k the count of `weight`.
  ///   - y: f32[rows, k]; may be `x`.
  package func layerNorm(
    _ x: AlignedBuffer<Float>, rows: Int, weight: AlignedBuffer<Float>, bias: AlignedBuffer<Float>, epsilon: Float,
    into y: AlignedBuffer<Float>
  ) {
    let k = weight.count
    precondition(k > 0 && bias.count == k && x.count >= rows * k && y.count >= rows * k, "layerNorm: shapes disagree")
    nonisolated(unsafe) let (x, y, weight, bias) = unsafe (x.address, y.address, weight.address, bias.address)
    forRowBlocks(rows) { first, count in
      unsafe table.layernorm(count, k, x + first * k, weight, bias, epsilon, y + first * k)
    }
  }

  /// X[i,:] /= max(|X[i,:]|, 1e-12) for `rows` rows of `columns`, in place.
  package func l2Normalize(_ x: AlignedBuffer<Float>, rows: Int, columns: Int) {
    precondition(x.count >= rows * columns, "l2Normalize: shapes disagree")
    unsafe table.l2normalize(rows, columns, x.address)
  }

  /// codes = round-half-even(x * (127 / max |row|)), scale = max |row| / 127, for `rows` rows of `columns`.
  ///
  /// - Parameters:
  ///   - x: f32[rows, columns].
  ///   - codes: s8[rows, columns].
  ///   - scales: f32[rows].
  package func quantizeRows(
    _ x: Span<Float>, rows: Int, columns: Int, codes: AlignedBuffer<Int8>, scales: AlignedBuffer<Float>
  ) {
    precondition(
      x.count >= rows * columns && codes.count >= rows * columns && scales.count >= rows,
      "quantizeRows: shapes disagree")
    guard rows > 0, columns > 0 else { return }
    unsafe table.quantize_rows(rows, columns, x.address, columns, nil, codes.address, columns, 0, scales.address)
  }

  /// Y[c] = scale * (sum_i X[i,c]) / rows for u8[rows, columns]; the sum is exact.
  package func columnMeans(
    _ x: AlignedBuffer<UInt8>, rows: Int, columns: Int, scale: Float, into y: AlignedBuffer<Float>
  ) {
    precondition(rows > 0 && x.count >= rows * columns && y.count >= columns, "columnMeans: shapes disagree")
    let (x, y) = unsafe (x.address, y.address)
    for first in stride(from: 0, to: columns, by: 16) {
      let count = min(16, columns - first)
      var sum = SIMD16<Int32>()
      for row in 0..<rows { unsafe sum = sum &+ .load(x + row * columns + first, count: count) }
      unsafe (F32x16(sum) * (scale / Float(rows))).store(y + first, count: count)
    }
  }

  /// Y[row,c] = (sum_i X[i,c]) / (how many) for f32[rows, columns], over the rows i of `rows`.
  package func columnMeans(
    _ x: AlignedBuffer<Float>, rows: Range<Int>, columns: Int, into y: AlignedBuffer<Float>, row: Int = 0
  ) {
    precondition(
      !rows.isEmpty && rows.lowerBound >= 0 && row >= 0 && x.count >= rows.upperBound * columns && y.count >= (row + 1) * columns,
      "columnMeans: shapes disagree")
    let (x, y) = unsafe (x.address, y.address + row * columns)
    for first in stride(from: 0, to: columns, by: 16) {
      let count = min(16, columns - first)
      var sum = F32x16()
      for i in rows { unsafe sum += .load(x + i * columns + first, count: count) }
      unsafe (sum / Float(rows.count)).store(y + first, count: count)
    }
  }
}

extension AlignedBuffer<Float> {
  /// Row `row` of as many columns as `addend` has: values + addend.
  package func set(_ row: Int, to values: Span<Float>, plus addend: Span<Float>) {
    let columns = addend.count
    precondition(values.count == columns && row >= 0 && (row + 1) * columns <= count, "set: shapes disagree")
    guard columns > 0 else { return }
    let (y, x, plus) = unsafe (address + row * columns, values.address!, addend.address!)
    for i in 0..<columns { unsafe y[i] = x[i] + plus[i] }
  }

  /// Row `row` of as many columns as `addend` has: scale * codes + addend.
  package func set(_ row: Int, to codes: Span<Int8>, times scale: Float, plus addend: Span<Float>) {
    let columns = addend.count
    precondition(codes.count == columns && row >= 0 && (row + 1) * columns <= count, "set: shapes disagree")
    guard columns > 0 else { return }
    let (y, x, plus) = unsafe (address + row * columns, codes.address!, addend.address!)
    for i in 0..<columns { unsafe y[i] = scale * Float(x[i]) + plus[i] }
  }

  /// Elements from `first` on: of each code what `values` has for it.
  ///
  /// - Parameters:
  ///   - values: f32[256].
  ///   - codes: `count` of them are looked at, from `from` on, `step` apart.
  package func set(_ first: Int, count: Int, to values: Span<Float>, of codes: Span<UInt8>, from: Int, step: Int) {
    precondition(
      values.count == 256 && count > 0 && step > 0 && first >= 0 && first + count <= self.count && from >= 0
        && from + (count - 1) * step < codes.count, "set: shapes disagree")
    let (y, values, codes) = unsafe (address + first, values.address!, codes.address! + from)
    for i in 0..<count { unsafe y[i] = values[Int(codes[i * step])] }
  }
}
