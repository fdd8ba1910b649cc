import FTFKernels
import FTFWeights

/// What is searched for: a sentence or an image, encoded, in the representation of what is searched.
package struct EncodedQuery: Sendable {
  let coarse: VectorSet
  private let fine: VectorSet
  /// Nil for a sentence, and for an image that is only recalled.
  private let gram: GramMatrix?

  /// - Parameters:
  ///   - sentence: f32[d], t.
  ///   - words: f32[M, d], W; may be empty.
  ///   - precision: fp32 where floats are searched, any other where codes are.
  package init(sentence: [Float], words: [Float], precision: Precision, with kernels: KernelSet) {
    coarse = VectorSet(sentence, precision, dimension: sentence.count, with: kernels)
    fine = VectorSet(words, precision, dimension: sentence.count, with: kernels)
    gram = nil
  }

  /// - Parameters:
  ///   - global: f32[d], g.
  ///   - patches: f32[N, d], P.
  package init(global: [Float], patches: [Float], precision: Precision, with kernels: KernelSet) {
    let coarse = VectorSet(global, precision, dimension: global.count, with: kernels)
    let fine = VectorSet(patches, precision, dimension: global.count, with: kernels)
    gram = GramMatrix(coarse: coarse.view, fine: fine.view, quantized: precision != .fp32, with: kernels)
    (self.coarse, self.fine) = (coarse, fine)
  }

  package var isImage: Bool { gram != nil }

  package var view: Item {
    @_lifetime(borrow self)
    get {
      guard let gram else { return Item(coarse: coarse.view, fine: fine.view, gram: .none) }
      return Item(coarse: coarse.view, fine: fine.view, gram: unsafe _overrideLifetime(gram.view, borrowing: self))
    }
  }
}
