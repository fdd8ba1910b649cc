import FastThenFine
import FTFFiles
import Foundation

/// NumPy's format: magic, version, header length, a Python dict padded to 64 bytes, little-endian data.
struct NPYFile {
  let rows: Int
  let columns: Int
  private let path: String
  private let data: Data
  private let start: Int
  private let size: Int

  /// A file of f16, f32 or f64 values in C order; one dimension is one row.
  init(_ path: String) throws {
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
    } catch {
      throw Failure("\(path): cannot be read: \(error.systemReason)")
    }
    self.path = path
    func refuse(_ reason: String) -> Failure {
      Failure("\(path): \(reason); f32 [n, d] is read, f16 and f64 too, as numpy.save writes it")
    }
    guard data.count >= 12, data.prefix(6) == Data([0x93] + Array("NUMPY".utf8)), (1...3).contains(data[6]) else {
      throw refuse("is no .npy file")
    }
    let data = data
    let wide = data[6] > 1
    let length = (0..<(wide ? 4 : 2)).reduce(0) { $0 | Int(data[8 + $1]) << (8 * $1) }
    start = (wide ? 12 : 10) + length
    guard start <= data.count, length < 1 << 16 else { throw refuse("ends inside of its header") }
    let header = String(decoding: data[(wide ? 12 : 10)..<start], as: UTF8.self).filter { $0 != " " }
    guard let size = [2, 4, 8].first(where: { header.contains("'descr':'<f\($0)'") }), header.contains("'fortran_order':False"),
      let open = header.range(of: "'shape':("), let close = header[open.upperBound...].firstIndex(of: ")")
    else { throw refuse("has another type or order") }
    let shape = header[open.upperBound..<close].split(separator: ",").map { Int($0) ?? -1 }
    guard (1...2).contains(shape.count), shape[0] >= 1, shape[0] < 1 << 40, shape.last! >= 1, shape.last! <= 1 << 24,
      (data.count - start) % size == 0, (data.count - start) / size == (shape.count == 2 ? shape[0] * shape[1] : shape[0])
    else { throw refuse("has the shape \(shape) and \(data.count - start) bytes") }
    self.size = size
    (rows, columns) = shape.count == 2 ? (shape[0], shape[1]) : (1, shape[0])
  }

  /// - Returns: f32[range, columns]; what is not finite is refused by its row.
  subscript(range: Range<Int>) -> [Float] {
    get throws {
      let (first, count) = (start + range.lowerBound * columns * size, range.count * columns)
      let values: [Float] = unsafe data.withUnsafeBytes { bytes in
        switch size {
        case 2: (0..<count).map { Float(unsafe bytes.loadUnaligned(fromByteOffset: first + 2 * $0, as: Float16.self)) }
        case 4: (0..<count).map { unsafe bytes.loadUnaligned(fromByteOffset: first + 4 * $0, as: Float.self) }
        default: (0..<count).map { Float(unsafe bytes.loadUnaligned(fromByteOffset: first + 8 * $0, as: Double.self)) }
        }
      }
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        throw Failure("\(path): row \(range.lowerBound + bad / columns) has a value that is not finite")
      }
      return values
    }
  }
}

enum NPY {
  static func write(_ values: [Float], shape: [Int], to path: String) throws { try write(values, "<f4", shape, to: path) }
  static func write(_ values: [Int64], shape: [Int], to path: String) throws { try write(values, "<i8", shape, to: path) }

  private static func write<T: BitwiseCopyable>(_ values: [T], _ type: String, _ shape: [Int], to path: String) throws {
    var data = header(type, shape)
    unsafe values.withUnsafeBytes { unsafe data.append(contentsOf: $0) }
    try writeOutput(data, to: path)
  }

  /// What stands before the values.
  static func header(_ type: String, _ shape: [Int]) -> Data {
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var data = Data(
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count % 256), UInt8(header.utf8.count / 256)])
    data.append(Data(header.utf8))
    return data
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
