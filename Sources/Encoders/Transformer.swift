import FTFKernels
import FTFWeights

/// A layer norm's weights.
struct Norm: Sendable {
  let weight: AlignedBuffer<Float>
  let bias: AlignedBuffer<Float>

  init(_ model: Model, _ name: String, width: Int) throws {
    let (weight, bias) = (
      try model.vector("\(name).weight", count: width), try model.vector("\(name).bias", count: width)
    )
    self.weight = AlignedBuffer(copying: weight.span)
    self.bias = AlignedBuffer(copying: bias.span)
  }
}

/// Is told the name of a linear layer, its input, f32[rows, inputs], and the number of rows, before the layer is computed.
package typealias LayerProbe = (_ name: String, _ input: AlignedBuffer<Float>, _ rows: Int) -> Void

/// What a stack of transformer blocks is.
struct TransformerShape: Sendable {
  var layers: Int
  var width: Int
  var heads: Int
  var hidden: Int
  var activation: LinearActivation
  var epsilon: Float
  /// CLIP normalises what goes into attention and the feed-forward layers, BERT what comes out.
  var isPreNorm: Bool
  /// Whether a token sees only itself and what precedes it.
  var isCausal: Bool

  init(_ text: TextConfig) {
    let isCLIP = text.architecture == "clip"
    (layers, width, heads, hidden) = (text.layers, text.width, text.heads, text.hidden)
    (activation, epsilon) = (Self.activation(text.activation), text.normEpsilon)
    (isPreNorm, isCausal) = (isCLIP, isCLIP)
  }

  init(_ vision: ViTConfig) {
    (layers, width, heads, hidden) = (vision.layers, vision.width, vision.heads, vision.hidden)
    (activation, epsilon) = (Self.activation(vision.activation), vision.normEpsilon)
    (isPreNorm, isCausal) = (true, false)
  }

  private static func activation(_ name: String) -> LinearActivation { name == "quickgelu" ? .quickGELU : .gelu }
}

/// A stack of transformer blocks: attention and two feed-forward layers, each added to what went in.
struct Transformer: Sendable {
  private struct Block: Sendable {
    var qkv, attentionOut, mlpIn, mlpOut: LinearLayer
    var norm1, norm2: Norm
  }

  let shape: TransformerShape
  private let tower: String
  /// The number of the first block.
  private let first: Int
  private let blocks: [Block]

  /// - Parameter range: the blocks to have; nil for all of the shape's layers.
  init(
    _ model: Model, _ tower: String, _ shape: TransformerShape, blocks range: Range<Int>? = nil, for kernels: KernelSet
  ) throws {
    let range = range ?? 0..<shape.layers
    (self.shape, self.tower, first) = (shape, tower, range.lowerBound)
    let (width, hidden) = (shape.width, shape.hidden)
    // What weights are packed for is the same on every thread.
    blocks = try kernels.parallelMap(range.count) { i in
      Result {
        let name = "\(tower).blocks.\(range.lowerBound + i)"
        return Block(
          qkv: try model.linear("\(name).qkv", outputs: 3 * width, inputs: width, for: kernels),
          attentionOut: try model.linear("\(name).attention_out", outputs: width, inputs: width, for: kernels),
          mlpIn: try model.linear("\(name).mlp_in", outputs: hidden, inputs: width, for: kernels),
          mlpOut: try model.linear("\(name).mlp_out", outputs: width, inputs: hidden, for: kernels),
          norm1: try Norm(model, "\(name).norm1", width: width), norm2: try Norm(model, "\(name).norm2", width: width))
      }
    }.map { try $0.get() }
  }

  /// Runs the blocks over sequences that follow each other in the rows of `x`, in place.
  ///
  /// - Parameters:
  ///   - x: f32[rows, width].
  ///   - starts: the first row of each sequence, and after the last the number of rows.
  ///   - end: the first block that is not run; nil for all.
  func run(
    _ x: AlignedBuffer<Float>, starts: [Int], _ memory: TransformerMemory, upTo end: Int? = nil, with kernels: KernelSet,
    probe: LayerProbe? = nil
  ) {
    let (rows, width) = (starts.last!, shape.width)
    precondition(memory.rows >= rows, "the memory is for fewer rows")
    func normalize(_ norm: Norm, into y: AlignedBuffer<Float>) {
      kernels.layerNorm(
        x, rows: rows, weight: norm.weight, bias: norm.bias, epsilon: shape.epsilon, into: y)
    }
    func tell(_ block: Int, _ layer: String, _ input: AlignedBuffer<Float>) {
      probe?("\(tower).blocks.\(first + block).\(layer)", input, rows)
    }
    func attend(_ i: Int, _ block: Block, _ input: AlignedBuffer<Float>) {
      tell(i, "qkv", input)
      kernels.linear(block.qkv, input, rows: rows, quantized: memory.quantized, into: memory.qkv)
      kernels.attention(
        qkv: memory.qkv, starts: starts, heads: shape.heads, width: width, causal: shape.isCausal,
        scratch: memory.scratch, into: memory.attended)
      tell(i, "attention_out", memory.attended)
      kernels.linear(
        block.attentionOut, memory.attended, rows: rows, adding: true, quantized: memory.quantized, into: x)
    }
    func feed(_ i: Int, _ block: Block, _ input: AlignedBuffer<Float>) {
      tell(i, "mlp_in", input)
      kernels.linear(
        block.mlpIn, input, rows: rows, activation: shape.activation, quantized: memory.quantized, into: memory.hidden)
      tell(i, "mlp_out", memory.hidden)
      kernels.linear(block.mlpOut, memory.hidden, rows: rows, adding: true, quantized: memory.quantized, into: x)
    }
    for (i, block) in blocks.enumerated().prefix(end ?? blocks.count) {
      if shape.isPreNorm {
        normalize(block.norm1, into: memory.normed)
        attend(i, block, memory.normed)
        normalize(block.norm2, into: memory.normed)
        feed(i, block, memory.normed)
      } else {
        attend(i, block, x)
        normalize(block.norm1, into: x)
        feed(i, block, x)
        normalize(block.norm2, into: x)
      }
    }
  }
}

extension Transformer {
  /// All blocks over images that follow each other in the rows of `x`, the last one as the model's patches ask for.
  func run(
    _ x: AlignedBuffer<Float>, _ vision: ViTConfig, images: Int = 1, _ memory: TransformerMemory, with kernels: KernelSet,
    probe: LayerProbe? = nil
  ) {
    let (source, rows) = (vision.patches ?? .token, vision.tokens)
    let starts = (0...images).map { $0 * rows }
    guard source != .token, first + blocks.count == shape.layers else {
      return run(x, starts: starts, memory, with: kernels, probe: probe)
    }
    run(x, starts: starts, memory, upTo: blocks.count - 1, with: kernels, probe: probe)
    guard images > 1 else { return finish(x, rows: rows, source, memory, with: kernels, probe: probe) }
    let (one, size) = (AlignedBuffer<Float>(uninitialised: rows * shape.width), rows * shape.width)
    for start in stride(from: 0, to: images * size, by: size) {
      one.copy(start..<start + size, of: x, at: 0)
      finish(one, rows: rows, source, memory, with: kernels, probe: probe)
      x.copy(0..<size, of: one, at: start)
    }
  }

  /// Runs the last block of an image tower over one image, in place: the class token as it was trained, the patches by another
  /// source.
  ///
  /// - Parameter x: f32[rows, width], the class token first.
  private func finish(
    _ x: AlignedBuffer<Float>, rows: Int, _ source: PatchSource, _ memory: TransformerMemory, with kernels: KernelSet,
    probe: LayerProbe? = nil
  ) {
    let (block, name, width) = (blocks.last!, "\(tower).blocks.\(shape.layers - 1)", shape.width)
    func normalize(_ norm: Norm, _ count: Int) {
      kernels.layerNorm(x, rows: count, weight: norm.weight, bias: norm.bias, epsilon: shape.epsilon, into: memory.normed)
    }
    func feed(_ count: Int) {
      normalize(block.norm2, count)
      probe?("\(name).mlp_in", memory.normed, count)
      kernels.linear(
        block.mlpIn, memory.normed, rows: count, activation: shape.activation, quantized: memory.quantized, into: memory.hidden)
      probe?("\(name).mlp_out", memory.hidden, count)
      kernels.linear(block.mlpOut, memory.hidden, rows: count, adding: true, quantized: memory.quantized, into: x)
    }
    func leave(_ count: Int, adding: Bool) {
      probe?("\(name).attention_out", memory.attended, count)
      kernels.linear(
        block.attentionOut, memory.attended, rows: count, adding: adding, quantized: memory.quantized, into: x)
    }
    func attend() {
      kernels.attention(
        qkv: memory.qkv, starts: [0, rows], heads: shape.heads, width: width, causal: false, scratch: memory.scratch,
        into: memory.attended)
    }
    normalize(block.norm1, rows)
    probe?("\(name).qkv", memory.normed, rows)
    kernels.linear(block.qkv, memory.normed, rows: rows, quantized: memory.quantized, into: memory.qkv)
    attend()
    leave(1, adding: true)
    feed(1)
    let classToken = x.array(0..<width)
    if source == .value {
      for row in 0..<rows { memory.attended.copy((3 * row + 2) * width..<3 * (row + 1) * width, of: memory.qkv, at: row * width) }
      leave(rows, adding: true)
      feed(rows)
    } else {
      // Queries in the place of keys.
      for row in stride(from: 0, to: 3 * rows, by: 3) {
        memory.qkv.copy(row * width..<(row + 1) * width, of: memory.qkv, at: (row + 1) * width)
      }
      attend()
      leave(rows, adding: false)
    }
    for i in 0..<width { x[i] = classToken[i] }
  }
}

/// The memory of a pass through a transformer; one pass at a time uses it.
final class TransformerMemory: Sendable {
  let rows: Int
  let qkv, attended, hidden, scratch: AlignedBuffer<Float>
  /// Empty where norms follow the layers.
  let normed: AlignedBuffer<Float>
  let quantized: QuantizedRows

  /// - Parameters:
  ///   - longest: the longest sequence.
  ///   - inputs: the widest input of a layer outside of the blocks.
  init(_ shape: TransformerShape, rows: Int, longest: Int, inputs: Int = 0, for kernels: KernelSet) {
    self.rows = rows
    qkv = AlignedBuffer(uninitialised: rows * 3 * shape.width)
    attended = AlignedBuffer(uninitialised: rows * shape.width)
    hidden = AlignedBuffer(uninitialised: rows * max(shape.hidden, inputs))
    normed = AlignedBuffer(uninitialised: shape.isPreNorm ? rows * shape.width : 0)
    scratch = AlignedBuffer(uninitialised: kernels.attentionScratch(tokens: longest, headWidth: shape.width / shape.heads))
    quantized = QuantizedRows(rows: rows, columns: max(shape.hidden, shape.width, inputs))
  }
}
