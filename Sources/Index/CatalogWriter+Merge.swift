import FTFFiles
import Foundation
import GRDB
import FTFGeography
import FTFKernels

extension CatalogWriter {
  /// What a merge did.
  package struct Merge: Sendable, Equatable {
    /// Files whose items were taken over, and how many those were.
    package var sources = 0
    package var items = 0
    package var captions = 0
    /// Files that are here already, as new or newer.
    package var known = 0

    package init() {}
  }

  /// Sources, or items, after which what came is made part of the index.
  private static let mergedItems = 8192

  private static func kind(_ model: ModelIdentity) -> String {
    let patches = [.none: "no patches", .all: "all patches", .pooled: "pooled patches"][model.patches]!
    return "\(model.views) view\(model.views == 1 ? "" : "s") and \(patches)"
  }

  /// Takes over what another index holds, without encoding anything: files that are not here, or here as they were before (of two the one that was
  /// changed later counts), with their vectors, places and attributes, and sentences that are not here. Ids are this index's own. What is here
  /// already is left alone, so that a merge that was interrupted goes on, and twice is once.
  ///
  /// - Parameters:
  ///   - part: as it is at one moment, by the same model with as many views.
  ///   - isCancelled: whether to stop; what is stored then stays.
  ///   - progress: is told how many files have been looked at.
  /// - Throws: `damaged` before anything of a damaged item is taken.
  package mutating func merge(_ part: Catalog, isCancelled: () -> Bool, progress: (Int) -> Void) throws -> Merge {
    guard part.model.fingerprint == catalog.model.fingerprint, part.model.dimension == catalog.model.dimension else {
      throw IndexError.otherModel(path: catalog.path, index: "\(catalog.model.name) from \(catalog.model.path)", given: part.path)
    }
    guard part.model.views == catalog.model.views, part.model.patches == catalog.model.patches else {
      throw IndexError.otherKind(path: part.path, found: Self.kind(part.model), expected: Self.kind(catalog.model))
    }
    let (items, own) = (try part.places(.image), try catalog.sources())
    let (theirs, said) = (try part.sources(), try part.attributes())
    var (merge, pendingAttributes) = (Merge(), [(path: FilePath, json: String)]())
    func store(_ writer: inout CatalogWriter) throws {
      if !pendingAttributes.isEmpty { try writer.set(attributes: pendingAttributes) }
      pendingAttributes = []
      try writer.commit()
    }
    for (path, source) in theirs.sorted(by: { $0.key < $1.key }) where !isCancelled() {
      progress(1)
      if let known = own[path], known.stamp.agrees(with: source.stamp) || known.stamp.modified >= source.stamp.modified {
        merge.known += 1
        continue
      }
      merge.sources += 1
      if source.isSetAside || source.failure != nil {
        add(path: path, stamp: source.stamp, failure: source.failure ?? Catalog.setAside)
        continue
      }
      let entries = try part.rows(of: path).map { row -> NewEntry in
        guard let place = items[row.id] else { throw IndexError.needsRepair(path: part.path, problem: "it lacks the vectors of \(path)") }
        guard place.segment.isWhole(place.index) else {
          throw IndexError.damaged(path: place.segment.path, reason: "the vectors of \(path) are not what was written")
        }
        return NewEntry(window: row.window, footprint: row.footprint, vectors: place.segment.packed(place.index))
      }
      merge.items += entries.count
      if let scene = source.scene {
        let state = SceneState(json: scene, properties: source.properties, continues: false, done: source.done)
        try add(path: path, stamp: source.stamp, content: source.content, windows: entries, of: state)
      } else {
        try add(path: path, stamp: source.stamp, content: source.content, entries: entries)
      }
      if let json = said[path] { pendingAttributes.append((path, json)) }
      if pending >= Self.mergedItems { try store(&self) }
    }
    try store(&self)
    merge.captions = try mergeCaptions(part, isCancelled)
    save()
    return merge
  }

  private mutating func mergeCaptions(_ part: Catalog, _ isCancelled: () -> Bool) throws -> Int {
    let (items, known) = (try part.places(.caption), try catalog.captions())
    var count = 0
    for entry in try part.entries(.caption) where !known.contains(entry.name) && !isCancelled() {
      guard let place = items[entry.id] else { throw IndexError.needsRepair(path: part.path, problem: "it lacks the vectors of a sentence") }
      guard place.segment.isWhole(place.index) else {
        throw IndexError.damaged(path: place.segment.path, reason: "the vectors of a sentence are not what was written")
      }
      try add(caption: entry.name, vectors: place.segment.packed(place.index))
      count += 1
      if pending >= Self.mergedItems { try commit() }
    }
    try commit()
    return count
  }
}

extension Catalog {
  /// Where the vectors of each live item are.
  fileprivate func places(_ kind: ItemKind) throws -> [Int64: (segment: Segment, index: Int)] {
    let (segments, dead) = try segments(kind)
    var places: [Int64: (segment: Segment, index: Int)] = [:]
    places.reserveCapacity(segments.reduce(0) { $0 + $1.count })
    for segment in segments {
      for i in 0..<segment.count where !dead.contains(segment.id(i)) { places[segment.id(i)] = (segment, i) }
    }
    return places
  }

  /// What was said of images, by path.
  fileprivate func attributes() throws -> [FilePath: String] {
    try read { db in
      var said: [FilePath: String] = [:]
      let rows = try Row.fetchCursor(db, sql: "SELECT path, json FROM attributes")
      while let row = try rows.next() { said[try FilePath(row.at(0))] = try row.at(1) }
      return said
    }
  }

  /// The entries of a source, in the order of their ids.
  fileprivate func rows(of path: FilePath) throws -> [(id: Int64, window: Window?, footprint: Geometry?)] {
    try read { db in
      let statement = try db.cachedStatement(
        sql: """
          SELECT entries.id, x, y, width, height, footprint FROM entries JOIN sources ON sources.id = source WHERE path = ? ORDER BY entries.id
          """)
      return try Row.fetchAll(statement, arguments: [path.spelling]).map { row in
        let text: String? = try row.at(5)
        return try (row.at(0), Self.window(row, at: 1), text.flatMap { Geometry(geoJSON: $0) })
      }
    }
  }
}
