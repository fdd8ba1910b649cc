import Foundation

/// Writes PNG files that the encoder of the project does not: stored, unfiltered.
package enum PNGWriter {
  /// u16[height, width].
  package static func grey16(width: Int, height: Int, _ values: [UInt16]) -> Data {
    var rows: [UInt8] = []
    for y in 0..<height {
      rows.append(0)
      for value in values[y * width..<(y + 1) * width] { rows += [UInt8(value >> 8), UInt8(value & 255)] }
    }
    var stream: [UInt8] = [0x78, 1]
    for start in stride(from: 0, to: rows.count, by: 65535) {
      let part = rows[start..<min(start + 65535, rows.count)]
      let n = UInt16(part.count)
      stream += [start + part.count == rows.count ? 1 : 0, UInt8(n & 255), UInt8(n >> 8), UInt8(~n & 255), UInt8(~n >> 8)]
      stream += part
    }
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in rows {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    let header = big(UInt32(width)) + big(UInt32(height)) + [16, 0, 0, 0, 0]
    return Data(
      [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + chunk("IHDR", header) + chunk("IDAT", stream + big(b << 16 | a))
        + chunk("IEND", []))
  }

  private static func big(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

  private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let content = Array(name.utf8) + data
    return big(UInt32(data.count)) + content + big(crc32(content))
  }

  package static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
