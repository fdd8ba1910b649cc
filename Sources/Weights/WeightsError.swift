/// A model that cannot be read or made, and why. Every case names the file.
package enum WeightsError: Error, Equatable, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  /// The container is broken: truncated, or its header lies.
  case malformed(path: String, reason: String)
  /// A PyTorch archive that is broken, or holds more than weights.
  case archive(path: String, reason: String)
  case missingTensor(path: String, tensor: String)
  case badShape(path: String, tensor: String, expected: [Int], found: [Int])
  case badType(path: String, tensor: String, expected: String, found: String)
  case badValue(path: String, tensor: String, reason: String)
  case badConfig(path: String, reason: String)
  case notAModel(path: String)
  /// What nothing here reads, and what it is.
  case unread(path: String, what: String, names: [String])
  case unwritable(path: String, reason: String)

  package var path: String {
    switch self {
    case .unreadable(let path, _), .malformed(let path, _), .archive(let path, _), .missingTensor(let path, _), .badShape(let path, _, _, _),
      .badType(let path, _, _, _), .badValue(let path, _, _), .badConfig(let path, _), .notAModel(let path), .unread(let path, _, _),
      .unwritable(let path, _):
      path
    }
  }

  package var reason: String {
    switch self {
    case .unreadable(_, let reason): "cannot be read: \(reason)"
    case .malformed(_, let reason): "not a usable safetensors file: \(reason); get the file again"
    case .archive(_, let reason): "not a usable PyTorch archive: \(reason)"
    case .missingTensor(_, let tensor): "has no tensor '\(tensor)', which its config asks for; the config belongs to other weights"
    case .badShape(_, let tensor, let expected, let found):
      "tensor '\(tensor)' has shape \(found), its config asks for \(expected); the config belongs to other weights"
    case .badType(_, let tensor, let expected, let found): "tensor '\(tensor)' holds \(found), expected \(expected)"
    case .badValue(_, let tensor, let reason): "tensor '\(tensor)' \(reason); the weights are damaged"
    case .badConfig(_, let reason): reason
    case .notAModel: "is not a .ftf model; weights are converted first"
    case .unread(_, let what, let names):
      "holds \(what) that nothing here computes: \(names.prefix(3).joined(separator: ", "))"
        + (names.count > 3 ? " and \(names.count - 3) more" : "") + "; without them it would be another model"
    case .unwritable(_, let reason): "cannot be written: \(reason)"
    }
  }

  /// What was expected and what was found, where both are known.
  package var comparison: (expected: String, found: String)? {
    switch self {
    case .badShape(_, _, let expected, let found): ("\(expected)", "\(found)")
    case .badType(_, _, let expected, let found): (expected, found)
    default: nil
    }
  }

  package var description: String { "\(path): \(reason)" }
}
