extension String {
  /// The lines of a text file, whose ends are LF or CR LF, without a byte-order mark. Swift takes CR LF for one character, which
  /// splitting at "\n" does not find.
  package var lines: [Substring] {
    var lines = unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      Substring(line.last == "\r" ? line.dropLast() : line)
    }
    if lines.last?.isEmpty == true { lines.removeLast() }
    if lines.first?.unicodeScalars.first == "\u{FEFF}" { lines[0].unicodeScalars.removeFirst() }
    return lines
  }
}
