import FTFIndex
import FTFKernels
import FTFRetrieval

/// An index opened for searching by vectors of one's own: no model is needed. It sees the index as it was when it was opened, and any number of
/// threads may search at once.
public final class VectorSearcher: Sendable {
  private let pipeline: Pipeline<Segment>
  private let kernels: KernelSet
  private let pool: ComputePool
  private let catalog: Catalog

  /// - Parameters:
  ///   - index: any, of pictures or of vectors that were made elsewhere.
  ///   - filter: leaves out the items for which it does not hold; nil for none.
  ///   - area: leaves out the items that do not lie in it; nil for none.
  ///   - level: an instruction-set level by name, as ``Engine/init(path:level:pool:)`` takes it.
  ///   - pool: lends its threads.
  /// - Throws: `damagedIndex`, `unusableFile`, and `badInput` for the filter, or a level that this CPU does not have.
  public init(
    _ index: ImageIndex, filter: String? = nil, area: SearchArea? = nil, level: String? = nil, pool: ComputePool = ComputePool()
  ) throws(FastThenFineError) {
    self.pool = pool
    do {
      kernels = try Engine.kernels(level: level, threads: pool.threads)
      let opened = try Selection(filter: filter, area: try area?.checked()).opened(index.catalog, .images)
      (catalog, pipeline) = (opened.catalog, Pipeline(opened.segments, live: opened.live))
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Vectors that are searched.
  public var count: Int { pipeline.count }
  /// Of every vector.
  public var dimension: Int { catalog.model.dimension }

  /// What a vector is near to.
  public struct Match: Sendable, Equatable {
    public var id: Int64
    /// The cosine of both.
    public var score: Float

    public init(id: Int64, score: Float) { (self.id, self.score) = (id, score) }
  }

  /// The nearest of each of some vectors, by the cosine, best first, of equal ones the lower id.
  ///
  /// - Parameters:
  ///   - vectors: f32[n, dimension], finite, of any length but 0; found by one scan.
  ///   - top: at least 1; an index of fewer vectors answers with all.
  /// - Throws: `badInput`.
  public func nearest(_ vectors: [Float], top: Int) throws(FastThenFineError) -> [[Match]] {
    try nearest(vectors, top: top, areLast: false)
  }

  /// - Parameter areLast: nothing is asked after them, so that what is read for them does not stay in memory.
  package func nearest(_ vectors: [Float], top: Int, areLast: Bool) throws(FastThenFineError) -> [[Match]] {
    let d = dimension
    guard top >= 1, !vectors.isEmpty, vectors.count % d == 0, vectors.allSatisfy(\.isFinite) else {
      throw FastThenFineError(.badInput, "a vector of this index has \(d) finite numbers, and a query asks for at least 1 result")
    }
    return pool.run { threads in
      let kernels = kernels.with(threads: threads)
      let rows = (0..<vectors.count / d).map { Array(vectors[$0 * d..<($0 + 1) * d]).normalised }
      let queries = rows.map { EncodedQuery(sentence: $0, words: [], precision: .int8, with: kernels.singleThreaded) }
      // Of pictures there is no more than codes.
      let reach = catalog.model.hasPatches ? top : 2 * top + Self.more
      let found = pipeline.recall(queries, limits: queries.map { _ in reach }, isLast: areLast, with: kernels)
      return zip(rows, found).map { row, found in
        let best = catalog.model.hasPatches ? found : exact(found, row, kernels.singleThreaded)
        return best.prefix(top).map { candidate in
          let (segment, index) = pipeline.place(candidate.item)
          return Match(id: segment.id(index), score: candidate.score)
        }
      }
    }
  }

  /// Candidates beyond twice those that are asked for: codes of 8 bits exchange near neighbours.
  private static let more = 32

  /// Candidates in the order of what vectors are with what their codes left of them, for a query that is split likewise.
  private func exact(_ candidates: [Candidate], _ query: [Float], _ kernels: KernelSet) -> [Candidate] {
    let whole = VectorSet(query, .int8, dimension: query.count, with: kernels)
    let rest = VectorSet(whole.rest(of: query), .int8, dimension: query.count, with: kernels)
    let scores = AlignedBuffer<Float>(count: 4, repeating: 0)
    pipeline.bring(candidates)
    return candidates.map { candidate in
      let (segment, index) = pipeline.place(candidate.item)
      let item = segment.item(index)
      for (i, part) in [whole, rest].enumerated() {
        kernels.dots(item.coarse, part.view, into: scores, at: 2 * i)
        kernels.dots(item.fine, part.view, into: scores, at: 2 * i + 1)
      }
      var candidate = candidate
      candidate.score = (scores[0] + scores[1]) + (scores[2] + scores[3])
      return candidate
    }.sorted { ($1.score, $0.item) < ($0.score, $1.item) }
  }

  /// The name of an item: the path of a picture, or what a vector was called where it was imported; nil for what the index does not have.
  public func name(of id: Int64) throws(FastThenFineError) -> String? {
    try FastThenFineError.wrapping { try catalog.entries(.image, [id])[id]?.name }
  }
}
