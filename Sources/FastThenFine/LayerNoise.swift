import FTFEncoders
import Foundation
import FTFKernels
import FTFWeights

/// The noise that each quantised layer of a model has in its weights and adds to its output.
struct LayerNoise {
  private let exact: Model
  private let quantized: Model
  private let kernels: KernelSet
  private var powers: [String: (signal: Double, noise: Double)] = [:]
  private var failure: (any Error)?
  /// Of the block that is visited.
  private var layers: [String: (exact: LinearLayer, quantized: LinearLayer)] = [:]

  private init(_ exact: Model, _ quantized: Model, _ kernels: KernelSet) {
    (self.exact, self.quantized, self.kernels) = (exact, quantized, kernels)
  }

  /// The noisiest first.
  static func measure(
    exact: Model, quantized: Model, _ samples: Samples, with kernels: KernelSet
  ) throws -> [AccuracyCard.Layer] {
    var noise = LayerNoise(exact, quantized, kernels)
    // Few images are enough: each has as many rows as a model has patches.
    let images = samples.images.everyFew(16)
    try visitLayers(of: exact, sentences: samples.sentences, images: images, with: kernels) {
      noise.add($0, $1, rows: $2)
    }
    if let failure = noise.failure { throw failure }
    if case .efficientNetLite = exact.config.vision { try noise.addBlocks(images) }
    if quantized.weights.isInt8("text.token_embedding.weight"), !samples.sentences.isEmpty {
      let (a, _) = try TextEmbedding(exact).embed(samples.sentences, with: kernels)
      let (b, _) = try TextEmbedding(quantized).embed(samples.sentences, with: kernels)
      noise.add("text.token_embedding", a.values, b.values)
    }
    let outputs = noise.powers.mapValues(decibels)
    let weights = try noise.weights()
    let layers = Set(outputs.keys).union(weights.keys).map {
      AccuracyCard.Layer(name: $0, output: outputs[$0], weights: weights[$0])
    }
    return layers.sorted {
      ($0.output ?? 1000, $0.weights ?? 1000, $0.name) < ($1.output ?? 1000, $1.weights ?? 1000, $1.name)
    }
  }

  private static func decibels(_ power: (signal: Double, noise: Double)) -> Double {
    power.noise > 0 ? min(10 * log10(power.signal / power.noise), 200) : 200
  }

  /// Of every int8 tensor, by the layer's name.
  private func weights() throws -> [String: Double] {
    var result: [String: Double] = [:]
    for name in quantized.weights.names where quantized.weights.isInt8(name) {
      guard let shape = quantized.weights.shape(name), shape[0] > 0 else { continue }
      let layer = String(name.dropLast(".weight".count))
      let floats = try exact.weights.floats(name, shape: shape)
      let codes = try quantized.weights.codes(name, shape: shape)
      let scales = try quantized.weights.floats("\(name)_scale", shape: [shape[0]])
      let size = codes.count / shape[0]
      let columns = try quantized.columns(layer, count: size)
      var power = (signal: 0.0, noise: 0.0)
      for i in codes.indices {
        let value = scales[i / size] * Float(codes[i]) * (columns?[i % size] ?? 1)
        let difference = Double(floats[i] - value)
        power.signal += Double(floats[i]) * Double(floats[i])
        power.noise += difference * difference
      }
      result[layer] = Self.decibels(power)
    }
    return result
  }

  private mutating func add(_ name: String, _ exact: [Float], _ other: [Float]) {
    var (signal, noise) = powers[name] ?? (0, 0)
    for i in exact.indices {
      let (a, b) = (Double(exact[i]), Double(other[i]))
      signal += a * a
      noise += (a - b) * (a - b)
    }
    powers[name] = (signal, noise)
  }

  /// A linear layer, from fp32's input.
  private mutating func add(_ name: String, _ input: AlignedBuffer<Float>, rows: Int) {
    guard failure == nil, quantized.weights.isInt8("\(name).weight") else { return }
    do {
      let pair = try self.pair(name)
      let room = QuantizedRows(rows: rows, columns: pair.exact.inputs)
      func output(_ layer: LinearLayer) -> [Float] {
        let y = AlignedBuffer<Float>(count: rows * layer.outputs, repeating: 0)
        kernels.linear(layer, input, rows: rows, quantized: room, into: y)
        return y.values
      }
      add(name, output(pair.exact), output(pair.quantized))
    } catch {
      failure = error
    }
  }

  private mutating func pair(_ name: String) throws -> (exact: LinearLayer, quantized: LinearLayer) {
    if let known = layers[name] { return known }
    if layers.count == 4 { layers.removeAll() }
    let pair = (try exact.linear(name, for: kernels), try quantized.linear(name, for: kernels))
    layers[name] = pair
    return pair
  }

  /// The outputs of a convolutional tower's blocks.
  private mutating func addBlocks(_ images: [AlignedBuffer<UInt8>]) throws {
    let (a, b) = (try ImageEncoder(exact, for: kernels), try ImageEncoder(quantized, for: kernels))
    for pixels in images {
      var outputs: [String: [Float]] = [:]
      _ = a.encode(pixels, with: kernels, probe: ImageProbe(output: { outputs[$0] = $1 }))
      var others: [String: [Float]] = [:]
      _ = b.encode(pixels, with: kernels, probe: ImageProbe(output: { others[$0] = $1 }))
      for (name, values) in outputs { add(name, values, others[name]!) }
    }
  }
}
