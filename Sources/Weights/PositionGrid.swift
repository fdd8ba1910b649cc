/// The position embeddings of a square grid of patches, resized as open_clip does: an antialiased cubic (a = -0.5), the
/// class token's left as it is.
enum PositionGrid {
  /// The side of a square grid of so many patches.
  static func side(_ patches: Int) -> Int? {
    guard patches > 0, patches <= 1 << 20 else { return nil }
    let side = Int(Double(patches).squareRoot().rounded())
    return side * side == patches ? side : nil
  }

  /// - Parameter positions: f32[1 + from * from, width], the class token first.
  static func resize(_ positions: [Float], from: Int, to: Int, width: Int) -> [Float] {
    let taps = taps(from, to)
    /// Rows of `width` values: [outer, from, inner] to [outer, to, inner].
    func pass(_ values: [Float], outer: Int, inner: Int) -> [Float] {
      var result = [Float](repeating: 0, count: outer * to * inner)
      for o in 0..<outer {
        for i in 0..<to {
          for (j, weight) in taps[i] {
            let (target, start) = ((o * to + i) * inner, (o * from + j) * inner)
            for k in 0..<inner { result[target + k] += weight * values[start + k] }
          }
        }
      }
      return result
    }
    let columns = pass(Array(positions[width...]), outer: from, inner: width)
    return positions[..<width] + pass(columns, outer: 1, inner: to * width)
  }

  /// Of each output, the inputs that it is made of and their weights.
  private static func taps(_ from: Int, _ to: Int) -> [[(input: Int, weight: Float)]] {
    let scale = Double(from) / Double(to)
    let stretch = max(scale, 1)
    return (0..<to).map { i in
      let centre = (Double(i) + 0.5) * scale
      let first = max(0, Int(centre - 2 * stretch + 0.5))
      let end = min(from, Int(centre + 2 * stretch + 0.5))
      let weights = (first..<end).map { cubic((Double($0) - centre + 0.5) / stretch) }
      let sum = weights.reduce(0, +)
      return zip(first..<end, weights).map { ($0, Float($1 / sum)) }
    }
  }

  private static func cubic(_ x: Double) -> Double {
    let (a, x) = (-0.5, abs(x))
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
  }
}
