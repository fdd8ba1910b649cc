import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFIndex
import FTFJSON
import FTFKernels
import FTFScenes

/// How scenes are cut into the windows that are indexed; what is nil is as it suits the scene.
///
/// A window covers the ground that the model was trained on, and at least the pixels that the model takes; a picture that has no place
/// on the ground is seen whole, unless it is far larger than a picture.
public struct SceneCutting: Sendable, Equatable {
  /// Metres that a window covers.
  public var ground: Double?
  /// Pixels that a window covers, in place of `ground`.
  public var window: Int?
  /// The share of a window that the next one covers too, 0 to 0.9; 0.25 where it is nil.
  public var overlap: Double?
  /// The bands of red, green and blue, or one of grey, from 1.
  public var bands: [Int]?

  public init(ground: Double? = nil, window: Int? = nil, overlap: Double? = nil, bands: [Int]? = nil) {
    (self.ground, self.window, self.overlap, self.bands) = (ground, window, overlap, bands)
  }

  func checked() throws(FastThenFineError) -> Cutting {
    guard ground.map({ $0 > 0 && $0.isFinite }) ?? true, window.map({ $0 >= 8 }) ?? true, overlap.map({ (0...0.9).contains($0) }) ?? true,
      bands.map({ ($0.count == 1 || $0.count == 3) && $0.allSatisfy { $0 > 0 } }) ?? true, ground == nil || window == nil
    else {
      throw FastThenFineError(
        .badInput, "a window covers more than 0 metres or at least 8 pixels, one of the two; the overlap lies in 0...0.9; bands are one or three")
    }
    return Cutting(ground: ground, window: window, overlap: overlap, bands: bands)
  }
}

/// What an index remembers of a scene: how it was cut, and what was found out for it once.
struct StoredScene: Codable {
  var cutting: Cutting
  var width: Int
  var height: Int
  /// Of a window, in pixels.
  var window: [Int]
  var windows: Int
  /// Windows that are mostly nothing.
  var empty = 0
  var stretch: Stretch?
  /// Such as EPSG:32632; nil where the scene does not say where it lies.
  var reference: String?
  /// Whether all of its windows are one picture: it has no place on the ground and is no larger than a picture.
  var picture: Bool?
  /// GDAL's six numbers, from pixels to the reference system; nil where it has none.
  var transform: [Double]?
  /// By what its bands are known, where it does not say it itself.
  var basis: String?

  init?(_ json: String?) {
    guard let json, let found = try? JSONDecoder().decode(StoredScene.self, from: Data(json.utf8)) else { return nil }
    self = found
  }

  init(_ scene: Scene, _ reader: SceneReader, _ cutting: Cutting) {
    (self.cutting, width, height) = (cutting, scene.width, scene.height)
    (window, windows, stretch) = ([reader.grid.width, reader.grid.height], reader.grid.count, reader.stretch)
    (reference, basis, picture) = (scene.ground?.reference, scene.basis, reader.grid.isPicture ? true : nil)
    transform = scene.ground?.transform.map { Array($0) }
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}

/// A scene that is to be read, and where an earlier reading stopped.
struct SceneTask {
  var path: FilePath
  var stamp: FileStamp
  var known: Catalog.Source?
}

/// What came of reading scenes, as far as it is stored.
struct SceneCounts {
  var windows = 0
  var empty = 0
}

extension Engine {
  /// The windows of a scene.
  func grid(_ scene: Scene, _ cutting: Cutting) throws(ImagingError) -> WindowGrid {
    let config = model.config
    let grid = WindowGrid(
      scene, cutting, ground: config.preprocessing.ground ?? WindowGrid.defaultGround, side: config.preprocessing.cropTo)
    guard grid.count <= WindowGrid.mostWindows else {
      throw .tooManyWindows(path: scene.path.description, count: grid.count, most: WindowGrid.mostWindows)
    }
    return grid
  }
}

extension IndexWriter {
  /// Whether a file is read as a scene: by what it is, or since windows are asked for.
  static func isScene(_ path: FilePath, _ cutting: Cutting) -> Bool {
    Scene.isOne(at: path) || GDAL.absence == nil && (cutting.window != nil || cutting.ground != nil)
  }

  /// Whether something is asked for that a source was not cut by.
  static func isCutOtherwise(_ source: Catalog.Source, _ path: FilePath, _ cutting: Cutting) -> Bool {
    guard cutting != Cutting(), isScene(path, cutting) else { return false }
    // What could not be read may have lacked just what is asked for now.
    return source.failure != nil || StoredScene(source.scene)?.cutting != cutting
  }

  /// Cuts scenes into windows and stores these, one scene after the other, each window row by all threads.
  mutating func add(
    scenes tasks: [SceneTask], _ cutting: Cutting, _ summary: inout Summary, _ cancellation: Cancellation, _ progress: @Sendable (Event) -> Void
  ) throws {
    let items = StacItems()
    var said: Set<String> = []
    progress(.begins(tasks.reduce(0) { $0 + windows(of: $1, cutting) }))
    for task in tasks {
      if cancellation.isDue {
        summary.isCancelled = true
        return
      }
      var hasBegun = false
      do {
        try add(task, cutting, items, &hasBegun, &said, &summary, cancellation, progress)
        if summary.isCancelled { return }
        summary.indexed += 1
      } catch let error as ImagingError {
        progress(.skipped(FastThenFineError(error)))
        // What is asked for may be the reason: then it costs the index nothing that it has, and is tried again.
        if error.isOfContent, hasBegun || cutting == Cutting() {
          let stamp = cutting == Cutting() ? task.stamp : FileStamp(size: -1, modified: 0)
          catalog.add(path: task.path, stamp: stamp, failure: "\(error)")
        }
        try catalog.commit()
        summary.failed += 1
      }
    }
  }

  /// Takes over what STAC items say of scenes that did not change: an item may come, or be corrected, after its scene.
  mutating func readItems(of scenes: [FilePath: Catalog.Source], _ progress: @Sendable (Event) -> Void) throws {
    let items = StacItems()
    var changed: [(path: FilePath, json: String)] = []
    for (path, source) in scenes {
      guard let said = items.properties(of: path), JSONSerialization.isValidJSONObject(said) else { continue }
      let stored = source.properties.flatMap { JSONValue($0)?.any } as? [String: Any] ?? [:]
      let merged = stored.merging(said) { $1 }
      let json = try JSONSerialization.data(withJSONObject: merged, options: [.sortedKeys, .withoutEscapingSlashes])
      let text = String(decoding: json, as: UTF8.self)
      if text != source.properties { changed.append((path, text)) }
    }
    for failure in items.takeFailures() { progress(.warned("\(failure); its items are not read")) }
    if !changed.isEmpty { try catalog.set(properties: changed) }
  }

  /// How many windows there are to read, as far as that can be told before it is tried.
  private func windows(of task: SceneTask, _ cutting: Cutting) -> Int {
    let cutting = self.cutting(of: task, cutting)
    guard let scene = try? Scene(task.path, bands: cutting.bands), let grid = try? engine.grid(scene, cutting) else { return 1 }
    return grid.count - (resumption(of: task, cutting)?.done ?? 0)
  }

  /// How a scene is cut: as it is asked for now, or else as it was begun.
  private func cutting(of task: SceneTask, _ asked: Cutting) -> Cutting {
    guard asked == Cutting(), let stored = StoredScene(task.known?.scene) else { return asked }
    return stored.cutting
  }

  /// What an earlier reading of the same file, cut the same way, left to be done.
  private func resumption(of task: SceneTask, _ cutting: Cutting) -> (scene: StoredScene, done: Int)? {
    guard let known = task.known, known.stamp.agrees(with: task.stamp), let done = known.done, let stored = StoredScene(known.scene),
      stored.cutting == cutting
    else { return nil }
    return (stored, done)
  }

  private mutating func add(
    _ task: SceneTask, _ asked: Cutting, _ items: StacItems, _ hasBegun: inout Bool, _ said: inout Set<String>, _ summary: inout Summary,
    _ cancellation: Cancellation, _ progress: @Sendable (Event) -> Void
  ) throws {
    let cutting = cutting(of: task, asked)
    let scene = try Scene(task.path, bands: cutting.bands)
    let grid = try engine.grid(scene, cutting)
    // Once for all that are alike.
    if let basis = scene.basis, said.insert(basis).inserted {
      progress(.warned("\(task.path): red, green and blue \(basis); look at it with a preview, or say the bands"))
    }
    let begun = resumption(of: task, cutting)
    let (engine, side) = (engine, engine.model.config.preprocessing.cropTo)
    let reader = try engine.pool.run { threads throws(ImagingError) in
      try SceneReader(scene, grid: grid, side: side, stretch: begun?.scene.stretch, with: engine.kernels.with(threads: threads))
    }
    let stored = StoredScene(scene, reader, cutting)
    let (json, properties, content) = (stored.json, scene.properties(items), ImageFiles.sceneContent(of: task.path))
    for failure in items.takeFailures() { progress(.warned("\(failure); its items are not read")) }
    var (done, clock, fresh) = (begun?.done ?? 0, ContinuousClock.now, SceneCounts())
    var continues = begun != nil
    reader.skip(done)
    while done < grid.count {
      guard let row = try next(of: reader, progress) else { break }
      var entries: [NewEntry] = []
      for (window, vectors) in zip(row.windows, row.vectors) {
        guard let vectors else {
          fresh.empty += 1
          continue
        }
        fresh.windows += 1
        entries.append(
          NewEntry(window: grid.isWhole ? nil : window, footprint: scene.ground?.footprint(window), vectors: vectors))
      }
      hasBegun = true
      done += row.windows.count
      let isLast = done >= grid.count
      try catalog.add(
        path: task.path, stamp: task.stamp, content: content, windows: entries,
        of: SceneState(json: json, properties: properties, continues: continues, done: isLast ? nil : done))
      continues = true
      summary.isCancelled = cancellation.isDue && !isLast
      if isLast || summary.isCancelled || catalog.pending >= Self.segmentItems
        || (ContinuousClock.now - clock) / .seconds(1) > Self.segmentSeconds
      {
        try catalog.commit()
        summary.windows += fresh.windows
        summary.emptyWindows += fresh.empty
        (fresh, clock) = (SceneCounts(), ContinuousClock.now)
      }
      if summary.isCancelled { return }
    }
  }

  /// The next windows, encoded and quantised; nil for one that is mostly nothing.
  private func next(
    of reader: SceneReader, _ progress: @Sendable (Event) -> Void
  ) throws(ImagingError) -> (windows: [Window], vectors: [PackedItem?])? {
    let (engine, views, patches) = (engine, views, patches)
    return try engine.pool.run { threads throws(ImagingError) in
      let kernels = engine.kernels.with(threads: threads)
      guard let row = try reader.next(with: kernels) else { return nil }
      let vectors = engine.encodeEach(row.windows.count, views, with: kernels, progress: { progress(.encoded($0)) }) { i throws(Never) in
        (row.image(i).map { [engine.whole($0)] } ?? [], ())
      } made: { _, vectors in
        vectors.first.map { engine.packed($0, patches) }
      }
      return (row.windows, vectors.map { $0.get() })
    }
  }
}
