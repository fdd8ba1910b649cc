import ArgumentParser
import FTFDemo
import FastThenFine
import Foundation
import FTFInterchange

struct DemoVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract:
      "The main job from end to end: index images, answer sentences, write a page that shows what was found and where.",
    discussion: "Example: ftf demo; or, on images of your own: ftf demo ~/imagery --output my-demo")

  @Argument(help: "A folder of images; without it the demo draws its own scenes.")
  var images: String?

  @Option(help: "The folder to write to.")
  var output = "demo"

  @Option(parsing: .upToNextOption, help: "Sentences to answer instead of the demo's own.")
  var text: [String] = []

  @Option(help: "Pixels a side of the drawn scene that is cut into places; GDAL writes and reads it, where it is installed.")
  var side = 6000

  @Option(help: "The model file; the default model without it.")
  var model: String?

  @Flag(help: "JSON on stdout, an object a query.")
  var json = false

  @OptionGroup var machine: Machine

  static let questions = [
    "planes parked near the terminal of an airport", "a baseball field with green grass and brown sand",
    "white waves wash a sandy beach", "a bridge over a wide river", "dense houses in a residential area",
    "a yellow desert with dunes", "farmland divided into green and brown fields", "a dense green forest",
    "many cars parked in a parking lot", "a football field surrounded by a red track",
    "a pond surrounded by green trees",
    "many white boats docked in a port", "a winding river", "white storage tanks in rows",
  ]

  func validate() throws {
    if !(800...40_000).contains(side) { throw ValidationError("--side takes 800 to 40000") }
  }

  func run() throws {
    let engine = try machine.engine(try model ?? defaultModel())
    try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    let drawn = images == nil ? try drawScenes(engine) : []
    let folder = images ?? "\(output)/scenes"
    var writer = try writer("index", engine)
    // The index may hold the images of another run: the demo answers from these alone.
    try writer.keep(only: ImageFiles.below([folder]))
    let progress = IndexProgress("images")
    _ = try writer.add([folder], progress: progress.take)
    progress.finish()
    let archive = try Searcher(writer.index, engine: engine)
    guard archive.count > 0 else { throw Failure("\(folder): no image could be indexed") }

    var page = DemoPage(engine: engine, output: output)
    let questions = text.isEmpty ? Self.questions : text
    // The times shown are those of a program that runs already: what is found once for each image has been found.
    for question in questions { _ = try archive.answer(Query(.sentence(question), top: 5)) }
    for question in questions {
      let before = try archive.answer(Query(.sentence(question), top: 5, recallOnly: true))
      engine.forgetSentences()
      let after = try archive.answer(Query(.sentence(question), top: 5))
      if json { print(after.json(question).json) } else { show(question, after) }
      try page.add(question, before: before, after: after)
    }
    if images == nil {
      page.precision = try precision(archive)
      try point(engine, drawn)
      try findPlaces(engine, drawn)
    }
    try page.write(title: images.map { "FastThenFine on \($0)" } ?? "FastThenFine on \(archive.count) drawn scenes")
    report(lines: "\nOpen \(URL(fileURLWithPath: output).appendingPathComponent("index.html").path)")
  }

  /// An index of the demo's own, made anew where another model built it.
  private func writer(_ name: String, _ engine: Engine) throws -> IndexWriter {
    let path = "\(output)/\(name)"
    if let index = try ImageIndex.existing(path: path), !index.isBuilt(by: engine.model.path) { try FileManager.default.removeItem(atPath: path) }
    return try IndexWriter(path: path, engine: engine)
  }

  /// Draws a scene with a place on the ground, cuts it, and looks whether sentences lead to what is there.
  private func findPlaces(_ engine: Engine, _ drawn: [FTFDemo.Scene]) throws {
    if let absence = Landscape.absence { return report(lines: "\nscenes are left out: \(absence)") }
    let folder = "\(output)/landscape"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let landscape = Landscape(side: side, drawn: drawn, with: engine.kernels)
    try landscape.write(to: "\(folder)/landscape.tif")
    var writer = try writer("places", engine)
    let progress = IndexProgress("windows")
    _ = try writer.add([folder], progress: progress.take)
    progress.finish()
    let game = try PlacesGame(Searcher(writer.index, engine: engine), landscape)
    if json { printJSON(["places_game": game.object]) } else { game.show() }
  }

  private func show(_ question: String, _ answer: Answer) {
    print("\n\(question)")
    for result in answer.results {
      let name = URL(fileURLWithPath: result.name).lastPathComponent
      print(
        String(
          format: "  %d  %7.3f  (recall %.3f, rank %2d)  ", result.rank, result.score, result.recallScore,
          result.recallRank) + name)
    }
    let milliseconds = (answer.encodeMilliseconds, answer.recallMilliseconds, answer.rerankMilliseconds)
    print(
      String(
        format: "     warm: encode %.2f ms, recall %.2f ms, rerank %.2f ms", milliseconds.0, milliseconds.1, milliseconds.2))
  }

  /// Draws small things and looks whether heat maps lie on them.
  private func point(_ engine: Engine, _ drawn: [FTFDemo.Scene]) throws {
    let scenes = engine.kernels.parallelMap(drawn.count) { drawn[$0].small }.compactMap { $0 }
    try draw(scenes, to: "\(output)/small")
    var writer = try writer("small-index", engine)
    _ = try writer.add(["\(output)/small"])
    let objects = Dictionary(uniqueKeysWithValues: scenes.map { ($0.name, $0.objects) })
    let game = try PointingGame(Searcher(writer.index, engine: engine), objects)
    if json { printJSON(["pointing_game": game.object]) } else { game.show() }
  }

  /// Of every kind.
  private static let each = 15

  /// Draws the scenes, their captions and their boxes.
  private func drawScenes(_ engine: Engine) throws -> [FTFDemo.Scene] {
    let total = SceneKind.allCases.count * Self.each
    let progress = Progress("scenes drawn", total: total)
    let scenes = engine.kernels.parallelMap(total) { i in
      defer { progress.add(1) }
      return SceneKind.allCases[i / Self.each].scene(i % Self.each)
    }
    progress.finish()
    try draw(scenes, to: "\(output)/scenes")
    let text = try scenes.map(Self.captionLine).joined(separator: "\n") + "\n"
    try writeOutput(Data(text.utf8), to: "\(output)/captions.jsonl")
    return scenes
  }

  private func draw(_ scenes: [FTFDemo.Scene], to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for scene in scenes { try scene.image.write(jpeg: "\(folder)/\(scene.name)", quality: 92) }
  }

  private static func captionLine(_ scene: FTFDemo.Scene) throws -> String {
    let objects = scene.objects.map { object -> [String: Any] in
      ["label": object.label, "box": [object.box.x, object.box.y, object.box.width, object.box.height]]
    }
    let line: [String: Any] = [
      "filename": scene.name, "split": "demo", "captions": [scene.caption], "objects": objects,
    ]
    return String(decoding: try JSONSerialization.data(withJSONObject: line, options: [.sortedKeys]), as: UTF8.self)
  }

  /// The share of each kind's sentences whose first answer shows that kind, by recall and reranked.
  private func precision(_ archive: Searcher) throws -> [DemoPage.Precision] {
    var rows = try SceneKind.allCases.map { kind in
      var (recall, reranked) = (0, 0)
      for sentence in kind.sentences {
        func isRight(_ answer: Answer) -> Bool {
          URL(fileURLWithPath: answer.results[0].name).lastPathComponent.hasPrefix(kind.rawValue + "-")
        }
        if isRight(try archive.answer(Query(.sentence(sentence), top: 1, recallOnly: true))) { recall += 1 }
        if isRight(try archive.answer(Query(.sentence(sentence), top: 1))) { reranked += 1 }
      }
      let count = Double(kind.sentences.count)
      return DemoPage.Precision(name: kind.rawValue, recall: Double(recall) / count, reranked: Double(reranked) / count)
    }
    let count = Double(rows.count)
    rows.append(
      DemoPage.Precision(
        name: "all", recall: rows.map(\.recall).reduce(0, +) / count,
        reranked: rows.map(\.reranked).reduce(0, +) / count))
    if json {
      printJSON(["precision_at_1": Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0.reranked) })])
      return rows
    }
    print("\nprecision at 1     recall  reranked")
    for row in rows {
      print(
        row.name.padding(toLength: 20, withPad: " ", startingAt: 0)
          + String(format: "%5.2f     %5.2f", row.recall, row.reranked))
    }
    return rows
  }
}
