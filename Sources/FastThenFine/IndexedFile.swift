import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFIndex
import FTFScenes

/// The file of an image, open, and the one that was indexed: what lies at the path now may be another, put there by somebody else.
package final class IndexedFile: Sendable {
  package let size: Int
  /// As HTTP names it; nil for what no picture is.
  package let mediaType: String
  /// Of the file as it was indexed: another one has another.
  package let stamp: String
  private let path: FilePath
  private let descriptor: Int32

  /// - Throws: `unusableFile` where there is no such file any more, or another one.
  package init(of item: Answer.Result, in index: ImageIndex) throws(FastThenFineError) {
    path = item.filePath
    let known = try FastThenFineError.wrapping { try index.catalog.stamp(ofEntry: item.id) }
    guard let known else { throw FastThenFineError(.badInput, "\(item.id) is no image of the index") }
    descriptor = Self.open(path, followsLinks: known.changed != nil)
    var status = stat()
    guard descriptor >= 0, unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      known.agrees(with: ImageFiles.stamp(status))
    else {
      if descriptor >= 0 { close(descriptor) }
      throw FastThenFineError(.unusableFile, at: path.description, "is not the file any more that was indexed; index it again")
    }
    size = Int(status.st_size)
    stamp = "\(known.size)-\(known.modified)-\(known.changed ?? 0)"
    var first = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(descriptor, &first, first.count, 0)
    mediaType = Self.mediaType(Array(first.prefix(max(0, count))))
  }

  deinit { close(descriptor) }

  /// Nobody can give another file the time at which the system last changed this one: with it a link may stand in the path, as it may have when
  /// it was indexed. Without it there may be none.
  private static func open(_ path: FilePath, followsLinks: Bool) -> Int32 {
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK
    if followsLinks { return unsafe path.withCString { unsafe Glibc.open($0, flags) } }
    var folder = unsafe Glibc.open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY)
    let parts = path.bytes.split(separator: UInt8(ascii: "/"))
    for (i, part) in parts.enumerated() where folder >= 0 {
      let isLast = i == parts.count - 1
      let next = unsafe (Array(part) + [0]).withUnsafeBufferPointer { name in
        unsafe name.withMemoryRebound(to: CChar.self) {
          unsafe openat(folder, $0.baseAddress!, isLast ? flags | O_NOFOLLOW : O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW)
        }
      }
      close(folder)
      folder = next
    }
    return folder
  }

  private static func mediaType(_ first: [UInt8]) -> String {
    let kinds: [([UInt8], String)] = [
      ([0xff, 0xd8], "image/jpeg"), ([0x89, 0x50], "image/png"), ([0x49, 0x49], "image/tiff"), ([0x4d, 0x4d], "image/tiff"),
      (Array("RIFF".utf8), "image/webp"), ([0, 0, 0, 0x0c], "image/jp2"), ([0xff, 0x4f], "image/jp2"), (Array("<".utf8), "application/xml"),
    ]
    return kinds.first { first.starts(with: $0.0) }?.1 ?? "application/octet-stream"
  }

  /// Some of its bytes; fewer at its end.
  package func bytes(at offset: Int, count: Int) throws(FastThenFineError) -> [UInt8] {
    var (buffer, filled) = ([UInt8](repeating: 0, count: count), 0)
    while filled < count {
      let got = unsafe buffer.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress! + filled, count - filled, off_t(offset + filled)) }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw FastThenFineError(.unusableFile, at: path.description, "cannot be read: \(unsafe String(cString: strerror(errno)))")
      }
      if got == 0 { break }
      filled += got
    }
    return filled == count ? buffer : Array(buffer.prefix(filled))
  }

  /// Its picture, or the part of it that a result shows.
  package func picture(of item: Answer.Result, with engine: Engine) throws(FastThenFineError) -> RGBImage {
    guard item.scene == nil else { return try FastThenFineError.wrapping { try engine.picture(of: item) } }
    return try engine.picture(Data(bytes(at: 0, count: size)), named: path.description)
  }
}

extension IndexedFile {
  /// A part of it in the pixels of the file, with at most `side` pixels on its longer side; nil where nothing of it lies there. Of a JPEG or PNG the
  /// part is cut out of the whole.
  package func view(
    of item: Answer.Result, x: Int, y: Int, width: Int, height: Int, side: Int, with engine: Engine
  ) throws(FastThenFineError) -> RGBImage? {
    try FastThenFineError.wrapping {
      let scene = item.scene == nil ? nil : try Scene(item.filePath, bands: StoredScene(item.scene)?.cutting.bands)
      let whole = scene == nil ? try engine.picture(Data(bytes(at: 0, count: size)), atMost: Self.mostViewed) : nil
      let (w, h) = scene.map { ($0.width, $0.height) } ?? (whole!.width, whole!.height)
      // What is asked for and there: numbers of any size may come.
      let (left, top) = (max(0, min(x, w)), max(0, min(y, h)))
      let (right, bottom) = (
        max(left, min(w, x.addingReportingOverflow(width).partialValue)), max(top, min(h, y.addingReportingOverflow(height).partialValue))
      )
      guard width > 0, height > 0, right > left, bottom > top else { return nil }
      let part = Window(x: left, y: top, width: right - left, height: bottom - top)
      let image: RGBImage?
      if let scene {
        image = try scene.picture(
          part, side: side, stretch: StoredScene(item.scene)?.stretch, shape: .pixels, with: engine.kernels.singleThreaded)
      } else {
        image = whole!.cropped(x: part.x, y: part.y, width: part.width, height: part.height)
      }
      guard let image, max(image.width, image.height) > side else { return image }
      let longest = max(image.width, image.height)
      return image.resized(width: max(1, image.width * side / longest), height: max(1, image.height * side / longest))
    }
  }

  /// Pixels of a picture that is decoded for a part of it.
  private static let mostViewed = 64 << 20
}

extension Engine {
  /// Memory that a picture may take while it is decoded.
  private static let mostDecodingBytes = 512 << 20

  /// A picture in memory with all of its pixels, where it has no more than so many.
  func picture(_ data: Data, atMost pixels: Int) throws(FastThenFineError) -> RGBImage {
    if let size = RGBImage.size(data), size.width * size.height > pixels {
      throw FastThenFineError(.unusableFile, "the image has \(size.width) x \(size.height) pixels, more than are shown in parts")
    }
    return try FastThenFineError.wrapping { try RGBImage(data: data, path: "the image") }
  }

  /// A picture in memory, the bytes of a JPEG or PNG file, decoded in this thread in bounded memory: reduced as it comes, or not at all.
  package func picture(_ data: Data, named name: String = "the image") throws(FastThenFineError) -> RGBImage {
    if let size = RGBImage.size(data), size.decodingBytes > Self.mostDecodingBytes {
      throw FastThenFineError(
        .unusableFile, at: name, "decoding its \(size.width) x \(size.height) pixels takes \(size.decodingBytes >> 20) MB; make it smaller first")
    }
    return try FastThenFineError.wrapping { try RGBImage(data: data, path: name, reducedTo: inputSide, isFrugal: true) }
  }
}
