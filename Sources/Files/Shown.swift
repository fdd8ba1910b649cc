extension StringProtocol {
  /// As it can be shown on one line of a terminal or a log: what moves the cursor, begins a line, or turns the direction of writing is
  /// escaped, so that a name cannot write lines of its own.
  package var shown: String {
    var result = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0x0a: result.append(contentsOf: "\\n".unicodeScalars)
      case 0x0d: result.append(contentsOf: "\\r".unicodeScalars)
      case 0x09: result.append(contentsOf: "\\t".unicodeScalars)
      case 0...0x1f, 0x7f...0x9f, 0x2028, 0x2029, 0x202a...0x202e, 0x2066...0x2069:
        result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}
