#if Serve
import NIOCore
import NIOHTTP1

/// HTTP as it is written, below everything else: what is no request is refused before anybody works for it, who waits for a word is given it,
/// and whoever sends or reads too slowly is let go.
final class Door: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// After these a body has to come at the least rate, bytes a second.
  private static let grace = TimeAmount.seconds(5)
  private static let leastRate = 16_000.0
  /// So long may an answer wait for its reader.
  private static let patience = TimeAmount.seconds(30)

  private let bodyLimit: Int
  /// What stood in the request that is being read or answered.
  private var isOld = false
  private var began = NIODeadline.now()
  private var received = 0
  private var isReading = false
  /// Of an answer that has begun.
  private var isAnswering = false
  /// Nothing is taken any more.
  private var isShut = false
  private var watch: Scheduled<Void>?
  private var stalled: Scheduled<Void>?

  init(bodyLimit: Int) { self.bodyLimit = bodyLimit }

  func handlerRemoved(context: ChannelHandlerContext) {
    watch?.cancel()
    stalled?.cancel()
  }

  // MARK: What comes

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isShut else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      if let refusal = Self.refusal(of: head) { return refuse(refusal, context) }
      isOld = head.version.minor == 0
      (began, received, isReading, isAnswering) = (.now(), 0, true, false)
      if !head.headers["expect"].isEmpty {
        guard Int(head.headers.first(name: "content-length") ?? "0") ?? .max <= bodyLimit else {
          return refuse((.payloadTooLarge, "too_large", "a body may have \(bodyLimit) bytes"), context)
        }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
      }
      look(context, at: began + Self.grace)
    case .body(let part): received += part.readableBytes
    case .end:
      isReading = false
      watch?.cancel()
    }
    context.fireChannelRead(data)
  }

  private typealias Refusal = (status: HTTPResponseStatus, code: String, detail: String)

  /// Why a head is none; nil for one that is.
  private static func refusal(of head: HTTPRequestHead) -> Refusal? {
    let (hosts, codings, expectations) = (head.headers["host"], head.headers["transfer-encoding"], head.headers["expect"])
    if head.version.major != 1 { return (.httpVersionNotSupported, "http_version", "HTTP/1.1 is spoken here") }
    if hosts.count > 1 || hosts.isEmpty && head.version.minor >= 1 { return (.badRequest, "bad_host", "a request names one host") }
    if codings.contains(where: { $0.lowercased() != "chunked" }) || codings.count > 1 {
      return (.notImplemented, "bad_coding", "of the transfer codings chunked is known")
    }
    if !codings.isEmpty, head.headers.contains(name: "content-length") { return (.badRequest, "bad_length", "a body has one length") }
    if expectations.contains(where: { $0.lowercased() != "100-continue" }) {
      return (.expectationFailed, "bad_expectation", "of what may be expected 100-continue is known")
    }
    return nil
  }

  private func look(_ context: ChannelHandlerContext, at deadline: NIODeadline) {
    watch?.cancel()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    watch = context.eventLoop.scheduleTask(deadline: deadline) {
      let (door, context) = bound.value
      guard door.isReading else { return }
      let seconds = Double((.now() - door.began - Self.grace).nanoseconds) / 1e9
      guard Double(door.received) < seconds * Self.leastRate else { return door.look(context, at: .now() + .seconds(1)) }
      door.refuse((.requestTimeout, "slow", "a body has to come at \(Int(Self.leastRate)) bytes a second"), context)
    }
  }

  /// Answers, unless an answer has begun, and closes.
  private func refuse(_ refusal: Refusal, _ context: ChannelHandlerContext) {
    isShut = true
    guard !isAnswering else { return context.close(promise: nil) }
    let problem = JSON.data(Problem.fields(Int(refusal.status.code), refusal.status.reasonPhrase, refusal.code, refusal.detail))
    let headers: HTTPHeaders = ["content-type": "application/problem+json", "content-length": "\(problem.count)", "connection": "close"]
    context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: refusal.status, headers: headers))), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: problem)))), promise: nil)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    // What is still on its way would make the system take the answer back: the end is said first.
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      bound.value.eventLoop.scheduleTask(in: .milliseconds(200)) { bound.value.close(promise: nil) }
    }
  }

  // MARK: What goes

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isShut else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    switch unwrapOutboundIn(data) {
    case .head(var head):
      isAnswering = true
      if isOld { head.headers.replaceOrAdd(name: "connection", value: "close") }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body: context.write(data, promise: promise)
    case .end:
      guard isOld else { return context.write(data, promise: promise) }
      isShut = true
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      context.writeAndFlush(data).whenComplete { result in
        promise?.completeWith(result)
        bound.value.close(promise: nil)
      }
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    stalled?.cancel()
    if !context.channel.isWritable {
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      stalled = context.eventLoop.scheduleTask(in: Self.patience) { bound.value.close(promise: nil) }
    }
    context.fireChannelWritabilityChanged()
  }
}
#endif
