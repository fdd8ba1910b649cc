import Dispatch
import FastThenFine
import Foundation
import Hummingbird
import Interchange
import Synchronization

/// How a service behaves.
public struct ServiceOptions: Sendable {
  public var host = "127.0.0.1"
  public var port = 8080
  /// What clients have to show as `Authorization: Bearer`; nil for nobody asked.
  public var token: String?
  /// Bytes of a body.
  public var bodyLimit = 20 << 20
  /// Searches in the house at once; more are sent away with 429. Nil for four a thread: then the last of them waits a few times as long
  /// as one takes that comes alone.
  public var waiting: Int?
  /// Seconds for one search.
  public var deadline = 30.0
  /// Writes the words of queries to the log.
  public var logsQueries = false
  /// Sentences that the page suggests.
  public var suggestions: [String] = []
  /// Whose web pages may ask beside its own, such as https://maps.example; "*" is everybody's.
  public var origin: String?
  /// Files in PEM: a certificate with those that vouch for it, and its key. Nil for plain HTTP.
  public var certificate: (chain: String, key: String)?
  /// Folders whose new and changed files are taken into the index while it is served, by the engine beside it.
  public var watched: (folders: [String], engine: Engine)?

  public init() {}
}

/// An index behind HTTP: what routes share. It sees the index as it is now: what another process writes is taken over within a second, while
/// searches that have begun end on what they saw.
final class SearchService: Sendable {
  let options: ServiceOptions
  let engine: Engine
  /// Of what searches, and of the rest: thumbnails come by the dozen with each page.
  let gates: (searches: Gate, rest: Gate)
  private let isDraining = Atomic(false)
  let metrics = ServiceMetrics()
  private let path: String

  /// The index at one moment, and searchers of parts of it that were asked for.
  final class Moment: Sendable {
    let index: ImageIndex
    let searcher: Searcher
    private let parts = Mutex<[(key: String, searcher: Searcher)]>([])
    private static let mostParts = 16

    init(_ path: String, _ engine: Engine) throws(FastThenFineError) {
      index = try ImageIndex(path: path)
      searcher = try Searcher(index, engine: engine)
    }

    private let attributes = Mutex<[ImageIndex.AttributeValues]?>(nil)

    /// What there is to choose from, looked up once.
    func attributeValues() throws(FastThenFineError) -> [ImageIndex.AttributeValues] {
      if let known = attributes.withLock({ $0 }) { return known }
      let found = try index.attributeValues()
      attributes.withLock { $0 = found }
      return found
    }

    /// The searcher of the images that a filter and an area leave.
    func searcher(filter: String?, area: SearchArea?) throws(FastThenFineError) -> Searcher {
      guard filter != nil || area != nil else { return searcher }
      let key = "\(filter ?? "") \(area.map { "\($0)" } ?? "")"
      if let known = parts.withLock({ $0.first { $0.key == key }?.searcher }) { return known }
      let made = try Searcher(index, engine: searcher.engine, filter: filter, area: area)
      parts.withLock {
        $0.append((key, made))
        if $0.count > Self.mostParts { $0.removeFirst() }
      }
      return made
    }
  }
  private let moment: Mutex<Moment>
  private let stamp: Mutex<String>

  init(_ path: String, engine: Engine, _ options: ServiceOptions) throws(FastThenFineError) {
    (self.path, self.engine, self.options) = (path, engine, options)
    gates = (Gate(limit: options.waiting ?? 4 * engine.pool.threads), Gate(limit: Self.mostOthers))
    stamp = Mutex(Self.stamp(path))
    moment = Mutex(try Moment(path, engine))
  }

  private static let mostOthers = 256

  /// Whether requests should be sent here.
  var isOpen: Bool { !isDraining.load(ordering: .relaxed) }

  /// Nobody is told to come any more; who comes all the same is served until the end.
  func drain() { isDraining.store(true, ordering: .relaxed) }

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

  /// Of the catalog and what lies beside it.
  private static func stamp(_ path: String) -> String {
    ["", "-wal"].map { end in
      let found = try? FileManager.default.attributesOfItem(atPath: "\(path)/catalog.sqlite\(end)")
      return "\(found?[.size] ?? 0) \((found?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0)"
    }.joined(separator: " ")
  }

  /// Work that computes, away from Swift's cooperative threads, within the time that a request has.
  func compute<R: Sendable>(_ body: @escaping @Sendable (Int) throws -> R) async throws -> R { try await engine.pool.run(body) }

  func cancellation() -> Cancellation { Cancellation(after: .milliseconds(Int(options.deadline * 1000))) }

  /// Answers a query and counts what it took.
  func answer(_ query: Query, with searcher: Searcher) async throws -> Answer {
    do {
      let answer = try await searcher.answer(query, cancellation: cancellation())
      metrics.add("queue", milliseconds: answer.waitMilliseconds)
      metrics.add(shared: answer.shared)
      metrics.add("encode", milliseconds: answer.encodeMilliseconds)
      metrics.add("recall", milliseconds: answer.recallMilliseconds)
      metrics.add("rerank", milliseconds: answer.rerankMilliseconds)
      return answer
    } catch {
      throw Problem(error)
    }
  }
}
