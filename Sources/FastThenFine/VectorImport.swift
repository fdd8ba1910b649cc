import FTFFiles
import FTFGeography
import FTFIndex
import FTFKernels

/// Puts vectors that were made elsewhere into an index, without patches: recall alone answers, by the cosine of vectors.
///
/// What a method reports as stored survives a crash at any later instant.
package struct VectorImport: ~Copyable {
  private var catalog: CatalogWriter
  private let kernels: KernelSet
  private let dimension: Int
  private var attributes: [(path: FilePath, json: String)] = []

  /// A vector's name, where it lies and what is known of it, a JSON object.
  package struct Item: Sendable {
    package var name: String
    package var footprint: Geometry?
    package var attributes: String?

    package init(name: String, footprint: Geometry? = nil, attributes: String? = nil) {
      (self.name, self.footprint, self.attributes) = (name, footprint, attributes)
    }
  }

  /// Rows after which what came is made part of the index.
  private static let segmentItems = 1 << 17

  /// Opens an index of vectors, or makes one where there is none.
  ///
  /// - Parameters:
  ///   - source: where the vectors come from, as the index remembers it.
  ///   - model: what made them, where sentences are to find them; nil where nobody says.
  /// - Throws: `badInput` where the index holds pictures, or vectors of another length; `otherModel`, `locked`, `damagedIndex`, `unusableFile`.
  package init(path: String, dimension: Int, from source: String, by model: Engine?, pool: ComputePool) throws(FastThenFineError) {
    let kernels = try FastThenFineError.wrapping { try Engine.kernels(level: nil, threads: pool.threads) }
    let writer = try Self.open(path, dimension, source, model)
    (self.dimension, self.kernels) = (dimension, kernels)
    catalog = writer
  }

  private static func open(_ path: String, _ dimension: Int, _ source: String, _ model: Engine?) throws(FastThenFineError) -> CatalogWriter {
    do {
      var identity = model?.identity ?? ModelIdentity(name: source, path: "", fingerprint: ModelIdentity.unknownFingerprint, dimension: dimension)
      identity.patches = .none
      guard identity.dimension == dimension else {
        throw FastThenFineError(.badInput, at: source, "has vectors of \(dimension), the model makes some of \(identity.dimension)")
      }
      let writer = try CatalogWriter(path: path, creating: identity)
      let stored = writer.catalog.model
      guard !stored.hasPatches else {
        throw FastThenFineError(.badInput, at: path, "holds pictures that were encoded here; vectors need an index of their own")
      }
      guard stored.dimension == dimension else {
        throw FastThenFineError(.badInput, at: path, "holds vectors of \(stored.dimension), \(source) has some of \(dimension)")
      }
      guard stored.fingerprint == identity.fingerprint else {
        throw FastThenFineError(
          .otherModel, at: path, "its vectors are those of \(stored.name); what other models made, or nobody says what made, is not mixed with them")
      }
      return writer
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Vectors that follow each other.
  ///
  /// - Parameters:
  ///   - rows: f32[n, dimension], finite; brought to unit norm. What is 0 is at a right angle to everything.
  ///   - item: of each, by its place in `rows`; one of a name that the index has already is replaced.
  package mutating func add(_ rows: [Float], _ item: (Int) -> Item) throws(FastThenFineError) {
    let (kernels, d) = (kernels, dimension)
    let items = kernels.parallelMap(rows.count / d) { i in
      PackedItem(alone: Array(rows[i * d..<(i + 1) * d]).normalised, with: kernels.singleThreaded)
    }
    do {
      for (i, vectors) in items.enumerated() {
        let item = item(i)
        let path = FilePath(item.name)
        try catalog.add(path: path, stamp: FileStamp(size: 0, modified: 0), entries: [NewEntry(footprint: item.footprint, vectors: vectors)])
        if let json = item.attributes { attributes.append((path, json)) }
        if catalog.pending >= Self.segmentItems { try commit() }
      }
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// What is known of items first: nothing is stored without it.
  private mutating func commit() throws {
    if !attributes.isEmpty { try catalog.set(attributes: attributes) }
    attributes = []
    try catalog.commit()
  }

  /// Makes all that was added part of the index.
  ///
  /// - Returns: how many vectors the index has.
  package mutating func finish() throws(FastThenFineError) -> Int {
    do {
      try commit()
      catalog.save()
      return try catalog.catalog.count(.image)
    } catch {
      throw FastThenFineError(error)
    }
  }
}

extension PackedItem {
  /// A vector in codes, and as its one fine row what they leave of it: both together are 15 bits of it.
  init(alone vector: [Float], with kernels: KernelSet) {
    let (codes, scale) = (AlignedBuffer<Int8>(count: vector.count, repeating: 0), AlignedBuffer<Float>(count: 1, repeating: 0))
    kernels.quantizeRows(vector.span, rows: 1, columns: vector.count, codes: codes, scales: scale)
    let rest = vector.indices.map { vector[$0] - scale[0] * Float(codes[$0]) }
    self.init(coarse: vector, fine: rest, isPooled: true, with: kernels)
  }
}

extension [Float] {
  /// Over its length; unchanged where that is 0.
  package var normalised: [Float] {
    // In double: squares of what is far from 1 leave the range of floats.
    let length = reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    return length > 0 ? map { Float(Double($0) / length) } : self
  }
}
