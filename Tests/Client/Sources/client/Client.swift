import FastThenFine
import Index

/// client SOURCE IMAGES FOLDER: from weights to reranked answers with heat maps.
@main struct Client {
  static func main() async throws {
    if CommandLine.arguments.count == 5 { return try await measure(CommandLine.arguments[2], CommandLine.arguments[3], CommandLine.arguments[4]) }
    let (source, images, folder) = (CommandLine.arguments[1], CommandLine.arguments[2], CommandLine.arguments[3])
    var options = Converter.Options()
    options.precision = .fp32
    try Converter.convert(source, to: "\(folder)/model.ftf", options)

    let engine = try Engine(path: "\(folder)/model.ftf", pool: ComputePool(threads: 2))
    var writer = try IndexWriter(path: "\(folder)/index", engine: engine)
    let summary = try writer.add([images])

    let searcher = try Searcher(writer.index, engine: engine)
    let answer = try await searcher.answer(Query(.sentence(Index.sentence), top: 3))
    let words = try await searcher.answer(Query(.sentence(Index.sentence), top: 3, interaction: Interaction(mode: .words, fusion: .z)))
    precondition(words.results.count == 3)
    try HeatMap.write(answer, "a river", to: "\(folder)/why", with: engine)
    for result in answer.results { print(result.rank, result.score, result.name) }
    try await wanted("\(folder)/model.ftf", images, folder)
    try await crowd("\(folder)/model.ftf", images, folder)
    try await fromWeightsToAnswers(source, images, folder)
    do {
      _ = try await searcher.answer(Query(.image("\(folder)/none.jpg")))
    } catch {
      print(summary.indexed, "images;", error.code, error)
    }
  }
}
