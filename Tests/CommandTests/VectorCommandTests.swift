import Foundation
import FTFTestSupport
import Testing

/// Vectors that were made elsewhere: imported, found, and kept apart from what was encoded here.
@Suite struct VectorCommands {
  let folder: TemporaryFolder
  let index: String
  private let dimension = 24

  init() throws {
    folder = try TemporaryFolder()
    index = "\(folder.path)/vectors.ftfindex"
  }

  /// A .npy file of f32 or f16 [n, d].
  private func npy(_ name: String, _ values: [Float], columns: Int, halves: Bool = false) throws -> String {
    var header = "{'descr': '<f\(halves ? 2 : 4)', 'fortran_order': False, 'shape': (\(values.count / columns), \(columns)), }"
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0]) + Data(header.utf8)
    for value in values {
      if halves {
        let bits = Float16(value).bitPattern
        data.append(contentsOf: [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)])
      } else {
        for byte in 0..<4 { data.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * byte))) }
      }
    }
    return try folder.file(name, data)
  }

  private func expectFailure(_ outcome: Outcome, _ words: String...) {
    #expect(outcome.code == 1, "\(outcome.error)")
    for word in words { #expect(outcome.error.contains(word), "\(outcome.error)") }
  }

  /// The ids by the cosine in double, from 1.
  private func nearest(_ vectors: [Float], _ query: ArraySlice<Float>, _ top: Int) -> [Int] {
    let n = vectors.count / dimension
    let scores = (0..<n).map { i -> Double in
      let row = vectors[i * dimension..<(i + 1) * dimension].map(Double.init)
      return zip(row, query).reduce(0) { $0 + $1.0 * Double($1.1) } / row.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    return (0..<n).sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(top).map { $0 + 1 }
  }

  /// No folder is looked at, and no model needed.
  /// What of pictures without patches is found, and in which order, is what recall finds; everything else of an index works as it does.
  @Test func picturesMayBeKeptWithoutPatches() throws {
    let (whole, lean, model) = ("\(folder.path)/whole", "\(folder.path)/lean", try folder.file("pictures.ftf", TinyModel.int8.get()))
    let images = "\(folder.path)/pictures"
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images", toPath: images)
    #expect(try ftf("index", whole, images, "--model", model).code == 0)
    let made = try ftf("index", lean, images, "--model", model, "--patches", "none", "--json")
    #expect(made.objects.first?["indexed"] as? Int == 17, "\(made.error)")
    func paths(_ index: String, _ more: String...) throws -> [String] {
      let found = try ftf(["search", index, "--top", "20", "--json"] + more)
      return try #require(found.objects.first?["results"] as? [[String: Any]], "\(found.error)").map { "\($0["path"]!) \($0["recall_score"]!)" }
    }
    for query in [["--text", "a river"], ["--image", "\(images)/rgb.jpg"]] {
      #expect(try Set(paths(lean, query[0], query[1])) == Set(paths(whole, query[0], query[1], "--recall-only")))
    }
    func bytes(_ index: String) throws -> Int {
      try FileManager.default.attributesOfItem(atPath: "\(index)/segments/00000001.ftfseg")[.size] as! Int
    }
    #expect(try 5 * bytes(lean) < bytes(whole))
    #expect(try ftf("index", "verify", lean).code == 0)
    // The next run goes on as the index is; another wish is refused; nothing is explained.
    #expect(try ftf("index", lean, images, "--json").objects.first?["unchanged"] as? Int == 17)
    for (index, wish) in [(lean, "int8"), (whole, "none")] {
      let refused = try ftf("index", index, images, "--patches", wish)
      #expect(refused.code == 1 && refused.error.contains("patches"), "\(refused.error)")
    }
    #expect(try ftf("search", lean, "--text", "a", "--explain", "\(folder.path)/why").error.contains("no patches"))
    // A damaged part is encoded anew, as the index is.
    try FileManager.default.removeItem(atPath: "\(lean)/segments/00000001.ftfseg")
    #expect(try ftf("index", "repair", lean).code == 0)
    #expect(try Set(paths(lean, "--text", "a river")) == Set(paths(whole, "--text", "a river", "--recall-only")))
  }

  /// Pooled patches take less room, rerank, and say where over the grid that the model has.
  @Test func patchesMayBePooled() throws {
    let (whole, pooled, model) = ("\(folder.path)/whole", "\(folder.path)/pooled", try folder.file("pictures.ftf", TinyModel.int8.get()))
    let images = "\(Goldens.folder)/images"
    #expect(try ftf("index", whole, images, "--model", model).code == 0)
    #expect(try ftf("index", pooled, images, "--model", model, "--patches", "pooled", "--json").objects.first?["indexed"] as? Int == 17)
    func found(_ index: String, _ more: String...) throws -> [[String: Any]] {
      let found = try ftf(["search", index, "--text", "a river", "--top", "20", "--json"] + more)
      return try #require(found.objects.first?["results"] as? [[String: Any]], "\(found.error)")
    }
    // Recall is the same to the bit, the fine score is another.
    func recall(_ index: String) throws -> [String] { try found(index, "--recall-only").map { "\($0["path"]!) \($0["recall_score"]!)" } }
    #expect(try recall(pooled) == recall(whole))
    #expect(try found(pooled, "--lambda", "1").map { $0["score"] as! Double } != found(whole, "--lambda", "1").map { $0["score"] as! Double })
    func bytes(_ index: String) throws -> Int {
      try FileManager.default.attributesOfItem(atPath: "\(index)/segments/00000001.ftfseg")[.size] as! Int
    }
    #expect(try bytes(pooled) < bytes(whole))
    #expect(try ftf("index", "verify", pooled).code == 0)
    for why in [whole, pooled] { #expect(try ftf("search", why, "--text", "a river", "--explain", "\(why)-heat").code == 0) }
    func grids(_ index: String) throws -> [[Double]] {
      let names = try FileManager.default.contentsOfDirectory(atPath: "\(index)-heat").filter { $0.hasSuffix(".json") }
      return try names.map { name in
        let heat = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: "\(index)-heat/\(name)"))) as? [String: Any]
        return try #require(heat?["grid"] as? [[Double]]).flatMap { $0 }
      }
    }
    let (fine, coarse) = try (grids(whole), grids(pooled))
    #expect(!coarse.isEmpty && coarse.map(\.count) == fine.map(\.count))
    for grid in coarse { #expect(abs(grid.reduce(0, +) - 1) < 1e-4) }
    // It stays as it is, and is not mixed with others.
    #expect(try ftf("index", pooled, images, "--patches", "int8").error.contains("patches 'pooled'"))
    #expect(try ftf("index", "merge", pooled, whole).error.contains("pooled patches"))
  }

  @Test func attributesAloneAreStored() throws {
    var random = SeededGenerator(seed: 8)
    let (source, asked) = (
      try npy("x.npy", random.floats(6 * dimension), columns: dimension), try npy("q.npy", random.floats(dimension), columns: dimension)
    )
    let names = try folder.file("names.txt", Data("a\nb\nc\nd\ne\nf\n".utf8))
    #expect(try ftf("index", "import", index, source, "--names", names).code == 0)
    let known = try folder.file("known.jsonl", Data((#"{"filename": "b", "year": 2020}"# + "\n" + #"{"filename": "e", "year": 2021}"# + "\n").utf8))
    let stored = try ftf("index", index, "--attributes", known, "--json")
    #expect(stored.code == 0 && stored.objects.first?["attributes"] as? Int == 2, "\(stored.error)")
    for (filter, expected) in [("year = 2020", [2]), ("year > 2000", [2, 5]), ("year is null", [1, 3, 4, 6])] {
      let found = try ftf("search", index, "--vectors", asked, "--filter", filter, "--json").objects.first?["ids"] as? [[Int]]
      #expect(found?.first.map { $0.filter { $0 > 0 }.sorted() } == expected, "\(filter)")
    }
    let wrong = try folder.file("wrong.jsonl", Data(#"{"filename": "x", "year": 2020}"#.utf8))
    let skipped = try ftf("index", index, "--attributes", wrong)
    #expect(skipped.code == 1 && skipped.error.contains("0 images of the index end in 'x'"), "\(skipped.error)")
    #expect(try ftf("index", "\(folder.path)/none", "--attributes", known).code == 1)
    #expect(try ftf("index", index).code == 2)
  }

  @Test(arguments: [false, true]) func vectorsAreFoundByTheirCosineAndKeepTheirOrder(halves: Bool) throws {
    var random = SeededGenerator(seed: 3)
    // Of all lengths, and so near each other that 8 bits do not tell them apart.
    let middle = random.floats(dimension)
    let vectors = (0..<500).flatMap { i -> [Float] in
      let scale = Float(1 + i % 7)
      return zip(middle, random.floats(dimension)).map { Float(Float16(scale * ($0 + 0.2 * $1))) }
    }
    let queries = Array(vectors[..<(20 * dimension)])
    let source = try npy("x.npy", vectors, columns: dimension, halves: halves)
    let asked = try npy("q.npy", queries, columns: dimension)
    let made = try ftf("index", "import", index, source, "--json")
    #expect(made.code == 0 && made.objects.first?["imported"] as? Int == 500, "\(made.error)")
    for more in [[], ["--batch", "7"], ["--threads", "1"]] {
      let found = try ftf(["search", index, "--vectors", asked, "--top", "5", "--json"] + more)
      let object = try #require(found.objects.first, "\(found.error)")
      #expect(object["queries"] as? Int == 20 && object["ms_per_query"] as? Double ?? 0 > 0)
      #expect(object["p99_ms"] as? Double ?? 0 >= object["p50_ms"] as? Double ?? 1)
      let ids = try #require(object["ids"] as? [[Int]])
      for (i, ids) in ids.enumerated() {
        #expect(ids == nearest(vectors, queries[i * dimension..<(i + 1) * dimension], 5), "query \(i)")
      }
    }
    let timed = try ftf("profile", index, "--rounds", "5", "--json")
    #expect(timed.objects.first?["items"] as? Int == 500 && timed.objects.first?["queries"] as? Int == 5, "\(timed.error)")
    #expect(try ftf("profile", index, "--kernels").code == 2)
    // int64 [q, top], -1 behind the last.
    let ids = "\(folder.path)/ids.npy"
    #expect(try ftf("search", index, "--vectors", asked, "--top", "600", "-o", ids, "--json").code == 0)
    let data = try Data(contentsOf: URL(fileURLWithPath: ids))
    #expect(String(decoding: data.prefix(128), as: UTF8.self).contains("'<i8', 'fortran_order': False, 'shape': (20, 600)"))
    #expect(data.count == 128 + 20 * 600 * 8 && data.suffix(8).allSatisfy { $0 == 255 })
    #expect(try ftf("index", "verify", index).code == 0)
    #expect(try ftf("index", "compact", index).code == 0)
    let after = try ftf("search", index, "--vectors", asked, "--top", "5", "--json")
    #expect((after.objects.first?["ids"] as? [[Int]])?.first == nearest(vectors, queries[..<dimension], 5))
  }

  @Test func namesAreKeptReplacedAndRemoved() throws {
    var random = SeededGenerator(seed: 4)
    let vectors = random.floats(3 * dimension)
    let source = try npy("x.npy", vectors, columns: dimension)
    let names = try folder.file("names.txt", Data("a tile\nböse\nc\n".utf8))
    #expect(try ftf("index", "import", index, source, "--names", names).code == 0)
    let one = try npy("q.npy", Array(vectors[dimension..<2 * dimension]), columns: dimension)
    #expect(try ftf("search", index, "--vectors", one, "--top", "1").output.contains("2  böse"))
    // Again: the same names, new ids.
    #expect(try ftf("index", "import", index, source, "--names", names).code == 0)
    let again = try ftf("search", index, "--vectors", one, "--top", "9", "--json")
    #expect((again.objects.first?["ids"] as? [[Int]])?.first?.filter { $0 > 0 }.sorted() == [4, 5, 6])
    #expect(try ftf("index", "remove", index, "böse").code == 0)
    #expect(try ftf("search", index, "--vectors", one, "--top", "3").output.contains("böse") == false)
    let short = try folder.file("short.txt", Data("a\nb\n".utf8))
    expectFailure(try ftf("index", "import", index, source, "--names", short), "short.txt", "2 names for 3 vectors")
    let twice = try folder.file("twice.txt", Data("a\nb\na\n".utf8))
    expectFailure(try ftf("index", "import", index, source, "--names", twice), "vectors 1 and 3 have the same name")
  }

  @Test func whatMadeVectorsIsNotGuessed() throws {
    var random = SeededGenerator(seed: 5)
    let model = try folder.file("tiny.ftf", TinyModel.int8.get())
    let pictures = "\(folder.path)/pictures.ftfindex"
    #expect(try ftf("index", pictures, "\(Goldens.folder)/images", "--model", model).code == 0)
    let (g, t) = ("\(folder.path)/g.npy", "\(folder.path)/t.npy")
    #expect(try ftf("embed", model, "--image", "\(Goldens.folder)/images/rgb.jpg", "-o", g).code == 0)
    #expect(try ftf("embed", model, "--text", "a bridge", "-o", t).code == 0)
    // A sentence has no vector where nobody says what made those of the index.
    #expect(try ftf("index", "import", index, g).code == 0)
    expectFailure(try ftf("search", index, "--text", "a bridge"), index, "--vectors", "--model")
    expectFailure(try ftf("search", index, "--text", "a bridge", "--model", model), "another model")
    expectFailure(try ftf("index", index, "\(Goldens.folder)/images", "--model", model), index, "an index of their own")
    expectFailure(try ftf("index", "import", pictures, g), pictures, "an index of their own")
    expectFailure(try ftf("index", "import", index, g, "--model", model), "not mixed")
    let other = try npy("other.npy", random.floats(2 * 40), columns: 40)
    expectFailure(try ftf("index", "import", index, other), "other.npy", "40")
    expectFailure(try ftf("search", index, "--vectors", other), "other.npy", "40")
    // Where somebody does, it finds, by recall alone; and vectors find pictures.
    let known = "\(folder.path)/known.ftfindex"
    #expect(try ftf("index", "import", known, g, "--model", model).code == 0)
    let found = try ftf("search", known, "--text", "a bridge", "--json")
    #expect(found.code == 0 && found.error.contains("recall alone") && (found.objects.first?["results"] as? [Any])?.count == 1, "\(found.error)")
    expectFailure(try ftf("search", known, "--text", "a bridge", "--explain", "\(folder.path)/why"), "no patches")
    let near = try ftf("search", pictures, "--vectors", t, "--top", "2", "--json")
    let sentence = try ftf("search", pictures, "--text", "a bridge", "--recall-only", "--top", "2", "--json", "--all-windows")
    let ids = (sentence.objects.first?["results"] as? [[String: Any]])?.compactMap { $0["id"] as? Int }
    #expect((near.objects.first?["ids"] as? [[Int]])?.first == ids, "\(near.error)\(sentence.error)")
  }

  @Test func filesThatAreNoVectorsAreRefusedByName() throws {
    expectFailure(try ftf("index", "import", index, try folder.file("x.npy", Data("hello".utf8))), "x.npy", ".npy")
    // A folder, and nothing at all.
    expectFailure(try ftf("index", "import", index, folder.path), folder.path, "cannot be read")
    expectFailure(try ftf("index", "import", index, "\(folder.path)/gone.npy"), "gone.npy", "cannot be read")
    expectFailure(try ftf("search", index, "--vectors", folder.path), index)
    var values = [Float](repeating: 1, count: 2 * dimension)
    values[dimension] = .nan
    expectFailure(try ftf("index", "import", index, try npy("nan.npy", values, columns: dimension)), "nan.npy", "row 1")
    let whole = try Data(contentsOf: URL(fileURLWithPath: npy("y.npy", [1, 2, 3, 4], columns: 2)))
    for count in [0, 5, 11, 60, 128, 140] {
      expectFailure(try ftf("index", "import", index, try folder.file("cut.npy", whole.prefix(count))), "cut.npy")
    }
  }
}
