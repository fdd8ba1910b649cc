#if Serve
import Dispatch
import FastThenFine
import Foundation
import Hummingbird
import FTFImaging
import FTFInterchange
import Synchronization

/// How a service behaves.
public struct ServiceOptions: Sendable {
  public var host = "127.0.0.1"
  public var port = 8080
  /// What clients have to show as `Authorization: Bearer`, one of these; empty for nobody asked.
  public var tokens: [String] = []
  /// How clients reach it, such as https://example.org/images: what links are made of, and what it may be called. Nil for what clients say.
  public var publicURL: String?
  /// Addresses of proxies whose Forwarded and X-Forwarded fields are believed.
  public var trustedProxies: Set<String> = []
  /// Bytes of a body, and of all bodies that are on their way or worked on.
  public var bodyLimit = 20 << 20
  public var bodiesLimit = 256 << 20
  /// Searches in the house at once; more are sent away with 429. Nil for four a thread: then the last of them waits a few times as long
  /// as one takes that comes alone.
  public var waiting: Int?
  /// Seconds for one search.
  public var deadline = 30.0
  /// Writes the words of queries to the log.
  public var logsQueries = false
  /// Whose web pages may ask beside its own, such as https://maps.example; "*" is everybody's.
  public var origin: String?
  /// Where the page's map takes tiles from, with {z}, {x} and {y} in it; nil for none: then the page loads nothing from elsewhere.
  public var tiles: String?
  /// Files in PEM: a certificate with those that vouch for it, and its key. Nil for plain HTTP.
  public var certificate: (chain: String, key: String)?
  /// Folders whose new and changed files are taken into the first index while it is served, by the engine beside it.
  public var watched: (folders: [String], engine: Engine)?

  public init() {}

  /// Whether a text is an address of http or https.
  public static func isAddress(_ text: String) -> Bool { PublicAddress.parts(of: text) != nil }

  /// Scheme, host and port of an address of tiles; nil where it is none.
  public static func origin(ofTiles address: String) -> String? {
    guard ["{z}", "{x}", "{y}"].allSatisfy(address.contains), let match = address.firstMatch(of: /^https?:\/\/[A-Za-z0-9.\-]+(:[0-9]+)?\//) else {
      return nil
    }
    return String(match.output.0.dropLast())
  }
}

/// Indexes behind HTTP: what routes share.
final class SearchService: Sendable {
  let options: ServiceOptions
  /// At least one; a request that names none means the first.
  let archives: [Archive]
  /// Of what searches, of what brings much with it, and of the rest: thumbnails come by the dozen with each page.
  let gates: (searches: Gate, large: Gate, rest: Gate)
  let bodies: BodyBudget
  let address: PublicAddress
  let metrics = ServiceMetrics()
  let connections = Connections()
  private let pool: ComputePool
  /// Reads the catalog, one request after the other.
  private let scanning = ComputePool(threads: 1)
  /// Decodes what clients send and files hold, on half as many threads.
  let decoding: Decoding
  private let isDraining = Atomic(false)

  /// - Throws: `badInput` where two indexes have one name.
  init(_ indexes: [ServedIndex], _ options: ServiceOptions) throws(FastThenFineError) {
    let names = indexes.map(\.name)
    if let name = names.first(where: { name in names.count { $0 == name } > 1 }) {
      throw FastThenFineError(.badInput, at: name, "two indexes have this name; requests could not tell them apart")
    }
    var archives: [Archive] = []
    for index in indexes { archives.append(try Archive(index)) }
    (self.archives, self.options, pool) = (archives, options, indexes[0].engine.pool)
    (bodies, address) = (BodyBudget(limit: options.bodiesLimit), PublicAddress(options))
    decoding = Decoding(threads: max(1, pool.threads / 2))
    let searches = options.waiting ?? 4 * pool.threads
    gates = (Gate(limit: searches), Gate(limit: searches), Gate(limit: Self.mostOthers))
  }

  /// The index of a name; the first one for nil.
  func archive(_ name: String?) throws -> Archive {
    guard let name else { return archives[0] }
    guard let found = archives.first(where: { $0.name == name }) else {
      throw Problem(.notFound, "no_such_index", "there is no index of that name; /v1/index lists them")
    }
    return found
  }

  /// The index that `index` in the address names.
  func archive(_ request: Request) throws -> Archive { try archive(Parameters(request).only(["index"])["index"]) }

  /// Where a part of an image is to be had, such as "/thumbnail".
  func address(of id: Int64, _ part: String, in archive: Archive) -> String {
    let name = archive.name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    return "/v1/images/\(id)\(part)" + (archive === archives[0] ? "" : "?index=\(name)")
  }

  var images: Int { archives.reduce(0) { $0 + $1.now.images } }

  private static let mostOthers = 256

  /// Whether requests should be sent here.
  var isOpen: Bool { !isDraining.load(ordering: .relaxed) }

  /// Nobody is told to come any more; who comes all the same is served until the end.
  func drain() { isDraining.store(true, ordering: .relaxed) }

  /// Work that computes, away from Swift's cooperative threads, within the time that a request has.
  func compute<R: Sendable>(_ body: @escaping @Sendable (Int) throws -> R) async throws -> R { try await pool.run(body) }

  /// Work that reads the catalog, in a thread of its own: however much of it there is, searches have theirs. One that has waited as long as a request
  /// may take is not begun.
  func scan<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    let cancellation = cancellation()
    return try await scanning.run { _ in
      try cancellation.check()
      return try body()
    }
  }

  /// Of work that ends when it is due, or when whoever asked has left.
  func cancellation() -> Cancellation {
    let cancellation = Cancellation(after: .milliseconds(Int(options.deadline * 1000)))
    Connection.current?.begin(cancellation)
    return cancellation
  }

  /// Answers a query and counts what it took.
  func answer(_ query: Query, showing picture: RGBImage? = nil, with searcher: Searcher) async throws -> Answer {
    do {
      let answer = try await searcher.answer(query, showing: picture, cancellation: cancellation())
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
#endif
