import Kernels
import Synchronization
import Weights

/// R@1, R@5, R@10 in percent, both ways, and their mean: the field's protocol. Image to text counts a hit for any of the
/// image's captions.
package struct RetrievalScores: Sendable, Equatable {
  package var imageToText: [Double]
  package var textToImage: [Double]
  /// Milliseconds a query, over both ways: search alone, nothing is encoded.
  package var millisecondsPerQuery: Double
  package var meanRecall: Double { (imageToText + textToImage).reduce(0, +) / 6 }
}

/// A set of images and captions in memory, in one representation, searched both ways.
package struct Evaluation: Sendable {
  private let globals: VectorSet
  private let images: [FineImage]
  private let sentences: VectorSet
  private let texts: [FineText]
  /// The image of each caption.
  private let owner: [Int]
  private let kernels: KernelSet

  /// - Parameters:
  ///   - patches: f32[N, d] of each image; `globals` f32[d].
  ///   - words: f32[M, d] of each caption; `sentences` f32[d].
  ///   - owner: the image of each caption.
  ///   - precision: int8 searches codes, as an index does.
  package init(
    globals: [[Float]], patches: [[Float]], sentences: [[Float]], words: [[Float]], owner: [Int], dimension: Int,
    precision: Precision, with kernels: KernelSet
  ) {
    let single = kernels.singleThreaded
    func set(_ rows: [Float]) -> VectorSet {
      precision == .fp32
        ? VectorSet(rows, dimension: dimension) : VectorSet(quantizing: rows, dimension: dimension, with: single)
    }
    self.globals = set(globals.flatMap { $0 })
    self.sentences = set(sentences.flatMap { $0 })
    images = zip(globals, patches).map { FineImage(patches: set($1), global: set($0), with: single) }
    texts = zip(sentences, words).map { FineText(sentence: set($0), words: set($1)) }
    self.owner = owner
    self.kernels = kernels
  }

  /// - Parameter interaction: nil for recall only.
  package func scores(_ interaction: InteractionConfig?) -> RetrievalScores {
    let clock = ContinuousClock()
    let start = clock.now
    let i2t = hits(
      queries: images.count, interaction, coarse: { sentences.dots(globals.rows($0..<$0 + 1), with: $1) },
      fine: { images[$0].fine(texts[$1], $2, with: $3).score }, isHit: { owner[$1] == $0 })
    let t2i = hits(
      queries: texts.count, interaction, coarse: { globals.dots(sentences.rows($0..<$0 + 1), with: $1) },
      fine: { images[$1].fine(texts[$0], $2, with: $3).score }, isHit: { owner[$0] == $1 })
    let elapsed = (clock.now - start) / .milliseconds(1)
    return RetrievalScores(
      imageToText: i2t, textToImage: t2i, millisecondsPerQuery: elapsed / Double(max(images.count + texts.count, 1)))
  }

  /// R@1, R@5 and R@10 in percent over all queries.
  private func hits(
    queries: Int, _ interaction: InteractionConfig?, coarse: (Int, KernelSet) -> AlignedBuffer<Float>,
    fine: (Int, Int, InteractionConfig, KernelSet) -> Float, isHit: (Int, Int) -> Bool
  ) -> [Double] {
    let totals = Mutex([0.0, 0.0, 0.0])
    let single = kernels.singleThreaded
    kernels.parallelFor(queries) { query in
      let scores = coarse(query, single)
      var keys = (0..<scores.count).map { RankKey(isCandidate: false, score: scores[$0]) }
      if let interaction, interaction.mode != .none {
        let candidates = recall(scores.span, limit: interaction.candidates)
        let fineScores = candidates.map { fine(query, $0.item, interaction, single) }
        for candidate in fused(candidates, fine: fineScores, interaction) {
          keys[candidate.item] = RankKey(isCandidate: true, score: candidate.score)
        }
      }
      let found = [1, 5, 10].map { chanceOfHit(keys, within: $0) { isHit(query, $0) } }
      totals.withLock { for k in 0..<3 { $0[k] += found[k] } }
    }
    return totals.withLock { $0.map { 100 * $0 / Double(max(queries, 1)) } }
  }
}

/// What orders an item: candidates come before the others.
struct RankKey: Comparable {
  var isCandidate: Bool
  var score: Float

  static func < (a: RankKey, b: RankKey) -> Bool {
    a.isCandidate == b.isCandidate ? a.score < b.score : !a.isCandidate
  }
}

/// The chance that the first `k` items hold a hit when items of equal keys come in random order.
///
/// Half of RSICD's captions are copies, so that equal scores are common; an order by position in the file would favour
/// the images at its beginning. With `above` items before the best hit's equals, of which t are there and h are hits,
/// the chance is 1 - C(t - h, k - above) / C(t, k - above).
func chanceOfHit(_ keys: [RankKey], within k: Int, isHit: (Int) -> Bool) -> Double {
  guard let best = keys.indices.filter(isHit).map({ keys[$0] }).max() else { return 0 }
  var (above, equal, hits) = (0, 0, 0)
  for i in keys.indices {
    if best < keys[i] { above += 1 }
    if keys[i] == best {
      equal += 1
      if isHit(i) { hits += 1 }
    }
  }
  guard k > above else { return 0 }
  var miss = 1.0
  for draw in 0..<min(k - above, equal) { miss *= max(0, Double(equal - hits - draw)) / Double(equal - draw) }
  return 1 - miss
}
