import FTFKernels
import FTFWeights

/// Items as recall scans and the rerank reads them, lent in place: a segment of an index, or a set in memory.
package protocol ItemSource: Sendable {
  var count: Int { get }
  /// A row for each item.
  var coarse: Rows {
    @_lifetime(borrow self)
    get
  }
  /// - Parameter index: in 0..<count.
  @_lifetime(borrow self)
  func item(_ index: Int) -> Item
  /// All that a rerank reads of an item, as it lies in memory.
  @_lifetime(borrow self)
  func bytes(ofItem index: Int) -> RawSpan
  /// Begins to read them, where they may be on a disk.
  func bring(_ index: Int)
  /// Coarse vectors that this process does not need any more; they can be read again all the same.
  func pass(_ rows: Range<Int>)
}

/// Items in memory, in one representation.
package struct ItemSet: ItemSource {
  private let globals: VectorSet
  private let rows: VectorSet
  /// The first of each item's rows, and after the last their number.
  private let starts: [Int]
  /// Of images; empty for captions.
  private let grams: [GramMatrix]

  /// - Parameters:
  ///   - coarse: f32[d] of each item.
  ///   - fine: f32[rows, d] of each item.
  ///   - areImages: patches are pooled, so that their Gram matrices are made.
  ///   - precision: int8 keeps codes, as an index does.
  package init(
    coarse: [[Float]], fine: [[Float]], dimension: Int, areImages: Bool, precision: Precision, with kernels: KernelSet
  ) {
    let globals = VectorSet(coarse.flatMap { $0 }, precision, dimension: dimension, with: kernels)
    let rows = VectorSet(fine.flatMap { $0 }, precision, dimension: dimension, with: kernels)
    let starts = fine.reduce(into: [0]) { $0.append($0.last! + $1.count / dimension) }
    grams =
      areImages
      ? coarse.indices.map { i in
        GramMatrix(
          coarse: globals.view.extracting(i..<i + 1), fine: rows.view.extracting(starts[i]..<starts[i + 1]),
          quantized: precision != .fp32, with: kernels)
      } : []
    (self.globals, self.rows, self.starts) = (globals, rows, starts)
  }

  package var count: Int { starts.count - 1 }
  package func bring(_ index: Int) {}
  package func pass(_ rows: Range<Int>) {}

  package var coarse: Rows {
    @_lifetime(borrow self)
    get { globals.view }
  }

  @_lifetime(borrow self)
  package func item(_ index: Int) -> Item {
    let (coarse, fine) = (
      globals.view.extracting(index..<index + 1), rows.view.extracting(starts[index]..<starts[index + 1])
    )
    guard !grams.isEmpty else { return Item(coarse: coarse, fine: fine, gram: .none) }
    let gram = grams[index]
    return Item(coarse: coarse, fine: fine, gram: unsafe _overrideLifetime(gram.view, borrowing: self))
  }

  @_lifetime(borrow self)
  package func bytes(ofItem index: Int) -> RawSpan {
    let codes = rows.view.extracting(starts[index]..<starts[index + 1]).codes
    return unsafe _overrideLifetime(codes.memory, borrowing: self)
  }
}
