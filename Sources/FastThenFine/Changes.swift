import FTFFiles
import Foundation
import FTFGeography
import FTFIndex
import FTFKernels
import FTFRetrieval

/// The same ground at two times, and how much better a sentence fits the later one.
public struct Change: Sendable, Equatable {
  /// From 1.
  public var rank: Int
  /// s_c after less s_c before.
  public var difference: Float
  public var before: Answer.Result
  public var after: Answer.Result

  public init(rank: Int, difference: Float, before: Answer.Result, after: Answer.Result) {
    (self.rank, self.difference, self.before, self.after) = (rank, difference, before, after)
  }
}

extension Searcher {
  /// The least share of the two boxes together that windows of the same ground have in common.
  private static let sameGround = 0.5
  /// Windows of the later time that are looked at, the best for the sentence first.
  private static let mostPairs = 4096

  /// Where a sentence has come to be true: windows near the later time, each with the one over the same ground that is nearest to the
  /// earlier time, ranked by the difference of their scores. An image counts for the time that it is nearer to; what has no footprint
  /// or no datetime is left out.
  ///
  /// - Parameters:
  ///   - sentence: what has come to be true.
  ///   - earlier: as ISO 8601, with or without the time of day.
  ///   - later: the same.
  ///   - top: the most changes, at least 1.
  ///   - cancellation: ends the work.
  /// - Throws: `badInput`, `cancelled`, `deadline`.
  public func changes(
    _ sentence: String, between earlier: String, and later: String, top: Int = 10, cancellation: Cancellation = Cancellation()
  ) throws(FastThenFineError) -> [Change] {
    guard let first = Instant(earlier)?.first, let second = Instant(later)?.first, first < second, target == .images, top >= 1 else {
      throw FastThenFineError(.badInput, "changes lie between two times, the earlier one first, such as 2023-06-01 and 2024-06-01")
    }
    let query = Query(.sentence(sentence), top: max(1, count), recallOnly: true, allWindows: true)
    let all = try answer(query, cancellation: cancellation).results
    return try FastThenFineError.wrapping { try changes(all, first, second, top, cancellation) }
  }

  private func changes(_ all: [Answer.Result], _ first: Int64, _ second: Int64, _ top: Int, _ cancellation: Cancellation) throws -> [Change] {
    var (before, after): ([Int64: (time: Int64, result: Answer.Result)], [Answer.Result]) = ([:], [])
    for result in all where result.geometry != nil {
      guard let time = result.datetime.flatMap({ Instant($0)?.first }) else { continue }
      if abs(time - first) < abs(time - second) { before[result.id] = (time, result) } else { after.append(result) }
    }
    var pairs: [(difference: Float, before: Answer.Result, after: Answer.Result)] = []
    for result in after.prefix(Self.mostPairs) {
      try cancellation.check()
      guard let box = result.geometry.flatMap({ Geometry(geoJSON: $0) })?.boundingBox else { continue }
      let candidates = try catalog.ids(in: .box(box)).compactMap { before[$0] }.compactMap { candidate in
        let share = candidate.result.geometry.flatMap { Geometry(geoJSON: $0) }?.boundingBox.share(with: box) ?? 0
        return share >= Self.sameGround ? (result: candidate.result, order: (abs(candidate.time - first), -share, candidate.result.id)) : nil
      }
      // Of the nearest time the one that covers the most of the same.
      guard let match = candidates.min(by: { $0.order < $1.order }) else { continue }
      pairs.append((result.recallScore - match.result.recallScore, match.result, result))
    }
    pairs.sort { ($1.difference, $0.after.id) < ($0.difference, $1.after.id) }
    var (places, changes) = (Places<FilePath>(), [Change]())
    for pair in pairs where changes.count < top && places.take(FilePath(pair.after.name), pair.after.pixels) {
      changes.append(Change(rank: changes.count + 1, difference: pair.difference, before: pair.before, after: pair.after))
    }
    return changes
  }
}
