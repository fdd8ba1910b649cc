import CFTFGDAL
import CFTFImage
import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels

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
  /// How it is turned to be seen (EXIF's 1 to 8): of a picture without a place. All windows and sizes here are of the turned one.
  let orientation: Int
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
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: path.description, reason: reason) }
    if let reason = unsafe Self.mapped(
      path, nil, { bytes in unsafe cimage_tiff_refusal(bytes.baseAddress, bytes.count).map { unsafe String(cString: $0) } })
    {
      throw refusal(reason)
    }
    let dataset = try Dataset(path)
    if let overviews = dataset.metadata("OVERVIEW_FILE", domain: "OVERVIEWS"),
      overviews.replacingOccurrences(of: ":::BASE:::", with: "").contains(where: { $0 == "/" || $0 == ":" || $0 == "\\" })
    {
      throw refusal("its overviews are said to be in '\(overviews)', outside of its folder")
    }
    let (storedWidth, storedHeight) = (Int(dataset.size.width), Int(dataset.size.height))
    guard (1...Self.longestSide).contains(storedWidth), (1...Self.longestSide).contains(storedHeight) else {
      throw refusal("it has \(storedWidth) x \(storedHeight) pixels")
    }
    toning = try Toning(dataset, chosen: bands)
    ground = Ground(dataset)
    // A place is said of the pixels as they are stored.
    orientation = ground == nil ? Self.orientation(of: path) : 1
    let isTurned = orientation >= 5
    (width, height) = isTurned ? (storedHeight, storedWidth) : (storedWidth, storedHeight)
    levels = Self.levels(dataset).map { isTurned ? Level(number: $0.number, width: $0.height, height: $0.width) : $0 }
    metadata = Self.times.reduce(into: [:]) { $0[$1.key] = $0[$1.key] ?? dataset.metadata($1.key, domain: $1.domain) }
    idle.put(dataset, level: nil)
  }

  private static func orientation(of path: FilePath) -> Int {
    unsafe mapped(path, 1) { bytes in Int(unsafe cimage_file_orientation(bytes.baseAddress, bytes.count)) }
  }

  /// What is found in the bytes of a file; `otherwise` where there are none.
  private static func mapped<T>(_ path: FilePath, _ otherwise: T, _ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
    guard let file = try? MappedFile(path: path.spelling) else { return otherwise }
    return unsafe file.bytes.withUnsafeBytes { bytes in
      unsafe bytes.isEmpty ? otherwise : body(bytes.bindMemory(to: UInt8.self))
    }
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

  /// Where the time stands, when it was taken before when the file was written.
  private static let times: [(domain: String, key: String)] = [
    (domain: "IMAGERY", key: "ACQUISITIONDATETIME"), ("", "ACQUISITIONDATETIME"), ("", "acquired"), ("", "TIFFTAG_DATETIME"),
  ]

  /// By what its bands are known, where the file does not say it itself.
  package var basis: String? { toning.basis }

  /// When it was taken, as the file says it: ISO 8601; nil where it does not.
  package var datetime: String? {
    for key in Self.times.map(\.key) {
      if let text = metadata[key], let time = SceneNames.time(text) { return time }
    }
    return nil
  }

  /// Reads a window of a level, turned as it is seen, into `out`, type[height, width, toning.bands.count], and what is there into `mask`,
  /// u8[height, width].
  func read(
    _ window: (x: Int, y: Int, width: Int, height: Int), _ level: Level, type: Int32, into out: UnsafeMutableRawPointer,
    mask: UnsafeMutablePointer<UInt8>?
  ) throws(ImagingError) {
    let bytes = toning.bands.count * (type == CGDAL_F64 ? 8 : type == CGDAL_F32 ? 4 : toning.valueBytes)
    let turn = Turn(orientation, width: level.width, height: level.height)
    let stored = turn.stored(window)
    let count = window.width * window.height
    let turned = orientation == 1 ? nil : (AlignedBuffer<UInt8>(uninitialised: count * bytes), AlignedBuffer<UInt8>(uninitialised: count))
    try with(level) { dataset throws(ImagingError) in
      let pixels = unsafe turned.map { unsafe UnsafeMutableRawPointer($0.0.address) } ?? out
      try unsafe dataset.read(stored, bands: toning.bands, type: type, into: pixels)
      if let mask = unsafe mask { try unsafe dataset.readMask(stored, into: turned?.1.address ?? mask) }
    }
    guard let turned else { return }
    unsafe turn.turn(turned.0.address, stored, bytes, into: out.assumingMemoryBound(to: UInt8.self), window)
    if let mask = unsafe mask { unsafe turn.turn(turned.1.address, stored, 1, into: mask, window) }
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
