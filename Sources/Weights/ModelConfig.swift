/// What a model is: everything an encoder, a tokenizer and an interaction need to know beside the tensors.
///
/// Stored as JSON in the metadata of a `.ftf` file. Linear weights are `[outputs, inputs]` row-major, as PyTorch saves them.
///
/// | tensor | shape | note |
/// |---|---|---|
/// | `vision.patch_embedding.weight` | `[width, 3 * patch * patch]` | channel-major patch: c, y, x |
/// | `vision.patch_embedding.bias` | `[width]` | optional |
/// | `vision.class_embedding` | `[width]` | where `hasClassToken` |
/// | `vision.position_embedding` | `[tokens, width]` | class token first |
/// | `vision.pre_norm.{weight,bias}` | `[width]` | where `hasPreNorm` |
/// | `T.blocks.I.norm1.{weight,bias}` | `[width]` | `T` is `vision` or `text` |
/// | `T.blocks.I.qkv.{weight,bias}` | `[3 * width, width]` | query, key, value rows in this order |
/// | `T.blocks.I.attention_out.{weight,bias}` | `[width, width]` | |
/// | `T.blocks.I.norm2.{weight,bias}` | `[width]` | |
/// | `T.blocks.I.mlp_in.{weight,bias}` | `[hidden, width]` | |
/// | `T.blocks.I.mlp_out.{weight,bias}` | `[width, hidden]` | |
/// | `T.final_norm.{weight,bias}` | `[width]` | CLIP: post_layernorm, final_layer_norm; absent for BERT |
/// | `vision.projection.weight` | `[dimension, width]` | absent where the width is the dimension already |
/// | `vision.patch_projection.weight` | `[dimension, width]` | only where patches have their own |
/// | `text.token_embedding.weight` | `[vocabulary, width]` | int8 with a scale a row, or f32 |
/// | `text.position_embedding` | `[positions, width]` | BERT: token type 0 is added in at conversion |
/// | `text.embedding_norm.{weight,bias}` | `[width]` | BERT |
/// | `text.projection.weight` | `[dimension, width]` | absent where the width is the dimension already |
/// | `text.word_projection.weight` | `[dimension, width]` | only where words have their own |
///
/// An int8 weight `X.weight` (I8) comes with `X.weight_scale` (F32, one per row, `weight = scale * q`).
package struct ModelConfig: Codable, Sendable, Equatable {
  package var name: String
  /// Length of g, t and of every row of P and W.
  package var dimension: Int
  package var vision: VisionConfig
  package var text: TextConfig
  package var preprocessing: PreprocessingConfig
  package var interaction: InteractionConfig

  package init(
    name: String, dimension: Int, vision: VisionConfig, text: TextConfig, preprocessing: PreprocessingConfig,
    interaction: InteractionConfig
  ) {
    self.name = name
    self.dimension = dimension
    self.vision = vision
    self.text = text
    self.preprocessing = preprocessing
    self.interaction = interaction
  }
}

/// The activation of the feed-forward layers. The same weights under another activation are another model.
package enum Activation: String, Codable, Sendable {
  /// `x * 0.5 * (1 + erf(x / sqrt 2))`
  case gelu
  /// `x / (1 + exp(-1.702 x))`
  case quickGELU = "quickgelu"
}

/// A stack of transformer blocks of one shape.
package struct TransformerConfig: Codable, Sendable, Equatable {
  package var width: Int
  package var layers: Int
  package var heads: Int
  package var hidden: Int
  package var activation: Activation
  package var normEpsilon: Float

  package init(width: Int, layers: Int, heads: Int, hidden: Int, activation: Activation, normEpsilon: Float) {
    self.width = width
    self.layers = layers
    self.heads = heads
    self.hidden = hidden
    self.activation = activation
    self.normEpsilon = normEpsilon
  }
}

/// A vision transformer with pre-norm blocks.
package struct VisionConfig: Codable, Sendable, Equatable {
  package enum Pooling: String, Codable, Sendable {
    /// g from the class token.
    case classToken = "class"
    /// g from the mean of the patch tokens after the final norm.
    case mean
  }

  package var transformer: TransformerConfig
  /// Side of the square input, in pixels.
  package var imageSize: Int
  /// Side of a patch, in pixels; divides `imageSize`.
  package var patchSize: Int
  package var hasClassToken: Bool
  /// CLIP normalises the embedded tokens before the first block.
  package var hasPreNorm: Bool
  package var pooling: Pooling

  /// Side of the patch grid; N = grid * grid.
  package var grid: Int { imageSize / patchSize }
  package var patches: Int { grid * grid }

  package init(
    transformer: TransformerConfig, imageSize: Int, patchSize: Int, hasClassToken: Bool, hasPreNorm: Bool,
    pooling: Pooling
  ) {
    self.transformer = transformer
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.hasClassToken = hasClassToken
    self.hasPreNorm = hasPreNorm
    self.pooling = pooling
  }
}

/// A text transformer: CLIP's (causal, pre-norm, pooled at the end token) or BERT's (bidirectional, post-norm).
package struct TextConfig: Codable, Sendable, Equatable {
  package enum Architecture: String, Codable, Sendable { case clip, bert }
  package enum Pooling: String, Codable, Sendable {
    /// The hidden state of CLIP's end token.
    case endToken = "end"
    /// The hidden state of BERT's [CLS].
    case classToken = "class"
    /// The mean over all tokens of the sentence, special ones included, as sentence-transformers does.
    case mean
  }

  package var architecture: Architecture
  package var transformer: TransformerConfig
  package var vocabulary: Int
  /// Longest input in tokens, special ones included.
  package var contextLength: Int
  package var pooling: Pooling

  package init(
    architecture: Architecture, transformer: TransformerConfig, vocabulary: Int, contextLength: Int, pooling: Pooling
  ) {
    self.architecture = architecture
    self.transformer = transformer
    self.vocabulary = vocabulary
    self.contextLength = contextLength
    self.pooling = pooling
  }
}

/// From pixels of any size to the encoder's input.
package struct PreprocessingConfig: Codable, Sendable, Equatable {
  package enum Resize: String, Codable, Sendable {
    /// The shorter side becomes `resizeTo`, the other keeps the aspect; then the centre is cropped.
    case shortestEdge = "shortest_edge"
    /// Both sides become `resizeTo`, whatever the aspect.
    case exact
  }
  package enum Interpolation: String, Codable, Sendable { case bicubic, bilinear }

  package var resize: Resize
  package var resizeTo: Int
  /// Side of the centre crop; equals the vision tower's image size.
  package var cropTo: Int
  package var interpolation: Interpolation
  /// Per channel R, G, B, for values in 0...1: `(value / 255 - mean) / std`.
  package var mean: [Float]
  package var std: [Float]

  package init(
    resize: Resize, resizeTo: Int, cropTo: Int, interpolation: Interpolation, mean: [Float], std: [Float]
  ) {
    self.resize = resize
    self.resizeTo = resizeTo
    self.cropTo = cropTo
    self.interpolation = interpolation
    self.mean = mean
    self.std = std
  }
}

/// The defaults of the rerank that travel with a model.
package struct InteractionConfig: Codable, Sendable, Equatable {
  package enum Mode: String, Codable, Sendable, CaseIterable { case balanced, words, maxsim, none }
  package enum Fusion: String, Codable, Sendable, CaseIterable {
    /// Scores are fused as they are.
    case raw
    /// Both scores are normalised over the candidates of the query (mean 0, deviation 1) first.
    case z
  }

  package var mode: Mode
  package var candidates: Int
  package var tau: Float
  package var beta: Float
  package var lambda: Float
  package var fusion: Fusion

  package init(mode: Mode, candidates: Int, tau: Float, beta: Float, lambda: Float, fusion: Fusion) {
    self.mode = mode
    self.candidates = candidates
    self.tau = tau
    self.beta = beta
    self.lambda = lambda
    self.fusion = fusion
  }
}
