import FTFKernels
import Synchronization
import FTFWeights

/// How near an item lies to whatever is asked: h = T log mean_b exp(<item, b> / T) over a bank of sentences, for images, or of images,
/// for captions, less its level.
///
/// Some vectors are near to every query and come up where they are not meant (hubs; Radovanovic et al., JMLR 2010). Taking off what
/// an item has for every query, as inverted softmax (arXiv 1702.03859), CSLS (arXiv 1710.04087) and QB-Norm (arXiv 2112.12777) do,
/// leaves what it has for this one. It does not depend on the query, so that it is computed once an item.
///
/// Below what most items have, h is held: an item that is like nothing in the bank (bare ground in a scene, where pictures with captions
/// show things) is no less a hub for it, and gets no more for it than they.
package struct Hubness: Sendable {
  /// What items like those to be searched have.
  package struct Range: Sendable {
    /// The mean, which is taken off so that scores keep their scale.
    package var level: Float
    /// What a tenth of them lie below.
    package var floor: Float

    package init(level: Float, floor: Float) { (self.level, self.floor) = (level, floor) }

    /// Of some items' values.
    package init(_ values: [Float]) {
      level = values.reduce(0, +) / Float(max(values.count, 1))
      floor = values.isEmpty ? -.infinity : values.sorted()[values.count / 10]
    }
  }

  private let bank: VectorSet
  private let temperature: Float
  private var range: Range

  /// - Parameters:
  ///   - bank: f32[rows, dimension], rows of unit norm.
  ///   - range: by default values are as they are.
  package init(
    bank: [Float], temperature: Float, range: Range = Range(level: 0, floor: -.infinity), dimension: Int, precision: Precision,
    with kernels: KernelSet
  ) {
    self.bank = VectorSet(bank, precision, dimension: dimension, with: kernels)
    (self.temperature, self.range) = (temperature, range)
  }

  /// With a range of its own: that of some of the items, f32[d] each, that will be searched.
  package init(bank: [Float], temperature: Float, items: [[Float]], dimension: Int, precision: Precision, with kernels: KernelSet) {
    self.init(bank: bank, temperature: temperature, dimension: dimension, precision: precision, with: kernels)
    let some = items.indices.filter { $0 % (items.count / Self.mostOfRange + 1) == 0 }
    range = Range(some.map { value(of: VectorSet(items[$0], precision, dimension: dimension, with: kernels).view, with: kernels) })
  }

  private static let mostOfRange = 64

  /// - Parameter item: the coarse vector of one item, in the bank's representation.
  package func value(of item: Rows, with kernels: KernelSet) -> Float {
    let scores = AlignedBuffer<Float>(uninitialised: bank.count)
    kernels.dots(bank.view, item, into: scores)
    return max(KernelSet.logMeanExp(scores, count: bank.count, temperature: temperature), range.floor) - range.level
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
