import FastThenFine
import Foundation

/// client measure search INDEX SENTENCES: the median milliseconds of a search; client measure index NEW FOLDER: the seconds of indexing it.
func measure(_ verb: String, _ index: String, _ other: String) async throws {
  let clock = ContinuousClock()
  func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }
  if verb == "index" {
    let engine = try Engine(path: ModelPlaces.defaultModel())
    var writer = try IndexWriter(path: index, engine: engine)
    return print(seconds(try clock.measure { _ = try writer.add([other]) }))
  }
  let opened = try ImageIndex(path: index)
  let searcher = try Searcher(opened, engine: Engine(path: ModelPlaces.model(of: opened)))
  var took: [Double] = []
  for line in try String(contentsOfFile: other, encoding: .utf8).split(separator: "\n") {
    took.append(seconds(try await clock.measure { _ = try await searcher.answer(Query(.sentence(String(line)))) }))
  }
  print(1000 * took.sorted()[took.count / 2])
}
