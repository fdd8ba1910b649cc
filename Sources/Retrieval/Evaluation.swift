import FTFKernels
import FTFWeights

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
  let images: Pipeline<ItemSet>
  let captions: Pipeline<ItemSet>
  let imageQueries: [EncodedQuery]
  let captionQueries: [EncodedQuery]
  /// The image of each caption.
  let owner: [Int]
  let kernels: KernelSet

  /// - Parameters:
  ///   - patches: f32[N, d] of each image; `globals` f32[d].
  ///   - words: f32[M, d] of each caption; `sentences` f32[d].
  ///   - owner: the image of each caption.
  ///   - precision: int8 searches codes, as an index does.
  ///   - hubness: of images and of captions; nil for none.
  package init(
    globals: [[Float]], patches: [[Float]], sentences: [[Float]], words: [[Float]], owner: [Int], dimension: Int,
    precision: Precision, hubness: (images: Hubness, captions: Hubness)? = nil, with kernels: KernelSet
  ) {
    let single = kernels.singleThreaded
    func pipeline(_ coarse: [[Float]], _ fine: [[Float]], areImages: Bool) -> Pipeline<ItemSet> {
      let set = ItemSet(
        coarse: coarse, fine: fine, dimension: dimension, areImages: areImages, precision: precision, with: single)
      return Pipeline([set], hubness: areImages ? hubness?.images : hubness?.captions)
    }
    images = pipeline(globals, patches, areImages: true)
    captions = pipeline(sentences, words, areImages: false)
    imageQueries = zip(globals, patches).map { EncodedQuery(global: $0, patches: $1, precision: precision, with: single) }
    captionQueries = zip(sentences, words).map { EncodedQuery(sentence: $0, words: $1, precision: precision, with: single) }
    self.owner = owner
    self.kernels = kernels
  }

  /// - Parameter interaction: nil for recall only.
  package func scores(_ interaction: InteractionConfig?) -> RetrievalScores {
    let clock = ContinuousClock()
    let start = clock.now
    let i2t = hits(imageQueries, captions, interaction) { owner[$1] == $0 }
    let t2i = hits(captionQueries, images, interaction) { owner[$0] == $1 }
    let elapsed = (clock.now - start) / .milliseconds(1)
    return RetrievalScores(
      imageToText: i2t, textToImage: t2i,
      millisecondsPerQuery: elapsed / Double(max(imageQueries.count + captionQueries.count, 1)))
  }

  /// R@1, R@5 and R@10 in percent over all queries.
  private func hits(
    _ queries: [EncodedQuery], _ pipeline: Pipeline<ItemSet>, _ interaction: InteractionConfig?, isHit: @Sendable (Int, Int) -> Bool
  ) -> [Double] {
    let single = kernels.singleThreaded
    let found = kernels.parallelMap(queries.count) { number in
      let query = queries[number]
      return pipeline.recall(query, limit: interaction?.candidates ?? 0, with: single) { candidates, scores in
        var keys = (0..<scores.count).map { RankKey(isCandidate: false, score: scores[$0]) }
        if let interaction, interaction.mode != .none {
          for candidate in pipeline.reranked(candidates, for: query, interaction, with: single) {
            keys[candidate.item] = RankKey(isCandidate: true, score: candidate.score)
          }
        }
        return [1, 5, 10].map { chanceOfHit(keys, within: $0) { isHit(number, $0) } }
      }
    }
    return (0..<3).map { k in 100 * found.reduce(0) { $0 + $1[k] } / Double(max(queries.count, 1)) }
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
