import Foundation
import FTFGeography
import FTFIndex
import FTFKernels

/// Which items of an index are searched.
struct Selection {
  var filter: String?
  var area: Area?
  /// Names in the filter that are no attributes, and what each is for all images.
  var constants: [String: String] = [:]
  /// Whether the filter may name attributes that nothing has, which are then null.
  var allowsUnknown = false

  /// An index of one moment, and what of it is searched.
  struct Opened {
    let catalog: Catalog
    let segments: [Segment]
    /// Whether each item, counted through all segments, is searched; nil for all.
    let live: Bitmap?
    /// Whether a filter or an area chose.
    let isChosen: Bool
    /// The length of `live`.
    var items: Int { segments.reduce(0) { $0 + $1.count } }

    func without(_ ids: Set<Int64>) -> Opened {
      var (live, item) = (live ?? Bitmap(repeating: true, count: items), 0)
      for segment in segments {
        for i in 0..<segment.count where ids.contains(segment.id(i)) { live[item + i] = false }
        item += segment.count
      }
      return Opened(catalog: catalog, segments: segments, live: live, isChosen: isChosen)
    }
  }

  /// Several indexes, which one model has to have made; what the filter names is an attribute of one of them at least.
  func opened(_ indexes: [ImageIndex], _ target: SearchTarget, by model: ModelIdentity) throws -> [Opened] {
    for index in indexes { try index.catalog.check(model) }
    guard indexes.count > 1 else { return try indexes.map { try opened($0.catalog, target) } }
    let repeated = try Catalog.repeated(in: indexes.map(\.catalog))
    return zip(try each(indexes, target), repeated).map { opened, ids in ids.isEmpty ? opened : opened.without(ids) }
  }

  private func each(_ indexes: [ImageIndex], _ target: SearchTarget) throws -> [Opened] {
    var (unknown, known): (IndexError?, Bool) = (nil, false)
    let all = try indexes.map { index in
      do {
        let found = try opened(index.catalog, target)
        known = true
        return found
      } catch IndexError.unknownAttribute(let path, let name, let near) {
        if unknown == nil || !near.isEmpty { unknown = .unknownAttribute(path: path, name: name, near: near) }
        var selection = self
        selection.allowsUnknown = true
        return try selection.opened(index.catalog, target)
      }
    }
    if let unknown, !known { throw unknown }
    return all
  }

  /// Whether each item of several indexes, counted through all, is searched; nil for all.
  static func joined(_ opened: [Opened]) -> Bitmap? {
    guard opened.contains(where: { $0.live != nil }) else { return nil }
    return opened.reduce(into: Bitmap()) { $0.append($1.live ?? Bitmap(repeating: true, count: $1.items)) }
  }

  /// Names and segments of one moment. A segment of it may be written anew before it is opened: then a later moment is taken.
  func opened(_ catalog: Catalog, _ target: SearchTarget) throws -> Opened {
    for _ in 0..<8 {
      let snapshot = try catalog.snapshot()
      do {
        return try items(of: snapshot, target)
      } catch IndexError.unreadable(let path, _) where !FileManager.default.fileExists(atPath: path) {
        continue
      }
    }
    return try items(of: catalog.snapshot(), target)
  }

  private func items(of catalog: Catalog, _ target: SearchTarget) throws -> Opened {
    let condition = try filter.map { text in try Filter(text, constants: constants) }
    guard condition == nil && area == nil || target == .images else {
      throw FastThenFineError(.badInput, "a filter or an area is for images; captions have no attributes")
    }
    let (segments, dead) = try catalog.segments(target.kind)
    guard condition != nil || area != nil else {
      let live =
        dead.isEmpty
        ? nil
        : segments.reduce(into: Bitmap()) { live, segment in live.append(Bitmap(count: segment.count) { !dead.contains(segment.id($0)) }) }
      return Opened(catalog: catalog, segments: segments, live: live, isChosen: false)
    }
    let chosen = try catalog.chosen(from: segments, filter: condition, area: area, without: dead)
    if !allowsUnknown, let condition, !chosen.hasAny, let unknown = try catalog.unknownAttribute(of: condition) {
      throw IndexError.unknownAttribute(path: catalog.path, name: unknown.name, near: unknown.near)
    }
    return Opened(catalog: catalog, segments: segments, live: chosen, isChosen: true)
  }
}
