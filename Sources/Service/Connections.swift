#if Serve
import FastThenFine
import Hummingbird
import NIOCore
import NIOHTTP1
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

  func handler(bodyLimit: Int) -> any RemovableChannelHandler { Handler(connections: self, bodyLimit: bodyLimit) }

  private final class Handler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    private let connections: Connections
    private let connection = Connection()
    private let bodyLimit: Int

    init(connections: Connections, bodyLimit: Int) { (self.connections, self.bodyLimit) = (connections, bodyLimit) }

    func handlerAdded(context: ChannelHandlerContext) {
      // Where what was written is read, before it is turned into what requests are here.
      let pipeline = context.pipeline.syncOperations
      if let decoder = try? pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self) {
        try? pipeline.addHandler(Door(bodyLimit: bodyLimit), position: .after(decoder))
      }
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

/// What Hummingbird knows of a request, by which channel it came, and from where.
struct ServiceContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: ObjectIdentifier
  /// The address that it came from; nil where there is none.
  let client: String?
  /// What a long answer waits for.
  let flow: Flow
  /// For the log.
  let notes = Notes()

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = ObjectIdentifier(source.channel)
    client = source.channel.remoteAddress?.ipAddress
    flow = Flow(channel: source.channel)
  }

  /// Whether a client reads what it is sent. What writes to it goes on as long as nobody says otherwise, faster than the event loop may say it: an
  /// answer of many pieces asks after each.
  struct Flow: Sendable {
    let channel: any Channel

    /// Returns once what was written before is on its way, or nearly so.
    ///
    /// - Throws: where the client has left.
    func room() async throws {
      // What was written is given to the event loop in order: this comes behind it.
      while try await !channel.eventLoop.submit({ channel.isWritable }).get() {
        guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
        try await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  final class Notes: Sendable {
    private let said = Mutex<String?>(nil)

    /// What was asked for.
    var words: String? {
      get { said.withLock { $0 } }
      set { said.withLock { $0 = newValue } }
    }
  }
}
#endif
