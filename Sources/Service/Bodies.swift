#if Serve
import FastThenFine
import Foundation
import Hummingbird
import FTFInterchange
import FTFJSON
import Synchronization

/// What bodies may take, all of them together: who sends much waits for none of those who send little.
final class BodyBudget: Sendable {
  /// Bytes of a body that are nobody's concern.
  static let free = 64 << 10
  private let limit: Int
  private let held = Atomic(0)

  init(limit: Int) { self.limit = limit }

  /// What one request holds, until it is let go.
  final class Share: Sendable {
    private let budget: BodyBudget
    private let taken = Atomic(0)

    var count: Int { taken.load(ordering: .relaxed) }

    fileprivate init(_ budget: BodyBudget) { self.budget = budget }

    deinit { budget.held.subtract(max(0, count - BodyBudget.free), ordering: .relaxed) }

    /// Whether there is room for so many bytes more.
    func take(_ bytes: Int) -> Bool {
      let (old, new) = taken.add(bytes, ordering: .relaxed)
      let more = max(0, new - BodyBudget.free) - max(0, old - BodyBudget.free)
      return budget.held.add(more, ordering: .relaxed).newValue <= budget.limit
    }
  }

  var share: Share { Share(self) }
}

/// Bodies of JSON.
enum JSON {
  static func data(_ object: Any) -> Data { Data(JSONText.of(object).utf8) }

  static func response(_ object: Any, status: HTTPResponse.Status = .ok, type: String = "application/json") -> Response {
    Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(bytes: data(object))))
  }

  /// Values and keys of a body, and how deep they lie: a million keys would be read for a second.
  private static let mostNodes = 100_000
  private static let mostDepth = 64

  /// Whether a text may be parsed: counted are the signs that stand between values, outside of texts.
  static func isModest(_ data: Data) -> Bool {
    var (nodes, depth, isInText, isEscaped) = (0, 0, false, false)
    let bytes = data.span
    for i in bytes.indices {
      let byte = bytes[i]
      if isInText {
        if isEscaped { isEscaped = false } else if byte == UInt8(ascii: "\\") { isEscaped = true } else { isInText = byte != UInt8(ascii: "\"") }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInText = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): (nodes, depth) = (nodes + 1, depth + 1)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): nodes += 1
      default: break
      }
      if nodes > mostNodes || depth > mostDepth { return false }
    }
    return true
  }
}

extension SearchService {
  /// Bytes of a body that are read although it is too large: who sends it has to come to the end before it reads the answer.
  private static let mostDiscarded = 256 << 20
  /// Bytes that the cooperative threads may parse.
  private static let mostParsedHere = 64 << 10

  /// The request with all of its body, which has come: nothing waits for its client any more.
  func received(_ request: Request, _ share: BodyBudget.Share) async throws -> Request {
    var (buffer, count) = (ByteBuffer(), 0)
    for try await part in request.body {
      count += part.readableBytes
      if count > options.bodyLimit {
        buffer = ByteBuffer()
        if count > Self.mostDiscarded { break }
        continue
      }
      guard share.take(part.readableBytes) else {
        throw Problem(.serviceUnavailable, "busy", "too many large bodies are on their way", retryAfter: 1)
      }
      buffer.writeImmutableBuffer(part)
    }
    guard count <= options.bodyLimit else { throw Problem(.contentTooLarge, "too_large", "a body may have \(options.bodyLimit) bytes") }
    var request = request
    request.body = RequestBody(buffer: buffer)
    return request
  }

  /// What is made of all of a request's body: of a large one beside the threads that answer, to which even a look at it would be long.
  func body<R: Sendable>(_ request: Request, _ make: @escaping @Sendable (Data) throws -> R) async throws -> R {
    let buffer = try await request.body.collect(upTo: options.bodyLimit)
    guard buffer.readableBytes > Self.mostParsedHere else { return try make(Data(buffer: buffer)) }
    return try await decode { try make(Data(buffer: buffer)) }
  }

  /// The object of a request's body.
  func object(_ request: Request) async throws -> Fields {
    try await body(request) { data in
      guard JSON.isModest(data) else { throw Problem(.contentTooLarge, "too_large", "the body has too many values, or they lie too deep") }
      guard let object = JSONValue(data)?.any as? [String: Any] else {
        throw Problem(.badRequest, "bad_json", "the body has to be a JSON object")
      }
      return Fields(object)
    }
  }

  /// Work on what a client sent or a file holds, beside the threads that search and those that answer.
  func decode<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    do { return try await decoding.run(body) } catch { throw Problem.wrapping(error) }
  }
}
#endif
