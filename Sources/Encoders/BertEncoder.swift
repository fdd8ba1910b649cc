import Kernels
import Weights

/// BERT with mean pooling: ids to (t, W). Post-norm blocks; t = L2(projection of the mean over all tokens), W = L2(word
/// projection of every token but the first and the last).
package final class BertEncoder: Sendable {
  private struct Norm: Sendable {
    var weight: [Float]
    var bias: [Float]
  }

  private struct Block: Sendable {
    var qkv: LinearLayer
    var attentionOut: LinearLayer
    var norm1: Norm
    var mlpIn: LinearLayer
    var mlpOut: LinearLayer
    var norm2: Norm
  }

  private let config: TextConfig
  package let dimension: Int
  private let embedding: StoredMatrix
  private let positions: [Float]
  private let embeddingNorm: Norm
  private let blocks: [Block]
  private let projection: LinearLayer
  private let wordProjection: LinearLayer

  package init(_ model: ModelFile, for kernels: KernelSet) throws {
    config = model.config.text
    dimension = model.config.dimension
    let (width, hidden) = (config.width, config.hidden)
    func norm(_ name: String) throws -> Norm {
      Norm(
        weight: try model.vector("\(name).weight", count: width), bias: try model.vector("\(name).bias", count: width))
    }
    embedding = try model.matrix(
      "text.token_embedding", rows: config.vocabulary, shape: [config.vocabulary, width])
    positions = try model.weights.floats("text.position_embedding", shape: [config.contextLength, width])
    embeddingNorm = try norm("text.embedding_norm")
    var blocks: [Block] = []
    for i in 0..<config.layers {
      let name = "text.blocks.\(i)"
      blocks.append(
        Block(
          qkv: try model.linear("\(name).qkv", outputs: 3 * width, inputs: width, for: kernels),
          attentionOut: try model.linear("\(name).attention_out", outputs: width, inputs: width, for: kernels),
          norm1: try norm("\(name).norm1"),
          mlpIn: try model.linear("\(name).mlp_in", outputs: hidden, inputs: width, for: kernels),
          mlpOut: try model.linear("\(name).mlp_out", outputs: width, inputs: hidden, for: kernels),
          norm2: try norm("\(name).norm2")))
    }
    self.blocks = blocks
    projection = try model.linear("text.projection", outputs: dimension, inputs: width, for: kernels)
    wordProjection = try model.linear("text.word_projection", outputs: dimension, inputs: width, for: kernels)
  }

  /// Encodes sentences together; each attends to itself alone, so that none changes another's result.
  ///
  /// - Parameter ids: of each sentence, special tokens included, at most the context length; each id in the vocabulary.
  package func encode(_ ids: [[Int32]], with kernels: KernelSet) -> [EncodedText] {
    guard !ids.isEmpty else { return [] }
    precondition(ids.allSatisfy { (2...config.contextLength).contains($0.count) }, "a sentence of impossible length")
    let starts = ids.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    let (rows, width) = (starts.last!, config.width)
    let longest = ids.map(\.count).max()!
    let headWidth = width / config.heads
    let x = embed(ids, rows: rows)
    let qkv = AlignedBuffer<Float>(count: rows * 3 * width, repeating: 0)
    let attended = AlignedBuffer<Float>(count: rows * width, repeating: 0)
    let hidden = AlignedBuffer<Float>(count: rows * config.hidden, repeating: 0)
    let scratch = AlignedBuffer<Float>(
      count: kernels.attentionScratch(tokens: longest, headWidth: headWidth), repeating: 0)
    let room = QuantizedRows(rows: rows, columns: max(config.hidden, width))
    func normalize(_ x: AlignedBuffer<Float>, _ norm: Norm) {
      kernels.layerNorm(x, rows: rows, weight: norm.weight.span, bias: norm.bias.span, epsilon: config.normEpsilon)
    }

    normalize(x, embeddingNorm)
    for block in blocks {
      kernels.linear(block.qkv, x, rows: rows, quantized: room, into: qkv)
      kernels.attention(
        qkv: qkv.span, starts: starts, heads: config.heads, width: width, scratch: scratch, into: attended)
      kernels.linear(block.attentionOut, attended, rows: rows, adding: true, quantized: room, into: x)
      normalize(x, block.norm1)
      kernels.linear(block.mlpIn, x, rows: rows, activation: .gelu, quantized: room, into: hidden)
      kernels.linear(block.mlpOut, hidden, rows: rows, adding: true, quantized: room, into: x)
      normalize(x, block.norm2)
    }
    return project(x, starts: starts, room: room, with: kernels)
  }

  /// The token's row plus its position's.
  private func embed(_ ids: [[Int32]], rows: Int) -> AlignedBuffer<Float> {
    let width = config.width
    let x = AlignedBuffer<Float>(count: rows * width, repeating: 0)
    var row = 0
    for sentence in ids {
      for (position, id) in sentence.enumerated() {
        let from = Int(id) * width
        for i in 0..<width {
          let token: Float
          switch embedding {
          case .fp32(let floats): token = floats[from + i]
          case .int8(let codes, let scales): token = scales[Int(id)] * Float(codes[from + i])
          }
          x[row * width + i] = token + positions[position * width + i]
        }
        row += 1
      }
    }
    return x
  }

  private func project(
    _ x: AlignedBuffer<Float>, starts: [Int], room: QuantizedRows, with kernels: KernelSet
  ) -> [EncodedText] {
    let (count, rows, width, d) = (starts.count - 1, starts.last!, config.width, dimension)
    let means = AlignedBuffer<Float>(count: count * width, repeating: 0)
    for s in 0..<count {
      let length = Float(starts[s + 1] - starts[s])
      for i in 0..<width {
        var sum: Float = 0
        for row in starts[s]..<starts[s + 1] { sum += x[row * width + i] }
        means[s * width + i] = sum / length
      }
    }
    let sentences = AlignedBuffer<Float>(count: count * d, repeating: 0)
    kernels.linear(projection, means, rows: count, quantized: room, into: sentences)
    kernels.l2Normalize(sentences, rows: count, columns: d)
    let words = AlignedBuffer<Float>(count: rows * d, repeating: 0)
    kernels.linear(wordProjection, x, rows: rows, quantized: room, into: words)
    kernels.l2Normalize(words, rows: rows, columns: d)
    return (0..<count).map { s in
      EncodedText(
        sentence: sentences.array(s * d..<(s + 1) * d),
        words: words.array((starts[s] + 1) * d..<(starts[s + 1] - 1) * d))
    }
  }
}

extension AlignedBuffer {
  func array(_ range: Range<Int>) -> [Element] {
    let part = span.extracting(range)
    return unsafe [Element](unsafeUninitializedCapacity: range.count) { target, count in
      for i in 0..<range.count { unsafe target.initializeElement(at: i, to: part[i]) }
      count = range.count
    }
  }
}
