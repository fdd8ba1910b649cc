import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFIndex
import FTFJSON
import FTFKernels
import FTFScenes

/// Writes an index. Holding one keeps every other writer away, in other processes too; searches go on beside it.
///
///     var writer = try IndexWriter(path: "archive.ftfindex", engine: engine)
///     let summary = try writer.add(["/imagery"])
///
/// What a method reports as stored survives a crash at any later instant.
public struct IndexWriter: ~Copyable {
  let engine: Engine
  var catalog: CatalogWriter
  let views: Views
  let patches: StoredPatches

  /// Images that are encoded side by side before the next look at a cancellation.
  private static let batch = 64
  /// Images, or seconds, after which what came is made part of the index.
  static let segmentItems = 4096
  static let segmentSeconds = 5.0

  /// Opens an index, or makes one where there is none.
  ///
  /// - Parameters:
  ///   - path: the folder of the index.
  ///   - engine: encodes; its model has to be the one that built the index.
  ///   - views: of each picture, whose vectors are averaged; nil for those that the index has, or one.
  ///   - patches: what is kept of them; nil for what the index has, or all.
  /// - Throws: `otherModel` where another model built it, `badInput` where it has other views or patches, `locked` where another writer holds it,
  ///   `damagedIndex`, `unusableFile`.
  public init(path: String, engine: Engine, views: Views? = nil, patches: StoredPatches? = nil) throws(FastThenFineError) {
    self.engine = engine
    let writer = try Self.open(path, engine, views, patches)
    do { self.views = try writer.catalog.views } catch { throw FastThenFineError(error) }
    self.patches = StoredPatches(writer.catalog.model.patches)
    catalog = writer
  }

  private static func open(
    _ path: String, _ engine: Engine, _ views: Views?, _ patches: StoredPatches?
  ) throws(FastThenFineError) -> CatalogWriter {
    do {
      var identity = engine.identity
      identity.views = (views ?? .one).rawValue
      identity.patches = (patches ?? .int8).kept
      let writer = try CatalogWriter(path: path, creating: identity)
      guard writer.catalog.model.fingerprint != ModelIdentity.unknownFingerprint else {
        throw FastThenFineError(
          .badInput, at: path, "holds vectors that were made elsewhere, by what nobody said; pictures need an index of their own")
      }
      try writer.catalog.check(identity)
      let kept = StoredPatches(writer.catalog.model.patches)
      guard patches == nil || patches == kept else {
        throw FastThenFineError(.badInput, at: path, "was made with patches '\(kept.rawValue)'; go on so, or make another index")
      }
      let stored = try writer.catalog.views
      guard views == nil || views == stored else {
        throw FastThenFineError(
          .badInput, at: path,
          "its pictures were encoded in \(stored.rawValue) view\(stored == .one ? "" : "s"), which are not mixed with others; "
            + "go on with those, or make another index")
      }
      return writer
    } catch {
      throw FastThenFineError(error)
    }
  }

  public var index: ImageIndex { ImageIndex(catalog.catalog) }

  /// What `add` did.
  public struct Summary: Sendable, Equatable {
    /// Files that were encoded and stored, new ones and changed ones.
    public var indexed = 0
    public var unchanged = 0
    /// Files that could not be read now. Where their content is the reason they are tried again once they change, else the next time.
    public var failed = 0
    /// Files whose content could not be read before and did not change.
    public var knownBad = 0
    /// Files that were taken out of the index and stay away: to come back, they are named themselves, or `rereading` is `failed` or `all`.
    public var setAside = 0
    /// Windows of scenes that were encoded and stored, and windows that were left out: most of them is nothing.
    public var windows = 0
    public var emptyWindows = 0
    /// Images that are found under another path; they keep their ids and what is known of them.
    public var moved = 0
    /// Images whose files are gone from the folders that were given.
    public var removed = 0
    /// Paths and folders that could not be seen, or that hold none of the images that the index has of them; these are kept.
    public var unseen = 0
    /// Files that were left out, by their ending.
    public var leftOut: [String: Int] = [:]
    /// Whether it stopped before its end; what is counted is stored, and the next call goes on.
    public var isCancelled = false

    public init() {}
  }

  /// What `add` tells while it works, from any thread.
  public enum Event: Sendable {
    /// How many images, or windows of scenes, will be encoded.
    case begins(Int)
    case encoded(Int)
    /// A file that is left out, and why.
    case skipped(FastThenFineError)
    /// One line on what could not be seen.
    case warned(String)
  }

  /// A share of the files below some folders, the same on every machine: by the name of a file below the folder that was named, so that new files
  /// move no other.
  public struct Shard: Sendable, Equatable {
    /// From 1.
    public let number: Int
    public let count: Int

    /// - Returns: nil where `number` does not lie in 1...count.
    public init?(_ number: Int, of count: Int) {
      guard count >= 1, (1...count).contains(number) else { return nil }
      (self.number, self.count) = (number, count)
    }

    func has(_ file: FilePath, below roots: Set<FilePath>) -> Bool {
      let root = roots.filter { file.isBelow($0) }.max { $0.spelling.utf8.count < $1.spelling.utf8.count }
      let start = root.map { $0.spelling.utf8.count + ($0.spelling.utf8.last == UInt8(ascii: "/") ? 0 : 1) } ?? 0
      let name = root == nil ? Array(file.name.utf8) : Array(file.spelling.utf8.dropFirst(start))
      return Int(KernelSet.checksum(name.span.memory)) % count == number - 1
    }
  }

  /// Which files are read.
  public enum Rereading: Sendable {
    /// New and changed ones.
    case changed
    /// Those, and the ones that could not be read before.
    case failed
    case all
  }

  /// Indexes image files, and folders with all images below them: new and changed files are encoded, unchanged ones left alone. A file
  /// that cannot be read is told of and costs no other its result. An image that was moved is known by its content; one whose file is
  /// gone from a folder that was read leaves the index. Scenes (GeoTIFF, JPEG 2000, VRT, where GDAL is installed) are cut into windows;
  /// one that is interrupted goes on where its last windows were stored.
  ///
  /// - Parameters:
  ///   - paths: of files and folders.
  ///   - rereading: which files are read.
  ///   - cutting: of scenes; one that is cut otherwise already is read again.
  ///   - shard: the share of the files that is meant; nil for all.
  ///   - cancellation: ends the work; what is stored stays.
  ///   - progress: is told what happens.
  public mutating func add(
    _ paths: [String], rereading: Rereading = .changed, cutting: SceneCutting = SceneCutting(), shard: Shard? = nil,
    cancellation: Cancellation = Cancellation(), progress: @Sendable (Event) -> Void = { _ in }
  ) throws(FastThenFineError) -> Summary {
    do {
      let cutting = try cutting.checked()
      let named = Set(paths.compactMap { FilePath($0).absolute })
      // The catalog is read while folders are.
      let sources = Promise { [catalog = catalog.catalog] in try catalog.sources(in: named) }
      let (walk, known) = (FolderWalk(paths), try sources.value())
      var summary = Summary()
      summary.leftOut = walk.leftOut
      func warn(_ line: String) {
        summary.unseen += 1
        progress(.warned(line))
      }
      for problem in walk.problems { warn(problem) }
      let files = shard.map { shard in walk.files.filter { shard.has($0.path, below: named) } } ?? walk.files
      let look = try look(at: files, known, named: named, rereading, cutting)
      // Where all that is known was met nothing is gone.
      let seen = look.known == known.count ? nil : Set(walk.files.map(\.path))
      var gone = seen.map { seen in known.keys.filter { !seen.contains($0) && walk.isGone($0) } } ?? []
      for root in walk.empty {
        let below = known.keys.count { $0.isBelow(root) }
        warn(
          below == 0
            ? "\(root): holds no image"
            : "\(root): holds none of the \(below) images that the index has of it; if it is no mount that is away, remove them by name")
        gone.removeAll { $0.isBelow(root) }
      }
      if walk.scenesLeftOut > 0, let absence = GDAL.absence { warn("\(walk.scenesLeftOut) scenes are left out: \(absence)") }
      if !walk.leftOut.isEmpty { progress(.warned("left out by what they are: \(walk.counts)")) }
      (summary.setAside, summary.knownBad, summary.unchanged) = (look.setAside, look.knownBad, look.unchanged)
      if !look.unstamped.isEmpty { try catalog.set(stamps: look.unstamped) }
      var todo = look.todo
      // It may have come from anywhere.
      if rereading != .all, !todo.isEmpty { try move(&todo, from: &gone, catalog.catalog.sources(), &summary) }
      if !gone.isEmpty { try catalog.remove(sources: gone) }
      summary.removed = gone.count { known[$0]?.isSetAside == false }
      let fresh = Set(todo.map(\.path))
      let scenes = known.filter { $0.value.scene != nil && !fresh.contains($0.key) }
      if !scenes.isEmpty {
        let seen = Set(walk.files.map(\.path))
        try readItems(of: scenes.filter { seen.contains($0.key) }, progress)
      }
      try add(todo, known, cutting, &summary, cancellation, progress)
      if summary.indexed + summary.windows + summary.moved + summary.removed > 0 { catalog.save() }
      return summary
    } catch {
      throw FastThenFineError(error)
    }
  }

  typealias Stamped = FolderWalk.Stamped

  /// What files are to what is known of them.
  private struct Look: Sendable {
    /// To be read; unchanged, but without a time that nobody can set.
    var (todo, unstamped): ([Stamped], [Stamped]) = ([], [])
    /// Known in whatever way.
    var known = 0
    var (setAside, knownBad, unchanged) = (0, 0, 0)
  }

  private func look(
    at files: [Stamped], _ known: [FilePath: Catalog.Source], named: Set<FilePath>, _ rereading: Rereading, _ cutting: Cutting
  ) throws -> Look {
    var (all, rest) = (Look(), files[...])
    try Conveyor.run { () -> ArraySlice<Stamped>? in
      defer { rest = rest.dropFirst(8192) }
      return rest.isEmpty ? nil : rest.prefix(8192)
    } made: { some in
      var look = Look()
      for file in some { Self.look(at: file, known[file.path], isNamed: named.contains(file.path), rereading, cutting, &look) }
      return look
    } take: { some in
      all.todo += some.todo
      all.unstamped += some.unstamped
      all.known += some.known
      all.setAside += some.setAside
      all.knownBad += some.knownBad
      all.unchanged += some.unchanged
    }
    return all
  }

  private static func look(
    at file: Stamped, _ old: Catalog.Source?, isNamed: Bool, _ rereading: Rereading, _ cutting: Cutting, _ look: inout Look
  ) {
    guard let old else { return look.todo.append(file) }
    look.known += 1
    if old.isSetAside, rereading == .changed, !isNamed {
      look.setAside += 1
    } else if !old.stamp.agrees(with: file.stamp) || rereading == .all || rereading == .failed && old.failure != nil || old.done != nil
      || old.isSetAside || isCutOtherwise(old, file.path, cutting)
    {
      look.todo.append(file)
    } else {
      if old.failure != nil { look.knownBad += 1 } else { look.unchanged += 1 }
      if old.stamp.changed == nil { look.unstamped.append(file) }
    }
  }

  /// Gives what left its path the one at which its bytes are found again, and takes both off the lists. A file of which nothing but
  /// the time changed has only to be stamped.
  private mutating func move(
    _ todo: inout [Stamped], from gone: inout [FilePath], _ known: [FilePath: Catalog.Source], _ summary: inout Summary
  ) throws {
    // What is no longer at its path: gone from a folder that was read, or from its own, or another file has taken its place.
    let left = Set(gone + todo.map(\.path))
    let sizes = Set(todo.map(\.stamp.size))
    let renamed = Self.renamed(known.keys, todo.map(\.path))
    var candidates: [Int64: [FilePath]] = [:]
    for (path, source) in known
    where source.content != nil && !source.isSetAside && source.failure == nil && source.done == nil && sizes.contains(source.stamp.size) {
      if left.contains(path) || Self.isMissing(path) || renamed.contains(path) { candidates[source.stamp.size, default: []].append(path) }
    }
    guard !candidates.isEmpty else { return }
    candidates = candidates.mapValues { $0.sorted() }
    var moves: [(from: FilePath, to: FilePath, stamp: FileStamp)] = []
    todo.removeAll { file in
      // One that is as it was is asked for again.
      guard known[file.path]?.stamp.agrees(with: file.stamp) != true, let olds = candidates[file.stamp.size],
        let content = ImageFiles.content(of: file.path)
      else {
        return false
      }
      let same = olds.indices.filter { known[olds[$0]]?.content == content }
      guard let i = same.first(where: { olds[$0] == file.path }) ?? same.first else { return false }
      moves.append((olds[i], file.path, file.stamp))
      candidates[file.stamp.size]!.remove(at: i)
      return true
    }
    guard !moves.isEmpty else { return }
    try catalog.move(sources: moves)
    let moved = Set(moves.map(\.from))
    gone.removeAll(where: moved.contains)
    summary.moved = moves.count { $0.from != $0.to }
    summary.unchanged += moves.count - summary.moved
  }

  /// Of the files whose folder is not there those with new files below the nearest folder that is: it may have been renamed. Below a mount
  /// that is away there is nothing new.
  private static func renamed(_ known: some Collection<FilePath>, _ todo: [FilePath]) -> Set<FilePath> {
    func isThere(_ path: FilePath) -> Bool { unsafe path.withCString { unsafe access($0, F_OK) } == 0 }
    var isRenamed: [FilePath: Bool] = [:]
    func check(_ folder: FilePath) -> Bool {
      if let known = isRenamed[folder] { return known }
      var place = folder.folder
      while let above = place, !isThere(above) { place = above.folder }
      let result = !isThere(folder) && place.map { place in todo.contains { $0.isBelow(place) } } ?? false
      isRenamed[folder] = result
      return result
    }
    return Set(known.filter { path in path.folder.map(check) ?? false })
  }

  /// Whether a file is not in its folder, which is there.
  private static func isMissing(_ path: FilePath) -> Bool {
    guard let folder = path.folder else { return false }
    func isThere(_ path: FilePath) -> Bool { unsafe path.withCString { unsafe access($0, F_OK) } == 0 }
    return !isThere(path) && isThere(folder)
  }

  private mutating func add(
    _ todo: [Stamped], _ known: [FilePath: Catalog.Source], _ cutting: Cutting, _ summary: inout Summary,
    _ cancellation: Cancellation, _ progress: @Sendable (Event) -> Void
  ) throws {
    let scenes = todo.filter { Self.isScene($0.path, cutting) }
    let scenePaths = Set(scenes.map(\.path))
    try add(pictures: todo.filter { !scenePaths.contains($0.path) }, &summary, cancellation, progress)
    guard !scenes.isEmpty, !summary.isCancelled else { return }
    let tasks = scenes.map { SceneTask(path: $0.path, stamp: $0.stamp, known: known[$0.path]) }
    try add(scenes: tasks, cutting, &summary, cancellation, progress)
  }

  private mutating func add(
    pictures todo: [Stamped], _ summary: inout Summary, _ cancellation: Cancellation, _ progress: @Sendable (Event) -> Void
  ) throws {
    guard !todo.isEmpty else { return }
    progress(.begins(todo.count))
    var (stored, counts) = (ContinuousClock.now, (indexed: 0, failed: 0))
    for start in stride(from: 0, to: todo.count, by: Self.batch) {
      let part = todo[start..<min(start + Self.batch, todo.count)]
      for ((path, stamp), result) in zip(part, packed(part.map(\.path), progress)) {
        switch result {
        case .success(let (entries, content)):
          try catalog.add(path: path, stamp: stamp, content: content, entries: entries)
          counts.indexed += 1
        case .failure(let error):
          progress(.skipped(FastThenFineError(error)))
          // What passes is not remembered, and does not cost the index what it has of the file.
          if error.isOfContent { catalog.add(path: path, stamp: stamp, failure: "\(error)") }
          counts.failed += 1
        }
      }
      summary.isCancelled = cancellation.isDue && start + Self.batch < todo.count
      let isLast = start + Self.batch >= todo.count || summary.isCancelled
      if isLast || catalog.pending >= Self.segmentItems
        || (ContinuousClock.now - stored) / .seconds(1) > Self.segmentSeconds
      {
        try catalog.commit()
        summary.indexed += counts.indexed
        summary.failed += counts.failed
        (counts, stored) = ((0, 0), ContinuousClock.now)
      }
      if summary.isCancelled { return }
    }
  }

  /// All of each picture, and the windows along a long one: encoded and quantised.
  private func packed(
    _ paths: [FilePath], _ progress: @Sendable (Event) -> Void
  ) -> [Result<(entries: [NewEntry], content: Int64), ImagingError>] {
    let (engine, views, patches) = (engine, views, patches)
    return engine.pool.run { threads in
      engine.encodeEach(paths.count, views, with: engine.kernels.with(threads: threads), progress: { progress(.encoded($0)) }) {
        i throws(ImagingError) in
        let bytes = try RGBImage.bytes(paths[i].spelling)
        let image = try RGBImage(data: bytes, path: paths[i].description, reducedTo: engine.inputSide)
        let size = RGBImage.size(bytes).map { ($0.width, $0.height) } ?? (image.width, image.height)
        let windows = WholePicture.windows(size.0, size.1)
        return ([engine.whole(image)] + windows.map { engine.part($0, of: image, size) }, (windows: windows, content: ImageFiles.content(bytes)))
      } made: { known, vectors in
        let entries = zip([nil] + known.windows, vectors).map { NewEntry(window: $0, vectors: engine.packed($1, patches)) }
        return (entries, known.content)
      }
    }
  }

  /// Stores sentences, each once, which an image can then be answered with.
  ///
  /// - Returns: how many were new.
  public mutating func add(
    captions: [String], cancellation: Cancellation = Cancellation(), progress: @Sendable (Event) -> Void = { _ in }
  ) throws(FastThenFineError) -> Int {
    do {
      var seen = try catalog.catalog.captions()
      let new = captions.filter { seen.insert($0).inserted }
      guard !new.isEmpty else { return 0 }
      progress(.begins(new.count))
      var added = 0
      for start in stride(from: 0, to: new.count, by: Self.segmentItems) where !cancellation.isDue {
        let part = Array(new[start..<min(start + Self.segmentItems, new.count)])
        for (text, vectors) in zip(part, engine.encode(texts: part, progress: { progress(.encoded($0)) })) {
          try catalog.add(caption: text, vectors: engine.packed(vectors))
        }
        try catalog.commit()
        added += part.count
      }
      catalog.save()
      return added
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Stores what is known of images beside their pixels, for filters and answers, in place of what was; all of it, or nothing.
  ///
  /// - Parameter attributes: a JSON object for each file name, or as much of the end of its path as tells it from others.
  /// - Returns: the place of each in `attributes` that names no image or several, and how many it names.
  /// - Throws: `badInput` where what is said of an image is no JSON object, and nothing is stored; `damagedIndex`, `unusableFile`.
  public mutating func set(
    attributes: [(name: String, json: String)]
  ) throws(FastThenFineError) -> [(place: Int, images: Int)] {
    try FastThenFineError.wrapping { try IndexUpkeep.set(attributes: attributes, catalog) }
  }

  /// Stores what is known of images beside their pixels, in place of what was; all of it, or nothing.
  ///
  /// - Parameter values: of each file name, or of as much of the end of its path as tells it from others.
  /// - Returns: the place of each in `values` that names no image or several, and how many it names.
  /// - Throws: `badInput` for a number that is not finite, and nothing is stored; `damagedIndex`, `unusableFile`.
  public mutating func set(
    values: [(name: String, attributes: [String: AttributeValue])]
  ) throws(FastThenFineError) -> [(place: Int, images: Int)] {
    var attributes: [(name: String, json: String)] = []
    for (name, values) in values { attributes.append((name, try values.json())) }
    return try set(attributes: attributes)
  }

  /// Takes images out, or folders with all that is below them; the files stay, and `add` leaves them alone.
  ///
  /// - Returns: how many images went.
  public mutating func remove(_ paths: [String]) throws(FastThenFineError) -> Int {
    try FastThenFineError.wrapping { try IndexUpkeep.remove(paths, catalog) }
  }

  /// What a repair did.
  public struct Repair: Sendable, Equatable {
    /// One line on each part of the index that was lost or damaged.
    public var problems: [String] = []
    /// Items of such parts that were whole and are kept.
    public var kept = 0
    /// Images and captions that were encoded again.
    public var encoded = 0
    /// Images whose vectors are lost and whose files cannot be read any more.
    public var lost: [String] = []
    /// One line on each thing that only the catalog knew and that is lost.
    public var forgotten: [String] = []
  }

  /// Keeps what is whole of lost or damaged parts of the index, and encodes again what can be.
  public mutating func repair(progress: @Sendable (Event) -> Void = { _ in }) throws(FastThenFineError) -> Repair {
    do {
      let found = try catalog.repair { _ in }
      var repair = Repair(problems: found.problems, kept: found.kept, forgotten: found.forgotten)
      var summary = Summary()
      try add(found.sources.map { ($0, ImageFiles.stamp(of: $0)) }, [:], Cutting(), &summary, Cancellation(), progress)
      repair.encoded = summary.indexed + (try add(captions: found.captions, progress: progress))
      if !found.captions.isEmpty { try catalog.forgetLostCaptions() }
      let (sources, empty) = (try catalog.catalog.sources(), Set(try catalog.catalog.emptySources()))
      repair.lost = found.sources.filter { empty.contains($0) || sources[$0]?.failure != nil }.map(\.description)
      catalog.save()
      return repair
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Forgets all images but those whose files are given.
  package mutating func keep(only files: [String]) throws {
    try catalog.remove(sources: Set(catalog.catalog.sources().keys).subtracting(files.map { FilePath($0) }).sorted())
  }
}

/// What needs a writer but no model.
public enum IndexUpkeep {
  /// Takes images out, or folders with all that is below them; the files stay.
  ///
  /// - Returns: how many images went.
  public static func remove(_ paths: [String], from index: String) throws(FastThenFineError) -> Int {
    try FastThenFineError.wrapping { try remove(paths, CatalogWriter(path: index)) }
  }

  /// Indexes files and folders as ``IndexWriter/add(_:rereading:cutting:shard:cancellation:progress:)`` does, while the task waits, on none of Swift's
  /// cooperative threads. A task that is cancelled ends the work: what is stored stays, and the summary says so.
  ///
  /// - Parameters:
  ///   - paths: of files and folders.
  ///   - index: the folder of one, which is made where there is none.
  ///   - engine: encodes; its model has to be the one that built the index.
  ///   - views: of each picture, whose vectors are averaged; nil for those that the index has, or one.
  ///   - patches: what is kept of them; nil for what the index has, or all.
  ///   - rereading: which files are read.
  ///   - cutting: of scenes.
  ///   - progress: is told what happens, from any thread.
  /// - Throws: as `IndexWriter` and its `add`.
  public static func add(
    _ paths: [String], to index: String, engine: Engine, views: Views? = nil, patches: StoredPatches? = nil,
    rereading: IndexWriter.Rereading = .changed,
    cutting: SceneCutting = SceneCutting(), progress: @escaping @Sendable (IndexWriter.Event) -> Void = { _ in }
  ) async throws(FastThenFineError) -> IndexWriter.Summary {
    let cancellation = Cancellation()
    do {
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          OwnThread.run {
            continuation.resume(
              with: Result {
                try add(
                  paths, to: index, views: views, patches: patches, rereading: rereading, cutting: cutting, cancellation: cancellation,
                  progress: progress
                ) { engine }
              })
          }
        }
      } onCancel: {
        cancellation.cancel()
      }
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Indexes in this thread. Paths that hold no images make no index.
  ///
  /// - Parameter engine: is asked for once there is something to encode.
  package static func add(
    _ paths: [String], to index: String, views: Views?, patches: StoredPatches?, rereading: IndexWriter.Rereading, cutting: SceneCutting,
    shard: IndexWriter.Shard? = nil, cancellation: Cancellation, progress: @Sendable (IndexWriter.Event) -> Void, engine: () throws -> Engine
  ) throws(FastThenFineError) -> IndexWriter.Summary {
    try FastThenFineError.wrapping {
      if try ImageIndex.existing(path: index) == nil { try ImageFiles.require(paths) }
      var writer = try IndexWriter(path: index, engine: engine(), views: views, patches: patches)
      return try writer.add(
        paths, rereading: rereading, cutting: cutting, shard: shard, cancellation: cancellation, progress: progress)
    }
  }

  /// Stores what is known of images, as ``IndexWriter/set(attributes:)`` does, also of vectors that were made elsewhere.
  ///
  /// - Parameters:
  ///   - attributes: a JSON object for each file name, or as much of the end of its path as tells it from others.
  ///   - index: the folder of one.
  /// - Returns: the place of each in `attributes` that names no image or several, and how many it names.
  /// - Throws: `badInput` where what is said of an image is no JSON object, and nothing is stored; `notAnIndex`, `locked`, `damagedIndex`.
  public static func set(
    attributes: [(name: String, json: String)], in index: String
  ) throws(FastThenFineError) -> [(place: Int, images: Int)] {
    try FastThenFineError.wrapping { try set(attributes: attributes, CatalogWriter(path: index)) }
  }

  fileprivate static func set(
    attributes: [(name: String, json: String)], _ writer: borrowing CatalogWriter
  ) throws -> [(place: Int, images: Int)] {
    let paths = NamedPaths(try writer.catalog.paths())
    var (rest, found, unused) = (attributes[...], [(path: FilePath, json: String)](), [(place: Int, images: Int)]())
    try Conveyor.run { () throws -> ArraySlice<(name: String, json: String)>? in
      defer { rest = rest.dropFirst(4096) }
      return rest.isEmpty ? nil : rest.prefix(4096)
    } made: { some throws -> [(place: Int, meant: [FilePath], json: String)] in
      try some.indices.map { place in
        let (name, json) = some[place]
        guard JSONValue(json)?.members != nil else {
          throw FastThenFineError(.badInput, "what is said of \(FilePath(name).description) is no JSON object: \(json.prefix(80))")
        }
        return (place, paths.ending(in: FilePath(name)), json)
      }
    } take: { some in
      for (place, meant, json) in some {
        if meant.count == 1 { found.append((meant[0], json)) } else { unused.append((place, meant.count)) }
      }
    }
    try writer.set(attributes: found)
    writer.save()
    return unused
  }

  fileprivate static func remove(_ paths: [String], _ writer: borrowing CatalogWriter) throws -> Int {
    let stored = try writer.catalog.paths()
    let gone = Set(
      paths.flatMap { path in
        let whole = FilePath(path).absolute ?? FilePath(path)
        // Vectors that were made elsewhere are called as somebody called them.
        return stored.filter { $0 == whole || $0.isBelow(whole) || $0 == FilePath(path) }
      })
    if !gone.isEmpty {
      let there = gone.filter { path in unsafe path.withCString { unsafe access($0, F_OK) } == 0 }
      try writer.remove(
        sources: gone.sorted(), settingAside: Dictionary(uniqueKeysWithValues: there.map { ($0, ImageFiles.stamp(of: $0)) }))
      writer.save()
    }
    return gone.count
  }

  /// What a merge did.
  public struct Merge: Sendable, Equatable {
    /// Files that were taken over, and images of them: pictures, and windows of scenes.
    public var files = 0
    public var images = 0
    /// Sentences that were taken over.
    public var captions = 0
    /// Files that were there already, as new or newer.
    public var known = 0
    /// Whether it stopped before its end; what is counted is stored, and the next call goes on.
    public var isCancelled = false
  }

  /// Joins indexes that one model built, without encoding anything: files that `index` does not have are taken over with their vectors, places and
  /// attributes, of two with the same path the one that was changed later. Every item is checked before it is taken. Interrupted, the same call
  /// goes on; twice is once.
  ///
  /// - Parameters:
  ///   - parts: indexes, which stay as they are.
  ///   - index: where they are joined; made where there is none.
  ///   - cancellation: ends the work; what is stored stays.
  ///   - progress: is told how many files more have been looked at.
  /// - Throws: `otherModel`, `damagedIndex` for a part that is damaged, `notAnIndex`, `locked`, `unusableFile`.
  public static func merge(
    _ parts: [String], into index: String, cancellation: Cancellation = Cancellation(), progress: @Sendable (Int) -> Void = { _ in }
  ) throws(FastThenFineError) -> Merge {
    try FastThenFineError.wrapping {
      let catalogs = try parts.map { try Catalog(path: $0).snapshot() }
      guard let first = catalogs.first else { return Merge() }
      var merge = Merge()
      guard !parts.contains(where: { FilePath($0).absolute == FilePath(index).absolute }) else {
        throw FastThenFineError(.badInput, at: index, "is not merged into itself")
      }
      var writer = try CatalogWriter(path: index, creating: first.model)
      for part in catalogs where !cancellation.isDue {
        let done = try writer.merge(part, isCancelled: { cancellation.isDue }, progress: progress)
        merge.files += done.sources
        merge.images += done.items
        merge.captions += done.captions
        merge.known += done.known
      }
      merge.isCancelled = cancellation.isDue
      return merge
    }
  }

  /// Puts the copy that was saved of a catalog in its place, where it is gone or cannot be read: before a repair.
  ///
  /// - Returns: one line on what was wrong; nil where nothing was.
  public static func restore(_ index: String) throws(FastThenFineError) -> String? {
    try FastThenFineError.wrapping { try Catalog.restore(index) }
  }

  /// Writes an index anew without what was removed, in few large segments, one at a time; whoever searches sees it before or after each.
  ///
  /// - Returns: how many segments there were and are.
  public static func compact(
    _ index: String, progress: @Sendable (Int) -> Void = { _ in }
  ) throws(FastThenFineError) -> (before: Int, after: Int) {
    try FastThenFineError.wrapping { try CatalogWriter(path: index).compact(progress: progress) }
  }
}

/// Paths by the names of their files.
private struct NamedPaths: Sendable {
  private let paths: [FilePath]
  /// The first path of a name, and of each path the next that has its name: most names are met once, and an array for each would be half of the memory.
  private var first: [FilePath: Int32]
  private var next: [Int32]

  init(_ paths: [FilePath]) {
    self.paths = paths
    first = Dictionary(minimumCapacity: paths.count)
    next = []
    next.reserveCapacity(paths.count)
    for (i, path) in paths.enumerated() { next.append(first.updateValue(Int32(i), forKey: FilePath(path.name)) ?? -1) }
  }

  /// Those that are a path, or end in it.
  func ending(in path: FilePath) -> [FilePath] {
    let end = Array("/\(path.spelling)".utf8)
    var (found, i) = ([FilePath](), first[FilePath(path.name)] ?? -1)
    while i >= 0 {
      let own = paths[Int(i)]
      if own == path || own.spelling.utf8.suffix(end.count).elementsEqual(end) { found.append(own) }
      i = next[Int(i)]
    }
    return found
  }
}
