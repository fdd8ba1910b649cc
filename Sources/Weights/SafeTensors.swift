import FTFFiles
import Foundation
import FTFKernels

/// Element types of a safetensors file. Those of `floats` and `codes` are read; the others may be there (BERT's position ids
/// are) and are left alone.
package enum ElementType: String, Sendable {
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i8 = "I8"
  case f64 = "F64"
  case i64 = "I64"
  case i32 = "I32"
  case i16 = "I16"
  case u64 = "U64"
  case u32 = "U32"
  case u16 = "U16"
  case u8 = "U8"
  case bool = "BOOL"

  package var size: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
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
    /// As the header says it; types that are not known may be there and are left alone.
    package var dtype: String
    package var shape: [Int]
    /// In bytes of the file.
    var bytes: Range<Int>
    package var type: ElementType? { ElementType(rawValue: dtype) }
  }

  static let longestHeader = 64 << 20

  package let path: String
  package let metadata: [String: String]
  package let tensors: [String: Tensor]
  let file: MappedFile
  /// The first byte behind the header.
  let dataStart: Int
  var headerBytes: [UInt8] { file.array(at: 8, count: dataStart - 8) }

  package init(path: String) throws(WeightsError) {
    self.path = path
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    self.file = file
    let first: [UInt8] = file.array(at: 0, count: min(file.count, FileKind.prefix))
    if first.count < 9 || first[8] != UInt8(ascii: "{"), let kind = FileKind.name(of: first) {
      throw .unreadable(path: path, reason: "it is \(kind), no safetensors file")
    }
    guard file.count >= 8 else { throw .malformed(path: path, reason: "it has \(file.count) bytes") }
    let length = file.load(at: 0, as: UInt64.self)
    guard length <= UInt64(min(Self.longestHeader, file.count - 8)) else {
      throw .malformed(path: path, reason: "its header claims \(length) bytes of \(file.count)")
    }
    let start = 8 + Int(length)
    dataStart = start
    guard let header = Self.object(file.bytes.extracting(8..<start)) else {
      throw .malformed(path: path, reason: "its header is not a JSON object")
    }
    (tensors, metadata) = try Self.parse(header, path: path, start: start, end: file.count)
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
      // Of a type that is not known the bytes alone are known.
      let type = ElementType(rawValue: dtype)
      var size = type?.size ?? 1
      for extent in shape {
        let (product, overflow) = size.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow else { throw malformed("has the impossible shape \(shape)") }
        size = product
      }
      guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= end - start else {
        throw malformed("lies outside of the file, which is truncated or hostile")
      }
      guard type == nil || offsets[1] - offsets[0] == size else { throw malformed("has a size that its shape does not explain") }
      tensors[name] = Tensor(dtype: dtype, shape: shape, bytes: start + offsets[0]..<start + offsets[1])
    }
    var next = start
    for (name, tensor) in tensors.sorted(by: {
      ($0.value.bytes.lowerBound, $0.value.bytes.upperBound) < ($1.value.bytes.lowerBound, $1.value.bytes.upperBound)
    }) {
      guard tensor.bytes.lowerBound == next else {
        throw .malformed(path: path, reason: "tensor '\(name)' overlaps another or leaves a gap")
      }
      next = tensor.bytes.upperBound
    }
    guard next == end else { throw .malformed(path: path, reason: "\(end - next) bytes belong to no tensor") }
    let said = header["__metadata__"] ?? NSNull()
    let metadata = said as? [String: String]
    guard said is NSNull || metadata != nil else {
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
    let count = shape.reduce(1, *)
    guard let type = tensor.type, let values = file.floats(type, at: tensor.bytes.lowerBound, count: count) else {
      throw .badType(path: path, tensor: name, expected: "F64, F32, F16 or BF16", found: tensor.dtype)
    }
    // A large file is read once: its pages need not stay.
    file.use(tensor.bytes, .over)
    guard values.allSatisfy(\.isFinite) else {
      throw .badValue(path: path, tensor: name, reason: "holds values that are not finite")
    }
    return values
  }

  /// The tensor's int8 codes, all in [-127, 127].
  package func codes(_ name: String, shape: [Int]) throws(WeightsError) -> [Int8] {
    let tensor = try tensor(name, shape: shape)
    guard tensor.type == .i8 else {
      throw .badType(path: path, tensor: name, expected: "I8", found: tensor.dtype)
    }
    let codes: [Int8] = file.array(at: tensor.bytes.lowerBound, count: tensor.bytes.count)
    file.use(tensor.bytes, .over)
    // The least of all is found in vectors, where a search that may end early looks at one after the other.
    guard codes.reduce(0, min) > -128 else { throw .badValue(path: path, tensor: name, reason: "holds -128") }
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

extension MappedFile {
  /// Little-endian floats at any offset, as f32; nil for a type that is none.
  func floats(_ type: ElementType, at start: Int, count: Int) -> [Float]? {
    switch type {
    case .f32: return array(at: start, count: count)
    case .f16:
      let halves: [UInt16] = array(at: start, count: count)
      return halves.map { SafeTensors.single(half: UInt16(littleEndian: $0)) }
    case .bf16:
      let halves: [UInt16] = array(at: start, count: count)
      return halves.map { Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16) }
    case .f64:
      let doubles: [UInt64] = array(at: start, count: count)
      return doubles.map { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
    default: return nil
    }
  }
}
