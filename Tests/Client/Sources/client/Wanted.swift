import FastThenFine
import Foundation

/// What a program asks of the library, each as docs/from-swift.md shows it.
func wanted(_ model: String, _ images: String, _ folder: String) async throws {
  let (index, rgb) = ("\(folder)/wanted", [UInt8](repeating: 90, count: 8 * 6 * 3))
  let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(images)/rgb.jpg")))

  let engine = try Engine(path: model)
  for try await state in IndexUpkeep.indexing([images], to: index, engine: engine) {
    print(state.done, "of", state.total, state.skipped.map(\.reason), state.summary?.indexed ?? 0)
  }

  let vectors = engine.vectors(of: [.file("\(images)/rgb.jpg"), .encoded(bytes), .pixels(rgb, width: 8, height: 6)], views: .four)
  let (g, patches) = try (vectors[0].get().global, vectors[0].get().patches)
  let words = engine.vectors(of: ["a river", "two ships"]).map(\.words)
  precondition(g.count == engine.dimension && patches.count % g.count == 0 && words.count == 2)

  let live = try LiveIndex(path: index, engine: engine)
  if live.isStale { try live.refresh() }
  let searcher = live.now.searcher
  let answer = try await searcher.answer(Query(.sentence("a bridge over a wide river"), top: 3))
  for result in answer.results { print(result.rank, result.score, result.name, result.values) }

  let both = Query(.examples([.init(.sentence("a river")), .init(.imageData(bytes), weight: 0.5)]))
  let own = Query(.vector(g), top: 3)
  let soon = Cancellation(after: .seconds(2))
  let near = try await [searcher.answer(both, cancellation: soon), searcher.answer(own)]
  precondition(near.allSatisfy { !$0.results.isEmpty })

  let filtered = try live.now.searcher(filter: "path like '%rgb%'", area: nil)
  let one = try await filtered.answer(Query(.sentence("a river"))).results[0]
  let heat = try HeatMap.drawn(one, with: engine)
  if case .pixels(let pixels, let width, let height) = heat { precondition(pixels.count == width * height * 3) }

  var page = try searcher.items(after: 0, limit: 5)
  while let last = page.last {
    print(searcher.vectors(of: Set(page.map(\.id))).count, "stored vectors")
    page = try searcher.items(after: last.id, limit: 5)
  }

  let found = try searcher.rerank("a river", among: [one.id, 2, 3])
  let nearest = try VectorSearcher(ImageIndex(path: index)).nearest(g, top: 3)
  precondition(!found.results.isEmpty && nearest[0].count == 3)

  let other = "\(folder)/index"
  let years = try FederatedSearcher([ImageIndex(path: index), ImageIndex(path: other)], engine: engine)
  print(try await years.answer(Query(.sentence("a river"), top: 3)).results.compactMap(\.index))

  do { _ = try Engine(path: "\(images)/rgb.jpg") } catch { print(error.code, error.path ?? "", error.reason) }
}
