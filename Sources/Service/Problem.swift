#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import Interchange

/// An answer that is none: problem+json (RFC 9457) with a code that programs can act on and a line for people.
struct Problem: HTTPResponseError {
  var status: HTTPResponse.Status
  var code: String
  var detail: String
  /// Seconds after which to try again.
  var retryAfter: Int?

  init(_ status: HTTPResponse.Status, _ code: String, _ detail: String, retryAfter: Int? = nil) {
    (self.status, self.code, self.detail, self.retryAfter) = (status, code, detail, retryAfter)
  }

  /// What went wrong in the engine. A path of this machine is nobody's affair outside of it.
  init(_ error: FastThenFineError) {
    switch error.code {
    case .badInput, .unknownAttribute: self.init(.unprocessableContent, "bad_input", error.description)
    case .unusableFile: self.init(.unprocessableContent, "unusable_image", error.description)
    case .deadline: self.init(.serviceUnavailable, "deadline", "it took longer than it may", retryAfter: 1)
    case .cancelled: self.init(.serviceUnavailable, "cancelled", "it was cancelled")
    default: self.init(.internalServerError, error.code.rawValue, "the index cannot be used; its log says why")
    }
  }

  static func wrapping(_ error: any Error) -> Problem {
    switch error {
    case let problem as Problem: return problem
    case let error as FastThenFineError: return Problem(error)
    case let error as any HTTPResponseError:
      let code = error.status == .contentTooLarge ? "too_large" : error.status == .notFound ? "not_found" : "http_\(error.status.code)"
      return Problem(error.status, code, error.status.reasonPhrase)
    default: return Problem(.internalServerError, "internal", "it could not be answered")
    }
  }

  func response(from request: Request, context: some RequestContext) throws -> Response { response }

  var response: Response {
    let object: [String: Any] = ["type": "about:blank", "title": status.reasonPhrase, "status": status.code, "code": code, "detail": detail]
    var response = JSON.response(object, status: status)
    response.headers[.contentType] = "application/problem+json"
    if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
    if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    return response
  }
}

/// Bodies of JSON.
enum JSON {
  /// Keys come in any order: Foundation sorts them by the rules of a language, which takes a fifth of a search.
  static func data(_ object: Any) -> Data {
    (try? JSONSerialization.data(withJSONObject: object, options: [.withoutEscapingSlashes])) ?? Data("{}".utf8)
  }

  static func response(_ object: Any, status: HTTPResponse.Status = .ok, type: String = "application/json") -> Response {
    Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(bytes: data(object))))
  }

  /// Bytes of a body that are read although it is too large: who sends it has to come to the end before it reads the answer.
  private static let mostDiscarded = 256 << 20

  /// Whoever sends a body for longer is cut off.
  private static let mostSeconds = 60.0

  /// All of a request's body.
  static func body(_ request: Request, limit: Int) async throws -> Data {
    var (data, count) = (Data(), 0)
    let began = ContinuousClock.now
    for try await part in request.body {
      guard (ContinuousClock.now - began) / .seconds(1) < mostSeconds else {
        throw Problem(.requestTimeout, "slow", "a body has to come within \(Int(mostSeconds)) seconds")
      }
      count += part.readableBytes
      if count <= limit { data.append(contentsOf: part.readableBytesView) } else { data = Data() }
      if count > mostDiscarded { break }
    }
    guard count <= limit else { throw Problem(.contentTooLarge, "too_large", "a body may have \(limit) bytes") }
    return data
  }

  /// The object of a request's body.
  static func object(_ request: Request, limit: Int) async throws -> Fields {
    let data = try await body(request, limit: limit)
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw Problem(.badRequest, "bad_json", "the body has to be a JSON object")
    }
    return Fields(object)
  }
}

/// The values of a JSON object, which are what they have to be or are refused by name.
struct Fields {
  let values: [String: Any]
  init(_ values: [String: Any]) { self.values = values.filter { !($0.value is NSNull) } }

  private func refusal(_ key: String, _ what: String) -> Problem { Problem(.unprocessableContent, "bad_input", "\(key) has to be \(what)") }

  func string(_ key: String) throws -> String? {
    guard let value = values[key] else { return nil }
    guard let text = value as? String else { throw refusal(key, "a text") }
    return text
  }

  func number(_ key: String) throws -> Double? {
    guard let value = values[key] else { return nil }
    guard let number = value as? NSNumber, !number.isBool, number.doubleValue.isFinite else { throw refusal(key, "a number") }
    return number.doubleValue
  }

  func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let number = try number(key) else { return nil }
    guard let whole = Int(exactly: number), range.contains(whole) else {
      throw refusal(key, "a whole number, \(range.lowerBound) to \(range.upperBound)")
    }
    return whole
  }

  func bool(_ key: String) throws -> Bool? {
    guard let value = values[key] else { return nil }
    guard let number = value as? NSNumber, number.isBool else { throw refusal(key, "true or false") }
    return number.boolValue
  }

  func strings(_ key: String) throws -> [String]? {
    guard let value = values[key] else { return nil }
    guard let texts = value as? [String] else { throw refusal(key, "a list of texts") }
    return texts
  }

  func integers(_ key: String, most: Int) throws -> [Int64]? {
    guard let value = values[key] else { return nil }
    let numbers = (value as? [Any])?.compactMap { ($0 as? NSNumber).flatMap { $0.isBool ? nil : Int64(exactly: $0.doubleValue) } }
    guard let numbers, numbers.count == (value as? [Any])?.count, numbers.count <= most else { throw refusal(key, "at most \(most) whole numbers") }
    return numbers
  }

  func numbers(_ key: String, count: Int) throws -> [Double]? {
    guard let value = values[key] else { return nil }
    guard let numbers = value as? [NSNumber], numbers.count == count, !numbers.contains(where: \.isBool) else {
      throw refusal(key, "\(count) numbers")
    }
    return numbers.map(\.doubleValue)
  }
}
#endif
