import FTFDemo
import FastThenFine
import Foundation

/// Whether a drawn scene is answered with the right places: of the sentences of every kind, the first answer has to be a window with the
/// middle of something of that kind in it.
struct PlacesGame {
  private(set) var hits = 0
  private(set) var questions = 0
  private(set) var windows = 0
  private(set) var missed: [String] = []

  init(_ archive: Searcher, _ landscape: Landscape) throws {
    windows = archive.count
    for kind in SceneKind.allCases {
      let things = landscape.placed.filter { $0.kind == kind }
      guard !things.isEmpty else { continue }
      for sentence in kind.sentences {
        questions += 1
        let first = try archive.answer(Query(.sentence(sentence), top: 1)).results.first
        let isRight = things.contains { thing in first?.window.map { Self.holds($0, thing) } ?? false }
        if isRight { hits += 1 } else { missed.append(sentence) }
      }
    }
  }

  private static func holds(_ window: PixelWindow, _ thing: Landscape.Placed) -> Bool {
    let (x, y) = (thing.x + thing.side / 2, thing.y + thing.side / 2)
    return (window.x..<window.x + window.width).contains(x) && (window.y..<window.y + window.height).contains(y)
  }

  var object: [String: Any] { ["hits": hits, "questions": questions, "windows": windows, "missed": missed] }

  func show() {
    print(
      "\nplaces in a drawn scene: of \(questions) sentences \(hits) are answered with a window that shows what they say, among \(windows) windows")
    for sentence in missed { print("  not: \(sentence)") }
  }
}
