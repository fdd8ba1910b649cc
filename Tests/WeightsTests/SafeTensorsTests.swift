import Foundation
import FTFTestSupport
import Testing
import FTFWeights

@Suite struct HostileFiles {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  /// A file of that header and so many bytes of data.
  func file(_ header: String, data: Int = 0, length: UInt64? = nil) throws -> String {
    var bytes = unsafe withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { unsafe Data($0) }
    bytes.append(Data(header.utf8))
    bytes.append(Data(count: data))
    return try folder.file("x.safetensors", bytes)
  }

  func reason(_ path: String) -> String {
    do {
      _ = try SafeTensors(path: path)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func lyingHeadersAreRefusedAndTheFileIsNamed() throws {
    let cases: [(header: String, data: Int, expected: String)] = [
      ("", 0, "JSON"), ("[]", 0, "JSON"), ("{\"a\":1}", 0, "no dtype"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "size"),
      (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "shape"),
      (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4, "shape"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 0, "truncated"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "gap"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 8, "outside"),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
        6, "overlaps"
      ),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 9, "no tensor"),
      (#"{"__metadata__":{"a":1}}"#, 0, "strings"),
    ]
    for (header, data, expected) in cases {
      let path = try file(header, data: data)
      let found = reason(path)
      #expect(found.contains(expected) && found.contains(path), "\(header): \(found)")
    }
    #expect(reason(try file("{}", length: 1 << 60)).contains("1152921504606846976"))
    #expect(reason(try folder.file("short", Data([1, 2]))).contains("2 bytes"))
    #expect(reason("\(folder.path)/none").contains("No such file"))
    #expect(reason(folder.path).contains("not a regular file"))
  }

  @Test func tensorsOfUnknownTypesAreLeftAlone() throws {
    let header =
      #"{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"C64","shape":[1],"data_offsets":[4,12]},"c":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[12,15]}}"#
    let file = try SafeTensors(path: file(header, data: 15))
    #expect(try file.floats("a", shape: [1]) == [0] && file.names == ["a", "b", "c"])
    do {
      _ = try file.floats("b", shape: [1])
      Issue.record("was read")
    } catch {
      #expect("\(error)".contains("C64"))
    }
  }

  @Test func whatIsNoFileOfWeightsIsNamed() throws {
    for (content, name) in [
      ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
      ("<!doctype html><html>404</html>", "HTML"), ("", "empty"),
    ] {
      for file in ["a.safetensors", "a.pt", "a.ftf"] {
        let path = try folder.file(file, Data(content.utf8))
        do {
          if file.hasSuffix("ftf") { _ = try Model(path: path) } else { _ = try SourceModel(path) }
          Issue.record("was taken")
        } catch {
          #expect("\(error)".contains(name) && "\(error)".contains(path), "\(error)")
        }
      }
    }
  }

  @Test func infiniteWeightsAndMinus128AreRefused() throws {
    let path = try folder.file("values")
    try SafeTensors.write(
      [StoredTensor("f", shape: [2], .f32([1, .nan])), StoredTensor("q", shape: [2], .i8([1, -128]))], metadata: [:],
      to: path)
    let file = try SafeTensors(path: path)
    #expect(throws: WeightsError.self) { try file.floats("f", shape: [2]) }
    #expect(throws: WeightsError.self) { try file.codes("q", shape: [2]) }
    #expect(throws: WeightsError.badShape(path: path, tensor: "f", expected: [3], found: [2])) {
      try file.floats("f", shape: [3])
    }
    #expect(throws: WeightsError.missingTensor(path: path, tensor: "g")) { try file.floats("g", shape: [3]) }
  }

  @Test func aModelCutAnywhereOrDamagedIsAnErrorAndNeverACrash() throws {
    let whole = try folder.file("tiny.ftf")
    try SourceModel("\(Goldens.folder)/tiny").write(fp32: whole)
    let data = try Data(contentsOf: URL(fileURLWithPath: whole))
    #expect(throws: Never.self) { try Model(path: whole) }
    for length in stride(from: 0, to: data.count, by: data.count / 61) {
      let cut = try folder.file("cut.ftf", data.prefix(length))
      #expect(throws: WeightsError.self) { try Model(path: cut) }
    }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      var damaged = data
      damaged[Int.random(in: 0..<9000, using: &random)] = UInt8.random(in: 0...255, using: &random)
      _ = try? Model(path: folder.file("damaged.ftf", damaged))
    }
  }
}

@Suite struct Sources {
  @Test(arguments: [
    ("\"dimension\": 24", "\"dimension\": 32", "shape"), ("\"kernel\": 5", "\"kernel\": 7", "kernel 7"),
    ("\"output\": 20", "\"output\": 24", "shape"), ("\"heads\": 4", "\"heads\": 5", "heads"),
    ("\"input\": 8", "\"input\": 16", "input 16"), ("\"gelu\"", "\"swish\"", "swish"),
    ("\"bert\"", "\"gpt\"", "gpt"), ("\"layers\": 2", "\"layers\": 3", "no tensor"),
    ("\"stem\": 8", "\"stem\": \"x\"", "stem"), ("\"tau\": 0.1", "\"tau\": 0", "tau"),
    ("\"blocks\"", "\"blox\"", "blocks"),
    ("\"context_length\": 24", "\"context_length\": 9999999", "context_length"),
    ("\"image_size\": 56", "\"image_size\": 2048", "crops"), ("\"expand\": 3", "\"expand\": 17", "widths"),
    ("\"vocabulary\"", "\"vocab\"", "vocabulary"),
  ]) func aConfigThatContradictsItsTensorsIsNamed(from: String, to: String, expected: String) throws {
    let folder = try TemporaryFolder()
    let tiny = "\(Goldens.folder)/tiny"
    for name in ["model.safetensors", "vocab.txt"] {
      try FileManager.default.copyItem(atPath: "\(tiny)/\(name)", toPath: "\(folder.path)/\(name)")
    }
    let config = try String(contentsOfFile: "\(tiny)/config.json", encoding: .utf8)
    #expect(config.contains(from))
    _ = try folder.file("config.json", Data(config.replacingOccurrences(of: from, with: to).utf8))
    do {
      _ = try SourceModel(folder.path)
      Issue.record("was taken")
    } catch {
      #expect("\(error)".contains(expected) && "\(error)".contains(folder.path), "\(error)")
    }
  }

  /// A small file could ask for any amount of memory.
  @Test func configsThatNeedImpossibleMemoryAreRefused() throws {
    let tiny = try String(contentsOfFile: "\(Goldens.folder)/tiny/config.json", encoding: .utf8)
    let wide = tiny.replacingOccurrences(of: ": 56", with: ": 2048")
    for (json, expected) in [
      (
        wide.replacingOccurrences(of: "\"expand\": 6,\n    \"input\": 12", with: "\"expand\": 16,\n    \"input\": 12"),
        ""
      ),
      (
        wide.replacingOccurrences(of: "\"stem\": 8", with: "\"stem\": 4096").replacingOccurrences(
          of: "\"input\": 8", with: "\"input\": 4096"), "activations"
      ),
      (
        tiny.replacingOccurrences(of: "\"context_length\": 24", with: "\"context_length\": 8192")
          .replacingOccurrences(of: "\"positions\": 40", with: "\"positions\": 8192")
          .replacingOccurrences(of: "\"hidden\": 64", with: "\"hidden\": 65536"), "context_length"
      ),
    ] {
      do {
        _ = try ModelConfig(json: Data(json.utf8), path: "x")
        #expect(expected.isEmpty)
      } catch {
        #expect(!expected.isEmpty && "\(error)".contains(expected), "\(error)")
      }
    }
  }

  @Test func quantisedRowsAreWithinHalfAStepAndAZeroRowIsZero() {
    var random = SeededGenerator(seed: 3)
    let values = random.floats(5 * 64) + [Float](repeating: 0, count: 64)
    let layer = RoundedLayer(nearest: values, rows: 6)
    let (codes, scales) = (layer.codes, layer.scales)
    #expect(
      RoundedLayer(nearest: [.leastNonzeroMagnitude, 0, -.leastNonzeroMagnitude], rows: 1).codes == [0, 0, 0],
      "a row of the smallest numbers")
    for i in values.indices {
      #expect(abs(values[i] - scales[i / 64] * Float(codes[i])) <= scales[i / 64] * 0.500001)
    }
    #expect(codes.suffix(64).allSatisfy { $0 == 0 } && codes.contains { abs($0) == 127 } && !codes.contains(-128))
  }
}
