import FastThenFine

/// Tasks that search, with a deadline, a filter or by a picture, while another one indexes what they search and one is cancelled: what the thread
/// sanitizer looks at.
func crowd(_ model: String, _ images: String, _ folder: String) async throws {
  let index = "\(folder)/crowd"
  let engine = try Engine(path: model, pool: ComputePool(threads: 2))
  for try await _ in IndexUpkeep.indexing(["\(images)/rgb.jpg"], to: index, engine: engine) {}
  let live = try LiveIndex(path: index, engine: engine)
  let found = try await withThrowingTaskGroup(of: Int.self) { tasks in
    tasks.addTask {
      for try await state in IndexUpkeep.indexing([images], to: index, engine: engine) where state.done % 4 == 0 { try live.refresh() }
      try live.refresh()
      return 0
    }
    for number in 0..<8 { tasks.addTask { try await searches(live, number, images) } }
    // Whoever is cancelled ends alone.
    let impatient = Task { try await searches(live, 8, images) }
    impatient.cancel()
    _ = try? await impatient.value
    return try await tasks.reduce(0, +)
  }
  precondition(found >= 8 * 12 && live.now.images == 17)
  print("crowd:", live.now.images, "images")
}

private func searches(_ live: LiveIndex, _ number: Int, _ images: String) async throws -> Int {
  var found = 0
  for round in 0..<12 {
    if live.isStale { try live.refresh() }
    let searcher = number % 4 == 3 ? try live.now.searcher(filter: "path like '%rgb%'", area: nil) : live.now.searcher
    let text = Query(.sentence(["a river", "two ships", "a bridge over a wide river"][round % 3]), top: 3)
    let query = number % 4 == 2 ? Query(.image("\(images)/rgb.jpg"), top: 3) : text
    let answer = try await searcher.answer(query, cancellation: Cancellation(after: .seconds(60)))
    precondition(zip(answer.results, answer.results.dropFirst()).allSatisfy { $0.score >= $1.score })
    found += answer.results.isEmpty ? 0 : 1
  }
  return found
}
