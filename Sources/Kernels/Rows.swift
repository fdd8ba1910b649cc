/// Rows of one length, lent by whoever owns them: f32, or s8 codes in [-127, 127] with a scale a row.
package struct Rows: ~Escapable {
  package let count: Int
  package let dimension: Int
  /// f32[count, dimension]; empty for codes.
  package let floats: Span<Float>
  /// s8[count, dimension] and f32[count]; empty for floats.
  package let codes: Span<Int8>
  package let scales: Span<Float>

  package var isInt8: Bool { scales.count > 0 || floats.count == 0 }

  @_lifetime(copy floats)
  package init(_ floats: Span<Float>, dimension: Int) {
    precondition(dimension > 0 && floats.count % dimension == 0, "Rows: \(floats.count) values, rows of \(dimension)")
    (count, self.dimension, self.floats) = (floats.count / dimension, dimension, floats)
    (codes, scales) = (Span(), Span())
  }

  @_lifetime(copy codes, copy scales)
  package init(codes: Span<Int8>, scales: Span<Float>, dimension: Int) {
    precondition(
      dimension > 0 && codes.count == scales.count * dimension,
      "Rows: \(codes.count) codes, \(scales.count) rows of \(dimension)")
    (count, self.dimension, self.codes, self.scales) = (scales.count, dimension, codes, scales)
    floats = Span()
  }

  @_lifetime(copy self)
  package func extracting(_ range: Range<Int>) -> Rows {
    let part = range.lowerBound * dimension..<range.upperBound * dimension
    return isInt8
      ? Rows(codes: codes.extracting(part), scales: scales.extracting(range), dimension: dimension)
      : Rows(floats.extracting(part), dimension: dimension)
  }
}

/// The Gram matrix of an item's rows, g and then its patches, lent: packed in the order of `csimd_interaction_args`, as f32, or as u8 codes with <,> = least + step * code. Empty where nothing is pooled.
package struct Gram: ~Escapable {
  package let floats: Span<Float>
  package let codes: Span<UInt8>
  package let least: Float
  package let step: Float
  /// <g, g>, which codes would only round.
  package let ownSquare: Float

  package static var none: Gram {
    @_lifetime(immortal)
    get { Gram(Span(), ownSquare: 0) }
  }

  @_lifetime(copy floats)
  package init(_ floats: Span<Float>, ownSquare: Float) {
    (self.floats, codes, least, step, self.ownSquare) = (floats, Span(), 0, 0, ownSquare)
  }

  @_lifetime(copy codes)
  package init(codes: Span<UInt8>, least: Float, step: Float, ownSquare: Float) {
    (floats, self.codes, self.least, self.step, self.ownSquare) = (Span(), codes, least, step, ownSquare)
  }
}

/// An item's vectors, lent: g and P of an image with their Gram matrix, t and W of a caption without one.
package struct Item: ~Escapable {
  /// One row.
  package let coarse: Rows
  package let fine: Rows
  package let gram: Gram

  @_lifetime(copy coarse, copy fine, copy gram)
  package init(coarse: Rows, fine: Rows, gram: Gram) { (self.coarse, self.fine, self.gram) = (coarse, fine, gram) }
}
