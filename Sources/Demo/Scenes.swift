import Foundation
import FTFImaging

/// A drawn overhead scene.
package struct Scene: Sendable {
  package var name: String
  package var kind: SceneKind
  package var caption: String
  package var objects: [DrawnObject]
  package var image: RGBImage
}

extension Scene {
  /// The scene reduced and laid somewhere on grass, with its boxes; nil where there is nothing to point at.
  package var small: Scene? {
    guard let share = kind.share else { return nil }
    guard share < 1 else { return self }
    var random = Random(seed: UInt64(pixelSum))
    let (side, whole) = (Int(224 * share), 224)
    let (left, top) = (random.whole(0...whole - side), random.whole(0...whole - side))
    var result = self
    let painter = Painter(seed: random.next(), ground: grass, size: 70)
    result.image = painter.canvas.image(&random).with(image.resized(width: side, height: side), left: left, top: top)
    func scaled(_ value: Int) -> Int { Int(Float(value) * share) }
    for i in objects.indices {
      let box = objects[i].box
      let (x, y) = (scaled(box.x), scaled(box.y))
      result.objects[i].box = (left + x, top + y, max(1, scaled(box.x + box.width) - x), max(1, scaled(box.y + box.height) - y))
    }
    return result
  }

  /// Of its pixels: a seed of its own.
  private var pixelSum: Int { stride(from: 0, to: image.pixels.count, by: 97).reduce(0) { $0 + Int(image.pixels[$1]) } }
}

/// What the scenes of the demo show.
package enum SceneKind: String, CaseIterable, Sendable {
  case airport, baseballField, beach, bridge, denseResidential, desert, farmland, forest, parking, playground, pond,
    port, river, storageTanks

  func name(_ number: Int) -> String { "\(rawValue)-\(String(format: "%02d", number)).jpg" }

  /// Scene `number` of this kind: the same pixels every time.
  package func scene(_ number: Int) -> Scene {
    let index = SceneKind.allCases.firstIndex(of: self)!
    var random = Random(seed: UInt64(1000 * index + number))
    let seed = random.next()
    var (painter, caption) = draw(seed)
    return Scene(
      name: name(number), kind: self, caption: caption, objects: painter.objects, image: painter.canvas.image(&painter.random))
  }

  /// How much of the side of a small scene the drawing takes, so that what is asked for covers less than a quarter of it; nil where
  /// there is nothing to point at.
  fileprivate var share: Float? {
    switch self {
    case .airport, .bridge: 1
    case .baseballField, .playground: 0.55
    case .pond, .port, .river: 0.45
    case .storageTanks: 0.4
    case .beach, .denseResidential, .desert, .farmland, .forest, .parking: nil
    }
  }

  /// Sentences that the scenes of this kind answer, and no other kind does.
  package var sentences: [String] {
    switch self {
    case .airport:
      [
        "planes parked near the terminal of an airport", "several white planes stand on the tarmac",
        "an airport with a runway and planes", "two planes next to the boarding gates",
        "a plane on the apron beside a terminal building",
      ]
    case .baseballField:
      [
        "a baseball field with green grass and brown sand", "a baseball diamond surrounded by trees",
        "the infield of a baseball field", "a baseball field near a road", "two baseball fields next to each other",
      ]
    case .beach:
      [
        "white waves wash a sandy beach", "a yellow beach beside the blue sea", "a beach next to the ocean",
        "waves slap the sand of a long coast", "green ocean is near a white beach",
      ]
    case .bridge:
      [
        "a bridge over a wide river", "a long bridge crosses dark water", "a bridge with cars over the river",
        "a straight bridge connects two banks", "a grey bridge is on the water",
      ]
    case .denseResidential:
      [
        "dense houses with red roofs in a residential area", "many houses stand in rows along the streets",
        "a dense residential area with trees", "a crowded neighbourhood of small houses",
        "rows of houses in a dense residential area",
      ]
    case .desert:
      [
        "a yellow desert with dunes", "ripples of sand in the desert", "a piece of orange desert",
        "sand dunes without any plants", "a wide desert of brown sand",
      ]
    case .farmland:
      [
        "farmland divided into green and brown fields", "many pieces of farmland",
        "rectangular fields of different crops", "ploughed fields with straight furrows", "a patchwork of farmland",
      ]
    case .forest:
      [
        "a dense green forest", "many green trees form a forest", "dark green trees cover the land",
        "a piece of forest seen from above", "the forest is thick and green",
      ]
    case .parking:
      [
        "many cars parked in a parking lot", "rows of cars in a parking lot", "a parking lot full of cars",
        "cars in neat rows on a car park", "lots of cars are parked on the asphalt",
      ]
    case .playground:
      [
        "a football field surrounded by a red track", "a playground with a running track",
        "a green football field with white lines", "a sports ground with a red track",
        "a green playground inside a red oval track",
      ]
    case .pond:
      [
        "a pond surrounded by green trees", "a small pond with dark green water in the grass", "a pond in a meadow",
        "an irregular pond", "a green pond is near some trees",
      ]
    case .port:
      [
        "boats docked in a port", "many white boats in a harbor", "ships moored at the piers of a port",
        "a marina with rows of boats", "lots of boats lie in the harbor",
      ]
    case .river:
      [
        "a winding river", "a curved river flows through green land", "a river meanders between fields",
        "a long river with green banks", "a twisting river runs through the meadow",
      ]
    case .storageTanks:
      [
        "white storage tanks in rows", "several round storage tanks", "many cylindrical storage tanks near a road",
        "large white oil tanks", "storage tanks of different sizes",
      ]
    }
  }

  private func draw(_ seed: UInt64) -> (Painter, String) {
    switch self {
    case .airport: drawAirport(seed)
    case .baseballField: drawBaseballField(seed)
    case .beach: drawBeach(seed)
    case .bridge: drawBridge(seed)
    case .denseResidential: drawDenseResidential(seed)
    case .desert: drawDesert(seed)
    case .farmland: drawFarmland(seed)
    case .forest: drawForest(seed)
    case .parking: drawParking(seed)
    case .playground: drawPlayground(seed)
    case .pond: drawPond(seed)
    case .port: drawPort(seed)
    case .river: drawRiver(seed)
    case .storageTanks: drawStorageTanks(seed)
    }
  }
}

private let side = Float(Canvas.side)
private let grass = [Colour(72, 82, 50), Colour(96, 104, 66), Colour(122, 120, 84)]
private let lawn = [Colour(66, 88, 48), Colour(84, 106, 58), Colour(98, 116, 66)]
private let earth = [Colour(118, 106, 84), Colour(140, 126, 102), Colour(96, 98, 68)]

/// A line across the whole canvas through `at`, with wandering bends where `bend` is not 0.
private func across(_ at: Point, angle: Float, bend: Float, _ random: inout Random) -> [Point] {
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let (phase, waves) = (random.real(0, 6.28), random.real(1.1, 2.1))
  return stride(from: Float(-1), through: 1, by: 0.04).map { t -> Point in
    let off: Float = bend * (sin(t * Float.pi * waves + phase) + 0.35 * sin(t * 9.1 + 2 * phase))
    return at + ahead * (t * side * 0.95) + aside * off
  }
}

private func drawAirport(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: [Colour(104, 108, 82), Colour(126, 124, 98), Colour(140, 132, 110)], size: 90)
  let angle = p.random.real(-0.5, 0.5)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2)
  // Runway and taxiway, then the apron with the terminal and the planes at its gates.
  for (offset, width) in [(Float(-175), Float(44)), (-112, 22)] {
    let line = [centre + aside * offset - ahead * 500, centre + aside * offset + ahead * 500]
    p.surface(.line(line, width: width), Colour(126, 126, 128), patches: 16)
    for t in stride(from: Float(-300), to: 300, by: 34) {
      p.canvas.paint(
        .line([centre + aside * offset + ahead * t, centre + aside * offset + ahead * (t + 18)], width: 2.2),
        Colour(repeating: 225))
    }
  }
  p.surface(.rectangle(centre + aside * 50, Point(400, 118), angle: angle), Colour(168, 167, 164), patches: 18)
  for t in stride(from: Float(-320), to: 330, by: 40) {
    p.canvas.paint(
      .line([centre + aside * -64 + ahead * t, centre + aside * 166 + ahead * t], width: 0.9), Colour(150, 149, 146))
  }
  p.building(centre + aside * 178, Point(330, 34), angle: angle, Colour(214, 216, 220), height: 18)
  let count = p.random.whole(3...5)
  for i in 0..<count {
    let t = (Float(i) - Float(count - 1) / 2) * 390 / Float(count) + p.random.real(-9, 9)
    let gate = centre + ahead * t
    p.canvas.shadow(.line([gate + aside * 142, gate + aside * 96], width: 9), height: 6)
    p.surface(.line([gate + aside * 146, gate + aside * 98], width: 9), Colour(196, 198, 204))
    p.plane(
      gate + aside * p.random.real(46, 56) + ahead * 8, angle: angle + .pi / 2 + p.random.real(-0.1, 0.1),
      size: p.random.real(72, 88))
  }
  if p.random.chance(0.7) { p.plane(centre + aside * -112 + ahead * p.random.real(-150, 150), angle: angle, size: 70) }
  for _ in 0..<26 {
    p.car(
      centre + aside * p.random.real(95, 140) + ahead * p.random.real(-210, 210),
      angle: angle + p.random.choice([0, .pi / 2]), length: 8)
  }
  return (p, "\(count) planes are parked at the terminal of an airport")
}

private func drawBaseballField(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: lawn, size: 110)
  p.trees(60, radius: 9...18) { q in min(q.x, q.y, side - q.x, side - q.y) < 46 }
  let count = p.random.chance(0.35) ? 2 : 1
  let sand = Colour(186, 142, 104)
  let turn = p.random.real(0, 6.28)
  for i in 0..<count {
    let reach: Float = count == 2 ? 150 : p.random.real(210, 250)
    let angle = turn + Float(i) * .pi
    let home = Point(side / 2, side / 2) - direction(angle) * (count == 2 ? -26 : reach * 0.5)
    let wedge = Shape(low: home - reach, high: home + reach) { q in
      let d = q - home
      let (along, off) = (d.x * cos(angle) + d.y * sin(angle), abs(d.y * cos(angle) - d.x * sin(angle)))
      return max(Shape.length(d) - reach, (off - along - 14) * 0.7)
    }
    // Warning track, outfield in mown stripes, infield, grass inside, bases, the mound.
    p.surface(wedge.grown(9), sand * 0.96)
    let green = Colour(86, 122, 62)
    p.canvas.paint(wedge, softness: 2) { q, _ in
      let stripe: Float = sin((q.x * cos(angle + 0.8) + q.y * sin(angle + 0.8)) / 9) > 0 ? 1.06 : 0.95
      return green * stripe + 14 * p.noise.fractal(q, size: 30)
    }
    let infield = Shape(low: home - reach, high: home + reach) { q in
      max(wedge.distance(q) + 4, Shape.length(q - home - direction(angle) * reach * 0.26) - reach * 0.33)
    }
    p.surface(infield, sand, patches: 16)
    p.surface(.circle(home, reach * 0.1), sand)
    let base = reach * 0.3
    p.surface(
      .rectangle(home + direction(angle) * base * 0.71, Point(base * 0.42, base * 0.42), angle: angle + .pi / 4),
      Colour(92, 128, 66))
    p.surface(.circle(home + direction(angle) * base * 0.7, reach * 0.038), sand)
    for side in [-1, 1] as [Float] {
      p.canvas.paint(
        .line([home, home + direction(angle + side * .pi / 4) * reach], width: 1.6), Colour(repeating: 228))
    }
    p.note("baseball field", wedge)
  }
  p.road(
    across(Point(side * 0.5, side * 0.5) + direction(turn + 1.57) * 205, angle: turn, bend: 0, &p.random), width: 20)
  return (p, "\(count == 2 ? "two baseball fields are" : "a baseball field is") next to a road and some trees")
}

private func drawBeach(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(
    seed: seed, ground: [Colour(214, 200, 168), Colour(228, 216, 188), Colour(204, 186, 150)], size: 160, grain: 10)
  let angle = p.random.real(0, 6.28)
  let (inland, along) = (direction(angle), direction(angle + .pi / 2))
  let (phase, noise) = (p.random.real(0, 6.28), p.noise)
  let shore = p.random.real(-60, 30)
  /// Distance from the water's edge, positive inland.
  func height(_ q: Point) -> Float {
    let d = q - side / 2
    let t = (d.x * along.x + d.y * along.y) / side
    return d.x * inland.x + d.y * inland.y - shore + 16 * sin(3 * t + phase) + 16
      * noise.fractal(q, size: 110, octaves: 3)
  }
  let everything = Shape(low: Point(), high: Point(side, side)) { _ in -9 }
  let tone = p.random.choice([Colour(26, 122, 142), Colour(36, 150, 160), Colour(30, 92, 122)])
  p.canvas.paint(everything) { q, below in
    let h = height(q)
    if h > 26 { return below }
    if h > 0 { return below * (Colour(0.80, 0.76, 0.70) + 0.2 * h / 26) }
    let depth = min(-h / 240, 1)
    let shallow = tone + Colour(70, 58, 40)
    var colour = shallow + (tone - shallow) * min(1, depth * 2.2) + (tone * 0.62 - tone) * max(0, depth - 0.4)
    colour += 8 * noise.fractal(Point(q.x, q.y), size: 12, octaves: 3)
    // Breakers: bands of foam along the shore, torn by noise.
    for (at, width) in [(Float(4), Float(9)), (34, 8), (70, 6), (112, 4)] {
      let band = (-h - at + 14 * noise.fractal(q + 500, size: 44, octaves: 4)) / width
      let foam = max(0, 1 - abs(band)) * (0.55 + 0.9 * noise.fractal(q + 77, size: 16, octaves: 4) + 0.25)
      colour += (Colour(repeating: 246) - colour) * min(max(foam * 1.4, 0), 1)
    }
    return colour
  }
  p.trees(120, radius: 5...10) { q in height(q) > 150 }
  for _ in 0..<16 {
    let q = p.random.point(0, side)
    let h = height(q)
    if h > 34 && h < 80 {
      p.canvas.shadow(.circle(q, 2.4), height: 3)
      p.canvas.paint(
        .circle(q, 2.4), p.random.choice([Colour(200, 60, 50), Colour(60, 110, 180), Colour(235, 235, 235)]))
    }
  }
  return (p, "white waves wash a sandy beach beside the sea")
}

private func drawBridge(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: grass + [Colour(128, 122, 104)], size: 90)
  p.trees(110, radius: 6...12)
  let angle = p.random.real(0, 3.14)
  let centre = Point(side / 2, side / 2) + p.random.point(-25, 25)
  let width = p.random.real(190, 270)
  let water = Shape.line(across(centre, angle: angle, bend: p.random.real(4, 18), &p.random), width: width).rough(
    p.noise, by: 7, size: 60)
  p.water(water, p.random.choice([Colour(58, 74, 62), Colour(46, 64, 74), Colour(78, 92, 78), Colour(36, 48, 54)]))
  let deck = angle + .pi / 2 + p.random.real(-0.25, 0.25)
  let ends = [centre - direction(deck) * 500, centre + direction(deck) * 500]
  let lanes = p.random.choice([1, 1, 2])
  for lane in 0..<lanes {
    let shift = direction(deck + .pi / 2) * (Float(lane) * 44 - Float(lanes - 1) * 22)
    let line = ends.map { $0 + shift }
    let wide = p.random.real(24, 30)
    p.canvas.shadow(.line(line, width: wide), height: 17)
    p.canvas.paint(.line(line, width: wide), Colour(204, 202, 196))
    p.road(line, width: wide - 8, colour: Colour(138, 136, 134))
    for t in stride(from: -width * 0.6, through: width * 0.6, by: 34) {
      p.canvas.paint(
        .rectangle(centre + shift + direction(deck) * t, Point(2, wide * 0.6), angle: deck), Colour(180, 178, 172))
    }
    for _ in 0..<14 {
      let offset = p.random.choice([-5, 5] as [Float])
      p.car(
        centre + shift + direction(deck) * p.random.real(-240, 240) + direction(deck + .pi / 2) * offset, angle: deck,
        length: 9)
    }
    p.note(
      "bridge",
      Shape.line(
        [centre + shift - direction(deck) * width * 0.6, centre + shift + direction(deck) * width * 0.6], width: wide))
  }
  return (
    p, lanes == 2 ? "two parallel bridges cross a wide river" : "a bridge crosses a wide river with trees on its banks"
  )
}

private func drawDenseResidential(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: lawn + [Colour(128, 122, 106)], size: 50)
  let angle = p.random.real(-0.3, 0.3)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2)
  let roofs = p.random.choice([
    [Colour(168, 92, 70), Colour(150, 80, 62), Colour(182, 112, 84)],
    [Colour(126, 118, 112), Colour(150, 142, 134), Colour(104, 98, 96), Colour(160, 108, 86)],
    [Colour(176, 170, 162), Colour(140, 96, 78), Colour(120, 112, 108)],
  ])
  for row in stride(from: Float(-360), through: 360, by: 92) {
    p.road([centre + aside * row - ahead * 460, centre + aside * row + ahead * 460], width: 15, lanes: false)
  }
  for t in [p.random.real(-170, -90), p.random.real(90, 170)] {
    p.road([centre + ahead * t - aside * 460, centre + ahead * t + aside * 460], width: 14, lanes: false)
  }
  for row in stride(from: Float(-360), through: 360, by: 92) {
    for (offset, gap) in [(Float(25), Float(29)), (67, 29)] {
      for t in stride(from: Float(-330), through: 330, by: gap) {
        let at = centre + aside * (row + offset + p.random.real(-3, 3)) + ahead * (t + p.random.real(-3, 3))
        let half = Point(p.random.real(9, 12), p.random.real(8.5, 12.5))
        p.house(
          at, half, angle: angle + p.random.choice([0, .pi / 2]) + p.random.real(-0.05, 0.05),
          p.random.choice(roofs) * p.random.real(0.9, 1.12))
        if p.random.chance(0.55) { p.tree(at + ahead * 14 + aside * p.random.real(-9, 9), p.random.real(4, 7)) }
        if p.random.chance(0.3) {
          p.car(
            centre + aside * (row + p.random.choice([-5, 5] as [Float])) + ahead * (t + 8), angle: angle, length: 9)
        }
      }
    }
  }
  return (p, "many houses stand in rows in a dense residential area")
}

private func drawDesert(_ seed: UInt64) -> (Painter, String) {
  let tone = [Colour(206, 160, 104), Colour(196, 138, 92), Colour(222, 188, 136), Colour(188, 150, 112)][Int(seed % 4)]
  var p = Painter(seed: seed, ground: [tone * 0.93, tone, tone * 1.06], size: 200, grain: 7)
  let noise = p.noise
  let wind = direction(p.random.real(0, 3.14))
  let (length, strength) = (p.random.real(26, 64), p.random.real(0.10, 0.22))
  let everything = Shape(low: Point(), high: Point(side, side)) { _ in -9 }
  p.canvas.paint(everything) { q, below in
    // Dunes: waves across the wind, bent by noise, lit on one face; ripples on their backs.
    let t = (q.x * wind.x + q.y * wind.y) / length + 2.2 * noise.fractal(q, size: 150, octaves: 3)
    let phase = t - t.rounded(.down)
    let slope: Float = phase < 0.72 ? phase / 0.72 - 0.45 : -1.4 * (phase - 0.72) / 0.28 + 0.2
    let ripple = 0.025 * sin((q.x * wind.x + q.y * wind.y) * 0.9 + 12 * noise.fractal(q, size: 60, octaves: 3))
    return below * (1 + strength * slope + ripple)
  }
  return (p, "a desert of \(tone.y > 165 ? "yellow" : "orange") sand with dunes")
}

private func drawFarmland(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: grass, size: 80)
  let crops = [
    Colour(98, 116, 62), Colour(122, 130, 78), Colour(142, 126, 92), Colour(112, 96, 72), Colour(84, 104, 60),
    Colour(156, 146, 104), Colour(74, 90, 54),
  ]
  let angle = p.random.real(0, 1.5)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let (centre, noise) = (Point(side / 2, side / 2), p.noise)
  var row: Float = -380
  while row < 380 {
    let height = p.random.real(56, 120)
    var t: Float = -400 + p.random.real(0, 60)
    while t < 400 {
      let width = p.random.real(70, 190)
      let at = centre + ahead * (t + width / 2) + aside * (row + height / 2)
      let field = Shape.rectangle(at, Point(width / 2 - 2.5, height / 2 - 2.5), angle: angle)
      let crop = p.random.choice(crops) * p.random.real(0.92, 1.1)
      let (furrow, gap, depth) = (p.random.choice([ahead, aside]), p.random.real(3.2, 6), p.random.real(0.02, 0.09))
      p.canvas.paint(field, softness: 2) { q, _ in
        let line = sin((q.x * furrow.x + q.y * furrow.y) * 2 * .pi / gap)
        return crop * (1 + depth * line) + 16 * noise.fractal(q + at, size: 60) + 6
          * noise.fractal(q, size: 4, octaves: 2)
      }
      t += width
    }
    row += height
  }
  p.road(
    across(centre + aside * p.random.real(-120, 120), angle: angle, bend: 0, &p.random), width: 8,
    colour: Colour(170, 158, 132), lanes: false)
  for _ in 0..<24 {
    p.tree(
      centre + aside * p.random.real(-300, 300) + ahead * p.random.choice([-150, 0, 150] as [Float]),
      p.random.real(4, 8))
  }
  return (p, "farmland divided into many fields of different crops")
}

private func drawForest(_ seed: UInt64) -> (Painter, String) {
  let tone = [Colour(38, 58, 30), Colour(48, 74, 36), Colour(34, 48, 32)][Int(seed % 3)]
  var p = Painter(seed: seed, ground: [tone * 0.5, tone * 0.62], size: 40, grain: 6)
  let small = p.random.real(5, 8)
  for y in stride(from: Float(-8), through: side + 8, by: small * 1.25) {
    for x in stride(from: Float(-8), through: side + 8, by: small * 1.25) {
      let at = Point(x, y) + p.random.point(-small * 0.7, small * 0.7)
      let patch = 1 + 0.25 * p.noise.fractal(at, size: 120)
      p.tree(at, small * p.random.real(0.7, 1.3), tone * p.random.real(0.8, 1.35) * patch)
    }
  }
  return (p, "many green trees form a dense forest")
}

private func drawParking(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(
    seed: seed, ground: [Colour(108, 108, 110), Colour(122, 121, 122), Colour(134, 132, 130)], size: 120, grain: 8)
  let angle = p.random.real(-0.5, 0.5)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2)
  let full = p.random.real(0.65, 0.95)
  for row in stride(from: Float(-380), through: 380, by: 64) {
    for t in stride(from: Float(-400), through: 400, by: 10.5) {
      for side in [-1, 1] as [Float] {
        let at = centre + aside * (row + side * 12) + ahead * t
        p.canvas.paint(
          .line([at - ahead * 5.2 - aside * 10, at - ahead * 5.2 + aside * 10], width: 1), Colour(repeating: 208))
        if p.random.chance(full) {
          p.car(at + p.random.point(-0.8, 0.8), angle: angle + .pi / 2, length: p.random.real(14, 17))
        }
      }
    }
    if p.random.chance(0.4) {
      for t in stride(from: Float(-400), through: 400, by: 62) {
        p.tree(centre + aside * row + ahead * t, p.random.real(4, 7))
      }
    }
  }
  for _ in 0..<12 {
    p.car(
      centre + aside * (p.random.choice([-96, -32, 32, 96] as [Float])) + ahead * p.random.real(-210, 210),
      angle: angle, length: 16)
  }
  return (p, "many cars are parked in rows in a parking lot")
}

private func drawPlayground(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: lawn + [Colour(140, 136, 124)], size: 80)
  let angle = p.random.real(0, 3.14)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2) + p.random.point(-14, 14)
  let (straight, radius) = (p.random.real(76, 92), p.random.real(82, 96))
  p.trees(60, radius: 8...14) { q in Shape.length(q - centre) > 205 }
  func oval(_ r: Float) -> Shape { .line([centre - ahead * straight, centre + ahead * straight], width: 2 * r) }
  p.surface(oval(radius + 40), Colour(150, 148, 140))
  p.surface(
    oval(radius + 26), p.random.choice([Colour(172, 84, 66), Colour(158, 78, 64), Colour(180, 98, 78)]), patches: 8)
  for lane in 1..<6 {
    let r = radius + 26 * Float(lane) / 6
    let ring = Shape(low: oval(r).low - 2, high: oval(r).high + 2) { abs(oval(r).distance($0)) - 0.6 }
    p.canvas.paint(ring) { _, below in below + (Colour(repeating: 225) - below) * 0.6 }
  }
  let green = Colour(72, 118, 58)
  p.surface(oval(radius), green * 1.05)
  let pitch = Shape.rectangle(centre, Point(straight + 34, radius * 0.74), angle: angle)
  let noise = p.noise
  p.canvas.paint(pitch) { q, _ in
    let stripe: Float = sin(((q.x - centre.x) * ahead.x + (q.y - centre.y) * ahead.y) / 8) > 0 ? 1.06 : 0.96
    return green * stripe + 10 * noise.fractal(q, size: 40)
  }
  let white = Colour(repeating: 226)
  func outline(_ shape: Shape) {
    p.canvas.paint(Shape(low: shape.low - 2, high: shape.high + 2) { abs(shape.distance($0)) - 0.9 }, white)
  }
  outline(pitch)
  p.canvas.paint(.line([centre - aside * radius * 0.74, centre + aside * radius * 0.74], width: 1.8), white)
  outline(.circle(centre, 19))
  for end in [-1, 1] as [Float] {
    outline(.rectangle(centre + ahead * end * (straight + 18), Point(16, radius * 0.36), angle: angle))
  }
  p.note("playground", oval(radius + 26))
  if p.random.chance(0.6) {
    p.building(centre + aside * (radius + 62), Point(70, 14), angle: angle, Colour(196, 194, 188), height: 12)
  }
  return (p, "a football field is surrounded by a red running track")
}

private func drawPond(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: grass + [Colour(112, 108, 76)], size: 70)
  let centre = Point(side / 2, side / 2) + p.random.point(-30, 30)
  let radius = p.random.real(92, 130)
  let noise = p.noise
  let stretch = p.random.real(0.75, 1.3)
  let water = Shape(low: centre - radius * 1.8, high: centre + radius * 1.8) { q in
    let d = q - centre
    return Shape.length(Point(d.x * stretch, d.y / stretch)) - radius
      * (1 + 0.75 * noise.fractal(q + 200, size: 150, octaves: 3))
  }
  if p.random.chance(0.6) {
    let aside = p.random.real(0, 6.28)
    let path = across(centre + direction(aside) * 200, angle: aside + .pi / 2, bend: 6, &p.random)
    p.road(path, width: 10, colour: Colour(168, 160, 140), lanes: false)
  }
  p.surface(water.grown(8), Colour(138, 128, 98), softness: 5)
  p.water(water, p.random.choice([Colour(48, 64, 42), Colour(58, 76, 52), Colour(38, 50, 44), Colour(62, 84, 66)]))
  p.trees(120, radius: 8...15) { q in water.distance(q) > 14 }
  p.note("pond", water)
  return (p, "a pond with dark green water is surrounded by trees")
}

private func drawPort(_ seed: UInt64) -> (Painter, String) {
  let tone = [Colour(44, 70, 66), Colour(40, 60, 76), Colour(60, 88, 84)][Int(seed % 3)]
  var p = Painter(seed: seed, ground: [tone * 0.94, tone, tone * 1.05], size: 140, grain: 6)
  let angle = p.random.real(-0.6, 0.6)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2)
  // The quay along one side, piers out into the water, boats on both sides of each.
  p.surface(.rectangle(centre - aside * 235, Point(480, 72), angle: angle), Colour(164, 160, 150), patches: 18)
  for _ in 0..<46 {
    p.car(
      centre - aside * p.random.real(175, 225) + ahead * p.random.real(-240, 240),
      angle: angle + p.random.choice([0, .pi / 2]), length: 9)
  }
  var boats = 0
  for t in stride(from: Float(-250), through: 250, by: p.random.real(76, 92)) {
    let start = centre - aside * 165 + ahead * t
    let reach = p.random.real(240, 330)
    p.canvas.shadow(.line([start, start + aside * reach], width: 7), height: 4)
    p.canvas.paint(.line([start, start + aside * reach], width: 7), Colour(186, 182, 172))
    for s in stride(from: Float(16), to: reach, by: 15) {
      for side in [-1, 1] as [Float] where p.random.chance(0.86) {
        p.boat(
          start + aside * (s + p.random.real(-1.5, 1.5)) + ahead * side * 20,
          angle: angle + (side > 0 ? 0 : .pi) + p.random.real(-0.06, 0.06), length: p.random.real(22, 30))
        boats += 1
      }
    }
  }
  return (p, "many white boats are docked at the piers of a port")
}

private func drawRiver(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: grass + [Colour(92, 98, 58)], size: 70)
  let angle = p.random.real(0, 3.14)
  let line = across(Point(side / 2, side / 2), angle: angle, bend: p.random.real(62, 96), &p.random)
  let width = p.random.real(40, 66)
  let water = Shape.line(line, width: width).rough(p.noise, by: 6, size: 50)
  p.trees(160, radius: 6...12)
  p.surface(
    Shape.line(line, width: width + 24).rough(p.noise, by: 10, size: 40), Colour(152, 140, 112), patches: 18,
    softness: 6)
  p.water(water, p.random.choice([Colour(64, 78, 58), Colour(52, 66, 60), Colour(84, 92, 70), Colour(44, 58, 64)]))
  p.trees(120, radius: 6...12) { q in water.distance(q) > 16 && water.distance(q) < 60 }
  p.note("river", water)
  return (p, "a winding river flows through green land")
}

private func drawStorageTanks(_ seed: UInt64) -> (Painter, String) {
  var p = Painter(seed: seed, ground: earth, size: 80)
  let angle = p.random.real(-0.5, 0.5)
  let (ahead, aside) = (direction(angle), direction(angle + .pi / 2))
  let centre = Point(side / 2, side / 2)
  let radius = p.random.real(24, 40)
  let gap = radius * 3
  let noise = p.noise
  var count = 0
  for row in -3...3 {
    for column in -3...3 {
      let at = centre + ahead * (Float(column) * gap) + aside * (Float(row) * gap)
      // A bund of earth around each tank, roads between.
      p.surface(
        .rectangle(at, Point(gap * 0.42, gap * 0.42), angle: angle, corner: 4), Colour(158, 146, 122), patches: 12)
      let pad = Shape.rectangle(at, Point(gap * 0.39, gap * 0.39), angle: angle, corner: 3)
      p.canvas.paint(pad) { q, _ in Colour(130, 122, 100) + 18 * noise.fractal(q, size: 30) }
    }
  }
  for k in -3...3 {
    let offset = (Float(k) + 0.5) * gap
    p.road([centre + ahead * offset - aside * 450, centre + ahead * offset + aside * 450], width: 9, lanes: false)
    p.road([centre + aside * offset - ahead * 450, centre + aside * offset + ahead * 450], width: 9, lanes: false)
  }
  for row in -3...3 {
    for column in -3...3 where p.random.chance(0.86) {
      let at = centre + ahead * (Float(column) * gap) + aside * (Float(row) * gap)
      p.tank(at, radius * p.random.real(0.8, 1.1))
      if at.x > 0 && at.y > 0 && at.x < side && at.y < side { count += 1 }
      p.canvas.paint(.line([at + ahead * radius, at + ahead * gap * 0.5], width: 2), Colour(repeating: 190))
    }
  }
  return (p, "\(count) white storage tanks stand in rows")
}
