/// An index that cannot be used, and why. Every message names the file and the way out.
package enum IndexError: Error, Equatable, CustomStringConvertible {
  case notAnIndex(path: String)
  case unreadable(path: String, reason: String)
  case unwritable(path: String, reason: String)
  case damaged(path: String, reason: String)
  /// The index was built by another model than the one that is asked to extend or search it.
  case otherModel(path: String, index: String, given: String)
  /// A part of an index that keeps other things of its pictures than the index does.
  case otherKind(path: String, found: String, expected: String)
  case otherFormat(path: String, found: String)
  /// No item of the index has an attribute that a filter names.
  case unknownAttribute(path: String, name: String, near: [String])
  case badFilter(text: String, reason: String)
  case locked(path: String)
  case needsRepair(path: String, problem: String)

  package var path: String? {
    switch self {
    case .notAnIndex(let path), .unreadable(let path, _), .unwritable(let path, _), .damaged(let path, _), .otherModel(let path, _, _),
      .otherKind(let path, _, _), .otherFormat(let path, _), .unknownAttribute(let path, _, _), .locked(let path), .needsRepair(let path, _):
      path
    case .badFilter: nil
    }
  }

  package var reason: String {
    switch self {
    case .notAnIndex: "is not an index"
    case .unreadable(_, let reason): "cannot be read: \(reason)"
    case .unwritable(_, let reason): "cannot be written: \(reason)"
    case .damaged(_, let reason): "is damaged: \(reason); repair the index"
    case .otherModel(_, let index, let given):
      "was built by another model (\(index)) than \(given); give that model, or build another index"
    case .otherKind(_, let found, let expected): "holds \(found) of each picture, the index \(expected); index it as the other was"
    case .otherFormat(_, let found): "has format \(found), which this version does not read; build the index again"
    case .unknownAttribute(_, let name, let near):
      "nothing in it has an attribute '\(name)'"
        + (near.isEmpty ? "" : "; did you mean \(near.map { "'\($0)'" }.joined(separator: " or "))?")
    case .badFilter(let text, let reason):
      "the filter '\(text)' cannot be read: \(reason); say year >= 2020 and sensor = 'S2'"
    case .needsRepair(_, let problem): "has to be repaired first: \(problem)"
    case .locked: "is being written by another process; wait for it to end"
    }
  }

  /// What was expected and what was found, where both are known.
  package var comparison: (expected: String, found: String)? {
    switch self {
    case .otherModel(_, let index, let given): (index, given)
    case .otherKind(_, let found, let expected): (expected, found)
    default: nil
    }
  }

  package var description: String { path.map { "\($0): \(reason)" } ?? reason }
}
