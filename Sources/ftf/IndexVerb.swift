import ArgumentParser
import Encoders
import FastThenFine
import Foundation
import Imaging
import Index

struct IndexVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Make an index of images, or extend it.",
    subcommands: [IndexAdd.self, IndexRemove.self, IndexCompact.self, IndexVerify.self, IndexExport.self],
    defaultSubcommand: IndexAdd.self)
}

struct IndexAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Index images: new and changed files are encoded, unchanged ones skipped.",
    discussion: """
      Example: ftf index archive.ftfindex ~/imagery
      Bad files are reported and skipped, and tried again only once they change. Stop it with Ctrl-C and start it again \
      when you like. Files that are gone from a folder that is indexed again leave the index.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "Images, and folders to search for images.")
  var paths: [String]

  @Option(help: "The model file; by default the one that built the index, or the default model.")
  var model: String?

  @Option(help: "JSON lines with captions; their sentences can be searched by image.")
  var captions: String?

  @Option(
    help:
      "JSON lines of filename and whatever is known of an image beside its pixels, for 'ftf search --filter' and its results."
  )
  var attributes: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func run() throws {
    let files = try imagePaths(paths)
    let (engine, catalog) = try open()
    let lock = try catalog.lock()
    defer { withExtendedLifetime(lock) {} }
    try catalog.removeLeftovers()
    Interrupt.watch()
    var summary = Indexing(engine: engine, catalog: catalog)
    try summary.removeMissing(below: paths, keeping: Set(files))
    try summary.add(files)
    if let captions, !Interrupt.isPressed { try summary.add(captions: CaptionsFile(path: captions)) }
    if let attributes, !Interrupt.isPressed { try summary.add(attributes: AttributesFile(path: attributes)) }
    if json {
      try printJSON([
        "indexed": summary.indexed, "unchanged": summary.unchanged, "failed": summary.failed,
        "known_bad": summary.knownBad, "removed": summary.removed, "captions": summary.captions,
        "attributes": summary.attributes,
        "images": try catalog.count(.image), "interrupted": Interrupt.isPressed,
      ])
    } else {
      print(
        "\(index): \(try catalog.count(.image)) images; \(summary.indexed) new or changed, \(summary.unchanged) unchanged, "
          + "\(summary.failed + summary.knownBad) bad, \(summary.removed) gone, \(summary.captions) captions added")
    }
    if Interrupt.isPressed {
      report("ftf: stopped; run the same command again to go on")
      throw ExitCode(130)
    }
    if summary.failed > 0 { throw ExitCode(1) }
  }

  private func open() throws -> (Engine, Catalog) {
    let exists = FileManager.default.fileExists(atPath: "\(index)/catalog.sqlite")
    let stored = exists ? try Catalog(path: index).model.path : nil
    let engine = try machine.engine(try model ?? stored ?? defaultModel())
    let catalog = try Catalog(path: index, creating: engine.identity)
    try catalog.check(engine.identity)
    return (engine, catalog)
  }
}

struct IndexRemove: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take images out of an index; the files stay.",
    discussion: "Example: ftf index remove archive.ftfindex ~/imagery/old.jpg")

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "Images, or folders with all that is below them.")
  var paths: [String]

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let catalog = try Catalog(path: index)
    let lock = try catalog.lock()
    defer { withExtendedLifetime(lock) {} }
    let stored = try catalog.stamps().keys
    let gone = paths.flatMap { path in
      let whole = URL(fileURLWithPath: path).standardizedFileURL.path
      return stored.filter { $0 == whole || $0.hasPrefix(whole + "/") }
    }
    guard !gone.isEmpty else { throw Failure("\(index): holds none of these images") }
    try catalog.remove(images: gone)
    if json { return try printJSON(["removed": gone.count, "images": try catalog.count(.image)]) }
    print("\(index): \(gone.count) images removed, \(try catalog.count(.image)) left")
  }
}

/// One run of indexing and its counts.
struct Indexing {
  let engine: Engine
  let catalog: Catalog
  var indexed = 0
  var unchanged = 0
  var failed = 0
  var knownBad = 0
  var removed = 0
  var captions = 0
  var attributes = 0

  /// Images that are encoded before the next look at Ctrl-C.
  private static let batch = 64
  /// Images, or seconds, after which a segment is written.
  private static let segmentItems = 4096
  private static let segmentSeconds = 5.0

  init(engine: Engine, catalog: Catalog) { (self.engine, self.catalog) = (engine, catalog) }

  mutating func removeMissing(below paths: [String], keeping files: Set<String>) throws {
    let folders = paths.map { URL(fileURLWithPath: $0).standardizedFileURL.path + "/" }
    let gone = try catalog.stamps().keys.filter { path in
      !files.contains(path) && folders.contains { path.hasPrefix($0) } && !FileManager.default.fileExists(atPath: path)
    }
    if !gone.isEmpty { try catalog.remove(images: gone) }
    removed = gone.count
  }

  mutating func add(_ files: [String]) throws {
    let known = try catalog.stamps()
    var todo: [(path: String, stamp: FileStamp)] = []
    for path in files {
      let stamp = Self.stamp(path)
      if let old = known[path], old.stamp == stamp {
        if old.isBad { knownBad += 1 } else { unchanged += 1 }
      } else {
        todo.append((path, stamp))
      }
    }
    guard !todo.isEmpty else { return }
    let progress = Progress("images", total: todo.count)
    defer { progress.finish() }
    var items: [NewItem] = []
    var failures: [(path: String, stamp: FileStamp, reason: String)] = []
    var stored = ContinuousClock.now
    for start in stride(from: 0, to: todo.count, by: Self.batch) {
      let part = todo[start..<min(start + Self.batch, todo.count)]
      let results = engine.encode(imagePaths: part.map(\.path), progress: progress.add)
      for ((path, stamp), result) in zip(part, results) {
        switch result {
        case .success(let image):
          items.append(NewItem(name: path, stamp: stamp, vectors: engine.packed(image)))
        case .failure(let error):
          progress.report("ftf: \(error); skipped")
          failures.append((path, stamp, "\(error)"))
        }
      }
      let isLast = start + Self.batch >= todo.count || Interrupt.isPressed
      if isLast || items.count >= Self.segmentItems
        || (ContinuousClock.now - stored) / .seconds(1) > Self.segmentSeconds
      {
        try catalog.append(items, kind: .image, failures: failures)
        indexed += items.count
        failed += failures.count
        (items, failures, stored) = ([], [], ContinuousClock.now)
      }
      if Interrupt.isPressed { return }
    }
  }

  /// Stores each sentence once.
  mutating func add(captions file: CaptionsFile) throws {
    for problem in file.problems { report("ftf: \(problem); skipped") }
    failed += file.problems.count
    var seen = try catalog.captions()
    let new = file.lines.flatMap(\.captions).filter { seen.insert($0).inserted }
    guard !new.isEmpty else { return }
    let progress = Progress("captions", total: new.count)
    defer { progress.finish() }
    for start in stride(from: 0, to: new.count, by: Self.segmentItems) where !Interrupt.isPressed {
      let part = Array(new[start..<min(start + Self.segmentItems, new.count)])
      let texts = engine.encode(texts: part, progress: progress.add)
      let items = zip(part, texts).map { NewItem(name: $0, stamp: nil, vectors: engine.packed($1)) }
      try catalog.append(items, kind: .caption)
      captions += items.count
    }
  }

  /// Gives each line to the one image whose path ends in its filename.
  mutating func add(attributes file: AttributesFile) throws {
    var problems = file.problems
    var paths: [String: [String]] = [:]
    for path in try catalog.stamps().keys {
      paths[URL(fileURLWithPath: path).lastPathComponent, default: []].append(path)
    }
    var found: [(path: String, json: String)] = []
    for line in file.lines {
      let candidates = paths[URL(fileURLWithPath: line.filename).lastPathComponent] ?? []
      let matching = candidates.filter { $0 == line.filename || $0.hasSuffix("/" + line.filename) }
      if matching.count == 1 {
        found.append((matching[0], line.json))
      } else {
        problems.append(
          "\(line.place): \(matching.count) images of the index end in '\(line.filename)'"
            + (matching.isEmpty ? "" : "; give more of the path"))
      }
    }
    for problem in problems { report("ftf: \(problem); skipped") }
    failed += problems.count
    try catalog.set(attributes: found)
    attributes = found.count
  }

  /// A file that is not there gets a stamp of its own; reading it then says why.
  private static func stamp(_ path: String) -> FileStamp {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return FileStamp(size: -1, modified: 0) }
    let time = status.st_mtim
    return FileStamp(size: Int64(status.st_size), modified: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}
