import FTFKernels
import FTFWeights

/// EfficientNet-Lite in fp32.
struct FloatImageNetwork: ImageNetwork {
  private struct Block: Sendable {
    var shape: BlockShape
    var expand: LinearLayer?
    var depthwise: DepthwiseConvolution
    var project: LinearLayer
  }

  private let preprocessing: PreprocessingConfig
  private let side: Int
  private let stem: LinearLayer
  private let blocks: [Block]
  private let head: LinearLayer

  init(_ model: Model, _ vision: EfficientNetLiteConfig, for kernels: KernelSet) throws {
    (preprocessing, side) = (model.config.preprocessing, vision.imageSize)
    func floats(_ name: String, _ shape: [Int]) throws -> [Float] {
      guard case .fp32(let floats) = try model.matrix(name, rows: shape[0], shape: shape) else {
        throw WeightsError.badType(path: model.path, tensor: "\(name).weight", expected: "F32", found: "I8")
      }
      return floats
    }
    let kernel = try floats("vision.stem", [vision.stem, 3, 3, 3])
    let unrolled = Model.unrolledOrder(kernel, outputs: vision.stem)
    let stemBias = try model.vector("vision.stem.bias", count: vision.stem)
    stem = LinearLayer(
      weights: unrolled.span, bias: stemBias.span, inputs: 27, for: kernels)
    var blocks: [Block] = []
    for (i, shape) in BlockShape.all(vision).enumerated() {
      let name = "vision.blocks.\(i)"
      let (block, inside) = (shape.block, shape.inside)
      var expand: LinearLayer?
      if block.expand != 1 {
        expand = try model.linear("\(name).expand", outputs: inside, inputs: block.input, for: kernels)
      }
      let taps = try floats("\(name).depthwise", [inside, block.kernel, block.kernel])
      let bias = try model.vector("\(name).depthwise.bias", count: inside)
      let depthwise = DepthwiseConvolution(
        weights: taps.span, bias: bias.span, kernel: block.kernel, stride: block.stride)
      let project = try model.linear("\(name).project", outputs: block.output, inputs: inside, for: kernels)
      blocks.append(Block(shape: shape, expand: expand, depthwise: depthwise, project: project))
    }
    self.blocks = blocks
    head = try model.linear("vision.head", outputs: vision.head, inputs: vision.blocks.last!.output, for: kernels)
  }

  func run(
    _ pixels: AlignedBuffer<UInt8>, _ w: ImageWorkspace, with kernels: KernelSet, probe: ImageProbe?,
    patches: PatchProjections
  ) {
    normalize(pixels, w)
    kernels.unroll(w.pixelsFloat, side: side, kernel: 3, stride: 2, columns: 27, border: 0, into: w.unrolledFloat)
    let windows = SamePadding(size: side, kernel: 3, stride: 2).output
    var rows = windows * windows
    probe?.input?("vision.stem", w.unrolledFloat, rows)
    kernels.linear(
      stem, w.unrolledFloat, rows: rows, activation: .relu6, quantized: w.quantized, into: w.inputFloat)
    probe?.layer?("vision.stem", rows * stem.inputs * stem.outputs)
    for (i, block) in blocks.enumerated() {
      let (shape, padding) = (block.shape, block.shape.padding)
      kernels.fillBorder(of: w.expandedFloat, side: shape.side, channels: shape.inside, padding: padding, byte: 0)
      if let expand = block.expand {
        probe?.input?("vision.blocks.\(i).expand", w.inputFloat, rows)
        kernels.linear(
          expand, w.inputFloat, rows: rows, activation: .relu6, quantized: w.quantized, into: w.denseFloat)
        kernels.copyInside(
          w.denseFloat, side: shape.side, channels: shape.inside, padding: padding, into: w.expandedFloat)
        probe?.layer?("vision.blocks.\(i).expand", rows * expand.inputs * expand.outputs)
      } else {
        kernels.copyInside(
          w.inputFloat, side: shape.side, channels: shape.inside, padding: padding, into: w.expandedFloat)
      }
      probe?.input?("vision.blocks.\(i).depthwise", w.expandedFloat, shape.bordered * shape.bordered)
      kernels.depthwise(block.depthwise, w.expandedFloat, side: shape.side, into: w.filteredFloat)
      rows = padding.output * padding.output
      probe?.layer?("vision.blocks.\(i).depthwise", rows * shape.inside * shape.block.kernel * shape.block.kernel)
      probe?.input?("vision.blocks.\(i).project", w.filteredFloat, rows)
      if shape.block.residual {
        kernels.linear(
          block.project, w.filteredFloat, rows: rows, adding: true, quantized: w.quantized, into: w.inputFloat)
      } else {
        kernels.linear(block.project, w.filteredFloat, rows: rows, quantized: w.quantized, into: w.outputFloat)
        swap(&w.inputFloat, &w.outputFloat)
      }
      probe?.layer?("vision.blocks.\(i).project", rows * shape.inside * shape.block.output)
      if patches.block == i {
        kernels.unrollCells(
          w.inputFloat, side: padding.output, channels: shape.block.output, cell: patches.cell, into: w.detail)
      }
      probe?.output?("vision.blocks.\(i)", w.inputFloat.array(0..<rows * shape.block.output))
    }
    probe?.input?("vision.head", w.inputFloat, rows)
    kernels.linear(head, w.inputFloat, rows: rows, activation: .relu6, quantized: w.quantized, into: w.features)
    probe?.layer?("vision.head", rows * head.inputs * head.outputs)
    kernels.columnMeans(w.features, rows: 0..<rows, columns: head.outputs, into: w.mean)
    probe?.input?("vision.projection", w.mean, 1)
    probe?.input?("vision.patch_projection", w.features, rows)
    kernels.linear(patches.head, w.features, rows: rows, quantized: w.quantized, into: w.projected)
    if let detail = patches.detail {
      probe?.input?("vision.detail_projection", w.detail, rows)
      kernels.linear(detail, w.detail, rows: rows, adding: true, quantized: w.quantized, into: w.projected)
    }
  }

  /// (value / 255 - mean) / std.
  private func normalize(_ pixels: AlignedBuffer<UInt8>, _ w: ImageWorkspace) {
    let table = (0..<3).map { c -> [Float] in
      let (mean, std) = (preprocessing.mean[c], preprocessing.std[c])
      return (0..<256).map { (value: Int) -> Float in (Float(value) / 255 - mean) / std }
    }
    for i in 0..<side * side * 3 { w.pixelsFloat[i] = table[i % 3][Int(pixels[i])] }
  }
}
