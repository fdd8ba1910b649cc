import FTFFiles
import Foundation
import FTFKernels
import Synchronization

/// One immutable file of vectors: a coarse vector and some fine rows for every item. An item is an image (g and its
/// patches) or a caption (t and its word pieces). Little-endian; each section starts at a multiple of 64 bytes.
///
/// | section | type and shape | holds |
/// |---|---|---|
/// | header | 64 bytes | `FTFSEG2\0`; u64 items n, dimension d, rows r in all, 1 where rows are pooled; u32 CRC-32C of each |
/// | | | section in the order below; u32 CRC-32C of the 60 bytes before it |
/// | records | see `RecordLayout` | the fine rows of each item |
/// | coarse codes | s8[n, d] | vector = scale * codes |
/// | coarse scales | f32[n] | |
/// | ids | i64[n] | the catalog's id of each item |
/// | rows | u32[n] | how many fine rows each item has |
///
/// A checksum covers a section with what pads it to a multiple of 64 bytes: every byte of the file is under one.
package final class Segment: Sendable {
  static let magic = Array("FTFSEG2\0".utf8)

  package let path: String
  /// The catalog's; 0 where nobody said it.
  let number: Int64
  package let count: Int
  package let dimension: Int
  let isPooled: Bool
  private let file: MappedFile
  private let layout: SegmentLayout
  private let records: Records
  private let isReadOn = Atomic(false)

  package init(path: String, number: Int64 = 0) throws(IndexError) {
    (self.path, self.number) = (path, number)
    func damaged(_ reason: String) -> IndexError { .damaged(path: path, reason: reason) }
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    self.file = file
    // A search reads the coarse vectors, and the records of a few items: what lies beside them stays on the disk.
    file.use(0..<file.count, .scattered)
    guard file.count >= 64 else { throw damaged("it has \(file.count) bytes") }
    for (i, byte) in Self.magic.enumerated() where file.load(at: i, as: UInt8.self) != byte {
      throw damaged("it is no segment")
    }
    guard KernelSet.checksum(file.bytes.extracting(0..<60)) == file.load(at: 60, as: UInt32.self) else {
      throw damaged("its header is not what was written")
    }
    let sizes = (1...4).map { file.load(at: 8 * $0, as: UInt64.self) }
    guard sizes[0] < 1 << 32, (1...65536).contains(sizes[1]), sizes[2] < 1 << 40, sizes[3] <= 1 else {
      throw damaged("its header holds impossible sizes")
    }
    (count, dimension, isPooled) = (Int(sizes[0]), Int(sizes[1]), sizes[3] == 1)
    guard let layout = SegmentLayout(items: count, dimension: dimension, bytes: file.count) else {
      throw damaged("its header does not explain its \(file.count) bytes")
    }
    self.layout = layout
    let scanned = layout.start(of: .coarseCodes)..<file.count
    file.use(scanned, .asItComes)
    if !file.isInMemory(at: scanned.lowerBound) { file.use(scanned, .soon) }
    for section in [SegmentLayout.Section.ids, .rows] where !Self.isWhole(section, layout, file) {
      throw damaged("its \(section) are not what was written")
    }
    let rows = (0..<count).map { Int(file.load(at: layout.start(of: .rows) + 4 * $0, as: UInt32.self)) }
    guard rows.allSatisfy({ $0 <= 65536 }) else { throw damaged("an item has more rows than there can be") }
    records = Records(rows, dimension: dimension, isPooled: isPooled)
    guard records.end == layout.start(of: .coarseCodes), rows.reduce(0, +) == Int(sizes[2]) else {
      throw damaged("its items' rows do not explain their records")
    }
  }

  /// Of the header, and so of all that its checksums cover.
  package var fingerprint: String { String(file.load(at: 60, as: UInt32.self), radix: 16) }

  package var bytes: Int { file.count }

  /// The sections whose bytes are not those that were written; every byte is read.
  package func damage() -> [String] {
    readOn()
    return SegmentLayout.Section.allCases.filter { !Self.isWhole($0, layout, file) }.map { "\($0)" }
  }

  private static func isWhole(
    _ section: SegmentLayout.Section, _ layout: SegmentLayout, _ file: MappedFile
  ) -> Bool {
    KernelSet.checksum(file.bytes.extracting(layout[section]))
      == file.load(at: 40 + 4 * section.rawValue, as: UInt32.self)
  }

  /// The catalog's ids of all items.
  package var ids: [Int64] { (0..<count).map(id) }

  /// Whether these are the ids of its items, in their order.
  func hasIDs(_ other: [Int64]) -> Bool {
    let own: Span<Int64> = span(at: layout.start(of: .ids), count: count)
    return other.count == count && other.indices.allSatisfy { own[$0] == other[$0] }
  }

  /// The catalog's id of item `i`.
  package func id(_ i: Int) -> Int64 {
    precondition(i >= 0 && i < count)
    return file.load(at: layout.start(of: .ids) + 8 * i, as: Int64.self)
  }

  @_lifetime(borrow self)
  private func span<T: BitwiseCopyable>(at offset: Int, count: Int) -> Span<T> {
    let file = file
    return unsafe _overrideLifetime(file.span(at: offset, count: count), borrowing: self)
  }

  /// All coarse vectors, in place in the file.
  package var coarse: Rows {
    @_lifetime(borrow self)
    get {
      Rows(
        codes: span(at: layout.start(of: .coarseCodes), count: count * dimension),
        scales: span(at: layout.start(of: .coarseScales), count: count), dimension: dimension)
    }
  }

  /// One item's coarse vector as its codes have it, f32[dimension].
  package func coarseVector(_ i: Int) -> [Float] {
    let row = coarse.extracting(i..<i + 1)
    return (0..<dimension).map { row.scales[0] * Float(row.codes[$0]) }
  }

  /// The same for whoever wants some of them, here and there: appends an item's vector, or is false where the file has become shorter.
  ///
  /// - Parameter opening: reads from the file, so that nothing of it stays in memory; it is mapped all the same, and read so where it cannot be opened.
  /// - Returns: takes room for its use, whatever was in it.
  func coarseReader(opening: Bool) -> @Sendable (_ i: Int, _ room: inout [UInt8], _ values: inout [Float]) -> Bool {
    guard opening, let file = try? ScatteredFile(path: path) else {
      return { [self] i, _, values in
        values += coarseVector(i)
        return true
      }
    }
    return { [self] i, room, values in
      if room.count != dimension { room = [UInt8](repeating: 0, count: dimension) }
      guard file.read(at: layout.start(of: .coarseCodes) + i * dimension, into: &room) else { return false }
      let scale = coarse.scales[i]
      for code in room { values.append(scale * Float(Int8(bitPattern: code))) }
      return true
    }
  }

  /// One item's vectors, in place in the file.
  @_lifetime(borrow self)
  package func item(_ i: Int) -> Item {
    precondition(i >= 0 && i < count)
    let (start, record) = records[i]
    let n = record.rows
    func range(_ i: Int) -> Float {
      isPooled ? Float(bitPattern: file.load(at: start + record.range + 4 * i, as: UInt32.self)) : 0
    }
    return Item(
      coarse: Rows(
        codes: span(at: layout.start(of: .coarseCodes) + i * dimension, count: dimension),
        scales: span(at: layout.start(of: .coarseScales) + 4 * i, count: 1), dimension: dimension),
      fine: Rows(
        codes: span(at: start + record.codes, count: n * dimension), scales: span(at: start + record.scales, count: n),
        dimension: dimension),
      gram: Gram(
        codes: span(at: start + record.gram, count: record.gramCount), least: range(0), step: range(1),
        ownSquare: range(2)))
  }

  /// Begins to read an item's record, where it may not be in memory.
  package func bring(_ i: Int) {
    let (start, layout) = records[i]
    file.use(start..<start + layout.size, .soon)
  }

  /// Coarse vectors that this process does not need any more: the system keeps them in memory as long as it likes, for whoever asks next.
  package func pass(_ rows: Range<Int>) {
    let start = layout.start(of: .coarseCodes)
    file.use(start + rows.lowerBound * dimension..<start + rows.upperBound * dimension, .over)
  }

  /// To be called by whoever reads all records: then they are read ahead.
  private func readOn() {
    guard !isReadOn.exchange(true, ordering: .relaxed) else { return }
    file.use(layout[.records], .inOrder)
  }

  /// Whether an item's bytes are those that were written.
  func isWhole(_ i: Int) -> Bool {
    readOn()
    let (start, layout) = records[i]
    let coarse = item(i).coarse
    return file.load(at: start, as: UInt32.self)
      == PackedItem.checksum(
        coarse: coarse.codes, scale: coarse.scales[0], record: span(at: start, count: layout.size))
  }

  /// The record of an item.
  @_lifetime(borrow self)
  package func bytes(ofItem i: Int) -> RawSpan {
    let (start, layout) = records[i]
    let record: Span<UInt8> = span(at: start, count: layout.size)
    return unsafe _overrideLifetime(record.memory, borrowing: self)
  }

  /// An item as another segment would hold it.
  func packed(_ i: Int) -> PackedItem {
    readOn()
    return PackedItem(
      dimension: dimension, rows: records[i].layout.rows, isPooled: isPooled,
      coarse: span(at: layout.start(of: .coarseCodes) + i * dimension, count: dimension), coarseScale: item(i).coarse.scales[0],
      record: span(at: records[i].start, count: records[i].layout.size))
  }
}

/// Where the records of a segment lie. Images of one model have as many rows each: nothing has to be looked up for them, where a table
/// would cost a search a wait for memory an item.
private struct Records {
  private let dimension: Int
  private let isPooled: Bool
  /// Of every item, where they are alike.
  private let common: RecordLayout?
  /// The first byte of each item's record and how many rows it has, where they are not.
  private let each: [(start: Int, rows: Int)]
  let end: Int

  init(_ rows: [Int], dimension: Int, isPooled: Bool) {
    (self.dimension, self.isPooled) = (dimension, isPooled)
    func layout(_ rows: Int) -> RecordLayout { RecordLayout(rows: rows, dimension: dimension, isPooled: isPooled) }
    if let first = rows.first, rows.allSatisfy({ $0 == first }) {
      let common = layout(first)
      (self.common, each, end) = (common, [], 64 + rows.count * common.size)
    } else {
      var start = 64
      each = rows.map { rows in
        defer { start += layout(rows).size }
        return (start, rows)
      }
      (common, end) = (nil, start)
    }
  }

  subscript(_ i: Int) -> (start: Int, layout: RecordLayout) {
    if let common { return (64 + i * common.size, common) }
    return (each[i].start, RecordLayout(rows: each[i].rows, dimension: dimension, isPooled: isPooled))
  }
}

/// Where the sections of a segment lie.
struct SegmentLayout: Equatable {
  enum Section: Int, CaseIterable {
    case records, coarseCodes, coarseScales, ids, rows
  }

  /// The start of each section, and the end of the file.
  private let offsets: [Int]

  func start(of section: Section) -> Int { offsets[section.rawValue] }
  subscript(_ section: Section) -> Range<Int> { offsets[section.rawValue]..<offsets[section.rawValue + 1] }

  /// Nil where the sizes do not fit a file of `bytes`: the records take what the other sections leave.
  init?(items: Int, dimension: Int, bytes: Int) {
    let sizes = Self.sizes(items: items, dimension: dimension)
    let records = bytes - 64 - sizes.reduce(0, +)
    guard records >= 0, bytes % 64 == 0 else { return nil }
    offsets = ([records] + sizes).reduce(into: [64]) { $0.append($0.last! + $1) }
  }

  /// Of the sections behind the records. - Precondition: `items` < 2^32 and `dimension` <= 65,536, so that nothing overflows.
  static func sizes(items: Int, dimension: Int) -> [Int] {
    [items * dimension, 4 * items, 8 * items, 4 * items].map { ($0 + 63) & ~63 }
  }
}
