#if Serve
import FastThenFine
import Foundation
import Synchronization

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

/// An index as it is now: what another process writes is taken over within a second, while searches that have begun end on what they saw.
final class Archive: Sendable {
  let name: String
  let engine: Engine
  let suggestions: [String]
  private let path: String
  private let moment: Mutex<Moment>
  private let stamp: Mutex<String>

  init(_ served: ServedIndex) throws(FastThenFineError) {
    (name, path, engine, suggestions) = (served.name, served.path, served.engine, served.suggestions)
    stamp = Mutex(Self.stamp(path))
    moment = Mutex(try Moment(path, engine))
  }

  /// The index at one moment, and searchers of parts of it that were asked for.
  final class Moment: Sendable {
    let index: ImageIndex
    let searcher: Searcher
    /// Pictures, and windows of scenes.
    let images: Int
    private let parts = Mutex<[(key: String, searcher: Searcher)]>([])
    private static let mostParts = 16

    init(_ path: String, _ engine: Engine) throws(FastThenFineError) {
      index = try ImageIndex(path: path)
      searcher = try Searcher(index, engine: engine)
      images = try index.pictures()
    }

    private let attributes = Mutex<[ImageIndex.AttributeValues]?>(nil)

    /// What there is to choose from, looked up once.
    func attributeValues() throws(FastThenFineError) -> [ImageIndex.AttributeValues] {
      if let known = attributes.withLock({ $0 }) { return known }
      let found = try index.attributeValues()
      attributes.withLock { $0 = found }
      return found
    }

    private let extent = Mutex<(box: [Double]?, times: [String]?)?>(nil)

    /// Where and when they were taken, looked up once.
    func known() throws(FastThenFineError) -> (box: [Double]?, times: [String]?) {
      if let known = extent.withLock({ $0 }) { return known }
      let found = try index.extent()
      extent.withLock { $0 = found }
      return found
    }

    /// The searcher of the images that a filter and an area leave.
    ///
    /// - Parameter collection: what the filter knows the index by; nil where it knows none, and only attributes that there are.
    func searcher(filter: String?, area: SearchArea?, collection: String? = nil) throws(FastThenFineError) -> Searcher {
      guard filter != nil || area != nil else { return searcher }
      let key = "\(collection ?? "") \(filter ?? "") \(area.map { "\($0)" } ?? "")"
      if let known = parts.withLock({ $0.first { $0.key == key }?.searcher }) { return known }
      let made = try Searcher(
        index, engine: searcher.engine, filter: filter, area: area, constants: collection.map { ["collection": $0] } ?? [:],
        allowsUnknown: collection != nil)
      parts.withLock {
        $0.append((key, made))
        if $0.count > Self.mostParts { $0.removeFirst() }
      }
      return made
    }
  }

  var now: Moment { moment.withLock { $0 } }

  /// Takes over what the index has become, where it is another than before.
  ///
  /// - Returns: whether it was.
  @discardableResult func refresh(always: Bool = false) throws(FastThenFineError) -> Bool {
    let seen = Self.stamp(path)
    guard always || stamp.withLock({ $0 }) != seen else { return false }
    let fresh = try Moment(path, engine)
    moment.withLock { $0 = fresh }
    stamp.withLock { $0 = seen }
    return true
  }

  /// Of the catalog and the log beside it, which opening makes too, empty.
  private static func stamp(_ path: String) -> String {
    ["", "-wal"].map { end in
      guard let found = try? FileManager.default.attributesOfItem(atPath: "\(path)/catalog.sqlite\(end)"), let size = found[.size] as? Int, size > 0
      else { return "" }
      return "\(size) \((found[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0)"
    }.joined(separator: " ")
  }
}
#endif
