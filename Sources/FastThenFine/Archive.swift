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
  private let pipeline: Pipeline<Segment>

  /// - Parameters:
  ///   - kind: what is searched: images or captions.
  ///   - filter: leaves out the items for which it does not hold.
  package init(_ catalog: Catalog, engine: Engine, searching kind: ItemKind, filter: Filter? = nil) throws {
    try catalog.check(engine.identity)
    (self.catalog, self.engine, self.kind) = (catalog, engine, kind)
    let (segments, dead) = try catalog.segments(kind)
    let matching = try filter.map { try catalog.ids(kind, matching: $0) }
    var live: [Bool]?
    if !dead.isEmpty || matching != nil {
      live = segments.flatMap { segment in
        (0..<segment.count).map { i in
          let id = segment.id(i)
          return !dead.contains(id) && matching?.contains(id) ?? true
        }
      }
    }
    pipeline = Pipeline(segments, live: live, with: engine.kernels)
  }

  /// Items that are searched.
  package var count: Int { pipeline.count }

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
    let query = EncodedQuery(
      sentence: encoded.sentence, words: encoded.words, precision: .int8, with: engine.kernels.singleThreaded)
    return try search(query, encoding: clock.lap(), top, recallOnly || kind == .caption ? nil : interaction)
  }

  /// Image to captions, reranked, or to images, by recall alone.
  package func search(
    image: RGBImage, top: Int, _ interaction: InteractionConfig, recallOnly: Bool = false
  ) throws -> SearchAnswer {
    let clock = Stopwatch()
    let encoded = engine.encode(image)
    let query = EncodedQuery(
      global: encoded.global, patches: encoded.patches, precision: .int8, with: engine.kernels.singleThreaded)
    return try search(query, encoding: clock.lap(), top, recallOnly || kind == .image ? nil : interaction)
  }

  /// - Parameter interaction: nil leaves the rerank out.
  private func search(
    _ query: EncodedQuery, encoding: Double, _ top: Int, _ interaction: InteractionConfig?
  ) throws -> SearchAnswer {
    let clock = Stopwatch()
    let reranks = interaction.map { $0.mode != .none } ?? false
    var found = pipeline.recall(query, limit: reranks ? max(top, interaction!.candidates) : top)
    var answer = SearchAnswer(results: [], encodeMilliseconds: encoding, recallMilliseconds: clock.lap())
    if let interaction, reranks {
      found = pipeline.reranked(found, for: query, interaction)
      answer.rerankMilliseconds = clock.lap()
    }
    let best = found.prefix(top)
    let ids = best.map { candidate -> Int64 in
      let (segment, index) = pipeline.place(candidate.item)
      return segment.id(index)
    }
    let (names, attributes) = (try catalog.names(ids), try catalog.attributes(ids))
    answer.results = zip(best, ids).enumerated().map { rank, pair in
      let (candidate, id) = pair
      var weights: [Float]?
      if let interaction, reranks, kind == .image, candidate.recallRank < interaction.candidates {
        weights = pipeline.attention(candidate.item, for: query, interaction)
      }
      return SearchResult(
        rank: rank + 1, id: id, name: names[id] ?? "", score: candidate.score, recallScore: candidate.recall,
        recallRank: candidate.recallRank + 1, attributes: attributes[id], weights: weights)
    }
    return answer
  }
}

extension Segment: ItemSource {}

/// Milliseconds since it was made, or since the last lap.
private final class Stopwatch {
  private var last = ContinuousClock.now

  func lap() -> Double {
    let now = ContinuousClock.now
    defer { last = now }
    return (now - last) / .milliseconds(1)
  }
}
