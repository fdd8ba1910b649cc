import CGDAL
import Files
import Foundation
import Geography
import Imaging
import Kernels

/// How scenes are cut into windows, as far as it was asked for.
package struct Cutting: Sendable, Equatable, Codable {
  /// Metres that a window covers.
  package var ground: Double?
  /// Pixels that a window covers.
  package var window: Int?
  /// The share of a window that the next one covers too.
  package var overlap: Double?
  /// The bands of red, green and blue, or of grey, from 1.
  package var bands: [Int]?

  package init(ground: Double? = nil, window: Int? = nil, overlap: Double? = nil, bands: [Int]? = nil) {
    (self.ground, self.window, self.overlap, self.bands) = (ground, window, overlap, bands)
  }

  package static let defaultOverlap = 0.25
}

/// A raster that GDAL reads: a scene with its place on the ground, or a plain picture.
package final class Scene: Sendable {
  package let path: FilePath
  package let width: Int
  package let height: Int
  let toning: Toning
  /// The raster itself and its overviews, the largest first.
  let levels: [Level]
  /// Where its pixels lie; nil where that is not known.
  package let ground: Ground?
  private let metadata: [String: String]
  private let idle = IdleDatasets()

  struct Level: Sendable {
    /// As GDAL counts overviews; nil for the raster itself.
    var number: Int?
    var width: Int
    var height: Int
  }

  /// More on a side is no scene.
  private static let longestSide = 1 << 24

  /// Whether a file is one that is read here, by its first bytes.
  package static func isOne(_ first: [UInt8]) -> Bool {
    let tiffs: [[UInt8]] = [[0x49, 0x49, 0x2a, 0], [0x4d, 0x4d, 0, 0x2a], [0x49, 0x49, 0x2b, 0], [0x4d, 0x4d, 0, 0x2b]]
    let others: [[UInt8]] = [[0, 0, 0, 0x0c, 0x6a, 0x50, 0x20, 0x20], [0xff, 0x4f, 0xff, 0x51], Array("<VRTDataset".utf8)]
    return (tiffs + others).contains { first.starts(with: $0) }
      || first.starts(with: "RIFF".utf8) && first.dropFirst(8).starts(with: "WEBP".utf8)
  }

  package static func isOne(at path: FilePath) -> Bool {
    isOne(FileKind.first(of: path)) || path.ending == "vrt" && FileKind.first(of: path).starts(with: "<?xml".utf8)
  }

  /// Opens a raster and looks at what it says of itself, not at its pixels.
  ///
  /// - Throws: `passing` where GDAL is not there, `unreadable` for what is not read, and why.
  package init(_ path: FilePath, bands: [Int]? = nil) throws(ImagingError) {
    self.path = path
    if FileKind.first(of: path).starts(with: "<VRT".utf8) || VirtualScene.isOne(path) { try VirtualScene.check(path) }
    let dataset = try Dataset(path)
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: path.description, reason: reason) }
    if let overviews = dataset.metadata("OVERVIEW_FILE", domain: "OVERVIEWS"),
      overviews.replacingOccurrences(of: ":::BASE:::", with: "").contains(where: { $0 == "/" || $0 == ":" || $0 == "\\" })
    {
      throw refusal("its overviews are said to be in '\(overviews)', outside of its folder")
    }
    (width, height) = (Int(dataset.size.width), Int(dataset.size.height))
    guard (1...Self.longestSide).contains(width), (1...Self.longestSide).contains(height) else {
      throw refusal("it has \(width) x \(height) pixels")
    }
    toning = try Toning(dataset, chosen: bands)
    levels = Self.levels(dataset)
    ground = Ground(dataset)
    metadata = ["TIFFTAG_DATETIME", "ACQUISITIONDATETIME", "acquired"].reduce(into: [:]) { $0[$1] = dataset.metadata($1) }
    idle.put(dataset, level: nil)
  }

  private static func levels(_ dataset: Dataset) -> [Level] {
    let (width, height) = (Int(dataset.size.width), Int(dataset.size.height))
    var found = [Level(number: nil, width: width, height: height)]
    for number in 0..<Int(unsafe cgdal_overviews(dataset.handle)) {
      var (w, h): (Int32, Int32) = (0, 0)
      unsafe cgdal_overview(dataset.handle, Int32(number), &w, &h)
      // One that is not what it should be is none.
      guard w > 0, h > 0, Int(w) < width, abs(Double(w) / Double(width) * Double(height) - Double(h)) < 2 else { continue }
      found.append(Level(number: number, width: Int(w), height: Int(h)))
    }
    return found.sorted { $0.width > $1.width }
  }

  /// When it was taken, as the file says it: ISO 8601; nil where it does not.
  package var datetime: String? {
    for key in ["ACQUISITIONDATETIME", "acquired", "TIFFTAG_DATETIME"] {
      if let text = metadata[key], let time = SceneNames.time(text) { return time }
    }
    return nil
  }

  /// `body` with a dataset of a level that no other thread uses meanwhile.
  func with<R>(_ level: Level, _ body: (Dataset) throws(ImagingError) -> R) throws(ImagingError) -> R {
    let dataset: Dataset
    if let found = idle.take(level: level.number) { dataset = found } else { dataset = try Dataset(path, level: level.number) }
    defer { idle.put(dataset, level: level.number) }
    return try body(dataset)
  }
}

import Synchronization

/// Datasets that no thread uses.
private final class IdleDatasets: Sendable {
  private let datasets = Mutex<[Int: [Dataset]]>([:])

  func take(level: Int?) -> Dataset? { datasets.withLock { $0[level ?? -1]?.popLast() } }
  func put(_ dataset: Dataset, level: Int?) { datasets.withLock { $0[level ?? -1, default: []].append(dataset) } }
}

extension FileKind {
  /// The first bytes of a file; none where it cannot be read.
  static func first(of path: FilePath) -> [UInt8] {
    let file = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard file >= 0 else { return [] }
    defer { close(file) }
    var first = [UInt8](repeating: 0, count: 16)
    let count = unsafe read(file, &first, first.count)
    return Array(first.prefix(max(0, count)))
  }
}
