import Foundation

/// Files that are read whole, by their bytes' name.
package enum WholeFile {
  package struct Failure: Error, Sendable, Equatable {
    /// Of the system; nil where the file is none that can be read, now or later.
    package var code: Int32?
    package var reason: String
  }

  /// What a file holds.
  ///
  /// - Throws: where it is no regular file, or has more bytes than `limit`.
  package static func bytes(_ path: FilePath, limit: Int) throws(Failure) -> Data {
    // A pipe would be waited for.
    let file = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard file >= 0 else { throw system() }
    defer { close(file) }
    var status = stat()
    guard unsafe fstat(file, &status) == 0 else { throw system() }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(code: nil, reason: "it is no regular file") }
    guard status.st_size <= limit else { throw Failure(code: nil, reason: "it has \(status.st_size) bytes; the limit is \(limit)") }
    var data = Data(capacity: Int(status.st_size))
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while data.count <= limit {
      let count = unsafe read(file, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw system() }
      if count == 0 { break }
      data.append(contentsOf: buffer[..<count])
    }
    return data
  }

  private static func system() -> Failure { Failure(code: errno, reason: unsafe String(cString: strerror(errno))) }
}
