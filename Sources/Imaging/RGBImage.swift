import CFTFImage
import FTFFiles
import Foundation
import FTFKernels

/// An image that cannot be used or written, and why. The path is part of every message.
package enum ImagingError: Error, Equatable, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  /// It may be read later: what the file holds is not the reason.
  case passing(path: String, reason: String)
  /// Nothing says which bands of a scene are red, green and blue.
  case unknownBands(path: String, reason: String)
  case tooManyWindows(path: String, count: Int, most: Int)
  case unwritable(path: String)

  package var path: String {
    switch self {
    case .unreadable(let path, _), .passing(let path, _), .unknownBands(let path, _), .tooManyWindows(let path, _, _), .unwritable(let path): path
    }
  }

  /// Whether what the file holds is the reason, so that it comes again until the file changes.
  package var isOfContent: Bool {
    switch self {
    case .unreadable, .unknownBands, .tooManyWindows: true
    case .passing, .unwritable: false
    }
  }

  package var reason: String {
    switch self {
    case .unreadable(_, let reason): "not a usable image: \(reason)"
    case .passing(_, let reason): "cannot be read: \(reason)"
    case .unknownBands(_, let reason): "not a usable image: \(reason); say which bands are red, green and blue"
    case .tooManyWindows(_, let count, let most):
      "not a usable image: it would be cut into \(count) windows, more than \(most); cut it into larger ones"
    case .unwritable: "the image cannot be written"
    }
  }

  package var description: String { "\(path): \(reason)" }
}

/// u8[height, width, 3], R, G, B.
package struct RGBImage: Sendable {
  package let width: Int
  package let height: Int
  package let pixels: AlignedBuffer<UInt8>

  /// - Parameter pixels: u8[height, width, 3].
  package init(width: Int, height: Int, pixels: AlignedBuffer<UInt8>) {
    precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "RGBImage: shapes disagree")
    (self.width, self.height, self.pixels) = (width, height, pixels)
  }

  /// The libraries that decode, with their versions.
  package static var libraries: String { unsafe String(cString: cimage_libraries()) }

  /// Of a PNG; a JPEG has 65,535 at most.
  private static let longestSide = Int(Int32.max)
  /// More than this is refused before memory is taken for it: half a gigabyte of pixels.
  package static let mostPixels = 178_956_970
  /// Endings, in lower case, of the files that a folder is searched for.
  package static let endings: Set<String> = ["jpg", "jpeg", "jpe", "jfif", "png"]

  /// Bytes of a file that is looked at: more than any picture of so many pixels has.
  private static let mostBytes = 1 << 30

  /// Reads a JPEG or PNG file, by what it holds and not by its name, and turns it as its EXIF or XMP orientation says.
  ///
  /// - Parameters:
  ///   - path: as a spelling of `FilePath`.
  ///   - side: see `init(data:path:reducedTo:)`.
  package init(path: String, reducedTo side: Int? = nil) throws(ImagingError) {
    try self.init(data: Self.bytes(path), path: FilePath(path).description, reducedTo: side)
  }

  /// The bytes of a picture's file.
  package static func bytes(_ path: String) throws(ImagingError) -> Data {
    let name = FilePath(path)
    do {
      return try WholeFile.bytes(name, limit: mostBytes)
    } catch {
      guard error.code != nil else { throw .unreadable(path: name.description, reason: error.reason) }
      throw .passing(path: name.description, reason: error.code == ENOENT ? "there is no such file" : error.reason)
    }
  }

  /// Whether a file begins as one that is read does.
  package static func isImage(at path: FilePath) -> Bool {
    let file = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard file >= 0 else { return false }
    defer { close(file) }
    var first = [UInt8](repeating: 0, count: 4)
    return unsafe read(file, &first, 4) == 4 && isImage(first)
  }

  private static func isImage(_ first: some Collection<UInt8>) -> Bool {
    first.starts(with: [0xff, 0xd8]) || first.starts(with: [0x89, 0x50, 0x4e, 0x47])
  }

  /// As gzip has them; nil where there is no memory for it.
  package static func gzip(_ data: Data) -> Data? {
    var memory: UnsafeMutablePointer<UInt8>?
    var size = 0
    let failed = unsafe data.withUnsafeBytes { unsafe cimage_gzip($0.bindMemory(to: UInt8.self).baseAddress, $0.count, &memory, &size) }
    defer { unsafe free(memory) }
    guard failed == 0, let memory = unsafe memory else { return nil }
    return unsafe Data(bytes: memory, count: size)
  }

  /// Of zlib and PNG.
  package static func crc32(_ data: Data) -> UInt32 {
    unsafe data.withUnsafeBytes { unsafe cimage_crc32($0.bindMemory(to: UInt8.self).baseAddress, $0.count) }
  }

  /// What a JPEG or PNG says of its size before it is decoded, as it is meant to be seen, and the bytes of memory that it takes to decode it
  /// frugally; nil where it says nothing.
  package static func size(_ data: Data) -> (width: Int, height: Int, decodingBytes: Int)? {
    var (width, height, bytes): (UInt32, UInt32, UInt32) = (0, 0, 0)
    let failed = unsafe data.withUnsafeBytes { raw in
      unsafe cimage_size(raw.bindMemory(to: UInt8.self).baseAddress, raw.count, &width, &height, &bytes)
    }
    // What no format allows says nothing, and the rest multiplies without overflow.
    guard failed == 0, (1...Self.longestSide).contains(Int(width)), (1...Self.longestSide).contains(Int(height)) else { return nil }
    let (area, isTooMuch) = (Int(width) * Int(height)).multipliedReportingOverflow(by: Int(bytes))
    let memory = isTooMuch ? Int.max : area
    return orientation(data) >= 5 ? (Int(height), Int(width), memory) : (Int(width), Int(height), memory)
  }

  /// How a file says that it is turned to be seen: 1 to 8, as EXIF has them.
  package static func orientation(_ data: Data) -> Int {
    unsafe data.withUnsafeBytes { bytes in
      unsafe bytes.isEmpty ? 1 : Int(cimage_file_orientation(bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count))
    }
  }

  /// - Parameters:
  ///   - path: what an error names.
  ///   - side: what the shorter side will be made: a JPEG that is far larger is decoded at a half, a quarter or an eighth, with twice
  ///     that left for the antialiased resize; nil for all pixels.
  ///   - isFrugal: a PNG is reduced as it is decoded too, by means, where it can be.
  package init(data: Data, path: String, reducedTo side: Int? = nil, isFrugal: Bool = false) throws(ImagingError) {
    guard !data.isEmpty else { throw .unreadable(path: path, reason: "the file is empty") }
    let isJPEG = data.starts(with: [0xff, 0xd8])
    guard Self.isImage(data.prefix(4)) else {
      let kind = FileKind.name(of: Array(data.prefix(FileKind.prefix)))
      throw .unreadable(path: path, reason: kind.map { "it is \($0); JPEG and PNG are read" } ?? "it is neither a JPEG nor a PNG file")
    }
    var decoded = unsafe cimage()
    defer { unsafe cimage_free(&decoded) }
    let failed = unsafe data.withUnsafeBytes { bytes in
      let base = unsafe bytes.bindMemory(to: UInt8.self).baseAddress
      return unsafe isJPEG
        ? cimage_decode_jpeg(base, bytes.count, UInt64(Self.mostPixels), UInt32(2 * (side ?? 0)), &decoded)
        : cimage_decode_png(base, bytes.count, UInt64(Self.mostPixels), isFrugal ? UInt32(side ?? 0) : 0, &decoded)
    }
    guard failed == 0 else {
      let reason = unsafe withUnsafeBytes(of: decoded.message) {
        unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if failed == CIMAGE_NO_MEMORY { throw .passing(path: path, reason: "there is no memory for it") }
      throw .unreadable(path: path, reason: reason.isEmpty ? "it cannot be decoded" : reason)
    }
    let (width, height) = unsafe (Int(decoded.width), Int(decoded.height))
    let pixels = unsafe AlignedBuffer(
      copying: Span(_unsafeStart: UnsafePointer(decoded.rgb), count: width * height * 3))
    self = unsafe RGBImage(width: width, height: height, pixels: pixels).oriented(Int(decoded.orientation))
  }

  /// Turned and mirrored from an EXIF orientation to how it is meant to be seen.
  package func oriented(_ orientation: Int) -> RGBImage {
    guard (2...8).contains(orientation) else { return self }
    let (w, h) = orientation >= 5 ? (height, width) : (width, height)
    let turned = AlignedBuffer<UInt8>(uninitialised: pixels.count)
    unsafe Turn(orientation, width: w, height: h).turn(pixels.address, (0, 0, width, height), 3, into: turned.address, (0, 0, w, h))
    return RGBImage(width: w, height: h, pixels: turned)
  }

  /// Antialiased resize, bicubic or else bilinear; see `cimage_resize`.
  package func resized(width newWidth: Int, height newHeight: Int, bilinear: Bool = false) -> RGBImage {
    if newWidth == width && newHeight == height { return self }
    let out = AlignedBuffer<UInt8>(count: newWidth * newHeight * 3, repeating: 0)
    let failed = unsafe cimage_resize(
      pixels.address, UInt32(width), UInt32(height), out.address, UInt32(newWidth), UInt32(newHeight),
      bilinear ? CIMAGE_BILINEAR : CIMAGE_BICUBIC)
    precondition(failed == 0, "no memory to resize an image")
    return RGBImage(width: newWidth, height: newHeight, pixels: out)
  }

  package func cropped(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> RGBImage {
    precondition(x >= 0 && y >= 0 && x + newWidth <= width && y + newHeight <= height, "cropped: outside of the image")
    if newWidth == width && newHeight == height { return self }
    let out = AlignedBuffer<UInt8>(count: newWidth * newHeight * 3, repeating: 0)
    for row in 0..<newHeight {
      for i in 0..<newWidth * 3 { out[row * newWidth * 3 + i] = pixels[((row + y) * width + x) * 3 + i] }
    }
    return RGBImage(width: newWidth, height: newHeight, pixels: out)
  }

  /// The shorter side becomes `resizeTo`, the other keeps the aspect; then the centre is cut out.
  ///
  /// - Parameters:
  ///   - roundingDown: how the longer side is made whole; half to even otherwise.
  ///   - centringToEven: how half of what is cut off is made whole; down otherwise.
  package func centred(
    resizeTo: Int, cropTo: Int, roundingDown: Bool = false, centringToEven: Bool = false, bilinear: Bool = false
  ) -> RGBImage {
    guard width != resizeTo || height != resizeTo || cropTo != resizeTo else { return self }
    // What lies far from the centre of a long strip would be resized only to be cut off.
    let reach = 8 * min(width, height)
    if max(width, height) > reach {
      let (w, h) = (min(width, reach), min(height, reach))
      return cropped(x: (width - w) / 2, y: (height - h) / 2, width: w, height: h)
        .centred(
          resizeTo: resizeTo, cropTo: cropTo, roundingDown: roundingDown, centringToEven: centringToEven,
          bilinear: bilinear)
    }
    let short = min(width, height)
    func length(_ n: Int) -> Int {
      if roundingDown { return resizeTo * n / short }
      let scale = Double(resizeTo) / Double(short)
      return max(resizeTo, Int((Double(n) * scale).rounded(.toNearestOrEven)))
    }
    let resized = resized(width: length(width), height: length(height), bilinear: bilinear)
    func offset(_ extra: Int) -> Int {
      centringToEven ? Int((Double(extra) / 2).rounded(.toNearestOrEven)) : extra / 2
    }
    return resized.cropped(
      x: offset(resized.width - cropTo), y: offset(resized.height - cropTo), width: cropTo, height: cropTo)
  }

  package func write(png path: String) throws(ImagingError) {
    try write(path) { unsafe cimage_write_png($0, pixels.address, UInt32(width), UInt32(height)) }
  }

  package func write(jpeg path: String, quality: Int) throws(ImagingError) {
    try write(path) { unsafe cimage_write_jpeg($0, pixels.address, UInt32(width), UInt32(height), Int32(quality)) }
  }

  /// The bytes of a JPEG file.
  package func jpeg(quality: Int) -> Data {
    var memory: UnsafeMutablePointer<UInt8>?
    var size = 0
    let failed = unsafe cimage_encode_jpeg(pixels.address, UInt32(width), UInt32(height), Int32(quality), &memory, &size)
    defer { unsafe free(memory) }
    guard failed == 0, let memory = unsafe memory else { return Data() }
    return unsafe Data(bytes: memory, count: size)
  }

  /// - Parameter encode: to a file of that name; 0 on success.
  private func write(_ path: String, _ encode: (String) -> Int32) throws(ImagingError) {
    do {
      let output = try OutputFile(path)
      guard encode(output.partial) == 0 else { throw ImagingError.unwritable(path: path) }
      try output.commit()
    } catch let error as ImagingError {
      throw error
    } catch {
      throw .unwritable(path: path)
    }
  }
}
