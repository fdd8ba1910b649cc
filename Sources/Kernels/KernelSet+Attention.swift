import CFTFSIMD

extension KernelSet {
  /// Floats of scratch that `attention` needs for sequences of at most `tokens` tokens.
  package func attentionScratch(tokens: Int, headWidth: Int) -> Int {
    threads * Self.scratchPerTask(tokens, headWidth)
  }

  private static func scratchPerTask(_ tokens: Int, _ headWidth: Int) -> Int {
    (csimd_attention_scratch(tokens, headWidth) + 15) / 16 * 16
  }

  /// Multi-head attention of several sequences that follow each other in the rows of one matrix.
  ///
  /// O[i, h] = sum_j softmax_j(<Q[i, h], K[j, h]> / sqrt(headWidth)) V[j, h], over the tokens of a row's own sequence.
  ///
  /// - Parameters:
  ///   - qkv: f32[rows, 3 * width]: queries, keys and values side by side, heads side by side in each.
  ///   - starts: the first row of each sequence, and after the last the number of rows.
  ///   - causal: whether a token sees only itself and what precedes it.
  ///   - scratch: f32, `attentionScratch` of the longest sequence.
  ///   - output: f32[rows, width].
  package func attention(
    qkv: AlignedBuffer<Float>, starts: [Int], heads: Int, width: Int, causal: Bool, scratch: AlignedBuffer<Float>,
    into output: AlignedBuffer<Float>
  ) {
    let rows = starts.last!
    let longest = zip(starts, starts.dropFirst()).map { $1 - $0 }.max() ?? 0
    let headWidth = width / heads
    precondition(
      width % heads == 0 && qkv.count >= rows * 3 * width && output.count >= rows * width
        && scratch.count >= attentionScratch(tokens: longest, headWidth: headWidth), "attention: shapes disagree")
    let tasks = (starts.count - 1) * heads
    guard tasks > 0, rows > 0 else { return }
    nonisolated(unsafe) let (q, o, scratch) = unsafe (UnsafePointer(qkv.address), output.address, scratch.address)
    let perTask = Self.scratchPerTask(longest, headWidth)
    let scale = 1 / Float(headWidth).squareRoot()
    // Scratch belongs to a task, so there are as many tasks as threads, each with a run of heads.
    parallelFor(threads) { task in
      for item in tasks * task / threads..<tasks * (task + 1) / threads {
        let (sequence, head) = (item / heads, item % heads)
        let first = starts[sequence]
        let column = unsafe q + first * 3 * width + head * headWidth
        var args = unsafe csimd_attention_f32_args(
          tokens: starts[sequence + 1] - first, width: headWidth, q: column, k: column + width, v: column + 2 * width,
          ld: 3 * width, scale: scale, causal: causal ? 1 : 0, o: o + first * width + head * headWidth, ldo: width,
          scratch: scratch + task * perTask)
        unsafe table.attention(&args)
      }
    }
  }
}
