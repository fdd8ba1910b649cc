import FTFEncoders
import FTFKernels
import FTFWeights

/// What the channels and blocks of a convolutional tower hold on some images: where their codes are best spent.
/// One task at a time adds to it.
final class ActivationHistograms: @unchecked Sendable {
  /// Of values in 0...6 as ReLU6 leaves them, by channel, the bins' edges at 6 (i / bins)^2: fine where small channels live.
  private static let bins = 128
  /// Images that were not seen reach further than those that were.
  private static let margin: Float = 1.3
  private let vision: EfficientNetLiteConfig
  /// By the name of the layer that takes them: [channels * bins].
  private var channels: [String: [UInt32]] = [:]
  /// Of block outputs, by name.
  private(set) var ranges: [String: (low: Float, high: Float)] = [:]

  init(_ vision: EfficientNetLiteConfig) {
    self.vision = vision
  }

  /// Over all images, shared among the threads.
  static func collect(
    _ engine: Engine, _ vision: EfficientNetLiteConfig, _ images: [AlignedBuffer<UInt8>], progress: @Sendable (Int) -> Void
  ) -> ActivationHistograms {
    let (kernels, single) = (engine.kernels, engine.kernels.singleThreaded)
    let parts = (0..<kernels.threads).map { _ in ActivationHistograms(vision) }
    kernels.parallelFor(parts.count) { part in
      for i in stride(from: part, to: images.count, by: parts.count) {
        _ = engine.images.encode(images[i], with: single, probe: parts[part].probe)
        progress(1)
      }
    }
    for part in parts.dropFirst() { parts[0].merge(part) }
    return parts[0]
  }

  private var probe: ImageProbe {
    ImageProbe(
      output: { [self] name, values in
        let (low, high) = values.reduce((Float(0), Float(0))) { (min($0.0, $1), max($0.1, $1)) }
        let known = ranges[name] ?? (0, 0)
        ranges[name] = (min(known.low, low), max(known.high, high))
      },
      input: { [self] name, input, rows in
        if let count = channelCount(of: name) { add(name, input, rows, count) }
      })
  }

  /// How many channels with ReLU6 a layer takes; nil where it takes others.
  private func channelCount(of name: String) -> Int? {
    if name == "vision.patch_projection" { return vision.head }
    let parts = name.split(separator: ".")
    guard parts.count == 4, let i = Int(parts[2]) else { return nil }
    let block = vision.blocks[i]
    let hasReLU6 = parts[3] == "project" || parts[3] == "depthwise" && (block.expand != 1 || i == 0)
    return hasReLU6 ? block.input * block.expand : nil
  }

  private func add(_ name: String, _ input: AlignedBuffer<Float>, _ rows: Int, _ count: Int) {
    let bins = Self.bins
    var histogram = channels.removeValue(forKey: name) ?? [UInt32](repeating: 0, count: count * bins)
    let values = input.span
    for row in 0..<rows {
      for c in 0..<count {
        let bin = Int((max(values[row * count + c], 0) / 6).squareRoot() * Float(bins))
        histogram[c * bins + min(bin, bins - 1)] += 1
      }
    }
    channels[name] = histogram
  }

  private func merge(_ other: ActivationHistograms) {
    channels.merge(other.channels) { a, b in zip(a, b).map(+) }
    ranges.merge(other.ranges) { (min($0.low, $1.low), max($0.high, $1.high)) }
  }

  /// What brings each channel of a layer's input to the range of ReLU6: 6 over the value up to which its codes should reach.
  ///
  /// The reach has the least expected error, which is what is cut off above it and a twelfth of a step's square for all below; and
  /// `margin` more.
  func factors(of name: String) -> [Float] {
    guard let histogram = channels[name] else { return [] }
    let bins = Self.bins
    func edge(_ bin: Float) -> Float { 6 * (bin / Float(bins)) * (bin / Float(bins)) }
    let middle = (0..<bins).map { edge(Float($0) + 0.5) }
    return (0..<histogram.count / bins).map { c in
      let counts = histogram[c * bins..<(c + 1) * bins].map(Float.init)
      var best: (error: Float, reach: Float) = (.infinity, 6)
      var below: Float = 0
      for bin in 1..<bins {
        below += counts[bin]
        let reach = edge(Float(bin + 1))
        let cut = (bin + 1..<max(bins, bin + 1)).reduce(Float(0)) { $0 + counts[$1] * (middle[$1] - reach) * (middle[$1] - reach) }
        let error = cut + below * reach * reach / (255 * 255 * 12)
        if error < best.error { best = (error, reach) }
      }
      // Too few values to say.
      guard below >= 100 else { return 1 }
      return 6 / (Self.margin * best.reach).clamped(to: 6 / 64...6)
    }
  }
}

extension SourceModel {
  /// The same model with the channels between two layers multiplied by what lets them use all 256 codes of ReLU6's range, the
  /// weights after them divided by it (Nagel et al., arXiv 1906.04721, for a fixed range): the arithmetic of the int8 file does not
  /// change. Values beyond a channel's reach are cut off, as the codes would cut them.
  func equalized(_ histograms: ActivationHistograms) throws -> SourceModel {
    guard case .efficientNetLite(let vision) = config.vision else { return self }
    var model = self
    for (i, block) in vision.blocks.enumerated() {
      let name = "vision.blocks.\(i)"
      let before = block.expand != 1 ? "\(name).expand" : i == 0 ? "vision.stem" : nil
      if let before {
        let factors = histograms.factors(of: "\(name).depthwise")
        try model.multiplyRows(of: before, by: factors)
        try model.multiplyRows(of: "\(name).depthwise", by: factors.map { 1 / $0 }, bias: false)
      }
      let factors = histograms.factors(of: "\(name).project")
      try model.multiplyRows(of: "\(name).depthwise", by: factors)
      try model.divideColumns(of: "\(name).project", by: factors)
    }
    let factors = histograms.factors(of: "vision.patch_projection")
    try model.multiplyRows(of: "vision.head", by: factors)
    for name in ["vision.projection", "vision.patch_projection"] { try model.divideColumns(of: name, by: factors) }
    return model
  }

  private mutating func multiplyRows(of name: String, by factors: [Float], bias: Bool = true) throws {
    for part in bias ? ["weight", "bias"] : ["weight"] {
      let tensor = tensors["\(name).\(part)"]!
      var values = try tensor.load()
      let size = values.count / factors.count
      for i in values.indices { values[i] *= factors[i / size] }
      set("\(name).\(part)", tensor.shape, values)
    }
  }

  private mutating func divideColumns(of name: String, by factors: [Float]) throws {
    let tensor = tensors["\(name).weight"]!
    var values = try tensor.load()
    for i in values.indices { values[i] /= factors[i % factors.count] }
    set("\(name).weight", tensor.shape, values)
  }
}

/// Where the 256 codes of a tensor are best spent: the range with the least error, values beyond it being cut off.
struct RangeHistogram {
  private static let bins = 1024
  private let (low, step): (Float, Float)
  private var counts = [Double](repeating: 0, count: bins)

  /// - Parameter range: of all values, zero among them.
  init(_ range: (low: Float, high: Float)) {
    low = range.low
    step = max(range.high - range.low, .leastNormalMagnitude) / Float(Self.bins)
  }

  mutating func add(_ values: [Float]) {
    for value in values { counts[Int((value - low) / step).clamped(to: 0...Self.bins - 1)] += 1 }
  }

  /// Zero is always one of the codes.
  var scale: ActivationScale {
    let total = counts.reduce(0, +)
    let zero = Int(-low / step).clamped(to: 0...Self.bins - 1)
    var best: (error: Double, low: Int, high: Int) = (.infinity, 0, Self.bins)
    // What cutting at each bin costs, from either end.
    func cuts(_ order: [Int]) -> [Double] {
      var (result, count, sum, square) = ([Double](), 0.0, 0.0, 0.0)
      for (i, bin) in order.enumerated() {
        let at = Double(i)
        result.append(square - 2 * at * sum + at * at * count)
        (count, sum, square) = (count + counts[bin], sum + counts[bin] * at, square + counts[bin] * at * at)
      }
      return result
    }
    let below = cuts(Array(0..<Self.bins))
    let above = cuts((0..<Self.bins).reversed())
    for first in stride(from: 0, through: zero, by: 8) {
      for last in stride(from: Self.bins, to: zero, by: -8) {
        let width = Double(last - first) / 255
        let error = below[first] + above[Self.bins - last] + total * width * width / 12
        if error < best.error { best = (error, first, last) }
      }
    }
    let (low, high) = (min(0, self.low + step * Float(best.low)), max(0, self.low + step * Float(best.high)))
    let scale = max((high - low) / 255, .leastNormalMagnitude)
    return ActivationScale(scale: scale, zero: Int((-low / scale).rounded()).clamped(to: 0...255))
  }
}
