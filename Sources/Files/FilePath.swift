import Foundation

/// The name of a file as the system has it: bytes, which need not be UTF-8, and which differ where two spellings look alike.
///
/// It goes through strings as a spelling: UTF-8 as it is, and every byte that is no part of UTF-8 as one character of a private
/// plane. Different names have different spellings.
package struct FilePath: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
  package let spelling: String

  /// Byte b is U+10F700 + b, for b of 128 and more.
  private static let escapes: UInt32 = 0x10F700

  /// - Parameter spelling: a path, or what `spelling` gave.
  package init(_ spelling: String) { self.spelling = spelling }

  package init(stringLiteral spelling: String) { self.spelling = spelling }

  package init(bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    // Nearly all are, and are known by it in a tenth of the time.
    if bytes.allSatisfy({ $0 < 0x80 }) {
      spelling = String(decoding: bytes, as: UTF8.self)
      return
    }
    var scalars = String.UnicodeScalarView()
    var decoder = Unicode.UTF8.ForwardParser()
    var (input, at) = (bytes.makeIterator(), 0)
    scan: while true {
      switch decoder.parseScalar(from: &input) {
      case .emptyInput: break scan
      case .valid(let code):
        let scalar = Unicode.UTF8.decode(code)
        // A real name that has such a character is spelled byte by byte, so that no two names have one spelling.
        if (Self.escapes + 128..<Self.escapes + 256).contains(scalar.value) {
          for byte in code { scalars.append(Self.escaped(byte)) }
        } else {
          scalars.append(scalar)
        }
        at += code.count
      case .error(let length):
        for byte in bytes[at..<at + length] { scalars.append(Self.escaped(byte)) }
        at += length
      }
    }
    spelling = String(scalars)
  }

  private static func escaped(_ byte: UInt8) -> Unicode.Scalar { Unicode.Scalar(escapes + UInt32(byte))! }

  private static func byte(_ scalar: Unicode.Scalar) -> UInt8? {
    (escapes + 128..<escapes + 256).contains(scalar.value) ? UInt8(scalar.value - escapes) : nil
  }

  /// Characters of the plane of the escapes begin with F4.
  package var isUTF8: Bool { !(unsafe withUTF8 { unsafe $0.contains(0xf4) }) || spelling.unicodeScalars.allSatisfy { Self.byte($0) == nil } }

  private func withUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    if let result = unsafe try spelling.utf8.withContiguousStorageIfAvailable(body) { return result }
    var text = spelling
    return try text.withUTF8(body)
  }

  package var bytes: [UInt8] {
    if isUTF8 { return Array(spelling.utf8) }
    return spelling.unicodeScalars.flatMap { scalar -> [UInt8] in
      if let byte = Self.byte(scalar) { return [byte] }
      return Array(String(Character(scalar)).utf8)
    }
  }

  /// For people: bytes that are no UTF-8 as \xff.
  package var description: String {
    if isUTF8 { return spelling }
    return spelling.unicodeScalars.map { scalar -> String in
      if let byte = Self.byte(scalar) { return "\\x" + String(byte, radix: 16) }
      return String(Character(scalar))
    }.joined()
  }

  package static func == (a: FilePath, b: FilePath) -> Bool { a.order(to: b) == 0 }
  package static func < (a: FilePath, b: FilePath) -> Bool { a.order(to: b) < 0 }
  package func hash(into hasher: inout Hasher) { unsafe withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) } }

  /// By the bytes.
  private func order(to other: FilePath) -> Int {
    unsafe withUTF8 { a in
      unsafe other.withUTF8 { b in
        let count = min(a.count, b.count)
        let order = unsafe count == 0 ? 0 : Int(memcmp(a.baseAddress!, b.baseAddress!, count))
        return order == 0 ? a.count - b.count : order
      }
    }
  }

  package func appending(_ name: FilePath) -> FilePath {
    FilePath(spelling.utf8.last == UInt8(ascii: "/") ? spelling + name.spelling : "\(spelling)/\(name.spelling)")
  }

  /// What follows the last slash.
  package var name: String {
    let bytes = spelling.utf8
    let end = bytes.last == UInt8(ascii: "/") ? bytes.index(before: bytes.endIndex) : bytes.endIndex
    let start = bytes[..<end].lastIndex(of: UInt8(ascii: "/")).map { bytes.index(after: $0) } ?? bytes.startIndex
    return String(spelling[start..<end])
  }

  /// The folder that it lies in; nil for the root.
  package var folder: FilePath? {
    guard let slash = spelling.utf8.lastIndex(of: UInt8(ascii: "/")), spelling.utf8.count > 1 else { return nil }
    return FilePath(slash == spelling.utf8.startIndex ? "/" : String(spelling[..<slash]))
  }

  /// What follows the last dot of the name, in lower case; empty where it has none.
  package var ending: String {
    let name = name
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot != name.utf8.startIndex else { return "" }
    return name[name.utf8.index(after: dot)...].lowercased()
  }

  package func isBelow(_ folder: FilePath) -> Bool {
    let other = folder.spelling.utf8
    guard other.last != UInt8(ascii: "/") else { return spelling.utf8.starts(with: other) && spelling.utf8.count > other.count }
    return spelling.utf8.starts(with: other) && spelling.utf8.dropFirst(other.count).first == UInt8(ascii: "/")
  }

  package func withCString<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    if isUTF8, !(unsafe withUTF8 { unsafe $0.contains(0) }) { return try unsafe spelling.withCString(body) }
    var terminated: [CChar] = bytes.compactMap { $0 == 0 ? nil : CChar(bitPattern: $0) }
    terminated.append(0)
    return try unsafe terminated.withUnsafeBufferPointer { try unsafe body($0.baseAddress!) }
  }

  /// From the root, without `.`, `..` and doubled slashes; nil where the working directory is gone.
  package var absolute: FilePath? {
    var path = bytes
    if path.first != UInt8(ascii: "/") {
      guard let working = unsafe getcwd(nil, 0) else { return nil }
      defer { unsafe free(working) }
      path = unsafe Array(Data(bytes: working, count: strlen(working))) + [UInt8(ascii: "/")] + path
    }
    var parts: [ArraySlice<UInt8>] = []
    for part in path.split(separator: UInt8(ascii: "/")) {
      if part.elementsEqual(".".utf8) { continue }
      guard part.elementsEqual("..".utf8) else {
        parts.append(part)
        continue
      }
      // Through a link, what lies above is above its target.
      let before = FilePath(bytes: parts.flatMap { [UInt8(ascii: "/")] + $0 })
      if let real = before.real { parts = real.bytes.split(separator: UInt8(ascii: "/")) }
      if !parts.isEmpty { parts.removeLast() }
    }
    return parts.isEmpty ? FilePath("/") : FilePath(bytes: parts.flatMap { [UInt8(ascii: "/")] + $0 })
  }

  /// With all links followed; nil where it is not there.
  package var real: FilePath? {
    guard let found = unsafe withCString({ unsafe realpath($0, nil) }) else { return nil }
    defer { unsafe free(found) }
    return FilePath(bytes: unsafe Data(bytes: found, count: strlen(found)))
  }
}
