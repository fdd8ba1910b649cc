import Foundation

/// libzstd, opened at run time: it is in every Debian, and nothing needs it to start.
enum Zstandard {
  private typealias Compress = @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int, Int32) -> Int
  private typealias Decompress = @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int) -> Int
  private typealias Number = @convention(c) (Int) -> Int
  private typealias Failed = @convention(c) (Int) -> UInt32

  private static let functions: (compress: Compress, decompress: Decompress, bound: Number, failed: Failed)? = {
    guard let library = unsafe dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL), let compress = unsafe dlsym(library, "ZSTD_compress"),
      let decompress = unsafe dlsym(library, "ZSTD_decompress"), let bound = unsafe dlsym(library, "ZSTD_compressBound"),
      let failed = unsafe dlsym(library, "ZSTD_isError")
    else { return nil }
    return unsafe (
      unsafeBitCast(compress, to: Compress.self), unsafeBitCast(decompress, to: Decompress.self), unsafeBitCast(bound, to: Number.self),
      unsafeBitCast(failed, to: Failed.self)
    )
  }()

  static var isThere: Bool { unsafe functions != nil }

  /// Level 1, as most writers of Parquet: of vectors, which are nearly all of a file, 3 makes a seventh less in four times the time.
  static func compressed(_ bytes: [UInt8]) -> [UInt8]? {
    guard let functions = unsafe functions else { return nil }
    return unsafe [UInt8](unsafeUninitializedCapacity: functions.bound(bytes.count)) { out, size in
      unsafe size = functions.compress(out.baseAddress, out.count, bytes, bytes.count, 1)
      precondition(unsafe functions.failed(size) == 0, "Zstandard: a page cannot be compressed")
    }
  }

  static func decompressed(_ bytes: [UInt8], to count: Int) throws(ParquetError) -> [UInt8] {
    guard let functions = unsafe functions else { throw ParquetError("it is compressed with Zstandard, and there is no libzstd (install libzstd1)") }
    var out = [UInt8](repeating: 0, count: count)
    let size = unsafe functions.decompress(&out, count, bytes, bytes.count)
    guard unsafe functions.failed(size) == 0, size == count else { throw ParquetError("a page is damaged: its compression") }
    return out
  }
}

/// https://github.com/google/snappy/blob/main/format_description.txt
enum Snappy {
  static func decompressed(_ bytes: [UInt8], to count: Int) throws(ParquetError) -> [UInt8] {
    var at = 0
    let damaged = ParquetError("a page is damaged: its compression")
    func number(_ length: Int) throws(ParquetError) -> Int {
      guard at + length <= bytes.count else { throw damaged }
      defer { at += length }
      return (0..<length).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
    }
    var (stated, shift, more) = (0, 0, true)
    while more {
      guard shift < 35 else { throw damaged }
      let next = try number(1)
      stated |= (next & 0x7f) << shift
      (shift, more) = (shift + 7, next >= 0x80)
    }
    guard stated == count else { throw damaged }
    var out: [UInt8] = []
    out.reserveCapacity(count)
    while at < bytes.count {
      let tag = try number(1)
      var length = tag >> 2 + 1
      let distance: Int
      switch tag & 3 {
      case 0:
        if length > 60 { length = try number(length - 60) + 1 }
        guard length <= bytes.count - at, length <= count - out.count else { throw damaged }
        out += bytes[at..<at + length]
        at += length
        continue
      case 1:
        length = tag >> 2 & 7 + 4
        distance = (tag >> 5) << 8 | (try number(1))
      case 2: distance = try number(2)
      default: distance = try number(4)
      }
      guard (1...max(1, out.count)).contains(distance), !out.isEmpty, length <= count - out.count else { throw damaged }
      // What is copied may run into what it makes.
      for _ in 0..<length { out.append(out[out.count - distance]) }
    }
    guard out.count == count else { throw damaged }
    return out
  }
}
