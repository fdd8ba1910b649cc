import ArgumentParser
import FastThenFine
import FTFFiles
import Foundation
import FTFInterchange
import FTFKernels

struct IndexCompact: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact", abstract: "Write an index anew without what was removed, in few large segments.",
    discussion: "Example: ftf index compact archive.ftfindex")

  @Argument(help: "The folder of the index.")
  var index: String

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let archive = try ImageIndex(path: index)
    let size = try folderSize("\(index)/segments")
    let progress = Progress("items", total: try archive.count() + archive.count(.captions))
    let (before, after) = try IndexUpkeep.compact(index, progress: progress.add)
    progress.finish()
    let freed = size - (try folderSize("\(index)/segments"))
    if json { return printJSON(["segments_before": before, "segments": after, "freed_bytes": freed]) }
    print("\(index): \(after) segments for \(before), \(freed / 1000) kB less")
  }

  private func folderSize(_ path: String) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: path).reduce(0) {
      $0 + (try FileManager.default.attributesOfItem(atPath: "\(path)/\($1)")[.size] as? Int ?? 0)
    }
  }
}

struct IndexRepair: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair",
    abstract: "Keep what is whole of an index that lost files or has damaged ones, and encode again what can be.",
    discussion: "Example: ftf index repair archive.ftfindex")

  @Argument(help: "The folder of the index.")
  var index: String

  @Option(help: "The model file; by default the one that built the index.")
  var model: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func run() throws {
    let restored = try IndexUpkeep.restore(index)
    let engine = try machine.engine(modelPath(of: ImageIndex(path: index), given: model))
    var writer = try IndexWriter(path: index, engine: engine)
    let progress = IndexProgress("images")
    var repair = try writer.repair(progress: progress.take)
    progress.finish()
    if let restored {
      repair.problems.insert(restored, at: 0)
      repair.forgotten.append("what was indexed since; index the folders again")
    }
    for problem in repair.problems { report("ftf: \(problem)") }
    for path in repair.lost { report("ftf: \(path): is lost: its file cannot be read") }
    for line in repair.forgotten { report("ftf: lost: \(line)") }
    if json {
      printJSON([
        "problems": repair.problems, "kept": repair.kept, "encoded": repair.encoded, "lost": repair.lost, "forgotten": repair.forgotten,
      ])
    } else {
      print(
        "\(index): \(repair.problems.count) problems, \(repair.kept) items kept, \(repair.encoded) encoded again, "
          + "\(repair.lost.count + repair.forgotten.count) lost")
    }
    if !repair.lost.isEmpty { throw ExitCode(1) }
  }
}

struct IndexVerify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every byte of an index and say what is wrong with it.",
    discussion: "Example: ftf index verify archive.ftfindex")

  @Argument(help: "The folder of the index.")
  var index: String

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let archive = try ImageIndex(path: index)
    let count = try archive.count() + archive.count(.captions)
    let progress = Progress("items", total: count + (try archive.segmentCounts().dead))
    let problems = try archive.problems(progress: progress.add)
    progress.finish()
    if json {
      printJSON(["items": count, "problems": problems])
    } else {
      for problem in problems { report("ftf: \(problem)") }
      print("\(index): \(count) items, \(problems.count) problems")
    }
    if !problems.isEmpty { throw ExitCode(1) }
  }
}

struct IndexExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write what an index holds for other programs: a list, and the vectors as .npy.",
    discussion: """
      Example: ftf index export archive.ftfindex out --format parquet
      Writes out/items.jsonl (or .csv, .geojson, .gpkg) and out/vectors.npy, f32 [n, d], whose rows are in the order of the list; every \
      item has its id. Parquet holds the vectors too, in the columns of stac-geoparquet, and is all that is written. Where scenes have \
      no footprint, the attributes lon and lat are taken for a point.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "The folder to write.")
  var output: String

  @Option(help: "Of the list: jsonl, csv, geojson, gpkg or parquet.")
  var format: ListFormat = .jsonl

  @Option(help: "What is exported: images or captions.")
  var over: SearchTarget = .images

  @Flag(help: "JSON on stdout.")
  var json = false

  func validate() throws {
    if over == .captions, format == .parquet || format == .gpkg { throw ValidationError("--format \(format.rawValue) is for images") }
  }

  func run() throws {
    let archive = try ImageIndex(path: index)
    guard try archive.count(over) > 0 else { throw Failure("\(index): holds no \(over.rawValue)") }
    do {
      try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    } catch {
      throw Failure("\(output): cannot be made: \(error.systemReason)")
    }
    if format == .jsonl { return try stream(archive.items(over), archive.dimension) }
    if format == .parquet { return try table(archive) }
    let (entries, vectors) = (try archive.entries(over), try archive.coarseVectors(over))
    let place = Dictionary(uniqueKeysWithValues: entries.map { ($0.id, $0) })
    let items = vectors.ids.compactMap { place[$0] }.map { Item($0, isImage: over == .images) }
    guard items.count == vectors.ids.count else { throw Failure("\(index): its catalog lacks items; see 'ftf index verify'") }
    let list = "\(output)/items.\(format.rawValue)"
    let rows = "\(output)/vectors.npy"
    try NPY.write(vectors.values, shape: [items.count, archive.dimension], to: rows)
    if let text = format.text(items, isImage: over == .images) {
      try writeOutput(Data(text.utf8), to: list)
    } else {
      let partial = try OutputFile(list)
      try GeoPackage.write(items, to: partial.partial)
      try partial.commit()
    }
    try tell(items.count, list, vectors: rows)
  }

  private func tell(_ count: Int, _ list: String, vectors: String?) throws {
    var object: [String: Any] = ["items": count, "list": list]
    object["vectors"] = vectors
    if json { return printJSON(object) }
    print("\(output): \(count) \(over.rawValue)")
  }

  private func table(_ archive: ImageIndex) throws {
    let (list, items) = ("\(output)/items.parquet", try archive.items(.images))
    let partial = try OutputFile(list)
    let file = try Self.file(partial.partial, list)
    try StacGeoParquet.write(
      items, to: file, collection: URL(fileURLWithPath: index).deletingPathExtension().lastPathComponent, model: archive.modelName,
      dimension: archive.dimension)
    try file.close()
    try partial.commit()
    try tell(items.count, list, vectors: nil)
  }

  /// Lines and rows as they come: memory holds a piece of them.
  private func stream(_ items: StoredItems, _ dimension: Int) throws {
    let (list, vectors) = ("\(output)/items.jsonl", "\(output)/vectors.npy")
    let lines = try OutputFile(list)
    let rows = try OutputFile(vectors)
    let (text, numbers) = (try Self.file(lines.partial, list), try Self.file(rows.partial, vectors))
    try numbers.write(contentsOf: NPY.header("<f4", [items.count, dimension]))
    var pages = items.pages()
    try Conveyor.run {
      try pages.next()
    } made: { [areImages = over == .images, vectors = items.vectors] entries in
      let lines = entries.map { ListFormat.jsonLine(Item($0, isImage: areImages), isImage: areImages) }
      let vectors = try vectors(entries.map(\.id))
      return unsafe (Data(lines.joined().utf8), vectors.withUnsafeBytes { unsafe Data($0) })
    } take: { lines, vectors in
      try text.write(contentsOf: lines)
      try numbers.write(contentsOf: vectors)
    }
    try text.close()
    try numbers.close()
    try lines.commit()
    try rows.commit()
    try tell(items.count, list, vectors: vectors)
  }

  private static func file(_ partial: String, _ path: String) throws -> FileHandle {
    guard FileManager.default.createFile(atPath: partial, contents: nil), let file = FileHandle(forWritingAtPath: partial) else {
      throw Failure("\(path): cannot be written")
    }
    return file
  }
}

extension ListFormat: ExpressibleByArgument {}
