import Foundation
import FTFGeography
import FTFKernels

/// What the items of a segment have for one attribute, as it is stored.
///
/// | bytes | type | holds |
/// |---|---|---|
/// | 0 | u8 | 1, the form |
/// | 1 | u8 | the type of all values; 255 where each has its own |
/// | 2 | u8 | bytes of a value: 1, 2, 4 or 8 |
/// | 4, 8 | u32 | items n, texts t |
/// | 16 | s8, s16, s32 or s64 [n] | a whole number, the bits of a number, 0 or 1, or which of the texts it is |
/// | | u8[n] | types, where each has its own |
/// | | u32[t + 1], u8[] | where each text begins, and where the last ends; the texts, each once |
struct Column {
  /// In the order in which they are stored.
  enum Kind: UInt8 { case absent, null, bool, integer, number, text, list, object }

  /// How a column of an object inside another is called.
  static func name(of path: [String]) -> String { path.joined(separator: "\u{1f}") }

  let count: Int
  private let bytes: [UInt8]
  /// Of a value.
  private let width: Int
  /// Of all; nil where each has its own.
  private let kind: Kind?
  private let kindsAt: Int
  private let textsCount: Int
  private let offsetsAt: Int
  private var textsAt: Int { offsetsAt + 4 * (textsCount + 1) }

  private static let valuesAt = 16

  init?(_ data: Data) { self.init([UInt8](data)) }

  /// Nil where the bytes are no column.
  init?(_ bytes: [UInt8]) {
    func u32(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    guard bytes.count >= Self.valuesAt, bytes[0] == 1, [1, 2, 4, 8].contains(bytes[2]) else { return nil }
    let (n, t, hasKinds) = (u32(4), u32(8), bytes[1] == 255)
    (self.bytes, count, textsCount, width) = (bytes, n, t, Int(bytes[2]))
    kindsAt = Self.valuesAt + n * width
    offsetsAt = kindsAt + (hasKinds ? n : 0)
    kind = hasKinds ? nil : Kind(rawValue: bytes[1])
    guard textsAt <= bytes.count, hasKinds ? bytes[kindsAt..<offsetsAt].allSatisfy({ Kind(rawValue: $0) != nil }) : kind != nil else { return nil }
    guard offset(0) == textsAt, offset(t) == bytes.count, (0..<t).allSatisfy({ offset($0) <= offset($0 + 1) }) else { return nil }
    guard kind.map({ $0 != .text && $0 != .list }) ?? false || (0..<n).allSatisfy({ i in !isText(i) || (0..<Int64(t)).contains(value(i)) }) else {
      return nil
    }
  }

  /// Where text `k` begins.
  private func offset(_ k: Int) -> Int {
    precondition(k >= 0 && k <= textsCount)
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe textsAt + Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offsetsAt + 4 * k, as: UInt32.self)))
    }
  }

  private func text(_ k: Int) -> String { String(decoding: bytes[offset(k)..<offset(k + 1)], as: UTF8.self) }

  /// Of each text whether it meets a test; patterns look at the bytes where they can.
  private func textsMeeting(_ test: Condition.Test) -> [Bool] {
    (0..<textsCount).map { k in
      if case .like(let pattern, let isNot) = test, let met = pattern.matches(bytes.span.extracting(offset(k)..<offset(k + 1))) {
        return met != isNot
      }
      return test.holds(.text(text(k)))
    }
  }

  /// What is stored for an item, whatever it means.
  @inline(__always)
  private func value(_ i: Int) -> Int64 {
    precondition(i >= 0 && i < count)
    return unsafe bytes.withUnsafeBytes { bytes in
      let at = Self.valuesAt + i * width
      return switch width {
      case 1: unsafe Int64(bytes.loadUnaligned(fromByteOffset: at, as: Int8.self))
      case 2: unsafe Int64(Int16(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int16.self)))
      case 4: unsafe Int64(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self)))
      default: unsafe Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int64.self))
      }
    }
  }

  private func kind(_ i: Int) -> Kind { kind ?? Kind(rawValue: bytes[kindsAt + i])! }
  private func isText(_ i: Int) -> Bool { kind(i) == .text || kind(i) == .list }

  func isAbsent(_ i: Int) -> Bool { kind(i) == .absent }
  /// Whether every item has a value.
  var hasAll: Bool { kind != nil && kind != .absent }

  subscript(_ i: Int) -> ColumnValue {
    switch kind(i) {
    case .absent: .absent
    case .null: .null
    case .bool: .bool(value(i) != 0)
    case .integer: .integer(value(i))
    case .number: .number(Double(bitPattern: UInt64(bitPattern: value(i))))
    case .text: .text(text(Int(value(i))))
    case .list: .list(text(Int(value(i))))
    case .object: .object
    }
  }

  /// Which of the items meet a test. What many have is looked at once.
  func meeting(_ test: Condition.Test) -> Bitmap {
    switch kind {
    case .text?:
      let met = textsMeeting(test)
      return Bitmap(count: count) { met[Int(value($0))] }
    case .list?:
      let met = (0..<textsCount).map { test.holds(.list(text($0))) }
      return Bitmap(count: count) { met[Int(value($0))] }
    case .integer? where width <= 2:
      var known = [Bool?](repeating: nil, count: 1 << (8 * width))
      return Bitmap(count: count) { i in
        let (value, place) = (value(i), Int(value(i)) + known.count / 2)
        if let holds = known[place] { return holds }
        let holds = test.holds(.integer(value))
        known[place] = holds
        return holds
      }
    case .integer?: return Bitmap(count: count) { test.holds(.integer(value($0))) }
    case .number?: return Bitmap(count: count) { test.holds(.number(Double(bitPattern: UInt64(bitPattern: value($0))))) }
    case nil, .absent?, .null?, .bool?, .object?: return meetingEach(test)
    }
  }

  private func meetingEach(_ test: Condition.Test) -> Bitmap {
    var met: [Int64: Bool] = [:]
    return Bitmap(count: count) { i in
      guard kind(i) == .text else { return test.holds(self[i]) }
      if let known = met[value(i)] { return known }
      let holds = test.holds(self[i])
      met[value(i)] = holds
      return holds
    }
  }
}

/// A column, as it is made.
struct ColumnBuilder: Sendable {
  private var kinds: [Column.Kind] = []
  private var values: [Int64] = []
  private var texts: [String.Bytes: Int64] = [:]
  private var order: [String] = []

  /// The first value of an item counts.
  mutating func set(_ value: ColumnValue, of item: Int) {
    guard item >= kinds.count else { return }
    fill(to: item)
    switch value {
    case .absent: append(.absent, 0)
    case .null: append(.null, 0)
    case .bool(let value): append(.bool, value ? 1 : 0)
    case .integer(let value): append(.integer, value)
    case .number(let value): append(.number, Int64(bitPattern: value.bitPattern))
    case .text(let text): append(.text, number(of: text))
    case .list(let json): append(.list, number(of: json))
    case .object: append(.object, 0)
    }
  }

  private mutating func append(_ kind: Column.Kind, _ value: Int64) {
    kinds.append(kind)
    values.append(value)
  }

  private mutating func number(of text: String) -> Int64 {
    if let known = texts[text.bytes] { return known }
    let number = Int64(order.count)
    texts[text.bytes] = number
    order.append(text)
    return number
  }

  /// Adds the values of items that follow from `item` on.
  mutating func append(_ other: ColumnBuilder, at item: Int) {
    fill(to: item)
    let numbers = other.order.map { number(of: $0) }
    kinds += other.kinds
    for (kind, value) in zip(other.kinds, other.values) { values.append(kind == .text || kind == .list ? numbers[Int(value)] : value) }
  }

  private mutating func fill(to count: Int) { while kinds.count < count { append(.absent, 0) } }

  mutating func data(items: Int) -> Data {
    fill(to: items)
    let isOne = kinds.allSatisfy { $0 == kinds[0] }
    let (least, most) = (values.min() ?? 0, values.max() ?? 0)
    let width =
      [Int8.bitWidth, Int16.bitWidth, Int32.bitWidth].first { (bits: Int) -> Bool in
        let limit = Int64(1) << Int64(bits - 1)
        return least >= -limit && most < limit
      }.map { $0 / 8 } ?? 8
    var data: [UInt8] = [1, isOne ? kinds.first?.rawValue ?? 0 : 255, UInt8(width), 0]
    for number in [items, order.count, 0] { data.append(littleEndian: UInt32(number), 4) }
    switch width {
    case 1: data.append(littleEndian: values.map { Int8($0) })
    case 2: data.append(littleEndian: values.map { Int16($0) })
    case 4: data.append(littleEndian: values.map { Int32($0) })
    default: data.append(littleEndian: values)
    }
    if !isOne { data += kinds.map(\.rawValue) }
    data.append(littleEndian: order.reduce(into: [0 as UInt32]) { $0.append($0.last! + UInt32($1.utf8.count)) })
    for text in order { data += text.utf8 }
    return Data(data)
  }
}

/// The ids of the items of a segment, ascending, and the boxes of their footprints, as it is stored: u32 items n, u32 boxes b; s64[n] ids; u8[n], how
/// many boxes each has, 128 more where the box is all of the footprint; f64[b, 4] west, south, east, north.
struct ItemColumn {
  private(set) var ids: [Int64] = []
  private var parts: [UInt8] = []
  private var boxes = Boxes()

  /// f64[b, 4] from some byte on, read as they are asked for.
  private struct Boxes {
    var bytes: [UInt8] = []
    var start = 0

    var count: Int { (bytes.count - start) / 32 }

    mutating func append(_ box: BoundingBox) {
      for degrees in [box.west, box.south, box.east, box.north] { bytes.append(littleEndian: degrees.bitPattern, 8) }
    }

    subscript(_ i: Int) -> BoundingBox {
      precondition(i >= 0 && i < count)
      return unsafe bytes.withUnsafeBytes { bytes in
        func degrees(_ k: Int) -> Double {
          unsafe Double(bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 32 * i + 8 * k, as: UInt64.self)))
        }
        return BoundingBox(west: degrees(0), south: degrees(1), east: degrees(2), north: degrees(3))
      }
    }
  }

  init() {}

  init?(_ data: Data) { self.init([UInt8](data)) }

  /// Nil where the bytes are none.
  init?(_ bytes: [UInt8]) {
    guard let n = Self.count(bytes.prefix(Self.idsAt), of: bytes.count) else { return nil }
    ids = unsafe bytes.withUnsafeBytes { bytes in
      (0..<n).map { unsafe Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: Self.idsAt + 8 * $0, as: Int64.self)) }
    }
    parts = Array(bytes[(Self.idsAt + 8 * n)..<(Self.idsAt + 9 * n)])
    boxes = Boxes(bytes: bytes, start: Self.idsAt + 9 * n)
    guard parts.reduce(0, { $0 + Int($1 & 127) }) == boxes.count else { return nil }
  }

  /// Where the ids begin.
  static let idsAt = 8

  /// The items of a column by its first bytes and its size; nil where those do not agree.
  static func count(_ head: some Collection<UInt8>, of size: Int) -> Int? {
    guard head.count >= idsAt else { return nil }
    let numbers = head.prefix(idsAt).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
    let (n, b) = (Int(numbers & 0xffff_ffff), Int(numbers >> 32))
    return size == idsAt + 9 * n + 32 * b ? n : nil
  }

  mutating func append(_ id: Int64, _ footprint: Geometry?) {
    ids.append(id)
    guard let footprint, !footprint.polygons.isEmpty else { return parts.append(0) }
    // Of more parts than are counted, one that holds them all.
    let own = footprint.polygons.count < 128 ? footprint.boxes : [BoundingBox(west: -180, south: -90, east: 180, north: 90)]
    parts.append(UInt8(own.count) | (footprint.isBox ? 128 : 0))
    for box in own { boxes.append(box) }
  }

  /// Adds items that come after all of these.
  mutating func append(_ other: ItemColumn) {
    ids += other.ids
    parts += other.parts
    boxes.bytes += other.boxes.bytes[other.boxes.start...]
  }

  var data: Data {
    var data: [UInt8] = []
    data.append(littleEndian: UInt32(ids.count), 4)
    data.append(littleEndian: UInt32(boxes.count), 4)
    for id in ids { data.append(littleEndian: id, 8) }
    return Data(data + parts + boxes.bytes[boxes.start...])
  }

  func hasFootprint(_ i: Int) -> Bool { parts[i] != 0 }

  /// Each item with the boxes of the parts of its footprint, from the first on.
  func forEach(_ body: (_ item: Int, _ boxes: LazyMapSequence<Range<Int>, BoundingBox>) -> Void) {
    var end = 0
    for i in ids.indices {
      let own = end..<end + Int(parts[i] & 127)
      end = own.upperBound
      body(i, own.lazy.map { boxes[$0] })
    }
  }

  /// Which of the items have a place in common with an area.
  ///
  /// - Parameters:
  ///   - near: boxes that hold all of the area.
  ///   - holds: whether a box lies in the area with all that it has; may say no where it does.
  ///   - meets: whether a footprint does.
  ///   - footprint: of an item whose boxes do not tell.
  func meeting(
    near: [BoundingBox], holds: (BoundingBox) -> Bool, meets: (Geometry) -> Bool, footprint: (Int64) throws -> Geometry?
  ) rethrows -> Bitmap {
    var end = 0
    return try Bitmap(count: ids.count) { i in
      let own = end..<end + Int(parts[i] & 127)
      end = own.upperBound
      var isNear = false
      for k in own {
        let a = boxes[k]
        for b in near where b.west <= a.east && a.west <= b.east && b.south <= a.north && a.south <= b.north { isNear = true }
      }
      guard isNear else { return false }
      if own.contains(where: { holds(boxes[$0]) }) { return true }
      if parts[i] & 128 != 0 { return meets(Geometry(polygons: [boxes[own.lowerBound].corners])) }
      return try footprint(ids[i]).map(meets) ?? false
    }
  }
}

extension BoundingBox {
  fileprivate var corners: [Place] {
    [Place(lon: west, lat: south), Place(lon: east, lat: south), Place(lon: east, lat: north), Place(lon: west, lat: north)]
  }
}

extension [UInt8] {
  /// The lowest bytes of a number, the least first.
  fileprivate mutating func append(littleEndian value: some FixedWidthInteger, _ bytes: Int) {
    for i in 0..<bytes { append(UInt8(truncatingIfNeeded: value >> (8 * i))) }
  }

  fileprivate mutating func append(littleEndian values: [some FixedWidthInteger & BitwiseCopyable]) {
    unsafe values.map(\.littleEndian).withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}
