import FTFEncoders
import Foundation
import FTFImaging
import FTFKernels
import FTFWeights

/// What sample images and sentences say of a model in int8: the scales of its activations, and the codes of its weights whose
/// errors make up for each other.
package struct Calibration {
  /// The model that is quantised: of a convolutional one the channels are brought to the ranges of their codes.
  package private(set) var source: SourceModel
  /// Of block outputs, by layer name, as `SourceModel.write(int8:)` takes them.
  package private(set) var activations: [String: ActivationScale] = [:]
  /// Layers of which enough inputs were seen.
  package private(set) var rounded: [String: RoundedLayer] = [:]
  private let precision: Precision
  private let smooths: Bool
  private let kernels: KernelSet

  /// Images that the errors of weights are weighed on, at most.
  private static let weighed = 128
  /// Of them, those whose activations are in memory at once: some 40 MB each.
  private static let batch = 8

  /// - Throws: where the activations overflow, as those of damaged weights do, or a weight cannot be read.
  package init(
    _ source: SourceModel, _ precision: Precision, _ samples: Samples, smooth: Bool, for kernels: KernelSet,
    progress: @Sendable (Converter.Event) -> Void
  ) throws {
    (self.source, self.precision, smooths, self.kernels) = (source, precision, smooth && precision == .int8, kernels)
    guard precision != .fp32 else { return }
    if case .efficientNetLite(let vision) = source.config.vision, !samples.images.isEmpty {
      try calibrateConvolutions(vision, samples.images, progress)
    }
    try roundTransformers(samples)
  }

  private mutating func calibrateConvolutions(
    _ vision: EfficientNetLiteConfig, _ images: [AlignedBuffer<UInt8>], _ progress: @Sendable (Converter.Event) -> Void
  ) throws {
    var ranges: [String: RangeHistogram] = [:]
    if precision == .int8 {
      progress(.begins("calibration images", images.count))
      let histograms = try ActivationHistograms.collect(Engine(Model(source), for: kernels), vision, images) { progress(.done($0)) }
      progress(.ends)
      for (name, range) in histograms.ranges {
        guard range.low.isFinite, range.high.isFinite else {
          throw WeightsError.badValue(path: source.path, tensor: name, reason: "gives outputs that overflow")
        }
        ranges[name] = RangeHistogram(range)
      }
      source = try source.equalized(histograms)
    }
    let engine = try Engine(Model(source), for: kernels)
    var inputs = ConvolutionInputs(vision, source)
    let some = images.everyFew(Self.weighed)
    progress(.begins("images to weigh errors", some.count))
    for first in stride(from: 0, to: some.count, by: Self.batch) {
      let batch = some[first..<min(first + Self.batch, some.count)]
      for image in inputs.seen(of: Array(batch), engine) {
        for (name, values) in image.outputs { ranges[name]?.add(values) }
      }
      progress(.done(batch.count))
    }
    progress(.ends)
    activations = ranges.mapValues(\.scale)
    for name in inputs.names {
      let step = precision == .int8 ? inputStep(of: name, vision) : 0
      rounded[name] = try inputs.rounded(name, source.tensors["\(name).weight"]!, noise: step * step / 12, with: kernels)
    }
  }

  /// Between two codes of what a layer takes; 0 where it takes pixels, or rows that are quantised as they come.
  private func inputStep(of name: String, _ vision: EfficientNetLiteConfig) -> Float {
    func output(of block: Int) -> Float { activations["vision.blocks.\(block)"]?.scale ?? 0 }
    if name == "vision.detail_projection" { return output(of: vision.detail!) }
    if name == "vision.head" { return output(of: vision.blocks.count - 1) }
    if name.hasSuffix(".expand") { return output(of: Int(name.split(separator: ".")[2])! - 1) }
    return ["vision.stem", "vision.projection"].contains(name) ? 0 : ActivationScale.relu6.scale
  }

  /// The linear layers of transformers, block by block: the inputs of one are in memory at a time.
  ///
  /// Those that follow a norm, whose columns differ most, are smoothed. On all-MiniLM-L6-v2 that takes the median of
  /// 1 - cosine(int8, fp32) from 0.00256 to 0.00101; the layers after attention and the activation leave it at 0.00258.
  private mutating func roundTransformers(_ samples: Samples) throws {
    var seen: [String: (moments: SecondMoments, most: [Float])] = [:]
    let (model, kernels) = (try Model(source), kernels)
    var images = samples.images
    if case .efficientNetLite = source.config.vision { images = [] }
    try visitLayers(
      of: model, sentences: samples.sentences, images: images.everyFew(16), with: kernels,
      finished: {
        for (name, layer) in seen {
          let tensor = source.tensors["\(name).weight"]!
          rounded[name] = try round(name, tensor.load(), rows: tensor.shape[0], layer.moments, layer.most)
        }
        seen = [:]
      },
      { name, input, rows in
        guard let columns = model.weights.shape("\(name).weight")?.last else { return }
        var layer = seen.removeValue(forKey: name) ?? (SecondMoments(columns: columns), [Float](repeating: 0, count: columns))
        layer.moments.add(input, rows: rows, with: kernels)
        for i in 0..<rows * columns { layer.most[i % columns] = max(layer.most[i % columns], abs(input[i])) }
        seen[name] = layer
      })
  }

  private func round(
    _ name: String, _ weights: [Float], rows: Int, _ moments: SecondMoments, _ most: [Float]
  ) throws -> RoundedLayer {
    guard moments.isFinite else {
      throw WeightsError.badValue(path: source.path, tensor: "\(name).weight", reason: "takes inputs that overflow")
    }
    guard smooths, name.hasSuffix(".qkv") || name.hasSuffix(".mlp_in") else {
      let scales = RoundedLayer.scales(of: weights, rows: rows)
      return RoundedLayer(codes: moments.codes(weights, scales: scales, with: kernels), scales: scales)
    }
    let columns = Self.smoothing(weights, most)
    let divided = weights.indices.map { weights[$0] / columns[$0 % columns.count] }
    let scales = RoundedLayer.scales(of: divided, rows: rows)
    let codes = moments.scaled(by: columns).codes(divided, scales: scales, with: kernels)
    return RoundedLayer(codes: codes, scales: scales, columns: columns)
  }

  /// What the input of a layer is multiplied by, so that a column that is always large does not take the codes of the others:
  /// c_j = sqrt(max_n |W_nj| / max |x_j|), which divides the difficulty between the input and the weights, as SmoothQuant does
  /// (arXiv 2211.10438).
  private static func smoothing(_ weight: [Float], _ range: [Float]) -> [Float] {
    precondition(weight.count % range.count == 0, "the range is of another layer")
    var most = [Float](repeating: 0, count: range.count)
    for i in weight.indices { most[i % most.count] = max(most[i % most.count], abs(weight[i])) }
    return zip(most, range).map { w, x in x > 1e-6 && w > 1e-6 ? (w / x).squareRoot() : 1 }
  }
}

/// The second moments of every layer of a convolutional tower.
private struct ConvolutionInputs {
  private let shapes: [BlockShape]
  private let source: SourceModel
  private var layers: [String: SecondMoments] = [:]
  private var depthwise: [String: TapMoments] = [:]
  var names: [String] { Array(layers.keys) + Array(depthwise.keys) }

  init(_ vision: EfficientNetLiteConfig, _ source: SourceModel) { (shapes, self.source) = (BlockShape.all(vision), source) }

  /// What one image is on its way through the tower.
  struct Seen: Sendable {
    /// Of every layer, f32[rows, columns].
    var inputs: [String: (values: AlignedBuffer<Float>, rows: Int)] = [:]
    /// Of every block.
    var outputs: [(String, [Float])] = []
  }

  /// Encodes images side by side, one a thread, and then adds them to the layers side by side, each layer's in the order of the images:
  /// the sums do not depend on the number of threads.
  mutating func seen(of images: [AlignedBuffer<UInt8>], _ engine: Engine) -> [Seen] {
    let (kernels, single, source, shapes) = (engine.kernels, engine.kernels.singleThreaded, source, shapes)
    let all = kernels.parallelMap(images.count) { i in
      var seen = Seen()
      let probe = ImageProbe(
        output: { seen.outputs.append(($0, $1)) },
        input: { name, input, rows in
          let count = rows * Self.columns(of: name, source, shapes)
          seen.inputs[name] = (AlignedBuffer(copying: input.span.extracting(0..<count)), rows)
        })
      _ = engine.images.encode(images[i], with: single, probe: probe)
      return seen
    }
    for name in all.first.map({ Array($0.inputs.keys) }) ?? [] where layers[name] == nil && depthwise[name] == nil {
      if let shape = Self.depthwiseShape(of: name, shapes) {
        depthwise[name] = TapMoments(channels: shape.inside, kernel: shape.block.kernel, stride: shape.block.stride)
      } else {
        layers[name] = SecondMoments(columns: Self.columns(of: name, source, shapes))
      }
    }
    let (names, layers, depthwise) = (names, layers, depthwise)
    kernels.parallelFor(names.count) { k in
      let name = names[k]
      for seen in all {
        let (values, rows) = seen.inputs[name]!
        layers[name]?.add(values, rows: rows, with: single)
        depthwise[name]?.add(values, side: Self.depthwiseShape(of: name, shapes)!.side, with: single)
      }
    }
    return all
  }

  private static func depthwiseShape(of name: String, _ shapes: [BlockShape]) -> BlockShape? {
    name.hasSuffix(".depthwise") ? shapes[Int(name.split(separator: ".")[2])!] : nil
  }

  private static func columns(of name: String, _ source: SourceModel, _ shapes: [BlockShape]) -> Int {
    depthwiseShape(of: name, shapes)?.inside ?? source.tensors["\(name).weight"]!.shape.dropFirst().reduce(1, *)
  }

  func rounded(
    _ name: String, _ tensor: SourceModel.Values, noise: Float, with kernels: KernelSet
  ) throws -> RoundedLayer {
    let (weights, rows) = (try tensor.load(), tensor.shape[0])
    let scales = RoundedLayer.scales(of: weights, rows: rows)
    if let taps = depthwise[name] {
      return RoundedLayer(codes: taps.codes(weights, scales: scales, noise: noise), scales: scales)
    }
    // The stem's windows lie in another order than its weights do.
    guard name == "vision.stem" else {
      return RoundedLayer(codes: layers[name]!.codes(weights, scales: scales, noise: noise, with: kernels), scales: scales)
    }
    let unrolled = layers[name]!.codes(Model.unrolledOrder(weights, outputs: rows), scales: scales, with: kernels)
    var codes = unrolled
    for (i, from) in Model.unrolledOrder(Array(weights.indices), outputs: rows).enumerated() { codes[from] = unrolled[i] }
    return RoundedLayer(codes: codes, scales: scales)
  }
}

/// Inputs that are ready for a model's encoders.
package struct Samples {
  package let sentences: [[Int32]]
  package let images: [AlignedBuffer<UInt8>]
  /// The images that could not be read.
  package let failures: [ImagingError]

  /// All sentences, and the images that can be read.
  package init(_ model: Model, sentences: [String], imagePaths paths: [String], with kernels: KernelSet) throws {
    let tokenizer = try Engine.tokenizer(of: model)
    self.sentences = sentences.map { tokenizer($0, model.config.text.contextLength) }
    let read = kernels.parallelMap(paths.count) { i in
      Result { () throws(ImagingError) in model.config.preprocessing.prepare(try RGBImage(path: paths[i])).pixels }
    }
    images = read.compactMap { try? $0.get() }
    failures = read.compactMap { if case .failure(let error) = $0 { error } else { nil } }
  }
}

extension Array {
  /// At most `count` elements, evenly spaced.
  func everyFew(_ count: Int) -> [Element] {
    self.count <= count ? self : (0..<count).map { self[$0 * self.count / count] }
  }
}
