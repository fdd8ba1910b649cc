import Foundation

/// Columns of a table, as Parquet writes them: plain values, each row group a page a column, compressed with Zstandard where that library
/// is there (it is in every Debian), with the least and the greatest of numbers.
///
/// https://parquet.apache.org/docs/file-format/
package struct ParquetWriter {
  /// A column, or a group of them.
  package indirect enum Field {
    /// Nil where every row has a value.
    case strings(String, isOptional: Bool)
    case bytes(String, isOptional: Bool)
    case doubles(String, isOptional: Bool)
    case integers(String, isOptional: Bool)
    case bools(String, isOptional: Bool)
    /// Microseconds since 1970, UTC.
    case times(String, isOptional: Bool)
    /// Of so many f32 in each row.
    case vectors(String, length: Int)
    /// A list of groups that is empty in every row.
    case nothing(String, of: [Field])
    case group(String, [Field])
  }

  /// The values of a leaf in the rows of a group, in the order in which leaves come in the fields.
  package enum Values {
    case strings([String?])
    case bytes([[UInt8]?])
    case doubles([Double?])
    case integers([Int?])
    case bools([Bool?])
    case times([Int64?])
    case vectors([Float])
    case nothing
  }

  /// A leaf of the fields, as a column of the file.
  package struct Leaf: Sendable {
    fileprivate var path: [String]
    /// Parquet's number of the physical type.
    fileprivate var type: Int
    /// Of the definition levels.
    fileprivate var most: UInt8
    fileprivate var isRepeated = false
  }

  /// A group of rows as it is written.
  package struct Group: Sendable {
    fileprivate let rows: Int
    fileprivate let columns: [(header: [UInt8], page: [UInt8], chunk: Chunk)]
  }

  fileprivate struct Chunk: Sendable {
    /// From the group's beginning; in a file from the file's.
    var offset: Int
    var values: Int
    var size: Int
    var packed: Int
    var range: (least: [UInt8], most: [UInt8])?
  }

  private let fields: [Field]
  package let leaves: [Leaf]
  private let file: FileHandle
  private var offset = 4
  private var groups: [(rows: Int, chunks: [Chunk])] = []

  /// - Parameter file: empty.
  package init(_ file: FileHandle, _ fields: [Field]) throws {
    (self.file, self.fields) = (file, fields)
    leaves = fields.flatMap { Self.leaves($0, []) }
    try file.write(contentsOf: Data("PAR1".utf8))
  }

  private static func leaves(_ field: Field, _ above: [String]) -> [Leaf] {
    switch field {
    case .strings(let name, let isOptional), .bytes(let name, let isOptional):
      [Leaf(path: above + [name], type: 6, most: isOptional ? 1 : 0)]
    case .doubles(let name, let isOptional): [Leaf(path: above + [name], type: 5, most: isOptional ? 1 : 0)]
    case .integers(let name, let isOptional), .times(let name, let isOptional):
      [Leaf(path: above + [name], type: 2, most: isOptional ? 1 : 0)]
    case .bools(let name, let isOptional): [Leaf(path: above + [name], type: 0, most: isOptional ? 1 : 0)]
    case .vectors(let name, _): [Leaf(path: above + [name, "list", "element"], type: 4, most: 1, isRepeated: true)]
    case .nothing(let name, let inner):
      inner.flatMap { leaves($0, above + [name, "list", "element"]) }.map {
        Leaf(path: $0.path, type: $0.type, most: $0.most + 1, isRepeated: true)
      }
    case .group(let name, let inner): inner.flatMap { leaves($0, above + [name]) }
    }
  }

  // MARK: Rows

  /// Rows as a group of their own, compressed: for each leaf its values. Several threads may make groups at once.
  package static func group(rows: Int, _ columns: [Values], _ leaves: [Leaf]) -> Group {
    precondition(columns.count == leaves.count, "Parquet: values for \(columns.count) of \(leaves.count) columns")
    var offset = 0
    let pages = zip(leaves, columns).map { leaf, values in
      let page = page(values, leaf, rows)
      let packed = Zstandard.compressed(page.bytes) ?? page.bytes
      var header = ThriftWriter()
      header.inside { header in
        header.i32(1, 0)
        header.i32(2, page.bytes.count)
        header.i32(3, packed.count)
        header.structure(5) {
          $0.i32(1, page.count)
          for (id, encoding) in [(2, 0), (3, 3), (4, 3)] { $0.i32(id, encoding) }
        }
      }
      let chunk = Chunk(
        offset: offset, values: page.count, size: header.bytes.count + page.bytes.count, packed: header.bytes.count + packed.count,
        range: range(values))
      offset += chunk.packed
      return (header: header.bytes, page: packed, chunk: chunk)
    }
    return Group(rows: rows, columns: pages)
  }

  /// Writes a group behind those before it.
  package mutating func add(_ group: Group) throws {
    for column in group.columns {
      try file.write(contentsOf: column.header)
      try file.write(contentsOf: column.page)
    }
    groups.append(
      (
        group.rows,
        group.columns.map {
          var chunk = $0.chunk
          chunk.offset += offset
          return chunk
        }
      ))
    offset += group.columns.reduce(0) { $0 + $1.chunk.packed }
  }

  package mutating func add(rows: Int, _ columns: [Values]) throws { try add(Self.group(rows: rows, columns, leaves)) }

  /// Levels and plain values, and how many there are with what is missing.
  private static func page(_ values: Values, _ leaf: Leaf, _ rows: Int) -> (bytes: [UInt8], count: Int) {
    var data: [UInt8] = []
    var present: [Bool] = []
    func take<T>(_ items: [T?], _ write: (T) -> Void) {
      precondition(items.count == rows, "Parquet: \(items.count) values in \(rows) rows")
      for item in items {
        present.append(item != nil)
        if let item { write(item) }
      }
      precondition(leaf.most > 0 || !present.contains(false), "Parquet: a column lacks a value that it has to have")
    }
    switch values {
    case .strings(let items):
      take(items) {
        data.append(little: UInt32($0.utf8.count)); data += $0.utf8
      }
    case .bytes(let items):
      take(items) {
        data.append(little: UInt32($0.count)); data += $0
      }
    case .doubles(let items): take(items) { data.append(little: $0.bitPattern) }
    case .integers(let items): take(items) { data.append(little: UInt64(bitPattern: Int64($0))) }
    case .times(let items): take(items) { data.append(little: UInt64(bitPattern: $0)) }
    case .bools(let items):
      var count = 0
      take(items) {
        if count % 8 == 0 { data.append(0) }
        if $0 { data[data.count - 1] |= 1 << UInt8(count % 8) }
        count += 1
      }
    case .vectors(let items):
      let length = rows > 0 ? items.count / rows : 0
      var bytes = runs([(0, 1), (1, length - 1)], times: rows) + runs([(1, items.count)])
      // As they lie in memory: every machine that Swift runs on has the least byte first.
      unsafe items.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
      return (bytes, items.count)
    case .nothing: return (runs([(0, rows)]) + runs([(0, rows)]), rows)
    }
    guard leaf.most > 0 else { return (data, rows) }
    var levels: [(UInt8, Int)] = []
    for isThere in present {
      let level: UInt8 = isThere ? 1 : 0
      if levels.last?.0 == level { levels[levels.count - 1].1 += 1 } else { levels.append((level, 1)) }
    }
    return (runs(levels) + data, rows)
  }

  /// Levels as runs (RLE), with their length before them.
  private static func runs(_ levels: [(level: UInt8, count: Int)], times: Int = 1) -> [UInt8] {
    var bytes: [UInt8] = []
    for (level, count) in levels where count > 0 {
      var writer = ThriftWriter()
      writer.varint(UInt64(count) << 1)
      bytes += writer.bytes
      bytes.append(level)
    }
    var all: [UInt8] = []
    all.append(little: UInt32(times * bytes.count))
    for _ in 0..<times { all += bytes }
    return all
  }

  /// The least and the greatest of numbers, so that a reader can pass over groups.
  private static func range(_ values: Values) -> (least: [UInt8], most: [UInt8])? {
    func bytes(_ value: UInt64) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: value)
      return bytes
    }
    switch values {
    case .doubles(let items):
      let numbers = items.compactMap { $0 }.filter { !$0.isNaN }
      guard let least = numbers.min(), let most = numbers.max() else { return nil }
      return (bytes(least.bitPattern), bytes(most.bitPattern))
    case .times(let items):
      let numbers = items.compactMap { $0 }
      guard let least = numbers.min(), let most = numbers.max() else { return nil }
      return (bytes(UInt64(bitPattern: least)), bytes(UInt64(bitPattern: most)))
    default: return nil
    }
  }

  // MARK: The end

  /// Writes what the file is; the last that is written.
  ///
  /// - Parameter metadata: of the footer, by key.
  package mutating func finish(_ metadata: [(key: String, value: String)]) throws {
    var footer = ThriftWriter()
    footer.inside { footer in
      footer.i32(1, 2)
      let elements = [Element(name: "schema", children: fields.count)] + fields.flatMap(Self.elements)
      footer.structures(2, elements) { $1.write(&$0) }
      footer.i64(3, groups.reduce(0) { $0 + $1.rows })
      footer.structures(4, groups) { writer, group in
        writer.structures(1, Array(zip(leaves, group.chunks))) { Self.write(&$0, $1.0, $1.1) }
        writer.i64(2, group.chunks.reduce(0) { $0 + $1.size })
        writer.i64(3, group.rows)
      }
      footer.structures(5, metadata + [("ARROW:schema", ArrowSchema.encoded(fields, metadata))]) { writer, pair in
        writer.string(1, pair.key)
        writer.string(2, pair.value)
      }
      footer.string(6, "FastThenFine")
    }
    var tail = footer.bytes
    tail.append(little: UInt32(footer.bytes.count))
    try file.write(contentsOf: Data(tail + Array("PAR1".utf8)))
  }

  private static func write(_ writer: inout ThriftWriter, _ leaf: Leaf, _ chunk: Chunk) {
    writer.i64(2, chunk.offset)
    writer.structure(3) { writer in
      writer.i32(1, leaf.type)
      writer.numbers(2, [0, 3])
      writer.strings(3, leaf.path)
      writer.i32(4, Zstandard.isThere ? 6 : 0)
      writer.i64(5, chunk.values)
      writer.i64(6, chunk.size)
      writer.i64(7, chunk.packed)
      writer.i64(9, chunk.offset)
      if let range = chunk.range {
        writer.structure(12) {
          $0.binary(5, range.most)
          $0.binary(6, range.least)
        }
      }
    }
  }

  private struct Element {
    enum Logical { case none, string, list, time }
    var name: String
    var type: Int?
    /// Required, optional, repeated.
    var repetition = 0
    var children: Int?
    var logical = Logical.none

    func write(_ writer: inout ThriftWriter) {
      if let type { writer.i32(1, type) }
      if name != "schema" || children == nil { writer.i32(3, repetition) }
      writer.string(4, name)
      if let children { writer.i32(5, children) }
      switch logical {
      case .none: break
      case .string:
        writer.i32(6, 0)
        writer.structure(10) { $0.structure(1) { _ in } }
      case .list:
        writer.i32(6, 3)
        writer.structure(10) { $0.structure(3) { _ in } }
      case .time:
        writer.i32(6, 10)
        writer.structure(10) {
          $0.structure(8) {
            $0.bool(1, true); $0.structure(2) { $0.structure(2) { _ in } }
          }
        }
      }
    }
  }

  private static func elements(_ field: Field) -> [Element] {
    func leaf(_ name: String, _ type: Int, _ isOptional: Bool, _ logical: Element.Logical = .none) -> [Element] {
      [Element(name: name, type: type, repetition: isOptional ? 1 : 0, logical: logical)]
    }
    switch field {
    case .strings(let name, let isOptional): return leaf(name, 6, isOptional, .string)
    case .bytes(let name, let isOptional): return leaf(name, 6, isOptional)
    case .doubles(let name, let isOptional): return leaf(name, 5, isOptional)
    case .integers(let name, let isOptional): return leaf(name, 2, isOptional)
    case .bools(let name, let isOptional): return leaf(name, 0, isOptional)
    case .times(let name, let isOptional): return leaf(name, 2, isOptional, .time)
    case .vectors(let name, _):
      return [Element(name: name, children: 1, logical: .list), Element(name: "list", repetition: 2, children: 1)] + leaf("element", 4, false)
    case .nothing(let name, let inner):
      return [
        Element(name: name, children: 1, logical: .list), Element(name: "list", repetition: 2, children: 1),
        Element(name: "element", children: inner.count),
      ] + inner.flatMap(elements)
    case .group(let name, let inner): return [Element(name: name, children: inner.count)] + inner.flatMap(elements)
    }
  }
}

extension [UInt8] {
  package mutating func append(little value: some FixedWidthInteger) {
    unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
  }
}
