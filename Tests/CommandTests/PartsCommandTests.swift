import Foundation
import FTFTestSupport
import Testing

/// An archive that is indexed in parts and joined, and candidates that another engine found.
@Suite struct PartsCommands {
  let folder: TemporaryFolder
  let model: String
  let images: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.file("tiny.ftf", TinyModel.int8.get())
    images = "\(folder.path)/images"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images", toPath: images)
  }

  private func index(_ name: String, _ more: String...) throws -> Outcome {
    try ftf(["index", "\(folder.path)/\(name)", images, "--model", model, "--json"] + more)
  }

  private func answers(_ name: String, _ more: [String] = []) throws -> [[String]] {
    let found = try ftf(["search", "\(folder.path)/\(name)", "--text", "a river", "--top", "50", "--json"] + more)
    let results = try #require(found.objects.first?["results"] as? [[String: Any]], "\(found.error)")
    return results.map { ["\($0["path"]!)", "\($0["score"]!)", "\($0["recall_score"]!)", "\($0["attributes"]!)"] }.sorted { $0[0] < $1[0] }
  }

  @Test func partsJoinToWhatOneRunMakes() throws {
    let attributes = try folder.file("attributes.jsonl", Data("{\"filename\":\"rgb.jpg\",\"year\":2020}\n".utf8))
    #expect(try index("one", "--attributes", attributes).code == 0)
    var total = 0
    for i in 1...3 {
      let part = try index("part\(i)", "--shard", "\(i)/3")
      total += try #require(part.objects.first?["indexed"] as? Int, "\(part.error)")
      // Again there is nothing new: a file stays in its part.
      #expect(try index("part\(i)", "--shard", "\(i)/3").objects.first?["indexed"] as? Int == 0)
      // What is said of files in other parts is none of its business.
      #expect(try index("part\(i)", "--shard", "\(i)/3", "--attributes", attributes).code == 0)
    }
    #expect(total == 17)
    let parts = (1...3).map { "\(folder.path)/part\($0)" }
    let all = "\(folder.path)/all"
    let made = try ftf(["index", "merge", all] + parts + ["--json"])
    #expect(made.code == 0 && made.objects.first?["files"] as? Int == 17, "\(made.error)")
    #expect(try answers("all") == answers("one"))
    #expect(try answers("all", ["--filter", "year = 2020"]) == answers("one", ["--filter", "year = 2020"]))
    #expect(try ftf("index", "verify", all).code == 0)
    // Twice is once; and what is there is known to the next run over the folder.
    let again = try ftf(["index", "merge", all] + parts + ["--json"])
    #expect(again.objects.first?["files"] as? Int == 0 && again.objects.first?["known"] as? Int == 17)
    #expect(try index("all").objects.first?["unchanged"] as? Int == 17)
  }

  @Test func severalIndexesAreSearchedAsOne() throws {
    let attributes = try folder.file("attributes.jsonl", Data("{\"filename\":\"rgb.jpg\",\"year\":2020}\n".utf8))
    #expect(try index("one", "--attributes", attributes).code == 0)
    for i in 1...3 { #expect(try index("part\(i)", "--shard", "\(i)/3").code == 0) }
    let parts = (1...3).map { "\(folder.path)/part\($0)" }
    _ = parts.map { try? ftf("index", $0, "--attributes", attributes) }
    func found(_ indexes: [String], _ more: [String]) throws -> [[String: Any]] {
      let found = try ftf(["search"] + indexes + ["--json", "--top", "50"] + more)
      return try #require(found.objects.first?["results"] as? [[String: Any]], "\(found.error)")
    }
    /// Equal pictures have no order of their own: by the score, and then the path.
    func said(_ results: [[String: Any]], _ keys: [String] = ["score", "recall_score", "path", "attributes"]) -> [[String]] {
      results.map { result in keys.map { "\(result[$0] ?? "")" } }.sorted { $0.lexicographicallyPrecedes($1) }
    }
    let one = "\(folder.path)/one"
    for more in [["--text", "a river"], ["--image", "\(images)/rgb.jpg"], ["--text", "a river", "--recall-only"]] {
      let (whole, federated) = (try found([one], more), try found(parts, more))
      #expect(said(federated) == said(whole) && federated.count == 17, "\(more)")
      #expect(federated.map { $0["rank"] as! Int } == Array(1...17))
      #expect(Set(federated.map { $0["index"] as! String }) == Set(parts) && whole[0]["index"] == nil)
    }
    // A file that several of them know is found once, as it was changed last: as after a merge.
    let whole = try found([one], ["--text", "a river"])
    for doubled in [[one, one], [one] + parts, parts + [one]] {
      let twice = try found(doubled, ["--text", "a river"])
      #expect(said(twice) == said(whole), "\(doubled)")
      #expect(Set(twice.map { $0["index"] as! String }) == Set(doubled.first == one ? [one] : parts))
    }
    // Candidates are the best of all, not of each; what lies behind them is no better.
    let some = ["--text", "a river", "--candidates", "4"]
    #expect(try said(found(parts, some), ["score"]) == said(found([one], some), ["score"]))
    let scores = try found(parts, some).map { $0["score"] as! Double }
    #expect(scores == scores.sorted(by: >))
    // An attribute of one of them is one of all.
    let filtered = try found(parts, ["--text", "a river", "--filter", "year = 2020"])
    #expect(filtered.map { $0["path"] as! String } == ["\(images)/rgb.jpg"])
    #expect(try ftf(["search"] + parts + ["--text", "a", "--filter", "yaer = 2020"]).error.contains("year"))
    #expect(try ftf(["search"] + parts + ["--like", "1"]).code == 2)
    let exact = try folder.file("fp32.ftf", TinyModel.fp32.get())
    #expect(try ftf("index", "\(folder.path)/other", images, "--model", exact).code == 0)
    let refused = try ftf("search", one, "\(folder.path)/other", "--text", "a river")
    #expect(refused.code == 1 && refused.error.contains("another model"), "\(refused.error)")
    #expect(try ftf("index", "\(folder.path)/turned", images, "--model", model, "--views", "4").code == 0)
    #expect(try ftf("search", one, "\(folder.path)/turned", "--text", "a river").error.contains("views"))
  }

  @Test func ofAFileInSeveralIndexesTheNewerIsFound() throws {
    let picture = try folder.file("changes.jpg", Data(contentsOf: URL(fileURLWithPath: "\(images)/rgb.jpg")))
    func index(_ name: String) throws -> String {
      let made = try ftf("index", "\(folder.path)/\(name)", picture, "--model", model)
      return try #require(made.code == 0 ? "\(folder.path)/\(name)" : nil, "\(made.error)")
    }
    let old = try index("old")
    try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 100)], ofItemAtPath: picture)
    let new = try index("new")
    for order in [[old, new], [new, old]] {
      let found = try #require(ftf(["search"] + order + ["--text", "a river", "--json"]).objects.first?["results"] as? [[String: Any]])
      #expect(found.map { $0["index"] as! String } == [new])
    }
  }

  @Test func aPartThatCannotBeTrustedIsRefused() throws {
    #expect(try index("part", "--shard", "1/2").code == 0)
    let (part, all) = ("\(folder.path)/part", "\(folder.path)/all")
    let other = "\(folder.path)/other"
    let exact = try folder.file("fp32.ftf", TinyModel.fp32.get())
    #expect(try ftf("index", other, images, "--model", exact).code == 0)
    let refused = try ftf("index", "merge", part, other)
    #expect(refused.code == 1 && refused.error.contains("another model"), "\(refused.error)")
    #expect(try ftf("index", "merge", part, part).code == 1)
    // A byte of a patch.
    let segment = "\(part)/segments/00000001.ftfseg"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
    bytes[2000] ^= 1
    try bytes.write(to: URL(fileURLWithPath: segment))
    let damaged = try ftf("index", "merge", all, part)
    #expect(damaged.code == 1 && damaged.error.contains("00000001.ftfseg"), "\(damaged.error)")
    for bad in ["0/2", "3/2", "1", "a/b", "1/0"] { #expect(try index("x", "--shard", bad).code == 2, "\(bad)") }
  }

  @Test func listsNameWhatIsIndexed() throws {
    let list = "\(images)/rgb.jpg\n\(images)/exact.png\n"
    let made = try ftf("index", "\(folder.path)/listed", "--list", "-", "--model", model, "--json", input: list)
    #expect(made.code == 0 && made.objects.first?["indexed"] as? Int == 2, "\(made.error)")
    #expect(try ftf("index", "\(folder.path)/none", "--model", model).code == 2)
  }

  @Test func candidatesOfAnotherEngineAreReranked() throws {
    #expect(try index("one").code == 0)
    let one = "\(folder.path)/one"
    let own = try ftf("search", one, "--text", "a river", "--top", "10", "--candidates", "12", "--json")
    let recalled = try ftf("search", one, "--text", "a river", "--top", "12", "--recall-only", "--json")
    func ids(_ outcome: Outcome) throws -> [Int] {
      try #require(outcome.objects.first?["results"] as? [[String: Any]], "\(outcome.error)").map { $0["id"] as! Int }
    }
    let found = try ids(recalled)
    for input in [
      found.map { "\($0)" }.joined(separator: "\n"), found.reversed().map { "\($0) 0.5" }.joined(separator: "\n"),
      found.map { #"{"id": \#($0), "score": 1}"# }.joined(separator: "\n"),
    ] {
      let reranked = try ftf("rerank", one, "--text", "a river", "--candidates", "-", "--top", "10", "--json", input: input)
      #expect(try ids(reranked) == ids(own))
    }
    let lines = #"{"query": "a river", "candidates": \#(found)}"# + "\n" + #"{"query": "ships", "candidates": [{"id": 1}, 2, 99]}"#
    let both = try ftf("rerank", one, "--candidates", "-", "--json", input: lines)
    #expect(both.objects.count == 2 && (both.objects[1]["results"] as? [Any])?.count == 2 && both.error.contains("no image 99"), "\(both.error)")
    for bad in ["x", "1 2 3", "{}", #"{"query": "a"}"#, #"{"query": "a", "candidates": ["x"]}"#] {
      let refused = try ftf("rerank", one, "--candidates", "-", input: bad)
      #expect(refused.code == 1 && refused.error.contains("-:1"), "\(refused.error)")
    }
  }
}
