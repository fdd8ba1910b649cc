import FTFKernels
import Synchronization
import FTFWeights

/// A vision transformer: u8 pixels to (g, P). Patches are embedded by one product, the class token comes first; after the
/// final norm g = L2(projection of the class token, or of its pooler's tanh(A x + b)) and P_j = L2(the same projection of patch
/// j), whose last block may be another than the class token's (`PatchSource`).
final class VisionTransformer: ImageTower {
  private let config: ViTConfig
  private let dimension: Int
  private let embedding: PatchEmbedding
  private let transformer: Transformer
  private let head: PatchHead
  private let idle = Mutex<[Workspace]>([])

  /// The memory of a pass over up to `images` of them.
  private final class Workspace: Sendable {
    let images: Int
    let tokens: AlignedBuffer<Float>
    let memory: TransformerMemory

    init(_ config: ViTConfig, images: Int, for kernels: KernelSet) {
      self.images = images
      tokens = AlignedBuffer(uninitialised: images * config.tokens * config.width)
      memory = PatchEmbedding.memory(config, images: images, for: kernels)
    }
  }

  init(_ model: Model, _ config: ViTConfig, for kernels: KernelSet) throws {
    (self.config, dimension) = (config, model.config.dimension)
    embedding = try PatchEmbedding(model, config, for: kernels)
    transformer = try Transformer(model, "vision", TransformerShape(config), for: kernels)
    head = try PatchHead(model, config, for: kernels)
  }

  /// Weights are read from memory once for all images of a pass, and their rows fill the tiles of a product better than those of
  /// one do; with more rows than these, activations leave the second cache.
  var together: Int { max(1, 256 / config.tokens) }

  func encode(_ pictures: [AlignedBuffer<UInt8>], with kernels: KernelSet, probe: ImageProbe?) -> [EncodedImage] {
    // A pass on more threads needs more scratch than one on a single thread: its memory is not pooled.
    let isPooled = kernels.threads == 1
    let known = isPooled ? idle.withLock { $0.popLast() } : nil
    // One that is too small gives way, so that there are no more than threads.
    let w = known.flatMap { $0.images >= pictures.count ? $0 : nil } ?? Workspace(config, images: pictures.count, for: kernels)
    defer { if isPooled { idle.withLock { $0.append(w) } } }
    embedding.embed(pictures, w.memory, with: kernels, into: w.tokens)
    transformer.run(w.tokens, config, images: pictures.count, w.memory, with: kernels)
    let images = head.project(w.tokens, images: pictures.count, w.memory, with: kernels)
    probe?.layer?("vision", pictures.count * operations)
    return images
  }

  /// Multiply-adds of all products for one image.
  private var operations: Int {
    let (t, w) = (config.tokens, config.width)
    let block = t * (4 * w * w + 2 * w * config.hidden) + 2 * t * t * w
    return (t - 1) * 3 * config.patchSize * config.patchSize * w + config.layers * block + t * w * dimension
  }
}

/// Pixels to the rows that enter the blocks.
struct PatchEmbedding: Sendable {
  private let config: ViTConfig
  private let preprocessing: PreprocessingConfig
  private let projection: LinearLayer
  private let classEmbedding: [Float]
  private let positions: [Float]
  /// Nil where the tower has none before its blocks.
  private let norm: Norm?

  init(_ model: Model, _ config: ViTConfig, for kernels: KernelSet) throws {
    (self.config, preprocessing) = (config, model.config.preprocessing)
    projection = try model.linear(
      "vision.patch_embedding", outputs: config.width, inputs: 3 * config.patchSize * config.patchSize, for: kernels)
    classEmbedding = try model.vector("vision.class_embedding", count: config.width)
    positions = try model.weights.floats("vision.position_embedding", shape: [config.tokens, config.width])
    let hasNorm = model.weights.shape("vision.pre_norm.weight") != nil
    norm = hasNorm ? try Norm(model, "vision.pre_norm", width: config.width) : nil
  }

  /// The memory of a pass, which has room for the patches too.
  static func memory(_ config: ViTConfig, images: Int = 1, for kernels: KernelSet) -> TransformerMemory {
    TransformerMemory(
      TransformerShape(config), rows: images * config.tokens, longest: config.tokens,
      inputs: 3 * config.patchSize * config.patchSize, for: kernels)
  }

  /// - Parameters:
  ///   - pictures: u8[side, side, 3] each, RGB.
  ///   - tokens: f32[images, 1 + N, width], the class token of each first.
  func embed(
    _ pictures: [AlignedBuffer<UInt8>], _ memory: TransformerMemory, with kernels: KernelSet,
    probe: LayerProbe? = nil, into tokens: AlignedBuffer<Float>
  ) {
    let (n, width) = (config.tokens - 1, config.width)
    for (i, pixels) in pictures.enumerated() { unroll(pixels, into: memory.hidden, from: i * n) }
    probe?("vision.patch_embedding", memory.hidden, pictures.count * n)
    kernels.linear(projection, memory.hidden, rows: pictures.count * n, quantized: memory.quantized, into: memory.attended)
    let patches = memory.attended
    for i in 0..<pictures.count {
      tokens.set(i * (n + 1), to: classEmbedding.span, plus: positions.span.extracting(0..<width))
      for patch in 0..<n {
        let (from, place) = ((i * n + patch) * width, (1 + patch) * width)
        tokens.set(
          i * (n + 1) + 1 + patch, to: patches.span.extracting(from..<from + width), plus: positions.span.extracting(place..<place + width))
      }
    }
    guard let norm else { return }
    kernels.layerNorm(
      tokens, rows: pictures.count * (n + 1), weight: norm.weight, bias: norm.bias, epsilon: config.normEpsilon, into: tokens)
  }

  /// Patches as rows in the order channel, y, x, from row `first` on: (value / 255 - mean) / std.
  private func unroll(_ pixels: AlignedBuffer<UInt8>, into rows: AlignedBuffer<Float>, from first: Int) {
    let (side, p, grid) = (config.imageSize, config.patchSize, config.grid)
    for c in 0..<3 {
      // There are 256 values, and a division takes longer than a look.
      let values = (0..<256).map { (Float($0) / 255 - preprocessing.mean[c]) / preprocessing.std[c] }
      for patch in 0..<grid * grid {
        let (row, column) = (patch / grid, patch % grid)
        for y in 0..<p {
          rows.set(
            (3 * (first + patch) + c) * p * p + y * p, count: p, to: values.span, of: pixels.span, from: ((row * p + y) * side + column * p) * 3 + c,
            step: 3)
        }
      }
    }
  }
}

/// What leaves the blocks to (g, P).
struct PatchHead: Sendable {
  private let config: ViTConfig
  private let dimension: Int
  private let norm: Norm
  private let projection: LinearLayer
  /// Nil where g is the class token's projection itself.
  private let pooler: LinearLayer?

  init(_ model: Model, _ config: ViTConfig, for kernels: KernelSet) throws {
    (self.config, dimension) = (config, model.config.dimension)
    norm = try Norm(model, "vision.final_norm", width: config.width)
    projection = try model.linear("vision.projection", outputs: dimension, inputs: config.width, for: kernels)
    let hasPooler = model.weights.shape("vision.pooler.weight") != nil
    pooler =
      hasPooler
      ? try model.linear("vision.pooler", outputs: config.width, inputs: config.width, for: kernels) : nil
  }

  /// - Parameter tokens: f32[images, 1 + N, width]; is overwritten.
  func project(
    _ tokens: AlignedBuffer<Float>, images: Int = 1, _ memory: TransformerMemory, with kernels: KernelSet, probe: LayerProbe? = nil
  ) -> [EncodedImage] {
    let (rows, width, d) = (images * config.tokens, config.width, dimension)
    kernels.layerNorm(
      tokens, rows: rows, weight: norm.weight, bias: norm.bias, epsilon: config.normEpsilon, into: tokens)
    if let pooler {
      // Only g is pooled: the patches are projected as they are.
      let classes = AlignedBuffer<Float>(uninitialised: images * width)
      let starts = (0..<images).map { $0 * config.tokens * width }
      for (i, start) in starts.enumerated() { classes.copy(start..<start + width, of: tokens, at: i * width) }
      let pooled = kernels.pool(classes, rows: images, by: pooler, "vision.pooler", room: memory.quantized, probe: probe)
      for (i, start) in starts.enumerated() { tokens.copy(i * width..<(i + 1) * width, of: pooled, at: start) }
    }
    probe?("vision.projection", tokens, rows)
    let projected = AlignedBuffer<Float>(uninitialised: rows * d)
    kernels.linear(projection, tokens, rows: rows, quantized: memory.quantized, into: projected)
    kernels.l2Normalize(projected, rows: rows, columns: d)
    return (0..<images).map { i in
      let (first, end) = (i * config.tokens * d, (i + 1) * config.tokens * d)
      return EncodedImage(global: projected.array(first..<first + d), patches: projected.array(first + d..<end))
    }
  }
}
