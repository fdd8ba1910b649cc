#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird
import FTFInterchange

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
    case .badInput: self.init(.unprocessableContent, "bad_input", error.description)
    case .unknownAttribute:
      let said = error.description.range(of: "nothing in it").map { String(error.description[$0.lowerBound...]) }
      self.init(.unprocessableContent, "unknown_attribute", said ?? "nothing has such an attribute")
    case .unusableFile:
      let isOurs = error.description.hasPrefix("/")
      self.init(.unprocessableContent, "unusable_image", isOurs ? "the image cannot be read" : error.description)
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

  static func fields(_ status: Int, _ title: String, _ code: String, _ detail: String) -> [String: Any] {
    ["type": "about:blank", "title": title, "status": status, "code": code, "detail": detail]
  }

  var response: Response {
    var response = JSON.response(Self.fields(status.code, status.reasonPhrase, code, detail), status: status)
    response.headers[.contentType] = "application/problem+json"
    if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
    if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
    return response
  }
}

/// The values of a JSON object, which are what they have to be or are refused by name. They never change: threads may hand them on.
struct Fields: @unchecked Sendable {
  let values: [String: Any]
  init(_ values: [String: Any]) { self.values = values.filter { !($0.value is NSNull) } }

  private func refusal(_ key: String, _ what: String) -> Problem { Problem(.unprocessableContent, "bad_input", "\(key) has to be \(what)") }

  /// - Throws: where there is another than these.
  func only(_ names: Set<String>) throws -> Fields {
    guard let other = values.keys.filter({ !names.contains($0) }).min() else { return self }
    throw Problem(.unprocessableContent, "unknown_field", "\(other) is none of the fields here: \(names.sorted().joined(separator: ", "))")
  }

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
