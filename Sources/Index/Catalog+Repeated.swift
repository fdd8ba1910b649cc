import FTFFiles
import GRDB

extension Catalog {
  /// What a merge would leave out: of a file that several indexes know, the items of all but the index that has it as it was changed last, the
  /// first of equals.
  ///
  /// Indexes of folders apart, as they are kept for, cost one look at where each begins and ends.
  ///
  /// - Returns: the ids of entries, an index each.
  package static func repeated(in catalogs: [Catalog]) throws -> [Set<Int64>] {
    let spans = try catalogs.map { try $0.span() }
    var newest: [FilePath: (home: Int, source: Int64, modified: Int64)] = [:]
    var repeated = [[Int64]](repeating: [], count: catalogs.count)
    for (home, catalog) in catalogs.enumerated() {
      for shared in overlaps(of: home, in: spans) {
        try catalog.eachSource(in: shared) { path, source, modified in
          guard let known = newest[path] else { return newest[path] = (home, source, modified) }
          guard known.home != home else { return }
          let isNewer = modified > known.modified
          repeated[isNewer ? known.home : home].append(isNewer ? known.source : source)
          if isNewer { newest[path] = (home, source, modified) }
        }
      }
    }
    return try zip(catalogs, repeated).map { try $0.entries(of: $1) }
  }

  /// The first and the last path of a catalog, in the order of its own index.
  private func span() throws -> ClosedRange<FilePath>? {
    try read { db in
      let ends = try Row.fetchOne(db, sql: "SELECT min(path), max(path) FROM sources")
      guard let row = ends, let first: String = try row.at(0) else { return nil }
      return try FilePath(first)...FilePath(row.at(1))
    }
  }

  /// Where the span of one and those of others overlap; these may overlap too.
  private static func overlaps(of home: Int, in spans: [ClosedRange<FilePath>?]) -> [ClosedRange<FilePath>] {
    guard let own = spans[home] else { return [] }
    return spans.indices.compactMap { other in
      guard other != home, let span = spans[other], span.overlaps(own) else { return nil }
      return span.clamped(to: own)
    }
  }

  private func eachSource(in range: ClosedRange<FilePath>, _ body: (FilePath, Int64, Int64) throws -> Void) throws {
    try read { db in
      let rows = try Row.fetchCursor(
        db, sql: "SELECT path, id, modified FROM sources WHERE path BETWEEN ? AND ?",
        arguments: [range.lowerBound.spelling, range.upperBound.spelling])
      while let row = try rows.next() { try body(FilePath(row.at(0)), row.at(1), row.at(2)) }
    }
  }

  private func entries(of sources: [Int64]) throws -> Set<Int64> {
    guard !sources.isEmpty else { return [] }
    return try read { db in
      let statement = try db.cachedStatement(sql: "SELECT id FROM entries WHERE source = ?")
      return Set(try sources.flatMap { try Int64.fetchAll(statement, arguments: [$0]) })
    }
  }
}
