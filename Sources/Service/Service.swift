import Dispatch
import FastThenFine
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle

/// The engine behind HTTP.
public enum Service {
  /// Serves an index until SIGTERM or SIGINT; then it takes nobody in any more and ends when those inside are served.
  ///
  /// - Parameter onRunning: is told the port once there is one.
  public static func run(
    _ index: String, engine: Engine, _ options: ServiceOptions, onRunning: @escaping @Sendable (Int) -> Void
  ) async throws {
    let service = try SearchService(index, engine: engine, options)
    var logger = Logger(label: "ftf")
    logger.logLevel = .info
    let app = Application(
      router: service.router(),
      server: .http1(configuration: .init(idleTimeout: .seconds(60), httpDecoderConfiguration: .init(maxHeaderFieldSize: 16384, maxHeaderListSize: 65536, maxHeaderFieldCount: 100))),
      configuration: .init(address: .hostname(options.host, port: options.port), backlog: 1024),
      services: [Watcher(service: service, logger: logger)],
      onServerRunning: { channel in onRunning(channel.localAddress?.port ?? options.port) }, logger: logger)
    try await app.runService()
  }

  /// Whether an address is this machine's own.
  public static func isLoopback(_ host: String) -> Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

/// Looks every second whether the index has changed, at once on SIGHUP, and says that it is not ready before it goes down.
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
      while !Task.isCancelled && service.gate.isOpen {
        try? await Task.sleep(for: .seconds(1))
        refresh(always: false)
      }
    } onCancelOrGracefulShutdown: {
      service.gate.drain()
    }
  }

  private func refresh(always: Bool) {
    do {
      if try service.refresh(always: always) { logger.info("the index has \(service.now.searcher.count) images now") }
    } catch {
      // What was opened goes on.
      logger.warning("the index cannot be taken over: \(error)")
    }
  }
}
