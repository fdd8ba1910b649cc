import FTFWeights

/// How candidates are reranked; see ``Interaction``.
public typealias InteractionMode = InteractionConfig.Mode
/// How the scores of the two stages are joined.
public typealias ScoreFusion = InteractionConfig.Fusion

/// The rerank's settings; what is nil is as the model file says.
///
/// With a_j = <p_j, t>: w = softmax(a / tau), v = sum_j w_j p_j, u = (1 - beta) g + beta v / |v|, s_f = <u, t> / |u|, and the score is
/// (1 - lambda) s_c + lambda s_f, where s_c = <g, t> is recall's; less a share of what the item has for every query.
public struct Interaction: Sendable, Equatable {
  public var mode: InteractionMode?
  /// How many of recall's best are reranked, at least 1.
  public var candidates: Int?
  /// Above 0.
  public var tau: Float?
  /// In 0...1.
  public var beta: Float?
  /// In 0...1.
  public var lambda: Float?
  public var fusion: ScoreFusion?
  /// In 0...2: the share of what an item has for every query that is taken off its score, where the model was tuned.
  public var hubness: Float?

  public init(
    mode: InteractionMode? = nil, candidates: Int? = nil, tau: Float? = nil, beta: Float? = nil, lambda: Float? = nil,
    fusion: ScoreFusion? = nil, hubness: Float? = nil
  ) {
    self.hubness = hubness
    (self.mode, self.candidates, self.tau) = (mode, candidates, tau)
    (self.beta, self.lambda, self.fusion) = (beta, lambda, fusion)
  }

  package func resolved(_ defaults: InteractionConfig) throws(FastThenFineError) -> InteractionConfig {
    let result = InteractionConfig(
      mode: mode ?? defaults.mode, candidates: candidates ?? defaults.candidates, tau: tau ?? defaults.tau,
      beta: beta ?? defaults.beta, lambda: lambda ?? defaults.lambda, fusion: fusion ?? defaults.fusion,
      hubness: hubness ?? defaults.hubness)
    guard result.isUsable else {
      throw FastThenFineError(.badInput, "tau must be positive, beta and lambda lie in 0...1, hubness in 0...2, candidates are at least 1")
    }
    return result
  }
}

/// What is searched for, and how.
public struct Query: Sendable, Equatable {
  public indirect enum Content: Sendable, Equatable {
    case sentence(String)
    /// The path of an image.
    case image(String)
    /// The bytes of a JPEG or PNG file.
    case imageData([UInt8])
    /// An image of the index, by its id; it is not among the results.
    case item(Int64)
    /// Several at once: the sum of their vectors, each of unit norm, times a weight, which below 0 leads away; recall alone.
    case examples([Example])
    /// A vector of the model's, f32[dimension], as ``Engine/embed(text:)`` gives it; recall alone.
    case vector([Float])
  }

  /// One of several things that a query shows.
  public struct Example: Sendable, Equatable {
    public var content: Content
    public var weight: Float

    public init(_ content: Content, weight: Float = 1) { (self.content, self.weight) = (content, weight) }
  }

  public var content: Content
  /// The most results, at least 1.
  public var top: Int
  /// Results that come before them and are left out: where a page begins.
  public var offset = 0
  public var interaction: Interaction
  /// Leaves the rerank out.
  public var recallOnly: Bool
  /// Leaves out images that show what the sentence says with a smaller chance than this, 0 to 1; the model has to know (see ``Answer/Result/probability``).
  public var minimumProbability: Double
  /// Answers with every window of a scene, also where windows that overlap say the same.
  public var allWindows: Bool
  /// Images of the index, by their ids, that the results should not be like; they are left out, and what is near to them gets lower
  /// scores: the query's vector less a tenth of their mean (Rocchio).
  public var unlike: [Int64]
  /// Nothing is asked after it: what was read of the index for it does not stay in memory.
  package var isLast = false

  public init(
    _ content: Content, top: Int = 10, interaction: Interaction = Interaction(), recallOnly: Bool = false,
    minimumProbability: Double = 0, allWindows: Bool = false, unlike: [Int64] = []
  ) {
    (self.allWindows, self.unlike) = (allWindows, unlike)
    (self.content, self.top, self.interaction, self.recallOnly) = (content, top, interaction, recallOnly)
    self.minimumProbability = minimumProbability
  }
}

/// What a search found, best first, and the milliseconds of its parts.
public struct Answer: Sendable, Equatable {
  public struct Result: Sendable, Equatable {
    /// From 1.
    public var rank: Int
    public var id: Int64
    /// The path of an image (bytes that are no UTF-8 as \xff), or the words of a caption.
    public var name: String
    /// The path of an image as the system has it, where it is not UTF-8.
    public var pathBytes: [UInt8]?
    public var score: Float
    /// The chance that this image shows what the sentence says, as found on captioned images: from the score alone, whatever else the index
    /// holds. Nil where a picture was asked for, captions are searched, or the model was not tuned.
    public var probability: Double?
    /// s_c, and its place in recall's order, from 1.
    public var recallScore: Float
    public var recallRank: Int
    /// A JSON object; nil where nothing is known of the image beside its pixels.
    public var attributes: String?
    /// The same as values: without its lists and objects.
    public var values: [String: AttributeValue] { attributes.flatMap { [String: AttributeValue](json: $0) } ?? [:] }
    /// The part of the scene; nil for the whole picture.
    public var window: PixelWindow?
    /// Where it lies, a GeoJSON geometry; nil where that is not known.
    public var geometry: String?
    /// The folder of the index that it is in, where several are searched as one.
    public var index: String?
    /// What the index remembers of the scene.
    package var scene: String?
    /// Where the sentence was found: a share for each patch, f32[grid * grid] row by row, sum 1; nil where nothing was reranked.
    public var attention: [Float]?

    /// A result that no search found: for tests, or from what a program kept.
    ///
    /// - Parameters:
    ///   - rank: from 1; 0 where there is none.
    ///   - id: in the index.
    ///   - name: the path of an image, or the words of a caption.
    ///   - pathBytes: of a path that is not UTF-8.
    ///   - score: s.
    ///   - recallScore: s_c; `score` where nothing was reranked.
    ///   - recallRank: from 1; 0 where there is none.
    ///   - probability: 0 to 1.
    ///   - attributes: a JSON object.
    ///   - window: of a scene, in its pixels.
    ///   - geometry: GeoJSON.
    ///   - attention: f32[grid * grid], sum 1.
    public init(
      rank: Int, id: Int64, name: String, pathBytes: [UInt8]? = nil, score: Float, recallScore: Float? = nil, recallRank: Int = 0,
      probability: Double? = nil,
      attributes: String? = nil, window: PixelWindow? = nil, geometry: String? = nil, attention: [Float]? = nil
    ) {
      (self.rank, self.id, self.name, self.pathBytes, self.score) = (rank, id, name, pathBytes, score)
      (self.recallScore, self.recallRank, self.probability) = (recallScore ?? score, recallRank, probability)
      (self.attributes, self.window, self.geometry, self.attention) = (attributes, window, geometry, attention)
    }
  }

  public var results: [Result]
  /// Until there were threads for it; 0 where the caller's own thread waited.
  public var waitMilliseconds = 0.0
  /// Sentences that were found by the same scan.
  public var shared = 1
  public var encodeMilliseconds: Double
  public var recallMilliseconds: Double
  public var rerankMilliseconds: Double
  /// The chance that the best of what was found does not show what the sentence says either; nil where results have no probability.
  public var nothingFits: Double?

  /// An answer that no search gave: for tests, or from what a program kept.
  ///
  /// - Parameters:
  ///   - results: best first.
  ///   - encodeMilliseconds: of the query.
  ///   - recallMilliseconds: of the scan.
  ///   - rerankMilliseconds: of the candidates.
  public init(
    results: [Result], encodeMilliseconds: Double = 0, recallMilliseconds: Double = 0, rerankMilliseconds: Double = 0
  ) {
    (self.results, self.encodeMilliseconds) = (results, encodeMilliseconds)
    (self.recallMilliseconds, self.rerankMilliseconds) = (recallMilliseconds, rerankMilliseconds)
  }
}
