import FTFKernels

/// A layer's weights in int8: scale of its row * code [* the factor of its column].
package struct RoundedLayer: Sendable {
  /// s8[rows, columns] in [-127, 127].
  package var codes: [Int8]
  /// f32[rows].
  package var scales: [Float]
  /// f32[columns], what the input is multiplied by before it is quantised; nil for ones.
  package var columns: [Float]?

  package init(codes: [Int8], scales: [Float], columns: [Float]? = nil) {
    (self.codes, self.scales, self.columns) = (codes, scales, columns)
  }

  /// code = round-half-even(value / scale).
  package init(nearest floats: [Float], rows: Int) {
    scales = Self.scales(of: floats, rows: rows)
    let size = floats.count / rows
    codes = [Int8](repeating: 0, count: floats.count)
    for row in 0..<rows where scales[row] > 0 {
      // Adding and taking off 1.5 * 2^23 rounds half to even, exactly for magnitudes below 2^22, without a call.
      let (shift, scale): (Float, Float) = (12_582_912, scales[row])
      for i in row * size..<(row + 1) * size { codes[i] = Int8((floats[i] / scale + shift - shift).clamped(to: -127...127)) }
    }
  }

  /// max |row| / 127 by row; 0 for so small a row that it is one of zeros.
  package static func scales(of floats: [Float], rows: Int) -> [Float] {
    let size = floats.count / rows
    return (0..<rows).map { row in
      var most: Float = 0
      for i in row * size..<(row + 1) * size { most = abs(floats[i]) > most ? abs(floats[i]) : most }
      return most / 127
    }
  }
}

extension SourceModel {
  /// Writes the model in int8: matrices, kernels and the token embedding with a scale a row; vectors stay fp32.
  ///
  /// - Parameters:
  ///   - precision: `int8`, or `int8Weights` for weights alone.
  ///   - activations: scales of the block outputs, by layer name (`vision.blocks.I`).
  ///   - images: how many images the scales come from.
  ///   - rounded: layers whose codes are known; the others take the nearest codes.
  ///   - escapes: layers, or beginnings of their names, that stay fp32.
  ///   - card: what the quantisation cost, as JSON, for the file to carry.
  /// - Throws: where an escape names no layer, or one that has no fp32 arithmetic in an int8 model.
  package func write(
    int8 path: String, precision: Precision = .int8, activations: [String: ActivationScale],
    calibrationImages images: Int,
    rounded: [String: RoundedLayer] = [:], escapes: [String] = [], card: String? = nil
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
      let known = rounded[layer]
      var plans = [TensorPlan(name, .i8, values.shape), TensorPlan("\(name)_scale", .f32, [rows])]
      if let columns = known?.columns { plans.append(TensorPlan("\(layer).columns", .f32, [columns.count])) }
      return LazyTensors(plans) { () throws(WeightsError) in
        let layer: RoundedLayer
        if let known { layer = known } else { layer = RoundedLayer(nearest: try values.load(), rows: rows) }
        var stored = [
          StoredTensor(name, shape: values.shape, .i8(layer.codes)), StoredTensor("\(name)_scale", shape: [rows], .f32(layer.scales)),
        ]
        if let columns = layer.columns {
          stored.append(StoredTensor("\(name.dropLast(".weight".count)).columns", shape: [columns.count], .f32(columns)))
        }
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
}
