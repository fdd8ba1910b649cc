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
  /// What nothing here reads, and what it is.
  case unread(path: String, what: String, names: [String])
  case unwritable(path: String, reason: String)

  package var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .malformed(let path, let reason): "\(path): not a usable safetensors file: \(reason); get the file again"
    case .archive(let path, let reason): "\(path): not a usable PyTorch archive: \(reason)"
    case .missingTensor(let path, let tensor):
      "\(path): has no tensor '\(tensor)', which its config asks for; the config belongs to other weights"
    case .badShape(let path, let tensor, let expected, let found):
      "\(path): tensor '\(tensor)' has shape \(found), its config asks for \(expected); the config belongs to other weights"
    case .badType(let path, let tensor, let expected, let found):
      "\(path): tensor '\(tensor)' holds \(found), expected \(expected)"
    case .badValue(let path, let tensor, let reason): "\(path): tensor '\(tensor)' \(reason); the weights are damaged"
    case .badConfig(let path, let reason): "\(path): \(reason)"
    case .unread(let path, let what, let names):
      "\(path): holds \(what) that nothing here computes: \(names.prefix(3).joined(separator: ", "))"
        + (names.count > 3 ? " and \(names.count - 3) more" : "") + "; without them it would be another model"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    }
  }
}
