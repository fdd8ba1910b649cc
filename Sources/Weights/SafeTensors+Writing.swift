import FTFFiles
import Foundation
import FTFKernels

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

/// A tensor that a file will hold.
package struct TensorPlan: Sendable {
  var name: String
  var type: ElementType
  var shape: [Int]
  var size: Int { shape.reduce(type.size, *) }

  package init(_ name: String, _ type: ElementType, _ shape: [Int]) {
    (self.name, self.type, self.shape) = (name, type, shape)
  }
}

/// Tensors that are made together, when their turn comes to be written.
package struct LazyTensors: Sendable {
  let plans: [TensorPlan]
  let make: @Sendable () throws(WeightsError) -> [StoredTensor]

  package init(_ plans: [TensorPlan], make: @escaping @Sendable () throws(WeightsError) -> [StoredTensor]) {
    (self.plans, self.make) = (plans, make)
  }
}

extension SafeTensors {
  /// Writes a file that appears whole or not at all; see `OutputFile`.
  ///
  /// Tensors of wider elements come first, so that each is aligned to its elements; the header is padded to 64 bytes. No
  /// more than one part is in memory at a time.
  package static func write(
    _ parts: [LazyTensors], metadata: [String: String], to path: String
  ) throws(WeightsError) {
    let ordered = parts.flatMap(\.plans).sorted { ($1.type.size, $0.name) < ($0.type.size, $1.name) }
    let metadata = metadata.merging([checksumKey: noChecksum]) { $1 }
    var header: [String: Any] = ["__metadata__": metadata]
    var offsets: [String: Int] = [:]
    var end = 0
    for plan in ordered {
      header[plan.name] = ["dtype": plan.type.rawValue, "shape": plan.shape, "data_offsets": [end, end + plan.size]]
      offsets[plan.name] = end
      end += plan.size
    }
    do {
      let output = try OutputFile(path)
      let partial = URL(fileURLWithPath: output.partial)
      var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
      json.append(Data(repeating: UInt8(ascii: " "), count: (64 - (json.count + 8) % 64) % 64))
      try Data().write(to: partial)
      let file = try FileHandle(forWritingTo: partial)
      try unsafe file.write(contentsOf: withUnsafeBytes(of: UInt64(json.count).littleEndian) { unsafe Data($0) })
      try file.write(contentsOf: json)
      for part in parts.sorted(by: { $0.plans[0].name < $1.plans[0].name }) {
        for tensor in try part.make() {
          try file.seek(toOffset: UInt64(8 + json.count + offsets[tensor.name]!))
          try file.write(contentsOf: tensor.bytes)
        }
      }
      try file.close()
      try seal(partial.path)
      try output.commit()
    } catch let error as WeightsError {
      throw error
    } catch let error as OutputFile.Failure {
      throw .unwritable(path: path, reason: error.reason)
    } catch {
      throw .unwritable(path: path, reason: error.systemReason)
    }
  }

  /// Writes tensors that are there already.
  package static func write(
    _ tensors: [StoredTensor], metadata: [String: String], to path: String
  ) throws(WeightsError) {
    let parts = tensors.map { tensor in
      LazyTensors([TensorPlan(tensor.name, tensor.type, tensor.shape)]) { () throws(WeightsError) in [tensor] }
    }
    try write(parts, metadata: metadata, to: path)
  }
}
