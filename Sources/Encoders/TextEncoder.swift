import Foundation
import FTFKernels
import FTFWeights

/// A text tower: ids to (t, W).
///
/// `bert`: t = L2(projection of the mean over all tokens, of [CLS], or of its pooler's tanh(A x + b)), W = L2(word projection of
/// every token but the first and the last). `clip`: the final norm, then t = L2(projection of the end token), W = L2(the same
/// projection of the tokens between start and end). A tower of the vectors' own width may have no projections.
package final class TextEncoder: Sendable {
  private let config: TextConfig
  package let dimension: Int
  private let embedding: TextEmbedding
  private let transformer: Transformer
  private let head: TextHead

  package init(_ model: Model, for kernels: KernelSet) throws {
    (config, dimension) = (model.config.text, model.config.dimension)
    embedding = try TextEmbedding(model)
    transformer = try Transformer(model, "text", TransformerShape(config), for: kernels)
    head = try TextHead(model, for: kernels)
  }

  /// Encodes sentences together; each attends to itself alone, so that none changes another's result.
  ///
  /// - Parameter ids: of each sentence, special tokens included, at most the context length; each id in the vocabulary.
  package func encode(_ ids: [[Int32]], with kernels: KernelSet) -> [EncodedText] {
    guard !ids.isEmpty else { return [] }
    precondition(ids.allSatisfy { (2...config.contextLength).contains($0.count) }, "a sentence of impossible length")
    let (x, starts) = embedding.embed(ids, with: kernels)
    let memory = TransformerMemory(
      transformer.shape, rows: starts.last!, longest: ids.map(\.count).max()!, for: kernels)
    transformer.run(x, starts: starts, memory, with: kernels)
    return head.project(x, starts: starts, room: memory.quantized, with: kernels)
  }
}

/// Ids to the rows that enter the blocks.
package struct TextEmbedding: Sendable {
  private let config: TextConfig
  private let table: StoredMatrix
  private let positions: [Float]
  /// Nil where the tower has its norm after the blocks.
  private let norm: Norm?

  package init(_ model: Model) throws {
    config = model.config.text
    let width = config.width
    table = try model.matrix("text.token_embedding", rows: config.vocabulary, shape: [config.vocabulary, width])
    positions = try model.weights.floats("text.position_embedding", shape: [config.contextLength, width])
    norm = config.architecture == "clip" ? nil : try Norm(model, "text.embedding_norm", width: width)
  }

  /// The token's row plus its position's, normalised: f32[rows, width], sentence after sentence, and the first row of each;
  /// after the last, the number of rows.
  package func embed(_ ids: [[Int32]], with kernels: KernelSet) -> (AlignedBuffer<Float>, starts: [Int]) {
    let width = config.width
    let starts = ids.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    let x = AlignedBuffer<Float>(uninitialised: starts.last! * width)
    var row = 0
    for sentence in ids {
      for (position, id) in sentence.enumerated() {
        let (from, place) = (Int(id) * width..<(Int(id) + 1) * width, positions.span.extracting(position * width..<(position + 1) * width))
        switch table {
        case .fp32(let floats): x.set(row, to: floats.span.extracting(from), plus: place)
        case .int8(let codes, let scales): x.set(row, to: codes.span.extracting(from), times: scales[Int(id)], plus: place)
        }
        row += 1
      }
    }
    if let norm {
      kernels.layerNorm(x, rows: row, weight: norm.weight, bias: norm.bias, epsilon: config.normEpsilon, into: x)
    }
    return (x, starts)
  }
}

/// What leaves the blocks to (t, W).
struct TextHead: Sendable {
  private let config: TextConfig
  private let dimension: Int
  /// Nil where the tower had its norm before the blocks.
  private let norm: Norm?
  /// Nil where the tower has none.
  private let projection: LinearLayer?
  private let wordProjection: LinearLayer?
  /// Whether words have the sentences' projection.
  private let isShared: Bool
  private let pooler: LinearLayer?

  init(_ model: Model, for kernels: KernelSet) throws {
    (config, dimension) = (model.config.text, model.config.dimension)
    let (width, isCLIP) = (config.width, config.architecture == "clip")
    norm = isCLIP ? try Norm(model, "text.final_norm", width: width) : nil
    pooler =
      config.pooling == "pooler"
      ? try model.linear("text.pooler", outputs: width, inputs: width, for: kernels) : nil
    isShared = model.weights.shape("text.word_projection.weight") == nil
    if width == dimension, model.weights.shape("text.projection.weight") == nil {
      (projection, wordProjection) = (nil, nil)
    } else {
      let own = try model.linear("text.projection", outputs: dimension, inputs: width, for: kernels)
      projection = own
      wordProjection =
        isShared ? own : try model.linear("text.word_projection", outputs: dimension, inputs: width, for: kernels)
    }
  }

  func project(
    _ x: AlignedBuffer<Float>, starts: [Int], room: QuantizedRows, with kernels: KernelSet, probe: LayerProbe? = nil
  ) -> [EncodedText] {
    let (count, rows, d) = (starts.count - 1, starts.last!, dimension)
    func projected(
      _ x: AlignedBuffer<Float>, by layer: LinearLayer?, _ name: String, rows: Int
    ) -> AlignedBuffer<Float> {
      let y = layer.map { _ in AlignedBuffer<Float>(count: rows * d, repeating: 0) } ?? x
      if let layer {
        probe?(name, x, rows)
        kernels.linear(layer, x, rows: rows, quantized: room, into: y)
      }
      kernels.l2Normalize(y, rows: rows, columns: d)
      return y
    }
    if let norm {
      kernels.layerNorm(x, rows: rows, weight: norm.weight, bias: norm.bias, epsilon: config.normEpsilon, into: x)
    }
    var pooled = pooled(x, starts: starts, with: kernels)
    if let pooler { pooled = kernels.pool(pooled, rows: count, by: pooler, "text.pooler", room: room, probe: probe) }
    let sentences = projected(pooled, by: projection, "text.projection", rows: count)
    let words = projected(
      x, by: wordProjection, isShared ? "text.projection" : "text.word_projection", rows: rows)
    return (0..<count).map { s in
      EncodedText(
        sentence: sentences.array(s * d..<(s + 1) * d),
        words: words.array((starts[s] + 1) * d..<(starts[s + 1] - 1) * d))
    }
  }

  /// One row a sentence: the mean of its tokens, its first, or its last.
  private func pooled(_ x: AlignedBuffer<Float>, starts: [Int], with kernels: KernelSet) -> AlignedBuffer<Float> {
    let (count, width) = (starts.count - 1, config.width)
    let pooled = AlignedBuffer<Float>(uninitialised: count * width)
    for s in 0..<count {
      let tokens =
        switch config.pooling {
        case "end": starts[s + 1] - 1..<starts[s + 1]
        case "class", "pooler": starts[s]..<starts[s] + 1
        default: starts[s]..<starts[s + 1]
        }
      kernels.columnMeans(x, rows: tokens, columns: width, into: pooled, row: s)
    }
    return pooled
  }
}

extension KernelSet {
  /// tanh(W x + b), of BERT's pooler and the plain vision transformer's.
  func pool(
    _ x: AlignedBuffer<Float>, rows: Int, by layer: LinearLayer, _ name: String, room: QuantizedRows, probe: LayerProbe?
  ) -> AlignedBuffer<Float> {
    let y = AlignedBuffer<Float>(count: rows * layer.outputs, repeating: 0)
    probe?(name, x, rows)
    linear(layer, x, rows: rows, quantized: room, into: y)
    for i in 0..<y.count { y[i] = tanh(y[i]) }
    return y
  }
}

extension AlignedBuffer {
  package var values: [Element] { array(0..<count) }

  func array(_ range: Range<Int>) -> [Element] {
    let part = span.extracting(range)
    return unsafe [Element](unsafeUninitializedCapacity: range.count) { target, count in
      for i in 0..<range.count { unsafe target.initializeElement(at: i, to: part[i]) }
      count = range.count
    }
  }
}
