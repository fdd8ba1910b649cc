import Foundation
import GRDB

/// Keeps other processes from writing an index while it lives.
package final class IndexLock: Sendable {
  private let file: Int32

  fileprivate init(_ folder: String) throws(IndexError) {
    file = unsafe open("\(folder)/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .unwritable(path: folder, reason: unsafe String(cString: strerror(errno))) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      close(file)
      throw .locked(path: folder)
    }
  }

  deinit { close(file) }
}

extension Catalog {
  /// What everyone who writes has to hold. The system lets go of it when a process dies.
  package func lock() throws(IndexError) -> IndexLock { try IndexLock(path) }

  /// An item as a listing shows it.
  package struct Entry: Sendable {
    package var id: Int64
    package var name: String
    package var size: Int64?
    package var attributes: String?
  }

  /// All items of a kind, by id.
  package func entries(_ kind: ItemKind) throws -> [Entry] {
    try database.read { db in
      let sql = """
        SELECT items.id, items.name, items.size, attributes.json
        FROM items LEFT JOIN attributes ON attributes.path = items.name WHERE items.kind = ? ORDER BY items.id
        """
      return try Row.fetchAll(db, sql: sql, arguments: [kind.rawValue]).map {
        Entry(id: $0[0], name: $0[1], size: $0[2], attributes: $0[3])
      }
    }
  }

  /// The coarse vectors of all items of a kind, f32[n, d], and their ids.
  package func coarseVectors(_ kind: ItemKind) throws -> (ids: [Int64], values: [Float]) {
    let (segments, dead) = try segments(kind)
    var (ids, values) = ([Int64](), [Float]())
    for segment in segments {
      for i in 0..<segment.count where !dead.contains(segment.id(i)) {
        ids.append(segment.id(i))
        let row = segment.coarse.extracting(i..<i + 1)
        for j in 0..<segment.dimension { values.append(row.scales[0] * Float(row.codes[j])) }
      }
    }
    return (ids, values)
  }

  /// Items in a segment that `compact` writes.
  static let compactItems = 8192

  /// Writes the live items to new segments, in their order, and drops the old ones in one transaction: whoever searches sees
  /// the index before or after, and a crash leaves it as it was.
  ///
  /// - Returns: how many segments there were and are.
  package func compact(progress: (Int) -> Void) throws -> (before: Int, after: Int) {
    let old = try database.read { try Int64.fetchAll($0, sql: "SELECT id FROM segments") }
    var number = (old.max() ?? 0) + 1
    var written: [(number: Int64, kind: ItemKind, ids: [Int64], fingerprint: String)] = []
    for kind in ItemKind.allCases {
      let (segments, dead) = try segments(kind)
      let live = segments.flatMap { segment in
        (0..<segment.count).filter { !dead.contains(segment.id($0)) }.map { (segment, $0) }
      }
      for start in stride(from: 0, to: live.count, by: Self.compactItems) {
        let part = live[start..<min(start + Self.compactItems, live.count)]
        var writer = try SegmentWriter(path: file(number), dimension: model.dimension, isPooled: kind == .image)
        for (segment, i) in part { try writer.append(segment.packed(i), id: segment.id(i)) }
        written.append((number, kind, part.map { $0.id($1) }, try writer.finish()))
        progress(part.count)
        number += 1
      }
    }
    try database.write { db in
      for segment in written {
        try db.execute(
          sql: "INSERT INTO segments VALUES (?, ?, ?, ?)",
          arguments: [segment.number, segment.kind.rawValue, segment.ids.count, segment.fingerprint])
        for id in segment.ids {
          try db.execute(sql: "UPDATE items SET segment = ? WHERE id = ?", arguments: [segment.number, id])
        }
      }
      for id in old { try db.execute(sql: "DELETE FROM segments WHERE id = ?", arguments: [id]) }
      try db.execute(sql: "DELETE FROM dead")
    }
    try removeLeftovers()
    return (old.count, written.count)
  }

  /// What is wrong with the index: every byte of every segment is read.
  ///
  /// - Parameter progress: is told after each segment how many items it has.
  package func problems(progress: (Int) -> Void) throws -> [String] {
    var found = try database.read { db in
      try String.fetchAll(db, sql: "PRAGMA quick_check").filter { $0 != "ok" }.map { "\(path)/catalog.sqlite: \($0)" }
    }
    let rows = try database.read {
      try Row.fetchAll($0, sql: "SELECT id, items, fingerprint FROM segments ORDER BY id")
    }
    for row in rows {
      let (number, items, fingerprint): (Int64, Int, String) = (row[0], row[1], row[2])
      found += try problems(segment: number, items: items, fingerprint: fingerprint)
      progress(items)
    }
    let known = Set(rows.map { row -> Int64 in row[0] })
    let lost = try database.read { try Int64.fetchSet($0, sql: "SELECT DISTINCT segment FROM items") }.subtracting(
      known)
    found += lost.sorted().map { "\(file($0)): the catalog has items of it, but not the segment" }
    return found
  }

  private func problems(segment number: Int64, items: Int, fingerprint: String) throws -> [String] {
    let path = file(number)
    let segment: Segment
    do {
      segment = try Segment(path: path)
    } catch {
      return ["\(error)"]
    }
    guard segment.fingerprint == fingerprint else { return ["\(path): is another segment than the catalog's"] }
    let damage = segment.damage()
    guard damage.isEmpty else {
      return ["\(path): its \(damage.joined(separator: ", ")) are not those that were written"]
    }
    guard segment.dimension == model.dimension, segment.count == items else {
      return [
        "\(path): has \(segment.count) vectors of \(segment.dimension), the catalog \(items) of \(model.dimension)"
      ]
    }
    let (live, dead) = try database.read { db in
      (
        try Int64.fetchSet(db, sql: "SELECT id FROM items WHERE segment = ?", arguments: [number]),
        try Int64.fetchSet(db, sql: "SELECT id FROM dead")
      )
    }
    let ids = Set((0..<segment.count).map(segment.id))
    let unknown = ids.subtracting(live).subtracting(dead).count
    let missing = live.subtracting(ids).count
    return (unknown > 0 ? ["\(path): the catalog does not know \(unknown) of its items"] : [])
      + (missing > 0 ? ["\(path): lacks \(missing) items of the catalog"] : [])
  }
}
