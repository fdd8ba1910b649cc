/// X^T X over all inputs of a layer that were shown: which errors of its weights its outputs see.
///
/// For weights w and codes q of scale s, the outputs of the n inputs X change by |X (w - s q)|^2 = e^T (X^T X) e. Rounding one weight
/// after the other, each to what makes up best for the errors of those before it, finds codes whose outputs change far less than
/// those of the nearest codes: the method of GPTQ (arXiv 2210.17323), in the equivalent form of Babai's nearest plane
/// (arXiv 2507.18553), which needs one Cholesky factor and no inverse.
package final class SecondMoments: @unchecked Sendable {
  /// k, the layer's inputs.
  package let columns: Int
  /// How many inputs were added.
  package private(set) var rows = 0
  /// f32[k, k], symmetric.
  private let sums: AlignedBuffer<Float>

  package init(columns: Int) {
    self.columns = columns
    sums = AlignedBuffer(count: columns * columns, repeating: 0)
  }

  /// - Parameter x: f32[rows, k].
  package func add(_ x: AlignedBuffer<Float>, rows count: Int, with kernels: KernelSet) {
    precondition(x.count >= count * columns, "SecondMoments: shapes disagree")
    // A few thousand rows at a time, so that the transposed ones stay small.
    for first in stride(from: 0, to: count, by: 2048) {
      let rows = min(2048, count - first)
      let turned = AlignedBuffer<Float>(uninitialised: rows * columns)
      unsafe transpose(x.address + first * columns, rows, columns, into: turned.address)
      kernels.add(turned, turned, rows: columns, columns: columns, inner: rows, into: sums)
    }
    rows += count
  }

  /// Whether no input was so large that its square overflowed.
  package var isFinite: Bool { (0..<columns).allSatisfy { sums[$0 * columns + $0].isFinite } }

  /// What the moments would be had every input been multiplied by `factors` [k].
  package func scaled(by factors: [Float]) -> SecondMoments {
    precondition(factors.count == columns, "SecondMoments: shapes disagree")
    let result = SecondMoments(columns: columns)
    result.rows = rows
    for i in 0..<columns {
      for j in 0..<columns { result.sums[i * columns + j] = sums[i * columns + j] * factors[i] * factors[j] }
    }
    return result
  }

  /// The codes of a layer's weights.
  ///
  /// - Parameters:
  ///   - weights: f32[outputs, k].
  ///   - scales: f32[outputs]; a row of scale 0 is a row of zeros.
  ///   - noise: the variance that quantising adds to every input by itself.
  /// - Returns: s8[outputs, k] in [-127, 127].
  package func codes(_ weights: [Float], scales: [Float], noise: Float = 0, with kernels: KernelSet) -> [Int8] {
    let (n, k) = (scales.count, columns)
    precondition(weights.count == n * k, "SecondMoments: shapes disagree")
    let factor = factor(noise: noise, with: kernels)
    // By column: what is done to one weight of a row is done to all rows at once.
    let values = AlignedBuffer<Float>(uninitialised: k * n)
    let errors = AlignedBuffer<Float>(uninitialised: k * n)
    let pushed = AlignedBuffer<Float>(count: k * n, repeating: 0)
    unsafe weights.withUnsafeBufferPointer { unsafe transpose($0.baseAddress!, n, k, into: values.address) }
    var codes = [Int8](repeating: 0, count: n * k)
    var end = k
    while end > 0 {
      let start = max(0, end - Self.block)
      for j in (start..<end).reversed() {
        for i in j + 1..<end {
          unsafe axpy(factor[j * k + i], errors.address + i * n, into: pushed.address + j * n, n)
        }
        let inverse = 1 / factor[j * k + j]
        for row in 0..<n {
          let (w, s) = (values[j * n + row], scales[row])
          let wanted = w + pushed[j * n + row] * inverse
          let code = s > 0 ? (wanted / s).rounded(.toNearestOrEven).clamped(to: -127...127) : 0
          codes[row * k + j] = Int8(code)
          errors[j * n + row] = w - s * code
        }
      }
      // What the errors of this block ask of all weights before it.
      if start > 0 {
        let (width, part) = (end - start, AlignedBuffer<Float>(uninitialised: start * (end - start)))
        for j in 0..<start { unsafe (part.address + j * width).update(from: factor.address + j * k + start, count: width) }
        let turned = AlignedBuffer<Float>(uninitialised: n * width)
        unsafe transpose(errors.address + start * n, width, n, into: turned.address)
        kernels.add(part, turned, rows: start, columns: n, inner: width, into: pushed)
      }
      end = start
    }
    return codes
  }

  /// Weights that are rounded before their errors are pushed on together.
  private static let block = 64

  /// R, upper triangular [k, k], with R^T R = X^T X + damping. The damping is one hundredth of the mean square, more where there
  /// were few inputs: directions that none of them had are not free.
  private func factor(noise: Float, with kernels: KernelSet) -> AlignedBuffer<Float> {
    let k = columns
    var trace: Float = 0
    for i in 0..<k { trace += sums[i * k + i] }
    let few = 1 + 4 * Float(k) / Float(max(rows, 1))
    let damping = max(0.01 * few * trace / Float(k) + noise * Float(rows), 1e-12)
    let result = AlignedBuffer<Float>(count: k * k, repeating: 0)
    var rest = AlignedBuffer<Float>(uninitialised: k * k)
    unsafe rest.address.update(from: sums.address, count: k * k)
    var n = k
    for i in 0..<k { rest[i * k + i] += damping }
    while n > 0 {
      let (at, panel) = (k - n, min(Self.block, n))
      for p in 0..<panel {
        // Rounding may leave next to nothing of a direction that others hold.
        let scale = 1 / max(rest[p * n + p], 0.1 * damping).squareRoot()
        for j in p..<n { result[(at + p) * k + at + j] = rest[p * n + j] * scale }
        result[(at + p) * k + at + p] = 1 / scale
        for q in p + 1..<max(panel, p + 1) {
          let row = unsafe result.address + (at + p) * k + at
          unsafe axpy(-row[q], row + q, into: rest.address + q * n + q, n - q)
        }
      }
      let left = n - panel
      let (next, turned) = (AlignedBuffer<Float>(uninitialised: left * left), AlignedBuffer<Float>(uninitialised: left * panel))
      for i in 0..<left { unsafe (next.address + i * left).update(from: rest.address + (i + panel) * n + panel, count: left) }
      for i in 0..<left { for p in 0..<panel { turned[i * panel + p] = result[(at + p) * k + at + panel + i] } }
      let negative = AlignedBuffer<Float>(uninitialised: left * panel)
      for i in 0..<left * panel { negative[i] = -turned[i] }
      kernels.add(turned, negative, rows: left, columns: left, inner: panel, into: next)
      (rest, n) = (next, left)
    }
    return result
  }
}

/// The same for a depthwise convolution: a matrix of taps for every channel.
/// One task at a time adds to it.
package final class TapMoments: @unchecked Sendable {
  let channels: Int
  let kernel: Int
  let stride: Int
  /// f32[taps, taps, channels], the upper half.
  private let sums: AlignedBuffer<Float>
  private var positions = 0
  private var taps: Int { kernel * kernel }

  package init(channels: Int, kernel: Int, stride: Int) {
    (self.channels, self.kernel, self.stride) = (channels, kernel, stride)
    sums = AlignedBuffer(count: kernel * kernel * kernel * kernel * channels, repeating: 0)
  }

  /// - Parameters:
  ///   - x: f32[border + side + border, the same, channels], with its border.
  ///   - side: of the image without it.
  package func add(_ x: AlignedBuffer<Float>, side: Int, with kernels: KernelSet) {
    let padding = SamePadding(size: side, kernel: kernel, stride: stride)
    let bordered = side + padding.before + padding.after
    precondition(x.count >= bordered * bordered * channels, "TapMoments: shapes disagree")
    // Neighbours tell much the same: of a large map every second position in both directions is enough.
    let step = padding.output > 16 ? 2 : 1
    let places = Array(Swift.stride(from: 0, to: padding.output, by: step))
    let (taps, kernel, stride, channels, sums) = (taps, kernel, stride, channels, sums)
    kernels.parallelFor(taps) { tap in
      for other in tap..<taps {
        let sum = unsafe sums.address + (tap * taps + other) * channels
        for row in places {
          for column in places {
            let corner = unsafe x.address + (row * stride * bordered + column * stride) * channels
            let a = unsafe corner + (tap / kernel * bordered + tap % kernel) * channels
            let b = unsafe corner + (other / kernel * bordered + other % kernel) * channels
            for c in 0..<channels { unsafe sum[c] += a[c] * b[c] }
          }
        }
      }
    }
    positions += places.count * places.count
  }

  /// The codes of the taps: weights f32[channels, taps] with scales f32[channels] -> s8[channels, taps].
  package func codes(_ weights: [Float], scales: [Float], noise: Float) -> [Int8] {
    let n = taps
    var codes = [Int8](repeating: 0, count: weights.count)
    for c in 0..<channels where scales[c] > 0 {
      let mean = (0..<n).reduce(0.0) { $0 + Double(sums[($1 * n + $1) * channels + c]) } / Double(n)
      // A channel that is always zero says nothing: its weights are rounded to the nearest.
      let damping = max(0.01 * mean + Double(noise) * Double(positions), 1e-12)
      var r = [Double](repeating: 0, count: n * n)
      for i in 0..<n {
        for j in i..<n {
          var sum = Double(sums[(i * n + j) * channels + c]) + (i == j ? damping : 0)
          for p in 0..<i { sum -= r[p * n + i] * r[p * n + j] }
          r[i * n + j] = i == j ? max(sum, 0.1 * damping).squareRoot() : sum / r[i * n + i]
        }
      }
      var errors = [Double](repeating: 0, count: n)
      let scale = Double(scales[c])
      for j in (0..<n).reversed() {
        let pushed = (j + 1..<n).reduce(0.0) { $0 + r[j * n + $1] * errors[$1] }
        let w = Double(weights[c * n + j])
        let code = ((w + pushed / r[j * n + j]) / scale).rounded(.toNearestOrEven).clamped(to: -127...127)
        codes[c * n + j] = Int8(code)
        errors[j] = w - scale * code
      }
    }
    return codes
  }
}

extension Comparable {
  package func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}

extension KernelSet {
  /// Y += A B^T: a f32[rows, inner], b f32[columns, inner], y f32[rows, columns].
  fileprivate func add(
    _ a: AlignedBuffer<Float>, _ b: AlignedBuffer<Float>, rows: Int, columns: Int, inner: Int, into y: AlignedBuffer<Float>
  ) {
    guard rows > 0, columns > 0, inner > 0 else { return }
    let zeros = [Float](repeating: 0, count: columns)
    let layer = LinearLayer(weights: b.span, bias: zeros.span, inputs: inner, for: self)
    linear(layer, a, rows: rows, adding: true, quantized: QuantizedRows(rows: 0, columns: 0), into: y)
  }
}

/// y += a x
private func axpy(_ a: Float, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, _ count: Int) {
  for i in 0..<count { unsafe y[i] += a * x[i] }
}

/// [rows, columns] to [columns, rows].
private func transpose(_ x: UnsafePointer<Float>, _ rows: Int, _ columns: Int, into y: UnsafeMutablePointer<Float>) {
  for column in 0..<columns {
    for row in 0..<rows { unsafe y[column * rows + row] = x[row * columns + column] }
  }
}
