import FastThenFine
import Foundation

extension Search {
  func searchVectors(_ archive: ImageIndex, _ path: String) throws {
    let queries = try NPYFile(path)
    guard queries.columns == archive.dimension else {
      throw Failure("\(path): has vectors of \(queries.columns), \(index) some of \(archive.dimension)")
    }
    let searcher = try VectorSearcher(
      archive, filter: filter, area: area, level: machine.level, pool: ComputePool(threads: machine.threads))
    guard searcher.count > 0 || filter != nil || area != nil else { throw Failure("\(index): holds no vectors") }
    var (ids, scores, milliseconds) = ([Int64](), [Float](), [Double]())
    ids.reserveCapacity(queries.rows * top)
    for first in stride(from: 0, to: queries.rows, by: batch) {
      let vectors = try queries[first..<min(first + batch, queries.rows)]
      let start = ContinuousClock.now
      let found = try searcher.nearest(vectors, top: top, areLast: queries.rows <= batch)
      let each = (ContinuousClock.now - start) / .milliseconds(1) / Double(found.count)
      for (i, matches) in found.enumerated() {
        milliseconds.append(each)
        let missing = top - matches.count
        ids += matches.map(\.id) + [Int64](repeating: -1, count: missing)
        scores += matches.map(\.score) + [Float](repeating: 0, count: missing)
        if output == nil && !json { try show(matches, of: first + i, searcher) }
      }
    }
    if let output { try NPY.write(ids, shape: [queries.rows, top], to: output) }
    let sorted = milliseconds.sorted()
    func quantile(_ share: Double) -> Double { sorted[min(Int(share * Double(sorted.count)), sorted.count - 1)] }
    let mean = milliseconds.reduce(0, +) / Double(milliseconds.count)
    guard json else {
      return print(
        String(
          format: "%d queries among %d vectors: %.3f ms each, median %.3f, p99 %.3f", queries.rows, searcher.count, mean, quantile(0.5),
          quantile(0.99)))
    }
    var object: [String: Any] = [
      "queries": queries.rows, "vectors": searcher.count, "ms_per_query": mean, "p50_ms": quantile(0.5), "p99_ms": quantile(0.99),
    ]
    if output == nil {
      object["ids"] = (0..<queries.rows).map { Array(ids[$0 * top..<($0 + 1) * top]) }
      object["scores"] = (0..<queries.rows).map { scores[$0 * top..<($0 + 1) * top].map(Double.init) }
    }
    printJSON(object)
  }

  private func show(_ matches: [VectorSearcher.Match], of query: Int, _ searcher: VectorSearcher) throws {
    print("vector \(query + 1)")
    for (rank, match) in matches.enumerated() {
      print(String(format: "%3d  %.4f  %lld  ", rank + 1, match.score, match.id) + (try searcher.name(of: match.id) ?? "").shown)
    }
  }
}
