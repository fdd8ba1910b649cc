#if Serve
import Foundation
import HTTPTypes
import Hummingbird

/// What stands behind the question mark of an address, as forms and clients write it: `+` is a space.
struct Parameters {
  private(set) var pairs: [(name: String, value: String)] = []

  /// - Throws: where it says nothing that can be read, or a name stands twice.
  init(_ request: Request) throws {
    for pair in (request.uri.query ?? "").split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        .map { $0.replacing("+", with: " ").removingPercentEncoding }
      guard let name = parts[0], let value = parts.count > 1 ? parts[1] : "" else {
        throw Problem(.badRequest, "bad_address", "the address has an escape that is none, or is no UTF-8")
      }
      guard self[name] == nil else { throw Problem(.badRequest, "bad_address", "the address has \(name) twice") }
      pairs.append((name, value))
    }
  }

  subscript(_ name: String) -> String? { pairs.first { $0.name == name }?.value }

  /// - Throws: where there is another than these.
  func only(_ names: Set<String>) throws -> Parameters {
    for pair in pairs where !names.contains(pair.name) {
      let near = names.sorted().joined(separator: ", ")
      throw Problem(.badRequest, "unknown_parameter", "\(pair.name) is none of the parameters here" + (near.isEmpty ? "" : ": \(near)"))
    }
    return self
  }
}

extension SearchService {
  /// What links begin with, as whoever asks calls it.
  func root(_ request: Request) -> String { address.root(request, from: Front.client) }
}

/// Where the service is reached: what clients may call it, and what links are made of.
struct PublicAddress: Sendable {
  /// The address that it was told that it has, without a slash at its end; nil where clients say it.
  private let told: (root: String, host: String, path: String)?
  private let isLoopback: Bool
  private let asksForToken: Bool
  private let scheme: String
  private let proxies: Set<String>
  /// What the machine calls itself, in lower case.
  private let machine: String

  init(_ options: ServiceOptions) {
    isLoopback = Service.isLoopback(options.host)
    asksForToken = !options.tokens.isEmpty
    scheme = options.certificate == nil ? "http" : "https"
    proxies = options.trustedProxies
    var name = [UInt8](repeating: 0, count: 256)
    _ = unsafe name.withUnsafeMutableBytes { unsafe gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count - 1) }
    machine = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self).lowercased()
    told = options.publicURL.flatMap { Self.parts(of: $0) }
  }

  /// The parts of an address of http or https; nil for another text.
  static func parts(of text: String) -> (root: String, host: String, path: String)? {
    guard let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme), let host = url.host,
      !host.isEmpty, url.query == nil, url.fragment == nil, url.user == nil
    else { return nil }
    var path = url.percentEncodedPath
    while path.hasSuffix("/") { path.removeLast() }
    let authority = host.lowercased() + (url.port.map { ":\($0)" } ?? "")
    return ("\(scheme)://\(authority)\(path)", authority, path)
  }

  /// Below which path a proxy passes requests on with it, as in `/ftf`.
  var path: String { told?.path ?? "" }

  /// Whether a request was meant for this service: a page of another name that leads here must not read it (DNS rebinding).
  func isMeant(_ host: String) -> Bool {
    let host = host.lowercased()
    if let told, host == told.host || Self.name(of: host) == Self.name(of: told.host) { return true }
    let name = Self.name(of: host)
    if name == "localhost" || name == "::1" || Self.isNumeric(name) && name.hasPrefix("127.") { return true }
    if isLoopback { return false }
    // A token is what no page of another name has.
    return asksForToken || told == nil && (Self.isNumeric(name) || name == machine)
  }

  private static func name(of host: String) -> String {
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return String(host[host.index(after: host.startIndex)..<end]) }
    return host.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? host
  }

  private static func isNumeric(_ name: String) -> Bool {
    name.contains(":") || name.split(separator: ".", omittingEmptySubsequences: false).count == 4 && name.allSatisfy { $0.isNumber || $0 == "." }
  }

  /// Who asked: behind a proxy that is trusted whoever it names.
  func client(_ request: Request, from peer: String?) -> String? {
    guard let peer, proxies.contains(peer) else { return peer }
    let named =
      Self.forwarded(request.headers[HTTPField.Name("Forwarded")!]?.split(separator: ",").first.map(String.init) ?? "")["for"]
      ?? request.headers[HTTPField.Name("X-Forwarded-For")!]?.split(separator: ",").first.map { $0.trimmingCharacters(in: .whitespaces) }
    return named.flatMap { $0.isEmpty ? nil : String($0.prefix(64)) } ?? peer
  }

  /// What links begin with, as the client calls it.
  func root(_ request: Request, from client: String?) -> String {
    if let told { return told.root }
    var (scheme, host, path) = (scheme, request.head.authority ?? "localhost", "")
    if let client, proxies.contains(client) {
      func said(_ name: String) -> String? {
        let value = request.headers[HTTPField.Name(name)!]?.split(separator: ",").first?.trimmingCharacters(in: .whitespaces)
        return value.flatMap { $0.isEmpty ? nil : $0 }
      }
      let forwarded = Self.forwarded(said("Forwarded") ?? "")
      if let said = forwarded["proto"] ?? said("X-Forwarded-Proto"), ["http", "https"].contains(said.lowercased()) { scheme = said.lowercased() }
      host = forwarded["host"] ?? said("X-Forwarded-Host") ?? host
      path = said("X-Forwarded-Prefix") ?? ""
      while path.hasSuffix("/") { path.removeLast() }
    }
    func isPlain(_ text: String, _ others: String) -> Bool { text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || others.contains($0)) } }
    return "\(scheme)://\(isPlain(host, ".-:[]") ? host : "localhost")\(isPlain(path, "/-_.~%") ? path : "")"
  }

  /// The first element of a Forwarded field (RFC 7239).
  private static func forwarded(_ text: String) -> [String: String] {
    text.split(separator: ";").reduce(into: [:]) { pairs, pair in
      let parts = pair.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " \"")) }
      if parts.count == 2 { pairs[parts[0].lowercased()] = parts[1] }
    }
  }
}
#endif
