#if Serve
import Dispatch
import CoreMetrics
import FastThenFine
import FTFFiles
import FTFKernels
import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import ServiceLifecycle
import Synchronization

/// The engine behind HTTP.
public enum Service {
  /// Serves indexes, once in the life of a process, until SIGTERM or SIGINT; then it takes nobody in any more and ends when those inside are served.
  ///
  /// - Parameters:
  ///   - indexes: at least one, with the same pool of threads.
  ///   - onRunning: is told the port once there is one.
  public static func run(
    _ indexes: [ServedIndex], _ options: ServiceOptions, onRunning: @escaping @Sendable (Int) -> Void
  ) async throws {
    let service = try SearchService(indexes, options)
    MetricsSystem.bootstrap(service.metrics.registry)
    var logger = Logger(label: "ftf")
    logger.logLevel = .info
    let app = Application(
      responder: Prefixed(prefix: service.address.path, responder: service.router().buildResponder()),
      server: try server(options, service.connections),
      configuration: .init(address: .hostname(options.host, port: options.port), backlog: 1024),
      onServerRunning: { channel in
        Supervisor.tell("READY=1")
        onRunning(channel.localAddress?.port ?? options.port)
      }, logger: logger)
    // They are told to end from the last to the first, each once the one after it has.
    var services: [any ServiceLifecycle.Service] = [app, Watcher(service: service, logger: logger)]
    if let watched = options.watched {
      services.append(Follower(index: indexes[0].path, folders: watched.folders, engine: watched.engine, logger: logger))
    }
    var configuration = ServiceGroupConfiguration(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    configuration.maximumGracefulShutdownDuration = mostDrained
    try await ServiceGroup(configuration: configuration).run()
  }

  /// Those inside have so long to be answered: less than a supervisor waits before it kills.
  private static let mostDrained = Duration.seconds(20)

  /// Below a path that a proxy passes on with its requests.
  private struct Prefixed: HTTPResponder {
    let prefix: String
    let responder: RouterResponder<ServiceContext>

    func respond(to request: Request, context: ServiceContext) async throws -> Response {
      let path = request.head.path ?? "/"
      guard !prefix.isEmpty, path == prefix || path.hasPrefix(prefix + "/") || path.hasPrefix(prefix + "?") else {
        return try await responder.respond(to: request, context: context)
      }
      // The page's own addresses are told from the slash on.
      if path == prefix { return Response(status: .permanentRedirect, headers: [.location: prefix + "/"]) }
      var head = request.head
      let rest = path.dropFirst(prefix.count)
      head.path = rest.hasPrefix("/") ? String(rest) : "/" + rest
      return try await responder.respond(to: Request(head: head, body: request.body), context: context)
    }
  }

  private static func server(_ options: ServiceOptions, _ connections: Connections) throws -> HTTPServerBuilder {
    let plain = HTTPServerBuilder.http1(
      configuration: .init(
        additionalChannelHandlers: [connections.handler(bodyLimit: options.bodyLimit)], idleTimeout: .seconds(60),
        httpDecoderConfiguration: .init(maxHeaderFieldSize: 16384, maxHeaderListSize: 65536, maxHeaderFieldCount: 100)))
    guard let (chain, key) = options.certificate else { return plain }
    return try encrypted(plain, chain: chain, key: key)
  }

  /// Whether an address is this machine's own.
  public static func isLoopback(_ host: String) -> Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

/// Looks every second whether an index has changed, at once on SIGHUP, and says that it is not ready before it goes down.
private struct Watcher: ServiceLifecycle.Service {
  let service: SearchService
  let logger: Logger

  func run() async throws {
    signal(SIGHUP, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGHUP)
    source.setEventHandler { refresh(always: true) }
    source.resume()
    defer { source.cancel() }
    await withTaskCancellationOrGracefulShutdownHandler {
      var passed = 0
      while !Task.isCancelled && service.isOpen {
        try? await Task.sleep(for: .milliseconds(100))
        passed += 1
        if passed % 10 == 0 { refresh(always: false) }
      }
    } onCancelOrGracefulShutdown: {
      service.drain()
      Supervisor.tell("STOPPING=1")
    }
    // Whoever spreads requests over several services sees that this one is not ready before it refuses any.
    try? await Task.sleep(for: Self.notice)
  }

  private static let notice = Duration.seconds(1)

  private func refresh(always: Bool) {
    for archive in service.archives {
      do {
        if try archive.refresh(always: always) { logger.info("\(archive.name) has \(archive.now.images) images now") }
      } catch {
        // What was opened goes on.
        logger.warning("\("\(archive.name) cannot be taken over: \(error)".shown)")
      }
    }
  }
}

/// Takes what is new in folders into the index, as `ftf index` does, again and again; one thread computes, so that searches do not wait.
private struct Follower: ServiceLifecycle.Service {
  let index: String
  let folders: [String]
  let engine: Engine
  let logger: Logger

  /// Seconds between two looks, at least; folders that take long to look through are looked through more rarely.
  private static let pause = 2.0

  func run() async throws {
    let cancellation = Cancellation()
    await withTaskCancellationOrGracefulShutdownHandler {
      var said: Set<String> = []
      while !cancellation.isDue {
        let (began, before) = (ContinuousClock.now, said)
        said = await withCheckedContinuation { done in
          OwnThread.run(qos: .utility) { done.resume(returning: follow(before, cancellation)) }
        }
        let seconds = max(Self.pause, (ContinuousClock.now - began) / .seconds(1) * 10)
        let until = ContinuousClock.now + .seconds(seconds)
        while !cancellation.isDue && ContinuousClock.now < until { try? await Task.sleep(for: .milliseconds(200)) }
      }
    } onCancelOrGracefulShutdown: {
      cancellation.cancel()
    }
  }

  /// Looks once.
  ///
  /// - Parameter before: what was said of the look before, which is not said again.
  /// - Returns: what there is to be said of this one.
  private func follow(_ before: Set<String>, _ cancellation: Cancellation) -> Set<String> {
    let lines = Mutex<Set<String>>([])
    @Sendable func warn(_ line: String) {
      lines.withLock { _ = $0.insert(line) }
      if !before.contains(line) { logger.warning("\(line.shown)") }
    }
    do {
      // One that was moved away is not begun anew, without what was known of its images.
      guard try ImageIndex.existing(path: index) != nil else {
        warn("\(index): is not there any more; what is new in the folders waits for it")
        return lines.withLock { $0 }
      }
      var writer = try IndexWriter(path: index, engine: engine)
      let summary = try writer.add(folders, cancellation: cancellation) { event in
        switch event {
        case .skipped(let error): warn("\(error)")
        case .warned(let line): warn(line)
        case .begins, .encoded: break
        }
      }
      if summary.indexed + summary.removed + summary.moved > 0 {
        logger.info("taken in: \(summary.indexed) new or changed, \(summary.moved) moved, \(summary.removed) gone")
      }
    } catch  where error.code == .locked {
      // Another process writes; what it leaves is looked at the next time.
    } catch {
      warn("\(index): \(error)")
    }
    return lines.withLock { $0 }
  }
}
#endif
