extension Span {
  /// The first element, for handing to a kernel within the call that borrows the span, and never kept.
  @unsafe var address: UnsafePointer<Element>? { unsafe withUnsafeBufferPointer { $0.baseAddress } }
}
