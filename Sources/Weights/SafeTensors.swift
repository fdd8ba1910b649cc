import Foundation
import Kernels

/// Element types of a safetensors file that this project reads.
package enum ElementType: String, Sendable {
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i8 = "I8"

  package var size: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .i8: 1
    }
  }
}

/// A safetensors file, mapped: a little-endian u64 with the length of a JSON header, the header, then the tensors'
/// bytes without gaps. Everything in the header is checked when the file is opened.
///
/// | bytes | holds |
/// |---|---|
/// | 0 ..< 8 | n, the length of the header, at most 64 MiB |
/// | 8 ..< 8 + n | JSON: `{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}` |
/// | 8 + n ... | data; offsets count from here |
package final class SafeTensors: Sendable {
  package struct Tensor: Sendable, Equatable {
    package var type: ElementType
    package var shape: [Int]
    /// In bytes of the file.
    var bytes: Range<Int>
    package var count: Int { bytes.count / type.size }
  }

  static let longestHeader = 64 << 20

  package let path: String
  package let metadata: [String: String]
  package let tensors: [String: Tensor]
  private let file: MappedFile

  package init(path: String) throws(WeightsError) {
    self.path = path
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    self.file = file
    let bytes = file.bytes
    guard bytes.byteCount >= 8 else { throw .malformed(path: path, reason: "it has \(bytes.byteCount) bytes") }
    let length = bytes.load64(at: 0)
    guard length <= UInt64(min(Self.longestHeader, bytes.byteCount - 8)) else {
      throw .malformed(path: path, reason: "its header claims \(length) bytes of \(bytes.byteCount)")
    }
    let start = 8 + Int(length)
    guard let header = Self.object(bytes.extracting(8..<start)) else {
      throw .malformed(path: path, reason: "its header is not a JSON object")
    }
    (tensors, metadata) = try Self.parse(header, path: path, start: start, end: bytes.byteCount)
  }

  private static func object(_ bytes: RawSpan) -> [String: Any]? {
    let data = unsafe bytes.withUnsafeBytes { unsafe Data($0) }
    return try? JSONSerialization.jsonObject(with: data) as? [String: Any]
  }

  private static func parse(
    _ header: [String: Any], path: String, start: Int, end: Int
  ) throws(WeightsError) -> ([String: Tensor], [String: String]) {
    var tensors: [String: Tensor] = [:]
    for (name, value) in header where name != "__metadata__" {
      func malformed(_ reason: String) -> WeightsError { .malformed(path: path, reason: "tensor '\(name)' \(reason)") }
      guard let entry = value as? [String: Any], let dtype = entry["dtype"] as? String,
        let shape = entry["shape"] as? [Int], let offsets = entry["data_offsets"] as? [Int], offsets.count == 2
      else { throw malformed("has no dtype, shape and data_offsets") }
      guard let type = ElementType(rawValue: dtype) else { throw malformed("has the unknown type \(dtype)") }
      var size = type.size
      for extent in shape {
        let (product, overflow) = size.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow else { throw malformed("has the impossible shape \(shape)") }
        size = product
      }
      guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= end - start else {
        throw malformed("lies outside of the file, which is truncated or hostile")
      }
      guard offsets[1] - offsets[0] == size else { throw malformed("has a size that its shape does not explain") }
      tensors[name] = Tensor(type: type, shape: shape, bytes: start + offsets[0]..<start + offsets[1])
    }
    var next = start
    for (name, tensor) in tensors.sorted(by: { ($0.value.bytes.lowerBound, $0.value.bytes.upperBound) < ($1.value.bytes.lowerBound, $1.value.bytes.upperBound) }) {
      guard tensor.bytes.lowerBound == next else {
        throw .malformed(path: path, reason: "tensor '\(name)' overlaps another or leaves a gap")
      }
      next = tensor.bytes.upperBound
    }
    guard next == end else { throw .malformed(path: path, reason: "\(end - next) bytes belong to no tensor") }
    let metadata = header["__metadata__"] as? [String: String]
    guard header["__metadata__"] == nil || metadata != nil else {
      throw .malformed(path: path, reason: "its metadata holds more than strings")
    }
    return (tensors, metadata ?? [:])
  }

  /// The tensor of that name, whose shape must be the one given.
  package func tensor(_ name: String, shape: [Int]) throws(WeightsError) -> Tensor {
    guard let tensor = tensors[name] else { throw .missingTensor(path: path, tensor: name) }
    guard tensor.shape == shape else {
      throw .badShape(path: path, tensor: name, expected: shape, found: tensor.shape)
    }
    return tensor
  }

  /// The tensor's values as f32, all finite.
  package func floats(_ name: String, shape: [Int]) throws(WeightsError) -> [Float] {
    let tensor = try tensor(name, shape: shape)
    let file = file
    let bytes = file.bytes.extracting(tensor.bytes)
    var values = [Float](repeating: 0, count: tensor.count)
    switch tensor.type {
    case .f32:
      for i in 0..<values.count { values[i] = Float(bitPattern: bytes.load32(at: 4 * i)) }
    case .f16:
      for i in 0..<values.count { values[i] = Self.single(half: bytes.load16(at: 2 * i)) }
    case .bf16:
      for i in 0..<values.count { values[i] = Float(bitPattern: UInt32(bytes.load16(at: 2 * i)) << 16) }
    case .i8:
      throw .badType(path: path, tensor: name, expected: "floats", found: "I8")
    }
    guard values.allSatisfy(\.isFinite) else {
      throw .badValue(path: path, tensor: name, reason: "holds values that are not finite")
    }
    return values
  }

  /// The tensor's int8 codes, all in [-127, 127].
  package func codes(_ name: String, shape: [Int]) throws(WeightsError) -> [Int8] {
    let tensor = try tensor(name, shape: shape)
    guard tensor.type == .i8 else {
      throw .badType(path: path, tensor: name, expected: "I8", found: tensor.type.rawValue)
    }
    let file = file
    let bytes = file.bytes.extracting(tensor.bytes)
    let codes = unsafe bytes.withUnsafeBytes { unsafe [Int8]($0.bindMemory(to: Int8.self)) }
    guard !codes.contains(-128) else { throw .badValue(path: path, tensor: name, reason: "holds -128") }
    return codes
  }

  /// IEEE half to single precision, exactly.
  static func single(half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1f
    let fraction = UInt32(half & 0x3ff)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return sign == 0 ? magnitude : -magnitude
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

extension RawSpan {
  func load16(at offset: Int) -> UInt16 {
    UInt16(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  func load32(at offset: Int) -> UInt32 {
    UInt32(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  func load64(at offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
