import ArgumentParser
import FastThenFine
import Foundation

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
    if json { return try printJSON(["segments_before": before, "segments": after, "freed_bytes": freed]) }
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
    let engine = try machine.engine(modelPath(of: ImageIndex(path: index), given: model))
    var writer = try IndexWriter(path: index, engine: engine)
    let progress = IndexProgress("images")
    let repair = try writer.repair(progress: progress.take)
    progress.finish()
    for problem in repair.problems { report("ftf: \(problem)") }
    for path in repair.lost { report("ftf: \(path): is lost: its file cannot be read") }
    if json {
      try printJSON([
        "problems": repair.problems, "kept": repair.kept, "encoded": repair.encoded, "lost": repair.lost,
      ])
    } else {
      print(
        "\(index): \(repair.problems.count) problems, \(repair.kept) items kept, \(repair.encoded) encoded again, "
          + "\(repair.lost.count) lost")
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
      try printJSON(["items": count, "problems": problems])
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
      Example: ftf index export archive.ftfindex out
      Writes out/items.jsonl (or .csv, .geojson) and out/vectors.npy, f32 [n, d], whose rows are in the order of the list. \
      GeoJSON takes the points from the attributes lon and lat.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "The folder to write.")
  var output: String

  @Option(help: "Of the list: jsonl, csv or geojson.")
  var format: ListFormat = .jsonl

  @Option(help: "What is exported: images or captions.")
  var over: SearchTarget = .images

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let archive = try ImageIndex(path: index)
    let entries = try archive.entries(over)
    guard !entries.isEmpty else { throw Failure("\(index): holds no \(over.rawValue)") }
    do {
      try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    } catch {
      throw Failure("\(output): cannot be made: \(error.localizedDescription)")
    }
    let vectors = try archive.coarseVectors(over)
    let ids = vectors.ids
    let place = Dictionary(uniqueKeysWithValues: entries.map { ($0.id, $0) })
    let ordered = ids.compactMap { place[$0] }
    guard ordered.count == ids.count else { throw Failure("\(index): its catalog lacks items; see 'ftf index verify'") }
    try NPY.write(vectors.values, shape: [ids.count, archive.dimension], to: "\(output)/vectors.npy")
    let list = "\(output)/items.\(format.rawValue)"
    try writeOutput(Data(format.text(ordered, name: over == .images ? "path" : "caption").utf8), to: list)
    if json { return try printJSON(["items": ids.count, "list": list, "vectors": "\(output)/vectors.npy"]) }
    print("\(output): \(ids.count) \(over.rawValue)")
  }
}

/// How a list of items is written.
enum ListFormat: String, ExpressibleByArgument, CaseIterable {
  case jsonl, csv, geojson

  func text(_ entries: [IndexEntry], name: String) throws -> String {
    let objects = entries.map { entry -> (entry: IndexEntry, attributes: [String: Any]) in
      let object = entry.attributes.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) }
      return (entry, object as? [String: Any] ?? [:])
    }
    func json(_ object: [String: Any]) throws -> String {
      let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self)
    }
    // Captions may hold any character.
    func shown(_ entry: IndexEntry) -> String { name == "path" ? entry.shownPath : entry.name }
    func pathBytes(_ entry: IndexEntry) -> [UInt8]? { name == "path" ? entry.pathBytes : nil }
    func record(_ entry: IndexEntry) -> [String: Any] {
      var record: [String: Any] = ["id": entry.id, name: shown(entry)]
      if let bytes = pathBytes(entry) { record["path_bytes"] = Data(bytes).base64EncodedString() }
      record["bytes"] = entry.size
      return record
    }
    switch self {
    case .jsonl:
      return try objects.map { entry, attributes in
        try json(record(entry).merging(["attributes": attributes]) { $1 }) + "\n"
      }.joined()
    case .geojson:
      let features = objects.map { entry, attributes -> [String: Any] in
        var geometry: Any = NSNull()
        if let lon = attributes["lon"] as? Double, let lat = attributes["lat"] as? Double {
          geometry = ["type": "Point", "coordinates": [lon, lat]]
        }
        return [
          "type": "Feature", "geometry": geometry, "properties": attributes.merging(record(entry)) { $1 },
        ]
      }
      return try json(["type": "FeatureCollection", "features": features]) + "\n"
    case .csv:
      let keys = Set(objects.flatMap(\.attributes.keys)).sorted()
      let rows = objects.map { entry, attributes -> String in
        let fields = ["\(entry.id)", shown(entry), entry.size.map { "\($0)" } ?? ""]
        return (fields + keys.map { attributes[$0].map { "\($0)" } ?? "" }).map(Self.quoted).joined(separator: ",")
      }
      let header = (["id", name, "bytes"] + keys).map(Self.quoted).joined(separator: ",")
      return ([header] + rows).joined(separator: "\r\n") + "\r\n"
    }
  }

  /// RFC 4180.
  private static func quoted(_ field: String) -> String {
    guard field.utf8.contains(where: { [0x22, 0x2c, 0x0d, 0x0a].contains($0) }) else { return field }
    return "\"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}
