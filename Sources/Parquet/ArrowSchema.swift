import Foundation

/// Arrow's schema of a table, which its readers look for in the footer: without it they would not know that vectors have one length.
///
/// A message of https://arrow.apache.org/docs/format/Columnar.html in FlatBuffers' layout, in base64.
enum ArrowSchema {
  /// - Parameter metadata: of the footer: what the schema says goes before what stands beside it.
  static func encoded(_ fields: [ParquetWriter.Field], _ metadata: [(key: String, value: String)]) -> String {
    let pairs = metadata.map { Flat.table([0: .string($0.key), 1: .string($0.value)]) }
    let schema = Flat.table([1: .vector(fields.map(field)), 2: .vector(pairs)])
    // Version 5 of the format, a schema, without a body.
    let message = Flat.table([0: .short(4), 1: .byte(1), 2: schema, 3: .long(0)]).file
    let padding = (8 - message.count % 8) % 8
    var bytes: [UInt8] = []
    bytes.append(little: UInt32.max)
    bytes.append(little: UInt32(message.count + padding))
    return Data(bytes + message + [UInt8](repeating: 0, count: padding)).base64EncodedString()
  }

  /// name, nullable, the number of the type, the type, and children.
  private static func field(_ name: String, _ isOptional: Bool, _ type: UInt8, _ about: [Int: Flat] = [:], _ children: [Flat] = []) -> Flat {
    .table([0: .string(name), 1: .byte(isOptional ? 1 : 0), 2: .byte(type), 3: .table(about), 5: .vector(children)])
  }

  private static func field(_ field: ParquetWriter.Field) -> Flat {
    switch field {
    case .bytes(let name, let isOptional): self.field(name, isOptional, 4)
    case .strings(let name, let isOptional): self.field(name, isOptional, 5)
    case .bools(let name, let isOptional): self.field(name, isOptional, 6)
    case .integers(let name, let isOptional): self.field(name, isOptional, 2, [0: .int(64), 1: .byte(1)])
    case .doubles(let name, let isOptional): self.field(name, isOptional, 3, [0: .short(2)])
    case .times(let name, let isOptional): self.field(name, isOptional, 10, [0: .short(2), 1: .string("UTC")])
    case .vectors(let name, let length):
      self.field(name, false, 16, [0: .int(Int32(length))], [self.field("element", false, 3, [0: .short(1)])])
    case .nothing(let name, let inner): self.field(name, false, 12, [:], [self.field("element", false, 13, [:], inner.map(self.field))])
    case .group(let name, let inner): self.field(name, false, 13, [:], inner.map(self.field))
    }
  }
}

/// A value as FlatBuffers lays it out, each after that which refers to it. https://flatbuffers.dev/internals/
private indirect enum Flat {
  case byte(UInt8), short(UInt16), int(Int32), long(Int64)
  case string(String)
  case vector([Flat])
  /// Fields by their number.
  case table([Int: Flat])

  /// A file whose root it is.
  var file: [UInt8] {
    var bytes: [UInt8] = [0, 0, 0, 0]
    Self.put(UInt32(write(&bytes)), at: 0, in: &bytes)
    return bytes
  }

  /// Bytes in the table itself: numbers as they are, all else by its distance.
  private var size: Int {
    switch self {
    case .byte: 1
    case .short: 2
    case .int, .string, .vector, .table: 4
    case .long: 8
    }
  }

  private static func put<T: FixedWidthInteger>(_ value: T, at place: Int, in bytes: inout [UInt8]) {
    for index in 0..<T.bitWidth / 8 { bytes[place + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
  }

  private static func pad(_ bytes: inout [UInt8], _ alignment: Int, after more: Int = 0) {
    while (bytes.count + more) % alignment != 0 { bytes.append(0) }
  }

  /// Appends what is no number, and says where it begins.
  private func write(_ bytes: inout [UInt8]) -> Int {
    switch self {
    case .byte, .short, .int, .long: preconditionFailure("FlatBuffers: a number lies in its table")
    case .string(let text):
      Self.pad(&bytes, 4)
      let start = bytes.count
      bytes.append(little: UInt32(text.utf8.count))
      bytes += Array(text.utf8) + [0]
      return start
    case .vector(let items):
      Self.pad(&bytes, 4)
      let start = bytes.count
      bytes.append(little: UInt32(items.count))
      bytes += [UInt8](repeating: 0, count: 4 * items.count)
      for (index, item) in items.enumerated() { Self.link(item, at: start + 4 + 4 * index, &bytes) }
      return start
    case .table(let fields): return Self.write(fields, &bytes)
    }
  }

  private static func link(_ item: Flat, at place: Int, _ bytes: inout [UInt8]) {
    let start = item.write(&bytes)
    put(UInt32(start - place), at: place, in: &bytes)
  }

  /// A table, with the places of its fields before it.
  private static func write(_ fields: [Int: Flat], _ bytes: inout [UInt8]) -> Int {
    let ordered = fields.sorted { $0.key < $1.key }
    var places: [Int: Int] = [:]
    var length = 4
    for (number, field) in ordered {
      length = (length + field.size - 1) / field.size * field.size
      places[number] = length
      length += field.size
    }
    let head = 4 + 2 * ((ordered.last?.key ?? -1) + 1)
    pad(&bytes, 8, after: head)
    let start = bytes.count + head
    bytes += [UInt8](repeating: 0, count: head + length)
    put(UInt16(head), at: start - head, in: &bytes)
    put(UInt16(length), at: start - head + 2, in: &bytes)
    put(Int32(head), at: start, in: &bytes)
    for (number, field) in ordered {
      let place = places[number]!
      put(UInt16(place), at: start - head + 4 + 2 * number, in: &bytes)
      switch field {
      case .byte(let value): put(value, at: start + place, in: &bytes)
      case .short(let value): put(value, at: start + place, in: &bytes)
      case .int(let value): put(value, at: start + place, in: &bytes)
      case .long(let value): put(value, at: start + place, in: &bytes)
      case .string, .vector, .table: link(field, at: start + place, &bytes)
      }
    }
    return start
  }
}
