import Kernels

/// Symmetric int8 with one scale a row: scale = max |row| / 127, code = round-half-even(value / scale).
package func quantizedRows(_ floats: [Float], rows: Int) -> (codes: [Int8], scales: [Float]) {
  let size = floats.count / rows
  var codes = [Int8](repeating: 0, count: floats.count)
  var scales = [Float](repeating: 0, count: rows)
  for row in 0..<rows {
    let range = row * size..<(row + 1) * size
    var most: Float = 0
    for i in range { most = abs(floats[i]) > most ? abs(floats[i]) : most }
    scales[row] = most / 127
    // So small a row that its scale is zero is a row of zeros.
    guard scales[row] > 0 else { continue }
    // Adding and taking off 1.5 * 2^23 rounds half to even, exactly for magnitudes below 2^22, without a call.
    let shift: Float = 12_582_912
    for i in range { codes[i] = Int8((floats[i] / scales[row] + shift - shift).clamped(to: -127...127)) }
  }
  return (codes, scales)
}

extension Comparable {
  package func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}

extension SourceModel {
  /// Writes the model in int8: matrices, kernels and the token embedding with a scale a row; vectors stay fp32.
  ///
  /// - Parameters:
  ///   - precision: `int8`, or `int8Weights` for weights alone.
  ///   - activations: scales of the block outputs, by layer name (`vision.blocks.I`).
  ///   - images: how many images the scales come from.
  ///   - ranges: of layers to be smoothed, the greatest magnitude of every column of their inputs.
  ///   - escapes: layers, or beginnings of their names, that stay fp32.
  ///   - card: what the quantisation cost, as JSON, for the file to carry.
  /// - Throws: where an escape names no layer, or one that has no fp32 arithmetic in an int8 model.
  package func write(
    int8 path: String, precision: Precision = .int8, activations: [String: ActivationScale],
    calibrationImages images: Int,
    ranges: [String: [Float]] = [:], escapes: [String] = [], card: String? = nil
  ) throws(WeightsError) {
    let layers = tensors.keys.filter { $0.hasSuffix(".weight") && tensors[$0]!.shape.count > 1 }
    func isEscaped(_ name: String) -> Bool { escapes.contains { name == "\($0).weight" || name.hasPrefix("\($0).") } }
    for escape in escapes {
      let named = layers.filter { $0 == "\(escape).weight" || $0.hasPrefix("\(escape).") }
      guard !named.isEmpty else {
        throw .badConfig(path: path, reason: "there is no layer '\(escape)' to keep in fp32")
      }
      if let fixed = named.first(where: { !isEscapable(String($0.dropLast(".weight".count)), precision) }) {
        throw .badConfig(
          path: path,
          reason: "'\(fixed.dropLast(".weight".count))' is computed in int8 by every int8 model of this kind")
      }
    }
    let parts = tensors.map { name, values -> LazyTensors in
      guard name.hasSuffix(".weight"), values.shape.count > 1, !isEscaped(name) else {
        return LazyTensors([TensorPlan(name, .f32, values.shape)]) { () throws(WeightsError) in
          [StoredTensor(name, shape: values.shape, .f32(try values.load()))]
        }
      }
      let layer = String(name.dropLast(".weight".count))
      let rows = values.shape[0]
      let range = precision == .int8 ? ranges[layer] : nil
      var plans = [TensorPlan(name, .i8, values.shape), TensorPlan("\(name)_scale", .f32, [rows])]
      if let range { plans.append(TensorPlan("\(layer).columns", .f32, [range.count])) }
      return LazyTensors(plans) { () throws(WeightsError) in
        var floats = try values.load()
        var stored: [StoredTensor] = []
        if let range {
          let columns = Self.smoothing(floats, range)
          for i in floats.indices { floats[i] /= columns[i % columns.count] }
          stored.append(StoredTensor("\(layer).columns", shape: [columns.count], .f32(columns)))
        }
        let (codes, scales) = quantizedRows(floats, rows: rows)
        stored.append(StoredTensor(name, shape: values.shape, .i8(codes)))
        stored.append(StoredTensor("\(name)_scale", shape: [rows], .f32(scales)))
        return stored
      }
    }
    var config = config
    config.precision = precision
    config.activations = activations
    config.calibrationImages = images
    try write(parts, config, card: card, to: path)
  }

  /// Whether a layer can stay fp32 in a quantised model.
  package func isEscapable(_ layer: String, _ precision: Precision) -> Bool {
    guard let shape = tensors["\(layer).weight"]?.shape, shape.count > 1 else { return false }
    guard case .efficientNetLite = config.vision, precision == .int8 else { return true }
    // The projection of the patches takes the codes of the last convolution.
    return !layer.hasPrefix("vision.") || layer == "vision.projection"
  }

  /// What the input of a layer is multiplied by, so that a column that is always large does not take the codes of the others:
  /// c_j = sqrt(max_n |W_nj| / max |x_j|), which divides the difficulty between the input and the weights, as SmoothQuant does
  /// (arXiv 2211.10438).
  private static func smoothing(_ weight: [Float], _ range: [Float]) -> [Float] {
    precondition(weight.count % range.count == 0, "the range is of another layer")
    var most = [Float](repeating: 0, count: range.count)
    for i in weight.indices { most[i % most.count] = max(most[i % most.count], abs(weight[i])) }
    return zip(most, range).map { w, x in x > 1e-6 && w > 1e-6 ? (w / x).squareRoot() : 1 }
  }
}
