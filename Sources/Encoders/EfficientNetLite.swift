import FTFKernels
import Synchronization
import FTFWeights

/// EfficientNet-Lite: P_j = L2(A_p y_j + b_p), g = L2(A_g mean_j y_j + b_g) for the head's output y; where the model has a detail
/// block, P_j = L2(A_p y_j + b_p + A_d x_j + b_d) for the positions x_j of that block's output under patch j.
final class EfficientNetLite: ImageTower {
  private let config: EfficientNetLiteConfig
  private let dimension: Int
  private let precision: Precision
  private let network: any ImageNetwork
  private let projection: LinearLayer
  private let patches: PatchProjections
  private let idle = Mutex<[ImageWorkspace]>([])

  init(_ model: Model, _ config: EfficientNetLiteConfig, for kernels: KernelSet) throws {
    self.config = config
    (dimension, precision) = (model.config.dimension, model.precision)
    switch precision {
    case .fp32, .int8Weights: network = try FloatImageNetwork(model, config, for: kernels)
    case .int8: network = try QuantizedImageNetwork(model, config, for: kernels)
    }
    projection = try model.linear("vision.projection", outputs: dimension, inputs: config.head, for: kernels)
    patches = try PatchProjections(model, config, for: kernels)
  }

  /// The weights stay in cache, the activations of several would not.
  var together: Int { 1 }

  func encode(_ images: [AlignedBuffer<UInt8>], with kernels: KernelSet, probe: ImageProbe?) -> [EncodedImage] {
    images.map { encode($0, with: kernels, probe: probe) }
  }

  private func encode(_ pixels: AlignedBuffer<UInt8>, with kernels: KernelSet, probe: ImageProbe?) -> EncodedImage {
    let workspace = idle.withLock { $0.popLast() } ?? ImageWorkspace(config, dimension: dimension, precision)
    defer { idle.withLock { $0.append(workspace) } }
    let (n, d, head) = (config.grid * config.grid, dimension, config.head)
    network.run(pixels, workspace, with: kernels, probe: probe, patches: patches)
    probe?.layer?("vision.patch_projection", n * d * (head + (patches.detail?.inputs ?? 0)))
    kernels.linear(
      projection, workspace.mean, rows: 1, quantized: workspace.quantized, into: workspace.global)
    kernels.l2Normalize(workspace.global, rows: 1, columns: d)
    kernels.l2Normalize(workspace.projected, rows: n, columns: d)
    probe?.layer?("vision.projection", d * head)
    return EncodedImage(global: workspace.global.array(0..<d), patches: workspace.projected.array(0..<n * d))
  }
}

/// What makes the patches' vectors of the head's output and of a finer block's.
struct PatchProjections: Sendable {
  let head: LinearLayer
  let detail: LinearLayer?
  /// The block that `detail` takes, and the side of its cells.
  let block: Int?
  let cell: Int

  init(_ model: Model, _ config: EfficientNetLiteConfig, for kernels: KernelSet) throws {
    let dimension = model.config.dimension
    func layer(_ name: String, _ inputs: Int) throws -> LinearLayer {
      let layer = try model.linear(name, outputs: dimension, inputs: inputs, for: kernels)
      guard model.precision != .int8 || layer.takesCodes else {
        throw WeightsError.badConfig(path: model.path, reason: "has a \(name) that does not take the int8 codes before it")
      }
      return layer
    }
    head = try layer("vision.patch_projection", config.head)
    detail = try config.detailShape.map { try layer("vision.detail_projection", $0.inputs) }
    (block, cell) = (config.detail, config.detailShape?.cell ?? 1)
  }
}

/// The convolutions of one precision: pixels to `mean` and `projected` (before L2) of the workspace.
protocol ImageNetwork: Sendable {
  func run(
    _ pixels: AlignedBuffer<UInt8>, _ w: ImageWorkspace, with kernels: KernelSet,
    probe: ImageProbe?, patches: PatchProjections)
}

/// One block's shape, worked out once.
package struct BlockShape: Sendable {
  package let block: EfficientNetLiteConfig.Block
  /// Of the input and the output.
  package let side: Int
  let padding: SamePadding
  package var inside: Int { block.input * block.expand }
  var bordered: Int { side + padding.before + padding.after }

  package static func all(_ vision: EfficientNetLiteConfig) -> [BlockShape] {
    var side = (vision.imageSize + 1) / 2
    return vision.blocks.map { block in
      let padding = SamePadding(size: side, kernel: block.kernel, stride: block.stride)
      defer { side = padding.output }
      return BlockShape(block: block, side: side, padding: padding)
    }
  }
}

/// The memory of one forward pass; one pass at a time uses it.
final class ImageWorkspace: @unchecked Sendable {
  /// The windows of the stem, and in f32 the image that they are of; in the precision of the network, the other being empty.
  let unrolled: AlignedBuffer<UInt8>
  let pixelsFloat, unrolledFloat: AlignedBuffer<Float>
  /// Input and output of a block (they change places), its expansion with a border, and what the depthwise convolution
  /// makes of it.
  var input, output: AlignedBuffer<UInt8>
  let expanded, filtered: AlignedBuffer<UInt8>
  var inputFloat, outputFloat: AlignedBuffer<Float>
  let denseFloat, expandedFloat, filteredFloat: AlignedBuffer<Float>
  /// [N, head].
  let headCodes: AlignedBuffer<UInt8>
  let features: AlignedBuffer<Float>
  /// [N, cell * cell * channels] of the detail block's output.
  let detailCodes: AlignedBuffer<UInt8>
  let detail: AlignedBuffer<Float>
  /// f32[head].
  let mean: AlignedBuffer<Float>
  /// f32[d] and f32[N, d].
  let global, projected: AlignedBuffer<Float>
  let quantized: QuantizedRows

  init(_ vision: EfficientNetLiteConfig, dimension: Int, _ precision: Precision) {
    let shapes = BlockShape.all(vision)
    let across = SamePadding(size: vision.imageSize, kernel: 3, stride: 2).output
    let windows = across * across
    let n = vision.grid * vision.grid
    let outside = max(
      windows * vision.stem, shapes.map { $0.padding.output * $0.padding.output * $0.block.output }.max()!)
    let expansion = shapes.map { $0.bordered * $0.bordered * $0.inside }.max()!
    let filter = shapes.map { $0.padding.output * $0.padding.output * $0.inside }.max()!
    let isInt8 = precision == .int8
    func codes(_ count: Int) -> AlignedBuffer<UInt8> { AlignedBuffer(count: isInt8 ? count : 0, repeating: 0) }
    func floats(_ count: Int) -> AlignedBuffer<Float> { AlignedBuffer(count: isInt8 ? 0 : count, repeating: 0) }
    pixelsFloat = floats(vision.imageSize * vision.imageSize * 3)
    (unrolled, unrolledFloat) = (codes(windows * 28), floats(windows * 27))
    (input, output, expanded, filtered) = (codes(outside), codes(outside), codes(expansion), codes(filter))
    (inputFloat, outputFloat) = (floats(outside), floats(outside))
    (denseFloat, expandedFloat, filteredFloat) = (floats(expansion), floats(expansion), floats(filter))
    headCodes = codes(n * vision.head)
    features = floats(n * vision.head)
    let cells = n * (vision.detailShape?.inputs ?? 0)
    (detailCodes, detail) = (codes(cells), floats(cells))
    mean = AlignedBuffer(count: vision.head, repeating: 0)
    global = AlignedBuffer(count: dimension, repeating: 0)
    projected = AlignedBuffer(count: n * dimension, repeating: 0)
    quantized = QuantizedRows(rows: n, columns: max(vision.head, vision.detailShape?.inputs ?? 0))
  }
}

extension Model {
  /// The stem's kernel [outputs, c, y, x] in the order of unrolled windows, [outputs, y, x, c].
  package static func unrolledOrder<Element>(_ kernel: [Element], outputs: Int) -> [Element] {
    (0..<outputs * 27).map { i in
      let (row, y, x, c) = (i / 27, i % 27 / 9, i % 9 / 3, i % 3)
      return kernel[row * 27 + c * 9 + y * 3 + x]
    }
  }
}
