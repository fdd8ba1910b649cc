import CFTFSIMD

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// How a u8 activation stands for numbers: value = scale * (q - zero).
package struct ActivationScale: Codable, Sendable, Equatable {
  package var scale: Float
  /// In 0...255.
  package var zero: Int

  package init(scale: Float, zero: Int) { (self.scale, self.zero) = (scale, zero) }

  /// What ReLU6 leaves: 0...6 over all 256 codes.
  package static let relu6 = ActivationScale(scale: 6 / 255, zero: 0)
}

/// A 1x1 convolution in int8, or another one over unrolled windows: u8 in, u8 out, static scales.
///
/// y = clamp(round(sum_k (x - zero) W * multiplier + offset [+ residual * residualMultiplier])).
package final class QuantizedConvolution: Sendable {
  let matrix: PackedMatrix
  let inputZero: Int
  let folded: FoldedScales
  let residualMultiplier: Float?
  package let output: ActivationScale

  package var inputs: Int { matrix.inputs }
  package var outputs: Int { matrix.outputs }
  /// Whether no input leads to numbers beyond what a kernel can round: scales of a damaged or a made-up model may.
  package var isBounded: Bool { folded.isBounded(inputs: inputs, added: 255 * abs(residualMultiplier ?? 0)) }

  /// - Parameters:
  ///   - codes: s8[outputs, inputs] with `scales` f32[outputs]; `bias` f32[outputs].
  ///   - residual: the scale of what is added before the output is quantised, where something is.
  package init(
    codes: Span<Int8>, scales: Span<Float>, bias: Span<Float>, inputs: Int, input: ActivationScale,
    output: ActivationScale, residual: ActivationScale?, for kernels: KernelSet
  ) {
    precondition(scales.count == bias.count, "QuantizedConvolution: shapes disagree")
    matrix = PackedMatrix(codes: codes, inputs: inputs, outputs: bias.count, for: kernels)
    inputZero = input.zero
    let inverse = 1 / output.scale
    residualMultiplier = residual.map { $0.scale * inverse }
    let constant = Float(output.zero) - (residual.map { $0.scale * inverse * Float($0.zero) } ?? 0)
    folded = FoldedScales(scales, bias, input: input, output: output, constant: constant)
    self.output = output
  }
}

/// A depthwise convolution with ReLU6: int8 (u8 in and out, both with ReLU6's scale) or f32.
package final class DepthwiseConvolution: Sendable {
  package let channels: Int
  package let kernel: Int
  package let stride: Int
  /// The taps packed for a level, or f32[kernel, kernel, channels rounded up to 16]; the other is empty.
  let codes: AlignedBuffer<UInt8>
  let floats: AlignedBuffer<Float>
  let level: Level?
  let folded: FoldedScales
  /// As a ``QuantizedConvolution``'s.
  package var isBounded: Bool { folded.isBounded(inputs: kernel * kernel) }

  /// - Parameters:
  ///   - codes: s8[channels, kernel, kernel] with `scales` f32[channels]; `bias` f32[channels].
  ///   - kernel: 3 or 5.
  ///   - stride: 1 or 2.
  package init(
    codes: Span<Int8>, scales: Span<Float>, bias: Span<Float>, kernel: Int, stride: Int, for kernels: KernelSet
  ) {
    precondition(
      (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2) && codes.count == bias.count * kernel * kernel,
      "DepthwiseConvolution: shapes disagree")
    self.codes = AlignedBuffer(count: csimd_packed_bytes_depthwise(bias.count, kernel), repeating: 0)
    unsafe kernels.table.pack_depthwise(bias.count, kernel, codes.address, self.codes.address)
    level = kernels.level
    floats = AlignedBuffer(count: 0, repeating: 0)
    folded = FoldedScales(scales, bias, input: .relu6, output: .relu6, constant: 0)
    (channels, self.kernel, self.stride) = (bias.count, kernel, stride)
  }

  /// - Parameter weights: f32[channels, kernel, kernel].
  package init(weights: Span<Float>, bias: Span<Float>, kernel: Int, stride: Int) {
    precondition(
      (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2) && weights.count == bias.count * kernel * kernel,
      "DepthwiseConvolution: shapes disagree")
    let wide = (bias.count + 15) / 16 * 16
    let w = AlignedBuffer<Float>(count: kernel * kernel * wide, repeating: 0)
    for c in 0..<bias.count {
      for tap in 0..<kernel * kernel { w[tap * wide + c] = weights[c * kernel * kernel + tap] }
    }
    codes = AlignedBuffer(count: 0, repeating: 0)
    floats = w
    level = nil
    folded = FoldedScales(bias: bias)
    (channels, self.kernel, self.stride) = (bias.count, kernel, stride)
  }
}

/// scales * input / output and bias / output + constant: what turns an exact sum into an output code.
struct FoldedScales: Sendable {
  let multiplier: AlignedBuffer<Float>
  let offset: AlignedBuffer<Float>

  init(_ scales: Span<Float>, _ bias: Span<Float>, input: ActivationScale, output: ActivationScale, constant: Float) {
    let multiplier = AlignedBuffer<Float>(count: scales.count, repeating: 0)
    let offset = AlignedBuffer<Float>(count: scales.count, repeating: 0)
    for i in 0..<scales.count {
      multiplier[i] = scales[i] * input.scale / output.scale
      offset[i] = bias[i] / output.scale + constant
    }
    self.multiplier = multiplier
    self.offset = offset
  }

  /// Whether no sum over so many inputs, with what is added to it, leads beyond what a kernel can round: half of 32 bits. What is no number does.
  func isBounded(inputs: Int, added: Float = 0) -> Bool {
    let sum = Float(inputs) * 255 * 127
    return (0..<multiplier.count).allSatisfy { abs(multiplier[$0]) * sum + abs(offset[$0]) + added < 0x1p30 }
  }

  /// The bias alone, for a layer in f32.
  init(bias: Span<Float>) {
    multiplier = AlignedBuffer(count: 0, repeating: 0)
    offset = AlignedBuffer(copying: bias)
  }
}

/// Where TensorFlow's SAME padding puts a window: total = max((ceil(n / s) - 1) s + k - n, 0), the smaller half before.
package struct SamePadding: Sendable, Equatable {
  package let output: Int
  package let before: Int
  package let after: Int

  package init(size: Int, kernel: Int, stride: Int) {
    output = (size + stride - 1) / stride
    let total = max((output - 1) * stride + kernel - size, 0)
    before = total / 2
    after = total - before
  }
}

extension KernelSet {
  /// Y = the quantised convolution of `rows` rows.
  ///
  /// - Parameters:
  ///   - x: u8[rows, inputs], inputs a multiple of 4.
  ///   - residual: u8[rows, outputs], where the layer has one.
  ///   - starts: where each row of the output starts in `y`, for an image with a border; nil for rows that follow.
  ///   - part: the rows to make, on this thread alone; nil for all, divided among the threads.
  package func convolve(
    _ layer: QuantizedConvolution, _ x: AlignedBuffer<UInt8>, rows: Int, residual: AlignedBuffer<UInt8>? = nil,
    starts: RowStarts? = nil, into y: AlignedBuffer<UInt8>, part: Range<Int>? = nil
  ) {
    let (n, k) = (layer.outputs, layer.inputs)
    let lda = (k + 3) / 4 * 4
    precondition(layer.matrix.level == level, "the layer was packed for level \(layer.matrix.level.rawValue)")
    precondition(x.count >= rows * lda && (residual?.count ?? rows * n) >= rows * n, "convolve: shapes disagree")
    precondition((residual == nil) == (layer.residualMultiplier == nil), "convolve: a residual too many or too few")
    precondition(layer.matrix.isInt8, "the layer is not int8")
    assert(layer.isBounded, "the layer's numbers are beyond 32 bits")
    if let starts {
      precondition(starts.rows == rows && starts.width == n && y.count >= starts.end, "convolve: shapes disagree")
    } else {
      precondition(y.count >= rows * n, "convolve: shapes disagree")
    }
    nonisolated(unsafe) let args = unsafe csimd_gemm_u8_u8_args(
      product: csimd_product_u8(
        m: rows, n: n, k: k, a: x.address, lda: lda, a_zero: Int32(layer.inputZero),
        w: layer.matrix.codes.address, w_sum: layer.matrix.sums.address),
      scale: layer.folded.multiplier.address, bias: layer.folded.offset.address,
      residual: residual.map { unsafe UnsafePointer($0.address) },
      residual_scale: layer.residualMultiplier ?? 0, c: y.address,
      c_row: starts.map { unsafe UnsafePointer($0.starts.address) })
    @Sendable func make(row: Int, count: Int, first: Int, end: Int) {
      var own = unsafe args
      unsafe own.product.m = count
      unsafe own.product.a += row * lda
      unsafe own.residual = args.residual.map { unsafe $0 + row * n }
      if unsafe own.c_row != nil {
        unsafe own.c_row += row
      } else {
        unsafe own.c += row * n
      }
      unsafe table.gemm_u8_u8(&own, first, end)
    }
    if let part {
      precondition(part.lowerBound >= 0 && part.upperBound <= rows, "convolve: shapes disagree")
      make(row: part.lowerBound, count: part.count, first: 0, end: (n + table.panel_s8 - 1) / table.panel_s8)
    } else {
      forTiles(rows: rows, outputs: n, inputs: layer.matrix.inputs, panel: table.panel_s8, make)
    }
  }

  /// Y = relu6(depthwise(X) + bias) of a square image whose border is in `x` already.
  ///
  /// - Parameters:
  ///   - x: u8[border + side + border, the same, channels].
  ///   - side: of the input, without its border.
  ///   - y: u8[output, output, channels].
  ///   - part: the rows of the image to make, on this thread alone; nil for all, divided among the threads.
  package func depthwise(
    _ layer: DepthwiseConvolution, _ x: AlignedBuffer<UInt8>, side: Int, into y: AlignedBuffer<UInt8>, part: Range<Int>? = nil
  ) {
    precondition(layer.level == level, "the layer is not int8, or packed for another level")
    unsafe depthwise(
      layer, x.count, x.address, layer.codes.address, side: side, y.count, y.address, part: part, table.depthwise_u8)
  }

  /// The same in f32.
  package func depthwise(
    _ layer: DepthwiseConvolution, _ x: AlignedBuffer<Float>, side: Int, into y: AlignedBuffer<Float>
  ) {
    precondition(layer.floats.count > 0, "the layer is not f32")
    unsafe depthwise(
      layer, x.count, x.address, layer.floats.address, side: side, y.count, y.address, part: nil, table.depthwise_f32)
  }

  private func depthwise(
    _ layer: DepthwiseConvolution, _ available: Int, _ x: UnsafeRawPointer, _ w: UnsafeRawPointer, side: Int,
    _ room: Int, _ y: UnsafeMutableRawPointer, part: Range<Int>?,
    _ kernel: @convention(c) (UnsafePointer<csimd_depthwise_args>?, Int, Int) -> Void
  ) {
    let padding = SamePadding(size: side, kernel: layer.kernel, stride: layer.stride)
    let bordered = side + padding.before + padding.after
    let c = layer.channels
    precondition(
      available >= bordered * bordered * c && room >= padding.output * padding.output * c,
      "depthwise: shapes disagree")
    nonisolated(unsafe) let args = unsafe csimd_depthwise_args(
      height: padding.output, width: padding.output, channels: c, kernel: layer.kernel, stride: layer.stride, x: x,
      row: bordered * c, w: w, scale: layer.folded.multiplier.address, bias: layer.folded.offset.address, y: y)
    if let part {
      precondition(part.lowerBound >= 0 && part.upperBound <= padding.output, "depthwise: shapes disagree")
      return unsafe withUnsafePointer(to: args) { unsafe kernel($0, part.lowerBound, part.upperBound) }
    }
    forStrips(of: padding.output) { strip in
      unsafe withUnsafePointer(to: args) { unsafe kernel($0, strip.lowerBound, strip.upperBound) }
    }
  }

  /// `body(rows)` over strips of an image's `side` rows, one or two a thread: what is made of a strip is made of it on the same thread, without waiting
  /// for the other strips in between. False, and nothing is run, where there is one thread, or a product is divided better by its weights.
  package func inStrips(of side: Int, before layer: QuantizedConvolution, _ body: @Sendable (Range<Int>) -> Void) -> Bool {
    let isByPanels = isByPanels(rows: side * side, outputs: layer.outputs, inputs: layer.inputs, panel: table.panel_s8)
    guard threads > 1, !isByPanels else { return false }
    forStrips(of: side, body)
    return true
  }

  /// One or two strips a thread, as two rows of a depthwise convolution take less than twice the time of one.
  private func forStrips(of side: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let each = (side + threads - 1) / threads
    let strip = threads > 1 && each >= 14 ? (each + 1) / 2 : each
    parallelFor((side + strip - 1) / strip) { body($0 * strip..<min(side, ($0 + 1) * strip)) }
  }

  /// Writes `byte` to every byte of the border around a square image, for the window that comes next.
  package func fillBorder<Element: BitwiseCopyable>(
    of x: AlignedBuffer<Element>, side: Int, channels: Int, padding: SamePadding, byte: UInt8
  ) {
    let bordered = side + padding.before + padding.after
    let pixel = channels * MemoryLayout<Element>.stride
    let row = bordered * pixel
    precondition(x.count >= bordered * bordered * channels, "fillBorder: shapes disagree")
    let p = unsafe UnsafeMutableRawPointer(x.address)
    unsafe memset(p, Int32(byte), padding.before * row + padding.before * pixel)
    for y in padding.before..<padding.before + side - 1 {
      // The right border of a row and the left one of the next lie side by side.
      unsafe memset(
        p + y * row + (padding.before + side) * pixel, Int32(byte), (padding.after + padding.before) * pixel)
    }
    let last = (padding.before + side - 1) * row + (padding.before + side) * pixel
    unsafe memset(p + last, Int32(byte), bordered * row - last)
  }

  /// Copies a square image into one with a border; the border is left as it is.
  package func copyInside<Element: BitwiseCopyable>(
    _ x: AlignedBuffer<Element>, side: Int, channels: Int, padding: SamePadding, into y: AlignedBuffer<Element>
  ) {
    let bordered = side + padding.before + padding.after
    precondition(
      x.count >= side * side * channels && y.count >= bordered * bordered * channels, "copyInside: shapes disagree")
    let (from, to) = unsafe (x.address, y.address + (padding.before * bordered + padding.before) * channels)
    for row in 0..<side {
      unsafe (to + row * bordered * channels).update(from: from + row * side * channels, count: side * channels)
    }
  }

  /// Unrolls the windows of a square three-channel image: Y[output^2, kernel * kernel * 3 (padded to `columns`)], taps
  /// in the order row, column, channel.
  ///
  /// - Parameters:
  ///   - x: [side, side, 3].
  ///   - border: what lies around the image.
  ///   - part: the rows of windows to unroll, on this thread alone; nil for all, divided among the threads.
  package func unroll<Element: BitwiseCopyable & Sendable>(
    _ x: AlignedBuffer<Element>, side: Int, kernel: Int, stride: Int, columns: Int, border: Element, into y: AlignedBuffer<Element>,
    part: Range<Int>? = nil
  ) {
    let padding = SamePadding(size: side, kernel: kernel, stride: stride)
    let (before, output) = (padding.before, padding.output)
    precondition(
      x.count >= side * side * 3 && columns >= kernel * kernel * 3 && y.count >= output * output * columns
        && part.map { $0.lowerBound >= 0 && $0.upperBound <= output } != false, "unroll: shapes disagree")
    let size = MemoryLayout<Element>.stride
    let bytes = kernel * 3 * size
    // The windows of a row that lie inside the image.
    let first = min(output, (before + stride - 1) / stride)
    let room = side - kernel + before
    let inside = first..<max(first, room < 0 ? 0 : min(output, room / stride + 1))
    /// Row `line` of the window at `column`, which reaches beyond the image.
    @Sendable func edge(_ line: Int, _ column: Int, _ out: Int) {
      for j in 0..<kernel {
        let place = column * stride + j - before
        let to = unsafe y.address + out + 3 * j
        if (0..<side).contains(line), (0..<side).contains(place) {
          unsafe to.update(from: x.address + (line * side + place) * 3, count: 3)
        } else {
          unsafe to.update(repeating: border, count: 3)
        }
      }
    }
    @Sendable func row(_ row: Int) {
      for i in 0..<kernel {
        let line = row * stride + i - before
        let start = row * output * columns + i * kernel * 3
        let whole = (0..<side).contains(line) ? inside : 0..<0
        for column in 0..<whole.lowerBound { edge(line, column, start + column * columns) }
        var window = unsafe UnsafeRawPointer(x.address) + (line * side + whole.lowerBound * stride - before) * 3 * size
        var out = unsafe UnsafeMutableRawPointer(y.address) + (start + whole.lowerBound * columns) * size
        for _ in whole {
          // A call of memmove would take longer than the nine bytes of u8: moves of a known length need none.
          if bytes == 9 {
            unsafe out.copyMemory(from: window, byteCount: 8)
            unsafe (out + 8).copyMemory(from: window + 8, byteCount: 1)
          } else {
            unsafe out.copyMemory(from: window, byteCount: bytes)
          }
          unsafe window += stride * 3 * size
          unsafe out += columns * size
        }
        for column in whole.upperBound..<output { edge(line, column, start + column * columns) }
      }
    }
    if let part {
      for r in part { row(r) }
    } else {
      parallelFor(output) { row($0) }
    }
  }
}

extension KernelSet {
  /// Lays the positions under every cell of a square image side by side: Y[(side / cell)^2, cell * cell * channels], rows and
  /// positions row by row.
  package func unrollCells<Element: BitwiseCopyable>(
    _ x: AlignedBuffer<Element>, side: Int, channels: Int, cell: Int, into y: AlignedBuffer<Element>
  ) {
    let count = side * side * channels
    precondition(side % cell == 0 && x.count >= count && y.count >= count, "unrollCells: shapes disagree")
    let run = cell * channels
    for row in 0..<side {
      for column in 0..<side / cell {
        let to = ((row / cell * (side / cell) + column) * cell + row % cell) * run
        unsafe (y.address + to).update(from: x.address + (row * (side / cell) + column) * run, count: run)
      }
    }
  }
}

/// Where each pixel of a square image starts inside an image with a border.
package final class RowStarts: Sendable {
  let starts: AlignedBuffer<UInt32>
  let width: Int
  /// The last element that a row reaches, plus one.
  let end: Int
  var rows: Int { starts.count }

  package init(side: Int, channels: Int, padding: SamePadding) {
    let bordered = side + padding.before + padding.after
    let starts = AlignedBuffer<UInt32>(count: side * side, repeating: 0)
    for y in 0..<side {
      for x in 0..<side {
        starts[y * side + x] = UInt32(((y + padding.before) * bordered + x + padding.before) * channels)
      }
    }
    self.starts = starts
    width = channels
    end = ((side - 1 + padding.before) * bordered + side + padding.before) * channels
  }
}
