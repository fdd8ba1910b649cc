import FTFFiles
import Foundation
import FTFKernels

/// What a `.ftf` file says of its own bytes: `checksum` in its metadata, sixteen hexadecimal digits, the CRC-32C of everything behind
/// the header and then that of the header's JSON with these digits zero. Every byte of the file is under one of them.
extension SafeTensors {
  static let checksumKey = "checksum"
  static let noChecksum = String(repeating: "0", count: 16)

  /// Whether the bytes are those that were written; true too where the file says nothing of them.
  ///
  /// - Parameter data: the CRC-32C of everything behind the header.
  func isWhole(data: UInt32) -> Bool {
    guard let stored = metadata[Self.checksumKey] else { return true }
    return stored == Self.digits(data: data, header: headerBytes)
  }

  /// The CRC-32C of everything behind the header: of the tensors' bytes.
  var dataChecksum: UInt32 { Self.checksum(of: file, from: dataStart) }

  private static func checksum(of file: MappedFile, from start: Int) -> UInt32 {
    // What was looked at need not stay: a file may be larger than the memory that there is for it.
    let step = 16 << 20
    return stride(from: start, to: file.count, by: step).reduce(0) { sum, at in
      let part = at..<min(at + step, file.count)
      defer { file.use(part, .over) }
      return KernelSet.checksum(file.bytes.extracting(part), after: sum)
    }
  }

  /// What sixteen digits belong in a header.
  private static func digits(data: UInt32, header: [UInt8]) -> String {
    var header = header
    if let place = place(in: header) { for i in place { header[i] = UInt8(ascii: "0") } }
    return hexadecimal(data) + hexadecimal(KernelSet.checksum(header.span.memory))
  }

  static func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Where the digits stand. In a string of the JSON every quote has a backslash before it, so that only the key itself is found.
  private static func place(in header: [UInt8]) -> Range<Int>? {
    let key = Data("\"\(checksumKey)\":\"".utf8)
    guard let found = Data(header).range(of: key), header.count >= found.upperBound + 16 else { return nil }
    return found.upperBound..<found.upperBound + 16
  }

  /// Puts the checksum of a file that is written but for it, with `noChecksum` in its place.
  static func seal(_ path: String) throws {
    let file = try MappedFile(path: path)
    let header = Array(Data(file.array(at: 8, count: Int(file.load(at: 0, as: UInt64.self))) as [UInt8]))
    guard let place = place(in: header) else { return }
    let digits = digits(data: checksum(of: file, from: 8 + header.count), header: header)
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try handle.seek(toOffset: UInt64(8 + place.lowerBound))
    try handle.write(contentsOf: Data(digits.utf8))
    try handle.synchronize()
    try handle.close()
  }
}
