import Foundation
import Kernels

/// A `.pt`, `.pth` or `.bin` file of PyTorch: a zip archive whose `data.pkl` names tensors and whose `data/` holds them. State
/// dicts, checkpoints that wrap one (`state_dict`, `model`, `module.` before every name) and TorchScript archives are read, by
/// a reader that runs nothing.
final class PyTorchArchive: TensorSource, Sendable {
  let path: String
  private let file: MappedFile
  private let entries: [String: ZipDirectory.Entry]
  /// The folder that every entry lies in.
  private let root: String
  private let tensors: [String: PickledTensor]
  /// Whether the archive holds a program, as OpenAI's CLIP files do; the program is not looked at.
  let isTorchScript: Bool

  var names: Set<String> { Set(tensors.keys) }

  init(path: String) throws(WeightsError) {
    self.path = path
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    entries = try ZipDirectory(file).entries
    guard let pickle = entries.values.first(where: { $0.name.hasSuffix("/data.pkl") }) else {
      throw .archive(path: path, reason: "it has no data.pkl; files older than PyTorch 1.6 have to be saved again")
    }
    root = String(pickle.name.dropLast("data.pkl".count))
    isTorchScript = entries["\(root)constants.pkl"] != nil
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
    do {
      var found: [String: PickledTensor] = [:]
      var visits = 0
      try Self.collect(try unpickler.read(), "", depth: 0, visits: &visits, into: &found)
      tensors = Self.unwrapped(found)
    } catch {
      throw .archive(path: path, reason: error.reason)
    }
    guard !tensors.isEmpty else { throw .archive(path: path, reason: "it holds no tensors") }
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

  /// The names of the model inside a checkpoint: what wraps all of them is taken off.
  private static func unwrapped(_ tensors: [String: PickledTensor]) -> [String: PickledTensor] {
    var tensors = tensors
    for wrapper in ["state_dict.", "model.", "module."] where tensors.keys.contains(where: { $0.hasPrefix(wrapper) }) {
      let inside = tensors.filter { $0.key.hasPrefix(wrapper) }
      // `model.` may be a part of a model's own names; a wrapper holds most of what there is.
      guard wrapper == "state_dict." || inside.count * 2 > tensors.count else { continue }
      tensors = Dictionary(uniqueKeysWithValues: inside.map { (String($0.key.dropFirst(wrapper.count)), $0.value) })
    }
    return tensors
  }

  func shape(_ name: String) -> [Int]? { tensors[name]?.shape }

  func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    guard let tensor = tensors[name] else { throw .missingTensor(path: path, tensor: name) }
    guard tensor.shape == shape else { throw .badShape(path: path, tensor: name, expected: shape, found: tensor.shape) }
    let types: [String: ElementType] = [
      "torch.FloatStorage": .f32, "torch.HalfStorage": .f16, "torch.BFloat16Storage": .bf16,
    ]
    guard let type = types[tensor.storage.type] else {
      throw .badType(path: path, tensor: name, expected: "floats", found: tensor.storage.type)
    }
    guard let entry = entries["\(root)data/\(tensor.storage.key)"] else {
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
    guard count == 0 || last < entry.bytes.count / size, count <= entry.bytes.count / size else {
      throw .badValue(path: path, tensor: name, reason: "reaches past its data")
    }
    let start = entry.bytes.lowerBound + tensor.offset * size
    // What the strides span, and then its elements in their order; they are all of it in nearly every file.
    let spanned = count == 0 ? [] : file.floats(type, at: start, count: last - tensor.offset + 1)!
    let values = Self.isContiguous(shape, tensor.strides) ? spanned : Self.ordered(spanned, shape, tensor.strides)
    file.release(entry.bytes)
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
