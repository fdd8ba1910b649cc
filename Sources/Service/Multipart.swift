import Foundation

/// Forms with files, as browsers and `curl -F` send them (multipart/form-data, RFC 7578).
package enum Multipart {
  package struct Part {
    package var name: String
    package var data: Data
    /// It is a file: what comes with a name of one.
    package var isFile: Bool
  }

  static let mostParts = 64
  private static let mostHeaderBytes = 4096

  /// - Parameter type: the request's Content-Type, with the boundary.
  /// - Returns: nil where the body is no such form.
  package static func parts(_ body: Data, type: String) -> [Part]? {
    guard let boundary = parameter("boundary", of: type), (1...70).contains(boundary.utf8.count) else { return nil }
    let (delimiter, line, gap) = (Data("--\(boundary)".utf8), Data("\r\n".utf8), Data("\r\n\r\n".utf8))
    guard let first = body.range(of: delimiter) else { return nil }
    var parts: [Part] = []
    var rest = body[first.upperBound...]
    while !rest.starts(with: Data("--".utf8)) {
      guard parts.count < mostParts, rest.starts(with: line), let head = rest.prefix(mostHeaderBytes).range(of: gap),
        let end = rest[head.upperBound...].range(of: line + delimiter),
        let headers = String(data: rest[rest.startIndex..<head.lowerBound], encoding: .utf8),
        let disposition = headers.components(separatedBy: "\r\n").first(where: { $0.lowercased().hasPrefix("content-disposition:") }),
        let name = parameter("name", of: disposition)
      else { return nil }
      parts.append(Part(name: name, data: Data(rest[head.upperBound..<end.lowerBound]), isFile: parameter("filename", of: disposition) != nil))
      rest = rest[end.upperBound...]
    }
    return parts
  }

  /// `b` of `a; name="b"` or `a; name=b`.
  private static func parameter(_ name: String, of header: String) -> String? {
    for part in header.split(separator: ";").dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard pair.count == 2, pair[0].lowercased() == name else { continue }
      return pair[1].trimmingCharacters(in: CharacterSet(charactersIn: "\""))
    }
    return nil
  }
}
