import FastThenFine
import FTFFiles
import Foundation
import FTFIndex
import FTFKernels
import FTFTestSupport
import Testing
import FTFWeights

/// A search of an index against a plain search of the codes that it stores.
@Suite struct ArchiveSearch {
  let folder: TemporaryFolder
  let engine: Engine
  let catalog: Catalog
  let index: ImageIndex

  /// 40 items in three segments, of which every fourth is a copy of an earlier one, two are replaced and one is removed.
  init() throws {
    folder = try TemporaryFolder()
    let model = try folder.file("tiny.ftf")
    try SourceModel("\(Goldens.folder)/tiny").write(fp32: model)
    engine = try Engine(path: model, pool: ComputePool(threads: 2))
    var writer = try CatalogWriter(path: "\(folder.path)/index", creating: engine.identity)
    var random = SeededGenerator(seed: 9)
    var items: [PackedItem] = []
    for i in 0..<40 {
      items.append(
        i % 4 == 3
          ? items[i - 2]
          : PackedItem(
            coarse: random.floats(24), fine: random.floats(24 * 49), isPooled: true, with: engine.kernels))
    }
    func add(_ range: [Int]) throws {
      for i in range {
        let entry = NewEntry(vectors: items[i])
        try writer.add(path: FilePath("/\(i)"), stamp: FileStamp(size: 1, modified: 1), entries: [entry])
      }
      try writer.commit()
    }
    for part in [0..<17, 17..<30, 30..<40] { try add(Array(part)) }
    try add([5, 20])
    try writer.remove(sources: ["/8"])
    catalog = writer.catalog
    index = ImageIndex(catalog)
  }

  private struct Stored {
    var id: Int64
    var vectors: [[Double]]
  }

  private func stored() throws -> [Stored] {
    let (segments, dead) = try catalog.segments(.image)
    return segments.flatMap { segment in
      (0..<segment.count).compactMap { i -> Stored? in
        guard !dead.contains(segment.id(i)) else { return nil }
        let item = segment.item(i)
        func values(_ rows: Rows) -> [[Double]] {
          (0..<rows.count).map { row in
            (0..<24).map { Double(rows.scales[row]) * Double(rows.codes[row * 24 + $0]) }
          }
        }
        return Stored(id: segment.id(i), vectors: values(item.coarse) + values(item.fine))
      }
    }
  }

  private struct Ranked {
    var id: Int64
    var score: Double
    var rows: [[Double]] = []
  }

  /// Best first; scores within rounding of each other are equal, and the lower id comes first.
  private func ordered(_ items: [Ranked], tolerance: Double) -> [Ranked] {
    items.sorted { a, b in
      if abs(a.score - b.score) > tolerance { return a.score > b.score }
      return a.id < b.id
    }
  }

  private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// A vector as the search quantises it.
  private func code(_ row: [Float]) -> [Double] {
    let layer = RoundedLayer(nearest: row, rows: 1)
    return layer.codes.map { Double(layer.scales[0]) * Double($0) }
  }

  @Test func recallIsThatOfAPlainSearchTiesAndCopiesIncluded() throws {
    let archive = try Searcher(index, engine: engine)
    let t = code(engine.encode(text: "a river", with: engine.kernels).sentence)
    let items = try stored()
    #expect(archive.count == 39 && items.count == 39)
    // Copies have the same codes, so that their scores are equal to the last bit.
    let expected = ordered(items.map { Ranked(id: $0.id, score: dot($0.vectors[0], t)) }, tolerance: 1e-9)
    for top in [1, 7, 39, 100] {
      let results = try archive.answer(Query(.sentence("a river"), top: top, recallOnly: true)).results
      #expect(results.map(\.id) == expected.prefix(top).map(\.id))
      #expect(zip(results, expected).allSatisfy { abs(Double($0.score) - $1.score) < 1e-5 })
      #expect(results.map(\.rank) == Array(1...results.count))
    }
  }

  @Test(arguments: [InteractionMode.balanced, .words, .maxsim])
  func theRerankIsThatOfThePlainFormula(mode: InteractionMode) throws {
    let archive = try Searcher(index, engine: engine)
    let interaction = Interaction(mode: mode, candidates: 12, tau: 0.2, beta: 0.6, lambda: 0.7, fusion: .raw)
    let text = engine.encode(text: "two white ships", with: engine.kernels)
    let t = code(text.sentence)
    let words = (0..<text.words.count / 24).map { code(Array(text.words[$0 * 24..<($0 + 1) * 24])) }
    let guides = mode == .balanced ? [t] : words

    func fine(_ rows: [[Double]]) -> Double {
      let (g, p) = (rows[0], Array(rows.dropFirst()))
      let scores = guides.map { guide -> Double in
        let a = p.map { dot($0, guide) }
        if mode == .maxsim { return a.max()! }
        let powers = a.map { exp(($0 - a.max()!) / 0.2) }
        let total = powers.reduce(0, +)
        let v = (0..<24).map { i in zip(powers, p).reduce(0) { $0 + $1.0 / total * $1.1[i] } }
        let length = dot(v, v).squareRoot()
        let u = zip(g, v).map { 0.4 * $0 + 0.6 * $1 / length }
        return dot(u, guide) / dot(u, u).squareRoot()
      }
      return scores.reduce(0, +) / Double(scores.count)
    }
    let all = try stored().map { Ranked(id: $0.id, score: dot($0.vectors[0], t), rows: $0.vectors) }
    let coarse = ordered(all, tolerance: 1e-9)
    let candidates = coarse.prefix(12).map { item -> Ranked in
      Ranked(id: item.id, score: 0.3 * item.score + 0.7 * fine(item.rows))
    }
    let reranked = ordered(candidates, tolerance: 1e-6)
    let expected: [Int64] = reranked.map(\.id) + coarse.dropFirst(12).map(\.id)
    let results = try archive.answer(Query(.sentence("two white ships"), top: 20, interaction: interaction)).results
    #expect(results.map(\.id) == Array(expected.prefix(20)), "what lies outside of the candidates keeps its place")
    #expect(zip(results, reranked).allSatisfy { abs(Double($0.score) - $1.score) < 2e-3 }, "the Gram matrix is stored in codes")
    #expect(results[0].attention?.count == 49 && results[15].attention == nil)
  }
}
