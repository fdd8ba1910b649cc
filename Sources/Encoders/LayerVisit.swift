import FTFKernels
import FTFWeights

/// Shows the input of every linear layer of a model's transformers to a probe, and of a convolutional tower's projections.
///
/// One block's weights are in memory at a time, so that a model larger than memory can be visited.
///
/// - Parameters:
///   - sentences: ids, special tokens included.
///   - images: u8[side, side, 3] each, prepared for the model.
///   - finished: is called when all inputs of a block's layers were shown.
/// - Throws: where a weight cannot be read, and what `finished` throws.
package func visitLayers(
  of model: Model, sentences: [[Int32]], images: [AlignedBuffer<UInt8>], with kernels: KernelSet,
  finished: () throws -> Void = {}, _ probe: @escaping LayerProbe
) throws {
  if !sentences.isEmpty { try visitText(model, sentences, kernels, finished, probe) }
  guard !images.isEmpty else { return }
  switch model.config.vision {
  case .vit(let vision): try visitVision(model, vision, images, kernels, finished, probe)
  case .efficientNetLite(let vision):
    let tower = try EfficientNetLite(model, vision, for: kernels)
    let projections = ImageProbe(input: { name, input, rows in if name.hasSuffix("projection") { probe(name, input, rows) } })
    _ = tower.encode(images, with: kernels, probe: projections)
    try finished()
  }
}

private func visitText(
  _ model: Model, _ ids: [[Int32]], _ kernels: KernelSet, _ finished: () throws -> Void, _ probe: @escaping LayerProbe
) throws {
  let shape = TransformerShape(model.config.text)
  let (x, starts) = try TextEmbedding(model).embed(ids, with: kernels)
  let memory = TransformerMemory(shape, rows: starts.last!, longest: ids.map(\.count).max()!, for: kernels)
  for i in 0..<shape.layers {
    let block = try Transformer(model, "text", shape, blocks: i..<i + 1, for: kernels)
    block.run(x, starts: starts, memory, with: kernels, probe: probe)
    try finished()
  }
  _ = try TextHead(model, for: kernels).project(x, starts: starts, room: memory.quantized, with: kernels, probe: probe)
  try finished()
}

private func visitVision(
  _ model: Model, _ vision: ViTConfig, _ images: [AlignedBuffer<UInt8>], _ kernels: KernelSet,
  _ finished: () throws -> Void, _ probe: @escaping LayerProbe
) throws {
  let shape = TransformerShape(vision)
  let memory = PatchEmbedding.memory(vision, for: kernels)
  let embedding = try PatchEmbedding(model, vision, for: kernels)
  let rows = images.map { pixels in
    let x = AlignedBuffer<Float>(count: vision.tokens * vision.width, repeating: 0)
    embedding.embed([pixels], memory, with: kernels, probe: probe, into: x)
    return x
  }
  try finished()
  for i in 0..<shape.layers {
    let block = try Transformer(model, "vision", shape, blocks: i..<i + 1, for: kernels)
    for x in rows { block.run(x, vision, memory, with: kernels, probe: probe) }
    try finished()
  }
  let head = try PatchHead(model, vision, for: kernels)
  for x in rows { _ = head.project(x, memory, with: kernels, probe: probe) }
  try finished()
}
