import Foundation
import FTFGeography

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
  /// Of all, or of each.
  private let kinds: [Kind]
  private let values: [Int64]
  private let texts: [String]

  /// Nil where the bytes are no column.
  init?(_ data: Data) {
    let bytes = [UInt8](data)
    func u32(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    guard bytes.count >= 16, bytes[0] == 1, [1, 2, 4, 8].contains(bytes[2]) else { return nil }
    let (width, n, t, hasKinds) = (Int(bytes[2]), u32(4), u32(8), bytes[1] == 255)
    let kindsAt = 16 + n * width
    let offsetsAt = kindsAt + (hasKinds ? n : 0)
    let textsAt = offsetsAt + 4 * (t + 1)
    guard textsAt <= bytes.count else { return nil }
    values = Self.values(bytes[16..<kindsAt], width)
    kinds = (hasKinds ? Array(bytes[kindsAt..<offsetsAt]) : [bytes[1]]).compactMap(Kind.init)
    guard kinds.count == (hasKinds ? n : 1) else { return nil }
    let offsets = (0...t).map { textsAt + u32(offsetsAt + 4 * $0) }
    guard offsets[0] == textsAt, offsets[t] == bytes.count, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 }) else { return nil }
    texts = (0..<t).map { String(decoding: bytes[offsets[$0]..<offsets[$0 + 1]], as: UTF8.self) }
    count = n
    let hasTexts = kinds.contains { $0 == .text || $0 == .list }
    guard !hasTexts || (0..<n).allSatisfy({ i in !isText(i) || (0..<Int64(t)).contains(values[i]) }) else { return nil }
  }

  private static func values(_ bytes: ArraySlice<UInt8>, _ width: Int) -> [Int64] {
    func loaded<T: FixedWidthInteger>(_ type: T.Type) -> [Int64] {
      unsafe bytes.withUnsafeBytes { bytes in
        (0..<bytes.count / width).map { unsafe Int64(T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * width, as: T.self))) }
      }
    }
    switch width {
    case 1: return loaded(Int8.self)
    case 2: return loaded(Int16.self)
    case 4: return loaded(Int32.self)
    default: return loaded(Int64.self)
    }
  }

  private func kind(_ i: Int) -> Kind { kinds.count == 1 ? kinds[0] : kinds[i] }
  private func isText(_ i: Int) -> Bool { kind(i) == .text || kind(i) == .list }

  func isAbsent(_ i: Int) -> Bool { kind(i) == .absent }

  subscript(_ i: Int) -> ColumnValue {
    switch kind(i) {
    case .absent: .absent
    case .null: .null
    case .bool: .bool(values[i] != 0)
    case .integer: .integer(values[i])
    case .number: .number(Double(bitPattern: UInt64(bitPattern: values[i])))
    case .text: .text(texts[Int(values[i])])
    case .list: .list(texts[Int(values[i])])
    case .object: .object
    }
  }

  /// Which of the items meet a test. A text that many have is looked at once.
  func meeting(_ test: Condition.Test) -> [Bool] {
    guard kinds.count == 1 else { return meetingEach(test) }
    switch kinds[0] {
    case .text, .list:
      let isText = kinds[0] == .text
      let met = texts.map { test.holds(isText ? .text($0) : .list($0)) }
      return values.map { met[Int($0)] }
    case .integer: return values.map { test.holds(.integer($0)) }
    case .number: return values.map { test.holds(.number(Double(bitPattern: UInt64(bitPattern: $0)))) }
    case .absent, .null, .bool, .object: return meetingEach(test)
    }
  }

  private func meetingEach(_ test: Condition.Test) -> [Bool] {
    var met: [Int64: Bool] = [:]
    return (0..<count).map { i in
      guard kind(i) == .text else { return test.holds(self[i]) }
      if let known = met[values[i]] { return known }
      let holds = test.holds(self[i])
      met[values[i]] = holds
      return holds
    }
  }
}

/// A column, as it is made.
struct ColumnBuilder {
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
    var data = Data()
    func u32(_ value: Int) { data.append(littleEndian: UInt32(value), 4) }
    data.append(contentsOf: [1, isOne ? kinds.first?.rawValue ?? 0 : 255, UInt8(width), 0])
    u32(items)
    u32(order.count)
    u32(0)
    for value in values { data.append(littleEndian: value, width) }
    if !isOne { data.append(contentsOf: kinds.map(\.rawValue)) }
    var end = 0
    u32(0)
    for text in order {
      end += text.utf8.count
      u32(end)
    }
    for text in order { data.append(contentsOf: text.utf8) }
    return data
  }
}

/// The ids of the items of a segment, ascending, and the boxes of their footprints, as it is stored: u32 items n, u32 boxes b; s64[n] ids; u8[n], how
/// many boxes each has, 128 more where the box is all of the footprint; f64[b, 4] west, south, east, north.
struct ItemColumn {
  private(set) var ids: [Int64] = []
  private var parts: [UInt8] = []
  private var boxes = Boxes()
  private var starts: [Int] = []

  /// f64[b, 4], read as they are asked for: most filters ask for none.
  private struct Boxes {
    var bytes = Data()

    var count: Int { bytes.count / 32 }

    mutating func append(_ box: BoundingBox) {
      for degrees in [box.west, box.south, box.east, box.north] { bytes.append(littleEndian: degrees.bitPattern, 8) }
    }

    subscript(_ i: Int) -> BoundingBox {
      unsafe bytes.withUnsafeBytes { bytes in
        func degrees(_ k: Int) -> Double {
          unsafe Double(bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 32 * i + 8 * k, as: UInt64.self)))
        }
        return BoundingBox(west: degrees(0), south: degrees(1), east: degrees(2), north: degrees(3))
      }
    }
  }

  init() {}

  /// Nil where the bytes are none.
  init?(_ data: Data) {
    let (start, size) = (data.startIndex, data.count)
    guard size >= 8 else { return nil }
    func u32(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(data[start + at + $1]) << (8 * $1) } }
    let (n, b) = (u32(0), u32(4))
    guard size == 8 + 9 * n + 32 * b else { return nil }
    ids = unsafe data.withUnsafeBytes { bytes in
      (0..<n).map { unsafe Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 + 8 * $0, as: Int64.self)) }
    }
    parts = Array(data[(start + 8 + 8 * n)..<(start + 8 + 9 * n)])
    boxes.bytes = data[(start + 8 + 9 * n)...]
    starts.reserveCapacity(n)
    var end = 0
    for part in parts {
      starts.append(end)
      end += Int(part & 127)
    }
    guard end == b else { return nil }
  }

  mutating func append(_ id: Int64, _ footprint: Geometry?) {
    ids.append(id)
    starts.append(boxes.count)
    guard let footprint, !footprint.polygons.isEmpty else { return parts.append(0) }
    // Of more parts than are counted, one that holds them all.
    let own = footprint.polygons.count < 128 ? footprint.boxes : [BoundingBox(west: -180, south: -90, east: 180, north: 90)]
    parts.append(UInt8(own.count) | (footprint.isBox ? 128 : 0))
    for box in own { boxes.append(box) }
  }

  var data: Data {
    var data = Data()
    data.append(littleEndian: UInt32(ids.count), 4)
    data.append(littleEndian: UInt32(boxes.count), 4)
    for id in ids { data.append(littleEndian: id, 8) }
    data.append(contentsOf: parts)
    data.append(boxes.bytes)
    return data
  }

  func hasFootprint(_ i: Int) -> Bool { parts[i] != 0 }

  /// Of each part of a footprint.
  func boxes(_ i: Int) -> some Collection<BoundingBox> { (starts[i]..<starts[i] + Int(parts[i] & 127)).lazy.map { boxes[$0] } }

  /// Which of the items have a place in common with an area.
  ///
  /// - Parameters:
  ///   - near: boxes that hold all of the area.
  ///   - holds: whether a box lies in the area with all that it has; may say no where it does.
  ///   - meets: whether a footprint does.
  ///   - footprint: of an item whose boxes do not tell.
  func meeting(
    near: [BoundingBox], holds: (BoundingBox) -> Bool, meets: (Geometry) -> Bool, footprint: (Int64) throws -> Geometry?
  ) rethrows -> [Bool] {
    try ids.indices.map { i in
      let own = boxes(i)
      let isNear = own.contains { a in near.contains { $0.west <= a.east && a.west <= $0.east && $0.south <= a.north && a.south <= $0.north } }
      guard isNear else { return false }
      if own.contains(where: holds) { return true }
      if parts[i] & 128 != 0 { return meets(Geometry(polygons: [own.first!.corners])) }
      return try footprint(ids[i]).map(meets) ?? false
    }
  }
}

extension BoundingBox {
  func with(_ other: BoundingBox) -> BoundingBox {
    BoundingBox(west: min(west, other.west), south: min(south, other.south), east: max(east, other.east), north: max(north, other.north))
  }

  fileprivate var corners: [Place] {
    [Place(lon: west, lat: south), Place(lon: east, lat: south), Place(lon: east, lat: north), Place(lon: west, lat: north)]
  }
}

extension Data {
  /// The lowest bytes of a number, the least first.
  fileprivate mutating func append(littleEndian value: some FixedWidthInteger, _ bytes: Int) {
    for i in 0..<bytes { append(UInt8(truncatingIfNeeded: value >> (8 * i))) }
  }
}
