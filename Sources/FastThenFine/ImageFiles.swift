import FTFFiles
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFScenes

/// Image files as folders hold them.
package enum ImageFiles {
  /// The images that paths stand for: a file is itself, a folder everything below it that is an image, sorted.
  ///
  /// - Throws: where a path or a folder cannot be seen, or there are no images.
  package static func below(_ paths: [String]) throws(FastThenFineError) -> [String] {
    let walk = FolderWalk(paths)
    if let problem = walk.problems.first { throw FastThenFineError(.unusableFile, problem) }
    guard !walk.files.isEmpty else { throw FastThenFineError(.unusableFile, walk.nothing(in: paths)) }
    return walk.files.map(\.path.spelling)
  }

  /// Throws where there is nothing to index, and says why.
  package static func require(_ paths: [String]) throws(FastThenFineError) {
    let walk = FolderWalk(paths)
    if walk.files.isEmpty { throw FastThenFineError(.unusableFile, walk.problems.first ?? walk.nothing(in: paths)) }
  }

  /// A file that is not there gets a stamp of its own; reading it then says why.
  ///
  /// - Parameter folder: an open one that the path begins in; where the process works otherwise.
  static func stamp(of path: FilePath, in folder: Int32 = AT_FDCWD) -> FileStamp {
    var status = stat()
    guard unsafe path.withCString({ unsafe fstatat(folder, $0, &status, 0) }) == 0 else { return FileStamp(size: -1, modified: 0) }
    return stamp(status)
  }

  static func stamp(_ status: stat) -> FileStamp {
    func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
    return FileStamp(size: Int64(status.st_size), modified: nanoseconds(status.st_mtim), changed: nanoseconds(status.st_ctim))
  }

  /// What a file is known by where it was moved; nil where it cannot be read.
  static func content(of path: FilePath) -> Int64? {
    if Scene.isOne(at: path) { return sceneContent(of: path) }
    return (try? RGBImage.bytes(path.spelling)).map(content)
  }

  /// Of a scene, which may have more bytes than one wants to read twice: its first and its last four megabytes.
  static func sceneContent(of path: FilePath) -> Int64? {
    guard let file = FileHandle(forReadingAtPath: path.spelling) else { return nil }
    defer { try? file.close() }
    let part: UInt64 = 4 << 20
    guard let size = try? file.seekToEnd(), (try? file.seek(toOffset: 0)) != nil,
      var bytes = try? file.read(upToCount: Int(min(part, size)))
    else { return nil }
    if size > part, (try? file.seek(toOffset: max(part, size - part))) != nil, let last = try? file.readToEnd() { bytes += last }
    return content(bytes)
  }

  /// What a file is known by where it was moved: the CRC-32C and the CRC-32 of its bytes.
  static func content(_ bytes: Data) -> Int64 {
    Int64(bitPattern: UInt64(KernelSet.checksum(bytes.bytes)) << 32 | UInt64(RGBImage.crc32(bytes)))
  }
}

extension FolderWalk {
  /// Why there is nothing to index.
  func nothing(in paths: [String]) -> String {
    let others = leftOut.isEmpty ? "" : " (\(counts))"
    return paths.map { FilePath($0).description }.joined(separator: ", ") + ": holds no image" + others
      + (scenesLeftOut > 0 ? "; " + (GDAL.absence ?? "") : "")
  }

  /// What was left out, the most frequent endings first: `.tif 12, .webp 3`.
  var counts: String {
    let sorted = leftOut.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let shown = sorted.prefix(8).map { "\($0.key.isEmpty ? "without an ending" : "." + $0.key) \($0.value)" }
    let rest = sorted.dropFirst(8).reduce(0) { $0 + $1.value }
    return (shown + (rest > 0 ? ["others \(rest)"] : [])).joined(separator: ", ")
  }
}
