import Kernels
import Weights

/// A sentence on the fine side: t and W.
package struct FineText: Sendable {
  /// One row.
  package let sentence: VectorSet
  /// M rows; may be none.
  package let words: VectorSet

  package init(sentence: VectorSet, words: VectorSet) { (self.sentence, self.words) = (sentence, words) }
}

/// An image on the fine side, with what the interaction needs of it whatever the text: P, g, P P^T, P g and <g, g>.
package struct FineImage: Sendable {
  package let patches: VectorSet
  package let global: VectorSet
  private let gram: AlignedBuffer<Float>
  private let alongGlobal: AlignedBuffer<Float>
  private let globalSquared: Float

  /// - Parameters:
  ///   - patches: N rows, at least one.
  ///   - global: one row.
  package init(patches: VectorSet, global: VectorSet, with kernels: KernelSet) {
    (self.patches, self.global) = (patches, global)
    gram = patches.dots(patches, with: kernels)
    alongGlobal = patches.dots(global, with: kernels)
    globalSquared = global.dots(global, with: kernels)[0]
  }

  /// s_f of this image and a sentence, and the weights over the patches that explain it (f32[N], sum 1).
  ///
  /// The balanced text-guided interaction is this project's reading of arXiv 2604.20429, whose abstract gives no
  /// formulas; its relatives are arXiv 2203.15086, 2209.14169 and, for `maxsim`, 2004.12832.
  ///
  /// - Returns: `balanced`: the interaction guided by t. `words`: its mean over the words. `maxsim`: the mean over the
  ///   words of the best patch, each word's weight on that patch alone. A sentence without words is guided by t.
  package func fine(
    _ text: FineText, _ interaction: InteractionConfig, with kernels: KernelSet
  ) -> (score: Float, weights: [Float]) {
    let n = patches.count
    let byWords = interaction.mode != .balanced && text.words.count > 0
    let guides = byWords ? text.words : text.sentence
    let a = patches.dots(guides, with: kernels)
    let weights = AlignedBuffer<Float>(count: guides.count * n, repeating: 0)
    let scores = AlignedBuffer<Float>(count: guides.count, repeating: 0)
    if interaction.mode == .maxsim {
      for m in 0..<guides.count {
        let best = (0..<n).max { a[m * n + $0] < a[m * n + $1] }!
        scores[m] = a[m * n + best]
        weights[m * n + best] = 1
      }
    } else {
      let gt = global.dots(guides, with: kernels)
      kernels.interact(
        a: a.span, gram: gram.span, gp: alongGlobal.span, gt: gt.span, gg: globalSquared, tau: interaction.tau,
        beta: interaction.beta, weights: weights, fine: scores)
    }
    let count = Float(guides.count)
    var total: Float = 0
    var mean = [Float](repeating: 0, count: n)
    for m in 0..<guides.count {
      total += scores[m]
      for j in 0..<n { mean[j] += weights[m * n + j] / count }
    }
    return (total / count, mean)
  }
}
