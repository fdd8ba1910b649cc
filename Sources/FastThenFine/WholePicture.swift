import FTFEncoders
import FTFGeography
import FTFImaging

/// How a picture that is not square is seen whole by a model that takes squares.
///
/// Up to an aspect of 1.25 the middle is taken, as models were trained. Beyond it all of the picture is pressed into the square, and beyond 1.6
/// windows along it are seen too; the best of them stands for the picture. Measured with the default model on strips cut from RSICD's val (one
/// scene a picture) and on pictures of it put side by side (several), recall, mean of R@1, R@5 and R@10; windows alone lose on the first, the
/// pressed picture alone on the second:
///
/// | aspect | middle | pressed | windows | pressed and windows |
/// |---|---|---|---|---|
/// | strips, 1.33 | 17.4 | 18.8 | 18.5 | 18.8 |
/// | strips, 1.5 | 16.5 | 19.1 | 17.7 | 18.3 |
/// | strips, 2 | 12.9 | 16.9 | 13.0 | 15.8 |
/// | strips, 3 | 8.0 | 10.7 | 8.3 | 9.9 |
/// | side by side, 1.33 | 34.5 | 32.0 | 36.4 | 36.3 |
/// | side by side, 1.5 | 32.3 | 28.6 | 36.0 | 35.8 |
/// | side by side, 2 | 15.4 | 16.4 | 23.5 | 23.3 |
/// | side by side, 3 | 17.3 | 13.1 | 23.3 | 23.2 |
enum WholePicture {
  private static let cropped = 1.25
  private static let pressed = 1.6
  /// Of a window, how far the next one lies at most.
  private static let step = 0.8
  /// A line of pixels is no panorama.
  private static let mostWindows = 64

  private static func aspect(_ width: Int, _ height: Int) -> Double { Double(max(width, height)) / Double(min(width, height)) }

  /// Whether taking the middle leaves something out.
  static func isWide(_ width: Int, _ height: Int) -> Bool { aspect(width, height) > cropped }

  /// The squares along a picture that are seen beside all of it.
  static func windows(_ width: Int, _ height: Int) -> [Window] {
    let (aspect, side, length) = (aspect(width, height), min(width, height), max(width, height))
    guard aspect > pressed else { return [] }
    let count = min(mostWindows, Int(((aspect - 1) / step).rounded(.up)) + 1)
    return (0..<count).map { i in
      let start = (2 * i * (length - side) + count - 1) / (2 * (count - 1))
      return width >= height ? Window(x: start, y: 0, width: side, height: side) : Window(x: 0, y: start, width: side, height: side)
    }
  }
}

extension Engine {
  /// All of a picture, as the encoder takes it.
  func whole(_ image: RGBImage) -> RGBImage {
    let config = model.config.preprocessing
    guard WholePicture.isWide(image.width, image.height) else { return config.prepare(image) }
    return image.resized(width: config.cropTo, height: config.cropTo, bilinear: config.interpolation == "bilinear")
  }

  /// A part of a picture that was decoded at a reduced scale.
  ///
  /// - Parameters:
  ///   - window: in the pixels of the picture as its file has it.
  ///   - size: of that.
  func part(_ window: Window, of image: RGBImage, _ size: (width: Int, height: Int)) -> RGBImage {
    let place = Self.scaled(window, size, to: (image.width, image.height))
    return model.config.preprocessing.prepare(image.cropped(x: place.x, y: place.y, width: place.width, height: place.height))
  }

  static func scaled(_ window: Window, _ size: (width: Int, height: Int), to other: (width: Int, height: Int)) -> Window {
    func place(_ start: Int, _ length: Int, _ all: Int, _ new: Int) -> (start: Int, length: Int) {
      let length = max(1, min(new, (length * new + all / 2) / all))
      return (min(new - length, (start * new + all / 2) / all), length)
    }
    let (x, width) = place(window.x, window.width, size.width, other.width)
    let (y, height) = place(window.y, window.height, size.height, other.height)
    return Window(x: x, y: y, width: width, height: height)
  }
}
