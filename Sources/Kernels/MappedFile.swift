#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file opened for reading and mapped whole; what it holds is hostile until its reader has checked it.
///
/// A file that another process truncates while it is mapped raises SIGBUS on access, as with every mmap reader;
/// the project's own writers replace files by rename and never shorten one in place.
@safe package final class MappedFile: Sendable {
  package enum Failure: Error, Equatable, CustomStringConvertible {
    /// The system call that failed and its errno text, e.g. `open: No such file or directory`.
    case system(path: String, reason: String)
    case notARegularFile(path: String)

    package var description: String {
      switch self {
      case .system(_, let reason): reason
      case .notARegularFile: "it is not a regular file"
      }
    }
  }

  package let path: String
  private nonisolated(unsafe) let base: UnsafeRawBufferPointer

  package init(path: String) throws(Failure) {
    self.path = path
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(path: path, reason: "open: \(Self.reason())") }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .system(path: path, reason: "stat: \(Self.reason())") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
    let size = Int(status.st_size)
    guard size > 0 else {
      unsafe base = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0)
    guard unsafe address != MAP_FAILED, let address = unsafe address else {
      throw .system(path: path, reason: "mmap: \(Self.reason())")
    }
    unsafe base = UnsafeRawBufferPointer(start: address, count: size)
  }

  deinit {
    if let address = unsafe base.baseAddress {
      unsafe munmap(UnsafeMutableRawPointer(mutating: address), base.count)
    }
  }

  package var count: Int { unsafe base.count }

  /// All bytes of the file.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(base.bytes, borrowing: self) }
  }

  private static func reason() -> String { unsafe String(cString: strerror(errno)) }
}
