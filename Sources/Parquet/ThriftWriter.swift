import Foundation

/// Thrift's compact protocol, as far as Parquet's metadata needs it.
struct ThriftWriter {
  private(set) var bytes: [UInt8] = []
  private var fields: [Int] = [0]

  enum Kind: UInt8 {
    case yes = 1, no, byte, i16, i32, i64, double, binary, list, set, map, structure
  }

  mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(value & 0x7f) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  private mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

  private mutating func header(_ id: Int, _ kind: Kind) {
    let delta = id - fields[fields.count - 1]
    if (1...15).contains(delta) {
      bytes.append(UInt8(delta) << 4 | kind.rawValue)
    } else {
      bytes.append(kind.rawValue)
      zigzag(Int64(id))
    }
    fields[fields.count - 1] = id
  }

  mutating func i32(_ id: Int, _ value: Int) {
    header(id, .i32)
    zigzag(Int64(value))
  }

  mutating func i64(_ id: Int, _ value: Int) {
    header(id, .i64)
    zigzag(Int64(value))
  }

  mutating func bool(_ id: Int, _ value: Bool) { header(id, value ? .yes : .no) }

  mutating func binary(_ id: Int, _ value: some Collection<UInt8>) {
    header(id, .binary)
    raw(value)
  }

  mutating func string(_ id: Int, _ value: String) { binary(id, value.utf8) }

  private mutating func raw(_ value: some Collection<UInt8>) {
    varint(UInt64(value.count))
    bytes += value
  }

  mutating func structure(_ id: Int, _ body: (inout ThriftWriter) -> Void) {
    header(id, .structure)
    inside(body)
  }

  /// The fields of a struct and its end.
  mutating func inside(_ body: (inout ThriftWriter) -> Void) {
    fields.append(0)
    body(&self)
    fields.removeLast()
    bytes.append(0)
  }

  private mutating func list(_ id: Int, _ kind: Kind, _ count: Int) {
    header(id, .list)
    if count < 15 {
      bytes.append(UInt8(count) << 4 | kind.rawValue)
    } else {
      bytes.append(0xf0 | kind.rawValue)
      varint(UInt64(count))
    }
  }

  mutating func structures<T>(_ id: Int, _ items: [T], _ body: (inout ThriftWriter, T) -> Void) {
    list(id, .structure, items.count)
    for item in items { inside { body(&$0, item) } }
  }

  mutating func numbers(_ id: Int, _ items: [Int]) {
    list(id, .i32, items.count)
    for item in items { zigzag(Int64(item)) }
  }

  mutating func strings(_ id: Int, _ items: [String]) {
    list(id, .binary, items.count)
    for item in items { raw(Array(item.utf8)) }
  }
}
