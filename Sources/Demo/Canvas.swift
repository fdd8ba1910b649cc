import Foundation
import FTFImaging
import FTFKernels

typealias Point = SIMD2<Float>
/// R, G, B in 0...255.
typealias Colour = SIMD3<Float>

/// SplitMix64: the same numbers for the same seed on every machine.
struct Random {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func real(_ low: Float = 0, _ high: Float = 1) -> Float {
    low + (high - low) * Float(next() >> 40) / 16_777_216
  }
  mutating func whole(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(next() % UInt64(range.count)) }
  mutating func chance(_ p: Float) -> Bool { real() < p }
  mutating func choice<T>(_ items: [T]) -> T { items[whole(0...items.count - 1)] }
  mutating func point(_ low: Float, _ high: Float) -> Point { Point(real(low, high), real(low, high)) }
}

/// Smooth noise in -1...1, fixed by its seed.
struct Noise {
  let seed: UInt32

  private func lattice(_ x: Int32, _ y: Int32) -> Float {
    var h = UInt32(bitPattern: x) &* 0x9E37_79B1 ^ UInt32(bitPattern: y) &* 0x85EB_CA77 ^ seed &* 0xC2B2_AE3D
    h = (h ^ h >> 15) &* 0x2C1B_3C6D
    h = (h ^ h >> 12) &* 0x297A_2D39
    return Float((h ^ h >> 15) >> 8) / 8_388_608 - 1
  }

  func at(_ p: Point) -> Float {
    let f = p.rounded(.down)
    let (x, y) = (Int32(f.x), Int32(f.y))
    let t = p - f
    let u = t * t * (3 - 2 * t)
    let top = lattice(x, y) * (1 - u.x) + lattice(x + 1, y) * u.x
    let bottom = lattice(x, y + 1) * (1 - u.x) + lattice(x + 1, y + 1) * u.x
    return top * (1 - u.y) + bottom * u.y
  }

  /// Octaves of half the size and half the strength each; the coarsest has features of `size` pixels.
  func fractal(_ p: Point, size: Float, octaves: Int = 4) -> Float {
    var (sum, weight, q) = (Float(0), Float(0.5), p / size)
    for _ in 0..<octaves {
      sum += weight * at(q)
      weight /= 2
      q = q * 2 + 17.3
    }
    return sum
  }
}

/// A shape as the distance of a point from its edge, in pixels: negative inside.
struct Shape {
  let low: Point
  let high: Point
  let distance: (Point) -> Float

  static func circle(_ centre: Point, _ radius: Float) -> Shape {
    Shape(low: centre - radius, high: centre + radius) { length($0 - centre) - radius }
  }

  static func rectangle(_ centre: Point, _ half: Point, angle: Float, corner: Float = 0) -> Shape {
    let (c, s) = (cos(angle), sin(angle))
    let reach = Point(abs(c) * half.x + abs(s) * half.y, abs(s) * half.x + abs(c) * half.y)
    return Shape(low: centre - reach, high: centre + reach) { p in
      let d = p - centre
      let q = Point(abs(c * d.x + s * d.y), abs(c * d.y - s * d.x)) - half + corner
      return length(Point(max(q.x, 0), max(q.y, 0))) + min(max(q.x, q.y), 0) - corner
    }
  }

  static func line(_ points: [Point], width: Float) -> Shape {
    let r = width / 2
    let low = points.dropFirst().reduce(points[0]) { Point(min($0.x, $1.x), min($0.y, $1.y)) }
    let high = points.dropFirst().reduce(points[0]) { Point(max($0.x, $1.x), max($0.y, $1.y)) }
    return Shape(low: low - r, high: high + r) { p in
      var least = Float.infinity
      for (a, b) in zip(points, points.dropFirst()) {
        let (ab, ap) = (b - a, p - a)
        let t = min(max((ab.x * ap.x + ab.y * ap.y) / max(ab.x * ab.x + ab.y * ab.y, 1e-6), 0), 1)
        least = min(least, length(ap - ab * t))
      }
      return least - r
    }
  }

  /// A convex polygon, its corners in order.
  static func polygon(_ points: [Point]) -> Shape {
    let low = points.dropFirst().reduce(points[0]) { Point(min($0.x, $1.x), min($0.y, $1.y)) }
    let high = points.dropFirst().reduce(points[0]) { Point(max($0.x, $1.x), max($0.y, $1.y)) }
    let centre = points.reduce(Point(), +) / Float(points.count)
    let edges = points.indices.map { i -> (Point, Point) in
      let (a, b) = (points[i], points[(i + 1) % points.count])
      var normal = Point(b.y - a.y, a.x - b.x) / max(length(b - a), 1e-6)
      if (centre - a).x * normal.x + (centre - a).y * normal.y > 0 { normal = -normal }
      return (a, normal)
    }
    return Shape(low: low, high: high) { p in
      edges.map { a, n in (p.x - a.x) * n.x + (p.y - a.y) * n.y }.max()!
    }
  }

  func moved(_ by: Point) -> Shape { Shape(low: low + by, high: high + by) { distance($0 - by) } }
  func grown(_ by: Float) -> Shape { Shape(low: low - by, high: high + by) { distance($0) - by } }
  /// An edge that wanders by up to `by` pixels.
  func rough(_ noise: Noise, by: Float, size: Float) -> Shape {
    Shape(low: low - by, high: high + by) { distance($0) + by * noise.fractal($0, size: size, octaves: 3) * 2 }
  }
  static func length(_ p: Point) -> Float { (p.x * p.x + p.y * p.y).squareRoot() }
}

func direction(_ angle: Float) -> Point { Point(cos(angle), sin(angle)) }

/// An image that is drawn on: twice the size of the scene, reduced at the end, so that edges are as soft as a sensor's.
struct Canvas {
  static let side = 448
  private(set) var pixels: [Colour]
  /// Where shadows fall, for an object one pixel high.
  let sun: Point

  init(sun: Point, _ colour: (Point) -> Colour) {
    self.sun = sun
    pixels = []
    pixels.reserveCapacity(Self.side * Self.side)
    for y in 0..<Self.side {
      for x in 0..<Self.side { pixels.append(colour(Point(Float(x), Float(y)))) }
    }
  }

  /// Blends `colour(point, what is there)` in as far as the shape covers a pixel.
  mutating func paint(_ shape: Shape, softness: Float = 1, _ colour: (Point, Colour) -> Colour) {
    let edge = Float(Self.side - 1)
    let (x0, x1) = (max(shape.low.x - softness, 0), min(shape.high.x + softness, edge))
    let (y0, y1) = (max(shape.low.y - softness, 0), min(shape.high.y + softness, edge))
    guard x0 <= x1, y0 <= y1 else { return }
    for y in Int(y0)...Int(y1) {
      for x in Int(x0)...Int(x1) {
        let p = Point(Float(x), Float(y))
        let cover = min(max(0.5 - shape.distance(p) / softness, 0), 1)
        guard cover > 0 else { continue }
        let i = y * Self.side + x
        pixels[i] += cover * (colour(p, pixels[i]) - pixels[i])
      }
    }
  }

  mutating func paint(_ shape: Shape, softness: Float = 1, _ colour: Colour) {
    paint(shape, softness: softness) { _, _ in colour }
  }

  /// The shadow that a shape of that height throws: what lies there, darker and bluer.
  mutating func shadow(_ shape: Shape, height: Float) {
    for part in [0.5, 1] as [Float] {
      paint(shape.moved(sun * height * part), softness: 2) { _, below in below * Colour(0.55, 0.58, 0.66) }
    }
  }

  /// The scene: reduced to 224, with a sensor's noise, a little haze and a cast.
  func image(_ random: inout Random) -> RGBImage {
    let (haze, gain, cast) = (
      random.real(0, 14), random.real(0.88, 1.08),
      Colour(random.real(0.96, 1.03), random.real(0.97, 1.03), random.real(0.95, 1.05))
    )
    let buffer = AlignedBuffer<UInt8>(count: pixels.count * 3, repeating: 0)
    for (i, pixel) in pixels.enumerated() {
      let value = pixel * cast * gain + haze + random.real(-9, 9)
      for c in 0..<3 { buffer[3 * i + c] = UInt8(min(max(value[c], 0), 255)) }
    }
    return RGBImage(width: Self.side, height: Self.side, pixels: buffer).resized(width: 224, height: 224)
  }
}

extension RGBImage {
  /// With another laid over it, its edges soft.
  func with(_ other: RGBImage, left: Int, top: Int) -> RGBImage {
    let (result, soft) = (AlignedBuffer<UInt8>(copying: pixels.span), 8)
    for y in 0..<other.height {
      for x in 0..<other.width {
        let edge = min(min(x, y), min(other.width - 1 - x, other.height - 1 - y))
        let share = min(1, Float(edge + 1) / Float(soft))
        for c in 0..<3 {
          let at = ((top + y) * width + left + x) * 3 + c
          result[at] = UInt8(Float(pixels[at]) * (1 - share) + Float(other.pixels[(y * other.width + x) * 3 + c]) * share)
        }
      }
    }
    return RGBImage(width: width, height: height, pixels: result)
  }
}
