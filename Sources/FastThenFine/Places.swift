import Foundation
import FTFGeography
import FTFIndex
import FTFJSON
import FTFKernels

/// Where on the Earth is searched; what has no place on it is left out.
public enum SearchArea: Sendable, Equatable {
  /// Degrees east and north; `west` above `east` lies over the antimeridian.
  case box(west: Double, south: Double, east: Double, north: Double)
  /// All footprints that come within so many kilometres of a place.
  case near(lon: Double, lat: Double, kilometres: Double)

  func checked() throws(FastThenFineError) -> Area {
    switch self {
    case .box(let west, let south, let east, let north):
      guard let box = BoundingBox([west, south, east, north]) else {
        throw FastThenFineError(.badInput, "a box is west, south, east, north in degrees: -180 to 180, -90 to 90, south below north")
      }
      return .box(box)
    case .near(let lon, let lat, let kilometres):
      guard abs(lon) <= 180, abs(lat) <= 90, kilometres >= 0, kilometres <= 20_100 else {
        throw FastThenFineError(.badInput, "a place is a longitude of -180 to 180, a latitude of -90 to 90, and kilometres from 0 to 20100")
      }
      return .near(Place(lon: lon, lat: lat), metres: kilometres * 1000)
    }
  }
}

/// A part of a scene, in its pixels from the upper left.
public struct PixelWindow: Sendable, Equatable {
  public var x: Int
  public var y: Int
  public var width: Int
  public var height: Int

  public init(x: Int, y: Int, width: Int, height: Int) { (self.x, self.y, self.width, self.height) = (x, y, width, height) }
}

extension Answer.Result {
  /// The middle of the footprint, in degrees; nil where it has none.
  public var centre: (lon: Double, lat: Double)? {
    geometry.flatMap { Geometry(geoJSON: $0) }.map { ($0.centre.lon, $0.centre.lat) }
  }

  /// How the scene lies on the ground: the EPSG number of its reference system, its size in pixels, and GDAL's six numbers from pixels to the
  /// system; nil where it does not say it.
  package var projection: (epsg: Int, width: Int, height: Int, transform: [Double])? {
    guard let stored = StoredScene(scene), let transform = stored.transform, transform.count == 6, let reference = stored.reference,
      reference.hasPrefix("EPSG:"), let epsg = Int(reference.dropFirst(5))
    else { return nil }
    return (epsg, stored.width, stored.height, transform)
  }

  /// Pixels of the scene; nil for a picture.
  package var extent: (width: Int, height: Int)? { StoredScene(scene).map { ($0.width, $0.height) } }

  /// By what the scene's bands are known, where it does not say it itself.
  package var bands: String? { StoredScene(scene)?.basis }

  /// When the image was taken, as its attributes say it: ISO 8601.
  public var datetime: String? { attributes.flatMap { JSONValue($0)?["datetime"]?.text } }
}

/// Windows that overlap and say the same are one place: the best of them stands for it (non-maximum suppression).
///
/// A scene is known by its path or its source's id.
struct Places<Scene: Hashable> {
  /// A window shows what another does where they share at least this much of the smaller; the windows of a grid share a quarter.
  private var same: Double { 0.2 }
  private var kept: [Scene: [Window]] = [:]
  private var pictures: Set<Scene> = []

  /// Whether a window of a scene, or all of it, is a place of its own; of a picture there is one.
  mutating func take(_ scene: Scene, _ window: Window?, isPicture: Bool = false) -> Bool {
    if isPicture { return pictures.insert(scene).inserted }
    guard let window else { return true }
    if kept[scene, default: []].contains(where: { $0.overlap(window) >= same }) { return false }
    kept[scene, default: []].append(window)
    return true
  }
}
