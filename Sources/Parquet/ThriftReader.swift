/// A value of Thrift's compact protocol, of any shape.
///
/// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
package indirect enum ThriftValue {
  case bool(Bool)
  case integer(Int64)
  case double(Double)
  case binary(ArraySlice<UInt8>)
  case list([ThriftValue])
  case structure([Int: ThriftValue])

  subscript(_ field: Int) -> ThriftValue? {
    if case .structure(let fields) = self { fields[field] } else { nil }
  }

  var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  /// A count or an offset that a file can have.
  var size: Int? { integer.flatMap { $0 >= 0 && $0 < 1 << 40 ? Int($0) : nil } }
  var list: [ThriftValue]? { if case .list(let values) = self { values } else { nil } }
  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  var bytes: ArraySlice<UInt8>? { if case .binary(let bytes) = self { bytes } else { nil } }
  var text: String? { bytes.flatMap { String(validating: $0, as: UTF8.self) } }
}

/// Reads structs from hostile bytes: whatever they say, it ends, and takes no more memory than a fixed multiple of them.
struct ThriftReader {
  private static let mostDepth = 24
  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  private func damaged() -> ParquetError { ParquetError("its metadata is damaged") }

  private mutating func byte() throws(ParquetError) -> UInt8 {
    guard position < bytes.endIndex else { throw damaged() }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func varint() throws(ParquetError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      let next = try byte()
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return value }
    }
    throw damaged()
  }

  private mutating func zigzag() throws(ParquetError) -> Int64 {
    let value = try varint()
    return Int64(bitPattern: value >> 1) ^ -Int64(value & 1)
  }

  /// The fields of a struct, up to its end.
  mutating func structure(depth: Int = 0) throws(ParquetError) -> ThriftValue {
    guard depth < Self.mostDepth else { throw damaged() }
    var fields: [Int: ThriftValue] = [:]
    var id = 0
    while true {
      let header = try byte()
      if header == 0 { return .structure(fields) }
      let delta = Int(header >> 4)
      id = delta > 0 ? id + delta : Int(truncatingIfNeeded: try zigzag())
      guard (0...0x7fff).contains(id) else { throw damaged() }
      fields[id] = try value(header & 0xf, isField: true, depth: depth)
    }
  }

  private mutating func value(_ kind: UInt8, isField: Bool, depth: Int) throws(ParquetError) -> ThriftValue {
    switch ThriftWriter.Kind(rawValue: kind) {
    // In a list each has a byte of its own; of a field the kind says it.
    case .yes: return .bool(isField ? true : try byte() == 1)
    case .no: return .bool(isField ? false : try byte() == 1)
    case .byte: return .integer(Int64(Int8(bitPattern: try byte())))
    case .i16, .i32, .i64: return .integer(try zigzag())
    case .double:
      var bits: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bits |= UInt64(try byte()) << shift }
      return .double(Double(bitPattern: bits))
    case .binary:
      let count = try varint()
      guard count <= UInt64(bytes.endIndex - position) else { throw damaged() }
      defer { position += Int(count) }
      return .binary(bytes[position..<position + Int(count)])
    case .list, .set:
      let header = try byte()
      let count = header >> 4 == 15 ? try varint() : UInt64(header >> 4)
      // Each of them has a byte at least.
      guard count <= UInt64(bytes.endIndex - position), depth < Self.mostDepth else { throw damaged() }
      var values: [ThriftValue] = []
      for _ in 0..<count { values.append(try value(header & 0xf, isField: false, depth: depth + 1)) }
      return .list(values)
    case .structure: return try structure(depth: depth + 1)
    case .map, nil: throw damaged()
    }
  }
}
