/// How stored pixels are turned and mirrored to be seen: EXIF's orientations 1 to 8.
package struct Turn {
  private let orientation: Int
  /// Of what is stored.
  private let width: Int
  private let height: Int

  /// - Parameters: of the picture as it is seen.
  package init(_ orientation: Int, width: Int, height: Int) {
    self.orientation = orientation
    (self.width, self.height) = orientation >= 5 ? (height, width) : (width, height)
  }

  /// Where a pixel of the seen picture is stored.
  private func stored(_ x: Int, _ y: Int) -> (x: Int, y: Int) {
    switch orientation {
    case 2: (width - 1 - x, y)
    case 3: (width - 1 - x, height - 1 - y)
    case 4: (x, height - 1 - y)
    case 5: (y, x)
    case 6: (y, height - 1 - x)
    case 7: (width - 1 - y, height - 1 - x)
    case 8: (width - 1 - y, x)
    default: (x, y)
    }
  }

  /// Where a window of the seen picture is stored.
  package func stored(_ window: (x: Int, y: Int, width: Int, height: Int)) -> (x: Int, y: Int, width: Int, height: Int) {
    let (a, b) = (stored(window.x, window.y), stored(window.x + window.width - 1, window.y + window.height - 1))
    return (min(a.x, b.x), min(a.y, b.y), abs(a.x - b.x) + 1, abs(a.y - b.y) + 1)
  }

  /// Copies pixels of `bytes` each from a stored window to the seen one.
  package func turn(
    _ from: UnsafePointer<UInt8>, _ stored: (x: Int, y: Int, width: Int, height: Int), _ bytes: Int, into out: UnsafeMutablePointer<UInt8>,
    _ window: (x: Int, y: Int, width: Int, height: Int)
  ) {
    for y in 0..<window.height {
      for x in 0..<window.width {
        let place = self.stored(window.x + x, window.y + y)
        let at = ((place.y - stored.y) * stored.width + place.x - stored.x) * bytes
        unsafe (out + (y * window.width + x) * bytes).update(from: from + at, count: bytes)
      }
    }
  }
}
