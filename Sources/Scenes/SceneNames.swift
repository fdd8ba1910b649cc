import FTFFiles
import Foundation
import FTFGeography
import FTFKernels

/// What the name of a file says, where nothing else does: Sentinel-2's and Landsat's names hold the time and the satellite.
package enum SceneNames {
  /// `datetime` and `platform`, as far as the name of a file or of its folder holds them.
  package static func properties(of path: FilePath) -> [String: String] {
    for name in [path.name] + (path.folder.map { [$0.name] } ?? []) {
      let parts = name.split(whereSeparator: { $0 == "_" || $0 == "." }).map(String.init)
      var found: [String: String] = [:]
      if let first = parts.first?.uppercased() {
        if ["S2A", "S2B", "S2C"].contains(first) { found["platform"] = "sentinel-2" + first.suffix(1).lowercased() }
        if first.count == 4, "LC LE LT".contains(first.prefix(2)), let number = Int(first.suffix(2)) { found["platform"] = "landsat-\(number)" }
        // T32UNU_20240601T102031_B04.
        if first.count == 6, first.hasPrefix("T"), Int(first.dropFirst().prefix(2)) != nil { found["platform"] = "sentinel-2" }
      }
      guard found["platform"] != nil, let time = parts.lazy.compactMap(time).first else { continue }
      found["datetime"] = time
      return found
    }
    return [:]
  }

  /// A time as files write it, `20240601T102031`, `20240601`, `2024:06:01 10:20:31` or ISO 8601, as ISO 8601 in UTC; nil for anything else.
  package static func time(_ text: String) -> String? {
    if let instant = Instant(text) { return instant.text }
    guard text.utf8.count <= 30 else { return nil }
    let digits = text.filter { $0.isASCII && $0.isNumber }
    guard text.allSatisfy({ $0.isASCII && ($0.isNumber || ":T-Z /".contains($0)) }), digits.count == 8 || digits.count == 14 else { return nil }
    func part(_ from: Int, _ count: Int) -> Substring { digits.dropFirst(from).prefix(count) }
    guard let year = Int(part(0, 4)), (1900...2200).contains(year) else { return nil }
    let time = digits.count == 8 ? "00:00:00" : "\(part(8, 2)):\(part(10, 2)):\(part(12, 2))"
    return Instant("\(part(0, 4))-\(part(4, 2))-\(part(6, 2))T\(time)Z")?.text
  }
}
