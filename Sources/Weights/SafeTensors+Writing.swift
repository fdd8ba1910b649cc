import Foundation

/// A tensor on its way to a file.
package struct StoredTensor: Sendable {
  package enum Values: Sendable {
    case f32([Float])
    case i8([Int8])
  }
  package var name: String
  package var shape: [Int]
  package var values: Values

  package init(_ name: String, shape: [Int], _ values: Values) {
    (self.name, self.shape, self.values) = (name, shape, values)
  }

  var type: ElementType {
    switch values {
    case .f32: .f32
    case .i8: .i8
    }
  }

  var bytes: Data {
    switch values {
    case .f32(let floats): unsafe floats.withUnsafeBytes { unsafe Data($0) }
    case .i8(let codes): unsafe codes.withUnsafeBytes { unsafe Data($0) }
    }
  }
}

extension SafeTensors {
  /// Writes a file that appears whole or not at all: it is written beside its place, synced, and renamed.
  ///
  /// Tensors of wider elements come first, so that each is aligned to its elements; the header is padded to 64 bytes.
  package static func write(
    _ tensors: [StoredTensor], metadata: [String: String], to path: String
  ) throws(WeightsError) {
    let ordered = tensors.sorted { ($1.type.size, $0.name) < ($0.type.size, $1.name) }
    var header: [String: Any] = ["__metadata__": metadata]
    var offset = 0
    for tensor in ordered {
      let size = tensor.shape.reduce(tensor.type.size, *)
      header[tensor.name] = [
        "dtype": tensor.type.rawValue, "shape": tensor.shape, "data_offsets": [offset, offset + size],
      ]
      offset += size
    }
    do {
      var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
      json.append(Data(repeating: UInt8(ascii: " "), count: (64 - (json.count + 8) % 64) % 64))
      let partial = URL(fileURLWithPath: path + ".partial")
      try Data().write(to: partial)
      let file = try FileHandle(forWritingTo: partial)
      try unsafe file.write(contentsOf: withUnsafeBytes(of: UInt64(json.count).littleEndian) { unsafe Data($0) })
      try file.write(contentsOf: json)
      for tensor in ordered { try file.write(contentsOf: tensor.bytes) }
      try file.synchronize()
      try file.close()
      guard unsafe rename(partial.path, path) == 0 else {
        throw unsafe CocoaError(
          .fileWriteUnknown, userInfo: [NSLocalizedDescriptionKey: String(cString: strerror(errno))])
      }
    } catch {
      throw .unwritable(path: path, reason: error.localizedDescription)
    }
  }
}
