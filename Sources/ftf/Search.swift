import ArgumentParser
import FastThenFine
import FTFFiles
import Foundation
import FTFInterchange
import FTFJSON

struct Search: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Search an index by sentence or picture.",
    discussion: """
      Example: ftf search archive.ftfindex --text 'a bridge over a wide river' --top 5 --explain why
      A picture finds images like it, or, with --over captions, the sentences that describe it.

      A --filter is made of comparisons with 'and', 'or', 'not' and parentheses: year >= 2020, sensor = 'S2', cloudy = true, \
      eo:cloud_cover between 0 and 20, sensor in ('S2', 'L8'), place like '%berg%' (in any case), note is null. A name with other \
      characters is quoted: "cloud cover" < 20; a quote in a text is doubled: 'it''s'. An attribute that an image lacks, or that is \
      of another type, makes a comparison with it false, also != and 'not in'; 'not' before a comparison turns that around. \
      intersects(W, S, E, N) and intersects('POLYGON((...))') hold for images that lie there.

      Scenes are answered with places: ftf search archive.ftfindex --text 'a bridge' --near 13.4,52.5,20 \
      --filter "datetime >= '2024-06-01' and eo:cloud_cover < 20"
      """)

  @Argument(help: "The folder of the index; several that one model made are searched as one.")
  var indexes: [String]

  @Option(help: "A sentence.")
  var text: String?

  @Option(help: "A picture.")
  var image: String?

  @Flag(help: "Sentences from stdin, one a line.")
  var stdin = false

  @Option(
    help: ArgumentHelp(
      "Vectors of your own, f16, f32 or f64 [q, d] in a .npy file: their nearest by the cosine. No model is needed.", valueName: "file"))
  var vectors: String?

  @Option(help: "With --vectors: vectors that are found by one scan; one at a time by default.")
  var batch = 1

  @Option(name: [.short, .long], help: "With --vectors: a .npy file for the ids, int64 [q, top]; -1 where the index has fewer.")
  var output: String?

  @Option(help: "How many results.")
  var top = 10

  @Option(help: "What is searched: images or captions.")
  var over: SearchTarget = .images

  @Option(
    help: "A condition on the attributes of the images that are searched: \"year >= 2020 and sensor = 'S2'\".")
  var filter: String?

  @Option(
    help: ArgumentHelp(
      "Only images that lie in this box, in degrees; west above east lies over the antimeridian. Write --bbox=W,S,E,N where W is negative.",
      valueName: "w,s,e,n"),
    transform: Self.numbers(4))
  var bbox: [Double]?

  @Option(help: ArgumentHelp("Only images that come within so many kilometres of a place.", valueName: "lon,lat,km"), transform: Self.numbers(3))
  var near: [Double]?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Where the sentence has come to be true between two dates: pairs of windows over the same ground.", valueName: "date"))
  var between: [String] = []

  @Flag(help: "Show all windows of a scene, also where windows that overlap say the same.")
  var allWindows = false

  @Option(help: ArgumentHelp("An image of the index that the results should not be like; more than once for more.", valueName: "id"))
  var unlike: [Int64] = []

  @Option(
    help: ArgumentHelp(
      "An image of the index that the results should be like; more than once, or with --text or --image: all together. 118:2 counts twice, 118:-1 away.",
      valueName: "id"))
  var like: [String] = []

  @Option(help: "Folder to write a heat map and its grid to for every result: where the sentence was found.")
  var explain: String?

  @Option(help: "Leave out results that are less likely what the sentence asks for, 0 to 1.")
  var minProbability = 0.0

  @Flag(help: "Leave the rerank out.")
  var recallOnly = false

  @Option(help: "The model file; by default the one that built the index.")
  var model: String?

  @Option(help: "File to write the results of the last query to as GeoJSON, with their scores.")
  var geojson: String?

  @Flag(help: "JSON on stdout, an object a query.")
  var json = false

  @OptionGroup var rerank: RerankOptions
  @OptionGroup var machine: Machine

  private static func numbers(_ count: Int) -> @Sendable (String) throws -> [Double] {
    { text in
      let numbers = text.split(separator: ",").map { Double($0.filter { !$0.isWhitespace }) }
      guard numbers.count == count, !numbers.contains(nil) else { throw ValidationError("expected \(count) numbers with commas between") }
      return numbers.map { $0! }
    }
  }

  /// `118`, or `118:-0.5`.
  private static func example(_ text: String) -> Query.Example? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let id = Int64(parts[0]), let weight = parts.count == 1 ? 1 : Float(parts[1]) else { return nil }
    return Query.Example(.item(id), weight: weight)
  }

  var area: SearchArea? {
    bbox.map { .box(west: $0[0], south: $0[1], east: $0[2], north: $0[3]) } ?? near.map { .near(lon: $0[0], lat: $0[1], kilometres: $0[2]) }
  }

  var index: String { indexes[0] }

  func validate() throws {
    if indexes.count > 1, vectors != nil || !between.isEmpty || !like.isEmpty || !unlike.isEmpty || over == .captions {
      throw ValidationError("several indexes are searched by --text, --image or --stdin, for images; ids, captions and dates are of one")
    }
    if !between.isEmpty, between.count != 2 || text == nil || over == .captions || explain != nil || geojson != nil {
      throw ValidationError("--between takes two dates, and --text")
    }
    if vectors != nil {
      guard text == nil, image == nil, !stdin, like.isEmpty, unlike.isEmpty, between.isEmpty, explain == nil, bbox == nil || near == nil,
        geojson == nil, over == .images
      else { throw ValidationError("--vectors goes with --top, --filter, --bbox or --near, --batch and --output alone") }
      guard (1...1024).contains(batch), top >= 1, top <= 1 << 20 else { throw ValidationError("--batch takes 1 to 1024, --top 1 to 1048576") }
      return
    }
    if output != nil || batch != 1 { throw ValidationError("--output and --batch go with --vectors") }
    if bbox != nil && near != nil { throw ValidationError("give one of --bbox and --near") }
    if (bbox != nil || near != nil) && over == .captions { throw ValidationError("--bbox and --near are for images") }
    let given = [text != nil, image != nil, stdin].count { $0 }
    if like.isEmpty ? given != 1 : stdin {
      throw ValidationError("give one of --text, --image, --stdin and --like, or --like with --text or --image")
    }
    if like.contains(where: { Self.example($0) == nil }) { throw ValidationError("--like takes an id, or one with a weight: 118 or 118:0.5") }
    if !like.isEmpty && (over == .captions || explain != nil) { throw ValidationError("--like is for images, and explains nothing") }
    if filter != nil && over == .captions {
      throw ValidationError("--filter is for images; captions have no attributes")
    }
    if !(0...1).contains(minProbability) { throw ValidationError("--min-probability lies in 0...1") }
    if top < 1 { throw ValidationError("--top takes 1 or more") }
    if explain != nil && (image != nil || over == .captions || recallOnly) {
      throw ValidationError(
        "--explain shows where a sentence was found in images; it needs --text or --stdin and the rerank")
    }
  }

  func run() throws {
    let archive = try ImageIndex(path: index)
    if let vectors { return try searchVectors(archive, vectors) }
    let engine = try machine.engine(
      modelPath(of: archive, given: model), mapped: archive.mappedBytes, for: image == nil && between.isEmpty ? .sentences : .both)
    if indexes.count > 1 { return try searchAll(archive, engine) }
    let searcher = try Searcher(archive, engine: engine, searching: over, filter: filter, area: area)
    // For machines that is an answer with nothing in it.
    let isNarrowed = filter != nil || area != nil
    if let filter, searcher.count == 0, !json, try archive.count(over) > 0 {
      throw Failure("\(index): the filter '\(filter)' holds for none of its \(over.rawValue)")
    }
    if area != nil, searcher.count == 0, !json, try archive.count(over) > 0 { throw Failure("\(index): none of its images lies there") }
    guard searcher.count > 0 || isNarrowed && json else { throw Failure("\(index): holds no \(over.rawValue); add some with 'ftf index'") }
    if !archive.hasPatches {
      if explain != nil { throw Failure("\(index): has no patches, so nothing says where a sentence was found") }
      report("ftf: \(index) has no patches: recall alone answers")
    }
    if !between.isEmpty { return try showChanges(searcher) }
    try ask(engine) { try searcher.answer($0) }
  }

  /// Several indexes as one.
  private func searchAll(_ first: ImageIndex, _ engine: Engine) throws {
    let searcher = try FederatedSearcher(
      [first] + indexes.dropFirst().map { try ImageIndex(path: $0) }, engine: engine, filter: filter, area: area)
    guard searcher.count > 0 || json else {
      throw Failure("\(indexes.joined(separator: ", ")): \(filter == nil && area == nil ? "hold no images" : "none of their images is meant")")
    }
    if !searcher.hasPatches {
      if explain != nil { throw Failure("an index has no patches, so nothing says where a sentence was found") }
      report("ftf: an index has no patches: recall alone answers")
    }
    try ask(engine) { try searcher.answer($0) }
  }

  /// Asks what is to be asked, and shows the answers.
  private func ask(_ engine: Engine, _ search: (Query) throws -> Answer) throws {
    var (number, missing) = (0, 0)
    func answer(_ content: Query.Content, _ name: String) throws {
      number += 1
      var query = Query(
        content, top: top, interaction: rerank.settings, recallOnly: recallOnly, minimumProbability: minProbability, allWindows: allWindows,
        unlike: unlike)
      query.isLast = !stdin
      let answer = try search(query)
      try show(name, answer)
      if let geojson { try writeOutput(Data(answer.geoJSON(name).utf8), to: geojson) }
      if let explain {
        if try !explained(answer, name, to: stdin ? "\(explain)/\(number)" : explain, with: engine) { missing += 1 }
      }
    }
    if !like.isEmpty {
      let others: [Query.Example] = [text.map { Query.Example(.sentence($0)) }, image.map { Query.Example(.image($0)) }].compactMap { $0 }
      let name = ([text, image].compactMap { $0 } + like.map { "like \($0)" }).joined(separator: ", ")
      return try answer(.examples(others + like.compactMap(Self.example)), name)
    }
    if let image { return try answer(.image(image), FilePath(image).description) }
    if let text { return try answer(.sentence(text), text) }
    while let line = readLine() {
      try answer(.sentence(line), line)
      // A program at the other end asks the next once it has this one.
      if !Streams.isPrinted { break }
    }
    if missing > 0 { throw ExitCode(1) }
  }

  /// Of many questions one whose picture is gone costs no other its answer: then it is told of, and false.
  private func explained(_ answer: Answer, _ name: String, to folder: String, with engine: Engine) throws -> Bool {
    do {
      try HeatMap.write(answer, name, to: folder, with: engine)
      return true
    } catch {
      guard stdin, error.code == .unusableFile else { throw error }
      report("ftf: \(error)")
      return false
    }
  }

  private func showChanges(_ searcher: Searcher) throws {
    let changes = try searcher.changes(text!, between: between[0], and: between[1], top: top)
    if json {
      return printJSON([
        "query": text!, "between": between,
        "results": changes.map { change -> [String: Any] in
          ["rank": change.rank, "difference": Double(change.difference), "before": change.before.json(), "after": change.after.json()]
        },
      ])
    }
    print("\(text!), between \(between[0]) and \(between[1])")
    if changes.isEmpty { report("ftf: no two of its windows lie over the same ground, one near each date") }
    for change in changes {
      let numbers = String(format: "%3d  %+.4f  (%.4f, %.4f)  ", change.rank, change.difference, change.before.recallScore, change.after.recallScore)
      print(numbers + change.after.name.shown + change.after.place + "  before: " + change.before.name.shown)
    }
  }

  private func show(_ query: String, _ answer: Answer) throws {
    if json {
      return print(answer.json(query, over).json)
    }
    print(query)
    for result in answer.results {
      let numbers = String(
        format: "%3d  %7.4f  (recall %.4f, rank %d)  ", result.rank, result.score, result.recallScore, result.recallRank
      )
      let chance = result.probability.map { String(format: "%5.1f %%  ", 100 * $0) } ?? ""
      let home = result.index.map { "  \($0.shown)" } ?? ""
      print(numbers + chance + result.name.shown + home + result.place + (result.attributes.map { "  \($0.shown)" } ?? ""))
    }
    if let chance = answer.nothingFits, chance > 0.5, !answer.results.isEmpty {
      print(String(format: "nothing here is likely to show that: the best with a chance of %.0f %%", 100 * (1 - chance)))
    }
    print(
      String(
        format: "encode %.2f ms, recall %.2f ms, rerank %.2f ms", answer.encodeMilliseconds, answer.recallMilliseconds,
        answer.rerankMilliseconds))
  }
}

extension Answer.Result {
  /// The window and the middle of it, for people.
  fileprivate var place: String {
    (window.map { "  [\($0.x), \($0.y), \($0.width) x \($0.height)]" } ?? "")
      + (centre.map { String(format: "  %.5f, %.5f", $0.lon, $0.lat) } ?? "")
  }
}

extension Answer {
  /// The results as features, styled by their scores.
  fileprivate func geoJSON(_ query: String) -> String {
    ListFormat.geoJSON(
      results.map { result in
        var properties: [String: JSONValue] = [
          "query": .text(query), "rank": .whole(result.rank), "score": .number(Double(result.score)),
          "recall_score": .number(Double(result.recallScore)), "path": .text(result.name),
        ]
        properties["probability"] = result.probability.map(JSONValue.number)
        if let window = result.window { properties["window"] = .list([window.x, window.y, window.width, window.height]) }
        return (Item(result), properties)
      })
  }
}

extension SearchTarget: ExpressibleByArgument {}
