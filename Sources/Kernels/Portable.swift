import CFTFSIMD

/// The kernels in Swift SIMD types: the level of every CPU, and the specification that the other levels are tested
/// against, bit for bit. Signatures and meanings are those of `csimd_kernels`.
enum Portable {
  private static let panel = 16

  static let kernels = unsafe csimd_kernels(
    panel_s8: panel,
    panel_f32: panel,
    pack_s8: { unsafe packWeights($0, $1, $2!, $3!) },
    pack_f32: { unsafe packFloats($0, $1, $2!, $3!) },
    pack_depthwise: { unsafe packTaps($0, $1, $2!, $3!) },
    gemm_u8_f32: { unsafe gemm($0!.pointee, $1..<$2) },
    gemm_u8_u8: { unsafe gemm($0!.pointee, $1..<$2) },
    gemm_f32: { unsafe gemm($0!.pointee, $1..<$2) },
    depthwise_u8: { unsafe depthwiseUInt8($0!.pointee, $1..<$2) },
    depthwise_f32: { unsafe depthwiseFloat($0!.pointee, $1..<$2) },
    quantize_rows: { unsafe quantizeRows($0, $1, $2!, $3, $4, $5!, $6, $7, $8!) },
    layernorm: { unsafe layerNorm($0, $1, $2!, $3!, $4!, $5, $6!) },
    l2normalize: { unsafe l2Normalize($0, $1, $2!) },
    attention: { unsafe attention($0!.pointee) },
    dots_s8: { unsafe dots($0!.pointee) },
    dots_f32: { unsafe dots($0, $1!, $2, $3!, $4, $5!, $6) },
    interaction: { unsafe interaction($0!.pointee) },
    row_max: { unsafe rowMax($0, $1, $2!, $3, $4!) },
    crc32c: { unsafe checksum($0, $1!, $2) },
    peak_s8: nil,
    peak_read: { unsafe largest($0!, $1) })

  private static func largest(_ bytes: UnsafeRawPointer, _ count: Int) -> Float {
    var most = F32x16(repeating: -.infinity)
    let x = unsafe bytes.assumingMemoryBound(to: Float.self)
    for i in stride(from: 0, to: count / 4, by: 16) { most = unsafe most.larger(.load(x + i, count: 16)) }
    return most.max()
  }

  // MARK: GEMM

  /// Panels [ceil(n / 16)][k rounded up to 4][16]: one vector of outputs for every k.
  private static func packWeights(_ n: Int, _ k: Int, _ w: UnsafePointer<Int8>, _ out: UnsafeMutableRawPointer) {
    let depth = (k + 3) / 4 * 4
    var at = unsafe out.assumingMemoryBound(to: Int8.self)
    for n0 in stride(from: 0, to: n, by: panel) {
      for j in 0..<depth {
        for i in n0..<n0 + panel {
          unsafe at.pointee = i < n && j < k ? w[i * k + j] : 0
          unsafe at += 1
        }
      }
    }
  }

  private static func packFloats(_ n: Int, _ k: Int, _ w: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>) {
    var at = unsafe out
    for n0 in stride(from: 0, to: n, by: panel) {
      for j in 0..<k {
        for i in n0..<n0 + panel {
          unsafe at.pointee = i < n ? w[i * k + j] : 0
          unsafe at += 1
        }
      }
    }
  }

  /// sum_k (A[row, k] - zero) W[panel p, k]. A product of u8 and s8 fits an Int16.
  @inline(__always)
  private static func sums(_ x: csimd_product_u8, _ row: Int, _ p: Int) -> SIMD16<Int32> {
    let depth = unsafe (x.k + 3) / 4 * 4
    let w = unsafe x.w! + p * panel * depth
    let a = unsafe x.a + row * x.lda
    var sum = unsafe UnsafeRawPointer(x.w_sum + p * panel).loadUnaligned(as: SIMD16<Int32>.self) &* (0 &- x.a_zero)
    for k in 0..<depth {
      let column = unsafe w.loadUnaligned(fromByteOffset: k * panel, as: SIMD16<Int8>.self)
      let product = unsafe SIMD16<Int16>(truncatingIfNeeded: column) &* Int16(a[k])
      sum = sum &+ SIMD16<Int32>(truncatingIfNeeded: product)
    }
    return sum
  }

  private static func gemm(_ x: csimd_gemm_u8_f32_args, _ panels: Range<Int>) {
    for p in panels {
      let column = p * panel
      let count = unsafe min(panel, x.product.n - column)
      let scale = unsafe F32x16.load(x.scale + column, count: count)
      for row in unsafe 0..<x.product.m {
        let by = unsafe x.a_scale.map { unsafe F32x16(repeating: $0[row]) * scale } ?? scale
        let product = unsafe F32x16(sums(x.product, row, p)) * by
        unsafe finish(
          product, x.bias + column, x.activation, x.residual.map { unsafe $0 + row * x.ldr + column }, count,
          x.c + row * x.ldc + column)
      }
    }
  }

  private static func gemm(_ x: csimd_gemm_u8_u8_args, _ panels: Range<Int>) {
    let n = unsafe x.product.n
    for p in panels {
      let column = p * panel
      let count = min(panel, n - column)
      let scale = unsafe F32x16.load(x.scale + column, count: count)
      let bias = unsafe F32x16.load(x.bias + column, count: count)
      for row in unsafe 0..<x.product.m {
        var q = unsafe F32x16(sums(x.product, row, p)) * scale + bias
        if let residual = unsafe x.residual {
          q = unsafe q + .load(residual + row * n + column, count: count) * F32x16(repeating: x.residual_scale)
        }
        let start = unsafe x.c_row.map { unsafe Int($0[row]) } ?? row * n
        unsafe q.storeUInt8(x.c + start + column, count: count)
      }
    }
  }

  private static func gemm(_ x: csimd_gemm_f32_args, _ panels: Range<Int>) {
    for p in panels {
      let column = p * panel
      let w = unsafe x.w! + p * panel * x.k
      for row in unsafe 0..<x.m {
        let a = unsafe x.a + row * x.lda
        var sum = F32x16()
        for k in unsafe 0..<x.k {
          unsafe sum += F32x16(repeating: a[k]) * .load(w + k * panel, count: 16)
        }
        unsafe finish(
          sum, x.bias + column, x.activation, x.residual.map { unsafe $0 + row * x.ldr + column },
          min(panel, x.n - column), x.c + row * x.ldc + column)
      }
    }
  }

  @inline(__always)
  private static func finish(
    _ product: F32x16, _ bias: UnsafePointer<Float>, _ activation: csimd_activation, _ residual: UnsafePointer<Float>?,
    _ count: Int, _ c: UnsafeMutablePointer<Float>
  ) {
    var p = unsafe product + .load(bias, count: count)
    switch activation {
    case csimd_activation_gelu: p = p.gelu()
    case csimd_activation_relu6: p = p.relu6()
    case csimd_activation_quickgelu: p = p.quickGELU()
    default: break
    }
    if let residual = unsafe residual { p = unsafe p + .load(residual, count: count) }
    unsafe p.store(c, count: count)
  }

  // MARK: Depthwise

  /// i32[kernel, kernel, channels rounded up to 16].
  private static func packTaps(
    _ channels: Int, _ kernel: Int, _ w: UnsafePointer<Int8>, _ out: UnsafeMutableRawPointer
  ) {
    let (out, wide) = unsafe (out.assumingMemoryBound(to: Int32.self), (channels + 15) / 16 * 16)
    for tap in 0..<kernel * kernel {
      for c in 0..<wide { unsafe out[tap * wide + c] = c < channels ? Int32(w[c * kernel * kernel + tap]) : 0 }
    }
  }

  private static func depthwiseUInt8(_ a: csimd_depthwise_args, _ rows: Range<Int>) {
    let channels = unsafe a.channels
    let x = unsafe a.x.assumingMemoryBound(to: UInt8.self)
    let w = unsafe UnsafeRawPointer(a.w!)
    let ldw = (channels + 15) / 16 * 16
    for y in rows {
      for column in unsafe 0..<a.width {
        let window = unsafe x + y * a.stride * a.row + column * a.stride * channels
        let out = unsafe a.y.assumingMemoryBound(to: UInt8.self) + (y * a.width + column) * channels
        for c in stride(from: 0, to: channels, by: 16) {
          let count = min(16, channels - c)
          var sum = SIMD16<Int32>()
          for i in unsafe 0..<a.kernel {
            for j in unsafe 0..<a.kernel {
              let taps = unsafe w.loadUnaligned(
                fromByteOffset: ((i * a.kernel + j) * ldw + c) * 4, as: SIMD16<Int32>.self)
              sum = unsafe sum &+ .load(window + i * a.row + j * channels + c, count: count) &* taps
            }
          }
          let q = unsafe F32x16(sum) * .load(a.scale + c, count: count) + .load(a.bias + c, count: count)
          unsafe q.storeUInt8(out + c, count: count)
        }
      }
    }
  }

  private static func depthwiseFloat(_ a: csimd_depthwise_args, _ rows: Range<Int>) {
    let channels = unsafe a.channels
    let x = unsafe a.x.assumingMemoryBound(to: Float.self)
    let w = unsafe a.w.assumingMemoryBound(to: Float.self)
    let ldw = (channels + 15) / 16 * 16
    for y in rows {
      for column in unsafe 0..<a.width {
        let window = unsafe x + y * a.stride * a.row + column * a.stride * channels
        let out = unsafe a.y.assumingMemoryBound(to: Float.self) + (y * a.width + column) * channels
        for c in stride(from: 0, to: channels, by: 16) {
          let count = min(16, channels - c)
          var sum = F32x16()
          for i in unsafe 0..<a.kernel {
            for j in unsafe 0..<a.kernel {
              let taps = unsafe F32x16.load(w + (i * a.kernel + j) * ldw + c, count: 16)
              unsafe sum += .load(window + i * a.row + j * channels + c, count: count) * taps
            }
          }
          unsafe (sum + .load(a.bias + c, count: count)).relu6().store(out + c, count: count)
        }
      }
    }
  }

  // MARK: Rows

  private static func quantizeRows(
    _ m: Int, _ k: Int, _ x: UnsafePointer<Float>, _ ldx: Int, _ column: UnsafePointer<Float>?,
    _ q: UnsafeMutableRawPointer, _ ldq: Int, _ flip: UInt8, _ scale: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<m {
      let x = unsafe x + i * ldx
      let q = unsafe q.assumingMemoryBound(to: UInt8.self) + i * ldq
      func scaled(_ j: Int) -> F32x16 {
        let v = unsafe F32x16.load(x + j, count: k - j)
        return unsafe column.map { unsafe v * .load($0 + j, count: k - j) } ?? v
      }
      var largest = F32x16()
      for j in stride(from: 0, to: k, by: 16) { largest = largest.larger(scaled(j).magnitude()) }
      let most = largest.foldedMax()
      let inverse = most > 0 ? 127 / most : 0
      unsafe scale[i] = most / 127
      for j in stride(from: 0, to: k, by: 16) {
        let codes = (scaled(j) * inverse).integers()
        for l in 0..<min(16, k - j) { unsafe q[j + l] = UInt8(truncatingIfNeeded: codes[l]) ^ flip }
      }
    }
  }

  private static func layerNorm(
    _ m: Int, _ k: Int, _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ bias: UnsafePointer<Float>,
    _ eps: Float, _ y: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<m {
      let x = unsafe x + i * k
      let y = unsafe y + i * k
      var total = F32x16()
      for j in stride(from: 0, to: k, by: 16) { total = unsafe total + .load(x + j, count: k - j) }
      let mean = total.foldedSum() / Float(k)
      var squares = F32x16()
      for j in stride(from: 0, to: k, by: 16) {
        var d = unsafe F32x16.load(x + j, count: k - j) - mean
        if k - j < 16 { d = d.filled(from: k - j, with: 0) }
        squares += d * d
      }
      let inverse = 1 / (squares.foldedSum() / Float(k) + eps).squareRoot()
      for j in stride(from: 0, to: k, by: 16) {
        let d = unsafe (F32x16.load(x + j, count: k - j) - mean) * inverse
        let scaled = unsafe d * F32x16.load(weight + j, count: k - j) + F32x16.load(bias + j, count: k - j)
        unsafe scaled.store(y + j, count: k - j)
      }
    }
  }

  /// exp(x - max) in place; returns the sum.
  private static func exponentials(_ k: Int, _ x: UnsafeMutablePointer<Float>) -> Float {
    var most = F32x16(repeating: -.infinity)
    for j in stride(from: 0, to: k, by: 16) {
      let v = unsafe F32x16.load(x + j, count: k - j)
      most = most.larger(k - j < 16 ? v.filled(from: k - j, with: -.infinity) : v)
    }
    let top = most.foldedMax()
    var total = F32x16()
    for j in stride(from: 0, to: k, by: 16) {
      let e = unsafe (F32x16.load(x + j, count: k - j) - top).exponential()
      unsafe e.store(x + j, count: k - j)
      total += k - j < 16 ? e.filled(from: k - j, with: 0) : e
    }
    return total.foldedSum()
  }

  private static func scaleRow(_ k: Int, _ x: UnsafeMutablePointer<Float>, by factor: Float) {
    for j in stride(from: 0, to: k, by: 16) {
      unsafe (F32x16.load(x + j, count: k - j) * factor).store(x + j, count: k - j)
    }
  }

  private static func l2Normalize(_ m: Int, _ k: Int, _ x: UnsafeMutablePointer<Float>) {
    for i in 0..<m {
      let row = unsafe x + i * k
      var squares = F32x16()
      for j in stride(from: 0, to: k, by: 16) {
        let v = unsafe F32x16.load(row + j, count: k - j)
        squares += v * v
      }
      let length = squares.foldedSum().squareRoot()
      unsafe scaleRow(k, row, by: 1 / (length > 1e-12 ? length : 1e-12))
    }
  }

  // MARK: Attention

  /// out[:] = by * a[depth] B[depth, width], B with rows of `ldb`, 16 outputs at a time.
  @inline(__always)
  private static func productRow(
    _ depth: Int, _ width: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ ldb: Int, _ by: Float,
    _ out: UnsafeMutablePointer<Float>
  ) {
    for j in stride(from: 0, to: width, by: 16) {
      var sum = F32x16()
      for i in 0..<depth {
        unsafe sum += F32x16(repeating: a[i]) * .load(b + i * ldb + j, count: 16)
      }
      unsafe (sum * by).store(out + j, count: width - j)
    }
  }

  private static func attention(_ x: csimd_attention_f32_args) {
    let (tokens, width) = unsafe (x.tokens, x.width)
    let padded = (tokens + 15) / 16 * 16
    let wide = (width + 15) / 16 * 16
    let kt = unsafe x.scratch!
    let v = unsafe kt + width * padded
    let scores = unsafe v + tokens * wide
    for i in 0..<width {
      for j in 0..<padded { unsafe kt[i * padded + j] = j < tokens ? x.k[j * x.ld + i] : 0 }
    }
    for j in 0..<tokens {
      for i in 0..<wide { unsafe v[j * wide + i] = i < width ? x.v[j * x.ld + i] : 0 }
    }
    for i in 0..<tokens {
      let seen = unsafe x.causal != 0 ? i + 1 : tokens
      unsafe productRow(width, seen, x.q + i * x.ld, kt, padded, x.scale, scores)
      let by = unsafe 1 / exponentials(seen, scores)
      unsafe productRow(seen, width, scores, v, wide, by, x.o + i * x.ldo)
    }
  }

  // MARK: Retrieval

  @inline(__always)
  private static func dot(_ d: Int, _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>) -> Int32 {
    var sum = SIMD16<Int32>()
    var j = 0
    while j + 16 <= d {
      let x = unsafe UnsafeRawPointer(a + j).loadUnaligned(as: SIMD16<Int8>.self)
      let y = unsafe UnsafeRawPointer(b + j).loadUnaligned(as: SIMD16<Int8>.self)
      sum =
        sum
        &+ SIMD16<Int32>(
          truncatingIfNeeded: SIMD16<Int16>(truncatingIfNeeded: x) &* SIMD16<Int16>(truncatingIfNeeded: y))
      j += 16
    }
    var total = sum.wrappedSum()
    while j < d {
      unsafe total += Int32(a[j]) * Int32(b[j])
      j += 1
    }
    return total
  }

  private static func dots(_ x: csimd_dots_s8_args) {
    let d = unsafe x.d
    for j in unsafe 0..<x.m {
      for i in unsafe 0..<x.n {
        unsafe x.out[j * x.ldo + i] = (x.b_scale[j] * x.a_scale[i]) * Float(dot(d, x.a + i * d, x.b + j * d))
      }
    }
  }

  private static func dots(
    _ n: Int, _ a: UnsafePointer<Float>, _ m: Int, _ b: UnsafePointer<Float>, _ d: Int,
    _ out: UnsafeMutablePointer<Float>, _ ldo: Int
  ) {
    for j in 0..<m {
      for i in 0..<n { unsafe out[j * ldo + i] = dot(d, a + i * d, b + j * d) }
    }
  }

  @inline(__always)
  private static func dot(_ d: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Float {
    var sum = F32x16()
    for l in stride(from: 0, to: d, by: 16) {
      unsafe sum += .load(a + l, count: d - l) * .load(b + l, count: d - l)
    }
    return sum.foldedSum()
  }

  /// Sixteen elements of the packed matrix, codes as they are.
  @inline(__always)
  private static func gram(_ x: csimd_interaction_args, _ i: Int) -> F32x16 {
    if let codes = unsafe x.gram { return unsafe .load(codes + i, count: 16) }
    return unsafe .load(x.gram_f32 + i, count: 16)
  }

  private static func interaction(_ x: csimd_interaction_args) {
    let n = unsafe x.n
    let width = csimd_gram_width(n)
    let rest = unsafe 1 - x.beta
    let (least, step): (Float, Float) = unsafe x.gram == nil ? (0, 1) : (x.least, x.step)
    for m in unsafe 0..<x.guides {
      let a = unsafe x.a + m * x.lda
      let w = unsafe x.weights + m * width
      unsafe w[0] = 0
      for j in 0..<n { unsafe w[1 + j] = a[j] / x.tau }
      unsafe scaleRow(n, w + 1, by: 1 / exponentials(n, w + 1))
      for j in n + 1..<width { unsafe w[j] = 0 }
      var (alongG, half, total, at) = (F32x16(), F32x16(), F32x16(), 0)
      for c in stride(from: 0, through: n, by: 16) {
        let own = min(16, n + 1 - c)
        let ofG = unsafe gram(x, c == 0 ? 0 : at + 16 * own)
        var sum = F32x16()
        for r in c..<c + own {
          unsafe sum += gram(x, at) * F32x16(repeating: w[r])
          at += 16
        }
        sum *= 0.5
        for r in 0..<c {
          unsafe sum += gram(x, at) * F32x16(repeating: w[r])
          at += 16
        }
        let columns = unsafe F32x16.load(w + c, count: 16)
        half += sum * columns
        alongG += ofG * columns
        total += columns
      }
      let sum = total.foldedSum()
      let gV = least * sum + step * alongG.foldedSum()
      let vV = least * (sum * sum) + (2 * step) * half.foldedSum()
      let length = (vV > 0 ? vV : 0).squareRoot()
      let unit = unsafe x.beta / (length > 1e-12 ? length : 1e-12)
      let uT: Float = unsafe rest * x.gt[m] + unit * dot(n, w + 1, a)
      let uU: Float = unsafe (rest * rest) * x.gg + (2 * (rest * unit)) * gV + (unit * unit) * vV
      let u = (uU > 0 ? uU : 0).squareRoot()
      unsafe x.fine[m] = uT / (u > 1e-12 ? u : 1e-12)
    }
  }

  private static func rowMax(
    _ m: Int, _ n: Int, _ x: UnsafePointer<Float>, _ ldx: Int, _ out: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<m { unsafe out[i] = UnsafeBufferPointer(start: x + i * ldx, count: n).max()! }
  }

  // MARK: Checksum

  /// Eight tables: entry b of table t is the CRC of byte b and t zeros behind it.
  private static let tables: [UInt32] = {
    var tables = (0..<256).map { byte in (0..<8).reduce(UInt32(byte)) { r, _ in r >> 1 ^ (0x82f6_3b78 & (0 &- r & 1)) } }
    for i in 256..<8 * 256 { tables.append(tables[i - 256] >> 8 ^ tables[Int(tables[i - 256] & 0xff)]) }
    return tables
  }()

  private static func checksum(_ crc: UInt32, _ bytes: UnsafeRawPointer, _ count: Int) -> UInt32 {
    let tables = tables
    var state = ~crc
    for i in stride(from: 0, to: count & ~7, by: 8) {
      let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)) ^ UInt64(state)
      // The types are written out: without them the compiler looks for five seconds.
      state = (0..<8).reduce(0) { (sum: UInt32, byte: Int) -> UInt32 in
        let value = Int(truncatingIfNeeded: word >> UInt64(8 * byte)) & 0xff
        return sum ^ tables[(7 - byte) * 256 + value]
      }
    }
    for i in count & ~7..<count {
      state = unsafe state >> 8 ^ tables[Int((state ^ UInt32(bytes.load(fromByteOffset: i, as: UInt8.self))) & 0xff)]
    }
    return ~state
  }
}
