import Foundation

/// A place on the Earth: degrees east and north of WGS 84.
package struct Place: Sendable, Hashable {
  package var lon: Double
  package var lat: Double

  package init(lon: Double, lat: Double) { (self.lon, self.lat) = (lon, lat) }

  /// Metres between two places on a sphere of the Earth's mean radius (haversine).
  package func distance(to other: Place) -> Double {
    let radians = Double.pi / 180
    let (dLat, dLon) = ((other.lat - lat) * radians, (other.lon - lon) * radians)
    let a = pow(sin(dLat / 2), 2) + cos(lat * radians) * cos(other.lat * radians) * pow(sin(dLon / 2), 2)
    return 2 * Self.radius * asin(min(1, a.squareRoot()))
  }

  static let radius = 6_371_008.8

  /// Metres to a place nearby on the ellipsoid of WGS 84, by its radii of curvature here.
  package func shortDistance(to other: Place) -> Double {
    let radians = Double.pi / 180
    let (a, e2) = (6_378_137.0, 0.006_694_379_990_14)
    // Near a pole meridians are no straight lines beside each other: the chord through space is as long as the way, for a short one.
    if max(abs(lat), abs(other.lat)) > 85 {
      func point(_ p: Place) -> SIMD3<Double> {
        let n = a / (1 - e2 * pow(sin(p.lat * radians), 2)).squareRoot()
        let across = n * cos(p.lat * radians)
        return SIMD3(across * cos(p.lon * radians), across * sin(p.lon * radians), n * (1 - e2) * sin(p.lat * radians))
      }
      let chord = point(other) - point(self)
      return (chord * chord).sum().squareRoot()
    }
    let middle = (lat + other.lat) / 2 * radians
    let w = (1 - e2 * pow(sin(middle), 2)).squareRoot()
    var lon = other.lon - lon
    lon -= 360 * (lon / 360).rounded()
    let (north, east) = (a * (1 - e2) / (w * w * w) * (other.lat - lat) * radians, a / w * cos(middle) * lon * radians)
    return (north * north + east * east).squareRoot()
  }
}

/// A part of the Earth between two meridians and two parallels; `west` above `east` where it lies over the antimeridian.
package struct BoundingBox: Sendable, Hashable {
  package var west: Double
  package var south: Double
  package var east: Double
  package var north: Double

  package init(west: Double, south: Double, east: Double, north: Double) {
    (self.west, self.south, self.east, self.north) = (west, south, east, north)
  }

  /// As boxes whose west is not above their east: one, or two where it lies over the antimeridian.
  package var parts: [BoundingBox] {
    guard west > east else { return [self] }
    return [
      BoundingBox(west: west, south: south, east: 180, north: north),
      BoundingBox(west: -180, south: south, east: east, north: north),
    ]
  }

  /// What both cover of what either covers, in degrees; of boxes that do not lie over the antimeridian.
  package func share(with other: BoundingBox) -> Double {
    let (width, height) = (min(east, other.east) - max(west, other.west), min(north, other.north) - max(south, other.south))
    guard width > 0, height > 0 else { return 0 }
    let all = (east - west) * (north - south) + (other.east - other.west) * (other.north - other.south)
    return width * height / (all - width * height)
  }

  package var geometry: Geometry {
    Geometry(
      polygons: parts.map { box in
        [
          Place(lon: box.west, lat: box.south), Place(lon: box.east, lat: box.south), Place(lon: box.east, lat: box.north),
          Place(lon: box.west, lat: box.north),
        ]
      })
  }

  /// All that lies within metres of a place; over a pole, everything beyond the farthest parallel.
  package init(around place: Place, metres: Double) {
    let degrees = metres / Place.radius * 180 / .pi
    (south, north) = (max(-90, place.lat - degrees), min(90, place.lat + degrees))
    let shrink = cos(max(abs(south), abs(north)) * .pi / 180)
    let reach = shrink > 1e-9 ? degrees / shrink : 360
    guard reach < 180, south > -90, north < 90 else {
      (west, east) = (-180, 180)
      return
    }
    func wrapped(_ lon: Double) -> Double { lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon }
    (west, east) = (wrapped(place.lon - reach), wrapped(place.lon + reach))
  }
}

/// An area as GeoJSON has it (RFC 7946): polygons, each a ring without holes, open (the first place is not repeated), and none over the
/// antimeridian.
package struct Geometry: Sendable, Hashable {
  package var polygons: [[Place]]

  package init(polygons: [[Place]]) { self.polygons = polygons }

  /// From a ring of places that may lie over the antimeridian or around a pole: longitudes are followed from each place to the next
  /// over the shorter way, and what lies beyond 180 degrees is cut off there.
  package init?(around ring: [Place]) {
    guard ring.count >= 3 else { return nil }
    let ring = Self.withPolesTwice(ring)
    // A pole on an edge is no pole inside, whichever way around it the edge goes.
    let hasPole = ring.contains { abs($0.lat) >= 90 }
    var places = Self.followed(ring, turningEast: true)
    if hasPole, places.last!.lon != places[0].lon {
      let other = Self.followed(ring, turningEast: false)
      if other.last!.lon == other[0].lon { places = other }
    }
    let turns = ((places.last!.lon - places[0].lon) / 360).rounded()
    if turns == 0 {
      places.removeLast()
    } else {
      places = Self.aroundPole(places, turns: turns, pole: ring.map(\.lat).reduce(0, +) >= 0 ? 90 : -90)
    }
    let (west, east) = (places.map(\.lon).min()!, places.map(\.lon).max()!)
    let first = Int(((west + 180) / 360).rounded(.down)), last = Int(((east - 180) / 360).rounded(.up))
    polygons = []
    for turn in first...max(first, last) {
      let shift = Double(turn) * 360
      var part = places.map { Place(lon: $0.lon - shift, lat: $0.lat) }
      part = Self.clipped(part, at: -180, keeping: { $0 >= -180 })
      part = Self.clipped(part, at: 180, keeping: { $0 <= 180 })
      if part.count >= 3, abs(Self.area(part)) > 0 { polygons.append(Self.area(part) < 0 ? part.reversed() : part) }
    }
    if polygons.isEmpty { return nil }
  }

  /// A pole has every longitude: on the outline it has that of the place before and that of the place behind it.
  private static func withPolesTwice(_ ring: [Place]) -> [Place] {
    func isPole(_ place: Place) -> Bool { abs(place.lat) > 90 - 1e-9 }
    guard ring.contains(where: isPole), let start = ring.firstIndex(where: { !isPole($0) }) else { return ring }
    let turned = Array(ring[start...] + ring[..<start])
    var result: [Place] = []
    for (i, place) in turned.enumerated() {
      guard isPole(place) else {
        result.append(place)
        continue
      }
      let next = turned[(i + 1)...].first { !isPole($0) } ?? turned[0]
      result += [Place(lon: result.last!.lon, lat: place.lat < 0 ? -90 : 90), Place(lon: next.lon, lat: place.lat < 0 ? -90 : 90)]
    }
    return result
  }

  /// The places and the first again, longitudes followed from each to the next over the shorter way.
  ///
  /// - Parameter turningEast: which way half a turn goes.
  private static func followed(_ ring: [Place], turningEast: Bool) -> [Place] {
    var places = [ring[0]]
    for place in ring.dropFirst() + [ring[0]] {
      var next = place
      var turns = (places.last!.lon - place.lon) / 360
      turns = abs(turns - turns.rounded(.down) - 0.5) < 1e-9 ? turns.rounded(turningEast ? .up : .down) : turns.rounded()
      next.lon += 360 * turns
      places.append(next)
    }
    return places
  }

  /// Of places once around a pole, which is part of the area: from the antimeridian all around to it again, and along the pole back.
  private static func aroundPole(_ places: [Place], turns: Double, pole: Double) -> [Place] {
    // Where an edge crosses a meridian of 180 degrees.
    for i in 0..<places.count - 1 {
      let (a, b) = (places[i], places[i + 1])
      let meridian = 360 * ((max(a.lon, b.lon) + 180) / 360).rounded(.down) - 180
      guard a.lon != b.lon, min(a.lon, b.lon) <= meridian else { continue }
      let lat = a.lat + (meridian - a.lon) / (b.lon - a.lon) * (b.lat - a.lat)
      let rest = places[1..<(i + 1)].map { Place(lon: $0.lon + 360 * turns, lat: $0.lat) }
      let around =
        [Place(lon: meridian, lat: lat)] + places[(i + 1)...] + rest
        + [Place(lon: meridian + 360 * turns, lat: lat), Place(lon: meridian + 360 * turns, lat: pole), Place(lon: meridian, lat: pole)]
      let shift = min(meridian, meridian + 360 * turns) + 180
      return around.map { Place(lon: $0.lon - shift, lat: $0.lat) }
    }
    return places + [Place(lon: places.last!.lon, lat: pole), Place(lon: places[0].lon, lat: pole)]
  }

  /// The part of a ring on one side of a meridian (Sutherland and Hodgman).
  private static func clipped(_ ring: [Place], at lon: Double, keeping keeps: (Double) -> Bool) -> [Place] {
    var result: [Place] = []
    for (i, place) in ring.enumerated() {
      let before = ring[(i + ring.count - 1) % ring.count]
      if keeps(before.lon) != keeps(place.lon) {
        let share = (lon - before.lon) / (place.lon - before.lon)
        result.append(Place(lon: lon, lat: before.lat + share * (place.lat - before.lat)))
      }
      if keeps(place.lon) { result.append(place) }
    }
    return result
  }

  /// In square degrees, positive where the ring runs against the clock.
  private static func area(_ ring: [Place]) -> Double {
    ring.indices.reduce(0) { sum, i in
      let (a, b) = (ring[i], ring[(i + 1) % ring.count])
      return sum + (a.lon * b.lat - b.lon * a.lat) / 2
    }
  }

  /// One box a polygon.
  package var boxes: [BoundingBox] {
    polygons.map { ring in
      BoundingBox(
        west: ring.map(\.lon).min()!, south: ring.map(\.lat).min()!, east: ring.map(\.lon).max()!, north: ring.map(\.lat).max()!)
    }
  }

  /// Whether it is one polygon with two sides along meridians and two along parallels.
  package var isBox: Bool {
    guard polygons.count == 1, polygons[0].count == 4 else { return false }
    let (ring, box) = (polygons[0], boxes[0])
    let corners: Set<Place> = [
      Place(lon: box.west, lat: box.south), Place(lon: box.east, lat: box.south), Place(lon: box.east, lat: box.north),
      Place(lon: box.west, lat: box.north),
    ]
    return corners == Set(ring) && ring.indices.allSatisfy { ring[$0].lon == ring[($0 + 1) % 4].lon || ring[$0].lat == ring[($0 + 1) % 4].lat }
  }

  /// All of it; `west` above `east` where it lies over the antimeridian.
  package var boundingBox: BoundingBox {
    let boxes = boxes
    let (south, north) = (boxes.map(\.south).min()!, boxes.map(\.north).max()!)
    if boxes.count == 2, let a = boxes.first(where: { $0.east == 180 }), let b = boxes.first(where: { $0.west == -180 }), a != b {
      return BoundingBox(west: a.west, south: south, east: b.east, north: north)
    }
    return BoundingBox(west: boxes.map(\.west).min()!, south: south, east: boxes.map(\.east).max()!, north: north)
  }

  /// The middle of the bounding box.
  package var centre: Place {
    let box = boundingBox
    let width = box.east - box.west + (box.west > box.east ? 360 : 0)
    let lon = box.west + width / 2
    return Place(lon: lon > 180 ? lon - 360 : lon, lat: (box.south + box.north) / 2)
  }

  // MARK: Relations

  package func contains(_ place: Place) -> Bool { polygons.contains { Self.contains($0, place) } }

  private static func contains(_ ring: [Place], _ p: Place) -> Bool {
    var isInside = false
    for i in ring.indices {
      let (a, b) = (ring[i], ring[(i + ring.count - 1) % ring.count])
      if (a.lat > p.lat) != (b.lat > p.lat), p.lon < (b.lon - a.lon) * (p.lat - a.lat) / (b.lat - a.lat) + a.lon { isInside.toggle() }
    }
    return isInside
  }

  /// Whether the two have a place in common; touching counts.
  package func intersects(_ other: Geometry) -> Bool {
    polygons.contains { a in other.polygons.contains { b in Self.intersects(a, b) } }
  }

  private static func intersects(_ a: [Place], _ b: [Place]) -> Bool {
    for i in a.indices {
      for j in b.indices where cross(a[i], a[(i + 1) % a.count], b[j], b[(j + 1) % b.count]) { return true }
    }
    return contains(a, b[0]) || contains(b, a[0])
  }

  private static func cross(_ a: Place, _ b: Place, _ c: Place, _ d: Place) -> Bool {
    func side(_ p: Place, _ q: Place, _ r: Place) -> Double {
      (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon)
    }
    func isBetween(_ p: Place, _ q: Place, _ r: Place) -> Bool {
      min(p.lon, q.lon) <= r.lon && r.lon <= max(p.lon, q.lon) && min(p.lat, q.lat) <= r.lat && r.lat <= max(p.lat, q.lat)
    }
    let (s, t, u, v) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b))
    if (s > 0) != (t > 0) && (u > 0) != (v > 0) && s != 0 && t != 0 && u != 0 && v != 0 { return true }
    return s == 0 && isBetween(a, b, c) || t == 0 && isBetween(a, b, d) || u == 0 && isBetween(c, d, a) || v == 0 && isBetween(c, d, b)
  }

  /// Metres from a place to the nearest of the area, 0 inside. Edges are straight on a plane that touches at the place.
  package func distance(from place: Place) -> Double {
    if contains(place) { return 0 }
    let radians = Double.pi / 180
    let shrink = cos(place.lat * radians)
    func flat(_ p: Place) -> (x: Double, y: Double) {
      var lon = p.lon - place.lon
      lon -= 360 * (lon / 360).rounded()
      return (lon * shrink, p.lat - place.lat)
    }
    var least = Double.infinity
    for ring in polygons {
      for i in ring.indices {
        let (a, b) = (ring[i], ring[(i + 1) % ring.count])
        let (p, q) = (flat(a), flat(b))
        let (dx, dy) = (q.x - p.x, q.y - p.y)
        let length = dx * dx + dy * dy
        let share = length > 0 ? max(0, min(1, -(p.x * dx + p.y * dy) / length)) : 0
        var lon = b.lon - a.lon
        lon -= 360 * (lon / 360).rounded()
        least = min(least, place.distance(to: Place(lon: a.lon + share * lon, lat: a.lat + share * (b.lat - a.lat))))
      }
    }
    return least
  }
}
