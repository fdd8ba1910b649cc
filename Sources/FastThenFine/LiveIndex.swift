import Foundation
import Synchronization

/// An index as it is now, opened for searching: what another process writes is taken over by ``refresh()``, while searches that have begun end on
/// what they saw.
public final class LiveIndex: Sendable {
  public let path: String
  public let engine: Engine
  private let moment: Mutex<Moment>
  private let stamp: Mutex<String>

  /// - Parameters:
  ///   - path: the folder of an index.
  ///   - engine: of the model that built it.
  /// - Throws: `notAnIndex`, `otherModel`, `damagedIndex`, `unusableFile`.
  public init(path: String, engine: Engine) throws(FastThenFineError) {
    (self.path, self.engine) = (path, engine)
    stamp = Mutex(Self.stamp(path))
    moment = Mutex(try Moment(path, engine))
  }

  /// The index at one moment, and searchers of parts of it that were asked for.
  public final class Moment: Sendable {
    public let index: ImageIndex
    /// Of all its images.
    public let searcher: Searcher
    /// Pictures, and windows of scenes.
    public let images: Int
    private let parts = Mutex<[(key: String, searcher: Searcher)]>([])
    private static let mostParts = 16

    init(_ path: String, _ engine: Engine) throws(FastThenFineError) {
      index = try ImageIndex(path: path)
      searcher = try Searcher(index, engine: engine)
      images = try index.pictures()
    }

    private let attributes = Mutex<[ImageIndex.AttributeValues]?>(nil)

    /// What there is to choose from, looked up once.
    package func attributeValues() throws(FastThenFineError) -> [ImageIndex.AttributeValues] {
      if let known = attributes.withLock({ $0 }) { return known }
      let found = try index.attributeValues()
      attributes.withLock { $0 = found }
      return found
    }

    private let extent = Mutex<(box: [Double]?, times: [String]?)?>(nil)

    /// Where and when they were taken, looked up once.
    package func known() throws(FastThenFineError) -> (box: [Double]?, times: [String]?) {
      if let known = extent.withLock({ $0 }) { return known }
      let found = try index.extent()
      extent.withLock { $0 = found }
      return found
    }

    /// The searcher of the images that a filter and an area leave; the last sixteen are kept.
    ///
    /// - Parameters:
    ///   - filter: as ``Searcher/init(_:engine:searching:filter:area:)`` takes it.
    ///   - area: likewise.
    /// - Throws: `badInput`, `unknownAttribute`, `damagedIndex`.
    public func searcher(filter: String?, area: SearchArea?) throws(FastThenFineError) -> Searcher {
      try searcher(filter: filter, area: area, collection: nil)
    }

    /// - Parameter collection: what the filter knows the index by; nil where it knows none, and only attributes that there are.
    package func searcher(filter: String?, area: SearchArea?, collection: String?) throws(FastThenFineError) -> Searcher {
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

  /// The index as it was when it was opened, or last refreshed.
  public var now: Moment { moment.withLock { $0 } }

  /// Whether the index has been written since.
  public var isStale: Bool { stamp.withLock { $0 } != Self.stamp(path) }

  /// Takes over what the index has become, where it is another than before.
  ///
  /// - Returns: whether it was.
  /// - Throws: as `init`; what was open stays open.
  @discardableResult public func refresh() throws(FastThenFineError) -> Bool { try refresh(always: false) }

  /// - Parameter always: also where nothing seems to have been written.
  @discardableResult package func refresh(always: Bool) throws(FastThenFineError) -> Bool {
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
