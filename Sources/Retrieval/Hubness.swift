import FTFKernels
import Synchronization
import FTFWeights

/// How near an item lies to whatever is asked: h = T log mean_b exp(<item, b> / T) over a bank of sentences, for images, or of images,
/// for captions, less its level.
///
/// Some vectors are near to every query and come up where they are not meant (hubs; Radovanovic et al., JMLR 2010). Taking off what
/// an item has for every query, as inverted softmax (arXiv 1702.03859), CSLS (arXiv 1710.04087) and QB-Norm (arXiv 2112.12777) do,
/// leaves what it has for this one. It does not depend on the query, so that it is computed once an item.
package struct Hubness: Sendable {
  private let bank: VectorSet
  private let temperature: Float
  private var level: Float

  /// - Parameters:
  ///   - bank: f32[rows, dimension], rows of unit norm.
  ///   - level: the mean over items, so that scores keep their scale.
  package init(
    bank: [Float], temperature: Float, level: Float, dimension: Int, precision: Precision, with kernels: KernelSet
  ) {
    self.bank = VectorSet(bank, precision, dimension: dimension, with: kernels)
    (self.temperature, self.level) = (temperature, level)
  }

  /// With a level of its own: the mean over some of the items, f32[d] each, that will be searched.
  package init(bank: [Float], temperature: Float, items: [[Float]], dimension: Int, precision: Precision, with kernels: KernelSet) {
    self.init(bank: bank, temperature: temperature, level: 0, dimension: dimension, precision: precision, with: kernels)
    let some = items.indices.filter { $0 % (items.count / Self.mostOfLevel + 1) == 0 }
    let values = some.map { value(of: VectorSet(items[$0], precision, dimension: dimension, with: kernels).view, with: kernels) }
    level = values.reduce(0, +) / Float(max(values.count, 1))
  }

  private static let mostOfLevel = 64

  /// - Parameter item: the coarse vector of one item, in the bank's representation.
  package func value(of item: Rows, with kernels: KernelSet) -> Float {
    let scores = AlignedBuffer<Float>(uninitialised: bank.count)
    kernels.dots(bank.view, item, into: scores)
    return KernelSet.logMeanExp(scores, count: bank.count, temperature: temperature) - level
  }
}

/// What was computed of each item's hubness; NaN where nothing was.
final class HubnessCache: Sendable {
  private let hubness: Hubness
  private let known: Mutex<[Float]>

  init(_ hubness: Hubness, items: Int) {
    self.hubness = hubness
    known = Mutex([Float](repeating: .nan, count: items))
  }

  func values(_ items: [Int], with kernels: KernelSet, compute: @Sendable (Hubness, Int) -> Float) -> [Float] {
    var values = known.withLock { known in items.map { known[$0] } }
    let missing = values.indices.filter { values[$0].isNaN }
    guard !missing.isEmpty else { return values }
    let found = kernels.parallelMap(missing.count) { compute(hubness, items[missing[$0]]) }
    for (i, value) in zip(missing, found) { values[i] = value }
    known.withLock { for i in missing { $0[items[i]] = values[i] } }
    return values
  }
}
