#if Serve
import Synchronization

/// How many requests may be in the house: what comes beyond is sent away at once, so that those inside are answered in time.
final class Gate: Sendable {
  let limit: Int
  private let inside = Atomic(0)

  init(limit: Int) { self.limit = limit }

  var count: Int { inside.load(ordering: .relaxed) }

  func run<R>(_ body: () async throws -> R) async throws -> R {
    let number = inside.add(1, ordering: .relaxed).newValue
    defer { inside.subtract(1, ordering: .relaxed) }
    guard number <= limit else { throw Problem(.tooManyRequests, "busy", "\(limit) requests are waiting already", retryAfter: 1) }
    return try await body()
  }
}
#endif
