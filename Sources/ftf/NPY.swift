import FastThenFine
import Files
import Foundation

/// NumPy's format, version 1.0: magic, version, u16 header length, a Python dict padded to 64 bytes, little-endian data.
enum NPY {
  /// Rows of f32 or f64 values, in C order; one dimension is one row.
  static func read(_ path: String) throws -> (rows: Int, values: [Float]) {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
    } catch {
      throw Failure("\(path): cannot be read: \(error.localizedDescription)")
    }
    func refuse(_ reason: String) -> Failure {
      Failure("\(path): \(reason); f32 [n, d] is read, as numpy.save writes it")
    }
    guard data.count >= 12, data.prefix(6) == Data([0x93] + Array("NUMPY".utf8)), (1...3).contains(data[6]) else {
      throw refuse("is no .npy file")
    }
    let wide = data[6] > 1
    let length = (0..<(wide ? 4 : 2)).reduce(0) { $0 | Int(data[8 + $1]) << (8 * $1) }
    let start = (wide ? 12 : 10) + length
    guard start <= data.count else { throw refuse("ends inside of its header") }
    let header = String(decoding: data[(wide ? 12 : 10)..<start], as: UTF8.self).filter { $0 != " " }
    let isDouble = header.contains("'descr':'<f8'")
    guard isDouble || header.contains("'descr':'<f4'"), header.contains("'fortran_order':False"),
      let open = header.range(of: "'shape':("), let close = header[open.upperBound...].firstIndex(of: ")")
    else { throw refuse("has another type or order") }
    let shape = header[open.upperBound..<close].split(separator: ",").map { Int($0) ?? -1 }
    let size = isDouble ? 8 : 4
    guard (1...2).contains(shape.count), shape.allSatisfy({ (1...1 << 24).contains($0) }),
      data.count - start == shape.reduce(size, *)
    else { throw refuse("has the shape \(shape) and \(data.count - start) bytes") }
    let bytes = [UInt8](data[start...])
    let values = (0..<bytes.count / size).map { i -> Float in
      let bits = (0..<size).reduce(UInt64(0)) { $0 | UInt64(bytes[i * size + $1]) << UInt64(8 * $1) }
      return isDouble ? Float(Double(bitPattern: bits)) : Float(bitPattern: UInt32(bits))
    }
    guard values.allSatisfy(\.isFinite) else { throw refuse("holds values that are not finite") }
    return (shape.count == 2 ? shape[0] : 1, values)
  }

  static func write(_ values: [Float], shape: [Int], to path: String) throws {
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var data = Data(
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count % 256), UInt8(header.utf8.count / 256)])
    data.append(Data(header.utf8))
    unsafe values.withUnsafeBytes { unsafe data.append(contentsOf: $0) }
    try writeOutput(data, to: path)
  }
}

/// A result that the user named; see `OutputFile`.
func writeOutput(_ data: Data, to path: String) throws {
  do {
    try OutputFile.write(data, to: path)
  } catch {
    throw Failure("\(error)")
  }
}
