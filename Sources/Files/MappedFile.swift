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
    let descriptor = unsafe FilePath(path).withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
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

  /// The plain value at a byte offset, aligned or not, little-endian.
  package func load<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type) -> T {
    precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size, "load: outside of the file")
    return T(littleEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// Elements in place, at an offset that their alignment divides.
  @_lifetime(borrow self)
  package func span<T: BitwiseCopyable>(at offset: Int, count elements: Int) -> Span<T> {
    let (bytes, overflow) = elements.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    precondition(
      offset >= 0 && elements >= 0 && !overflow && offset <= count && bytes <= count - offset
        && offset % MemoryLayout<T>.alignment == 0, "span: outside of the file")
    guard elements > 0 else { return Span() }
    let part = unsafe UnsafeRawBufferPointer(rebasing: base[offset..<offset + bytes])
    return unsafe _overrideLifetime(Span(_unsafeElements: part.bindMemory(to: T.self)), borrowing: self)
  }

  /// What becomes of a range, which the system reads ahead by, or not.
  package enum Use {
    /// As the system likes: around what is touched, and ahead where that is in order.
    case asItComes
    /// Here and there: a page that is touched is read alone.
    case scattered
    /// From its beginning to its end.
    case inOrder
    /// All of it, soon: it is being read when this returns.
    case soon
    /// None of it for now: the system may take back its memory, and reads it again when it is needed.
    case over
  }

  /// Tells the system how the pages of a range will be used; those that reach beyond it only where they will be soon.
  package func use(_ range: Range<Int>, _ use: Use) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let (first, end) =
      use == .soon
      ? (range.lowerBound / page * page, min(range.upperBound, count))
      : ((range.lowerBound + page - 1) / page * page, range.upperBound < count ? range.upperBound / page * page : count)
    guard first < end, let start = unsafe base.baseAddress else { return }
    let advice =
      switch use {
      case .asItComes: MADV_NORMAL
      case .scattered: MADV_RANDOM
      case .inOrder: MADV_SEQUENTIAL
      case .soon: MADV_WILLNEED
      case .over: MADV_DONTNEED
      }
    unsafe madvise(UnsafeMutableRawPointer(mutating: start + first), end - first, advice)
  }

  /// Whether the page of a byte is in memory; where nobody can say, it is.
  package func isInMemory(at offset: Int) -> Bool {
    guard offset < count, let start = unsafe base.baseAddress else { return true }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    var state: UInt8 = 1
    guard unsafe mincore(UnsafeMutableRawPointer(mutating: start + offset / page * page), 1, &state) == 0 else { return true }
    return state & 1 == 1
  }

  /// Elements at any offset, copied.
  package func array<T: BitwiseCopyable>(at offset: Int, count elements: Int) -> [T] {
    let (bytes, overflow) = elements.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    precondition(
      offset >= 0 && elements >= 0 && !overflow && offset <= count && bytes <= count - offset,
      "array: outside of the file")
    return unsafe [T](unsafeUninitializedCapacity: elements) { target, initialized in
      if elements > 0 {
        unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: .init(rebasing: base[offset..<offset + bytes]))
      }
      initialized = elements
    }
  }

  fileprivate static func reason() -> String { unsafe String(cString: strerror(errno)) }
}

/// A file of which pieces are copied that lie far from each other: a page that is touched through a mapping brings fifteen others with it.
package final class ScatteredFile: Sendable {
  private let descriptor: Int32

  package init(path: String) throws(MappedFile.Failure) {
    descriptor = unsafe FilePath(path).withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw .system(path: path, reason: "open: \(MappedFile.reason())") }
  }

  deinit { close(descriptor) }

  /// Fills a buffer with what lies at an offset; false where the file ends before.
  package func read(at offset: Int, into bytes: inout [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress! + done, $0.count - done, offset + done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}
