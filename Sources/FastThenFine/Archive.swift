import Encoders
import Foundation
import Imaging
import Index
import Kernels
import Retrieval
import Synchronization
import Weights

/// One answer to a query.
package struct SearchResult: Sendable {
  /// From 1.
  package var rank: Int
  package var id: Int64
  /// The path of an image, or the words of a caption.
  package var name: String
  package var score: Float
  package var recallScore: Float
  /// From 1.
  package var recallRank: Int
  /// A JSON object; nil where the item has no attributes.
  package var attributes: String?
  /// f32[N], sum 1: where the interaction looked; nil where nothing was reranked.
  package var weights: [Float]?
}

/// What a search found, and the milliseconds of its parts.
package struct SearchAnswer: Sendable {
  package var results: [SearchResult]
  package var encodeMilliseconds = 0.0
  package var recallMilliseconds = 0.0
  package var rerankMilliseconds = 0.0
}

/// An index opened for searching: its live segments, mapped, and the engine that built it.
///
/// It sees the index as it was when it was opened.
package final class Archive: Sendable {
  package let engine: Engine
  package let kind: ItemKind
  private let catalog: Catalog
  private let segments: [Segment]
  /// Whether each item is searched; nil where all are.
  private let live: [Bool]?
  /// The position of each segment's first item among all, and at the end the number of all.
  private let offsets: [Int]

  /// - Parameters:
  ///   - kind: what is searched: images or captions.
  ///   - filter: leaves out the items for which it does not hold.
  package init(_ catalog: Catalog, engine: Engine, searching kind: ItemKind, filter: Filter? = nil) throws {
    try catalog.check(engine.identity)
    (self.catalog, self.engine, self.kind) = (catalog, engine, kind)
    let (segments, dead) = try catalog.segments(kind)
    self.segments = segments
    offsets = segments.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    let matching = try filter.map { try catalog.ids(kind, matching: $0) }
    if dead.isEmpty && matching == nil {
      (live, count) = (nil, offsets.last!)
    } else {
      let live = segments.flatMap { segment in
        (0..<segment.count).map { i in
          let id = segment.id(i)
          return !dead.contains(id) && matching?.contains(id) ?? true
        }
      }
      (self.live, count) = (live, live.count { $0 })
    }
  }

  /// Items that are searched.
  package let count: Int

  /// Sentence to images, or to captions.
  ///
  /// - Parameters:
  ///   - interaction: how candidates are reranked; captions answer a sentence by recall alone.
  ///   - recallOnly: leaves the rerank out.
  package func search(
    text: String, top: Int, _ interaction: InteractionConfig, recallOnly: Bool = false
  ) throws -> SearchAnswer {
    let clock = Stopwatch()
    let encoded = engine.encode(text: text)
    let query = vectors(encoded.sentence)
    let fine = FineText(sentence: query, words: vectors(encoded.words))
    let encodeTime = clock.lap()
    let score: FineScore? =
      kind == .image
      ? { codes, kernels in Self.image(codes, kernels).fine(fine, interaction, with: kernels) } : nil
    var answer = try search(query, top: top, interaction, fine: recallOnly ? nil : score)
    answer.encodeMilliseconds = encodeTime
    return answer
  }

  /// Image to captions, reranked, or to images, by recall alone.
  package func search(
    image: RGBImage, top: Int, _ interaction: InteractionConfig, recallOnly: Bool = false
  ) throws -> SearchAnswer {
    let clock = Stopwatch()
    let encoded = engine.encode(image)
    let query = vectors(encoded.global)
    let encodeTime = clock.lap()
    var score: FineScore?
    if kind == .caption, !recallOnly {
      let fine = FineImage(patches: vectors(encoded.patches), global: query, with: engine.kernels.singleThreaded)
      score = { codes, kernels in
        fine.fine(FineText(sentence: codes.rows(0..<1), words: codes.rows(1..<codes.count)), interaction, with: kernels)
      }
    }
    var answer = try search(query, top: top, interaction, fine: score)
    answer.encodeMilliseconds = encodeTime
    return answer
  }

  /// s_f and its weights for a stored item: row 0 coarse, the others fine.
  private typealias FineScore = (VectorSet, KernelSet) -> (score: Float, weights: [Float])

  private static func image(_ codes: VectorSet, _ kernels: KernelSet) -> FineImage {
    FineImage(patches: codes.rows(1..<codes.count), global: codes.rows(0..<1), with: kernels)
  }

  private func vectors(_ rows: [Float]) -> VectorSet {
    VectorSet(quantizing: rows, dimension: engine.dimension, with: engine.kernels)
  }

  private func search(
    _ query: VectorSet, top: Int, _ interaction: InteractionConfig, fine: FineScore?
  ) throws -> SearchAnswer {
    let clock = Stopwatch()
    let reranks = fine != nil && interaction.mode != .none
    var found = recall(query, limit: reranks ? max(top, interaction.candidates) : top)
    var answer = SearchAnswer(results: [], recallMilliseconds: clock.lap())
    var weights: [Int: [Float]] = [:]
    if let fine, reranks {
      let candidates = Array(found.prefix(interaction.candidates))
      let scores = Mutex([(score: Float, weights: [Float])](repeating: (0, []), count: candidates.count))
      let single = engine.kernels.singleThreaded
      engine.kernels.parallelFor(candidates.count) { i in
        let result = fine(stored(candidates[i].item), single)
        scores.withLock { $0[i] = result }
      }
      let results = scores.withLock { $0 }
      for (candidate, result) in zip(candidates, results) { weights[candidate.item] = result.weights }
      found = fused(candidates, fine: results.map(\.score), interaction) + found.dropFirst(interaction.candidates)
      answer.rerankMilliseconds = clock.lap()
    }
    let best = found.prefix(top)
    let ids = best.map { id($0.item) }
    let (names, attributes) = (try catalog.names(ids), try catalog.attributes(ids))
    answer.results = zip(best, ids).enumerated().map { rank, pair in
      SearchResult(
        rank: rank + 1, id: pair.1, name: names[pair.1] ?? "", score: pair.0.score, recallScore: pair.0.recall,
        recallRank: pair.0.recallRank + 1, attributes: attributes[pair.1], weights: weights[pair.0.item])
    }
    return answer
  }

  private func recall(_ query: VectorSet, limit: Int) -> [Candidate] {
    guard case .int8(let codes, let scales) = query.storage else { preconditionFailure("queries are codes") }
    var list = TopList(limit: limit)
    for (segment, offset) in zip(segments, offsets) where segment.count > 0 {
      let scores = segment.scores(query: codes, scale: scales, with: engine.kernels)
      for i in 0..<segment.count where live?[offset + i] ?? true { list.insert(scores[i], offset + i) }
    }
    return list.candidates()
  }

  private func place(_ item: Int) -> (segment: Segment, index: Int) {
    let number = offsets.partitioningIndex { $0 > item } - 1
    return (segments[number], item - offsets[number])
  }

  private func id(_ item: Int) -> Int64 {
    let (segment, index) = place(item)
    return segment.id(index)
  }

  private func stored(_ item: Int) -> VectorSet {
    let (segment, index) = place(item)
    let (codes, scales) = segment.vectors(index)
    return VectorSet(codes: codes, scales: scales, dimension: segment.dimension)
  }
}

extension [Int] {
  /// The first index whose element satisfies a predicate that is false before and true after it.
  fileprivate func partitioningIndex(where belongs: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if belongs(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// Milliseconds since it was made, or since the last lap.
private final class Stopwatch {
  private var last = ContinuousClock.now

  func lap() -> Double {
    let now = ContinuousClock.now
    defer { last = now }
    return (now - last) / .milliseconds(1)
  }
}
