import CFTFSIMD
import Foundation

extension KernelSet {
  /// scores[j, i] = <rows[i], queries[j]>; of codes the sum is exact, times (queryScales[j] * scales[i]).
  ///
  /// - Parameters:
  ///   - queries: of the same kind and length as `rows`.
  ///   - ahead: bytes that will be wanted next, brought nearer while `rows` is read; or none.
  ///   - scores: f32[queries, rows], out, from element `start` on.
  package func dots(
    _ rows: Rows, _ queries: Rows, ahead: RawSpan = RawSpan(), into scores: AlignedBuffer<Float>, at start: Int = 0
  ) {
    let (n, m, d) = (rows.count, queries.count, rows.dimension)
    precondition(
      queries.dimension == d && start >= 0 && scores.count - start >= m * n,
      "dots: \(n) rows of \(d), \(m) queries of \(queries.dimension), room for \(scores.count) scores")
    guard n > 0, m > 0 else { return }
    precondition(rows.isInt8 == queries.isInt8 && (d <= 65536 || !rows.isInt8), "dots: one side is f32, the other codes")
    nonisolated(unsafe) let out = unsafe scores.address + start
    guard rows.isInt8 else {
      nonisolated(unsafe) let (a, b) = unsafe (rows.floats.address!, queries.floats.address!)
      return forBlocks(of: n) { first, count in
        unsafe table.dots_f32(count, a + first * d, m, b, d, out + first, n)
      }
    }
    nonisolated(unsafe) let args = unsafe csimd_dots_s8_args(
      n: n, m: m, d: d, a: rows.codes.address, a_scale: rows.scales.address, b: queries.codes.address,
      b_scale: queries.scales.address, out: out, ldo: n, ahead: ahead.address,
      ahead_size: ahead.byteCount)
    forBlocks(of: n) { first, count in
      var part = unsafe args
      unsafe part.n = count
      unsafe part.a += first * d
      unsafe part.a_scale += first
      unsafe part.out += first
      unsafe table.dots_s8(&part)
    }
  }

  private func forBlocks(of n: Int, _ body: @Sendable (Int, Int) -> Void) {
    let block = 4096
    if threads == 1 || n <= block { return body(0, n) }
    parallelFor((n + block - 1) / block) { body($0 * block, min(block, n - $0 * block)) }
  }

  /// Columns of the weights that `interact` makes: 0, the weights of n patches, zeros.
  package static func weightColumns(patches n: Int) -> Int { csimd_gram_width(n) }

  /// Bytes that `interact` asks for while it computes; `dots` has to ask for the rest.
  package static func interactionAhead(patches n: Int) -> Int { 4 * csimd_gram_count(n) }

  /// The balanced text-guided interaction of one image with its guides: see `csimd_kernels.interaction`.
  ///
  /// - Parameters:
  ///   - a: f32[guides, n], <p_j, t_m>.
  ///   - gram: of g and the n patches.
  ///   - gt: f32[guides], <g, t_m>.
  ///   - weights: f32[guides, weightColumns], out; columns 1...n are the attention of a guide.
  ///   - fine: f32[guides], out.
  package func interact(
    a: AlignedBuffer<Float>, patches n: Int, gram: Gram, gt: AlignedBuffer<Float>, guides m: Int, tau: Float,
    beta: Float, ahead: RawSpan = RawSpan(), weights: AlignedBuffer<Float>, fine: AlignedBuffer<Float>
  ) {
    let packed = csimd_gram_count(n)
    precondition(
      n > 0 && a.count >= m * n && gt.count >= m && fine.count >= m && tau > 0
        && (gram.codes.count == packed || gram.floats.count == packed)
        && weights.count >= m * csimd_gram_width(n),
      "interact: \(m) guides, \(n) patches, a Gram matrix of \(max(gram.codes.count, gram.floats.count)) elements")
    guard m > 0 else { return }
    var args = unsafe csimd_interaction_args(
      n: n, guides: m, a: a.address, lda: n, gram: gram.codes.address, least: gram.least, step: gram.step,
      gram_f32: gram.floats.address, gg: gram.ownSquare, gt: gt.address, tau: tau, beta: beta, weights: weights.address, fine: fine.address,
      ahead: ahead.address, ahead_size: ahead.byteCount)
    unsafe table.interaction(&args)
  }

  /// out[i] = max_j x[i, j] for `rows` rows of `columns`.
  package func rowMaxima(_ x: AlignedBuffer<Float>, rows: Int, columns: Int, into out: AlignedBuffer<Float>) {
    precondition(columns > 0 && x.count >= rows * columns && out.count >= rows, "rowMaxima: \(rows) x \(columns)")
    unsafe table.row_max(rows, columns, x.address, columns, out.address)
  }
}

/// The Gram matrix of an item's rows, owned: made once an image, when it is encoded.
package struct GramMatrix: Sendable {
  private let floats: AlignedBuffer<Float>
  package let codes: AlignedBuffer<UInt8>
  package let least: Float
  package let step: Float
  /// <g, g>.
  package let ownSquare: Float

  /// Elements of the packed matrix of g and n patches.
  package static func count(patches n: Int) -> Int { csimd_gram_count(n) }

  /// - Parameters:
  ///   - coarse: one row.
  ///   - quantized: u8 codes over the matrix's own range, in place of f32.
  package init(coarse: Rows, fine: Rows, quantized: Bool, with kernels: KernelSet) {
    let n = fine.count
    let inner = AlignedBuffer<Float>(count: n * n, repeating: 0)
    let row = AlignedBuffer<Float>(count: 1 + n, repeating: 0)
    kernels.dots(fine, fine, into: inner)
    kernels.dots(fine, coarse, into: row)
    let own = AlignedBuffer<Float>(count: 1, repeating: 0)
    kernels.dots(coarse, coarse, into: own)
    func value(_ r: Int, _ l: Int) -> Float { r > 0 ? inner[(r - 1) * n + l - 1] : l > 0 ? row[l - 1] : own[0] }
    var (low, high) = (own[0], own[0])
    for r in 0...n {
      for l in r...n { (low, high) = (min(low, value(r, l)), max(high, value(r, l))) }
    }
    let count = Self.count(patches: n)
    (least, step) = quantized ? (low, (high - low) / 255) : (0, 0)
    ownSquare = own[0]
    codes = AlignedBuffer(count: quantized ? count : 0, repeating: 0)
    floats = AlignedBuffer(count: quantized ? 0 : count, repeating: 0)
    let inverse = step > 0 ? 1 / step : 0
    var start = 0
    for c in stride(from: 0, through: n, by: 16) {
      let end = min(c + 16, n + 1)
      for r in [c..<end, 0..<c].joined() {
        for l in c..<end {
          let product = r < l ? value(r, l) : value(l, r)
          if quantized {
            codes[start + l - c] = UInt8(min(max((product - least) * inverse, 0), 255).rounded(.toNearestOrEven))
          } else {
            floats[start + l - c] = product
          }
        }
        start += 16
      }
    }
  }

  package var view: Gram {
    @_lifetime(borrow self)
    get {
      codes.count > 0
        ? Gram(codes: unsafe _overrideLifetime(codes.span, borrowing: self), least: least, step: step, ownSquare: ownSquare)
        : Gram(unsafe _overrideLifetime(floats.span, borrowing: self), ownSquare: ownSquare)
    }
  }
}

extension KernelSet {
  /// T log((1 / n) sum_i exp(x_i / T)): near the mean of x for a large T, near its maximum for a small one. The same bits on every level.
  ///
  /// - Parameter x: f32[count], at least one.
  package static func logMeanExp(_ x: AlignedBuffer<Float>, count: Int, temperature: Float) -> Float {
    precondition(count > 0 && x.count >= count, "logMeanExp: shapes disagree")
    let p = unsafe UnsafePointer(x.address)
    var most = unsafe p[0]
    for i in 1..<max(count, 2) where i < count { most = unsafe max(most, p[i]) }
    var sums = SIMD16<Float>()
    let (top, scale) = (SIMD16(repeating: most), 1 / temperature)
    for i in stride(from: 0, to: count, by: 16) {
      let lanes = min(16, count - i)
      let values = unsafe SIMD16<Float>.load(p + i, count: lanes).filled(from: lanes, with: -Float.greatestFiniteMagnitude)
      // What lies 87 temperatures below the greatest is clamped there: 1e-38 of it, and so is what fills up.
      sums += ((values - top) * scale).exponential()
    }
    return most + temperature * log(sums.sum() / Float(count))
  }
}
