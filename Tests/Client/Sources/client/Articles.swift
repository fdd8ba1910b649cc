import FastThenFine

/// What the documentation's first page and its article from weights to answers show, line by line.
func fromWeightsToAnswers(_ source: String, _ images: String, _ folder: String) async throws {
  let (model, index, why) = ("\(folder)/mine.ftf", "\(folder)/archive.ftfindex", "\(folder)/because")
  do {
    var options = Converter.Options()
    options.calibrationImages = ["\(images)/rgb.jpg", "\(images)/exact.png"]  // like those that will be searched
    options.verifies = true  // measure what int8 costs, and keep it in the file
    let made = try Converter.convert(source, to: model, options)
    print(made.decisions)  // what the source did not say
  }
  do {
    let engine = try Engine(path: model)
    var writer = try IndexWriter(path: index, engine: engine)
    let stop = Cancellation(after: .seconds(3600))
    let summary = try writer.add([images], cancellation: stop) { event in
      if case .skipped(let error) = event { print(error) }
    }
    precondition(summary.indexed > 0)
  }
  do {
    let engine = try Engine(path: model)
    let searcher = try Searcher(ImageIndex(path: index), engine: engine, filter: "path like '%.jpg'")
    let answer = try await searcher.answer(Query(.sentence("many storage tanks"), top: 5))
    for result in answer.results { print(result.rank, result.name, result.score) }
  }
  do {
    let engine = try Engine(path: model)
    var writer = try IndexWriter(path: index, engine: engine)
    _ = try writer.add([images])

    let searcher = try Searcher(writer.index, engine: engine)
    let answer = try await searcher.answer(Query(.sentence("a bridge over a wide river"), top: 3))
    try HeatMap.write(answer, "a bridge over a wide river", to: why, with: engine)
  }
  do {
    let engine = try Engine(path: ModelPlaces.model(of: ImageIndex(path: index)))
    let unknown = try IndexUpkeep.set(attributes: [(name: "rgb.jpg", json: #"{"year": 2024, "sensor": "S2"}"#)], in: index)
    precondition(unknown.isEmpty && engine.dimension > 0)
  }
}
