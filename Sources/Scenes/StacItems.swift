import FTFFiles
import Foundation
import FTFJSON
import FTFKernels
import FTFParquet

/// What STAC items say of the scenes of a folder: `scene.json` beside `scene.tif`, or any item in its folder or the one above whose
/// assets name it, each in a file of its own, in a collection of features or in a row of a STAC GeoParquet.
package final class StacItems {
  private var folders: [FilePath: [FilePath: [String: Any]]] = [:]
  private static let mostBytes = 4 << 20
  /// More files of items in a folder are no catalog that is read for each scene.
  private static let mostFiles = 20_000
  private static let endings = ["tif", "tiff", "TIF", "TIFF", "jp2", "vrt", "jpg", "png", "webp"]

  /// Tables that could not be read, and why; each once.
  package private(set) var failures: [String] = []

  package init() {}

  /// The properties of the item of a scene, with the item's id and collection; nil where there is none.
  package func properties(of scene: FilePath) -> [String: Any]? {
    guard let folder = scene.folder else { return nil }
    return items(in: folder)[scene] ?? folder.folder.flatMap { items(in: $0)[scene] }
  }

  /// Hands over what could not be read since it was asked last.
  package func takeFailures() -> [String] {
    defer { failures = [] }
    return failures
  }

  private func items(in folder: FilePath) -> [FilePath: [String: Any]] {
    if let found = folders[folder] { return found }
    var found: [FilePath: [String: Any]] = [:]
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.spelling)) ?? []).sorted()
    // What an item of its own says goes before a table of many.
    for name in names where FilePath(name).ending == "parquet" {
      let path = folder.appending(FilePath(name))
      do { found.merge(try StacTable.properties(path, in: folder)) { $1 } } catch { failures.append("\(path): \(error)") }
    }
    for name in names.filter({ ["json", "geojson"].contains(FilePath($0).ending) }).prefix(Self.mostFiles) {
      let path = folder.appending(FilePath(name))
      guard let bytes = try? WholeFile.bytes(path, limit: Self.mostBytes),
        let object = JSONValue(bytes)?.any as? [String: Any]
      else { continue }
      let features = object["type"] as? String == "FeatureCollection" ? object["features"] as? [[String: Any]] ?? [] : [object]
      for item in features where item["type"] as? String == "Feature" && item["stac_version"] is String {
        let assets = (item["assets"] as? [String: Any] ?? [:]).values.compactMap { ($0 as? [String: Any])?["href"] as? String }
        let stem = name.dropLast(path.ending.utf8.count + 1)
        for scene in Self.scenes(assets, stem: String(stem), in: folder) { found[scene] = Self.properties(item) }
      }
    }
    folders[folder] = found
    return found
  }

  /// The files that an item is about: what its assets name, and those that have its own name.
  static func scenes(_ assets: [String], stem: String, in folder: FilePath) -> [FilePath] {
    var scenes: [FilePath] = []
    for href in assets where !href.contains("://") || href.hasPrefix("file://") {
      let name = FilePath(href.hasPrefix("file://") ? URL(string: href)?.path ?? "" : href)
      // An address has no spaces: what is escaped in it is not in the name. A name may have a percent sign of its own.
      for name in Set([name, FilePath(name.spelling.removingPercentEncoding ?? name.spelling)]) {
        if let whole = (name.spelling.hasPrefix("/") ? name : folder.appending(name)).absolute { scenes.append(whole) }
      }
    }
    guard !stem.isEmpty, !stem.contains("/") else { return scenes }
    for ending in endings { scenes.append(folder.appending(FilePath("\(stem).\(ending)"))) }
    // scene.tif.json is also met.
    scenes.append(folder.appending(FilePath(stem)))
    return scenes
  }

  private static func properties(_ item: [String: Any]) -> [String: Any] {
    var properties = item["properties"] as? [String: Any] ?? [:]
    // A span of time has no datetime of its own.
    if properties["datetime"] is NSNull { properties["datetime"] = properties["start_datetime"] }
    if let id = item["id"] as? String { properties["id"] = id }
    if let collection = item["collection"] as? String { properties["collection"] = collection }
    return properties
  }
}

extension Scene {
  /// What is known of a scene beside its pixels: of its STAC item, or else of its tags and its name. A JSON object; nil for nothing.
  package func properties(_ items: StacItems) -> String? {
    var known: [String: Any] = SceneNames.properties(of: path)
    if let datetime { known["datetime"] = datetime }
    if let sample = ground?.sample { known["gsd"] = (min(sample.across, sample.down) * 1000).rounded() / 1000 }
    for (key, value) in items.properties(of: path) ?? [:] { known[key] = value }
    guard !known.isEmpty, JSONSerialization.isValidJSONObject(known) else { return nil }
    return (try? JSONSerialization.data(withJSONObject: known, options: [.sortedKeys, .withoutEscapingSlashes])).map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
