import CFTFGDAL
import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import Synchronization

/// Where the pixels of a scene lie: by its affine transform, its ground control points or its RPCs, through PROJ, as GDAL does it.
package final class Ground: Sendable {
  /// Such as EPSG:32632, or a name.
  package let reference: String
  /// From pixels to the coordinates of `reference`; nil for ground control points and RPCs.
  package let transform: [Double]?
  /// Metres that a pixel covers in the middle of the scene, across and down.
  package let sample: (across: Double, down: Double)
  private let locator: Mutex<Locator>

  @safe private struct Locator: ~Copyable, @unchecked Sendable {
    let handle: cgdal_locator
    /// It reads what it needs from there.
    let dataset: Dataset
    init(_ handle: cgdal_locator, _ dataset: Dataset) {
      unsafe self.handle = unsafe handle
      self.dataset = dataset
    }
    deinit { unsafe cgdal_locator_free(handle) }
  }

  /// Nil where the file does not say where it lies.
  init?(_ dataset: Dataset) {
    func named(_ beside: String?) -> String {
      var name = [CChar](repeating: 0, count: 100)
      unsafe cgdal_reference(dataset.handle, beside, &name)
      return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    let said = named(nil)
    // A world file gives coordinates, and the file beside it of what.
    let beside = said.isEmpty ? Self.projection(beside: dataset.path) : nil
    reference = beside.map(named) ?? said
    var numbers = [Double](repeating: 0, count: 6)
    let isAffine = unsafe cgdal_transform(dataset.handle, &numbers) != 0
    transform = isAffine && !reference.isEmpty ? numbers : nil
    // A transform into coordinates of no system says nothing of the Earth.
    let hasRPCs = dataset.metadata("LINE_OFF", domain: "RPC") != nil
    guard !reference.isEmpty || hasRPCs, let own = try? Dataset(dataset.path) else { return nil }
    var message = [CChar](repeating: 0, count: Int(CGDAL_MESSAGE))
    guard let handle = unsafe cgdal_locator_make(own.handle, beside, &message) else { return nil }
    locator = unsafe Mutex(Locator(handle, own))
    let (w, h) = (Double(dataset.size.width), Double(dataset.size.height))
    let (reachX, reachY) = (min(50, w / 2), min(50, h / 2))
    let points = Self.locate(
      locator, [(w / 2 - reachX, h / 2), (w / 2 + reachX, h / 2), (w / 2, h / 2 - reachY), (w / 2, h / 2 + reachY)])
    guard let a = points[0], let b = points[1], let c = points[2], let d = points[3] else { return nil }
    sample = (a.shortDistance(to: b) / (2 * reachX), c.shortDistance(to: d) / (2 * reachY))
    guard sample.across > 0, sample.down > 0 else { return nil }
  }

  /// The reference system of a `.prj` file beside a raster.
  private static func projection(beside path: FilePath) -> String? {
    guard let folder = path.folder, !path.ending.isEmpty else { return nil }
    let stem = String(path.name.dropLast(path.ending.count + 1))
    for ending in ["prj", "PRJ"] {
      if let bytes = try? WholeFile.bytes(folder.appending(FilePath("\(stem).\(ending)")), limit: 1 << 16) {
        return String(decoding: bytes, as: UTF8.self)
      }
    }
    return nil
  }

  private static func locate(_ locator: borrowing Mutex<Locator>, _ pixels: [(x: Double, y: Double)]) -> [Place?] {
    locator.withLock { locator in
      var (x, y) = (pixels.map(\.x), pixels.map(\.y))
      var ok = [Int32](repeating: 0, count: pixels.count)
      unsafe cgdal_locate(locator.handle, Int32(pixels.count), &x, &y, &ok)
      return pixels.indices.map { i in
        guard ok[i] != 0, abs(y[i]) <= 90.0001, abs(x[i]) <= 540 else { return nil }
        let lon = x[i] - 360 * (x[i] / 360).rounded()
        return Place(lon: lon, lat: max(-90, min(90, y[i])))
      }
    }
  }

  /// Pixels as places; nil for what lies nowhere. The middle of the first pixel is (0.5, 0.5).
  package func places(_ pixels: [(x: Double, y: Double)]) -> [Place?] { Self.locate(locator, pixels) }

  /// The outline of a window. Its edges get as many places between the corners as they need to stay within a tenth of a pixel of where
  /// the reference system's own lie.
  package func footprint(_ window: Window) -> Geometry? {
    let (x, y) = (Double(window.x), Double(window.y))
    let (right, bottom) = (x + Double(window.width), y + Double(window.height))
    // Down the left side first: against the clock where north is up.
    let corners = [(x, y), (x, bottom), (right, bottom), (right, y)]
    var ring: [Place] = []
    for i in 0..<4 {
      guard let edge = edge(from: corners[i], to: corners[(i + 1) % 4]) else { return nil }
      ring += edge
    }
    return Geometry(around: ring)
  }

  private static let mostSegments = 64

  /// The places of an edge without its last.
  private func edge(from a: (Double, Double), to b: (Double, Double)) -> [Place]? {
    var segments = 1
    while true {
      // Every second one only tells whether there are enough.
      let points = (0...2 * segments).map { i -> (x: Double, y: Double) in
        let share = Double(i) / Double(2 * segments)
        return (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))
      }
      let found = places(points)
      guard !found.contains(where: { $0 == nil }) else { return nil }
      let places = found.map { $0! }
      let bend = (0..<segments).map { i -> Double in
        let (p, q) = (places[2 * i], places[2 * i + 2])
        var lon = q.lon - p.lon
        lon -= 360 * (lon / 360).rounded()
        return places[2 * i + 1].distance(to: Place(lon: p.lon + lon / 2, lat: (p.lat + q.lat) / 2))
      }.max()!
      if bend <= 0.1 * min(sample.across, sample.down) || segments >= Self.mostSegments {
        return (0..<segments).map { places[2 * $0] }
      }
      segments *= 2
    }
  }
}
