#if Serve
import FastThenFine
import Foundation

/// An index that is to be served.
public struct ServedIndex: Sendable {
  public var path: String
  public var engine: Engine
  /// Sentences that the page suggests.
  public var suggestions: [String]

  public init(_ path: String, engine: Engine, suggestions: [String] = []) {
    (self.path, self.engine, self.suggestions) = (path, engine, suggestions)
  }

  /// What requests call it: the folder's name without .ftfindex.
  public var name: String {
    let last = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
    return last.hasSuffix(".ftfindex") ? String(last.dropLast(".ftfindex".count)) : last
  }
}

/// An index that is served: what another process writes is taken over within a second.
final class Archive: Sendable {
  let name: String
  let suggestions: [String]
  private let index: LiveIndex

  init(_ served: ServedIndex) throws(FastThenFineError) {
    (name, suggestions) = (served.name, served.suggestions)
    index = try LiveIndex(path: served.path, engine: served.engine)
  }

  var engine: Engine { index.engine }
  var now: LiveIndex.Moment { index.now }

  /// - Returns: whether the index was another than before.
  func refresh(always: Bool) throws(FastThenFineError) -> Bool { try index.refresh(always: always) }
}
#endif
