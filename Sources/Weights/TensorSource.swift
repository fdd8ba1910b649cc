import FTFFiles
import Foundation
import FTFKernels

/// Named tensors from a file, or from several: what a source model is read from.
package protocol TensorSource: Sendable {
  /// What an error names.
  var path: String { get }
  var names: Set<String> { get }
  func shape(_ name: String) -> [Int]?
  /// Throws where there is no such tensor or its shape is another; a source that renames may leave that to `floats`.
  func check(_ name: String, shape: [Int]) throws(WeightsError)
  /// Says that a tensor will be read, where neither `check` nor `floats` is called yet.
  func take(_ name: String)
  /// The tensor's values as f32, all finite; throws where its shape is another than given.
  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float]
  /// Whether it came with a program, as OpenAI's CLIP files do; the program is not looked at.
  var isTorchScript: Bool { get }
  /// What was chosen among several that it holds, for the user to see.
  var decisions: [String] { get }
}

extension TensorSource {
  package var isTorchScript: Bool { false }
  package var decisions: [String] { [] }
  package func take(_ name: String) {}

  package func check(_ name: String, shape expected: [Int]) throws(WeightsError) {
    guard let found = shape(name) else { throw .missingTensor(path: path, tensor: name) }
    guard found == expected else { throw .badShape(path: path, tensor: name, expected: expected, found: found) }
  }
}

extension SafeTensors: TensorSource {
  package var names: Set<String> { Set(tensors.keys) }
  package func shape(_ name: String) -> [Int]? { tensors[name]?.shape }
}

/// The tensors of a source under other names.
struct RenamedTensors: TensorSource {
  let base: any TensorSource
  /// From another name to the source's.
  let rename: @Sendable (String) -> String
  var path: String { base.path }
  /// The source's own.
  var names: Set<String> { base.names }

  func shape(_ name: String) -> [Int]? { base.shape(rename(name)) }
  func take(_ name: String) { base.take(rename(name)) }
  func check(_ name: String, shape: [Int]) throws(WeightsError) { try base.check(rename(name), shape: shape) }
  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    try base.floats(rename(name), shape: shape)
  }
}

/// Several files of weights with an index: `{"weight_map": {tensor: file}}`.
struct ShardedTensors: TensorSource {
  let path: String
  private let shards: [String: any TensorSource]
  private let files: [String: String]
  var names: Set<String> { Set(files.keys) }

  init(index path: String) throws(WeightsError) {
    struct Index: Decodable { var weight_map: [String: String] }
    self.path = path
    let data = try SourceModel.read(path)
    guard let index = try? JSONDecoder().decode(Index.self, from: data) else {
      throw .malformed(path: path, reason: "it has no weight_map of tensors to files")
    }
    files = index.weight_map
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
    var shards: [String: any TensorSource] = [:]
    for file in Set(files.values) {
      // A name that leaves the folder is not a shard's.
      guard !file.contains("/"), file != ".." else {
        throw .malformed(path: path, reason: "it names the file '\(file)'")
      }
      shards[file] = try SafeTensors.container(folder.appendingPathComponent(file).path)
    }
    self.shards = shards
    for (name, file) in files where shards[file]?.shape(name) == nil {
      throw .missingTensor(path: folder.appendingPathComponent(file).path, tensor: name)
    }
  }

  func shape(_ name: String) -> [Int]? { files[name].flatMap { shards[$0]?.shape(name) } }

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    guard let shard = files[name].flatMap({ shards[$0] }) else { throw .missingTensor(path: path, tensor: name) }
    return try shard.floats(name, shape: shape)
  }
}

/// Who wrote a folder of weights, which tells what they are called.
enum WeightsLayout {
  case transformers, openCLIP

  private var files: [String] {
    switch self {
    case .transformers: ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"]
    case .openCLIP: ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    }
  }

  /// The weights of a folder in this layout, if they are there.
  func file(in folder: String) -> String? {
    files.map { "\(folder)/\($0)" }.first { FileManager.default.fileExists(atPath: $0) }
  }
}

extension TensorSource where Self == SafeTensors {
  /// The weights of a folder, or a file of them, in whichever container they are and whatever wraps their names.
  ///
  /// - Parameter layout: whose files come first in a folder that has several.
  static func open(_ path: String, _ layout: WeightsLayout = .transformers) throws(WeightsError) -> any TensorSource {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw .unreadable(path: path, reason: "there is no such file or folder")
    }
    guard isFolder.boolValue else { return try UnwrappedTensors(container(path)) }
    let order: [WeightsLayout] = layout == .openCLIP ? [.openCLIP, .transformers] : [.transformers, .openCLIP]
    guard let file = order.lazy.compactMap({ $0.file(in: path) }).first else {
      throw .unreadable(
        path: path,
        reason: "it holds no weights; a model is a folder with config.json, model.safetensors and its tokenizer's files")
    }
    return try UnwrappedTensors(container(file))
  }

  /// By what a file holds: its ending says nothing that can be relied on.
  static func container(_ path: String) throws(WeightsError) -> any TensorSource {
    if path.hasSuffix(".index.json") { return try ShardedTensors(index: path) }
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    let first: [UInt8] = file.array(at: 0, count: min(file.count, FileKind.prefix))
    if PyTorchArchive.isLegacy(first) || first.starts(with: [0x50, 0x4b]) { return try PyTorchArchive(path: path) }
    if first.count > 8, first[8] == UInt8(ascii: "{") { return try SafeTensors(path: path) }
    if let kind = FileKind.name(of: first) { throw .unreadable(path: path, reason: "it is \(kind), no file of weights") }
    // Neither: the ending says whose error the user expects.
    return path.hasSuffix(".safetensors") ? try SafeTensors(path: path) : try PyTorchArchive(path: path)
  }
}
