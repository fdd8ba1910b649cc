import Foundation

extension Geometry {
  /// A GeoJSON geometry: Polygon, or MultiPolygon where there are several. Nine decimals of a degree are a tenth of a millimetre.
  package var geoJSON: String {
    func number(_ value: Double) -> String {
      let rounded = (value * 1e9).rounded() / 1e9
      return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
    func coordinates(_ ring: [Place]) -> String {
      "[[" + (ring + [ring[0]]).map { "[\(number($0.lon)),\(number($0.lat))]" }.joined(separator: ",") + "]]"
    }
    if polygons.count == 1 { return #"{"type":"Polygon","coordinates":\#(coordinates(polygons[0]))}"# }
    return #"{"type":"MultiPolygon","coordinates":[\#(polygons.map(coordinates).joined(separator: ","))]}"#
  }

  /// From a GeoJSON Polygon or MultiPolygon, without its holes; nil for anything else.
  package init?(geoJSON text: String) {
    // As this writes one polygon: a fifth of what an archive of boxes costs is reading them.
    if let ring = Self.plainRing(text) {
      self.init(rings: [ring])
      return
    }
    guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else { return nil }
    self.init(geoJSON: object)
  }

  /// Of `{"type":"Polygon","coordinates":[[[lon,lat],...]]}`, spelled like that, numbers without exponents; nil for anything else.
  private static func plainRing(_ text: String) -> [[Double]]? {
    var text = text
    return text.withUTF8 { bytes -> [[Double]]? in
      var rest = unsafe bytes[...]
      func take(_ expected: StaticString) -> Bool {
        let count = expected.utf8CodeUnitCount
        guard unsafe rest.count >= count, unsafe memcmp(bytes.baseAddress! + rest.startIndex, expected.utf8Start, count) == 0 else { return false }
        unsafe rest = unsafe rest.dropFirst(count)
        return true
      }
      /// Digits make a whole number below 2^53, over a power of ten below 10^22: their quotient is the nearest double.
      func number() -> Double? {
        let isNegative = take("-")
        var (whole, digits, decimals, isFraction) = (0, 0, 0, false)
        while let byte = unsafe rest.first {
          if byte == UInt8(ascii: "."), !isFraction, digits > 0 {
            isFraction = true
          } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            guard digits < 15 else { return nil }
            (whole, digits) = (whole * 10 + Int(byte - UInt8(ascii: "0")), digits + 1)
            if isFraction { decimals += 1 }
          } else {
            break
          }
          unsafe rest = unsafe rest.dropFirst()
        }
        guard digits > 0, decimals > 0 || !isFraction else { return nil }
        let value = Double(whole) / powers[decimals]
        return isNegative ? -value : value
      }
      guard take("{\"type\":\"Polygon\",\"coordinates\":[[") else { return nil }
      var ring: [[Double]] = []
      while ring.isEmpty || take(",") {
        guard take("["), let lon = number(), take(","), let lat = number(), take("]") else { return nil }
        ring.append([lon, lat])
      }
      return unsafe take("]]}") && rest.isEmpty ? ring : nil
    }
  }

  private static let powers = (0...15).map { pow(10, Double($0)) }

  package init?(geoJSON object: [String: Any]) {
    let rings: [[[Double]]]
    switch object["type"] as? String {
    case "Polygon":
      guard let polygon = object["coordinates"] as? [[[Double]]], let ring = polygon.first else { return nil }
      rings = [ring]
    case "MultiPolygon":
      guard let all = object["coordinates"] as? [[[[Double]]]] else { return nil }
      rings = all.compactMap(\.first)
    default: return nil
    }
    self.init(rings: rings)
  }

  /// What is asked for: any GeoJSON geometry. A point is a ring that stays where it is, a line one that comes back by the way it went: both meet what
  /// they touch.
  package init?(area object: [String: Any]) {
    func ring(_ line: [[Double]]) -> [[Double]] {
      let way = line.count == 1 ? [line[0], line[0], line[0]] : line + line.dropFirst().dropLast().reversed()
      return way.count == 2 ? way + [way[1]] : way
    }
    let coordinates = object["coordinates"]
    switch object["type"] as? String {
    case "Point": self.init(rings: (coordinates as? [Double]).map { [ring([$0])] } ?? [], areOpen: true)
    case "MultiPoint": self.init(rings: (coordinates as? [[Double]] ?? []).map { ring([$0]) }, areOpen: true)
    case "LineString": self.init(rings: (coordinates as? [[Double]]).map { [ring($0)] } ?? [], areOpen: true)
    case "MultiLineString": self.init(rings: (coordinates as? [[[Double]]] ?? []).map(ring), areOpen: true)
    case "GeometryCollection":
      guard let parts = object["geometries"] as? [[String: Any]], parts.count <= 1000 else { return nil }
      // One inside another would be a way to nest without end.
      let geometries = parts.compactMap { $0["geometries"] == nil ? Geometry(area: $0) : nil }
      guard geometries.count == parts.count, !parts.isEmpty else { return nil }
      self.init(polygons: geometries.flatMap(\.polygons))
    default: self.init(geoJSON: object)
    }
  }

  /// What is asked for, as GeoJSON or WKT.
  package init?(area text: String) {
    if let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] {
      self.init(area: object)
      return
    }
    if let polygons = Geometry(wkt: text) {
      self = polygons
      return
    }
    // POINT(1 2), LINESTRING(1 2, 3 4) and several of them, with or without parentheses around each point.
    guard let match = text.firstMatch(of: /^\s*(?i:(MULTI)?(POINT|LINESTRING))\s*(\(.*\))\s*$/) else { return nil }
    let lines = match.3.split(separator: ")").map { part in
      part.replacing("(", with: "").split(separator: ",").map { $0.split(separator: " ").map { Double($0) } }
    }.filter { !$0.isEmpty }
    guard lines.allSatisfy({ $0.allSatisfy { $0.count >= 2 && !$0.contains(nil) } }) else { return nil }
    let values = lines.map { $0.map { $0.map { $0! } } }
    let isPoints = match.2.lowercased() == "point"
    guard match.1 != nil || (isPoints ? values.count == 1 && values[0].count == 1 : values.count == 1) else { return nil }
    self.init(area: isPoints ? ["type": "MultiPoint", "coordinates": values.flatMap { $0 }] : ["type": "MultiLineString", "coordinates": values])
  }

  /// - Parameter areOpen: whether the last place of a ring is not its first once more.
  private init?(rings: [[[Double]]], areOpen: Bool = false) {
    polygons = rings.compactMap { ring in
      var places = ring.compactMap { $0.count >= 2 ? Place(lon: $0[0], lat: $0[1]) : nil }
      if !areOpen, places.count > 1, places.first == places.last { places.removeLast() }
      return places.count >= 3 && places.allSatisfy { abs($0.lon) <= 360 && abs($0.lat) <= 90 } ? places : nil
    }
    if polygons.isEmpty || polygons.count != rings.count { return nil }
  }

  /// From WKT: `POLYGON((lon lat, ...))` or `MULTIPOLYGON(((...)), ...)`, without holes.
  package init?(wkt text: String) {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
    let word = text.prefix { $0.isLetter }.uppercased()
    guard word == "POLYGON" || word == "MULTIPOLYGON" else { return nil }
    // A ring is what stands in the innermost parentheses; the first of each polygon follows "((".
    let body = text.dropFirst(word.count).filter { !$0.isWhitespace || $0 == " " }
    var rings: [[[Double]]] = []
    var depth = 0
    var ring = ""
    var ringOfPolygon = 0
    let (polygonDepth, ringDepth) = word == "POLYGON" ? (1, 2) : (2, 3)
    for c in body {
      switch c {
      case "(":
        depth += 1
        if depth == polygonDepth { ringOfPolygon = 0 }
        if depth == ringDepth { ring = "" }
        if depth > ringDepth { return nil }
      case ")":
        if depth == ringDepth {
          if ringOfPolygon == 0 {
            let numbers = ring.split(separator: ",").map { $0.split(separator: " ").map { Double($0) } }
            guard numbers.allSatisfy({ $0.count >= 2 && !$0.contains(nil) }) else { return nil }
            rings.append(numbers.map { $0.map { $0! } })
          }
          ringOfPolygon += 1
        }
        depth -= 1
        if depth < 0 { return nil }
      default: if depth == ringDepth { ring.append(c) }
      }
    }
    guard depth == 0, !rings.isEmpty else { return nil }
    self.init(rings: rings)
  }

  /// From well-known binary of either order: a Polygon or MultiPolygon, without holes, or a Point, around which it is a decimetre wide; nil for
  /// anything else.
  package init?(wkb bytes: [UInt8]) {
    var rest = bytes[...]
    var rings: [[[Double]]] = []
    func word(_ count: Int, _ isLittle: Bool) -> UInt64? {
      guard rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      let part = rest.prefix(count)
      return (isLittle ? Array(part.reversed()) : Array(part)).reduce(0) { $0 << 8 | UInt64($1) }
    }
    func shape(_ depth: Int) -> Bool {
      guard let order = rest.popFirst(), order <= 1, var kind = word(4, order == 1) else { return false }
      // PostGIS's flags for heights and reference systems, and ISO's thousands for heights.
      let (hasHeight, hasMeasure, hasSystem) = (kind & 0x8000_0000 != 0, kind & 0x4000_0000 != 0, kind & 0x2000_0000 != 0)
      kind &= 0x0fff_ffff
      let thousands = kind / 1000
      if hasSystem, word(4, order == 1) == nil { return false }
      let values = 2 + (hasHeight || thousands == 1 || thousands == 3 ? 1 : 0) + (hasMeasure || thousands == 2 || thousands == 3 ? 1 : 0)
      func place() -> [Double]? {
        let numbers = (0..<values).map { _ in word(8, order == 1).map(Double.init(bitPattern:)) }
        guard let lon = numbers[0], let lat = numbers[1], !numbers.contains(nil), lon.isFinite, lat.isFinite else { return nil }
        return [lon, lat]
      }
      func count() -> Int? { word(4, order == 1).flatMap { $0 <= rest.count / 4 ? Int($0) : nil } }
      switch kind % 1000 {
      case 1:
        guard let p = place() else { return false }
        let d = 5e-7
        rings.append([[p[0] - d, p[1] - d], [p[0] + d, p[1] - d], [p[0] + d, p[1] + d], [p[0] - d, p[1] + d]])
        return true
      case 3:
        guard let all = count(), all > 0 else { return false }
        for i in 0..<all {
          guard let points = count() else { return false }
          var ring: [[Double]] = []
          for _ in 0..<points {
            guard let p = place() else { return false }
            ring.append(p)
          }
          if i == 0 { rings.append(ring) }
        }
        return true
      case 6 where depth == 0:
        guard let all = count(), all > 0 else { return false }
        return (0..<all).allSatisfy { _ in shape(depth + 1) }
      default: return false
      }
    }
    guard shape(0) else { return nil }
    self.init(rings: rings)
  }

  /// Well-known binary, little-endian: Polygon or MultiPolygon.
  package var wkb: [UInt8] {
    var bytes: [UInt8] = []
    func add(_ value: UInt32) { for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt32(shift)))) } }
    func add(_ value: Double) { for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt64(shift)))) } }
    func add(_ ring: [Place]) {
      bytes.append(1)
      add(3 as UInt32)
      add(1 as UInt32)
      add(UInt32(ring.count + 1))
      for place in ring + [ring[0]] {
        add(place.lon)
        add(place.lat)
      }
    }
    if polygons.count == 1 {
      add(polygons[0])
    } else {
      bytes.append(1)
      add(6 as UInt32)
      add(UInt32(polygons.count))
      for ring in polygons { add(ring) }
    }
    return bytes
  }
}
