extension Span {
  /// The first element, for handing to a kernel within the call that borrows the span, and never kept.
  @unsafe var address: UnsafePointer<Element>? { unsafe withUnsafeBufferPointer { $0.baseAddress } }
}

extension RawSpan {
  /// The first byte, under the same rule; nil where there are none.
  @unsafe var address: UnsafeRawPointer? { unsafe withUnsafeBytes { $0.baseAddress } }
}

extension Span where Element: BitwiseCopyable {
  /// Its bytes: of elements without padding, as all that kernels take are.
  package var memory: RawSpan {
    @_lifetime(copy self)
    get { unsafe bytes }
  }
}
