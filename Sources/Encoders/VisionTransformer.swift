import Kernels
import Synchronization
import Weights

/// CLIP's vision transformer: u8 pixels to (g, P). Patches are embedded by one product, the class token comes first; after
/// the final norm g = L2(projection of the class token) and P_j = L2(the same projection of patch j).
final class VisionTransformer: ImageTower {
  private let config: ViTConfig
  private let preprocessing: PreprocessingConfig
  private let dimension: Int
  private let patchEmbedding: LinearLayer
  private let classEmbedding: [Float]
  private let positions: [Float]
  private let preNorm: Norm
  private let finalNorm: Norm
  private let transformer: Transformer
  private let projection: LinearLayer
  private let idle = Mutex<[Workspace]>([])

  private final class Workspace: Sendable {
    let unrolled, patches, tokens, projected: AlignedBuffer<Float>
    let memory: TransformerMemory

    init(_ tower: VisionTransformer, for kernels: KernelSet) {
      let (config, shape) = (tower.config, tower.transformer.shape)
      let n = config.grid * config.grid
      let inputs = 3 * config.patchSize * config.patchSize
      unrolled = AlignedBuffer(count: n * inputs, repeating: 0)
      patches = AlignedBuffer(count: n * config.width, repeating: 0)
      tokens = AlignedBuffer(count: (n + 1) * config.width, repeating: 0)
      projected = AlignedBuffer(count: (n + 1) * tower.dimension, repeating: 0)
      memory = TransformerMemory(shape, rows: n + 1, longest: n + 1, inputs: inputs, for: kernels)
    }
  }

  init(_ model: ModelFile, _ config: ViTConfig, for kernels: KernelSet) throws {
    self.config = config
    (preprocessing, dimension) = (model.config.preprocessing, model.config.dimension)
    let width = config.width
    patchEmbedding = try model.linear(
      "vision.patch_embedding", outputs: width, inputs: 3 * config.patchSize * config.patchSize, for: kernels)
    classEmbedding = try model.vector("vision.class_embedding", count: width)
    let tokens = config.grid * config.grid + 1
    positions = try model.weights.floats("vision.position_embedding", shape: [tokens, width])
    preNorm = try Norm(model, "vision.pre_norm", width: width)
    finalNorm = try Norm(model, "vision.final_norm", width: width)
    let shape = TransformerShape(
      layers: config.layers, width: width, heads: config.heads, hidden: config.hidden,
      activation: TransformerShape.activation(config.activation), epsilon: config.normEpsilon, isPreNorm: true,
      isCausal: false)
    transformer = try Transformer(model, "vision", shape, for: kernels)
    projection = try model.linear("vision.projection", outputs: dimension, inputs: width, for: kernels)
  }

  func encode(_ pixels: AlignedBuffer<UInt8>, with kernels: KernelSet, probe: ImageProbe?) -> EncodedImage {
    // A pass on more threads needs more scratch than one on a single thread: its memory is not pooled.
    let isPooled = kernels.threads == 1
    let w = (isPooled ? idle.withLock { $0.popLast() } : nil) ?? Workspace(self, for: kernels)
    defer { if isPooled { idle.withLock { $0.append(w) } } }
    let (n, width, d) = (config.grid * config.grid, config.width, dimension)
    unroll(pixels, into: w.unrolled)
    kernels.linear(patchEmbedding, w.unrolled, rows: n, quantized: w.memory.quantized, into: w.patches)
    for i in 0..<width { w.tokens[i] = classEmbedding[i] + positions[i] }
    for i in 0..<n * width { w.tokens[width + i] = w.patches[i] + positions[width + i] }
    func normalize(_ norm: Norm) {
      kernels.layerNorm(
        w.tokens, rows: n + 1, weight: norm.weight, bias: norm.bias, epsilon: config.normEpsilon,
        into: w.tokens)
    }
    normalize(preNorm)
    transformer.run(w.tokens, starts: [0, n + 1], w.memory, with: kernels, probe: probe?.input)
    normalize(finalNorm)
    kernels.linear(projection, w.tokens, rows: n + 1, quantized: w.memory.quantized, into: w.projected)
    kernels.l2Normalize(w.projected, rows: n + 1, columns: d)
    probe?.layer?("vision", operations)
    return EncodedImage(global: w.projected.array(0..<d), patches: w.projected.array(d..<(n + 1) * d))
  }

  /// Multiply-adds of all products of a pass.
  private var operations: Int {
    let (t, w) = (config.grid * config.grid + 1, config.width)
    let block = t * (4 * w * w + 2 * w * config.hidden) + 2 * t * t * w
    return (t - 1) * 3 * config.patchSize * config.patchSize * w + config.layers * block + t * w * dimension
  }

  /// Patches as rows in the order channel, y, x: (value / 255 - mean) / std.
  private func unroll(_ pixels: AlignedBuffer<UInt8>, into rows: AlignedBuffer<Float>) {
    let (side, p, grid) = (config.imageSize, config.patchSize, config.grid)
    let pixels = pixels.span
    for c in 0..<3 {
      let (mean, std) = (preprocessing.mean[c], preprocessing.std[c])
      for row in 0..<grid {
        for column in 0..<grid {
          let start = (row * grid + column) * 3 * p * p + c * p * p
          for y in 0..<p {
            let from = ((row * p + y) * side + column * p) * 3 + c
            for x in 0..<p { rows[start + y * p + x] = (Float(pixels[from + 3 * x]) / 255 - mean) / std }
          }
        }
      }
    }
  }
}
