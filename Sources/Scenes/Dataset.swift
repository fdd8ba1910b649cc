import CFTFGDAL
import FTFFiles
import Foundation
import FTFImaging
import FTFKernels

/// GDAL, where it is installed.
package enum GDAL {
  /// What to do to have it; nil where it is there.
  package static let absence: String? = unsafe cgdal_load().map { unsafe String(cString: $0) }
  package static let version: String? = unsafe cgdal_version().map { unsafe String(cString: $0) }
}

/// A raster that GDAL has open. One thread at a time uses it.
@safe final class Dataset: @unchecked Sendable {
  let path: FilePath
  let handle: cgdal
  let size: cgdal_size

  /// - Parameter level: nil for the raster itself, else one of its overviews.
  init(_ path: FilePath, level: Int? = nil) throws(ImagingError) {
    if let absence = GDAL.absence { throw .passing(path: path.description, reason: absence) }
    guard !path.spelling.hasPrefix("/vsi") else { throw .unreadable(path: path.description, reason: "names beginning with /vsi are not read") }
    var message = [CChar](repeating: 0, count: Int(CGDAL_MESSAGE))
    let opened = unsafe path.withCString { unsafe cgdal_open($0, Int32(level ?? -1), &message) }
    guard let opened = unsafe opened else { throw Self.refusal(path, message) }
    self.path = path
    unsafe handle = opened
    size = unsafe cgdal_size_of(opened)
  }

  deinit { unsafe cgdal_close(handle) }

  /// The library names the file itself, in many ways.
  static func refusal(_ path: FilePath, _ message: [CChar]) -> ImagingError {
    var reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    for prefix in ["\(path.spelling): ", "\(path.spelling), ", "`\(path.spelling)' ", "'\(path.spelling)' "] where reason.hasPrefix(prefix) {
      reason.removeFirst(prefix.count)
    }
    return .unreadable(path: path.description, reason: reason)
  }

  func metadata(_ key: String, domain: String = "") -> String? {
    unsafe cgdal_metadata(handle, key, domain).map { unsafe String(cString: $0) }
  }

  func band(_ number: Int) -> cgdal_band { unsafe cgdal_band_of(handle, Int32(number)) }

  /// Reads a window of bands into `out`, type[height, width, bands.count].
  func read(
    _ window: (x: Int, y: Int, width: Int, height: Int), bands: [Int], type: Int32, into out: UnsafeMutableRawPointer
  ) throws(ImagingError) {
    var message = [CChar](repeating: 0, count: Int(CGDAL_MESSAGE))
    let numbers = bands.map { Int32($0) }
    let failed = unsafe cgdal_read(
      handle, numbers, Int32(numbers.count), Int32(window.x), Int32(window.y), Int32(window.width), Int32(window.height), type, out,
      &message)
    guard failed == 0 else { throw Self.refusal(path, message) }
  }

  /// Reads a window of the mask into `out`, u8[height, width].
  func readMask(
    _ window: (x: Int, y: Int, width: Int, height: Int), into out: UnsafeMutablePointer<UInt8>
  ) throws(ImagingError) {
    var message = [CChar](repeating: 0, count: Int(CGDAL_MESSAGE))
    let failed = unsafe cgdal_read_mask(
      handle, Int32(window.x), Int32(window.y), Int32(window.width), Int32(window.height), out, &message)
    guard failed == 0 else { throw Self.refusal(path, message) }
  }
}
