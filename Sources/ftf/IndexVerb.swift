import ArgumentParser
import FastThenFine
import FTFFiles
import Foundation
import Synchronization

struct IndexVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Make an index of images, or extend it.",
    subcommands: [
      IndexAdd.self, IndexRemove.self, IndexCompact.self, IndexVerify.self, IndexRepair.self, IndexExport.self, IndexImport.self, IndexMerge.self,
      IndexRoot.self,
    ],
    defaultSubcommand: IndexAdd.self)
}

struct IndexAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Index images: new and changed files are encoded, unchanged ones skipped.",
    discussion: """
      Example: ftf index archive.ftfindex ~/imagery
      Bad files are reported and skipped. Those whose content is bad are tried again once they change, others the next time. \
      Stop it with Ctrl-C and start it again when you like. An image that was moved is known by its content and keeps its id \
      and attributes; one that is gone from a folder that was read leaves the index.

      Scenes (GeoTIFF, JPEG 2000, VRT; GDAL reads them where it is installed) are cut into windows that overlap, and found as \
      places: ftf index archive.ftfindex ~/scenes --ground 150. What a STAC item beside a scene, its tags or its name say of it \
      (datetime, platform, eo:cloud_cover, ...) can be asked for with 'ftf search --filter'. A VRT may refer to files below its own \
      folder, and to those below the folders in FTF_TRUSTED_FOLDERS.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "Images, and folders to search for images.")
  var paths: [String] = []

  @Option(help: ArgumentHelp("Images and folders too, a line each; - for stdin.", valueName: "file|-"))
  var list: String?

  @Option(
    help: ArgumentHelp(
      "A share of the files alone, by a hash of their names below the folder: 2/5 is the second of five. See 'ftf index merge'.", valueName: "i/n"),
    transform: { text in
      let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
      guard numbers.count == 2, let i = numbers[0], let n = numbers[1], let shard = IndexWriter.Shard(i, of: n) else {
        throw ValidationError("--shard takes one of so many: 2/5")
      }
      return shard
    })
  var shard: IndexWriter.Shard?

  @Option(help: "The model file; by default the one that built the index, or the default model.")
  var model: String?

  @Option(help: "JSON lines with captions; their sentences can be searched by image.")
  var captions: String?

  @Option(
    help:
      "JSON lines of filename and whatever is known of an image beside its pixels, for 'ftf search --filter' and its results."
  )
  var attributes: String?

  @OptionGroup var scenes: SceneOptions

  @Option(
    help: """
      How many of the eight symmetries of a picture are encoded, and averaged: 1, 2, 4 or 8. More find better and take as many times as long; \
      by default what the index has, and 1 for a new one.
      """)
  var views: Views?

  @Option(
    help: """
      What is kept of a picture's patches: int8; pooled, means of neighbours, which take a third of the room and show more coarsely where a sentence \
      was found; or none, a 25th: recall alone answers then, and nothing says where. By default what the index has, and int8 for a new one.
      """)
  var patches: StoredPatches?

  @Flag(help: "Try files again whose content could not be read before, or that were taken out.")
  var retry = false

  @Flag(help: "Read all files again, changed or not.")
  var force = false

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  @Option(
    help: ArgumentHelp(
      "Writes a picture of every scene as the model will see it to a folder, says how it would be cut, and indexes nothing.", valueName: "folder"))
  var preview: String?

  func validate() throws {
    if paths.isEmpty && list == nil && attributes == nil { throw ValidationError("name images or folders, or a --list of them, or --attributes") }
    if paths.isEmpty && list == nil && captions != nil { throw ValidationError("--captions needs the name of a folder or an image") }
  }

  func run() throws {
    let paths = try self.paths + (list.map(Self.lines) ?? [])
    if let preview { return try show(preview, paths) }
    if self.paths.isEmpty && list == nil, let attributes { return try set(AttributesFile(path: attributes)) }
    // What is named is opened before an hour is spent.
    let captionsFile = try self.captions.map { try CaptionsFile(path: $0) }
    let attributesFile = try self.attributes.map { try AttributesFile(path: $0) }
    var writer = try open(paths)
    Interrupt.watch()
    let progress = IndexProgress("images")
    let summary = try writer.add(
      paths, rereading: force ? .all : retry ? .failed : .changed, cutting: scenes.cutting, shard: shard,
      cancellation: Interrupt.cancellation, progress: progress.take)
    progress.finish()
    var (failed, captions, attributes) = (summary.failed, 0, 0)
    if let file = captionsFile, !Interrupt.isPressed {
      for problem in file.problems { report("ftf: \(problem); skipped") }
      failed += file.problems.count
      let progress = IndexProgress("captions")
      captions = try writer.add(
        captions: file.lines.flatMap(\.captions), cancellation: Interrupt.cancellation, progress: progress.take)
      progress.finish()
    }
    if let file = attributesFile, !Interrupt.isPressed {
      let (stored, problems) = try set(file) { attributes in try writer.set(attributes: attributes) }
      for problem in problems { report("ftf: \(problem); skipped") }
      (attributes, failed) = (stored, failed + problems.count)
    }
    let images = try writer.index.pictures()
    if json {
      printJSON([
        "indexed": summary.indexed, "unchanged": summary.unchanged, "failed": failed, "known_bad": summary.knownBad, "set_aside": summary.setAside,
        "moved": summary.moved, "removed": summary.removed, "unseen": summary.unseen, "left_out": summary.leftOut, "captions": captions,
        "attributes": attributes, "images": images,
        "windows": summary.windows, "empty_windows": summary.emptyWindows,
        "interrupted": Interrupt.isPressed,
      ])
    } else {
      print(
        "\(index): \(images) images; \(summary.indexed) new or changed, \(summary.unchanged) unchanged, "
          + "\(failed + summary.knownBad) bad, \(summary.moved) moved, \(summary.removed) gone, \(captions) captions added"
          + (summary.windows + summary.emptyWindows > 0
            ? "; \(summary.windows) windows of scenes, \(summary.emptyWindows) of nothing left out" : "")
          + (summary.setAside > 0 ? "; \(summary.setAside) that were taken out stay away (--retry, or name them, to have them back)" : ""))
    }
    if Interrupt.isPressed {
      report("ftf: stopped; run the same command again to go on")
      throw ExitCode(130)
    }
    if failed + summary.unseen > 0 { throw ExitCode(1) }
  }

  private static func lines(_ list: String) throws -> [String] {
    if list == "-" {
      var lines: [String] = []
      while let line = readLine() { lines.append(line) }
      return lines.filter { !$0.isEmpty }
    }
    guard let text = try? String(contentsOfFile: list, encoding: .utf8) else { throw Failure("\(list): is no list of names in UTF-8") }
    return text.split { $0.isNewline }.map(String.init)
  }

  private func show(_ folder: String, _ paths: [String]) throws {
    let archive = try ImageIndex.existing(path: index)
    let engine = try machine.engine(archive.map { try modelPath(of: $0, given: model) } ?? model ?? defaultModel())
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var failed = 0
    for preview in try ScenePreview.all(of: paths, scenes.cutting, to: folder, with: engine) {
      switch preview {
      case .success(let scene) where json: printJSON(scene.object)
      case .success(let scene): print(scene.line.shown)
      case .failure(let error):
        report("ftf: \(error)")
        failed += 1
      }
    }
    if failed > 0 { throw ExitCode(1) }
  }

  private func open(_ paths: [String]) throws -> IndexWriter {
    let archive = try ImageIndex.existing(path: index)
    // What cannot be indexed makes no index.
    if archive == nil { try ImageFiles.require(paths) }
    let model = try archive.map { try modelPath(of: $0, given: self.model) } ?? self.model ?? defaultModel()
    return try IndexWriter(path: index, engine: machine.engine(model), views: views, patches: patches)
  }

  /// What is known of images alone: no image is looked at, and no model needed.
  private func set(_ file: AttributesFile) throws {
    let (stored, problems) = try set(file) { attributes in try IndexUpkeep.set(attributes: attributes, in: index) }
    for problem in problems { report("ftf: \(problem); skipped") }
    if json {
      printJSON(["attributes": stored, "failed": problems.count, "images": try ImageIndex(path: index).pictures()])
    } else {
      print("\(index): attributes of \(stored) files stored, \(problems.count) skipped")
    }
    if !problems.isEmpty { throw ExitCode(1) }
  }

  private func set(
    _ file: AttributesFile, by store: ([(name: String, json: String)]) throws -> [(place: Int, images: Int)]
  ) throws -> (stored: Int, problems: [String]) {
    let unused = try store(file.lines.map { ($0.filename, $0.json) })
    // A part of an archive has a part of what is known of it.
    let isPart = shard != nil || list != nil
    let problems = unused.filter { !isPart || $0.images > 0 }.map { place, images in
      let line = file.lines[place]
      return "\(line.place): \(images) images of the index end in '\(line.filename)'"
        + (images == 0 ? "" : "; give more of the path")
    }
    return (file.lines.count - unused.count, file.problems + problems)
  }
}

extension Views: ExpressibleByArgument {}
extension StoredPatches: ExpressibleByArgument {}

/// How scenes are cut.
struct SceneOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Metres of ground that a window covers; by default what the model was trained on, and at least the pixels that it takes.",
      valueName: "metres"),
    transform: { text in
      guard let value = Double(text.hasSuffix("m") ? String(text.dropLast()) : text) else { throw ValidationError("--ground takes metres: 150") }
      return value
    })
  var ground: Double?

  @Option(help: ArgumentHelp("Pixels that a window covers, in place of --ground; also for JPEG and PNG.", valueName: "pixels"))
  var window: Int?

  @Option(help: "The share of a window that the next one covers too, 0 to 0.9; by default 0.25.")
  var overlap: Double?

  @Option(
    help: ArgumentHelp("The bands of red, green and blue, from 1, or one of grey; by default what the file says.", valueName: "r,g,b"),
    transform: { text in
      let numbers = text.split(separator: ",").map { Int($0.filter { !$0.isWhitespace }) }
      guard !numbers.contains(nil) else { throw ValidationError("--bands takes numbers: 4,3,2") }
      return numbers.map { $0! }
    })
  var bands: [Int]?

  var cutting: SceneCutting { SceneCutting(ground: ground, window: window, overlap: overlap, bands: bands) }

  func validate() throws {
    if ground != nil && window != nil { throw ValidationError("give one of --ground and --window") }
    if let ground, !(ground > 0 && ground.isFinite) { throw ValidationError("--ground takes metres above 0") }
    if let window, window < 8 { throw ValidationError("--window takes at least 8 pixels") }
    if let overlap, !(0...0.9).contains(overlap) { throw ValidationError("--overlap lies in 0...0.9") }
    if let bands, ![1, 3].contains(bands.count) || bands.contains(where: { $0 < 1 }) {
      throw ValidationError("--bands takes one or three numbers from 1")
    }
  }
}

/// What an index writer tells, as progress.
final class IndexProgress: Sendable {
  private let name: String
  private let progress = Mutex<Progress?>(nil)

  init(_ name: String) { self.name = name }

  func take(_ event: IndexWriter.Event) {
    switch event {
    case .begins(let total): progress.withLock { $0 = Progress(name, total: total) }
    case .encoded(let count): progress.withLock { $0 }?.add(count)
    case .skipped(let error): progress.withLock { $0 }?.report("ftf: \(error)\(error.wayOut); skipped")
    case .warned(let line): report("ftf: \(line)")
    }
  }

  func finish() { progress.withLock { $0 }?.finish() }
}

struct IndexRemove: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take images out of an index; the files stay, and 'ftf index' leaves them alone.",
    discussion: "Example: ftf index remove archive.ftfindex ~/imagery/old.jpg")

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "Images, or folders with all that is below them.")
  var paths: [String]

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let removed = try IndexUpkeep.remove(paths, from: index)
    guard removed > 0 else { throw Failure("\(index): holds none of these images") }
    let left = try ImageIndex(path: index).pictures()
    if json { return printJSON(["removed": removed, "images": left]) }
    print("\(index): \(removed) images removed, \(left) left")
  }
}
