import FTFKernels
import FTFWeights

/// What reranks of different settings make of the same candidates, each image by itself, so that settings are compared in pairs.
package struct RerankTrials: Sendable {
  /// What one query's recall found, and which of it is right.
  private struct Recalled: Sendable {
    var candidates: [Candidate]
    var isHit: [Bool]
    /// The image that the query is, or belongs to.
    var image: Int
  }

  private let evaluation: Evaluation
  private let fromImages: [Recalled]
  private let fromCaptions: [Recalled]

  /// - Parameter limit: candidates that a rerank may have, at least 10.
  package init(_ evaluation: Evaluation, limit: Int) {
    precondition(limit >= 10, "what lies beyond the candidates is never among the first ten")
    self.evaluation = evaluation
    let (owner, single) = (evaluation.owner, evaluation.kernels.singleThreaded)
    func recalled(
      _ queries: [EncodedQuery], _ pipeline: Pipeline<ItemSet>, image: @Sendable (Int) -> Int, isHit: @Sendable (Int, Int) -> Bool
    ) -> [Recalled] {
      evaluation.kernels.parallelMap(queries.count) { i in
        let candidates = pipeline.recall(queries[i], limit: limit, with: single)
        return Recalled(candidates: candidates, isHit: candidates.map { isHit(i, $0.item) }, image: image(i))
      }
    }
    fromImages = recalled(evaluation.imageQueries, evaluation.captions, image: { $0 }) { owner[$1] == $0 }
    fromCaptions = recalled(evaluation.captionQueries, evaluation.images, image: { owner[$0] }) { owner[$0] == $1 }
  }

  /// Each image's part in mR, in percent: their mean is mR.
  ///
  /// - Parameter settings: share a mode, tau and beta, so that the fine scores are computed once; nil is recall alone.
  package func parts(_ settings: [InteractionConfig?]) -> [[Double]] {
    let n = evaluation.imageQueries.count
    var parts = [[Double]](repeating: [Double](repeating: 0, count: n), count: settings.count)
    let weight = Double(n) / Double(max(fromCaptions.count, 1))
    func add(_ recalled: [Recalled], _ queries: [EncodedQuery], _ pipeline: Pipeline<ItemSet>, _ weight: Double) {
      let found = evaluation.kernels.parallelMap(recalled.count) { i in
        hits(recalled[i], queries[i], pipeline, settings)
      }
      for (query, hits) in zip(recalled, found) {
        for s in settings.indices { parts[s][query.image] += 100 * weight * hits[s] / 2 }
      }
    }
    add(fromImages, evaluation.imageQueries, evaluation.captions, 1)
    add(fromCaptions, evaluation.captionQueries, evaluation.images, weight)
    return parts
  }

  /// The mean of the chances of a hit among the first 1, 5 and 10.
  private func hits(
    _ query: Recalled, _ encoded: EncodedQuery, _ pipeline: Pipeline<ItemSet>, _ settings: [InteractionConfig?]
  ) -> [Double] {
    let most = settings.compactMap { $0?.candidates }.max() ?? 0
    var fine: [Float] = []
    if let any = settings.compactMap({ $0 }).first {
      fine = pipeline.fineScores(
        query.candidates, min(most, query.candidates.count), for: encoded, any, with: evaluation.kernels.singleThreaded)
    }
    let hubs = pipeline.hubs(
      Array(query.candidates.prefix(most)), settings.compactMap { $0 }.max { $0.hubness < $1.hubness } ?? .recallOnly,
      with: evaluation.kernels.singleThreaded)
    let places = Dictionary(uniqueKeysWithValues: query.candidates.indices.map { (query.candidates[$0].item, $0) })
    return settings.map { setting in
      var keys = query.candidates.map { RankKey(isCandidate: false, score: $0.score) }
      if let setting {
        let count = min(setting.candidates, query.candidates.count)
        let hubness = setting.hubness > 0 ? hubs.map { Array($0.prefix(count)) } : nil
        let candidates = Array(query.candidates.prefix(count))
        for candidate in fused(candidates, fine: Array(fine.prefix(count)), hubness: hubness, setting) {
          keys[places[candidate.item]!] = RankKey(isCandidate: true, score: candidate.score)
        }
      }
      return [1, 5, 10].reduce(0) { $0 + chanceOfHit(keys, within: $1) { query.isHit[$0] } } / 3
    }
  }

  /// What every sentence's answer was, for finding what a score means: final scores, best first, and whether each is right.
  ///
  /// - Parameter isRight: of a sentence and an image.
  package func answers(
    _ interaction: InteractionConfig?, isRight: @Sendable (_ caption: Int, _ image: Int) -> Bool
  ) -> [JudgedAnswer] {
    let single = evaluation.kernels.singleThreaded
    return evaluation.kernels.parallelMap(fromCaptions.count) { i in
      var found = fromCaptions[i].candidates
      if let interaction {
        found = evaluation.images.reranked(found, for: evaluation.captionQueries[i], interaction, with: single)
        found.removeLast(max(0, found.count - interaction.candidates))
      }
      return JudgedAnswer(scores: found.map(\.score), isRight: found.map { isRight(i, $0.item) })
    }
  }
}

/// A mean and its 95 % interval, by drawing images anew.
package struct Interval: Sendable, Equatable {
  package let mean, low, high: Double

  /// The percentile bootstrap over images; the same numbers give the same interval.
  package init(_ values: [Double], rounds: Int = 1000) {
    guard !values.isEmpty else { (mean, low, high) = (0, 0, 0); return }
    var state: UInt64 = 1
    let means = (0..<rounds).map { _ in
      var sum = 0.0
      for _ in values.indices {
        // Knuth's linear congruential generator; its high bits are good.
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        sum += values[Int((state >> 33) % UInt64(values.count))]
      }
      return sum / Double(values.count)
    }.sorted()
    mean = values.reduce(0, +) / Double(values.count)
    (low, high) = (means[rounds * 25 / 1000], means[rounds * 975 / 1000])
  }
}
