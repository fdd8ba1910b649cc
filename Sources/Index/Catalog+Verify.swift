import GRDB

extension Catalog {
  /// What is wrong with the index: every byte of every segment is read.
  ///
  /// - Parameter progress: is told after each segment how many items it has.
  package func problems(progress: (Int) -> Void) throws -> [String] {
    var found = try database.read { db in
      try String.fetchAll(db, sql: "PRAGMA quick_check").filter { $0 != "ok" }.map { "\(path)/catalog.sqlite: \($0)" }
    }
    let rows = try database.read {
      try Row.fetchAll($0, sql: "SELECT id, kind, items, fingerprint FROM segments ORDER BY id")
    }
    for row in rows {
      let (number, items): (Int64, Int) = (row[0], row[2])
      found += try problems(segment: number, kind: row[1], items: items, fingerprint: row[3])
      progress(items)
    }
    let known = Set(rows.map { row -> Int64 in row[0] })
    let lost = try database.read {
      try Int64.fetchSet($0, sql: "SELECT segment FROM entries UNION SELECT segment FROM captions")
    }.subtracting(known)
    found += lost.sorted().map { "\(file($0)): the catalog has items of it, but not the segment" }
    return found
  }

  func problems(segment number: Int64, kind: String, items: Int, fingerprint: String) throws -> [String] {
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
        try Int64.fetchSet(
          db, sql: "SELECT id FROM \(kind == "image" ? "entries" : "captions") WHERE segment = ?", arguments: [number]),
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
