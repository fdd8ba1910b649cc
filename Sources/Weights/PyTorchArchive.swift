import FTFFiles
import Foundation
import FTFKernels

/// A `.pt`, `.pth` or `.bin` file of PyTorch, by a reader that runs nothing: a zip archive whose `data.pkl` names tensors and whose
/// `data/` holds them (state dicts, checkpoints around one, TorchScript archives), or what PyTorch before 1.6 wrote, pickles one
/// after the other and then the data.
package final class PyTorchArchive: TensorSource, Sendable {
  package let path: String
  private let file: MappedFile
  /// Where the data of each storage lies, by its key.
  private let storages: [String: Range<Int>]
  private let tensors: [String: PickledTensor]
  package let isTorchScript: Bool

  package var names: Set<String> { Set(tensors.keys) }

  package init(path: String) throws(WeightsError) {
    self.path = path
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    let value: Pickled
    if Self.isLegacy(file.array(at: 0, count: min(file.count, FileKind.prefix))) {
      (value, storages, isTorchScript) = try Self.legacy(file)
    } else {
      (value, storages, isTorchScript) = try Self.zipped(file)
    }
    do {
      var found: [String: PickledTensor] = [:]
      var visits = 0
      try Self.collect(value, "", depth: 0, visits: &visits, into: &found)
      tensors = found
    } catch {
      throw .archive(path: path, reason: error.reason)
    }
    guard !tensors.isEmpty else { throw .archive(path: path, reason: "it holds no tensors") }
  }

  private typealias Content = (value: Pickled, storages: [String: Range<Int>], isTorchScript: Bool)

  private static func zipped(_ file: MappedFile) throws(WeightsError) -> Content {
    let path = file.path
    let entries = try ZipDirectory(file).entries
    guard let pickle = entries.values.first(where: { $0.name.hasSuffix("/data.pkl") }) else {
      throw .archive(path: path, reason: "it has no data.pkl")
    }
    let root = String(pickle.name.dropLast("data.pkl".count))
    if let order = entries["\(root)byteorder"] {
      let bytes: [UInt8] = file.array(at: order.bytes.lowerBound, count: order.bytes.count)
      guard bytes == Array("little".utf8) else {
        throw .archive(path: path, reason: "its numbers are not little-endian")
      }
    }
    guard pickle.bytes.count <= Unpickler.longest else {
      throw .archive(path: path, reason: "its data.pkl is too long")
    }
    var unpickler = Unpickler(file.array(at: pickle.bytes.lowerBound, count: pickle.bytes.count))
    let data = "\(root)data/"
    let stored = entries.filter { $0.key.hasPrefix(data) }.map { (String($0.key.dropFirst(data.count)), $0.value.bytes) }
    do {
      return (try unpickler.read(), Dictionary(uniqueKeysWithValues: stored), entries["\(root)constants.pkl"] != nil)
    } catch {
      throw .archive(path: path, reason: error.reason)
    }
  }

  /// What the pickle of PyTorch's magic number begins with: PROTO 2, LONG1 of ten bytes.
  static func isLegacy(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])
  }

  /// Pickles of a magic number, a version, a system, the object and the keys of its storages; then each storage in the order of the
  /// keys: a u64 count of elements and the elements.
  private static func legacy(_ file: MappedFile) throws(WeightsError) -> Content {
    let path = file.path
    var unpickler = Unpickler(file.array(at: 0, count: min(file.count, Unpickler.longest)))
    do throws(Unpickler.Refusal) {
      _ = try unpickler.read()
      guard case .int(1001) = try unpickler.read(), case .dict(let system) = try unpickler.read() else {
        throw Unpickler.Refusal(reason: "it has another version of the old form than 1001")
      }
      for case (.string("little_endian"), .bool(false)) in system.items {
        throw Unpickler.Refusal(reason: "its numbers are not little-endian")
      }
      let value = try unpickler.read()
      guard case .list(let keys) = try unpickler.read() else {
        throw Unpickler.Refusal(reason: "it does not say which storages it has")
      }
      var storages: [String: Range<Int>] = [:]
      var at = unpickler.at
      for case .string(let key) in keys.items {
        guard let storage = unpickler.storages[key], let size = storage.elementSize, at <= file.count - 8 else {
          throw Unpickler.Refusal(reason: "the storage '\(key)' is missing")
        }
        let (bytes, overflow) = Int(truncatingIfNeeded: file.load(at: at, as: UInt64.self)).multipliedReportingOverflow(by: size)
        guard !overflow, bytes >= 0, bytes <= file.count - at - 8 else {
          throw Unpickler.Refusal(reason: "the storage '\(key)' reaches past the file, which is truncated")
        }
        storages[key] = at + 8..<at + 8 + bytes
        at += 8 + bytes
      }
      return (value, storages, false)
    } catch {
      throw .archive(path: path, reason: error.reason)
    }
  }

  /// Names with dots from nested dictionaries and objects.
  private static func collect(
    _ value: Pickled, _ name: String, depth: Int, visits: inout Int, into found: inout [String: PickledTensor]
  ) throws(Unpickler.Refusal) {
    switch value {
    case .tensor(let tensor): found[name] = tensor
    case .dict(let dict):
      // A dictionary that holds another twice, and so on, would be walked for ever.
      visits += dict.items.count
      guard depth < 64, visits < 1 << 22 else { throw Unpickler.Refusal(reason: "the pickle is nested too deeply") }
      for (key, value) in dict.items {
        guard case .string(let key) = key else { continue }
        try collect(value, name.isEmpty ? key : "\(name).\(key)", depth: depth + 1, visits: &visits, into: &found)
      }
    default: break
    }
  }

  package func shape(_ name: String) -> [Int]? { tensors[name]?.shape }

  package func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    guard let tensor = tensors[name] else { throw .missingTensor(path: path, tensor: name) }
    guard tensor.shape == shape else { throw .badShape(path: path, tensor: name, expected: shape, found: tensor.shape) }
    let types: [String: ElementType] = [
      "torch.FloatStorage": .f32, "torch.HalfStorage": .f16, "torch.BFloat16Storage": .bf16, "torch.DoubleStorage": .f64,
    ]
    guard let type = types[tensor.storage.type] else {
      throw .badType(path: path, tensor: name, expected: "floats", found: tensor.storage.type)
    }
    guard let bytes = storages[tensor.storage.key] else {
      throw .archive(path: path, reason: "the data of tensor '\(name)' is missing")
    }
    let size = type.size
    // The last element that the strides reach, with every step checked.
    var (last, count) = (tensor.offset, 1)
    for (extent, stride) in zip(shape, tensor.strides) {
      let (total, overflow) = count.multipliedReportingOverflow(by: extent)
      let (reach, overflown) = max(extent - 1, 0).multipliedReportingOverflow(by: stride)
      let (next, overrun) = last.addingReportingOverflow(reach)
      guard !overflow, !overflown, !overrun else {
        throw .badValue(path: path, tensor: name, reason: "has an impossible shape")
      }
      (count, last) = (total, next)
    }
    guard count == 0 || last < bytes.count / size, count <= bytes.count / size else {
      throw .badValue(path: path, tensor: name, reason: "reaches past its data")
    }
    let start = bytes.lowerBound + tensor.offset * size
    // What the strides span, and then its elements in their order; they are all of it in nearly every file.
    let spanned = count == 0 ? [] : file.floats(type, at: start, count: last - tensor.offset + 1)!
    let values = Self.isContiguous(shape, tensor.strides) ? spanned : Self.ordered(spanned, shape, tensor.strides)
    file.use(bytes, .over)
    guard values.allSatisfy(\.isFinite) else {
      throw .badValue(path: path, tensor: name, reason: "holds values that are not finite")
    }
    return values
  }

  private static func isContiguous(_ shape: [Int], _ strides: [Int]) -> Bool {
    var size = 1
    for (extent, stride) in zip(shape, strides).reversed() {
      if extent != 1 && stride != size { return false }
      size *= extent
    }
    return true
  }

  /// Elements in the order of the shape, the last axis fastest.
  private static func ordered(_ values: [Float], _ shape: [Int], _ strides: [Int]) -> [Float] {
    var result = [Float](repeating: 0, count: shape.reduce(1, *))
    var index = [Int](repeating: 0, count: shape.count)
    var at = 0
    for i in result.indices {
      result[i] = values[at]
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        at += strides[axis]
        if index[axis] < shape[axis] { break }
        at -= index[axis] * strides[axis]
        index[axis] = 0
        axis -= 1
      }
    }
    return result
  }
}
