import FTFGeography
import Testing

@Suite struct Geometries {
  private func ring(_ places: [(Double, Double)]) -> [Place] { places.map { Place(lon: $0.0, lat: $0.1) } }

  @Test func aRingRunsAgainstTheClock() throws {
    let clockwise = ring([(0, 0), (0, 1), (1, 1), (1, 0)])
    for given in [clockwise, clockwise.reversed()] {
      let found = try #require(Geometry(around: given))
      #expect(
        found.polygons == [ring([(1, 0), (1, 1), (0, 1), (0, 0)])]
          || found.polygons == [ring([(1, 0), (1, 1), (0, 1), (0, 0)]).rotatedToStart(found)])
      let text = found.geoJSON
      #expect(Geometry(geoJSON: text) == found && text.hasPrefix(#"{"type":"Polygon""#))
    }
  }

  @Test func whatLiesOverTheAntimeridianIsCutThere() throws {
    let over = try #require(Geometry(around: ring([(179.5, 10), (179.5, 9), (-179.25, 9), (-179.25, 10)])))
    #expect(over.polygons.count == 2 && over.geoJSON.hasPrefix(#"{"type":"MultiPolygon""#))
    #expect(over.boxes.map(\.west).sorted() == [-180, 179.5] && over.boxes.map(\.east).sorted() == [-179.25, 180])
    #expect(over.boundingBox == BoundingBox(west: 179.5, south: 9, east: -179.25, north: 10))
    #expect(abs(over.centre.lon - -179.875) < 1e-9 && over.centre.lat == 9.5)
    #expect(over.contains(Place(lon: 179.9, lat: 9.5)) && over.contains(Place(lon: -179.9, lat: 9.5)) && !over.contains(Place(lon: 0, lat: 9.5)))
    #expect(Geometry(geoJSON: over.geoJSON) == over)
    // A box that somebody asks for.
    let box = BoundingBox(west: 170, south: 0, east: -170, north: 20)
    #expect(box.geometry.intersects(over) && Area.box(box).meets(over))
    #expect(!Area.box(BoundingBox(west: -170, south: 0, east: 170, north: 20)).meets(over))
  }

  @Test func whatGoesAroundAPoleReachesIt() throws {
    let cap = try #require(Geometry(around: stride(from: -180.0, to: 180, by: 30).map { Place(lon: $0, lat: 85) }))
    #expect(cap.contains(Place(lon: 12, lat: 89)) && cap.contains(Place(lon: -170, lat: 86)) && !cap.contains(Place(lon: 12, lat: 80)))
  }

  @Test func areasMeet() throws {
    let square = BoundingBox(west: 0, south: 0, east: 1, north: 1).geometry
    for (other, meets) in [
      ((0.5, 0.5, 2.0, 2.0), true), ((0.2, 0.2, 0.4, 0.4), true), ((-1, -1, 2, 2), true), ((1, 0, 2, 1), true), ((1.1, 0, 2, 1), false),
      ((-1, 0.4, 2, 0.6), true), ((-1, -1, -0.5, 2), false),
    ] {
      let box = BoundingBox(west: other.0, south: other.1, east: other.2, north: other.3).geometry
      #expect(square.intersects(box) == meets && box.intersects(square) == meets, "\(other)")
    }
  }

  @Test func distancesAreMetres() {
    let square = BoundingBox(west: 10, south: 50, east: 11, north: 51).geometry
    #expect(square.distance(from: Place(lon: 10.5, lat: 50.5)) == 0)
    // A tenth of a degree of a parallel, and of a meridian.
    #expect(abs(square.distance(from: Place(lon: 9.9, lat: 50.5)) - 7073) < 5)
    #expect(abs(square.distance(from: Place(lon: 10.5, lat: 51.1)) - 11120) < 5)
    let near = Area.near(Place(lon: 9.9, lat: 50.5), metres: 7000)
    #expect(!near.meets(square) && Area.near(Place(lon: 9.9, lat: 50.5), metres: 7100).meets(square))
    // The boxes that are looked into hold all of it, also at the antimeridian and at a pole.
    #expect(Area.near(Place(lon: 179.99, lat: 0), metres: 5000).boxes.count == 2)
    #expect(
      Area.near(Place(lon: 0, lat: 89.99), metres: 5000).boxes == [
        BoundingBox(west: -180, south: Area.near(Place(lon: 0, lat: 89.99), metres: 5000).boxes[0].south, east: 180, north: 90)
      ])
  }

  @Test func textsAreRead() throws {
    let wkt = try #require(Geometry(wkt: "POLYGON((0 0, 2 0, 2 2, 0 2, 0 0), (0.5 0.5, 1 0.5, 1 1, 0.5 0.5))"))
    #expect(wkt.polygons == [ring([(0, 0), (2, 0), (2, 2), (0, 2)])])
    #expect(Geometry(wkt: " multipolygon (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))")?.polygons.count == 2)
    for bad in [
      "POINT(1 2)", "POLYGON((0 0, 1 1))", "POLYGON((0 0, 1 x, 1 1, 0 0))", "POLYGON((0 0, 1 0, 1 1, 0 0)", "POLYGON((((0 0, 1 0, 1 1, 0 0))))",
      "POLYGON((0 0, 1 0, 1 100, 0 0))", "", "POLYGON",
    ] {
      #expect(Geometry(wkt: bad) == nil, "\(bad)")
    }
    for bad in [
      #"{"type":"Point","coordinates":[1,2]}"#, #"{"type":"Polygon","coordinates":[]}"#, "nonsense", "[]",
      #"{"type":"Polygon","coordinates":[[[1],[2],[3]]]}"#,
    ] {
      #expect(Geometry(geoJSON: bad) == nil, "\(bad)")
    }
    // Order, type, one ring, five places of two f64.
    // As this writes it, read by hand; spelled otherwise, by the system's reader: the same.
    for number in ["1", "-0.5", "0.123456789", "12345678901234567890123", "0.1234567890123456789", "1e1", "-", "", "1.", ".5", "+1", "01"] {
      let text = #"{"type":"Polygon","coordinates":[[[\#(number),0],[2,0],[2,2],[0,0]]]}"#
      #expect(Geometry(geoJSON: text) == Geometry(geoJSON: text.replacing(",", with: ", ")) || number == "01", "\(number)")
    }
    #expect(Geometry(wkb: wkt.wkb) == wkt && Geometry(wkb: wkt.wkb)?.isBox == true)
    for cut in 0..<wkt.wkb.count { #expect(Geometry(wkb: Array(wkt.wkb[..<cut])) == nil) }
    for place in wkt.wkb.indices {
      var damaged = wkt.wkb
      damaged[place] ^= 0xff
      _ = Geometry(wkb: damaged)
    }
    #expect(wkt.wkb.count == 1 + 4 + 4 + 4 + 5 * 16 && wkt.wkb.prefix(5) == [1, 3, 0, 0, 0])
  }

  @Test func windowsOverlap() {
    let a = Window(x: 0, y: 0, width: 100, height: 100)
    #expect(a.overlap(Window(x: 75, y: 0, width: 100, height: 100)) == 0.25 && a.overlap(Window(x: 100, y: 0, width: 9, height: 9)) == 0)
    #expect(a.overlap(Window(x: 10, y: 10, width: 10, height: 10)) == 1)
  }
}

extension [Place] {
  /// The same ring from another of its places.
  fileprivate func rotatedToStart(_ geometry: Geometry) -> [Place] {
    guard let start = firstIndex(of: geometry.polygons[0][0]) else { return self }
    return Array(self[start...] + self[..<start])
  }
}
