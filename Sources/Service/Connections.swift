#if Serve
import FastThenFine
import Hummingbird
import NIOCore
import Synchronization

/// A connection, and the work for the request on it that is being answered: that stops when whoever asked leaves. A client that has said
/// all and only listens on is taken for gone too, as reverse proxies do: the two look the same.
final class Connection: Sendable {
  /// Of the task that answers.
  @TaskLocal static var current: Connection?

  private let state = Mutex((hasLeft: false, work: [Cancellation]()))

  /// Work that ends when the client leaves.
  func begin(_ work: Cancellation) {
    let hasLeft = state.withLock {
      $0.work.append(work)
      return $0.hasLeft
    }
    if hasLeft { work.cancel() }
  }

  /// A request is answered; the next one may come.
  func end() { state.withLock { $0.work = [] } }

  func leave() {
    let work = state.withLock {
      $0.hasLeft = true
      return $0.work
    }
    for one in work { one.cancel() }
  }
}

/// The connections that are open.
final class Connections: Sendable {
  private let open = Mutex<[ObjectIdentifier: Connection]>([:])

  /// Answers a request that came by a channel; of each there is one at a time.
  func answer<R>(_ channel: ObjectIdentifier, _ body: () async throws -> R) async throws -> R {
    guard let connection = open.withLock({ $0[channel] }) else { return try await body() }
    defer { connection.end() }
    return try await Connection.$current.withValue(connection, operation: body)
  }

  var handler: any RemovableChannelHandler { Handler(connections: self) }

  private final class Handler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    private let connections: Connections
    private let connection = Connection()

    init(connections: Connections) { self.connections = connections }

    func handlerAdded(context: ChannelHandlerContext) {
      connections.open.withLock { $0[ObjectIdentifier(context.channel)] = connection }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
      connections.open.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(context.channel)) }
    }

    func channelInactive(context: ChannelHandlerContext) {
      connection.leave()
      context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if case ChannelEvent.inputClosed? = event as? ChannelEvent { connection.leave() }
      context.fireUserInboundEventTriggered(event)
    }
  }
}

/// What Hummingbird knows of a request, and by which channel it came.
struct ServiceContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: ObjectIdentifier

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = ObjectIdentifier(source.channel)
  }
}
#endif
