#if Serve
import ArgumentParser
import Dispatch
import FastThenFine
import Foundation
import FTFService
import Synchronization

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve indexes over HTTP, with a page to search in.",
    discussion: """
      Example: ftf serve archive.ftfindex, then open http://127.0.0.1:8080 in a browser, or \
      curl -s http://127.0.0.1:8080/v1/search -d '{"text": "a bridge over a wide river", "top": 3}'
      Of several indexes a request names one: "index": "archive" is archive.ftfindex. \
      They may be written meanwhile: what they become is taken over within a second, or at once on SIGHUP. SIGTERM drains.
      """)

  @Argument(help: ArgumentHelp("The folders of the indexes; requests that name none mean the first.", valueName: "index"))
  var indexes: [String]

  @Option(help: "Where to listen.")
  var listen = "127.0.0.1:8080"

  @Option(help: "A file of the tokens that clients have to show, one a line, each of which will do; FTF_TOKEN holds one without a file.")
  var tokenFile: String?

  @Flag(help: "Listen on an address that others reach without asking for a token.")
  var insecure = false

  @Option(help: ArgumentHelp("A certificate in PEM, with those that vouch for it: serves HTTPS.", valueName: "file"))
  var tlsCertificate: String?

  @Option(help: ArgumentHelp("Its key, in PEM.", valueName: "file"))
  var tlsKey: String?

  @Option(help: ArgumentHelp("Whose web pages may ask beside its own, such as https://maps.example, or '*' for everybody's.", valueName: "origin"))
  var cors: String?

  @Option(
    help: ArgumentHelp(
      "How clients reach it, such as https://example.org/images: what links are made of, and the name and the path that it may be asked by.",
      valueName: "address"))
  var publicUrl: String?

  @Option(
    help: ArgumentHelp(
      "The address of a proxy whose Forwarded and X-Forwarded-For, -Host, -Proto and -Prefix are believed; more than once for more.",
      valueName: "ip"))
  var trustedProxy: [String] = []

  @Option(
    help: ArgumentHelp(
      "Tiles under the page's map, such as https://tiles.example/{z}/{x}/{y}.png; browsers then ask there.", valueName: "address"))
  var tiles: String?

  @Option(
    help: ArgumentHelp(
      "A folder whose new and changed images the first index takes in while it is served; more than once for more.", valueName: "folder"))
  var watch: [String] = []

  @Option(help: "Searches inside at once, four a thread by default; more are sent away with 429.")
  var waiting: Int?

  @Option(help: "Seconds that one search may take.")
  var deadline = 30.0

  @Flag(help: "Write the words of queries to the log.")
  var logQueries = false

  @Option(help: "The model file; by default the one that built the indexes.")
  var model: String?

  @OptionGroup var machine: Machine

  func validate() throws {
    if address == nil { throw ValidationError("--listen takes an address and a port: 127.0.0.1:8080") }
    if (tlsCertificate == nil) != (tlsKey == nil) { throw ValidationError("give --tls-certificate and --tls-key together") }
    if let tiles, ServiceOptions.origin(ofTiles: tiles) == nil {
      throw ValidationError("--tiles takes an address of http or https with {z}, {x} and {y} in it")
    }
    if let publicUrl, !ServiceOptions.isAddress(publicUrl) {
      throw ValidationError("--public-url takes an address of http or https: https://example.org/images")
    }
    if let cors, cors != "*", !ServiceOptions.isAddress(cors) { throw ValidationError("--cors takes an origin, https://maps.example, or '*'") }
    if let waiting, !(1...10_000).contains(waiting) { throw ValidationError("--waiting takes 1 to 10000") }
    if !(0.01...3600).contains(deadline) { throw ValidationError("--deadline takes 0.01 to 3600 seconds") }
  }

  private var address: (host: String, port: Int)? {
    guard let colon = listen.lastIndex(of: ":"), let port = Int(listen[listen.index(after: colon)...]), (0...65535).contains(port) else { return nil }
    let host = listen[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
    return host.isEmpty ? nil : (host, port)
  }

  /// A connection is an open file, and thousands may be idle.
  private static func raiseFileLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  func run() throws {
    Self.raiseFileLimit()
    var options = ServiceOptions()
    (options.host, options.port) = address!
    (options.waiting, options.deadline, options.logsQueries) = (waiting, deadline, logQueries)
    options.tokens = try tokens()
    // An origin has no path, and browsers compare it as it is written.
    (options.origin, options.tiles) = (cors.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }, tiles)
    (options.publicURL, options.trustedProxies) = (publicUrl, Set(trustedProxy))
    if let tlsCertificate, let tlsKey { options.certificate = (tlsCertificate, tlsKey) }
    guard options.certificate == nil || Service.encrypts else {
      throw Failure("this build does not encrypt; build with: swift build -c release --product ftf --traits TLS")
    }
    guard !options.tokens.isEmpty || insecure || Service.isLoopback(options.host) else {
      throw Failure("\(listen): others reach this address; give --token-file FILE, or --insecure if anybody may search")
    }
    let (served, models) = try open()
    if !watch.isEmpty {
      for folder in watch where !FileManager.default.fileExists(atPath: folder) { throw Failure("\(folder): no such file or folder") }
      options.watched = (watch, try Engine(path: models[0], level: machine.level, pool: ComputePool(threads: 1)))
    }
    let (done, failure, asked, names) = (DispatchSemaphore(value: 0), Failed(), options, indexes.joined(separator: ", "))
    let scheme = options.certificate == nil ? "http" : "https"
    let host = options.host.contains(":") ? "[\(options.host)]" : options.host
    Task.detached {
      do {
        try await Service.run(served, asked) { report("ftf: serving \(names) at \(scheme)://\(host):\($0)") }
      } catch {
        failure.error.withLock { $0 = error }
      }
      done.signal()
    }
    done.wait()
    guard let error = failure.error.withLock({ $0 }) else { return }
    if let known = error as? FastThenFineError { throw known }
    let isTaken = "\(error)".contains("Address already in use")
    throw Failure("\(listen): cannot be listened on: \(isTaken ? "another program does; choose another port with --listen" : "\(error)")")
  }

  /// The indexes, and the model of each. Those of one model share its engine, and all of them the threads.
  private func open() throws -> (served: [ServedIndex], models: [String]) {
    let archives = try indexes.map { try ImageIndex(path: $0) }
    let models = try archives.map { try modelPath(of: $0, given: model) }
    let mapped = archives.reduce(0) { $0 + $1.mappedBytes }
    var engines: [String: Engine] = [:]
    let served = try zip(indexes, zip(archives, models)).map { path, opened in
      let (archive, model) = opened
      let engine =
        try engines[model] ?? engines.values.first.map { try Engine(path: model, level: machine.level, pool: $0.pool) }
        ?? machine.engine(model, mapped: mapped)
      engines[model] = engine
      let captions = try archive.someCaptions(8)
      return ServedIndex(path, engine: engine, suggestions: captions.isEmpty ? Array(DemoVerb.questions.prefix(8)) : captions)
    }
    return (served, models)
  }

  private final class Failed: Sendable {
    let error = Mutex<(any Error)?>(nil)
  }

  private static let mostTokenBytes = 1 << 16

  private func tokens() throws -> [String] {
    guard let tokenFile else { return (ProcessInfo.processInfo.environment["FTF_TOKEN"].map { [$0] } ?? []).filter { !$0.isEmpty } }
    // It may be a pipe, as of a program that keeps secrets.
    guard let file = FileHandle(forReadingAtPath: tokenFile), let data = try? file.read(upToCount: Self.mostTokenBytes) else {
      throw Failure("\(tokenFile): cannot be read, or holds no token")
    }
    let tokens = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
    guard !tokens.isEmpty else { throw Failure("\(tokenFile): holds no token") }
    for token in tokens where !token.allSatisfy({ $0.isASCII && !$0.isWhitespace }) {
      throw Failure("\(tokenFile): a token has no spaces and only ASCII; one a line")
    }
    return tokens
  }
}
#else
import ArgumentParser

/// What stands where the service was not built in.
struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve indexes over HTTP, with a page to search in; not in this build: 'make serve' makes one that does.")

  @Argument(parsing: .captureForPassthrough, help: .hidden)
  var arguments: [String] = []

  func run() throws {
    throw Failure(
      "this build has no service; 'make serve' in the checkout makes one, or: swift build -c release --product ftf --traits TLS")
  }
}
#endif
