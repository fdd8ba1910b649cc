/// An index that cannot be used, and why. Every message names the file and the way out.
package enum IndexError: Error, Equatable, CustomStringConvertible {
  case notAnIndex(path: String)
  case unreadable(path: String, reason: String)
  case unwritable(path: String, reason: String)
  case damaged(path: String, reason: String)
  /// The index was built by another model than the one that is asked to extend or search it.
  case otherModel(path: String, index: String, given: String)
  case otherFormat(path: String, found: String)
  /// No item of the index has an attribute that a filter names.
  case unknownAttribute(path: String, name: String, near: [String])
  case badFilter(text: String, reason: String)
  case locked(path: String)
  case needsRepair(path: String, problem: String)

  package var description: String {
    switch self {
    case .notAnIndex(let path): "\(path): is not an index"
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    case .damaged(let path, let reason):
      "\(path): is damaged: \(reason); repair the index"
    case .otherModel(let path, let index, let given):
      "\(path): was built by another model (\(index)) than \(given); give that model, or build another index"
    case .otherFormat(let path, let found):
      "\(path): has format \(found), which this version does not read; build the index again"
    case .unknownAttribute(let path, let name, let near):
      "\(path): nothing in it has an attribute '\(name)'"
        + (near.isEmpty ? "" : "; did you mean \(near.map { "'\($0)'" }.joined(separator: " or "))?")
    case .badFilter(let text, let reason):
      "the filter '\(text)' cannot be read: \(reason); say year >= 2020 and sensor = 'S2'"
    case .needsRepair(let path, let problem): "\(path): has to be repaired first: \(problem)"
    case .locked(let path): "\(path): is being written by another process; wait for it to end"
    }
  }
}
