import CSIMD

extension KernelSet {
  /// scores[j, i] = <rows[i], queries[j]> * (queryScales[j] * scales[i]), the sums exact.
  ///
  /// - Parameters:
  ///   - rows: s8[n, d] with `scales` f32[n]; d at most 65,536.
  ///   - queries: s8[m, d] with `queryScales` f32[m].
  ///   - scores: f32[m, n], out.
  package func dots(
    _ rows: Span<Int8>, scales: Span<Float>, queries: Span<Int8>, queryScales: Span<Float>, dimension d: Int,
    into scores: AlignedBuffer<Float>
  ) {
    let (n, m) = (scales.count, queryScales.count)
    precondition(
      d > 0 && d <= 65536 && rows.count == n * d && queries.count == m * d && scores.count >= m * n,
      "dots: shapes disagree")
    guard n > 0, m > 0 else { return }
    let (rows, scales) = unsafe (rows.address!, scales.address!)
    let (queries, queryScales) = unsafe (queries.address!, queryScales.address!)
    let out = unsafe scores.address
    forBlocks(of: n) { first, count in
      unsafe table.dots_s8(
        count, rows + first * d, scales + first, m, queries, queryScales, d, out + first, n)
    }
  }

  /// scores[j, i] = <rows[i], queries[j]>: f32[n, d] and f32[m, d] to f32[m, n].
  package func dots(
    _ rows: Span<Float>, queries: Span<Float>, dimension d: Int, into scores: AlignedBuffer<Float>
  ) {
    let (n, m) = (rows.count / d, queries.count / d)
    precondition(
      d > 0 && rows.count == n * d && queries.count == m * d && scores.count >= m * n, "dots: shapes disagree")
    guard n > 0, m > 0 else { return }
    let (rows, queries, out) = unsafe (rows.address!, queries.address!, scores.address)
    forBlocks(of: n) { first, count in
      unsafe table.dots_f32(count, rows + first * d, m, queries, d, out + first, n)
    }
  }

  private func forBlocks(of n: Int, _ body: (Int, Int) -> Void) {
    let block = 4096
    if threads == 1 || n <= block { return body(0, n) }
    parallelFor((n + block - 1) / block) { body($0 * block, min(block, n - $0 * block)) }
  }

  /// The balanced text-guided interaction of one image with its guides: see `csimd_kernels.interaction`.
  ///
  /// - Parameters:
  ///   - a: f32[guides, n], <p_j, t_m>.
  ///   - gram: f32[n, n], <p_j, p_l>, with `gp` f32[n], <g, p_j>, and `gg`, <g, g>.
  ///   - gt: f32[guides], <g, t_m>.
  ///   - weights: f32[guides, n], out: the attention of each guide.
  ///   - fine: f32[guides], out.
  package func interact(
    a: Span<Float>, gram: Span<Float>, gp: Span<Float>, gt: Span<Float>, gg: Float, tau: Float, beta: Float,
    weights: AlignedBuffer<Float>, fine: AlignedBuffer<Float>
  ) {
    let (n, m) = (gp.count, gt.count)
    precondition(
      n > 0 && a.count == m * n && gram.count == n * n && weights.count >= m * n && fine.count >= m && tau > 0,
      "interact: shapes disagree")
    guard m > 0 else { return }
    var args = unsafe csimd_interaction_args(
      n: n, guides: m, a: a.address, gram: gram.address, gp: gp.address, gt: gt.address, gg: gg, tau: tau, beta: beta,
      weights: weights.address, fine: fine.address)
    unsafe table.interaction(&args)
  }
}
