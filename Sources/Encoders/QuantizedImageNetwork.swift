import FTFKernels
import FTFWeights

/// EfficientNet-Lite in int8: u8 activations with static scales (ReLU6 outputs 6/255, block outputs calibrated), s8
/// weights with a scale an output channel. The pixels are the first activation as they are.
struct QuantizedImageNetwork: ImageNetwork {
  private struct Block: Sendable {
    var shape: BlockShape
    var expand: QuantizedConvolution?
    /// Where the expansion's pixels lie inside the border.
    var starts: RowStarts
    var depthwise: DepthwiseConvolution
    var project: QuantizedConvolution
    /// Of the output.
    var scale: ActivationScale
  }

  private let side: Int
  private let pixel: ActivationScale
  private let stem: QuantizedConvolution
  private let blocks: [Block]
  private let head: QuantizedConvolution

  init(_ model: Model, _ vision: EfficientNetLiteConfig, for kernels: KernelSet) throws {
    side = vision.imageSize
    pixel = try Self.pixelScale(model)
    func convolution(
      _ name: String, _ outputs: Int, _ inputs: Int, from input: ActivationScale, to output: ActivationScale,
      adding residual: ActivationScale? = nil
    ) throws -> QuantizedConvolution {
      let (codes, scales) = try model.int8Matrix(name, shape: [outputs, inputs])
      let bias = try model.vector("\(name).bias", count: outputs)
      let layer = QuantizedConvolution(
        codes: codes.span, scales: scales.span, bias: bias.span,
        inputs: inputs, input: input, output: output, residual: residual, for: kernels)
      try Self.require(layer.isBounded, of: name, model)
      return layer
    }
    let (kernel, kernelScales) = try model.int8Matrix("vision.stem", shape: [vision.stem, 3, 3, 3])
    let unrolled = Model.unrolledOrder(kernel, outputs: vision.stem)
    let stemBias = try model.vector("vision.stem.bias", count: vision.stem)
    stem = QuantizedConvolution(
      codes: unrolled.span, scales: kernelScales.span, bias: stemBias.span, inputs: 27, input: pixel, output: .relu6,
      residual: nil, for: kernels)
    try Self.require(stem.isBounded, of: "vision.stem", model)
    var scale = ActivationScale.relu6
    var blocks: [Block] = []
    for (i, shape) in BlockShape.all(vision).enumerated() {
      let name = "vision.blocks.\(i)"
      let (block, inside) = (shape.block, shape.inside)
      let output = try Self.blockScale(model, name)
      var expand: QuantizedConvolution?
      if block.expand != 1 { expand = try convolution("\(name).expand", inside, block.input, from: scale, to: .relu6) }
      let (codes, scales) = try model.int8Matrix("\(name).depthwise", shape: [inside, block.kernel, block.kernel])
      let bias = try model.vector("\(name).depthwise.bias", count: inside)
      let depthwise = DepthwiseConvolution(
        codes: codes.span, scales: scales.span, bias: bias.span, kernel: block.kernel, stride: block.stride,
        for: kernels)
      try Self.require(depthwise.isBounded, of: "\(name).depthwise", model)
      let project = try convolution(
        "\(name).project", block.output, inside, from: .relu6, to: output, adding: block.residual ? scale : nil)
      let starts = RowStarts(side: shape.side, channels: inside, padding: shape.padding)
      blocks.append(
        Block(shape: shape, expand: expand, starts: starts, depthwise: depthwise, project: project, scale: output))
      scale = output
    }
    self.blocks = blocks
    head = try convolution("vision.head", vision.head, vision.blocks.last!.output, from: scale, to: .relu6)
  }

  private static func require(_ isBounded: Bool, of layer: String, _ model: Model) throws {
    guard isBounded else {
      throw WeightsError.badValue(
        path: model.path, tensor: "\(layer).weight_scale", reason: "leads to numbers that no activation has, with the scales of what goes in and out")
    }
  }

  /// The scale at which a pixel is its own code: 1 / (255 std), zero point 255 mean.
  private static func pixelScale(_ model: Model) throws -> ActivationScale {
    let p = model.config.preprocessing
    let zero = (p.mean[0] * 255).rounded()
    guard Set(p.mean).count == 1, Set(p.std).count == 1, abs(p.mean[0] * 255 - zero) < 1e-3, (0...255).contains(zero)
    else {
      throw WeightsError.badConfig(
        path: model.path,
        reason: "the mean and std of its pixels differ by channel or are no whole grey level; take the precision fp32")
    }
    return ActivationScale(scale: 1 / (255 * p.std[0]), zero: Int(zero))
  }

  private static func blockScale(_ model: Model, _ name: String) throws -> ActivationScale {
    guard let scale = model.config.activations?[name] else {
      throw WeightsError.badConfig(path: model.path, reason: "the config has no scale for the output of \(name)")
    }
    guard scale.scale > 0, scale.scale.isFinite, (0...255).contains(scale.zero) else {
      throw WeightsError.badConfig(
        path: model.path, reason: "the config has an impossible scale for the output of \(name)")
    }
    return scale
  }

  func run(
    _ pixels: AlignedBuffer<UInt8>, _ w: ImageWorkspace, with kernels: KernelSet, probe: ImageProbe?,
    patches: PatchProjections
  ) {
    let windows = SamePadding(size: side, kernel: 3, stride: 2).output
    var rows = windows * windows
    // What the first block does not expand is written where its window goes over it.
    let isInPlace = blocks.first.map { $0.expand == nil && !$0.shape.block.residual } ?? false
    @Sendable func look(_ part: Range<Int>? = nil, with kernels: KernelSet) {
      kernels.unroll(pixels, side: side, kernel: 3, stride: 2, columns: 28, border: UInt8(pixel.zero), into: w.unrolled, part: part)
      kernels.convolve(
        stem, w.unrolled, rows: windows * windows, starts: isInPlace ? blocks[0].starts : nil, into: isInPlace ? w.expanded : w.input,
        part: part.map { $0.lowerBound * windows..<$0.upperBound * windows })
    }
    if kernels.threads == 1 || !kernels.inStrips(of: windows, before: stem, { look($0, with: kernels) }) { look(with: kernels) }
    probe?.layer?("vision.stem", rows * stem.inputs * stem.outputs)
    for (i, block) in blocks.enumerated() {
      let (shape, padding) = (block.shape, block.shape.padding)
      kernels.fillBorder(of: w.expanded, side: shape.side, channels: shape.inside, padding: padding, byte: 0)
      if let expand = block.expand {
        kernels.convolve(expand, w.input, rows: rows, starts: block.starts, into: w.expanded)
        probe?.layer?("vision.blocks.\(i).expand", rows * expand.inputs * expand.outputs)
      } else if i > 0 || !isInPlace {
        kernels.copyInside(
          w.input, side: shape.side, channels: shape.inside, padding: padding, into: w.expanded)
      }
      rows = padding.output * padding.output
      func inStrips() -> Bool {
        kernels.inStrips(of: padding.output, before: block.project) { strip in
          filter(block, w, with: kernels, part: strip)
          project(block, w, with: kernels, part: strip)
        }
      }
      // Who asks for each layer's time waits for each layer; one thread makes no closures.
      if kernels.threads == 1 || probe?.layer != nil || !inStrips() {
        filter(block, w, with: kernels)
        probe?.layer?("vision.blocks.\(i).depthwise", rows * shape.inside * shape.block.kernel * shape.block.kernel)
        project(block, w, with: kernels)
      }
      probe?.layer?("vision.blocks.\(i).project", rows * shape.inside * shape.block.output)
      swap(&w.input, &w.output)
      if patches.block == i {
        kernels.unrollCells(
          w.input, side: padding.output, channels: shape.block.output, cell: patches.cell, into: w.detailCodes)
      }
      if let output = probe?.output { output("vision.blocks.\(i)", values(w.input, rows, block)) }
    }
    kernels.convolve(head, w.input, rows: rows, into: w.headCodes)
    probe?.layer?("vision.head", rows * head.inputs * head.outputs)
    let relu6 = ActivationScale.relu6
    kernels.columnMeans(w.headCodes, rows: rows, columns: head.outputs, scale: relu6.scale, into: w.mean)
    kernels.linear(
      patches.head, codes: w.headCodes, scale: relu6.scale, zero: relu6.zero, rows: rows,
      quantized: w.quantized, into: w.projected)
    if let detail = patches.detail, let block = patches.block {
      let scale = blocks[block].scale
      kernels.linear(
        detail, codes: w.detailCodes, scale: scale.scale, zero: scale.zero, rows: rows, adding: true,
        quantized: w.quantized, into: w.projected)
    }
  }

  /// A block's expansion to what its depthwise convolution makes of it; of a part of the rows, on this thread.
  private func filter(_ block: Block, _ w: ImageWorkspace, with kernels: KernelSet, part: Range<Int>? = nil) {
    kernels.depthwise(block.depthwise, w.expanded, side: block.shape.side, into: w.filtered, part: part)
  }

  /// That to the block's output; likewise.
  private func project(_ block: Block, _ w: ImageWorkspace, with kernels: KernelSet, part: Range<Int>? = nil) {
    let width = block.shape.padding.output
    kernels.convolve(
      block.project, w.filtered, rows: width * width, residual: block.shape.block.residual ? w.input : nil, into: w.output,
      part: part.map { $0.lowerBound * width..<$0.upperBound * width })
  }

  /// A block's output as numbers.
  private func values(_ codes: AlignedBuffer<UInt8>, _ rows: Int, _ block: Block) -> [Float] {
    (0..<rows * block.shape.block.output).map { block.scale.scale * Float(Int(codes[$0]) - block.scale.zero) }
  }
}
