import FTFFiles
import Foundation

/// Why a file cannot be read, in words that follow its name.
package struct ParquetError: Error, Equatable, CustomStringConvertible {
  package var description: String
  init(_ description: String) { self.description = description }
}

/// The columns of a Parquet file, each row group at a time: those that are not repeated, and lists of numbers that are as long in every row. What the file says is hostile until it is checked:
/// sizes, counts and offsets, and what a page of a few bytes unfolds to.
///
/// Read are plain and dictionary pages of both versions, bare or compressed with Snappy or Zstandard: what pyarrow, DuckDB, GDAL and
/// parquet-rs write unless they are asked for something else. https://parquet.apache.org/docs/file-format/
package struct ParquetReader {
  /// A value of a row.
  package enum Value: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    /// A string, or a time as ISO 8601 has it.
    case text(String)
    case bytes([UInt8])
  }

  /// A leaf of the schema.
  package struct Column: Sendable {
    /// Its name, after those of the groups that it lies in.
    package let path: [String]
    fileprivate let number: Int
    fileprivate let type: Physical
    fileprivate let meaning: Meaning
    fileprivate let length: Int
    /// Its definition level where it has a value.
    fileprivate let most: Int
    /// How many lists it lies in.
    fileprivate let lists: Int
  }

  fileprivate enum Physical: Int64 {
    case bool, int32, int64, int96, float, double, bytes, fixedBytes
  }

  fileprivate enum Meaning: Equatable {
    case plain, text, date
    /// Of so many parts of a second.
    case time(Int64)
    case decimal(scale: Int)
  }

  private static let mostFooter = 8 << 20
  private static let mostPage = 256 << 20
  private static let mostRows = 1 << 22
  /// Numbers of the lists of a row group.
  private static let mostNumbers = 1 << 28

  /// Those that are not repeated.
  package let columns: [Column]
  /// Those of numbers that lie in a list.
  package let vectors: [Column]
  /// Of each row group.
  package let rows: [Int]
  /// Of the footer, by key.
  package let metadata: [String: String]
  private let file: MappedFile
  private let groups: [[ThriftValue]]

  /// - Throws: ParquetError where it is no such file, or damaged.
  package init(_ path: FilePath) throws {
    do { file = try MappedFile(path: path.spelling) } catch { throw ParquetError("\(error)") }
    let magic = Array("PAR1".utf8)
    guard file.count >= 12, file.array(at: 0, count: 4) as [UInt8] == magic, file.array(at: file.count - 4, count: 4) as [UInt8] == magic else {
      throw ParquetError("it is no Parquet file, or its footer is encrypted")
    }
    let size = Int(file.load(at: file.count - 8, as: UInt32.self))
    guard size <= min(Self.mostFooter, file.count - 12) else { throw ParquetError("its footer is damaged or too large: \(size) bytes") }
    var reader = ThriftReader((file.array(at: file.count - 8 - size, count: size) as [UInt8])[...])
    let footer = try reader.structure()
    let leaves = try Self.leaves(footer[2]?.list ?? [])
    groups = try (footer[4]?.list ?? []).map { group in
      guard let chunks = group[1]?.list, chunks.count == leaves.count else { throw ParquetError("its row groups do not have its columns") }
      return chunks
    }
    rows = try (footer[4]?.list ?? []).map { group in
      guard let rows = group[3]?.size, rows <= Self.mostRows else { throw ParquetError("a row group has more than \(Self.mostRows) rows") }
      return rows
    }
    columns = leaves.filter { $0.lists == 0 }
    vectors = leaves.filter { $0.lists == 1 && ($0.type == .float || $0.type == .double) }
    var metadata: [String: String] = [:]
    for pair in footer[5]?.list ?? [] { if let key = pair[1]?.text { metadata[key] = pair[2]?.text } }
    self.metadata = metadata
  }

  // MARK: The schema

  private static func leaves(_ elements: [ThriftValue]) throws(ParquetError) -> [Column] {
    var leaves: [Column] = []
    var next = 1
    func walk(_ path: [String], most: Int, lists: Int) throws(ParquetError) {
      guard next < elements.count, path.count < 32, let name = elements[next][4]?.text else { throw ParquetError("its schema is damaged") }
      let element = elements[next]
      next += 1
      let repetition = element[3]?.integer ?? 0
      let (most, lists) = (most + (repetition == 0 ? 0 : 1), lists + (repetition == 2 ? 1 : 0))
      if let children = element[5]?.size, children > 0 {
        for _ in 0..<children { try walk(path + [name], most: most, lists: lists) }
        return
      }
      guard let type = element[1]?.integer.flatMap(Physical.init) else { throw ParquetError("its schema is damaged") }
      leaves.append(
        Column(
          path: path + [name], number: leaves.count, type: type, meaning: meaning(element), length: element[2]?.size ?? 0, most: most,
          lists: lists))
    }
    guard let children = elements.first?[5]?.size else { throw ParquetError("its schema is damaged") }
    for _ in 0..<children { try walk([], most: 0, lists: 0) }
    return leaves
  }

  /// Of the logical type, or the older converted one.
  private static func meaning(_ element: ThriftValue) -> Meaning {
    let logical = element[10]
    if logical?[1] != nil || logical?[4] != nil || logical?[11] != nil { return .text }
    if logical?[6] != nil { return .date }
    if let unit = logical?[8]?[2] { return .time(unit[1] != nil ? 1000 : unit[2] != nil ? 1_000_000 : 1_000_000_000) }
    let scale = Int(clamping: element[7]?.integer ?? 0)
    if logical?[5] != nil { return .decimal(scale: scale) }
    switch element[6]?.integer {
    case 0, 4, 19: return .text
    case 5: return .decimal(scale: scale)
    case 6: return .date
    case 9: return .time(1000)
    case 10: return .time(1_000_000)
    default: return .plain
    }
  }

  // MARK: Values

  /// What a column has in the rows of a group.
  ///
  /// - Throws: ParquetError where its pages are damaged, or of an encoding or compression that is not read.
  package func values(of column: Column, in group: Int) throws(ParquetError) -> [Value] {
    let name = column.path.joined(separator: ".")
    do { return try decoded(column, group) } catch { throw ParquetError("column \(name): \(error)") }
  }

  /// The vectors that a column of `vectors` has in the rows of a group: f32[rows, dimension].
  ///
  /// - Throws: ParquetError where rows have lists of several lengths, or none, or for what `values` throws for.
  package func vectors(of column: Column, in group: Int) throws(ParquetError) -> (dimension: Int, values: [Float]) {
    let name = column.path.joined(separator: ".")
    do {
      var (starts, values) = ([Int](), [Float]())
      try pages(of: column, in: group, until: { $0 >= rows[group] }) { page, about, dictionary throws(ParquetError) in
        let (first, more) = try page.lists(about.count, encoding: about.encoding, dictionary, most: Self.mostNumbers - values.count)
        guard !starts.isEmpty || first.first == 0 else { throw ParquetError("a page is damaged") }
        starts += first.map { $0 + values.count }
        values += more
        return starts.count
      }
      // The last row may go on in a page of its own, but not beyond the group.
      let dimension = starts.count > 1 ? starts[1] : values.count
      guard starts.count == rows[group], dimension > 0, starts.enumerated().allSatisfy({ $1 == $0 * dimension }),
        values.count == starts.count * dimension
      else { throw ParquetError("its rows have lists of several lengths") }
      return (dimension, values)
    } catch { throw ParquetError("column \(name): \(error)") }
  }

  private func decoded(_ column: Column, _ group: Int) throws(ParquetError) -> [Value] {
    var values: [Value] = []
    try pages(of: column, in: group, until: { $0 >= rows[group] }) { page, about, dictionary throws(ParquetError) in
      values += try page.rows(about.count, encoding: about.encoding, dictionary, most: rows[group] - values.count)
      return values.count
    }
    return values
  }

  /// `body` on each page of data of a column, to the end of its chunk or until there is enough of what it counts.
  private func pages(
    of column: Column, in group: Int, until isEnough: (Int) -> Bool,
    _ body: (Page, (count: Int?, encoding: Int64?), [Value]) throws(ParquetError) -> Int
  ) throws(ParquetError) {
    let chunk = groups[group][column.number]
    guard chunk[1] == nil, let about = chunk[3], let size = about[7]?.size, let data = about[9]?.size, let codec = about[4]?.integer,
      about[1]?.integer == column.type.rawValue
    else { throw ParquetError("it is damaged, or lies in another file") }
    // An offset of 0 means that there is no dictionary.
    let start = about[11]?.size.flatMap { $0 > 0 && $0 < data ? $0 : nil } ?? data
    guard start <= file.count, size <= file.count - start else { throw ParquetError("it lies outside of the file") }
    let bytes: [UInt8] = file.array(at: start, count: size)
    var dictionary: [Value] = []
    var (at, done) = (0, 0)
    // Of lists the last goes on to the end.
    while column.lists > 0 ? at < bytes.count : !isEnough(done) {
      var reader = ThriftReader(bytes[at...])
      let header = try reader.structure()
      guard let full = header[2]?.size, let packed = header[3]?.size, full <= Self.mostPage, packed <= bytes.count - reader.position else {
        throw ParquetError("a page is damaged, or larger than \(Self.mostPage >> 20) MB")
      }
      at = reader.position + packed
      var page = Page(column, bytes: bytes[reader.position..<at], full: full, codec: codec)
      switch header[1]?.integer {
      case 0:
        let about = header[5]
        done = try body(page, (about?[1]?.size, about?[2]?.integer), dictionary)
      case 2: dictionary = try page.dictionary(header[7]?[1]?.size, most: Self.mostRows)
      case 3:
        let about = header[8]
        try page.split(repetition: about?[6]?.size, definition: about?[5]?.size, isPacked: about?[7]?.bool ?? true)
        done = try body(page, (about?[1]?.size, about?[4]?.integer), dictionary)
      default: break
      }
    }
  }
}

/// A page of a column while it is unfolded.
private struct Page {
  private let column: ParquetReader.Column
  private let codec: Int64
  private var bytes: ArraySlice<UInt8>
  private var full: Int
  /// Of a page of the second version, which keeps its levels beside its values: where lists begin, and what is there.
  private var levels: (repetition: ArraySlice<UInt8>, definition: ArraySlice<UInt8>)?
  private var isPacked = true

  init(_ column: ParquetReader.Column, bytes: ArraySlice<UInt8>, full: Int, codec: Int64) {
    (self.column, self.bytes, self.full, self.codec) = (column, bytes, full, codec)
  }

  private static let damaged = ParquetError("a page is damaged")

  mutating func split(repetition: Int?, definition: Int?, isPacked: Bool) throws(ParquetError) {
    guard let repetition, let definition, repetition == 0 || column.lists > 0, repetition <= min(bytes.count, full),
      definition <= min(bytes.count, full) - repetition
    else { throw Self.damaged }
    levels = (bytes.prefix(repetition), bytes.dropFirst(repetition).prefix(definition))
    bytes = bytes.dropFirst(repetition + definition)
    full -= repetition + definition
    self.isPacked = isPacked
  }

  private func unfolded() throws(ParquetError) -> [UInt8] {
    switch isPacked ? codec : 0 {
    case 0: return Array(bytes)
    case 1: return try Snappy.decompressed(Array(bytes), to: full)
    case 6: return try Zstandard.decompressed(Array(bytes), to: full)
    default:
      let names: [Int64: String] = [2: "gzip", 3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4"]
      throw ParquetError("its compression (\(names[codec] ?? "\(codec)")) is not read; write it with Zstandard or Snappy")
    }
  }

  func dictionary(_ count: Int?, most: Int) throws(ParquetError) -> [ParquetReader.Value] {
    guard let count, count <= most else { throw Self.damaged }
    return try plain(unfolded()[...], count)
  }

  /// The values of so many rows, those that are missing too.
  func rows(_ count: Int?, encoding: Int64?, _ dictionary: [ParquetReader.Value], most: Int) throws(ParquetError) -> [ParquetReader.Value] {
    guard let count, count > 0, count <= most else { throw Self.damaged }
    var data = try unfolded()[...]
    let isThere = try isThere(count, &data)
    let present = isThere.reduce(0) { $0 + ($1 ? 1 : 0) }
    let values = try self.values(data, present, encoding, dictionary)
    var next = 0
    return isThere.map { isThere in
      defer { if isThere { next += 1 } }
      return isThere ? values[next] : .null
    }
  }

  /// Of lists of numbers: where in the numbers of the page each begins that begins there, and the numbers, of which none is missing.
  func lists(
    _ count: Int?, encoding: Int64?, _ dictionary: [ParquetReader.Value], most: Int
  ) throws(ParquetError) -> (starts: [Int], values: [Float]) {
    guard let count, count > 0, count <= most else { throw Self.damaged }
    var data = try unfolded()[...]
    let begins = try Self.hybrid(Self.levels(levels?.repetition, &data), width: 1, count)
    guard try isThere(count, &data).allSatisfy({ $0 }) else { throw ParquetError("a list is missing, empty, or lacks a number") }
    let starts = begins.indices.filter { begins[$0] == 0 }
    if encoding == 0, column.type == .float {
      guard data.count >= 4 * count else { throw Self.damaged }
      return (starts, unsafe data.withUnsafeBytes { bytes in (0..<count).map { unsafe bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) } })
    }
    let values = try values(data, count, encoding, dictionary).map { if case .double(let value) = $0 { Float(value) } else { Float.nan } }
    return (starts, values)
  }

  /// Whether each of so many values is there.
  private func isThere(_ count: Int, _ data: inout ArraySlice<UInt8>) throws(ParquetError) -> [Bool] {
    guard column.most > 0 else { return [Bool](repeating: true, count: count) }
    let own = try Self.levels(levels?.definition, &data)
    return try Self.hybrid(own, width: Int.bitWidth - column.most.leadingZeroBitCount, count).map { $0 == column.most }
  }

  /// Those that lie beside the values; in a page of the first version they lie before them, behind their size.
  private static func levels(_ beside: ArraySlice<UInt8>?, _ data: inout ArraySlice<UInt8>) throws(ParquetError) -> ArraySlice<UInt8> {
    if let beside { return beside }
    let size = try number(data, 4)
    guard size <= data.count - 4 else { throw damaged }
    defer { data = data.dropFirst(4 + size) }
    return data.dropFirst(4).prefix(size)
  }

  private func values(
    _ data: ArraySlice<UInt8>, _ count: Int, _ encoding: Int64?, _ dictionary: [ParquetReader.Value]
  ) throws(ParquetError) -> [ParquetReader.Value] {
    switch encoding {
    case 0: return try plain(data, count)
    case 3 where column.type == .bool:
      return try Self.hybrid(data.dropFirst(4), width: 1, count).map { .bool($0 == 1) }
    case 2, 8:
      guard count > 0 else { return [] }
      guard let width = data.first, width <= 32 else { throw Self.damaged }
      let indices = try Self.hybrid(data.dropFirst(), width: Int(width), count)
      guard indices.allSatisfy({ $0 < dictionary.count }) else { throw Self.damaged }
      return indices.map { dictionary[$0] }
    default: throw ParquetError("its encoding (\(encoding ?? -1)) is not read; write it plain or with a dictionary")
    }
  }

  /// Runs and groups of eight packed numbers.
  private static func hybrid(_ bytes: ArraySlice<UInt8>, width: Int, _ count: Int) throws(ParquetError) -> [Int] {
    var numbers: [Int] = []
    numbers.reserveCapacity(count)
    var rest = bytes
    while numbers.count < count {
      var (header, shift, more) = (0, 0, true)
      while more {
        guard let next = rest.popFirst(), shift < 35 else { throw damaged }
        header |= Int(next & 0x7f) << shift
        (shift, more) = (shift + 7, next >= 0x80)
      }
      let wanted = count - numbers.count
      if header & 1 == 0 {
        let value = try number(rest, (width + 7) / 8)
        rest = rest.dropFirst((width + 7) / 8)
        guard header > 0 else { throw damaged }
        numbers += repeatElement(value, count: min(header >> 1, wanted))
      } else {
        // A writer may leave out the end of the last group.
        let packed = rest.prefix((header >> 1) * width)
        rest = rest.dropFirst(packed.count)
        for index in 0..<min((header >> 1) * 8, wanted) {
          guard (index + 1) * width <= packed.count * 8, header > 1 else { throw damaged }
          var value = 0
          for bit in 0..<width {
            let place = index * width + bit
            value |= Int(packed[packed.startIndex + place / 8] >> UInt8(place % 8) & 1) << bit
          }
          numbers.append(value)
        }
        guard header > 1 else { throw damaged }
      }
    }
    return numbers
  }

  private static func number(_ bytes: ArraySlice<UInt8>, _ length: Int) throws(ParquetError) -> Int {
    guard length <= bytes.count else { throw damaged }
    return (0..<length).reduce(0) { $0 | Int(bytes[bytes.startIndex + $1]) << (8 * $1) }
  }

  private func plain(_ data: ArraySlice<UInt8>, _ count: Int) throws(ParquetError) -> [ParquetReader.Value] {
    var rest = data
    /// The next so many bytes.
    func take(_ length: Int) throws(ParquetError) -> ArraySlice<UInt8> {
      guard length <= rest.count else { throw Self.damaged }
      defer { rest = rest.dropFirst(length) }
      return rest.prefix(length)
    }
    func bits(_ length: Int) throws(ParquetError) -> UInt64 { try take(length).reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    var values: [ParquetReader.Value] = []
    values.reserveCapacity(min(count, data.count * 8))
    for index in 0..<count {
      switch column.type {
      case .bool:
        guard index / 8 < data.count else { throw Self.damaged }
        values.append(.bool(data[data.startIndex + index / 8] >> UInt8(index % 8) & 1 == 1))
      case .int32: values.append(meant(Int64(Int32(truncatingIfNeeded: try bits(4)))))
      case .int64: values.append(meant(Int64(bitPattern: try bits(8))))
      case .int96:
        // Nanoseconds of a day, and the Julian day.
        let (part, day) = (Int64(bitPattern: try bits(8)), Int64(try bits(4)))
        values.append(.text(Self.time(Double(day - 2_440_588) * 86_400 + Double(part) / 1e9)))
      case .float: values.append(.double(Double(Float(bitPattern: UInt32(try bits(4))))))
      case .double: values.append(.double(Double(bitPattern: try bits(8))))
      case .bytes: values.append(meant(try take(Int(try bits(4)))))
      case .fixedBytes:
        guard column.length > 0 else { throw Self.damaged }
        values.append(meant(try take(column.length)))
      }
    }
    return values
  }

  private func meant(_ bytes: ArraySlice<UInt8>) -> ParquetReader.Value {
    if column.meaning == .text, let text = String(validating: bytes, as: UTF8.self) { return .text(text) }
    return .bytes(Array(bytes))
  }

  private func meant(_ value: Int64) -> ParquetReader.Value {
    switch column.meaning {
    case .date: .text(String(Self.time(Double(value) * 86_400).prefix(10)))
    case .time(let parts): .text(Self.time(Double(value) / Double(parts)))
    case .decimal(let scale): .double(Double(value) / pow(10, Double(scale)))
    case .plain, .text: .integer(value)
    }
  }

  /// Milliseconds where there are any.
  private static func time(_ seconds: Double) -> String {
    let hasParts = (seconds * 1000).rounded() / 1000 != seconds.rounded()
    return Date(timeIntervalSince1970: seconds).formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: hasParts))
  }
}
