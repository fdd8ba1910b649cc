import Foundation
import FTFTestSupport
import Testing

@testable import FTFWeights

@Suite struct PyTorchArchives {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private let six = Data((0..<6).flatMap { withBytes(Float($0)) })

  private func archive(_ data: Data, _ name: String = "x.pt") throws -> PyTorchArchive {
    try PyTorchArchive(path: folder.file(name, data))
  }

  private func reason(_ data: Data) -> String {
    do {
      let archive = try archive(data)
      for name in archive.names { _ = try archive.floats(name, shape: archive.shape(name)!) }
      return ""
    } catch {
      return "\(error)"
    }
  }

  private func file(_ pickle: Data, data: Data? = nil) -> Data {
    ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data/0", data ?? six)])
  }

  @Test func aCheckpointOfPyTorchHoldsTheWeightsOfTheSafetensorsFile() throws {
    let archive = try UnwrappedTensors(PyTorchArchive(path: "\(Goldens.folder)/clip.pt"))
    let tensors = try SafeTensors(path: "\(Goldens.folder)/clip/model.safetensors")
    #expect(archive.names == tensors.names && archive.names.count > 60)
    for name in tensors.names {
      let shape = tensors.shape(name)!
      #expect(try archive.floats(name, shape: shape) == tensors.floats(name, shape: shape), "\(name)")
    }
  }

  @Test func aTorchScriptArchiveIsReadWithoutItsProgram() throws {
    let archive = try PyTorchArchive(path: "\(Goldens.folder)/script.pt")
    #expect(archive.isTorchScript)
    #expect(try archive.floats("inner.weight", shape: [3, 4]) == (0..<12).map { Float($0) / 8 })
    #expect(try archive.floats("inner.0.bias", shape: [5]) == [-2, -1, 0, 1, 2])
    #expect(try archive.floats("brain", shape: [2]) == [1.5, -2.5])
  }

  @Test func stridesAndOffsetsAreFollowed() throws {
    let straight = try archive(file(ArchiveWriter.pickle(shape: [2, 3], strides: [3, 1])), "a.pt")
    #expect(try straight.floats("w", shape: [2, 3]) == [0, 1, 2, 3, 4, 5])
    let turned = try archive(file(ArchiveWriter.pickle(shape: [3, 2], strides: [1, 3])), "b.pt")
    #expect(try turned.floats("w", shape: [3, 2]) == [0, 3, 1, 4, 2, 5])
    let part = try archive(file(ArchiveWriter.pickle(shape: [2], strides: [2], offset: 3)), "c.pt")
    #expect(try part.floats("w", shape: [2]) == [3, 5])
    #expect(try archive(file(ArchiveWriter.pickle(shape: [0], strides: [1])), "d.pt").floats("w", shape: [0]).isEmpty)
  }

  @Test func tensorsThatReachPastTheirDataAreRefused() {
    for (shape, strides, offset) in [
      ([7], [1], 0), ([2, 3], [3, 2], 0), ([1], [1], 6), ([2], [1 << 30], 0), ([1 << 30, 1 << 30, 8], [0, 0, 0], 0),
    ] as [([Int32], [Int32], Int32)] {
      let found = reason(file(ArchiveWriter.pickle(shape: shape, strides: strides, offset: offset)))
      #expect(found.contains("'w'"), "\(shape): \(found)")
    }
    #expect(reason(file(ArchiveWriter.pickle(shape: [-1], strides: [1]))).contains("negative"))
    #expect(
      reason(file(ArchiveWriter.pickle(shape: [6], strides: [1], storage: "LongStorage"))).contains("LongStorage"))
    #expect(reason(file(ArchiveWriter.pickle(shape: [1], strides: [1]), data: withBytes(Float.nan))).contains("finite"))
    #expect(
      reason(ArchiveWriter.zip([.init("a/data.pkl", ArchiveWriter.pickle(shape: [6], strides: [1]))])).contains(
        "missing"))
  }

  @Test(arguments: [
    ("cposix\nsystem\n(X\u{4}\0\0\0truetR.", "no tensors"), ("cbuiltins\neval\n)R.", "no tensors"),
    ("(ios\nsystem\n.", "no tensors"), ("\u{82}\u{1}.", "opcode"), ("\u{97}.", "opcode"), ("Px\n.", "opcode"), ("i", "truncated"), ("}", "truncated"),
    ("", "truncated"), (".", "takes more"), ("}K\u{1}e.", "mark"),
    ("h\u{9}.", "recalls"), ("K\u{1}(u.", "dictionary"), ("X\u{7f}\u{7f}\u{7f}\u{7f}", "truncated"),
    ("}.", "no tensors"),
    ("(((((((t.", "no tensors"), ("K\u{1}K\u{2}R.", "no tensors"),
  ]) func picklesThatAreNotWeightsAreRefused(pickle: String, expected: String) throws {
    // Each scalar is one byte.
    let bytes = Data([0x80, 2] + pickle.unicodeScalars.map { UInt8($0.value) })
    let found = reason(file(bytes))
    #expect(found.contains(expected) && found.contains(folder.path), "\(found)")
  }

  /// `{"args": what, "w": tensor}`.
  private func beside(_ what: String) -> Data {
    let tensor = ArchiveWriter.pickle(shape: [6], strides: [1]).dropFirst(3)
    return Data([0x80, 2]) + Data("}X\u{4}\0\0\0args".utf8) + Data(what.unicodeScalars.map { UInt8($0.value) }) + Data("s".utf8) + tensor
  }

  @Test(arguments: [
    "cargparse\nNamespace\n)\u{81}}X\u{1}\0\0\0lK\u{1}sb", "ccollections\ndefaultdict\nc__builtin__\nlist\n\u{85}RX\u{1}\0\0\0kK\u{1}s",
    "c__builtin__\nset\n](K\u{1}K\u{2}e\u{85}R", "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\u{2}\0\0\0f8\u{85}RX\u{1}\0\0\0x\u{86}R",
    "\u{8a}\u{9}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}", "B\u{2}\0\0\0ab", "C\u{1}a", "\u{8f}(K\u{1}\u{90}", "(K\u{1}\u{91}", "I01\n",
    "L12L\n",
    "F1.5\n", "S'abc'\n", "(dp5\n", "(ios\nsystem\n", "cposix\nsystem\nX\u{4}\0\0\0true\u{85}R",
  ]) func whatLiesBesideTheTensorsIsLeftAloneAndNotRun(what: String) throws {
    #expect(try archive(file(beside(what)), "x.pt").floats("w", shape: [6]) == [0, 1, 2, 3, 4, 5])
  }

  @Test func filesOlderThanTheZipFormAreRead() throws {
    let magic = Data([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e])
    let version = Data([0x80, 2, 0x4d, 0xe9, 3, 0x2e])
    let system = Data([0x80, 2]) + Data("}X\u{d}\0\0\0little_endian".utf8) + Data([0x88, 0x73, 0x2e])
    let keys = Data([0x80, 2]) + Data("]X\u{1}\0\0\00a.".utf8)
    let whole = magic + version + system + ArchiveWriter.pickle(shape: [2, 3], strides: [3, 1]) + keys + Data([6, 0, 0, 0, 0, 0, 0, 0]) + six
    #expect(try archive(whole, "x.pth.tar").floats("w", shape: [2, 3]) == [0, 1, 2, 3, 4, 5])
    for length in 0..<whole.count { #expect(!reason(whole.prefix(length)).isEmpty, "cut to \(length) bytes") }
  }

  @Test func dictionariesThatHoldEachOtherEndInAnError() {
    // d0 = {}; d1 = {a: d0, b: d0}; d2 = {a: d1, b: d1} ...: 2^40 paths.
    var pickle = Data([0x80, 2]) + Data("}q\0".utf8)
    for i in 1...40 as ClosedRange<UInt8> {
      pickle +=
        Data("}q".utf8) + [i] + Data("X\u{1}\0\0\0ah".utf8) + [i - 1] + Data("sX\u{1}\0\0\0bh".utf8) + [i - 1]
        + Data("s".utf8)
    }
    #expect(reason(file(pickle + Data(".".utf8))).contains("nested"))
  }

  @Test func bentZipFilesAreRefused() {
    let (pickle, data) = (ArchiveWriter.pickle(shape: [6], strides: [1]), six)
    let good = ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data/0", data)])
    #expect(reason(good) == "")
    let cases: [(Data, String)] = [
      (ArchiveWriter.zip([.init("a/data.pkl", pickle, method: 8), .init("a/data/0", data)]), "data.pkl"),
      (ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data/0", data, size: 0x7fff_ffff)]), "reaches"),
      (ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data/0", data, offset: 0)]), "overlap"),
      (
        ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data/0", data, offset: 0x7fff_ffff)]),
        "where it should be"
      ),
      (ArchiveWriter.zip([.init("a/data.pkl", pickle), .init("a/data.pkl", pickle)]), "twice"),
      (ArchiveWriter.zip([.init("a/data.pkl", pickle)], count: 60000), "broken"),
      (Data("PK".utf8), "2 bytes"), (Data(count: 4000), "no zip"), (Data("\u{80}\u{2}}.".utf8), "bytes"),
    ]
    for (file, expected) in cases { #expect(reason(file).contains(expected), "\(expected): \(reason(file))") }
    for length in 0..<good.count { #expect(!reason(good.prefix(length)).isEmpty, "cut to \(length) bytes") }
  }
}

/// What the fuzzer starts from is what libraries write: both readers together have to take all of it, to the last tensor.
@Suite struct FuzzerSeeds {
  @Test func everySeedIsRead() throws {
    let folder = URL(fileURLWithPath: Goldens.folder).deletingLastPathComponent().appendingPathComponent("Fuzz/corpus/weights")
      .path
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(names.count >= 6)
    for name in names {
      let path = "\(folder)/\(name)"
      if name.hasSuffix(".json") {
        let config = try ModelConfig(json: Data(contentsOf: URL(fileURLWithPath: path)), path: path)
        #expect(try ModelConfig(json: Data(config.json().utf8), path: path) == config)
        continue
      }
      let source: any TensorSource = try name.hasSuffix(".pt") ? PyTorchArchive(path: path) : SafeTensors(path: path)
      #expect(!source.names.isEmpty)
      for tensor in source.names where tensor != "d" {
        _ = try source.floats(tensor, shape: #require(source.shape(tensor)))
      }
    }
    let mixed = try SafeTensors(path: "\(folder)/mixed.safetensors")
    #expect(try mixed.codes("d", shape: [6]) == [0, 1, 2, 3, 4, 5])
    #expect(try mixed.floats("c", shape: [6]) == mixed.floats("b", shape: [6]))
    #expect(try PyTorchArchive(path: "\(folder)/strided.pt").floats("model.w", shape: [2, 3]) == [0, 2, 4, 1, 3, 5])
  }
}

private func withBytes(_ value: Float) -> Data {
  unsafe withUnsafeBytes(of: value.bitPattern.littleEndian) { unsafe Data($0) }
}
