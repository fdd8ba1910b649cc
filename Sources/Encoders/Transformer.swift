import Kernels
import Weights

/// A layer norm's weights.
struct Norm: Sendable {
  let weight: AlignedBuffer<Float>
  let bias: AlignedBuffer<Float>

  init(_ model: ModelFile, _ name: String, width: Int) throws {
    let (weight, bias) = (
      try model.vector("\(name).weight", count: width), try model.vector("\(name).bias", count: width)
    )
    self.weight = AlignedBuffer(copying: weight.span)
    self.bias = AlignedBuffer(copying: bias.span)
  }
}

/// Is told the name of a layer and its input.
package typealias LayerProbe = (String, [Float]) -> Void

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

  static func activation(_ name: String) -> LinearActivation { name == "quickgelu" ? .quickGELU : .gelu }
}

/// A stack of transformer blocks: attention and two feed-forward layers, each added to what went in.
struct Transformer: Sendable {
  private struct Block: Sendable {
    var qkv, attentionOut, mlpIn, mlpOut: LinearLayer
    var norm1, norm2: Norm
  }

  let shape: TransformerShape
  private let tower: String
  private let blocks: [Block]

  init(_ model: ModelFile, _ tower: String, _ shape: TransformerShape, for kernels: KernelSet) throws {
    self.shape = shape
    self.tower = tower
    let (width, hidden) = (shape.width, shape.hidden)
    var blocks: [Block] = []
    for i in 0..<shape.layers {
      let name = "\(tower).blocks.\(i)"
      blocks.append(
        Block(
          qkv: try model.linear("\(name).qkv", outputs: 3 * width, inputs: width, for: kernels),
          attentionOut: try model.linear("\(name).attention_out", outputs: width, inputs: width, for: kernels),
          mlpIn: try model.linear("\(name).mlp_in", outputs: hidden, inputs: width, for: kernels),
          mlpOut: try model.linear("\(name).mlp_out", outputs: width, inputs: hidden, for: kernels),
          norm1: try Norm(model, "\(name).norm1", width: width), norm2: try Norm(model, "\(name).norm2", width: width)))
    }
    self.blocks = blocks
  }

  /// Runs the blocks over sequences that follow each other in the rows of `x`, in place.
  ///
  /// - Parameters:
  ///   - x: f32[rows, width].
  ///   - starts: the first row of each sequence, and after the last the number of rows.
  ///   - probe: is given the name of every layer and its input, f32[rows, inputs], before it is computed.
  func run(
    _ x: AlignedBuffer<Float>, starts: [Int], _ memory: TransformerMemory, with kernels: KernelSet,
    probe: LayerProbe? = nil
  ) {
    let (rows, width) = (starts.last!, shape.width)
    precondition(memory.rows >= rows, "the memory is for fewer rows")
    func normalize(_ norm: Norm, into y: AlignedBuffer<Float>) {
      kernels.layerNorm(
        x, rows: rows, weight: norm.weight, bias: norm.bias, epsilon: shape.epsilon, into: y)
    }
    func tell(_ block: Int, _ layer: String, _ input: AlignedBuffer<Float>, _ inputs: Int) {
      probe?("\(tower).blocks.\(block).\(layer)", input.array(0..<rows * inputs))
    }
    func attend(_ i: Int, _ block: Block, _ input: AlignedBuffer<Float>) {
      tell(i, "qkv", input, width)
      kernels.linear(block.qkv, input, rows: rows, quantized: memory.quantized, into: memory.qkv)
      kernels.attention(
        qkv: memory.qkv, starts: starts, heads: shape.heads, width: width, causal: shape.isCausal,
        scratch: memory.scratch, into: memory.attended)
      tell(i, "attention_out", memory.attended, width)
      kernels.linear(
        block.attentionOut, memory.attended, rows: rows, adding: true, quantized: memory.quantized, into: x)
    }
    func feed(_ i: Int, _ block: Block, _ input: AlignedBuffer<Float>) {
      tell(i, "mlp_in", input, width)
      kernels.linear(
        block.mlpIn, input, rows: rows, activation: shape.activation, quantized: memory.quantized, into: memory.hidden)
      tell(i, "mlp_out", memory.hidden, shape.hidden)
      kernels.linear(block.mlpOut, memory.hidden, rows: rows, adding: true, quantized: memory.quantized, into: x)
    }
    for (i, block) in blocks.enumerated() {
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
    qkv = AlignedBuffer(count: rows * 3 * shape.width, repeating: 0)
    attended = AlignedBuffer(count: rows * shape.width, repeating: 0)
    hidden = AlignedBuffer(count: rows * shape.hidden, repeating: 0)
    normed = AlignedBuffer(count: shape.isPreNorm ? rows * shape.width : 0, repeating: 0)
    scratch = AlignedBuffer(
      count: kernels.attentionScratch(tokens: longest, headWidth: shape.width / shape.heads), repeating: 0)
    quantized = QuantizedRows(rows: rows, columns: max(shape.hidden, shape.width, inputs))
  }
}
