import FTFDemo
import FastThenFine
import Foundation

/// Whether heat maps point at what a sentence names: of every scene with boxes, the highest patch of "a <label>".
///
/// A patch is on a thing when its centre lies in the thing's box, or the box's centre in the patch.
struct PointingGame {
  struct Row {
    var label: String
    var hits = 0.0
    /// What a patch chosen at random would give.
    var chance = 0.0
    var scenes = 0.0
  }

  private(set) var rows: [Row] = []

  /// - Parameter objects: by the file name of a scene.
  init(_ archive: Searcher, _ objects: [String: [DrawnObject]]) throws {
    let labels = Set(objects.values.joined().map(\.label)).sorted()
    let grid = archive.engine.patchGrid
    for label in labels {
      var row = Row(label: label)
      let answer = try archive.answer(
        Query(
          .sentence("a \(label)"), top: archive.count,
          interaction: Interaction(mode: Self.mode(archive), candidates: archive.count)))
      for result in answer.results {
        let boxes = objects[URL(fileURLWithPath: result.name).lastPathComponent, default: []].filter { $0.label == label }
        guard !boxes.isEmpty, let attention = result.attention else { continue }
        let on = (0..<grid * grid).map { patch in boxes.contains { Self.isOn(patch, of: grid, $0.box) } }
        let highest = attention.indices.max { attention[$0] < attention[$1] }!
        row.scenes += 1
        row.hits += on[highest] ? 1 : 0
        row.chance += Double(on.count { $0 }) / Double(on.count)
      }
      if row.scenes > 0 { rows.append(row) }
    }
    rows.append(
      rows.reduce(into: Row(label: "all")) { all, row in
        (all.hits, all.chance, all.scenes) = (all.hits + row.hits, all.chance + row.chance, all.scenes + row.scenes)
      })
  }

  /// A model without a rerank has heat maps all the same.
  private static func mode(_ archive: Searcher) -> InteractionMode? { archive.engine.defaultMode == .none ? .balanced : nil }

  private static func isOn(_ patch: Int, of grid: Int, _ box: (x: Int, y: Int, width: Int, height: Int)) -> Bool {
    let side = 224 / Double(grid)
    let (left, top) = (Double(patch % grid) * side, Double(patch / grid) * side)
    func holds(_ x: Double, _ y: Double, _ atX: Double, _ atY: Double, _ width: Double, _ height: Double) -> Bool {
      (atX..<atX + width).contains(x) && (atY..<atY + height).contains(y)
    }
    let (x, y, width, height) = (Double(box.x), Double(box.y), Double(box.width), Double(box.height))
    return holds(left + side / 2, top + side / 2, x, y, width, height)
      || holds(x + width / 2, y + height / 2, left, top, side, side)
  }

  var object: [String: Any] {
    Dictionary(
      uniqueKeysWithValues: rows.map { ($0.label, ["hits": $0.hits / $0.scenes, "chance": $0.chance / $0.scenes, "scenes": $0.scenes]) })
  }

  func show() {
    print("\nhighest patch on    hits   by chance   scenes")
    for row in rows {
      print(
        row.label.padding(toLength: 18, withPad: " ", startingAt: 0)
          + String(format: "%5.1f %%     %5.1f %%     %4.0f", 100 * row.hits / row.scenes, 100 * row.chance / row.scenes, row.scenes))
    }
  }
}
