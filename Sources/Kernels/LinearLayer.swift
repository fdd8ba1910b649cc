import CFTFSIMD

/// A matrix of weights packed for a level: int8, or f32. Never written to a file.
package struct PackedMatrix: Sendable {
  let inputs: Int
  let outputs: Int
  let level: Level
  let isInt8: Bool
  /// Packed codes and the sum of each output's codes, or packed floats; what is not used is empty.
  let codes: AlignedBuffer<UInt8>
  let sums: AlignedBuffer<Int32>
  let floats: AlignedBuffer<Float>

  /// - Parameter codes: s8[outputs, inputs] in [-127, 127]; inputs at most 65,536 so that sums are exact.
  init(codes: Span<Int8>, inputs: Int, outputs: Int, for kernels: KernelSet) {
    precondition(inputs > 0 && inputs <= 65536 && codes.count == outputs * inputs, "PackedMatrix: shapes disagree")
    let panel = kernels.table.panel_s8
    let bytes = csimd_packed_bytes_s8(outputs, inputs, panel)
    let packed = AlignedBuffer<UInt8>(count: bytes, repeating: 0)
    unsafe kernels.table.pack_s8(outputs, inputs, codes.address, packed.address)
    let sums = AlignedBuffer<Int32>(count: (outputs + panel - 1) / panel * panel, repeating: 0)
    if let first = unsafe codes.address {
      for row in 0..<outputs {
        // Without checks it is done in vectors: at most 65,536 codes overflow nothing.
        var sum: Int32 = 0
        for i in row * inputs..<(row + 1) * inputs { unsafe sum &+= Int32(first[i]) }
        sums[row] = sum
      }
    }
    isInt8 = true
    self.codes = packed
    self.sums = sums
    floats = AlignedBuffer(count: 0, repeating: 0)
    (self.inputs, self.outputs, level) = (inputs, outputs, kernels.level)
  }

  /// - Parameter weights: f32[outputs, inputs].
  init(weights: Span<Float>, inputs: Int, outputs: Int, for kernels: KernelSet) {
    precondition(inputs > 0 && weights.count == outputs * inputs, "PackedMatrix: shapes disagree")
    let panel = kernels.table.panel_f32
    let packed = AlignedBuffer<Float>(count: (outputs + panel - 1) / panel * panel * inputs, repeating: 0)
    unsafe kernels.table.pack_f32(outputs, inputs, weights.address, packed.address)
    isInt8 = false
    floats = packed
    codes = AlignedBuffer(count: 0, repeating: 0)
    sums = AlignedBuffer(count: 0, repeating: 0)
    (self.inputs, self.outputs, level) = (inputs, outputs, kernels.level)
  }
}

/// The weights of one linear layer, or of a 1x1 convolution in fp32: y = act(W x + bias).
package final class LinearLayer: Sendable {
  let matrix: PackedMatrix
  /// f32[outputs]; empty where the weights are f32.
  let scales: AlignedBuffer<Float>
  /// f32[outputs].
  let bias: AlignedBuffer<Float>
  /// f32[inputs]: what the input's columns are multiplied by before they are quantised; nil for ones.
  let columns: AlignedBuffer<Float>?

  package var inputs: Int { matrix.inputs }
  package var outputs: Int { matrix.outputs }
  /// Whether the input may come quantised already.
  package var takesCodes: Bool { matrix.isInt8 && columns == nil && inputs % 4 == 0 }

  /// W[outputs, inputs] = scales[outputs] * codes * columns[inputs], for inputs quantised by row.
  package init(
    codes: Span<Int8>, scales: Span<Float>, bias: Span<Float>, columns: AlignedBuffer<Float>? = nil, inputs: Int,
    for kernels: KernelSet
  ) {
    precondition(columns?.count ?? inputs == inputs, "LinearLayer: shapes disagree")
    self.columns = columns
    precondition(scales.count == bias.count, "LinearLayer: shapes disagree")
    matrix = PackedMatrix(codes: codes, inputs: inputs, outputs: bias.count, for: kernels)
    self.scales = AlignedBuffer(copying: scales)
    self.bias = AlignedBuffer(copying: bias)
  }

  /// - Parameter weights: f32[outputs, inputs], outputs the count of `bias`.
  package init(weights: Span<Float>, bias: Span<Float>, inputs: Int, for kernels: KernelSet) {
    matrix = PackedMatrix(weights: weights, inputs: inputs, outputs: bias.count, for: kernels)
    scales = AlignedBuffer(count: 0, repeating: 0)
    columns = nil
    self.bias = AlignedBuffer(copying: bias)
  }
}

/// Room for the row-quantised input of a linear layer; reused from layer to layer.
package struct QuantizedRows: Sendable {
  let codes: AlignedBuffer<UInt8>
  let scales: AlignedBuffer<Float>

  /// Room for `rows` rows of at most `columns`.
  package init(rows: Int, columns: Int) {
    codes = AlignedBuffer(count: rows * Self.stride(columns), repeating: 0)
    scales = AlignedBuffer(count: rows, repeating: 0)
  }

  /// Elements from one row of codes to the next.
  static func stride(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }
}

package enum LinearActivation: Sendable {
  case none
  /// x Phi(x)
  case gelu
  /// x / (1 + exp(-1.702 x))
  case quickGELU
  /// min(max(x, 0), 6)
  case relu6

  var code: csimd_activation {
    switch self {
    case .none: csimd_activation_none
    case .gelu: csimd_activation_gelu
    case .quickGELU: csimd_activation_quickgelu
    case .relu6: csimd_activation_relu6
    }
  }
}

extension KernelSet {
  /// Y = act(X W^T + bias), or Y += act(X W^T + bias).
  ///
  /// - Parameters:
  ///   - x: f32[rows, inputs].
  ///   - adding: whether the product is added to what `y` holds.
  ///   - quantized: room for the input of an int8 layer: at least `rows` rows of `inputs`.
  ///   - y: f32[rows, outputs].
  package func linear(
    _ layer: LinearLayer, _ x: AlignedBuffer<Float>, rows: Int, activation: LinearActivation = .none,
    adding: Bool = false,
    quantized: QuantizedRows, into y: AlignedBuffer<Float>
  ) {
    let (m, n, k) = (rows, layer.outputs, layer.inputs)
    precondition(layer.matrix.level == level, "the layer was packed for level \(layer.matrix.level.rawValue)")
    precondition(x.count >= m * k && y.count >= m * n, "linear: shapes disagree")
    guard m > 0, n > 0 else { return }
    if layer.matrix.isInt8 {
      let stride = QuantizedRows.stride(k)
      precondition(quantized.codes.count >= m * stride && quantized.scales.count >= m, "no room for the quantised rows")
      nonisolated(unsafe) let columns = unsafe layer.columns.map { unsafe UnsafePointer($0.address) }
      nonisolated(unsafe) let (x, codes, scales) = unsafe (x.address, quantized.codes.address, quantized.scales.address)
      forRowBlocks(m) { first, count in
        unsafe table.quantize_rows(
          count, k, x + first * k, k, columns, codes + first * stride, stride, 0x80, scales + first)
      }
      unsafe gemm(layer, codes, stride: stride, zero: 128, scales, rows: m, activation, adding: adding, y.address)
    } else {
      let c = unsafe y.address
      nonisolated(unsafe) let args = unsafe csimd_gemm_f32_args(
        m: m, n: n, k: k, a: x.address, lda: k, w: layer.matrix.floats.address, bias: layer.bias.address,
        activation: activation.code, residual: adding ? UnsafePointer(c) : nil, ldr: n, c: c, ldc: n)
      forTiles(rows: m, outputs: n, inputs: layer.inputs, panel: table.panel_f32) { row, count, first, end in
        var part = unsafe args
        unsafe part.m = count
        unsafe part.a += row * k
        unsafe part.c += row * n
        unsafe part.residual = args.residual.map { unsafe $0 + row * n }
        unsafe table.gemm_f32(&part, first, end)
      }
    }
  }

  /// Y = X W^T + bias, or Y += X W^T + bias, for an int8 layer whose input is quantised already: x = scale * (codes - zero).
  ///
  /// - Parameters:
  ///   - codes: u8[rows, inputs], inputs a multiple of 4.
  ///   - quantized: room for `rows` scales.
  package func linear(
    _ layer: LinearLayer, codes: AlignedBuffer<UInt8>, scale: Float, zero: Int, rows: Int, adding: Bool = false,
    quantized: QuantizedRows, into y: AlignedBuffer<Float>
  ) {
    precondition(
      layer.takesCodes && codes.count >= rows * layer.inputs
        && y.count >= rows * layer.outputs
        && quantized.scales.count >= rows && layer.matrix.level == level, "linear: shapes disagree")
    for row in 0..<rows { unsafe quantized.scales.address[row] = scale }
    unsafe gemm(
      layer, codes.address, stride: layer.inputs, zero: zero, quantized.scales.address, rows: rows, .none,
      adding: adding, y.address)
  }

  private func gemm(
    _ layer: LinearLayer, _ codes: UnsafePointer<UInt8>, stride: Int, zero: Int, _ scales: UnsafePointer<Float>,
    rows: Int, _ activation: LinearActivation, adding: Bool, _ c: UnsafeMutablePointer<Float>
  ) {
    precondition(layer.matrix.isInt8, "the layer is not int8")
    let n = layer.outputs
    nonisolated(unsafe) let args = unsafe csimd_gemm_u8_f32_args(
      product: csimd_product_u8(
        m: rows, n: n, k: layer.inputs, a: codes, lda: stride, a_zero: Int32(zero),
        w: layer.matrix.codes.address, w_sum: layer.matrix.sums.address),
      a_scale: scales, scale: layer.scales.address, bias: layer.bias.address, activation: activation.code,
      residual: adding ? UnsafePointer(c) : nil, ldr: n, c: c, ldc: n)
    forTiles(rows: rows, outputs: n, inputs: layer.inputs, panel: table.panel_s8) { row, count, first, end in
      var part = unsafe args
      unsafe part.product.m = count
      unsafe part.product.a += row * stride
      unsafe part.a_scale += row
      unsafe part.c += row * n
      unsafe part.residual = args.residual.map { unsafe $0 + row * n }
      unsafe table.gemm_u8_f32(&part, first, end)
    }
  }

  func isByPanels(rows: Int, outputs: Int, inputs: Int, panel: Int) -> Bool {
    // Few panels are not as much for each thread.
    let panels = (outputs + panel - 1) / panel
    return (panels >= 4 * threads || panels >= 2 * threads && rows < 48) && inputs * outputs > rows * (inputs + outputs)
  }

  /// `body(row, count, firstPanel, endPanel)` over a division of the product: by panels, so that each thread reads its own weights, where those are more
  /// than what goes in and comes out; else by rows, which the next layer divides likewise and finds in its own cache.
  func forTiles(rows: Int, outputs: Int, inputs: Int, panel: Int, _ body: @Sendable (Int, Int, Int, Int) -> Void) {
    let panels = (outputs + panel - 1) / panel
    if threads == 1 { return body(0, rows, 0, panels) }
    if isByPanels(rows: rows, outputs: outputs, inputs: inputs, panel: panel) { return parallelFor(panels) { body(0, rows, $0, $0 + 1) } }
    let block = max(24, rows / (8 * threads) / 24 * 24)
    parallelFor((rows + block - 1) / block) { body($0 * block, min(block, rows - $0 * block), 0, panels) }
  }
}
