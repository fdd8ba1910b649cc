import FTFGeography

/// The windows of a scene, row by row, every pixel in at least one: the last of a row or column is shifted back to the edge. A side
/// that is shorter than a window is covered whole.
package struct WindowGrid: Sendable {
  /// Of a window, in pixels.
  package let width: Int
  package let height: Int
  let left: [Int]
  let top: [Int]
  /// Whether there is one window, all of the picture.
  package var isWhole: Bool { left.count == 1 && top.count == 1 }
  /// Whether it is cut out of a picture that is one result.
  package let isPicture: Bool
  package var count: Int { left.count * top.count }

  /// A picture without a place on the ground is cut where it is longer than this, and then by twice the model's side.
  private static let longestPicture = 2048
  /// A picture of more times its width is not seen whole.
  private static let longestWhole = 1.6
  /// A window has at least the pixels that the model takes, unless it is asked for otherwise: less is a blur.
  package static let defaultGround = 150.0
  package static let mostWindows = 4_000_000

  /// - Parameters:
  ///   - ground: metres that a window covers where nothing is asked for, as the model was trained.
  ///   - side: of the picture that the model takes, in pixels.
  package init(_ scene: Scene, _ cutting: Cutting, ground defaultGround: Double, side: Int) {
    let (w, h): (Double, Double)
    var isPicture = false
    if let window = cutting.window {
      (w, h) = (Double(window), Double(window))
    } else if let sample = scene.ground?.sample {
      let least = cutting.ground == nil ? Double(side) : 1
      let ground = cutting.ground ?? defaultGround
      (w, h) = (max(least, ground / sample.across), max(least, ground / sample.down))
    } else {
      isPicture = max(scene.width, scene.height) <= Self.longestPicture
      let (short, long) = (Double(min(scene.width, scene.height)), Double(max(scene.width, scene.height)))
      // A long one in squares along it.
      let isLong = long > Self.longestWhole * short
      (w, h) = !isPicture ? (Double(2 * side), Double(2 * side)) : isLong ? (short, short) : (Double(scene.width), Double(scene.height))
    }
    self.isPicture = isPicture
    (width, height) = (Self.length(w, scene.width), Self.length(h, scene.height))
    let step = 1 - (cutting.overlap ?? Cutting.defaultOverlap)
    left = Self.positions(scene.width, width, step)
    top = Self.positions(scene.height, height, step)
  }

  private static func length(_ wanted: Double, _ all: Int) -> Int { wanted >= Double(all) ? all : max(1, Int(wanted.rounded())) }

  private static func positions(_ all: Int, _ window: Int, _ step: Double) -> [Int] {
    guard all > window else { return [0] }
    let step = max(1, Int((Double(window) * step).rounded()))
    return Array(stride(from: 0, to: all - window, by: step)) + [all - window]
  }
}
