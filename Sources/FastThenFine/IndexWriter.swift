import Foundation
import Imaging
import Index
import Kernels

/// Writes an index. Holding one keeps every other writer away, in other processes too; searches go on beside it.
///
///     var writer = try IndexWriter(path: "archive.ftfindex", engine: engine)
///     let summary = try writer.add(["/imagery"])
///
/// What a method reports as stored survives a crash at any later instant.
public struct IndexWriter: ~Copyable {
  private let engine: Engine
  private var catalog: CatalogWriter

  /// Images that are encoded side by side before the next look at a cancellation.
  private static let batch = 64
  /// Images, or seconds, after which what came is made part of the index.
  private static let segmentItems = 4096
  private static let segmentSeconds = 5.0

  /// Opens an index, or makes one where there is none.
  ///
  /// - Throws: `otherModel` where another model built it, `locked` where another writer holds it, `unusableIndex`, `unusableFile`.
  public init(path: String, engine: Engine) throws(FastThenFineError) {
    self.engine = engine
    catalog = try Self.open(path, engine)
  }

  private static func open(_ path: String, _ engine: Engine) throws(FastThenFineError) -> CatalogWriter {
    do {
      let writer = try CatalogWriter(path: path, creating: engine.identity)
      try writer.catalog.check(engine.identity, earlier: engine.earlierFingerprint)
      try writer.remember(engine.identity)
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
    /// Files that could not be read, now and before; they are tried again once they change.
    public var failed = 0
    public var knownBad = 0
    /// Images whose files are gone from the folders that were given.
    public var removed = 0
    /// Whether it stopped before its end; what is counted is stored, and the next call goes on.
    public var isCancelled = false

    public init() {}
  }

  /// What `add` tells while it works, from any thread.
  public enum Event: Sendable {
    /// How many files will be encoded.
    case begins(Int)
    case encoded(Int)
    /// One line that names a file and why it is left out.
    case skipped(String)
  }

  /// Indexes image files, and folders with all images below them: new and changed files are encoded, unchanged ones left alone. A file
  /// that cannot be read is told of and costs no other its result. Images whose files are gone from a given folder leave the index.
  ///
  /// - Throws: `unusableFile` where a path is not there or a folder holds no images.
  public mutating func add(
    _ paths: [String], cancellation: Cancellation = Cancellation(), progress: (Event) -> Void = { _ in }
  ) throws(FastThenFineError) -> Summary {
    do {
      let files = try ImageFiles.below(paths)
      var summary = Summary()
      summary.removed = try removeMissing(below: paths, keeping: Set(files))
      try add(files, &summary, cancellation, progress)
      return summary
    } catch {
      throw FastThenFineError(error)
    }
  }

  private mutating func removeMissing(below paths: [String], keeping files: Set<String>) throws -> Int {
    let folders = paths.map { URL(fileURLWithPath: $0).standardizedFileURL.path + "/" }
    let gone = try catalog.catalog.stamps().keys.filter { path in
      !files.contains(path) && folders.contains { path.hasPrefix($0) } && !FileManager.default.fileExists(atPath: path)
    }
    if !gone.isEmpty { try catalog.remove(sources: gone) }
    return gone.count
  }

  private mutating func add(
    _ files: [String], _ summary: inout Summary, _ cancellation: Cancellation, _ progress: (Event) -> Void
  ) throws {
    let known = try catalog.catalog.stamps()
    var todo: [(path: String, stamp: FileStamp)] = []
    for path in files {
      let stamp = ImageFiles.stamp(of: path)
      if let old = known[path], old.stamp == stamp {
        if old.isBad { summary.knownBad += 1 } else { summary.unchanged += 1 }
      } else {
        todo.append((path, stamp))
      }
    }
    guard !todo.isEmpty else { return }
    progress(.begins(todo.count))
    var (stored, counts) = (ContinuousClock.now, (indexed: 0, failed: 0))
    for start in stride(from: 0, to: todo.count, by: Self.batch) {
      let part = todo[start..<min(start + Self.batch, todo.count)]
      for ((path, stamp), result) in zip(part, packed(part.map(\.path), progress)) {
        switch result {
        case .success(let vectors):
          try catalog.add(path: path, stamp: stamp, entries: [NewEntry(vectors: vectors)])
          counts.indexed += 1
        case .failure(let error):
          progress(.skipped("\(error)"))
          catalog.add(path: path, stamp: stamp, failure: "\(error)")
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

  /// Encoded and quantised, one file a thread.
  private func packed(_ paths: [String], _ progress: (Event) -> Void) -> [Result<PackedItem, ImagingError>] {
    let engine = engine
    return engine.pool.run { threads in
      let (kernels, single) = (engine.kernels.with(threads: threads), engine.kernels.singleThreaded)
      return kernels.parallelMap(paths.count) { i in
        defer { progress(.encoded(1)) }
        return Result { () throws(ImagingError) in
          engine.packed(engine.encode(try RGBImage(path: paths[i]), with: single))
        }
      }
    }
  }

  /// Stores sentences, each once, which an image can then be answered with.
  ///
  /// - Returns: how many were new.
  public mutating func add(
    captions: [String], cancellation: Cancellation = Cancellation(), progress: (Event) -> Void = { _ in }
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
      return added
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Stores what is known of images beside their pixels, for filters and answers, in place of what was; all of it, or nothing.
  ///
  /// - Parameter attributes: a JSON object for each file name, or as much of the end of its path as tells it from others.
  /// - Returns: the place of each in `attributes` that names no image or several, and how many it names.
  public mutating func set(
    attributes: [(name: String, json: String)]
  ) throws(FastThenFineError) -> [(place: Int, images: Int)] {
    do {
      var paths: [String: [String]] = [:]
      for path in try catalog.catalog.stamps().keys {
        paths[URL(fileURLWithPath: path).lastPathComponent, default: []].append(path)
      }
      var found: [(path: String, json: String)] = []
      var unused: [(place: Int, images: Int)] = []
      for (place, (name, json)) in attributes.enumerated() {
        let candidates = paths[URL(fileURLWithPath: name).lastPathComponent] ?? []
        let matching = candidates.filter { $0 == name || $0.hasSuffix("/" + name) }
        if matching.count == 1 { found.append((matching[0], json)) } else { unused.append((place, matching.count)) }
      }
      try catalog.set(attributes: found)
      return unused
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Takes images out, or folders with all that is below them; the files stay.
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
  }

  /// Keeps what is whole of lost or damaged parts of the index, and encodes again what can be.
  public mutating func repair(progress: (Event) -> Void = { _ in }) throws(FastThenFineError) -> Repair {
    do {
      let found = try catalog.repair { _ in }
      var repair = Repair(problems: found.problems, kept: found.kept)
      var summary = Summary()
      try add(found.sources, &summary, Cancellation(), progress)
      repair.encoded = summary.indexed + (try add(captions: found.captions, progress: progress))
      let stamps = try catalog.catalog.stamps()
      repair.lost = found.sources.filter { stamps[$0]?.isBad ?? true }
      return repair
    } catch {
      throw FastThenFineError(error)
    }
  }

  /// Forgets all images but those whose files are given.
  package mutating func keep(only files: [String]) throws {
    try catalog.remove(sources: Set(catalog.catalog.stamps().keys).subtracting(files).sorted())
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

  fileprivate static func remove(_ paths: [String], _ writer: borrowing CatalogWriter) throws -> Int {
    let stored = try writer.catalog.stamps().keys
    let gone = paths.flatMap { path in
      let whole = URL(fileURLWithPath: path).standardizedFileURL.path
      return stored.filter { $0 == whole || $0.hasPrefix(whole + "/") }
    }
    if !gone.isEmpty { try writer.remove(sources: Array(Set(gone))) }
    return gone.count
  }

  /// Writes an index anew without what was removed, in few large segments; whoever searches sees it before or after.
  ///
  /// - Returns: how many segments there were and are.
  public static func compact(
    _ index: String, progress: (Int) -> Void = { _ in }
  ) throws(FastThenFineError) -> (before: Int, after: Int) {
    try FastThenFineError.wrapping { try CatalogWriter(path: index).compact(progress: progress) }
  }
}
