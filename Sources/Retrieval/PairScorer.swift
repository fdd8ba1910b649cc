import FTFKernels
import FTFWeights

/// s_f of pairs of an image and a sentence. Its memory grows to the largest pair and is used again; one thread uses it.
///
/// The balanced text-guided interaction is this project's reading of arXiv 2604.20429, whose abstract gives no formulas; its
/// relatives are arXiv 2203.15086, 2209.14169 and, for `maxsim`, 2004.12832. By mode:
/// - `balanced`: the interaction guided by t.
/// - `words`: its mean over the words, each of which is a guide.
/// - `maxsim`: the mean over the words of the best patch.
///
/// A sentence without words is guided by t.
struct PairScorer {
  /// f32[guides, N], <p_j, t_m>; f32[guides, weightColumns]; f32[guides] each.
  private var products = AlignedBuffer<Float>(count: 0, repeating: 0)
  private var weights = AlignedBuffer<Float>(count: 0, repeating: 0)
  private var alongGlobal = AlignedBuffer<Float>(count: 0, repeating: 0)
  private var scores = AlignedBuffer<Float>(count: 0, repeating: 0)
  private var room = (guides: 0, patches: 0)

  /// - Parameters:
  ///   - recall: <g, t>, where it is known.
  ///   - ahead: the bytes of the image that comes next, or none.
  mutating func score(
    image: Item, text: Item, recall: Float?, _ interaction: InteractionConfig, ahead: RawSpan,
    with kernels: KernelSet
  ) -> Float {
    if interaction.mode == .balanced || text.fine.count == 0 {
      return score(image, text.coarse, recall, interaction, ahead, kernels)
    }
    return score(image, text.fine, nil, interaction, ahead, kernels)
  }

  /// The attention of the guides over the patches that explains a score: f32[N], sum 1.
  mutating func attention(
    image: Item, text: Item, _ interaction: InteractionConfig, with kernels: KernelSet
  ) -> [Float] {
    _ = score(image: image, text: text, recall: nil, interaction, ahead: RawSpan(), with: kernels)
    let n = image.fine.count
    let guides = interaction.mode == .balanced || text.fine.count == 0 ? 1 : text.fine.count
    var mean = [Float](repeating: 0, count: n)
    for m in 0..<guides {
      if interaction.mode == .maxsim {
        mean[(0..<n).max { products[m * n + $0] < products[m * n + $1] }!] += 1 / Float(guides)
      } else {
        let row = m * KernelSet.weightColumns(patches: n) + 1
        for j in 0..<n { mean[j] += weights[row + j] / Float(guides) }
      }
    }
    return mean
  }

  private mutating func score(
    _ image: Item, _ guides: Rows, _ recall: Float?, _ interaction: InteractionConfig, _ ahead: RawSpan,
    _ kernels: KernelSet
  ) -> Float {
    let (n, m) = (image.fine.count, guides.count)
    makeRoom(guides: m, patches: n)
    // One guide computes less than it reads, so that both parts have to ask for what comes next.
    let later = m == 1 && interaction.mode != .maxsim ? KernelSet.interactionAhead(patches: n) : 0
    let split = max(0, ahead.byteCount - later)
    kernels.dots(image.fine, guides, ahead: ahead.extracting(first: split), into: products)
    if interaction.mode == .maxsim {
      kernels.rowMaxima(products, rows: m, columns: n, into: scores)
    } else {
      if let recall { alongGlobal[0] = recall } else { kernels.dots(image.coarse, guides, into: alongGlobal) }
      kernels.interact(
        a: products, patches: n, gram: image.gram, gt: alongGlobal, guides: m, tau: interaction.tau,
        beta: interaction.beta, ahead: ahead.extracting(droppingFirst: split), weights: weights, fine: scores)
    }
    return scores.sum(m) / Float(m)
  }

  private mutating func makeRoom(guides m: Int, patches n: Int) {
    guard m > room.guides || n > room.patches else { return }
    let (m, n) = (max(m, room.guides), max(n, room.patches))
    room = (m, n)
    products = AlignedBuffer(count: m * n, repeating: 0)
    weights = AlignedBuffer(count: m * KernelSet.weightColumns(patches: n), repeating: 0)
    alongGlobal = AlignedBuffer(count: m, repeating: 0)
    scores = AlignedBuffer(count: m, repeating: 0)
  }
}
