import CFTFSIMD
import Synchronization

/// A call of a kernel: the operation and the sizes that decide what it costs.
package struct KernelCase: Hashable, Sendable, CustomStringConvertible {
  package let operation: String
  /// gemm: m, n, k. depthwise: output height, width, channels, kernel, stride. rows: m, k. attention: tokens, width. dots: n, m, d.
  /// interaction: patches, guides. crc32c: bytes.
  package let sizes: [Int]

  package init(_ operation: String, _ sizes: [Int]) { (self.operation, self.sizes) = (operation, sizes) }

  package var description: String { "\(operation) \(sizes.map(String.init).joined(separator: "x"))" }

  /// Multiply-adds; 0 for what is no product.
  package var operations: Int {
    switch operation {
    case "gemm_u8_u8", "gemm_u8_f32", "gemm_f32", "dots_s8", "dots_f32": sizes.reduce(1, *)
    case "depthwise_u8", "depthwise_f32": sizes[0] * sizes[1] * sizes[2] * sizes[3] * sizes[3]
    case "attention": 2 * sizes[0] * sizes[0] * sizes[1]
    default: 0
    }
  }

  /// Whether its multiply-adds are those of the int8 instruction.
  package var isInt8: Bool { ["gemm_u8_u8", "gemm_u8_f32", "depthwise_u8", "dots_s8"].contains(operation) }

  /// Bytes that are read or written once each.
  package var bytes: Int {
    func s(_ i: Int) -> Int { sizes[i] }
    switch operation {
    case "gemm_u8_u8": return s(0) * s(2) + s(1) * s(2) + s(0) * s(1)
    case "gemm_u8_f32": return s(0) * s(2) + s(1) * s(2) + 4 * s(0) * s(1)
    case "gemm_f32": return 4 * (s(0) * s(2) + s(1) * s(2) + s(0) * s(1))
    case "depthwise_u8", "depthwise_f32":
      let input = ((s(0) - 1) * s(4) + s(3)) * ((s(1) - 1) * s(4) + s(3)) * s(2)
      return (input + s(0) * s(1) * s(2)) * (operation == "depthwise_u8" ? 1 : 4)
    case "quantize_rows": return 5 * s(0) * s(1)
    case "layernorm", "l2normalize": return 8 * s(0) * s(1)
    case "attention": return 16 * s(0) * s(1)
    case "dots_s8": return s(0) * s(2) + s(1) * s(2) + 4 * s(0) * s(1)
    case "dots_f32": return 4 * (s(0) * s(2) + s(1) * s(2) + s(0) * s(1))
    case "interaction": return csimd_gram_count(s(0)) + 4 * s(1) * (s(0) + csimd_gram_width(s(0)))
    case "row_max": return 4 * s(0) * s(1)
    default: return s(0)
    }
  }
}

// MARK: What a model calls

/// What is called, and the kernels that do it: functions of C know no context.
private struct Recording: @unchecked Sendable {
  var table = Portable.kernels
  var calls: [KernelCase: Int] = [:]
}
private let recording = Mutex(Recording())

private func record(_ operation: String, _ sizes: [Int]) -> csimd_kernels {
  recording.withLock {
    $0.calls[KernelCase(operation, sizes), default: 0] += 1
    return $0.table
  }
}

extension KernelSet {
  /// The calls of kernels that `body` makes with the kernels that it is given, on one thread. One recording at a time.
  package func recordingCalls(_ body: (KernelSet) -> Void) -> [KernelCase: Int] {
    let table = table
    recording.withLock { $0 = Recording(table: table) }
    body(KernelSet(self, recordingTo: Self.recorder(table)))
    return recording.withLock { $0.calls }
  }

  private static func recorder(_ table: csimd_kernels) -> csimd_kernels {
    var table = table
    unsafe table.gemm_u8_f32 = { x, first, end in
      let p = unsafe x!.pointee.product
      unsafe record("gemm_u8_f32", [p.m, p.n, p.k]).gemm_u8_f32(x, first, end)
    }
    unsafe table.gemm_u8_u8 = { x, first, end in
      let p = unsafe x!.pointee.product
      unsafe record("gemm_u8_u8", [p.m, p.n, p.k]).gemm_u8_u8(x, first, end)
    }
    unsafe table.gemm_f32 = { x, first, end in
      let p = unsafe x!.pointee
      unsafe record("gemm_f32", [p.m, p.n, p.k]).gemm_f32(x, first, end)
    }
    unsafe table.depthwise_u8 = { x, first, end in
      let p = unsafe x!.pointee
      unsafe record("depthwise_u8", [end - first, p.width, p.channels, p.kernel, p.stride]).depthwise_u8(x, first, end)
    }
    unsafe table.depthwise_f32 = { x, first, end in
      let p = unsafe x!.pointee
      unsafe record("depthwise_f32", [end - first, p.width, p.channels, p.kernel, p.stride]).depthwise_f32(x, first, end)
    }
    unsafe table.quantize_rows = { m, k, x, ldx, column, q, ldq, flip, scale in
      unsafe record("quantize_rows", [m, k]).quantize_rows(m, k, x, ldx, column, q, ldq, flip, scale)
    }
    unsafe table.layernorm = { m, k, x, weight, bias, eps, y in unsafe record("layernorm", [m, k]).layernorm(m, k, x, weight, bias, eps, y) }
    unsafe table.l2normalize = { m, k, x in unsafe record("l2normalize", [m, k]).l2normalize(m, k, x) }
    unsafe table.attention = { x in
      let p = unsafe x!.pointee
      unsafe record("attention", [p.tokens, p.width]).attention(x)
    }
    unsafe table.dots_s8 = { x in
      let p = unsafe x!.pointee
      unsafe record("dots_s8", [p.n, p.m, p.d]).dots_s8(x)
    }
    unsafe table.dots_f32 = { n, a, m, b, d, out, ldo in unsafe record("dots_f32", [n, m, d]).dots_f32(n, a, m, b, d, out, ldo) }
    unsafe table.interaction = { x in
      let p = unsafe x!.pointee
      unsafe record("interaction", [p.n, p.guides]).interaction(x)
    }
    unsafe table.row_max = { m, n, x, ldx, out in unsafe record("row_max", [m, n]).row_max(m, n, x, ldx, out) }
    return table
  }
}

// MARK: One case by itself

extension KernelCase {
  /// The case on operands of its own, by the kernels of `kernels`.
  package func call(with kernels: KernelSet) -> () -> Void {
    let table = kernels.table
    let s = sizes
    switch operation {
    case "gemm_u8_u8", "gemm_u8_f32":
      let (m, n, k, lda) = (s[0], s[1], s[2], (s[2] + 3) / 4 * 4)
      let panels = (n + table.panel_s8 - 1) / table.panel_s8
      let (a, packed) = (operand(UInt8.self, m * lda), operand(UInt8.self, csimd_packed_bytes_s8(n, k, table.panel_s8)))
      let w = operand(Int8.self, n * k)
      unsafe table.pack_s8(n, k, w.address, packed.address)
      let (sums, scale, bias) = (operand(Int32.self, panels * table.panel_s8), operand(Float.self, n), operand(Float.self, n))
      let (c, scales) = (operand(Float.self, m * n), operand(Float.self, m))
      return {
        let product = unsafe csimd_product_u8(
          m: m, n: n, k: k, a: a.address, lda: lda, a_zero: 128, w: packed.address, w_sum: sums.address)
        if operation == "gemm_u8_u8" {
          var x = unsafe csimd_gemm_u8_u8_args(
            product: product, scale: scale.address, bias: bias.address, residual: nil, residual_scale: 0,
            c: UnsafeMutableRawPointer(c.address).assumingMemoryBound(to: UInt8.self), c_row: nil)
          unsafe table.gemm_u8_u8(&x, 0, panels)
        } else {
          var x = unsafe csimd_gemm_u8_f32_args(
            product: product, a_scale: scales.address, scale: scale.address, bias: bias.address, activation: csimd_activation_none, residual: nil,
            ldr: n, c: c.address, ldc: n)
          unsafe table.gemm_u8_f32(&x, 0, panels)
        }
      }
    case "gemm_f32":
      let (m, n, k, panels) = (s[0], s[1], s[2], (s[1] + table.panel_f32 - 1) / table.panel_f32)
      let (a, w, bias, c) = (
        operand(Float.self, m * k), operand(Float.self, panels * table.panel_f32 * k), operand(Float.self, n), operand(Float.self, m * n)
      )
      return {
        var x = unsafe csimd_gemm_f32_args(
          m: m, n: n, k: k, a: a.address, lda: k, w: w.address, bias: bias.address, activation: csimd_activation_none, residual: nil, ldr: n,
          c: c.address, ldc: n)
        unsafe table.gemm_f32(&x, 0, panels)
      }
    case "depthwise_u8", "depthwise_f32":
      let (height, width, channels, kernel, stride) = (s[0], s[1], s[2], s[3], s[4])
      let row = ((width - 1) * stride + kernel) * channels
      let (x, y) = (operand(Float.self, ((height - 1) * stride + kernel) * row), operand(Float.self, height * width * channels))
      let (scale, bias) = (operand(Float.self, channels), operand(Float.self, channels))
      let isInt8 = operation == "depthwise_u8"
      let w = operand(UInt8.self, max(csimd_packed_bytes_depthwise(channels, kernel), 4 * kernel * kernel * (channels + 15)))
      let taps = operand(Int8.self, channels * kernel * kernel)
      if isInt8 { unsafe table.pack_depthwise(channels, kernel, taps.address, w.address) }
      return {
        var args = unsafe csimd_depthwise_args(
          height: height, width: width, channels: channels, kernel: kernel, stride: stride, x: x.address, row: row, w: w.address,
          scale: scale.address, bias: bias.address, y: y.address)
        unsafe (isInt8 ? table.depthwise_u8 : table.depthwise_f32)(&args, 0, height)
      }
    case "quantize_rows", "layernorm", "l2normalize", "row_max":
      let (m, k) = (s[0], s[1])
      let (x, y, scale) = (operand(Float.self, m * k), operand(Float.self, m * k), operand(Float.self, max(m, k)))
      return {
        switch operation {
        case "quantize_rows": unsafe table.quantize_rows(m, k, x.address, k, nil, y.address, k, 0, scale.address)
        case "layernorm": unsafe table.layernorm(m, k, x.address, scale.address, scale.address, 1e-5, y.address)
        case "l2normalize": unsafe table.l2normalize(m, k, x.address)
        default: unsafe table.row_max(m, k, x.address, k, scale.address)
        }
      }
    case "attention":
      let (tokens, width) = (s[0], s[1])
      let (qkv, o, scratch) = (
        operand(Float.self, tokens * 3 * width), operand(Float.self, tokens * width), operand(Float.self, csimd_attention_scratch(tokens, width))
      )
      return {
        var x = unsafe csimd_attention_f32_args(
          tokens: tokens, width: width, q: qkv.address, k: qkv.address + width, v: qkv.address + 2 * width, ld: 3 * width, scale: 0.1, causal: 0,
          o: o.address, ldo: width, scratch: scratch.address)
        unsafe table.attention(&x)
      }
    case "dots_s8":
      let (n, m, d) = (s[0], s[1], s[2])
      let (a, b, scale, out) = (operand(Int8.self, n * d), operand(Int8.self, m * d), operand(Float.self, max(n, m)), operand(Float.self, n * m))
      return {
        var x = unsafe csimd_dots_s8_args(
          n: n, m: m, d: d, a: a.address, a_scale: scale.address, b: b.address, b_scale: scale.address, out: out.address, ldo: n, ahead: nil,
          ahead_size: 0)
        unsafe table.dots_s8(&x)
      }
    case "dots_f32":
      let (n, m, d) = (s[0], s[1], s[2])
      let (a, b, out) = (operand(Float.self, n * d), operand(Float.self, m * d), operand(Float.self, n * m))
      return { unsafe table.dots_f32(n, a.address, m, b.address, d, out.address, n) }
    case "interaction":
      let (n, guides) = (s[0], s[1])
      let (a, gram, gt) = (operand(Float.self, guides * n), operand(UInt8.self, csimd_gram_count(n)), operand(Float.self, guides))
      let (weights, fine) = (operand(Float.self, guides * csimd_gram_width(n)), operand(Float.self, guides))
      return {
        var x = unsafe csimd_interaction_args(
          n: n, guides: guides, a: a.address, lda: n, gram: gram.address, least: -0.2, step: 0.005, gram_f32: nil, gg: 1, gt: gt.address, tau: 0.07,
          beta: 0.5, weights: weights.address, fine: fine.address, ahead: nil, ahead_size: 0)
        unsafe table.interaction(&x)
      }
    case "crc32c":
      let bytes = operand(UInt8.self, s[0])
      return { unsafe _ = table.crc32c(0, bytes.address, bytes.count) }
    default: fatalError("no case of \(operation)")
    }
  }
}

/// Small whole numbers, no two neighbours the same.
private func operand<Element: Numeric & BitwiseCopyable>(_: Element.Type, _ count: Int) -> AlignedBuffer<Element> {
  let buffer = AlignedBuffer<Element>(count: count, repeating: 0)
  for i in 0..<count { buffer[i] = Element(exactly: i * 7 % 61)! }
  return buffer
}
