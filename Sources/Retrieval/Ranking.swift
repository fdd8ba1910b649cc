import FTFKernels
import FTFWeights

/// One of the items that recall found.
package struct Candidate: Sendable, Equatable {
  /// Where it is, in the caller's terms; of two equal scores the lower comes first.
  package var item: Int
  /// s_c, the recall score.
  package var recall: Float
  /// Its place in recall, from 0.
  package var recallRank: Int
  /// s after fusion, or s_c where nothing was reranked.
  package var score: Float

  package init(item: Int, recall: Float, recallRank: Int, score: Float) {
    (self.item, self.recall, self.recallRank, self.score) = (item, recall, recallRank, score)
  }
}

/// Keeps the best `limit` of what it is shown: by score, ties by the lower item.
package struct TopList: Sendable {
  private let limit: Int
  /// A heap with the worst at its root.
  private var heap: [(score: Float, item: Int)] = []

  package init(limit: Int) {
    precondition(limit >= 0)
    self.limit = limit
    heap.reserveCapacity(limit)
  }

  @inline(__always)
  private static func isWorse(_ a: (score: Float, item: Int), _ b: (score: Float, item: Int)) -> Bool {
    a.score < b.score || (a.score == b.score && a.item > b.item)
  }

  @inline(__always)
  package mutating func insert(_ score: Float, _ item: Int) {
    if heap.count == limit {
      guard limit > 0, Self.isWorse(heap[0], (score, item)) else { return }
      heap[0] = (score, item)
      siftDown()
    } else {
      heap.append((score, item))
      siftUp()
    }
  }

  /// Items that follow each other, by their scores.
  ///
  /// - Parameters:
  ///   - first: the item of the first score.
  ///   - live: whether each item counts; nil where all do.
  package mutating func insert(_ scores: Span<Float>, first: Int, _ live: Bitmap?) {
    // Nearly all of many are worse than what is there.
    var bar = heap.count == limit ? heap.first?.score ?? .infinity : -.infinity
    for i in scores.indices where scores[i] >= bar && live?[first + i] ?? true {
      insert(scores[i], first + i)
      if heap.count == limit { bar = heap[0].score }
    }
  }

  private mutating func siftUp() {
    var child = heap.count - 1
    while child > 0, Self.isWorse(heap[child], heap[(child - 1) / 2]) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func siftDown() {
    var parent = 0
    while true {
      var worst = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && Self.isWorse(heap[child], heap[worst]) {
        worst = child
      }
      if worst == parent { return }
      heap.swapAt(parent, worst)
      parent = worst
    }
  }

  /// Best first.
  package func candidates() -> [Candidate] {
    heap.sorted { Self.isWorse($1, $0) }.enumerated().map {
      Candidate(item: $1.item, recall: $1.score, recallRank: $0, score: $1.score)
    }
  }
}

/// Stage 1: the `limit` best of f32 scores, ties by the lower index.
package func recall(_ scores: Span<Float>, limit: Int) -> [Candidate] {
  var list = TopList(limit: min(limit, scores.count))
  list.insert(scores, first: 0, nil)
  return list.candidates()
}

/// Stage 2: s = (1 - lambda) s_c + lambda s_f - eta h over the candidates, best first, ties by the lower item.
///
/// With `fusion` z the fine scores are brought to the mean and deviation (n - 1) that recall's have over these candidates: the order
/// is that of both normalised, and s stays on the scale of s_c, which means the same from query to query.
///
/// - Parameters:
///   - fine: s_f of each candidate.
///   - hubness: of each candidate, of which the interaction's share is taken off; nil for none.
package func fused(
  _ candidates: [Candidate], fine: [Float], hubness: [Float]? = nil, _ interaction: InteractionConfig
) -> [Candidate] {
  precondition(candidates.count == fine.count && hubness?.count ?? fine.count == fine.count)
  var fine = fine
  if interaction.fusion == .z {
    let (own, other) = (Moments(candidates.map(\.recall)), Moments(fine))
    // Recall may not tell the candidates apart at all: then the fine scores keep their own deviation.
    let scale = other.deviation > 0 ? (own.deviation > 0 ? own.deviation / other.deviation : 1) : 0
    for i in fine.indices { fine[i] = own.mean + (fine[i] - other.mean) * scale }
  }
  var result = candidates
  for i in result.indices {
    result[i].score = (1 - interaction.lambda) * candidates[i].recall + interaction.lambda * fine[i]
    if let hubness { result[i].score -= interaction.hubness * hubness[i] }
  }
  return result.sorted { $0.score > $1.score || ($0.score == $1.score && $0.item < $1.item) }
}

/// The mean of some numbers and their deviation (n - 1); 0 of fewer than two.
private struct Moments {
  var mean: Float = 0
  var deviation: Float = 0

  init(_ x: [Float]) {
    guard !x.isEmpty else { return }
    let mean = x.reduce(0, +) / Float(x.count)
    self.mean = mean
    guard x.count > 1 else { return }
    deviation = (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(x.count - 1)).squareRoot()
  }
}
