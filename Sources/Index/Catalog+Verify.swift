import Foundation
import GRDB

extension Catalog {
  /// What is wrong with the index: every byte of every segment and every row of the catalog is read. What another process writes
  /// meanwhile is not taken for damage.
  ///
  /// - Parameter progress: is told after each segment how many items it has.
  package func problems(progress: (Int) -> Void) throws -> [String] {
    var found: [String] = []
    var rows: [Row] = []
    do {
      (found, rows) = try read { db in
        (try Self.problems(db), try Row.fetchAll(db, sql: "SELECT id, kind, items, fingerprint FROM segments ORDER BY id"))
      }
    } catch IndexError.damaged(_, let reason) {
      return ["\(Self.file(path)): \(reason)"]
    }
    found = found.map { "\(Self.file(path)): \($0)" }
    for row in rows {
      guard let (number, kind, items, fingerprint): (Int64, String, Int, String) = try? (row.at(0), row.at(1), row.at(2), row.at(3)) else {
        found.append("\(Self.file(path)): a row of segments says nothing of one")
        continue
      }
      let problems = try problems(segment: number, kind: kind, items: items, fingerprint: fingerprint)
      // Another process may have written it anew under another number.
      if !problems.isEmpty, try isLive(number) { found += problems }
      progress(items)
    }
    return found
  }

  private func isLive(_ segment: Int64) throws -> Bool {
    try read { try Bool.fetchOne($0, sql: "SELECT count(*) > 0 FROM segments WHERE id = ?", arguments: [segment])! }
  }

  /// What is wrong with the catalog by itself.
  private static func problems(_ db: Database) throws -> [String] {
    var found = try String.fetchAll(db, sql: "PRAGMA integrity_check(10)").filter { $0 != "ok" }
    found += try Checks.problems(db)
    found += try placeProblems(db)
    for (what, condition) in [
      ("entries of sources that it does not have", "SELECT count(*) FROM entries WHERE source NOT IN (SELECT id FROM sources)"),
      ("places of entries that it does not have", "SELECT count(*) FROM places WHERE entry NOT IN (SELECT id FROM entries)"),
      (
        "items of segments that it does not have",
        """
        SELECT count(*) FROM (SELECT segment FROM entries UNION ALL SELECT segment FROM captions)
        WHERE segment NOT IN (SELECT id FROM segments)
        """
      ),
      (
        "images of which what is said is no JSON object, which no filter can read",
        """
        SELECT (SELECT count(*) FROM attributes WHERE NOT json_valid(json) OR json_type(json) != 'object')
          + (SELECT count(*) FROM sources WHERE properties IS NOT NULL AND (NOT json_valid(properties) OR json_type(properties) != 'object'))
        """
      ),
      (
        "items that are in use and taken out",
        """
        SELECT count(*) FROM dead WHERE id IN (SELECT id FROM entries) OR id IN (SELECT id FROM captions)
        """
      ),
      (
        "ids that are to be given again",
        """
        SELECT count(*) FROM (SELECT id FROM entries UNION ALL SELECT id FROM captions UNION ALL SELECT id FROM dead)
        WHERE id >= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_id')
        """
      ),
    ] {
      let count = try Int.fetchOne(db, sql: condition) ?? 0
      if count > 0 { found.append("it has \(count) \(what)") }
    }
    // What no column can be made of is told of above.
    do { found += try columnProblems(db) } catch IndexError.damaged {}
    return found
  }

  /// What is wrong with the tree of places; one is looked for by place, and found by walking it.
  static func placeProblems(_ db: Database) throws -> [String] {
    let problems = try String.fetchAll(db, sql: "SELECT rtreecheck('places')").filter { $0 != "ok" }
    let without =
      try Int.fetchOne(
        db, sql: "SELECT count(*) FROM entries WHERE footprint IS NOT NULL AND id NOT IN (SELECT entry FROM places)") ?? 0
    return problems + (without > 0 ? ["it has \(without) footprints that it does not find by place"] : [])
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
    let (live, dead) = try read { db in
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
