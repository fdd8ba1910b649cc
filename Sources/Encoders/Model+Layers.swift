import FTFKernels
import FTFWeights

/// What an encoder makes of one image.
package struct EncodedImage: Sendable, Equatable {
  /// f32[d], unit norm: the global vector g.
  package var global: [Float]
  /// f32[N, d], rows of unit norm, in order of the patch grid: P.
  package var patches: [Float]

  package init(global: [Float], patches: [Float]) { (self.global, self.patches) = (global, patches) }
}

/// What an encoder makes of one sentence.
package struct EncodedText: Sendable, Equatable {
  /// f32[d], unit norm: the sentence t.
  package var sentence: [Float]
  /// f32[M, d], rows of unit norm, one a word piece without the special tokens: W.
  package var words: [Float]
}

extension Model {
  func vector(_ name: String, count: Int) throws -> [Float] {
    try weights.floats(name, shape: [count])
  }

  /// The linear layer or 1x1 convolution `name`, packed for `kernels`.
  func linear(_ name: String, outputs: Int, inputs: Int, for kernels: KernelSet) throws -> LinearLayer {
    let bias = try vector("\(name).bias", count: outputs)
    switch try matrix(name, rows: outputs, shape: [outputs, inputs]) {
    case .fp32(let weights): return LinearLayer(weights: weights.span, bias: bias.span, inputs: inputs, for: kernels)
    case .int8(let codes, let scales):
      let columns = try columns(name, count: inputs).map { AlignedBuffer(copying: $0.span) }
      return LinearLayer(
        codes: codes.span, scales: scales.span, bias: bias.span, columns: columns, inputs: inputs, for: kernels)
    }
  }

  /// The linear layer `name` in the shape that it has.
  package func linear(_ name: String, for kernels: KernelSet) throws -> LinearLayer {
    guard let shape = weights.shape("\(name).weight"), shape.count == 2 else {
      throw WeightsError.missingTensor(path: path, tensor: "\(name).weight")
    }
    return try linear(name, outputs: shape[0], inputs: shape[1], for: kernels)
  }

  /// The codes and scales of an int8 matrix or kernel.
  func int8Matrix(_ name: String, shape: [Int]) throws -> (codes: [Int8], scales: [Float]) {
    let codes = try weights.codes("\(name).weight", shape: shape)
    return (codes, try weights.floats("\(name).weight_scale", shape: [shape[0]]))
  }
}
