import Foundation

/// A file that a user named for a result: it appears whole or not at all where it is a regular one, and what is none (a device, a
/// pipe) is written to and never replaced. A link is followed, and a file that was there keeps its mode and owner.
package struct OutputFile: ~Copyable {
  package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    package var path: String
    package var reason: String
    package var description: String { "\(path): cannot be written: \(reason)" }

    init(_ path: String, _ code: Int32) { (self.path, reason) = (path, unsafe String(cString: strerror(code))) }
    init(_ path: String, reason: String) { (self.path, self.reason) = (path, reason) }
  }

  private enum Place {
    /// A file beside its target takes the target's place. `old`: what was there.
    case renamed(FilePath, old: stat?)
    /// Written to, in place: no regular file, or one whose folder takes no other.
    case through(FilePath)
  }

  private let path: String
  private let place: Place
  private var isDone = false
  /// Where the content is to be written before `commit`: nothing is there yet.
  package let partial: String

  package init(_ path: String) throws(Failure) {
    self.path = path
    place = try Self.place(path)
    partial = Self.partial(path, place)
    try? FileManager.default.removeItem(atPath: partial)
  }

  deinit {
    if !isDone { _ = unsafe FilePath(partial).withCString { unsafe unlink($0) } }
  }

  /// Where the parts of a result lie that is not whole yet, for whoever is interrupted.
  package static func partial(of path: String) -> String { (try? place(path)).map { partial(path, $0) } ?? path + ".partial" }

  private static func partial(_ path: String, _ place: Place) -> String {
    switch place {
    case .renamed(let target, _): target.spelling + ".partial"
    case .through: "\(FileManager.default.temporaryDirectory.path)/ftf-\(getpid())-\(FilePath(path).name).partial"
    }
  }

  private static func place(_ path: String) throws(Failure) -> Place {
    let name = FilePath(path)
    guard !path.isEmpty, let whole = name.absolute else { throw Failure(path, reason: "it is no path, or the working directory is gone") }
    var status = stat()
    guard unsafe name.withCString({ unsafe stat($0, &status) }) == 0 else {
      guard errno == ENOENT else { throw Failure(path, errno) }
      return .renamed(try linked(whole, path), old: nil)
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: throw Failure(path, EISDIR)
    case S_IFREG: break
    default: return .through(whole)
    }
    // A stream of this process, such as /dev/stdout, may be a regular file.
    let isStream = whole.isBelow("/dev") || whole.isBelow("/proc")
    guard !isStream, let target = name.real, let folder = target.folder else { return .through(whole) }
    let canReplace = unsafe folder.withCString { unsafe access($0, W_OK) } == 0
    return canReplace ? .renamed(target, old: status) : .through(target)
  }

  /// Where a link leads whose target is not there yet.
  private static func linked(_ path: FilePath, _ given: String) throws(Failure) -> FilePath {
    var path = path
    for _ in 0..<40 {
      var buffer = [CChar](repeating: 0, count: 4097)
      let count = unsafe path.withCString { name in unsafe buffer.withUnsafeMutableBufferPointer { unsafe readlink(name, $0.baseAddress!, 4096) } }
      guard count > 0 else { return path }
      let target = FilePath(bytes: buffer[..<count].map { UInt8(bitPattern: $0) })
      let next = target.spelling.hasPrefix("/") ? target : path.folder?.appending(target)
      guard let absolute = next?.absolute else { break }
      path = absolute
    }
    throw Failure(given, ELOOP)
  }

  /// Makes what was written to `partial` the result.
  package consuming func commit() throws(Failure) {
    let partial = FilePath(partial)
    switch place {
    case .renamed(let target, let old):
      if let old {
        _ = unsafe partial.withCString { unsafe chmod($0, old.st_mode & 0o7777) }
        // Only who may give files away can; for others they are their own already.
        _ = unsafe partial.withCString { unsafe chown($0, old.st_uid, old.st_gid) }
      }
      let failed = unsafe partial.withCString { from in unsafe target.withCString { to in unsafe rename(from, to) } }
      guard failed == 0 else { throw Failure(path, errno) }
      isDone = true
    case .through(let target):
      do {
        try Self.write(try WholeFile.bytes(partial, limit: .max), through: target, path)
      } catch let error as Failure {
        throw error
      } catch {
        throw Failure(path, reason: "\(error)")
      }
    }
  }

  /// Writes a result that is there already.
  package static func write(_ data: Data, to path: String) throws(Failure) {
    if case .through(let target) = try place(path) { return try write(data, through: target, path) }
    let output = try OutputFile(path)
    try write(data, to: FilePath(output.partial), O_CREAT | O_EXCL, path)
    try output.commit()
  }

  private static func write(_ data: Data, through target: FilePath, _ path: String) throws(Failure) {
    try write(data, to: target, O_TRUNC, path)
  }

  private static func write(_ data: Data, to target: FilePath, _ flags: Int32, _ path: String) throws(Failure) {
    let file = unsafe target.withCString { unsafe open($0, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, 0o666) }
    guard file >= 0 else { throw Failure(path, errno) }
    var at = 0
    while at < data.count {
      let count = unsafe data.withUnsafeBytes { unsafe Foundation.write(file, $0.baseAddress! + at, $0.count - at) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let code = errno
        close(file)
        throw Failure(path, code)
      }
      at += count
    }
    // A device or a pipe has nothing to sync.
    if flags & O_CREAT != 0, fsync(file) != 0 {
      let code = errno
      close(file)
      throw Failure(path, code)
    }
    guard close(file) == 0 else { throw Failure(path, errno) }
  }
}
