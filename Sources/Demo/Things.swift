import Foundation

/// A thing in a scene and where it is, in pixels of the finished image.
package struct DrawnObject: Sendable {
  package var label: String
  package var box: (x: Int, y: Int, width: Int, height: Int)
}

/// What scenes are put together of: each draws a thing with its shadow and texture.
struct Painter {
  var canvas: Canvas
  var random: Random
  let noise: Noise
  private(set) var objects: [DrawnObject] = []

  /// - Parameter ground: the colours that patches of ground wander between, and the size of the patches.
  init(seed: UInt64, ground: [Colour], size: Float, grain: Float = 14) {
    var random = Random(seed: seed)
    let noise = Noise(seed: UInt32(truncatingIfNeeded: random.next()))
    let sun = direction(random.real(0.5, 1.1)) * random.real(0.7, 1.2)
    canvas = Canvas(sun: sun) { Self.mixed(ground, $0, noise, size, grain) }
    (self.random, self.noise) = (random, noise)
  }

  static func mixed(_ colours: [Colour], _ p: Point, _ noise: Noise, _ size: Float, _ grain: Float) -> Colour {
    let t = min(max(noise.fractal(p, size: size, octaves: 5) * 1.6 + 0.5, 0), 0.999) * Float(colours.count - 1)
    let i = Int(t)
    let base = colours[i] + (colours[min(i + 1, colours.count - 1)] - colours[i]) * (t - Float(i))
    return base + grain * noise.fractal(p + 900, size: 5, octaves: 2)
  }

  mutating func note(_ label: String, _ shape: Shape) {
    let scale: Float = 224 / Float(Canvas.side)
    let (low, high) = (shape.low * scale, shape.high * scale)
    let (x0, y0) = (max(Int(low.x), 0), max(Int(low.y), 0))
    let (x1, y1) = (min(Int(high.x.rounded(.up)), 224), min(Int(high.y.rounded(.up)), 224))
    if x1 > x0 && y1 > y0 { objects.append(DrawnObject(label: label, box: (x0, y0, x1 - x0, y1 - y0))) }
  }

  /// A surface of one colour with patches and grain.
  mutating func surface(_ shape: Shape, _ colour: Colour, patches: Float = 10, grain: Float = 8, softness: Float = 1.5) {
    let noise = noise
    canvas.paint(shape, softness: softness) { p, _ in
      colour + patches * noise.fractal(p + 300, size: 40) + grain * noise.fractal(p + 70, size: 4, octaves: 2)
    }
  }

  /// Water: darker with depth, with fine ripples.
  mutating func water(_ shape: Shape, _ colour: Colour, softness: Float = 3) {
    let noise = noise
    canvas.paint(shape.grown(4), softness: 8) { p, below in below * 0.8 }
    canvas.paint(shape, softness: softness) { p, _ in
      let ripple = noise.fractal(Point(p.x * 1.4 + p.y * 0.6, p.y * 2.2 - p.x * 0.4), size: 9, octaves: 3)
      return colour + 9 * noise.fractal(p + 41, size: 120) + 5 * ripple
    }
  }

  mutating func tree(_ at: Point, _ radius: Float, _ colour: Colour = Colour(48, 66, 38)) {
    let (noise, sun) = (noise, canvas.sun)
    let crown = Shape.circle(at, radius).rough(noise, by: radius * 0.35, size: max(radius * 0.7, 3))
    canvas.shadow(crown, height: radius * 0.9)
    canvas.paint(crown, softness: 2) { p, _ in
      let lit = -((p.x - at.x) * sun.x + (p.y - at.y) * sun.y) / radius
      return colour * (0.85 + 0.4 * lit) + 26 * noise.fractal(p + 11, size: 5, octaves: 2)
    }
  }

  mutating func trees(_ count: Int, radius: ClosedRange<Float>, where allowed: (Point) -> Bool = { _ in true }) {
    for _ in 0..<count {
      let p = random.point(-8, Float(Canvas.side) + 8)
      if allowed(p) {
        tree(
          p, random.real(radius.lowerBound, radius.upperBound),
          Colour(random.real(36, 60), random.real(58, 80), random.real(30, 46)))
      }
    }
  }

  mutating func road(_ points: [Point], width: Float, colour: Colour = Colour(118, 116, 114), lanes: Bool = true) {
    let noise = noise
    surface(.line(points, width: width + 5), colour * 0.9 + Colour(22, 18, 8), patches: 14)
    surface(.line(points, width: width), colour, patches: 8, grain: 6)
    guard lanes else { return }
    let centre = Shape.line(points, width: 1.6)
    canvas.paint(centre) { p, below in noise.at(p / 5) > -0.1 ? Colour(repeating: 205) : below }
  }

  mutating func car(_ at: Point, angle: Float, length: Float = 10) {
    let body = random.choice([
      Colour(228, 228, 226), Colour(200, 202, 206), Colour(46, 48, 54), Colour(140, 30, 28), Colour(52, 70, 120),
      Colour(120, 122, 126), Colour(20, 20, 24),
    ])
    let shape = Shape.rectangle(at, Point(length / 2, length * 0.24), angle: angle, corner: 1.5)
    canvas.shadow(shape, height: 2)
    canvas.paint(shape, body)
    canvas.paint(
      .rectangle(at + direction(angle) * length * 0.1, Point(length * 0.1, length * 0.2), angle: angle), body * 0.35)
  }

  /// A house with two faces of the roof, one in the sun.
  mutating func house(_ at: Point, _ half: Point, angle: Float, _ roof: Colour) {
    let (noise, sun) = (noise, canvas.sun)
    let outline = Shape.rectangle(at, half, angle: angle)
    canvas.shadow(outline, height: min(half.x, half.y) * 0.7)
    let across = Point(-sin(angle), cos(angle))
    let lit = across.x * sun.x + across.y * sun.y > 0 ? Float(1) : -1
    canvas.paint(outline) { p, _ in
      let side = (p.x - at.x) * across.x + (p.y - at.y) * across.y
      let shade: Float = side * lit > 0 ? 0.74 : 1.1
      return roof * shade * (abs(side) < 1 ? 1.12 : 1) + 12 * noise.fractal(p + 5, size: 4, octaves: 2)
    }
  }

  /// A building with a flat roof, its parapet and what stands on it.
  mutating func building(_ at: Point, _ half: Point, angle: Float, _ roof: Colour, height: Float) {
    let outline = Shape.rectangle(at, half, angle: angle)
    canvas.shadow(outline, height: height)
    surface(outline, roof * 0.82, patches: 6)
    surface(.rectangle(at, half - 2.5, angle: angle), roof, patches: 14)
    for _ in 0..<Int(half.x * half.y / 160) {
      let place =
        at + direction(angle) * random.real(-0.7, 0.7) * half.x + direction(angle + .pi / 2) * random.real(-0.7, 0.7)
        * half.y
      let box = Shape.rectangle(place, Point(random.real(1.5, 4), random.real(1.5, 4)), angle: angle)
      canvas.shadow(box, height: 3)
      canvas.paint(box, roof * random.real(0.7, 1.2))
    }
  }

  mutating func plane(_ at: Point, angle: Float, size: Float) {
    let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
    let body = Colour(232, 233, 236)
    var parts = [Shape.line([at - ahead * size * 0.5, at + ahead * size * 0.46], width: size * 0.13)]
    func place(_ along: Float, _ off: Float) -> Point { at + ahead * (along * size) + aside * (off * size) }
    for side in [-1, 1] as [Float] {
      parts.append(.polygon([place(0.14, 0), place(-0.06, 0), place(-0.2, side * 0.5), place(-0.13, side * 0.5)]))
      parts.append(.polygon([place(-0.36, 0), place(-0.46, 0), place(-0.52, side * 0.18), place(-0.47, side * 0.18)]))
      parts.append(.line([place(0.04, side * 0.17), place(0.1, side * 0.17)], width: size * 0.06))
    }
    for part in parts { canvas.shadow(part, height: size * 0.1) }
    for part in parts { canvas.paint(part, body) }
    canvas.paint(.line([at - ahead * size * 0.5, at - ahead * size * 0.36], width: size * 0.05), Colour(60, 80, 140))
    note("plane", .circle(at, size * 0.5))
  }

  mutating func boat(_ at: Point, angle: Float, length: Float) {
    let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
    let w = length * 0.16
    let hull = Shape.polygon([
      at - ahead * length * 0.5 - aside * w, at - ahead * length * 0.5 + aside * w,
      at + ahead * length * 0.15 + aside * w,
      at + ahead * length * 0.5, at + ahead * length * 0.15 - aside * w,
    ])
    canvas.shadow(hull, height: 3)
    canvas.paint(hull, Colour(repeating: random.real(214, 246)))
    canvas.paint(
      .rectangle(at - ahead * length * 0.12, Point(length * 0.2, w * 0.55), angle: angle),
      random.choice([Colour(90, 110, 150), Colour(150, 120, 90), Colour(70, 74, 80), Colour(235, 235, 235)]))
    note("ship", hull)
  }

  mutating func tank(_ at: Point, _ radius: Float) {
    let (noise, sun) = (noise, canvas.sun)
    let tone = random.real(212, 240)
    let round = Shape.circle(at, radius)
    canvas.shadow(round, height: radius * 0.55)
    canvas.paint(round, Colour(tone * 0.72, tone * 0.72, tone * 0.74))
    canvas.paint(.circle(at - sun * radius * 0.06, radius * 0.93)) { p, _ in
      let lit = -((p.x - at.x) * sun.x + (p.y - at.y) * sun.y) / radius
      return Colour(repeating: tone * (0.96 + 0.07 * lit)) + 5 * noise.fractal(p, size: 12, octaves: 2)
    }
    canvas.paint(.circle(at - sun * radius * 0.06, radius * 0.12), Colour(repeating: tone * 0.8))
    note("storage tank", round)
  }
}
