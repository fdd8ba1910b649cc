/// Owns `count` elements of plain memory, 64-byte aligned, so that every vector load of a level is aligned with the base.
///
/// The one owner of memory in the engine: activations, packed weights, images and codes live in it and are lent out as
/// spans. A class, since a kernel reads one buffer of a workspace while it writes another: the fields of a noncopyable
/// owner cannot be lent separately. Whoever passes the same buffer as input and output must know that the kernel allows it.
@safe package final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  private let base: UnsafeMutableBufferPointer<Element>

  /// The alignment of the first element, in bytes: one cache line, one 512-bit vector.
  package static var alignment: Int { 64 }

  /// - Precondition: `count` is not negative and `count * stride` does not overflow.
  package convenience init(count: Int, repeating value: Element) {
    self.init(uninitializedCount: count)
    guard count > 0 else { return }
    // Where this is not specialised, `initialize(repeating:)` calls into the runtime for every element: what is there is
    // copied behind itself instead, twice as much each time.
    let raw = unsafe UnsafeMutableRawPointer(base.baseAddress!)
    let bytes = count * MemoryLayout<Element>.stride
    unsafe base.baseAddress!.initialize(to: value)
    var done = MemoryLayout<Element>.stride
    while done < bytes {
      let next = min(done, bytes - done)
      unsafe (raw + done).copyMemory(from: raw, byteCount: next)
      done += next
    }
  }

  /// A buffer with the elements of `span`, in order.
  package convenience init(copying span: borrowing Span<Element>) {
    self.init(uninitializedCount: span.count)
    unsafe span.withUnsafeBufferPointer { source in
      _ = unsafe base.initialize(fromContentsOf: source)
    }
  }

  /// A buffer whose elements are whatever memory holds, for who writes all of them.
  package convenience init(uninitialised count: Int) { self.init(uninitializedCount: count) }

  private init(uninitializedCount count: Int) {
    precondition(count >= 0, "a buffer cannot hold \(count) elements")
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(!overflow, "a buffer of \(count) elements does not fit the address space")
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: Self.alignment)
    unsafe base = UnsafeMutableBufferPointer(start: raw.bindMemory(to: Element.self, capacity: count), count: count)
  }

  deinit {
    unsafe UnsafeMutableRawPointer(base.baseAddress!).deallocate()
  }

  package var count: Int { unsafe base.count }

  /// The first element, for handing to a kernel or a C function within one call.
  @unsafe package var address: UnsafeMutablePointer<Element> { unsafe base.baseAddress! }

  /// Copies bytes to element `index` and behind it.
  package func copy(_ bytes: RawSpan, at index: Int) {
    let (room, size) = ((count - index) * MemoryLayout<Element>.stride, bytes.byteCount)
    precondition(index >= 0 && size <= room, "copy: \(size) bytes, room for \(room)")
    guard size > 0 else { return }
    unsafe bytes.withUnsafeBytes {
      unsafe UnsafeMutableRawPointer(address + index).copyMemory(from: $0.baseAddress!, byteCount: size)
    }
  }

  /// Copies elements of `other`, which may be this buffer, to element `index` and behind it.
  package func copy(_ range: Range<Int>, of other: AlignedBuffer, at index: Int) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= other.count && index >= 0 && index + range.count <= count, "copy: \(range), room for \(count)")
    unsafe (address + index).update(from: other.address + range.lowerBound, count: range.count)
  }

  package var span: Span<Element> {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(base.span, borrowing: self) }
  }
}

extension AlignedBuffer where Element == Float {
  /// The first `count` elements, added up in their order.
  package func sum(_ count: Int) -> Float {
    var total: Float = 0
    for i in 0..<count { total += self[i] }
    return total
  }
}

extension AlignedBuffer {
  package subscript(_ index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index out of range")
      return unsafe base[index]
    }
    set {
      precondition(index >= 0 && index < count, "index out of range")
      unsafe base[index] = newValue
    }
  }
}
