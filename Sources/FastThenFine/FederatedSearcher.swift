/// Several indexes searched as one, without merging them: years that are kept apart, parts of a large archive.
///
/// One model made them all, and so their scores mean the same: an answer has the images, the order and the scores that it would have of one index with
/// all of them. Ids belong to an index each, which ``Answer/Result/index`` names.
public final class FederatedSearcher: Sendable {
  private let searcher: Searcher

  /// - Parameters:
  ///   - indexes: at least one; of images.
  ///   - engine: of the model that built them.
  ///   - filter: leaves out the images for which it does not hold; what it names is an attribute of one of them at least.
  ///   - area: leaves out the images that do not lie in it.
  /// - Throws: as `Searcher`, and `badInput` where they are none, or hold their pictures in other views than each other.
  public init(
    _ indexes: [ImageIndex], engine: Engine, filter: String? = nil, area: SearchArea? = nil
  ) throws(FastThenFineError) {
    guard let first = indexes.first else { throw FastThenFineError(.badInput, "there is no index to search") }
    if let other = indexes.first(where: { $0.views != first.views }) {
      throw FastThenFineError(
        .badInput, at: other.path,
        "holds its pictures in \(other.views.rawValue) views, and \(first.path) in \(first.views.rawValue): scores would differ")
    }
    searcher = try Searcher(first, others: Array(indexes.dropFirst()), engine: engine, filter: filter, area: area)
  }

  /// Images that are searched.
  public var count: Int { searcher.count }
  /// Whether there are patches to rerank by in all of them; else recall alone answers.
  public var hasPatches: Bool { searcher.hasPatches }

  /// Answers a query in this thread, when the engine's pool has threads for it.
  ///
  /// - Throws: `badInput`, also for images that are named by an id; `unusableFile` for an image, `cancelled`, `deadline`.
  public func answer(_ query: Query, cancellation: Cancellation = Cancellation()) throws(FastThenFineError) -> Answer {
    try searcher.answer(now: checked(query), showing: nil, cancellation: cancellation)
  }

  /// Answers a query while the task waits, as a ``Searcher`` does.
  public func answer(_ query: Query, cancellation: Cancellation = Cancellation()) async throws(FastThenFineError) -> Answer {
    try await searcher.answer(checked(query), cancellation: cancellation)
  }

  private func checked(_ query: Query) throws(FastThenFineError) -> Query {
    guard query.own.isEmpty, query.unlike.isEmpty else { throw FastThenFineError(.badInput, "an id belongs to one index: search that one") }
    return query
  }
}
