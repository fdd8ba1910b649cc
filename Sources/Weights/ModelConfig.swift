import Foundation
import FTFKernels

/// What a model is: everything an encoder, a tokenizer and an interaction need to know beside the tensors. Stored as
/// JSON (snake_case keys) beside the weights that are converted, and in the metadata of a `.ftf` file.
package struct ModelConfig: Codable, Sendable, Equatable {
  package static let format = "fast-then-fine"
  /// Values that one layer of one pass may hold: a gigabyte of floats.
  static let mostActivations = 1 << 28

  package var format: String
  package var name: String
  /// Length of g, t and of every row of P and W.
  package var dimension: Int
  package var vision: VisionConfig
  package var text: TextConfig
  package var preprocessing: PreprocessingConfig
  package var interaction: InteractionConfig
  /// What a score means; nil where nobody has found out.
  package var probability: ProbabilityConfig?
  /// Of the banks that tell hubs, where the file has them.
  package var hubness: HubnessConfig?
  /// What the weights of a `.ftf` file hold; absent in a source.
  package var precision: Precision?
  /// Scales of the block outputs that ReLU6 does not bound, by layer name; for int8.
  package var activations: [String: ActivationScale]?
  /// How many images calibrated the activations.
  package var calibrationImages: Int?
}

/// How the numbers of a model are held.
public enum Precision: String, Codable, Sendable, CaseIterable {
  case fp32
  /// Weights and activations.
  case int8
  /// Weights in the file; the arithmetic is fp32's.
  case int8Weights = "int8-weights"
}

/// The image tower, by its `architecture`.
package enum VisionConfig: Codable, Sendable, Equatable {
  case efficientNetLite(EfficientNetLiteConfig)
  case vit(ViTConfig)

  private enum Key: String, CodingKey { case architecture }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    let name = try container.decode(String.self, forKey: .architecture)
    switch name {
    case EfficientNetLiteConfig.name: self = .efficientNetLite(try EfficientNetLiteConfig(from: decoder))
    case ViTConfig.name: self = .vit(try ViTConfig(from: decoder))
    default:
      throw DecodingError.dataCorruptedError(
        forKey: .architecture, in: container, debugDescription: "no encoder here computes '\(name)'")
    }
  }

  package func encode(to encoder: any Encoder) throws {
    switch self {
    case .efficientNetLite(let config): try config.encode(to: encoder)
    case .vit(let config): try config.encode(to: encoder)
    }
  }

  package var architecture: String {
    switch self {
    case .efficientNetLite: EfficientNetLiteConfig.name
    case .vit: ViTConfig.name
    }
  }

  /// Side of the square input, in pixels.
  package var imageSize: Int {
    switch self {
    case .efficientNetLite(let config): config.imageSize
    case .vit(let config): config.imageSize
    }
  }

  /// Side of the patch grid: N = grid * grid.
  package var grid: Int {
    switch self {
    case .efficientNetLite(let config): config.grid
    case .vit(let config): config.grid
    }
  }
}

/// EfficientNet-Lite (arXiv 1905.11946): stem 3x3 stride 2, inverted bottlenecks, 1x1 head; ReLU6, SAME padding.
package struct EfficientNetLiteConfig: Codable, Sendable, Equatable {
  package static let name = "efficientnet_lite"

  package struct Block: Codable, Sendable, Equatable {
    /// Of the depthwise convolution: 3 or 5.
    package var kernel: Int
    /// 1 or 2.
    package var stride: Int
    /// Channels inside the block as a multiple of its input; 1 has no expanding convolution.
    package var expand: Int
    package var input: Int
    package var output: Int
    package var residual: Bool
  }

  package var architecture: String
  /// Side of the square input, in pixels.
  package var imageSize: Int
  /// Channels of the stem.
  package var stem: Int
  package var blocks: [Block]
  /// Channels of the head.
  package var head: Int
  /// Of the batch norms, which are folded at conversion.
  package var normEpsilon: Float
  package var activation: String
  package var padding: String
  /// The block whose output, finer than the grid of patches, is the patches' second source; nil for none.
  package var detail: Int?

  /// Side of the patch grid: N = grid * grid.
  package var grid: Int { side(after: blocks.count - 1) }

  /// Side of a block's output.
  package func side(after block: Int) -> Int {
    blocks.prefix(block + 1).reduce((imageSize + 1) / 2) { ($0 + $1.stride - 1) / $1.stride }
  }

  /// Of the second source: `cell` * `cell` positions lie under a patch; `inputs` are their channels, position by position.
  package var detailShape: (cell: Int, inputs: Int)? {
    guard let detail else { return nil }
    let cell = side(after: detail) / grid
    return (cell, cell * cell * blocks[detail].output)
  }
}

/// A vision transformer, CLIP's or the plain one: patch embedding without overlap, class token first, pre-norm blocks with a
/// norm after them, CLIP's with one before too; g from the class token (the plain one's through a layer and tanh), P from the
/// patch tokens.
package struct ViTConfig: Codable, Sendable, Equatable {
  package static let name = "vit"

  package var architecture: String
  /// Side of the square input and of a patch, in pixels.
  package var imageSize: Int
  package var patchSize: Int
  package var layers: Int
  package var width: Int
  package var heads: Int
  /// Width of the feed-forward layers.
  package var hidden: Int
  package var activation: String
  package var normEpsilon: Float
  /// What the patches' vectors are made of; nil for the tokens themselves.
  package var patches: PatchSource?

  package var grid: Int { imageSize / max(patchSize, 1) }
  /// The class token and N patches.
  package var tokens: Int { grid * grid + 1 }
}

/// What the last block of a vision transformer makes of its patches.
public enum PatchSource: String, Codable, Sendable, CaseIterable {
  /// What comes out of it, as the model was trained: in a CLIP, which trained the class token alone, it points at the background.
  case token
  /// With each token's value in the place of its attention (MaskCLIP, arXiv 2112.01071).
  case value
  /// Its attention by the likeness of queries, without residual and feed-forward (ClearCLIP, arXiv 2407.12442).
  case selfAttention = "self"
}

/// The text tower: `bert` (bidirectional, post-norm, pooled by the mean over all tokens, at [CLS], or by a layer and tanh
/// after [CLS]) or `clip` (causal, pre-norm, pooled at the end token).
package struct TextConfig: Codable, Sendable, Equatable {
  package var architecture: String
  package var layers: Int
  package var width: Int
  package var heads: Int
  /// Width of the feed-forward layers.
  package var hidden: Int
  package var activation: String
  package var normEpsilon: Float
  package var vocabulary: Int
  /// Rows of the table of positions.
  package var positions: Int
  /// Longest input in tokens, special ones included.
  package var contextLength: Int
  package var pooling: String
  package var lowercase: Bool
  /// Whether texts are repaired first, as open_clip's and OpenAI's tokenizer does (`TextRepair`); nil for not.
  package var repairs: Bool?
}

/// From pixels of any size to the encoder's input.
package struct PreprocessingConfig: Codable, Sendable, Equatable {
  /// `shortest_edge`: the shorter side becomes `resizeTo`, the other keeps the aspect; then the centre is cropped. `exact`: both
  /// become `cropTo`.
  package var resize: String
  package var resizeTo: Int
  /// How the longer side is made whole: `nearest` (half to even; the default) or `down`.
  package var rounding: String?
  package var cropTo: Int
  /// How half of what is cut off is made whole: `down` (the default, and transformers') or `nearest` (half to even,
  /// torchvision's).
  package var centring: String?
  /// `bicubic` or `bilinear`.
  package var interpolation: String
  /// Per channel R, G, B: `(value / 255 - mean) / std`.
  package var mean: [Float]
  package var std: [Float]
  /// Metres on the ground that a picture covers, as in training; nil where that is not said.
  package var ground: Double?
}

/// The defaults of the rerank that travel with a model.
public struct InteractionConfig: Codable, Sendable, Equatable {
  public enum Mode: String, Codable, Sendable, CaseIterable {
    /// The sentence guides.
    case balanced
    /// Every word guides; their scores are averaged.
    case words
    /// The mean over the words of the best patch.
    case maxsim
    /// No fine score.
    case none
  }
  public enum Fusion: String, Codable, Sendable, CaseIterable {
    /// Scores are fused as they are.
    case raw
    /// Both scores are normalised over the candidates of the query (mean 0, deviation 1) first.
    case z
  }

  public var mode: Mode
  public var candidates: Int
  public var tau: Float
  public var beta: Float
  public var lambda: Float
  public var fusion: Fusion
  /// The share of an item's nearness to whatever is asked that is taken off its score, at least 0; for models that know of it.
  public var hubness: Float

  public init(
    mode: Mode, candidates: Int, tau: Float, beta: Float, lambda: Float, fusion: Fusion, hubness: Float = 0
  ) {
    (self.mode, self.candidates, self.tau) = (mode, candidates, tau)
    (self.beta, self.lambda, self.fusion, self.hubness) = (beta, lambda, fusion, hubness)
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    mode = try values.decode(Mode.self, forKey: .mode)
    candidates = try values.decode(Int.self, forKey: .candidates)
    tau = try values.decode(Float.self, forKey: .tau)
    beta = try values.decode(Float.self, forKey: .beta)
    lambda = try values.decode(Float.self, forKey: .lambda)
    fusion = try values.decode(Fusion.self, forKey: .fusion)
    hubness = try values.decodeIfPresent(Float.self, forKey: .hubness) ?? 0
  }

  /// Leaves recall's order as it is.
  package static let recallOnly = InteractionConfig(mode: .none, candidates: 50, tau: 0.1, beta: 0.5, lambda: 0.5, fusion: .z)
}

/// How a model's banks `bank.sentences` and `bank.images` tell what is near to whatever is asked; see `Retrieval`.
package struct HubnessConfig: Codable, Sendable, Equatable {
  /// Rows of either bank.
  package var sentences: Int
  package var images: Int
  package var temperature: Float
  /// The mean hubness of images and of captions.
  package var imageLevel: Float
  package var captionLevel: Float
  /// What a tenth of them lie below; nil in earlier files, which take it as it is.
  package var imageFloor: Float?
  package var captionFloor: Float?

  package init(
    sentences: Int, images: Int, temperature: Float, imageLevel: Float, captionLevel: Float, imageFloor: Float?, captionFloor: Float?
  ) {
    (self.sentences, self.images, self.temperature) = (sentences, images, temperature)
    (self.imageLevel, self.captionLevel) = (imageLevel, captionLevel)
    (self.imageFloor, self.captionFloor) = (imageFloor, captionFloor)
  }

  package var isUsable: Bool {
    (1...1 << 20).contains(sentences) && (1...1 << 20).contains(images) && temperature > 0 && temperature.isFinite
      && [imageLevel, captionLevel, imageFloor ?? 0, captionFloor ?? 0].allSatisfy(\.isFinite)
  }
}

/// From a result's score to the chance that it is what was asked for; see `Retrieval`.
package struct ProbabilityConfig: Codable, Sendable, Equatable {
  package var bias: Double
  /// Of the score itself.
  package var score: Double
  /// Of the logarithm of its share among the candidates, at a temperature.
  package var share: Double
  package var temperature: Double

  package init(bias: Double, score: Double, share: Double, temperature: Double) {
    (self.bias, self.score, self.share, self.temperature) = (bias, score, share, temperature)
  }

  package var isUsable: Bool { [bias, score, share].allSatisfy(\.isFinite) && temperature > 0 && temperature.isFinite }
}

extension ModelConfig {
  /// Reads and checks a config.
  ///
  /// - Parameter path: what an error names.
  package init(json: Data, path: String) throws(WeightsError) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      self = try decoder.decode(ModelConfig.self, from: json)
    } catch {
      throw .badConfig(path: path, reason: Self.reason(error))
    }
    if let reason = contradiction { throw .badConfig(path: path, reason: "the config \(reason)") }
  }

  /// Why a JSON text was not what is expected, in a few words.
  static func reason(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
    switch error {
    case DecodingError.keyNotFound(let key, let context):
      return "the config has no '\(place(context.codingPath + [key]))'"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      return "the config's '\(place(context.codingPath))' has another type than expected"
    case DecodingError.dataCorrupted(let context):
      return context.codingPath.isEmpty
        ? "it is no valid JSON" : "the config's '\(place(context.codingPath))' cannot be read: \(context.debugDescription)"
    default: return "it cannot be read"
    }
  }

  package func json() -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys]
    // Encoding values of this type cannot fail: they are finite numbers, strings and arrays of them.
    return String(decoding: try! encoder.encode(self), as: UTF8.self)
  }

  /// Of a norm.
  fileprivate static func isEpsilon(_ value: Float) -> Bool { (0...1).contains(value) }

  /// What the config says that cannot be, or that no encoder here computes.
  var contradiction: String? {
    let extent = 1...65536
    func bad(_ name: String, _ value: Any) -> String { "has \(name) \(value), which no encoder here computes" }
    if format != Self.format { return "is of format '\(format)', not '\(Self.format)'" }
    let activations = ["gelu", "quickgelu"]
    if !["bert", "clip"].contains(text.architecture) { return bad("text.architecture", text.architecture) }
    if !activations.contains(text.activation) { return bad("text.activation", text.activation) }
    let poolings = text.architecture == "bert" ? ["mean", "class", "pooler"] : ["end"]
    if !poolings.contains(text.pooling) { return bad("text.pooling", text.pooling) }
    if ![nil, "nearest", "down"].contains(preprocessing.rounding) {
      return bad("preprocessing.rounding", preprocessing.rounding!)
    }
    if ![nil, "nearest", "down"].contains(preprocessing.centring) {
      return bad("preprocessing.centring", preprocessing.centring!)
    }
    if !["shortest_edge", "exact"].contains(preprocessing.resize) {
      return bad("preprocessing.resize", preprocessing.resize)
    }
    if !["bicubic", "bilinear"].contains(preprocessing.interpolation) {
      return bad("preprocessing.interpolation", preprocessing.interpolation)
    }
    for (name, value) in [
      ("dimension", dimension), ("text.width", text.width),
      ("text.heads", text.heads), ("text.hidden", text.hidden), ("text.positions", text.positions),
    ] where !extent.contains(value) { return bad(name, value) }
    if !(1...1 << 24).contains(text.vocabulary) { return bad("text.vocabulary", text.vocabulary) }
    if !(1...256).contains(text.layers) { return bad("text.layers", text.layers) }
    if !(8...2048).contains(vision.imageSize) { return bad("vision.image_size", vision.imageSize) }
    if text.width % text.heads != 0 { return "has text.width \(text.width), which \(text.heads) heads do not divide" }
    if text.contextLength > 8192 || text.contextLength * max(text.hidden, 3 * text.width) > Self.mostActivations {
      return bad("text.context_length", text.contextLength)
    }
    if text.contextLength < 3 || text.contextLength > text.positions {
      return bad("text.context_length", text.contextLength)
    }
    if preprocessing.cropTo != vision.imageSize || preprocessing.resizeTo < preprocessing.cropTo
      || preprocessing.resizeTo > 4096
    {
      return
        "resizes to \(preprocessing.resizeTo) and crops to \(preprocessing.cropTo) for images of \(vision.imageSize)"
    }
    if preprocessing.mean.count != 3 || preprocessing.std.count != 3 || !preprocessing.mean.allSatisfy(\.isFinite)
      || !preprocessing.std.allSatisfy({ $0 > 0 && $0.isFinite })
    {
      return "needs three means and three positive stds"
    }
    if !Self.isEpsilon(text.normEpsilon) { return bad("text.norm_epsilon", text.normEpsilon) }
    if let hubness, !hubness.isUsable { return "has a hubness that is none: rows, a temperature above 0, and levels" }
    if let probability, !probability.isUsable { return "has a probability that is none: numbers, and a temperature above 0" }
    if !interaction.isUsable { return "has an interaction outside its ranges: tau > 0, beta and lambda in 0...1, hubness in 0...2" }
    return switch vision {
    case .efficientNetLite(let config): config.contradiction
    case .vit(let config): config.contradiction
    }
  }
}

extension ViTConfig {
  /// What the config says that cannot be.
  var contradiction: String? {
    for (name, value) in [("width", width), ("heads", heads), ("hidden", hidden)] where !(1...65536).contains(value) {
      return "has vision.\(name) \(value), which no encoder here computes"
    }
    if !(1...256).contains(layers) { return "has vision.layers \(layers), which no encoder here computes" }
    if !ModelConfig.isEpsilon(normEpsilon) {
      return "has vision.norm_epsilon \(normEpsilon), which no encoder here computes"
    }
    if !["gelu", "quickgelu"].contains(activation) {
      return "has vision.activation \(activation), which no encoder here computes"
    }
    if !(1...imageSize).contains(patchSize) || imageSize % patchSize != 0 {
      return "has vision.patch_size \(patchSize), which does not divide the image of \(imageSize)"
    }
    // Activations of one pass: what a hostile config could make of a small file.
    if tokens > 16384 || tokens * max(hidden, 3 * width, 3 * patchSize * patchSize) > ModelConfig.mostActivations {
      return "has \(tokens) vision tokens, which take more memory than a model may"
    }
    if width % heads != 0 { return "has vision.width \(width), which \(heads) heads do not divide" }
    return nil
  }
}

extension EfficientNetLiteConfig {
  /// What the config says that cannot be, or that no encoder here computes.
  var contradiction: String? {
    if activation != "relu6" { return "has vision.activation \(activation), which no encoder here computes" }
    if !ModelConfig.isEpsilon(normEpsilon) {
      return "has vision.norm_epsilon \(normEpsilon), which no encoder here computes"
    }
    if padding != "same" { return "has vision.padding \(padding), which no encoder here computes" }
    for (name, value) in [("stem", stem), ("head", head)] where !(1...65536).contains(value) {
      return "has vision.\(name) \(value), which no encoder here computes"
    }
    if !(1...256).contains(blocks.count) { return "has \(blocks.count) vision.blocks, which no encoder here computes" }
    var channels = stem
    var side = (imageSize + 1) / 2
    for (i, block) in blocks.enumerated() {
      let at = "has vision.blocks[\(i)]"
      if block.input != channels { return "\(at) with input \(block.input) after an output of \(channels)" }
      if block.kernel != 3 && block.kernel != 5 { return "\(at) with kernel \(block.kernel); 3 and 5 are computed" }
      if block.stride != 1 && block.stride != 2 { return "\(at) with stride \(block.stride); 1 and 2 are computed" }
      if !(1...16).contains(block.expand) || !(1...4096).contains(block.output) || !(1...4096).contains(block.input) {
        return "\(at) with widths that no encoder here computes"
      }
      if block.residual && (block.stride != 1 || block.input != block.output) {
        return "\(at) with an impossible residual"
      }
      if (side + 4) * (side + 4) * block.input * block.expand > ModelConfig.mostActivations {
        return "\(at) with more activations than a model may have"
      }
      side = (side + block.stride - 1) / max(block.stride, 1)
      channels = block.output
    }
    for channels in [stem, head] + blocks.map(\.output) where channels % 4 != 0 {
      return "has a layer of \(channels) channels; multiples of 4 are computed"
    }
    if let detail,
      !blocks.indices.contains(detail) || self.side(after: detail) % grid != 0 || detailShape!.cell > 4 || detailShape!.inputs > 65536
    {
      return "has vision.detail \(detail), which is no block whose output lies evenly over the patches"
    }
    return nil
  }
}

extension InteractionConfig {
  /// tau > 0 and finite, beta and lambda in 0...1, candidates at least 1, hubness in 0...2.
  package var isUsable: Bool {
    tau > 0 && tau.isFinite && (0...1).contains(beta) && (0...1).contains(lambda) && candidates >= 1 && (0...2).contains(hubness)
  }
}
