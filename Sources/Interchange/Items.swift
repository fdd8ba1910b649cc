import FastThenFine
import FTFFiles
import Foundation
import FTFGeography
import FTFJSON

/// An item of an index as other programs take it: joined by its id, never by its row.
package struct Item {
  package let id: Int64
  /// Of the file.
  package let bytes: Int64?
  package let window: Window?
  /// The path of an image as people read it, or the words of a caption.
  package let name: String
  /// The path as the system has it, where it is not UTF-8.
  package let pathBytes: [UInt8]?
  /// Where it lies: its footprint, or else the point of its attributes lon and lat; nil where neither is known.
  package let footprint: Geometry?
  package let point: Place?
  /// But for those that are null.
  package let attributes: [String: JSONValue]

  package init(_ entry: IndexEntry, isImage: Bool) {
    let path = isImage ? FilePath(entry.name) : nil
    self.init(
      entry.id, path?.description ?? entry.name, path.flatMap { $0.isUTF8 ? nil : $0.bytes }, entry.size, entry.window, entry.footprint,
      entry.attributes)
  }

  package init(_ result: Answer.Result) {
    self.init(
      result.id, result.name, result.pathBytes, nil,
      result.window.map { Window(x: $0.x, y: $0.y, width: $0.width, height: $0.height) }, result.geometry, result.attributes)
  }

  private init(
    _ id: Int64, _ name: String, _ pathBytes: [UInt8]?, _ bytes: Int64?, _ window: Window?, _ geometry: String?, _ attributes: String?
  ) {
    (self.id, self.name, self.pathBytes, self.bytes, self.window) = (id, name, pathBytes, bytes, window)
    self.attributes = (attributes.flatMap { JSONValue($0)?.members } ?? [:]).filter { $0.value != .null }
    footprint = geometry.flatMap { Geometry(geoJSON: $0) }
    if let footprint {
      point = footprint.centre
    } else if let lon = self.attributes["lon"]?.double, let lat = self.attributes["lat"]?.double, abs(lon) <= 180, abs(lat) <= 90 {
      point = Place(lon: lon, lat: lat)
    } else {
      point = nil
    }
  }

  /// A GeoJSON geometry.
  package var geometry: JSONValue {
    if let footprint, let geometry = JSONValue(footprint.geoJSON) { return geometry }
    return point.map { .object(["coordinates": .list([$0.lon, $0.lat]), "type": .text("Point")]) } ?? .null
  }

  package var box: BoundingBox? {
    footprint?.boundingBox ?? point.map { BoundingBox(west: $0.lon, south: $0.lat, east: $0.lon, north: $0.lat) }
  }

  /// Well-known binary.
  var wkb: [UInt8]? {
    if let footprint { return footprint.wkb }
    guard let point else { return nil }
    var bytes: [UInt8] = [1]
    bytes.append(little: UInt32(1))
    bytes.append(little: point.lon.bitPattern)
    bytes.append(little: point.lat.bitPattern)
    return bytes
  }

  /// Microseconds since 1970, of its datetime.
  var time: Int64? {
    (attributes["datetime"]?.text).flatMap { Instant($0)?.first }
  }

  /// What other programs name an attribute: as it is, unless a column of ours has that name.
  package static func column(_ attribute: String, beside taken: Set<String>) -> String {
    taken.contains(attribute) ? "attributes.\(attribute)" : attribute
  }
}

extension Item {
  /// The place on a Hilbert curve over the globe: neighbours on the ground are neighbours in a file.
  var hilbert: UInt64 {
    guard let point else { return UInt64.max }
    let side: UInt32 = 1 << 16
    var x = UInt32(min(65535, max(0, (point.lon + 180) / 360 * 65536)))
    var y = UInt32(min(65535, max(0, (point.lat + 90) / 180 * 65536)))
    var (place, half) = (UInt64(0), side / 2)
    while half > 0 {
      let (rx, ry): (UInt32, UInt32) = (x & half > 0 ? 1 : 0, y & half > 0 ? 1 : 0)
      place += UInt64(half) * UInt64(half) * UInt64(3 * rx ^ ry)
      if ry == 0 {
        if rx == 1 { (x, y) = (side - 1 - x, side - 1 - y) }
        (x, y) = (y, x)
      }
      half /= 2
    }
    return place
  }
}
