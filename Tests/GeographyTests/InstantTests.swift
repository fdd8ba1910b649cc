import FTFGeography
import Testing

@Test(arguments: [
  ("1970-01-01T00:00:00Z", 0, 1), ("1970-01-01", 0, 86_400_000_000), ("1969-12-31T23:59:59.5Z", -500_000, 1),
  ("2000-02-29T12:00:00Z", 951_825_600_000_000, 1),
  ("2021-05-01t02:00:00+02:00", 1_619_827_200_000_000, 1), ("2021-05-01 00:00Z", 1_619_827_200_000_000, 60_000_000),
  ("2021-05-01T00:00:00.000001Z", 1_619_827_200_000_001, 1), ("2021-04-30T23:30:00-0030", 1_619_827_200_000_000, 1),
  ("2016-12-31T23:59:60Z", 1_483_228_800_000_000, 1), ("2021-05-01T00:00:00", 1_619_827_200_000_000, 1),
]) func timesAreMicrosecondsWithTheirPrecision(text: String, first: Int64, span: Int64) throws {
  let instant = try #require(Instant(text))
  #expect(instant.first == first && instant.last == first + span - 1)
  #expect(Instant(instant.text)?.first == first, "\(instant.text)")
}

@Test(arguments: [
  "", "2021", "2021-13-01", "2021-02-29", "2021-02-31", "2021-05-01T", "2021-05-01T24:00:00Z", "2021-05-01T00:61Z", "2021-05-01T00:00:00.Z",
  "2021-05-01T00:00:00Zx", "2021-05-01T00:00:00+25:00", "x021-05-01", "2021-05-01T00:00:61Z", "2021/05/01",
]) func whatIsNoTimeIsNone(text: String) { #expect(Instant(text) == nil) }

@Test func everyDayComesBack() {
  // From the year 1 to 9999.
  let lost = stride(from: Int64(-719_162), through: 2_932_896, by: 137).filter { day in
    Instant(Instant.text(day * 86_400_000_000))?.first != day * 86_400_000_000
  }
  #expect(lost.isEmpty, "\(lost.prefix(3))")
}

@Test func aPoleInsideIsInOnePolygonOfAllLongitudes() throws {
  for (pole, start) in [(-90.0, -45.0), (-90, 170), (90, 10), (90, -180)] {
    let ring = (0..<36).map { Place(lon: (start + Double($0) * 10 + 540).truncatingRemainder(dividingBy: 360) - 180, lat: pole * 0.99) }
    for ring in [ring, ring.reversed()] {
      let geometry = try #require(Geometry(around: ring))
      let box = geometry.boundingBox
      #expect(geometry.polygons.count == 1 && box.west == -180 && box.east == 180, "\(geometry)")
      #expect(pole > 0 ? box.north == 90 : box.south == -90)
      for lon in stride(from: -175.0, through: 175, by: 25) {
        #expect(geometry.contains(Place(lon: lon, lat: pole * 0.999)) && !geometry.contains(Place(lon: lon, lat: pole * 0.9)))
      }
    }
  }
}

@Test func aPoleAtACornerIsNoPoleInside() throws {
  let quarter = [Place(lon: 0, lat: -89), Place(lon: 77, lat: -90), Place(lon: 90, lat: -89), Place(lon: 45, lat: -88.5)]
  let geometry = try #require(Geometry(around: quarter))
  #expect(geometry.contains(Place(lon: 45, lat: -89.5)) && !geometry.contains(Place(lon: -45, lat: -89.5)))
}
