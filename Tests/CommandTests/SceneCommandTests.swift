import Foundation
import FTFImaging
import FTFScenes
import FTFTestSupport
import Testing

/// Scenes through the command: what is cut, asked for by place and time, and handed on.
@Suite struct SceneCommands {
  let folder: TemporaryFolder
  let model: String
  let scenes: String
  let index: String

  init() throws {
    folder = try TemporaryFolder()
    (model, scenes, index) = ("\(folder.path)/tiny.ftf", "\(folder.path)/scenes", "\(folder.path)/index")
    try TinyModel.fp32.get().write(to: URL(fileURLWithPath: model))
    try FileManager.default.createDirectory(atPath: scenes, withIntermediateDirectories: true)
  }

  private func write(_ name: String, seed: UInt64, time: String) throws {
    var random = SeededGenerator(seed: seed)
    let values = (0..<3 * 120 * 96).map { _ in UInt16.random(in: 500...3000, using: &random) }
    try GeoTIFF.write(
      .u16(values), width: 120, height: 96, bands: 3, to: "\(scenes)/\(name).tif", transform: [500_000, 0.5, 0, 5_500_000, 0, -0.5], epsg: 32632)
    let item = #"{"type":"Feature","stac_version":"1.0.0","id":"x","properties":{"datetime":"\#(time)","eo:cloud_cover":5},"assets":{}}"#
    try Data(item.utf8).write(to: URL(fileURLWithPath: "\(scenes)/\(name).json"))
  }

  @Test(.enabled(if: GDAL.absence == nil, "GDAL is not installed")) func placesAreFoundAndHandedOn() throws {
    try write("before", seed: 1, time: "2023-06-01T00:00:00Z")
    try write("after", seed: 2, time: "2024-06-01T00:00:00Z")
    // To be looked at before anything is indexed: all of it, in its own shape.
    let shown = try ftf("index", index, scenes, "--model", model, "--ground", "20m", "--preview", "\(folder.path)/look", "--json")
    #expect(shown.code == 0 && !FileManager.default.fileExists(atPath: index), "\(shown.error)")
    let previews = shown.objects
    #expect(previews.count == 2 && previews.allSatisfy { $0["windows"] as? Int == 12 })
    for preview in previews {
      let picture = try RGBImage(path: #require(preview["picture"] as? String))
      #expect(picture.width == 120 && picture.height == 96)
    }
    let made = try ftf("index", index, scenes, "--model", model, "--ground", "20m", "--json")
    #expect(made.code == 0, "\(made.error)")
    // 40 pixels every 30: across 0, 30, 60, 80, down 0, 30, 56.
    #expect(made.objects[0]["windows"] as? Int == 24 && made.objects[0]["indexed"] as? Int == 2 && made.objects[0]["empty_windows"] as? Int == 0)
    #expect(try ftf("index", index, scenes, "--json").objects[0]["unchanged"] as? Int == 2)

    func search(_ arguments: String...) throws -> [[String: Any]] {
      let outcome = try ftf(["search", index, "--text", "a river", "--json", "--top", "99"] + arguments)
      #expect(outcome.code == 0, "\(outcome.error)")
      return outcome.objects[0]["results"] as? [[String: Any]] ?? []
    }
    let all = try search("--all-windows")
    let merged = try search()
    #expect(all.count == 24 && merged.count < 24)
    let first = try #require(all.first)
    #expect((first["window"] as? [Int])?.count == 4 && (first["geometry"] as? [String: Any])?["type"] as? String == "Polygon")
    let centre = try #require(first["centre"] as? [Double])
    #expect((first["datetime"] as? String)?.hasPrefix("202") == true && (first["attributes"] as? [String: Any])?["eo:cloud_cover"] as? Int == 5)
    let box = [centre[0] - 1e-5, centre[1] - 1e-5, centre[0] + 1e-5, centre[1] + 1e-5].map { "\($0)" }.joined(separator: ",")
    let inside = try search("--all-windows", "--bbox", box)
    #expect(!inside.isEmpty && inside.count < all.count && inside.contains { $0["id"] as? Int == first["id"] as? Int })
    #expect(try search("--all-windows", "--near", "\(centre[0]),\(centre[1]),0.001").count == inside.count)
    #expect(try search("--all-windows", "--filter", "datetime > '2024-01-01' and eo:cloud_cover < 10").count == 12)
    #expect(try search("--all-windows", "--filter", "intersects('POLYGON((8 49, 10 49, 10 50, 8 50, 8 49))')").count == 24)

    let away = try ftf("search", index, "--text", "a", "--bbox=-10,0,-9,1")
    #expect(away.code == 1 && away.error.contains("none of its images lies there"))
    for bad in [
      ["--bbox", "1,2,3"], ["--bbox", "0,1,2,-1"], ["--near", "200,0,1"], ["--bbox", "0,0,1,1", "--near", "0,0,1"], ["--between", "2023-01-01"],
    ] {
      let refused = try ftf(["search", index, "--text", "a"] + bad)
      #expect(refused.code != 0 && !refused.error.isEmpty, "\(bad)")
    }
    let changes = try ftf("search", index, "--text", "a new building", "--between", "2023-06-01", "2024-06-01", "--json")
    let pairs = changes.objects[0]["results"] as? [[String: Any]] ?? []
    #expect(changes.code == 0 && !pairs.isEmpty)
    #expect(pairs.allSatisfy { ($0["before"] as? [String: Any])?["window"] as? [Int] == ($0["after"] as? [String: Any])?["window"] as? [Int] })

    let collection = "\(folder.path)/found.geojson"
    #expect(try ftf("search", index, "--text", "a river", "--geojson", collection, "--explain", "\(folder.path)/why").code == 0)
    let features = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: collection))) as? [String: Any]
    let feature = try #require((features?["features"] as? [[String: Any]])?.first)
    #expect((feature["properties"] as? [String: Any])?["score"] is Double && feature["geometry"] is [String: Any])
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/why/1.tif") && FileManager.default.fileExists(atPath: "\(folder.path)/why/1.png"))
  }

  @Test func withoutGDALAllElseWorksAndOneLineSaysWhatToInstall() throws {
    try Data("II*\u{0}a scene".utf8).write(to: URL(fileURLWithPath: "\(scenes)/a.tif"))
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images/rgb.jpg", toPath: "\(scenes)/rgb.jpg")
    let made = try shell("FTF_GDAL= $ftf index \(index) \(scenes) --model \(model) --json")
    #expect(made.code == 1 && made.objects[0]["indexed"] as? Int == 1)
    #expect(made.error.split(separator: "\n").count { $0.contains("install libgdal") } == 1 && made.error.contains("1 scenes are left out"))
    let named = try shell("FTF_GDAL= $ftf embed \(model) --image \(scenes)/a.tif -o \(folder.path)/a.npy")
    #expect(named.code == 1 && named.error.contains("install libgdal") && named.error.contains("a.tif"))
  }
}
