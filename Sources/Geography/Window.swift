/// A part of a picture or scene, in its pixels.
package struct Window: Sendable, Hashable {
  package var x: Int
  package var y: Int
  package var width: Int
  package var height: Int

  package init(x: Int, y: Int, width: Int, height: Int) {
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
  }

  /// The share of the smaller of the two that both cover.
  package func overlap(_ other: Window) -> Double {
    let across = min(x + width, other.x + other.width) - max(x, other.x)
    let down = min(y + height, other.y + other.height) - max(y, other.y)
    guard across > 0, down > 0 else { return 0 }
    return Double(across) * Double(down) / Double(min(width * height, other.width * other.height))
  }
}
