import FTFFiles
import Foundation
import FTFGeography
import FTFIndex
import FTFKernels
import FTFScenes
import FTFTestSupport
import Testing

@testable import FastThenFine

/// Scenes in an index: cut, stored, found as places, and gone on with where they were interrupted.
@Suite(.enabled(if: GDAL.absence == nil, "GDAL is not installed")) struct SceneIndexing {
  let folder: TemporaryFolder
  let engine: Engine
  private let index: String
  private let scenes: String

  init() throws {
    folder = try TemporaryFolder()
    engine = try tinyEngine(in: folder)
    (index, scenes) = ("\(folder.path)/index", "\(folder.path)/scenes")
    try FileManager.default.createDirectory(atPath: scenes, withIntermediateDirectories: true)
  }

  /// Values from a seed, in a reference system where a pixel is half a metre.
  @discardableResult
  private func scene(_ name: String, _ width: Int, _ height: Int, seed: UInt64 = 1, east: Double = 500_000, tag: String = "") throws -> String {
    var random = SeededGenerator(seed: seed)
    // Of noise every window is another.
    var values = (0..<3 * width * height).map { _ in UInt8.random(in: 1...255, using: &random) }
    for i in values.indices where i % width < width / 4 && seed == 9 { values[i] = 0 }
    let path = "\(scenes)/\(name)"
    try GeoTIFF.write(
      .u8(values), width: width, height: height, bands: 3, to: path, options: "TILED=YES BLOCKXSIZE=64 BLOCKYSIZE=64",
      transform: [east, 0.5, 0, 5_500_000, 0, -0.5], epsg: 32632)
    return path
  }

  private func add(_ cutting: SceneCutting = SceneCutting(window: 32), _ cancellation: Cancellation = Cancellation()) throws -> IndexWriter.Summary {
    var writer = try IndexWriter(path: index, engine: engine)
    let summary = try writer.add([scenes], cutting: cutting, cancellation: cancellation)
    #expect(try writer.index.problems().isEmpty)
    return summary
  }

  private func entries() throws -> [Catalog.Entry] { try ImageIndex(path: index).catalog.entries(.image) }

  @Test func aSceneIsWindowsWithPlaces() throws {
    try scene("a.tif", 100, 80)
    let summary = try add()
    // Every 24 pixels, and the edges.
    #expect(summary.indexed == 1 && summary.windows == 4 * 3 && summary.emptyWindows == 0)
    let entries = try entries()
    #expect(Set(entries.compactMap(\.window)).count == 12 && entries.allSatisfy { $0.footprint != nil })
    #expect(entries.compactMap(\.window).map { $0.x + $0.width }.max() == 100 && entries.compactMap(\.window).map { $0.y + $0.height }.max() == 80)
    #expect(try add().unchanged == 1)
    #expect(try add(SceneCutting()).unchanged == 1, "what is not asked for stays as it is")
    #expect(try add(SceneCutting(window: 40)).windows == 3 * 3)
    #expect(try self.entries().allSatisfy { $0.window?.width == 40 })
  }

  @Test func whatWasInterruptedGoesOnAtItsWindows() throws {
    try scene("a.tif", 400, 300)
    let whole = try add()
    let (before, vectors) = (try entries(), try ImageIndex(path: index).catalog.coarseVectors(.image))
    try FileManager.default.removeItem(atPath: index)
    // Cancelled after each row of windows, as often as it takes.
    var (calls, windows) = (0, 0)
    while true {
      let cancellation = Cancellation()
      var writer = try IndexWriter(path: index, engine: engine)
      let summary = try writer.add([scenes], cutting: calls == 0 ? SceneCutting(window: 32) : SceneCutting(), cancellation: cancellation) {
        if case .encoded = $0 { cancellation.cancel() }
      }
      calls += 1
      windows += summary.windows
      #expect(try writer.index.problems().isEmpty)
      if !summary.isCancelled { break }
      #expect(try writer.index.count() == windows && windows > 0)
      try #require(calls < 100)
    }
    #expect(calls > 3 && windows == whole.windows)
    let after = try entries()
    #expect(after.map(\.window) == before.map(\.window) && after.map(\.footprint) == before.map(\.footprint))
    #expect(try ImageIndex(path: index).catalog.coarseVectors(.image).values == vectors.values)
    #expect(try add(SceneCutting()).unchanged == 1)
  }

  @Test func aSceneThatChangedOrMovedOrWentIsKnown() throws {
    let path = try scene("a.tif", 100, 80)
    _ = try add()
    let before = try entries()
    try FileManager.default.createDirectory(atPath: "\(scenes)/sub", withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: path, toPath: "\(scenes)/sub/b.tif")
    let moved = try add(SceneCutting())
    #expect(moved.moved == 1 && moved.windows == 0)
    #expect(try entries().map(\.id) == before.map(\.id) && entries()[0].name.hasSuffix("sub/b.tif"))
    try scene("sub/b.tif", 90, 80, seed: 2)
    #expect(try add(SceneCutting()).windows == 4 * 3)
    #expect(try Set(entries().map(\.id)).isDisjoint(with: before.map(\.id)))
    try FileManager.default.removeItem(atPath: "\(scenes)/sub/b.tif")
    _ = try scene("c.tif", 60, 60)
    let gone = try add()
    #expect(gone.removed == 1 && gone.indexed == 1)
    // Nothing of it is left among the places.
    let catalog = try ImageIndex(path: index).catalog
    #expect(try catalog.ids(in: .box(BoundingBox(west: -180, south: -90, east: 180, north: 90))).count == catalog.count(.image))
  }

  @Test func windowsOfNothingAreLeftOut() throws {
    try scene("a.tif", 128, 64, seed: 9)
    // A scene says by its mask where it is nothing.
    try Data("<PAMDataset>\((1...3).map { "<PAMRasterBand band=\"\($0)\"><NoDataValue>0</NoDataValue></PAMRasterBand>" }.joined())</PAMDataset>".utf8)
      .write(to: URL(fileURLWithPath: "\(scenes)/a.tif.aux.xml"))
    let summary = try add(SceneCutting(window: 32, overlap: 0))
    #expect(summary.windows == 6 && summary.emptyWindows == 2)
    #expect(try entries().allSatisfy { $0.window!.x >= 32 })
    #expect(try add(SceneCutting()).unchanged == 1)
  }

  @Test func aBadSceneCostsNoOtherItsResult() throws {
    let path = try scene("a.tif", 300, 200)
    try scene("b.tif", 100, 80, seed: 2)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
    let summary = try add()
    #expect(summary.failed == 1 && summary.indexed == 1)
    #expect(try entries().allSatisfy { $0.name.hasSuffix("b.tif") })
    // With windows asked for it is tried again; as it comes it is known to be bad.
    #expect(try add().failed == 1)
    #expect(try add(SceneCutting()).failed == 1 && add(SceneCutting()).knownBad == 1)
    try bytes.write(to: URL(fileURLWithPath: path))
    #expect(try add().indexed == 1)
  }

  @Test func whatIsAskedForInVainCostsNothingAndHelpsTheNextTime() throws {
    let path = "\(scenes)/four.tif"
    let values = (0..<4 * 40 * 40).map { UInt8($0 % 251) }
    try GeoTIFF.write(.u8(values), width: 40, height: 40, bands: 4, to: path, options: "PHOTOMETRIC=MINISBLACK ALPHA=NO")
    try scene("a.tif", 100, 80)
    // It does not say which bands are colours; saying it is enough.
    #expect(try add(SceneCutting()).failed == 1 && add(SceneCutting()).knownBad == 1)
    let count = try entries().count
    #expect(try add(SceneCutting(bands: [3, 2, 1])).indexed == 2)
    #expect(try entries().count == count + 1 && add(SceneCutting()).unchanged == 2)
    // A band that there is not takes nothing away, and is forgotten.
    #expect(try add(SceneCutting(bands: [9])).failed == 2)
    #expect(try entries().count == count + 1 && add(SceneCutting()).unchanged == 2)
  }

  @Test func answersArePlaces() throws {
    try scene("a.tif", 200, 160)
    try scene("far.tif", 64, 64, seed: 5, east: 520_000)
    _ = try add()
    let index = try ImageIndex(path: index)
    let searcher = try Searcher(index, engine: engine)
    let all = try searcher.answer(Query(.sentence("a river"), top: 1000, allWindows: true)).results
    let merged = try searcher.answer(Query(.sentence("a river"), top: 1000)).results
    #expect(all.count == searcher.count && merged.count < all.count && merged[0].id == all[0].id)
    // No two that are shown overlap, and whatever is left out overlaps a better one.
    for (i, a) in merged.enumerated() {
      for b in merged[..<i] where b.name == a.name { #expect(a.pixels!.overlap(b.pixels!) < 0.2) }
    }
    for result in all where !merged.contains(where: { $0.id == result.id }) {
      #expect(merged.contains { $0.name == result.name && $0.score >= result.score && $0.pixels!.overlap(result.pixels!) >= 0.2 })
    }
    #expect(try searcher.answer(Query(.sentence("a river"), top: 3)).results.map(\.id) == merged.prefix(3).map(\.id))
    // The scene in the east, by its place.
    let east = try #require(all.first { $0.name.hasSuffix("far.tif") }?.centre)
    let near = try Searcher(index, engine: engine, area: .near(lon: east.lon, lat: east.lat, kilometres: 1))
    #expect(near.count == all.count { $0.name.hasSuffix("far.tif") } && near.count > 0)
    let box = try Searcher(
      index, engine: engine, area: .box(west: east.lon - 0.01, south: east.lat - 0.01, east: east.lon + 0.01, north: east.lat + 0.01))
    #expect(box.count == near.count)
    let filter = "intersects(\(east.lon - 0.01), \(east.lat - 0.01), \(east.lon + 0.01), \(east.lat + 0.01))"
    #expect(try Searcher(index, engine: engine, filter: filter).count == near.count)
    #expect(try Searcher(index, engine: engine, filter: "not \(filter)").count == all.count - near.count)
    #expect(try Searcher(index, engine: engine, filter: filter + " and gsd < 0.1").count == 0)
    #expect(throws: FastThenFineError.self) { try Searcher(index, engine: engine, area: .near(lon: 200, lat: 0, kilometres: 1)) }
    // Where the sentence was found, as a picture and on the ground.
    let answer = try searcher.answer(Query(.sentence("a river"), top: 2))
    try HeatMap.write(answer, "a river", to: "\(folder.path)/why", with: engine)
    let heat = try Scene(FilePath("\(folder.path)/why/1.tif"))
    let centre = try #require(heat.ground?.footprint(Window(x: 0, y: 0, width: heat.width, height: heat.height))?.centre)
    let expected = try #require(answer.results[0].centre)
    #expect(Place(lon: expected.lon, lat: expected.lat).distance(to: centre) < 0.05)
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/why/1.png"))
  }

  @Test func whatIsSaidOfASceneIsAnAttribute() throws {
    try scene("a.tif", 64, 64)
    try scene("T32UNU_20230501T102031_TCI.tif", 64, 64, seed: 2)
    let item = #"""
      {"type":"Feature","stac_version":"1.0.0","id":"one","collection":"c","properties":{"datetime":"2024-06-01T10:00:00Z","eo:cloud_cover":12.5},
       "assets":{"visual":{"href":"./a.tif"}}}
      """#
    try Data(item.utf8).write(to: URL(fileURLWithPath: "\(scenes)/item.json"))
    try Data("{nonsense".utf8).write(to: URL(fileURLWithPath: "\(scenes)/broken.json"))
    _ = try add()
    let index = try ImageIndex(path: index)
    func names(_ filter: String) throws -> Set<String> {
      let answer = try Searcher(index, engine: engine, filter: filter).answer(Query(.sentence("a"), top: 99))
      return Set(answer.results.map { FilePath($0.name).name })
    }
    #expect(try names("datetime >= '2024-01-01' and eo:cloud_cover < 20") == ["a.tif"])
    #expect(try names("platform = 'sentinel-2' and datetime like '2023-05-01T10:20:31Z'") == ["T32UNU_20230501T102031_TCI.tif"])
    #expect(try names("id = 'one' and collection = 'c' and gsd between 0.49 and 0.51") == ["a.tif"])
    // What the owner says counts, and leaves the rest.
    var writer = try IndexWriter(path: self.index, engine: engine)
    _ = try writer.set(attributes: [("a.tif", #"{"eo:cloud_cover": 80, "place": "here"}"#)])
    #expect(try names("eo:cloud_cover = 80 and place = 'here' and id = 'one'") == ["a.tif"])
    let result = try Searcher(index, engine: engine, filter: "id = 'one'").answer(Query(.sentence("a"))).results[0]
    #expect(result.datetime == "2024-06-01T10:00:00Z")
  }

  @Test func whatChangedIsPairedByItsGround() throws {
    // Two of the same ground, of which a part is another; and one elsewhere.
    try scene("s_20230601.tif", 160, 160, seed: 1)
    try scene("s_20240601.tif", 160, 160, seed: 2)
    try scene("far_20240601.tif", 160, 160, seed: 3, east: 600_000)
    for (name, time) in [("s_20230601", "2023-06-01T10:00:00Z"), ("s_20240601", "2024-06-01T10:00:00Z"), ("far_20240601", "2024-06-01T10:00:00Z")] {
      let item = #"{"type":"Feature","stac_version":"1.0.0","id":"x","properties":{"datetime":"\#(time)"},"assets":{}}"#
      try Data(item.utf8).write(to: URL(fileURLWithPath: "\(scenes)/\(name).json"))
    }
    _ = try add()
    let searcher = try Searcher(ImageIndex(path: index), engine: engine)
    let changes = try searcher.changes("a new building", between: "2023-07-01", and: "2024-05-01", top: 100)
    #expect(changes.count > 3 && changes.map(\.rank) == Array(1...changes.count))
    for change in changes {
      #expect(change.before.name.hasSuffix("s_20230601.tif") && change.after.name.hasSuffix("s_20240601.tif"))
      #expect(change.before.window == change.after.window)
      #expect(change.difference == change.after.recallScore - change.before.recallScore)
    }
    #expect(zip(changes, changes.dropFirst()).allSatisfy { $0.difference >= $1.difference })
    // Both are nearer to the first of these, which leaves nothing for the second.
    #expect(try searcher.changes("a", between: "2024-07-01", and: "2030-01-01").isEmpty)
    for (a, b) in [("2024-01-01", "2023-01-01"), ("x", "2024-01-01"), ("2024-01-01", "2024-01-01")] {
      #expect(throws: FastThenFineError.self) { try searcher.changes("a", between: a, and: b) }
    }
  }

  @Test func picturesInOtherFormatsAreSeenWhole() throws {
    var random = SeededGenerator(seed: 3)
    let values = (0..<3 * 300 * 200).map { _ in UInt8.random(in: 0...255, using: &random) }
    for (name, driver) in [("a.tif", "GTiff"), ("b.tif", "COG")] {
      try GeoTIFF.write(.u8(values), width: 300, height: 200, bands: 3, to: "\(scenes)/\(name)", driver: driver)
    }
    #expect(try add(SceneCutting()).indexed == 2)
    let entries = try entries()
    #expect(entries.count == 2 && entries.allSatisfy { $0.window == nil && $0.footprint == nil })
    // And as a question.
    let found = try Searcher(ImageIndex(path: index), engine: engine).answer(Query(.image("\(scenes)/a.tif"), top: 1)).results[0]
    #expect(found.recallScore > 0.99)
  }
}
