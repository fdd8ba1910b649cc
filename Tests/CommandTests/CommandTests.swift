import Foundation
import FTFTestSupport
import Testing
import FTFWeights

/// The built command, run as a user runs it.
private let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
  .appendingPathComponent("ftf").path

struct Outcome {
  var code: Int32
  var output: String
  var error: String
  var objects: [[String: Any]] {
    output.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }
}

func ftf(_ arguments: String..., input: String = "") throws -> Outcome { try ftf(arguments, input: input) }

/// Through a shell, which sets limits, variables and streams; `$ftf` is the command.
func shell(_ script: String) throws -> Outcome {
  try run("/bin/bash", ["-c", "ftf='\(executable)'\n\(script)"], input: "")
}

func ftf(_ arguments: [String], input: String = "") throws -> Outcome { try run(executable, arguments, input: input) }

private func run(_ executable: String, _ arguments: [String], input: String) throws -> Outcome {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: executable)
  process.arguments = arguments
  let (output, error, stdin) = (Pipe(), Pipe(), Pipe())
  (process.standardOutput, process.standardError, process.standardInput) = (output, error, stdin)
  try process.run()
  try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
  try stdin.fileHandleForWriting.close()
  let text = output.fileHandleForReading.readDataToEndOfFile()
  let errors = error.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return Outcome(
    code: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
    error: String(decoding: errors, as: UTF8.self))
}

/// The bytes of a tiny model of random weights, which the command converted once for all tests; each has a file of its own.
enum TinyModel {
  static let int8 = converted("--precision", "int8", "--calibrate", "\(Goldens.folder)/images")
  static let fp32 = converted("--precision", "fp32")

  private static func converted(_ options: String...) -> Result<Data, any Error> {
    Result {
      let folder = try TemporaryFolder()
      let made = try ftf(["convert", "\(Goldens.folder)/tiny", "-o", "\(folder.path)/tiny.ftf"] + options)
      try #require(made.code == 0, "\(made.error)")
      return try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/tiny.ftf"))
    }
  }
}

/// A folder with a tiny model of random weights, which finds nothing but proves the way of the data.
@Suite struct Commands {
  let folder: TemporaryFolder
  let tiny = "\(Goldens.folder)/tiny"
  let images = "\(Goldens.folder)/images"
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.file("tiny.ftf", TinyModel.int8.get())
  }

  /// One line on stderr that names `file`, and exit 1.
  private func expectFailure(_ outcome: Outcome, naming file: String, saying words: String = "") {
    #expect(outcome.code == 1, "\(outcome.error)")
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("ftf: ") }
    #expect(
      lines.count == 1 && outcome.error.contains(file) && (words.isEmpty || outcome.error.contains(words)),
      "\(outcome.error)")
  }

  @Test func theVersionIsTheNewestOfTheChanges() throws {
    let changes = try String(contentsOfFile: "\(Goldens.folder)/../../CHANGELOG.md", encoding: .utf8)
    let newest = changes.split(separator: "\n").first { $0.hasPrefix("## ") }
    let version = try ftf("--version").output.trimmingCharacters(in: .newlines)
    #expect(newest?.hasPrefix("## \(version), 20") == true, "\(version), \(newest ?? "")")
  }

  @Test func anArchiveIsIndexedSearchedAndExplained() throws {
    let index = "\(folder.path)/index"
    let made = try ftf("index", index, images, "--model", model, "--json")
    #expect(made.code == 0 && made.objects.first?["indexed"] as? Int == 17, "\(made.error)")
    let facts = try ftf("info", index, "--json").objects[0]
    #expect(facts["images"] as? Int == 17 && facts["segments"] as? Int == 1 && facts["model"] as? String == "tiny")
    let again = try ftf("index", index, images, "--json")
    #expect(again.objects.first?["unchanged"] as? Int == 17 && again.objects.first?["indexed"] as? Int == 0)

    let asked = try shell(
      """
      coproc asked { "$ftf" search '\(index)' --stdin --json; }
      for i in 1 2; do echo "a river" >&${asked[1]}; read -r -t 60 line <&${asked[0]} || exit 9; echo "$line"; done
      """)
    #expect(asked.code == 0 && asked.objects.count == 2, "an answer comes before the next question: \(asked.error)")

    let found = try ftf(
      "search", index, "--stdin", "--top", "5", "--json", "--explain", "\(folder.path)/why",
      input: "a river\ntwo ships\n")
    #expect(found.code == 0 && found.objects.count == 2, "\(found.error)")
    let answer = found.objects[0]
    let results = answer["results"] as! [[String: Any]]
    #expect(answer["query"] as? String == "a river" && results.count == 5)
    for key in ["encode_ms", "recall_ms", "rerank_ms"] { #expect(answer[key] as! Double >= 0) }
    for key in ["rank", "id", "path", "score", "recall_score", "recall_rank", "attributes"] {
      #expect(results[0][key] != nil, "\(key)")
    }
    let grid =
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/why/2/5.json")))
      as! [String: Any]
    let weights = (grid["grid"] as! [[Double]]).flatMap { $0 }
    #expect(weights.count == 49 && abs(weights.reduce(0, +) - 1) < 1e-4)
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/why/1/1.png"))

    expectFailure(try ftf("search", index, "--text", "a river", "--explain", "\(model)/why"), naming: "\(model)/why")
    let plain = try ftf("search", index, "--text", "a river", "--recall-only", "--json")
    let scores = (plain.objects[0]["results"] as! [[String: Any]]).map { $0["recall_score"] as! Double }
    #expect(scores == scores.sorted(by: >) && scores.count == 10)
    // Random weights in int8 tell like images apart by no more than their codes do.
    let alike = try ftf("search", index, "--image", "\(images)/exact.png", "--top", "3", "--json")
    #expect((alike.objects[0]["results"] as! [[String: Any]]).contains { ($0["path"] as! String).hasSuffix("/exact.png") })
  }

  @Test func anIndexIsFilteredCompactedVerifiedAndExported() throws {
    let (index, out) = ("\(folder.path)/index", "\(folder.path)/out")
    let attributes = try folder.file(
      "attributes.jsonl",
      Data(
        """
        {"filename": "rgb.jpg", "year": 2020, "lon": 1.5, "lat": -2}
        {"filename": "images/grey.png", "year": 2021, "note": "a, \\"b\\""}
        {"filename": "none.jpg", "year": 2021}
        {"year": 2021}

        """.utf8))
    let made = try ftf("index", index, images, "--model", model, "--attributes", attributes, "--json")
    #expect(made.objects.first?["attributes"] as? Int == 2 && made.error.contains("attributes.jsonl:3: 0 images"))
    #expect(made.code == 1 && made.error.contains("attributes.jsonl:4: not a line"), "\(made.error)")
    func results(_ more: String...) throws -> [[String: Any]] {
      let found = try ftf(["search", index, "--text", "a river", "--json"] + more)
      #expect(found.code == 0, "\(found.error)")
      return found.objects[0]["results"] as! [[String: Any]]
    }
    let one = try results("--filter", "year > 2020")
    #expect(one.count == 1 && (one[0]["path"] as! String).hasSuffix("/grey.png"))
    #expect((one[0]["attributes"] as! [String: Any])["year"] as? Int == 2021)
    expectFailure(
      try ftf("search", index, "--text", "x", "--filter", "year > 3000"), naming: index, saying: "holds for none")
    expectFailure(try ftf("search", index, "--text", "x", "--filter", "year >"), naming: "year >", saying: "a value")

    let removed = try ftf("index", "remove", index, "\(images)/exact.png", "--json")
    #expect(removed.code == 0 && removed.objects.first?["removed"] as? Int == 1)
    let before = try results("--top", "20").map { $0["score"] as! Double }
    let compacted = try ftf("index", "compact", index, "--json")
    #expect(compacted.objects.first?["freed_bytes"] as? Int ?? 0 > 0, "\(compacted.error)")
    #expect(try results("--top", "20").map { $0["score"] as! Double } == before)
    #expect(try ftf("index", "verify", index).code == 0)

    let exported = try ftf("index", "export", index, out, "--json")
    #expect(exported.code == 0 && exported.objects.first?["items"] as? Int == 16)
    let lines = try String(contentsOfFile: "\(out)/items.jsonl", encoding: .utf8).split(separator: "\n")
    let header = String(
      decoding: try Data(contentsOf: URL(fileURLWithPath: "\(out)/vectors.npy")).prefix(128), as: UTF8.self)
    #expect(lines.count == 16 && header.contains("(16, 24)"))
    #expect(try ftf("index", "export", index, out, "--format", "csv").code == 0)
    let table = try String(contentsOfFile: "\(out)/items.csv", encoding: .utf8)
    #expect(table.hasPrefix("id,path,bytes,lat,lon,note,year\r\n") && table.contains("\"a, \"\"b\"\"\",2021\r\n"))
    #expect(try ftf("index", "export", index, out, "--format", "geojson").code == 0)
    let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: "\(out)/items.geojson")))
    let features = try #require((whole as? [String: Any])?["features"] as? [[String: Any]])
    let points = features.compactMap { ($0["geometry"] as? [String: Any])?["coordinates"] as? [Double] }
    #expect(features.count == 16 && points == [[1.5, -2]])

    let segment = try #require(FileManager.default.contentsOfDirectory(atPath: "\(index)/segments").first)
    let path = "\(index)/segments/\(segment)"
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data[data.count / 2] ^= 4
    try data.write(to: URL(fileURLWithPath: path))
    expectFailure(try ftf("index", "verify", index), naming: path, saying: "not those that were written")
  }

  @Test func aCLIPModelDoesAllThatTheDefaultModelDoes() throws {
    let (clip, index) = ("\(folder.path)/clip.ftf", "\(folder.path)/clip")
    #expect(try ftf("convert", "\(Goldens.folder)/clip", "-o", clip).code == 0)
    #expect(try ftf("index", index, images, "--model", clip).code == 0)
    let found = try ftf("search", index, "--text", "a river", "--json", "--top", "3", "--explain", "\(folder.path)/why")
    #expect(found.code == 0 && (found.objects[0]["results"] as! [[String: Any]]).count == 3, "\(found.error)")
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/why/3.png"))
    let captions = try folder.file(
      "captions.jsonl", Data("{\"filename\": \"rgb.jpg\", \"split\": \"val\", \"captions\": [\"a river\"]}\n".utf8))
    let scores = try ftf("eval", clip, "--images", images, "--captions", captions, "--json")
    #expect(scores.code == 0 && (scores.objects[0]["rerank"] as! [String: Any])["mR"] as? Double == 100)
  }

  @Test func aConversionSaysWhatItCostAndKeepsItsBudget() throws {
    let (clip, out) = ("\(Goldens.folder)/clip", "\(folder.path)/card.ftf")
    let made = try ftf("convert", clip, "-o", out, "--calibrate", images, "--verify")
    #expect(made.code == 0 && made.output.contains("1st percentile") && made.output.contains("dB"), "\(made.error)")
    let facts = try ftf("info", out, "--json").objects[0]
    let cosine = try #require(facts["cosine_g"] as? Double)
    #expect(cosine > 0.99 && cosine < 1 && facts["verified_images"] as? Int == 17)

    #expect(facts["verdict"] as? String != nil && facts["layers_fp32"] == nil)

    let before = try Data(contentsOf: URL(fileURLWithPath: out))
    let missed = try ftf("convert", tiny, "-o", out, "--calibrate", images, "--budget", "0.99999")
    expectFailure(missed, naming: out, saying: "the noisiest are vision.blocks.")
    #expect(try Data(contentsOf: URL(fileURLWithPath: out)) == before, "what misses its budget replaces nothing")
    #expect(!FileManager.default.fileExists(atPath: out + ".trial"))
    let wide = try ftf("convert", clip, "-o", out, "--calibrate", images, "--budget", "0.9")
    #expect(wide.code == 0 && !wide.error.contains("kept in fp32"))
    let json = try ftf("convert", clip, "-o", out, "--calibrate", images, "--verify", "--json").objects[0]
    let layers = try #require((json["card"] as? [String: Any])?["layers"] as? [[String: Any]])
    #expect(layers.count >= 20 && layers.allSatisfy { ($0["weights"] as? Double ?? 0) > 20 }, "\(layers)")
    #expect(layers.contains { $0["name"] as? String == "text.blocks.1.mlp_out" && $0["output"] as? Double ?? 0 > 20 })
    // Text and patches have gates of their own: only the layers of the image tower have to give way.
    let budget = (cosine + 1) / 2
    let met = try ftf(
      "convert", clip, "-o", out, "--calibrate", images, "--budget", "\(budget)", "--patch-budget", "0.9")
    #expect(met.code == 0 && met.error.contains("kept in fp32: vision."), "\(met.error)")
    let finest = try ftf("info", out, "--json").objects[0]
    #expect(try #require(finest["cosine_g"] as? Double) >= budget)
    #expect(try !#require(finest["layers_fp32"] as? [String]).isEmpty)

    let weights = try ftf("convert", clip, "-o", out, "--calibrate", images, "--verify", "--precision", "int8-weights")
    let finer = try #require(ftf("info", out, "--json").objects[0]["cosine_g"] as? Double)
    #expect(weights.code == 0 && finer > cosine, "weights alone cost less than weights and activations")
    let kept = try ftf(
      "convert", clip, "-o", out, "--calibrate", images, "--verify", "--keep-fp32", "vision", "text")
    let untouched = try #require(ftf("info", out, "--json").objects[0]["cosine_g"] as? Double)
    #expect(kept.code == 0 && untouched > 0.99999)
    expectFailure(try ftf("convert", clip, "-o", out, "--keep-fp32", "nope"), naming: out, saying: "nope")
    expectFailure(
      try ftf("convert", tiny, "-o", out, "--calibrate", images, "--keep-fp32", "vision.head"), naming: out,
      saying: "vision.head")
    expectFailure(
      try ftf("convert", out, "-o", "\(folder.path)/back.ftf", "--precision", "fp32"), naming: out, saying: "int8")
    let exact = "\(folder.path)/exact.ftf"
    #expect(try ftf("convert", clip, "-o", exact, "--precision", "fp32").code == 0)
    let (once, twice) = ("\(folder.path)/once.ftf", "\(folder.path)/twice.ftf")
    #expect(try ftf("convert", clip, "-o", once).code == 0 && ftf("convert", exact, "-o", twice).code == 0)
    #expect(
      try ftf("embed", once, "--text", "a river", "-o", "\(folder.path)/a.npy").code == 0
        && ftf("embed", twice, "--text", "a river", "-o", "\(folder.path)/b.npy").code == 0)
    #expect(
      FileManager.default.contentsEqual(atPath: "\(folder.path)/a.npy", andPath: "\(folder.path)/b.npy"),
      "int8 by way of an fp32 file is another model")
    #expect(try ftf("convert", clip, "-o", out, "--verify").code == 2)
  }

  @Test func aModelIsTunedOnCaptionsAndStatesWhatAScoreMeans() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: images).sorted()
    // Every image's own caption, and one that all share; one file is none, and costs no other its place.
    let lines = names.map { #"{"filename": "\#($0)", "split": "val", "captions": ["a \#($0)", "a picture"]}"# }
    let captions = try folder.file(
      "captions.jsonl", Data((lines + [#"{"filename": "none.png", "split": "val", "captions": ["x"]}"#]).joined(separator: "\n").utf8))
    let (out, index) = ("\(folder.path)/tuned.ftf", "\(folder.path)/tuned")
    let made = try ftf("convert", tiny, "-o", out, "--calibrate", images, "--tune", captions, "--images", images)
    #expect(made.code == 0 && made.error.contains("recall alone") && made.error.contains("none.png"), "\(made.error)")
    #expect(made.error.contains("taken: ") || made.error.contains("the default is no rerank"))
    let eval = try ftf("eval", out, "--images", images, "--captions", captions, "--split", "val")
    #expect(eval.code == 1 && eval.error.contains("none.png"))
    #expect(try ftf("index", index, images, "--model", out).code == 0)
    func results(_ more: String...) throws -> [[String: Any]] {
      let found = try ftf(["search", index, "--text", "a picture", "--json", "--top", "17"] + more)
      return try #require(found.objects.first?["results"] as? [[String: Any]], "\(found.error)")
    }
    let all = try results().map { $0["probability"] as! Double }
    #expect(all.count == 17 && all == all.sorted(by: >) && all.allSatisfy { (0...1).contains($0) })
    let some = try results("--min-probability", "\((all[4] + all[5]) / 2)")
    #expect(some.count == all.count { $0 >= (all[4] + all[5]) / 2 })
    let image = try ftf("search", index, "--image", "\(images)/rgb.jpg", "--json").objects[0]["results"] as! [[String: Any]]
    #expect(image.allSatisfy { $0["probability"] == nil })
    expectFailure(
      try ftf("search", index, "--image", "\(images)/rgb.jpg", "--min-probability", "0.5"), naming: "--tune")
    #expect(try ftf("search", index, "--text", "x", "--min-probability", "2").code == 2)
    #expect(try ftf("convert", tiny, "-o", out, "--precision", "fp32", "--tune", captions).code == 2)
  }

  @Test func aModelThatCannotBeTunedIsNotWritten() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: images).sorted()
    func captions(_ lines: [String]) throws -> String { try folder.file("few.jsonl", Data(lines.joined(separator: "\n").utf8)) }
    func line(_ name: String, _ split: String, _ texts: String) -> String {
      #"{"filename": "\#(name)", "split": "\#(split)", "captions": [\#(texts)]}"#
    }
    let out = "\(folder.path)/untunable.ftf"
    func convert(_ lines: [String]) throws -> Outcome {
      try ftf("convert", tiny, "-o", out, "--precision", "fp32", "--tune", captions(lines), "--images", images)
    }
    expectFailure(try convert([]), naming: "few.jsonl", saying: "no captions")
    expectFailure(try convert(names.prefix(3).map { line($0, "val", #""a picture""#) }), naming: "at least 10")
    expectFailure(try convert(names.map { line($0, "val", "") }), naming: "at least 10")
    expectFailure(try convert(names.map { line("no-\($0)", "val", #""a picture""#) }), naming: "at least 10")
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("untunable") }
    #expect(left.isEmpty, "\(left)")
    // Pictures of the split train without captions make no bank of sentences: those that are tuned on do.
    let made = try convert(names.map { line($0, "val", #""a \#($0)""#) } + names.map { line($0, "train", "") })
    #expect(made.code == 0 && made.error.contains("recall alone"), "\(made.error)")
  }

  @Test func aReferenceSaysWhichActivationASilentFileHas() throws {
    let bare = "\(folder.path)/bare.safetensors"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/open_clip/open_clip_model.safetensors", toPath: bare)
    let few = "\(folder.path)/few"
    try FileManager.default.createDirectory(atPath: few, withIntermediateDirectories: true)
    let names = ["exact.png", "grey.png", "rgb.jpg"]
    for name in names { try FileManager.default.copyItem(atPath: "\(images)/\(name)", toPath: "\(few)/\(name)") }
    let (out, vectors) = ("\(folder.path)/x.ftf", "\(folder.path)/expected.npy")
    let lines = try folder.file("lines.txt", Data("a river\ntwo ships\n".utf8))
    func convert(_ more: String...) throws -> Outcome {
      try ftf(["convert", bare, "-o", out, "--tokenizer", "\(Goldens.folder)/clip", "--precision", "fp32"] + more)
    }
    #expect(try convert("--activation", "quickgelu").code == 0)
    #expect(try ftf(["embed", out, "-o", vectors, "--image"] + names.map { "\(few)/\($0)" }).code == 0)
    let told = try convert("--verify", "--expect", vectors, "--calibrate", few)
    #expect(told.code == 0 && told.error.contains("activation: quickgelu (it explains"), "\(told.error)")
    let decisions = try #require(ftf("info", out, "--json").objects[0]["decisions"] as? [String])
    #expect(decisions.contains { $0.contains("quickgelu") })
    expectFailure(
      try convert("--verify", "--expect", vectors, "--calibrate", few, "--activation", "gelu"), naming: vectors,
      saying: "explained by quickgelu, not by gelu")
    expectFailure(
      try convert("--verify", "--expect", vectors, "--sentences", lines), naming: vectors, saying: "3 rows for 2")
    #expect(try ftf("embed", out, "--text", "a river", "two ships", "-o", vectors).code == 0)
    #expect(try convert("--verify", "--expect", vectors, "--sentences", lines).code == 0)
    #expect(try ftf("embed", out, "--text", "two ships", "a river", "-o", vectors).code == 0)
    expectFailure(
      try convert("--verify", "--expect", vectors, "--sentences", lines), naming: vectors, saying: "no activation")
    for damage in [Data(), Data("x".utf8), try Data(contentsOf: URL(fileURLWithPath: vectors)).dropLast(4)] {
      let broken = try folder.file("broken.npy", damage)
      expectFailure(
        try convert("--verify", "--expect", broken, "--sentences", lines), naming: broken, saying: "f32 [n, d]")
    }
    #expect(try convert("--expect", vectors).code == 2)
  }

  @Test func optionsThatASourceHasNoUseForAreNoSurprise() throws {
    let clip = "\(Goldens.folder)/clip"
    for (source, option, value, name) in [
      (clip, "--arch", "ViT-B-32", "architecture"), (tiny, "--image-size", "112", "image size"),
      (tiny, "--activation", "gelu", "activation"),
      ("\(Goldens.folder)/open_clip", "--arch", "ViT-B-32", "architecture"),
    ] {
      let made = try ftf(
        "convert", source, "-o", "\(folder.path)/x.ftf", "--precision", "fp32", "--tokenizer", clip, option, value)
      expectFailure(made, naming: source, saying: "no use for \(name)")
    }
  }

  @Test func kernelsAreTimedInEveryShapeOfTheModelAndComparedWithAnotherRun() throws {
    let path = "\(folder.path)/run.json"
    let run = try ftf("profile", model, "--kernels", "--rounds", "9", "--json")
    #expect(run.code == 0, "\(run.error)")
    var object = try #require(run.objects.first)
    var rows = try #require(object["rows"] as? [[String: Any]])
    let called = Set(rows.compactMap { $0["operation"] as? String })
    #expect(called.isSuperset(of: ["gemm_u8_u8", "gemm_u8_f32", "depthwise_u8", "dots_s8", "interaction", "attention", "crc32c"]))
    #expect(rows.allSatisfy { ($0["median"] as? Double ?? 0) > 0 })
    // What took a tenth then has become slower.
    for i in rows.indices {
      rows[i]["median"] = (rows[i]["median"] as! Double) / 10
      rows[i]["quartiles"] = (rows[i]["quartiles"] as! [Double]).map { $0 / 10 }
      rows[i]["passes"] = (rows[i]["passes"] as! [Double]).map { $0 / 10 }
    }
    object["rows"] = rows
    try JSONSerialization.data(withJSONObject: object).write(to: URL(fileURLWithPath: path))
    let slower = try ftf("profile", model, "--kernels", "--rounds", "9", "--against", path)
    #expect(slower.code == 1 && slower.error.contains("became slower"), "\(slower.error)")
    expectFailure(try ftf("profile", model, "--kernels", "--against", model), naming: model, saying: "no run of")
  }

  @Test func assertingSpeedNeedsACeiling() throws {
    let exact = "\(folder.path)/fp32.ftf"
    #expect(try ftf("convert", tiny, "-o", exact, "--precision", "fp32").code == 0)
    expectFailure(try ftf("profile", exact, "--assert"), naming: "--assert", saying: "no ceiling")
  }

  @Test func openCLIPFilesAndTheirSilencesAreNamed() throws {
    let none = try folder.file("none.pt", Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/script.pt")))
    expectFailure(try ftf("convert", none, "-o", "x.ftf"), naming: none, saying: "neither")
    // Shards are one model: the same file under the name that an index gives it.
    let shards = "\(folder.path)/shards"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/clip", toPath: shards)
    try FileManager.default.moveItem(atPath: "\(shards)/model.safetensors", toPath: "\(shards)/part.safetensors")
    let names = try SafeTensors(path: "\(shards)/part.safetensors").tensors.keys
    func index(_ file: String) throws {
      let map = ["weight_map": Dictionary(uniqueKeysWithValues: names.map { ($0, file) })]
      _ = try folder.file("shards/model.safetensors.index.json", JSONSerialization.data(withJSONObject: map))
    }
    try index("part.safetensors")
    let (a, b) = ("\(folder.path)/a.ftf", "\(folder.path)/b.ftf")
    #expect(try ftf("convert", shards, "-o", a).code == 0)
    #expect(try ftf("convert", "\(Goldens.folder)/clip", "-o", b).code == 0)
    let (ta, tb) = ("\(folder.path)/a.npy", "\(folder.path)/b.npy")
    _ = try ftf("embed", a, "--text", "a river", "-o", ta)
    _ = try ftf("embed", b, "--text", "a river", "-o", tb)
    #expect(try Data(contentsOf: URL(fileURLWithPath: ta)) == Data(contentsOf: URL(fileURLWithPath: tb)))
    try index("../part.safetensors")
    expectFailure(try ftf("convert", shards, "-o", a), naming: "index.json", saying: "../part")
  }

  @Test func everyLevelGivesTheSameAnswer() throws {
    let index = "\(folder.path)/index"
    #expect(try ftf("index", index, images, "--model", model).code == 0)
    let info = try ftf("info", "--json")
    let levels = info.objects[0]["levels"] as! [String]
    var expected: [String]?
    for level in levels {
      let other = "\(folder.path)/\(level)"
      #expect(try ftf("index", other, images, "--model", model, "--level", level).code == 0)
      let found = try ftf("search", other, "--text", "a river with ships", "--json", "--level", level)
      let answers = (found.objects[0]["results"] as! [[String: Any]]).map { "\($0["path"]!) \($0["score"]!)" }
      #expect(answers == expected ?? answers, "\(level)")
      expected = answers
    }
  }

  @Test func brokenImagesAreNamedAndCostNoOtherItsResult() throws {
    let mixed = "\(folder.path)/mixed"
    try FileManager.default.createDirectory(atPath: mixed, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: "\(images)/rgb.jpg", toPath: "\(mixed)/good.jpg")
    try Data().write(to: URL(fileURLWithPath: "\(mixed)/empty.png"))
    try Data(contentsOf: URL(fileURLWithPath: "\(images)/exact.png")).prefix(900).write(
      to: URL(fileURLWithPath: "\(mixed)/cut.png"))
    let index = "\(folder.path)/index"
    let made = try ftf("index", index, mixed, "--model", model, "--json")
    #expect(made.code == 1)
    #expect(made.error.contains("\(mixed)/empty.png") && made.error.contains("\(mixed)/cut.png"), "\(made.error)")
    #expect(made.objects[0]["indexed"] as? Int == 1 && made.objects[0]["failed"] as? Int == 2)
    let again = try ftf("index", index, mixed, "--json")
    #expect(again.code == 0 && again.objects[0]["known_bad"] as? Int == 2)
    try FileManager.default.removeItem(atPath: "\(mixed)/cut.png")
    try FileManager.default.copyItem(atPath: "\(images)/exact.png", toPath: "\(mixed)/cut.png")
    #expect(try ftf("index", index, mixed, "--json").objects[0]["indexed"] as? Int == 1)
    try FileManager.default.removeItem(atPath: "\(mixed)/good.jpg")
    #expect(try ftf("index", index, mixed, "--json").objects[0]["removed"] as? Int == 1)
    #expect(try ftf("index", "remove", index, "\(mixed)/cut.png").code == 0)
    expectFailure(try ftf("search", index, "--text", "a river"), naming: index, saying: "no images")
  }

  @Test func badWeightsConfigsAndModelsAreNamed() throws {
    let cut = try folder.file("cut.ftf", Data(contentsOf: URL(fileURLWithPath: model)).prefix(20000))
    expectFailure(try ftf("info", cut), naming: cut, saying: "get the file again")
    expectFailure(try ftf("info", "\(folder.path)/none.ftf"), naming: "none.ftf", saying: "No such file")
    expectFailure(try ftf("info", "\(tiny)/model.safetensors"), naming: "model.safetensors", saying: "ftf convert")
    let source = "\(folder.path)/source"
    try FileManager.default.copyItem(atPath: tiny, toPath: source)
    let config = try String(contentsOfFile: "\(source)/config.json", encoding: .utf8)
    _ = try folder.file(
      "source/config.json", Data(config.replacingOccurrences(of: "\"head\": 40", with: "\"head\": 44").utf8))
    expectFailure(
      try ftf("convert", source, "-o", "\(folder.path)/x.ftf", "--precision", "fp32"), naming: source, saying: "shape")
    expectFailure(
      try ftf("convert", folder.path, "-o", "\(folder.path)/x.ftf", "--precision", "fp32"), naming: "config.json")
  }

  @Test func foldersCaptionsLevelsAndForeignIndexesAreNamed() throws {
    let empty = "\(folder.path)/empty"
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    expectFailure(try ftf("index", "\(folder.path)/i", empty, "--model", model), naming: empty, saying: "holds no")
    expectFailure(try ftf("info", "--level", "sse9"), naming: "sse9", saying: "portable")
    expectFailure(try ftf("search", empty, "--text", "x"), naming: empty, saying: "ftf index")

    let captions = try folder.file(
      "captions.jsonl",
      Data("{\"filename\": \"rgb.jpg\", \"split\": \"val\", \"captions\": [\"a river\", \"water\"]}\nnot json\n".utf8))
    let index = "\(folder.path)/index"
    let made = try ftf("index", index, images, "--model", model, "--captions", captions, "--json")
    #expect(
      made.code == 1 && made.error.contains("\(captions):2") && made.objects[0]["captions"] as? Int == 2,
      "\(made.error)")
    expectFailure(
      try ftf("eval", model, "--images", images, "--captions", captions), naming: "\(captions):2", saying: "captions")
    let told = try ftf("search", index, "--image", "\(images)/rgb.jpg", "--over", "captions", "--json")
    #expect((told.objects[0]["results"] as! [[String: Any]]).count == 2)

    let other = "\(folder.path)/other.ftf"
    #expect(try ftf("convert", tiny, "-o", other, "--precision", "fp32").code == 0)
    expectFailure(try ftf("search", index, "--text", "x", "--model", other), naming: index, saying: "another model")
    expectFailure(try ftf("index", index, images, "--model", other), naming: index, saying: "another model")
  }

  @Test func wrongUseExitsWithTwoAndEmbedKeepsTheOrder() throws {
    #expect(try ftf("search", "x").code == 2)
    #expect(try ftf("frobnicate").code == 2)
    #expect(try ftf("convert", tiny, "-o", "x.ftf").code == 2)
    #expect(try ftf("search", "x", "--text", "a", "--beta", "2").code != 0)
    #expect(try ftf("--help").code == 0)
    let (a, b) = ("\(folder.path)/a.npy", "\(folder.path)/b.npy")
    #expect(try ftf("embed", model, "--stdin", "-o", a, "--tokens", b, input: "a river\ntwo ships\n").code == 0)
    let data = try Data(contentsOf: URL(fileURLWithPath: a))
    #expect(data.count == 128 + 2 * 24 * 4 && String(decoding: data.prefix(128), as: UTF8.self).contains("(2, 24)"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: b)).count == 128 + 2 * 2 * 24 * 4)
    expectFailure(
      try ftf("embed", model, "--image", "\(images)/rgb.jpg", "\(folder.path)/none.jpg", "-o", a), naming: "none.jpg")
  }

  // MARK: Where it runs

  @Test func whatIsNoRegularFileIsWrittenThroughAndLinksAndModesStay() throws {
    let out = "\(folder.path)/out"
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    let expected = "\(out)/expected.npy"
    #expect(try ftf("embed", model, "--text", "x", "-o", expected).code == 0)
    let done = try shell(
      """
      cd '\(out)'; mkfifo pipe; cat pipe > piped & $ftf embed '\(model)' --text x -o pipe || exit 1; wait; test -p pipe || exit 2
      echo old > real; chmod 640 real; ln -s real link; $ftf embed '\(model)' --text x -o link || exit 3
      test -L link && test "$(stat -c %a real)" = 640 || exit 4
      ln -s fresh dangling; $ftf embed '\(model)' --text x -o dangling || exit 5
      $ftf embed '\(model)' --text x -o /dev/stdout > streamed || exit 6
      for f in piped real fresh streamed; do cmp $f expected.npy || exit 7; done
      $ftf embed '\(model)' --text x -o /dev/null && test -c /dev/null || exit 8
      ls | grep partial && exit 9; exit 0
      """)
    #expect(done.code == 0, "\(done.code): \(done.error)")
    expectFailure(try ftf("embed", model, "--text", "x", "-o", "/dev/full"), naming: "/dev/full", saying: "No space")
    expectFailure(try ftf("embed", model, "--text", "x", "-o", out), naming: out, saying: "directory")
  }

  @Test func badVariablesAndNumbersHarmNothing() throws {
    let index = "\(folder.path)/index"
    for value in ["", "abc", "-3", "0", "999999999", "1e9", "3,2"] {
      let done = try shell("rm -rf '\(index)'; OMP_NUM_THREADS='\(value)' timeout 60 $ftf index '\(index)' '\(images)' --model '\(model)' --json")
      #expect(done.code == 0 && done.objects.first?["indexed"] as? Int == 17, "\(value): \(done.error)")
    }
    for variable in ["OMP_THREAD_LIMIT=1", "OMP_THREAD_LIMIT=x"] {
      let done = try shell("\(variable) timeout 60 $ftf search '\(index)' --text x --json")
      #expect(done.code == 0 && done.objects.count == 1, "\(variable): \(done.error)")
    }
    for number in ["9223372036854775807", "1000000000"] {
      let done = try ftf("search", index, "--text", "x", "--top", number, "--candidates", number, "--json")
      #expect((done.objects.first?["results"] as? [Any])?.count == 17, "\(number): \(done.error)")
    }
    let all = try ftf("search", index, "--text", "x", "--top", "17", "--candidates", "5", "--json").objects[0]["results"] as! [[String: Any]]
    let scores = all.map { $0["score"] as! Double }
    #expect(scores == scores.sorted(by: >), "a score never rises along the list")
    for number in ["0", "-1", "9223372036854775808", "x"] {
      #expect(try ftf("search", index, "--text", "x", "--top", number).code == 2, "\(number)")
    }
    for limit in stride(from: 80_000, through: 360_000, by: 20_000) {
      // A program that waits for memory heeds no other signal.
      let limited = try shell("ulimit -v \(limit); timeout -s KILL 30 $ftf search '\(index)' --text x")
      #expect(limited.code != 137, "with \(limit) kB it waits for memory that does not come")
    }
  }

  @Test func aStreamThatIsFullOrClosedIsAFailureOrNone() throws {
    let index = "\(folder.path)/index"
    #expect(try ftf("index", index, images, "--model", model).code == 0)
    for (streams, code) in [(">/dev/full", 1), (">&-", 1), ("2>/dev/full", 0), ("2>&-", 0), ("<&-", 0)] {
      let done = try shell("$ftf search '\(index)' --text 'a river' \(streams)")
      #expect(done.code == code, "\(streams): \(done.code)")
      let stored = try shell("rm -rf '\(index)2'; $ftf index '\(index)2' '\(images)' --model '\(model)' \(streams); $ftf info '\(index)2' --json")
      #expect(stored.objects.last?["images"] as? Int == 17, "\(streams): \(stored.error)")
    }
  }

  @Test func aModelThatMovedBesideTheIndexIsFoundAndAnotherIsNotTaken() throws {
    let home = "\(folder.path)/home"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let index = "\(home)/index"
    #expect(try ftf("index", index, images, "--model", model).code == 0)
    #expect(try ftf("convert", tiny, "-o", "\(home)/a.ftf", "--precision", "fp32").code == 0)
    try FileManager.default.moveItem(atPath: model, toPath: "\(home)/b.ftf")
    #expect(try ftf("search", index, "--text", "x").code == 0)
    #expect(try ftf("index", index, images, "--json").objects.first?["unchanged"] as? Int == 17)
    try FileManager.default.removeItem(atPath: "\(home)/b.ftf")
    expectFailure(try ftf("search", index, "--text", "x"), naming: model, saying: "--model")
  }
}
