import Kernels

/// Symmetric int8 with one scale a row: scale = max |row| / 127, code = round-half-even(value / scale).
package func quantizedRows(_ floats: [Float], rows: Int) -> (codes: [Int8], scales: [Float]) {
  let size = floats.count / rows
  var codes = [Int8](repeating: 0, count: floats.count)
  var scales = [Float](repeating: 0, count: rows)
  for row in 0..<rows {
    let range = row * size..<(row + 1) * size
    let most = floats[range].reduce(0) { max($0, abs($1)) }
    scales[row] = most / 127
    guard most > 0 else { continue }
    for i in range { codes[i] = Int8((floats[i] / scales[row]).rounded(.toNearestOrEven).clamped(to: -127...127)) }
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
  ///   - activations: scales of the block outputs, by layer name (`vision.blocks.I`).
  ///   - images: how many images the scales come from.
  package func write(
    int8 path: String, activations: [String: ActivationScale], calibrationImages images: Int
  ) throws(WeightsError) {
    var stored: [StoredTensor] = []
    for (name, tensor) in tensors {
      guard name.hasSuffix(".weight"), tensor.shape.count > 1 else {
        stored.append(StoredTensor(name, shape: tensor.shape, .f32(tensor.floats)))
        continue
      }
      let (codes, scales) = quantizedRows(tensor.floats, rows: tensor.shape[0])
      stored.append(StoredTensor(name, shape: tensor.shape, .i8(codes)))
      stored.append(StoredTensor("\(name)_scale", shape: [tensor.shape[0]], .f32(scales)))
    }
    var config = config
    config.precision = .int8
    config.activations = activations
    config.calibrationImages = images
    try write(stored, config, to: path)
  }
}
