import Foundation

/// What open_clip's and OpenAI's tokenizer does to a text before it cuts it into words: `ftfy.fix_text` (6.3) and, twice, `html.unescape`.
///
/// Of ftfy this is quotes, ligatures, widths, line ends, control characters, terminal escapes, C1 characters and NFC. Texts that were decoded
/// by a wrong encoding (mojibake) are left as they are.
package enum TextRepair {
  package static func repaired(_ text: String) -> String {
    // Of what most people ask nothing has to be repaired.
    guard text.utf8.contains(where: { $0 >= 0x80 || $0 == UInt8(ascii: "&") || $0 < 0x20 || $0 == 0x7f }) else { return text }
    var text = text
    for _ in 0..<8 {
      let before = text
      text = fixed(text)
      if text.utf8.elementsEqual(before.utf8) { break }
    }
    return unescaped(unescaped(text))
  }

  /// One pass of ftfy.
  private static func fixed(_ text: String) -> String {
    // A text with a tag in it may be HTML that somebody wants to see.
    let text = text.utf8.contains(UInt8(ascii: "<")) ? text : closedEntities(text)
    var result = String.UnicodeScalarView()
    var scalars = Array(text.unicodeScalars)[...]
    while let scalar = scalars.popFirst() {
      switch scalar.value {
      case 0x1b where scalars.first == "[":
        if let end = escapeEnd(scalars) { scalars = scalars[end...] } else { continue }
      case 0x0d:
        if scalars.first == "\n" { scalars = scalars.dropFirst() }
        result.append("\n")
      case 0x2028, 0x2029: result.append("\n")
      case 0...8, 0x0b, 0x0e...0x1f, 0x7f, 0x206a...0x206f, 0xfeff, 0xfff9...0xfffc: continue
      case 0x80...0x9f: result.append(windows1252[Int(scalar.value - 0x80)])
      case 0x2bc, 0x2018...0x201b: result.append("'")
      case 0x201c...0x201f: result.append("\"")
      case 0x3000: result.append(" ")
      case 0xff01...0xffef: result.append(contentsOf: String(scalar).precomposedStringWithCompatibilityMapping.unicodeScalars)
      default:
        if let ligature = ligatures[scalar] { result.append(contentsOf: ligature.unicodeScalars) } else { result.append(scalar) }
      }
    }
    return String(result).precomposedStringWithCanonicalMapping
  }

  /// Behind `\e[`, digits and semicolons, and a letter.
  private static func escapeEnd(_ scalars: ArraySlice<Unicode.Scalar>) -> Int? {
    guard let last = scalars.dropFirst().firstIndex(where: { !("0"..."9").contains($0) && $0 != ";" }), scalars[last].isASCII,
      scalars[last].properties.isAlphabetic
    else { return nil }
    return last + 1
  }

  private static let ligatures: [Unicode.Scalar: String] = [
    "\u{132}": "IJ", "\u{133}": "ij", "\u{149}": "\u{2BC}n", "\u{1F1}": "DZ", "\u{1F2}": "Dz", "\u{1F3}": "dz", "\u{1C4}": "D\u{17D}",
    "\u{1C5}": "D\u{17E}", "\u{1C6}": "d\u{17E}", "\u{1C7}": "LJ", "\u{1C8}": "Lj", "\u{1C9}": "lj", "\u{1CA}": "NJ", "\u{1CB}": "Nj",
    "\u{1CC}": "nj", "\u{FB00}": "ff", "\u{FB01}": "fi", "\u{FB02}": "fl", "\u{FB03}": "ffi", "\u{FB04}": "ffl", "\u{FB05}": "\u{17F}t",
    "\u{FB06}": "st",
  ]

  /// What 0x80 to 0x9f are in Windows-1252; five of them are nothing there, and stay.
  private static let windows1252: [Unicode.Scalar] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019,
    0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
  ].map { Unicode.Scalar($0 as UInt32)! }

  // MARK: HTML

  /// `&name;` and `&#number;`, with their semicolons, as ftfy takes them.
  private static func closedEntities(_ text: String) -> String {
    replacing(text) { body in
      guard let end = body.firstIndex(of: ";"), body[..<end].count <= 25,
        body[..<end].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "#") })
      else { return nil }
      let name = String(body[...end])
      guard let value = name.hasPrefix("#") ? number(name) : HTMLEntities.values[name] else { return nil }
      return (value, body[body.index(after: end)...])
    }
  }

  /// As Python's `html.unescape`, which is HTML's own rule: the longest name that is known counts, and some need no semicolon.
  static func unescaped(_ text: String) -> String {
    replacing(text) { body in
      if body.hasPrefix("#") {
        let isHex = body.dropFirst().first.map { $0 == "x" || $0 == "X" } ?? false
        let digits = body.dropFirst(isHex ? 2 : 1).prefix { $0.isASCII && (isHex ? $0.isHexDigit : $0.isNumber) }
        guard !digits.isEmpty else { return nil }
        let rest = body[digits.endIndex...]
        return (number("#\(isHex ? "x" : "")\(digits);") ?? "", rest.first == ";" ? rest.dropFirst() : rest)
      }
      var name = body.prefix(32).prefix { !"\t\n\u{c} <&#;".contains($0) }
      if body[name.endIndex...].first == ";" { name = body[..<body.index(after: name.endIndex)] }
      while name.count > 1 {
        if let value = HTMLEntities.values[String(name)] { return (value, body[name.endIndex...]) }
        name = name.dropLast()
      }
      return nil
    }
  }

  /// - Parameter value: what stands for the text behind an `&`, and what is left of it; nil where it is none.
  private static func replacing(_ text: String, _ value: (Substring) -> (String, Substring)?) -> String {
    guard text.utf8.contains(UInt8(ascii: "&")) else { return text }
    var (result, rest) = ("", text[...])
    while let sign = rest.firstIndex(of: "&") {
      result += rest[..<sign]
      let body = rest[rest.index(after: sign)...]
      if let (replacement, left) = value(body) {
        result += replacement
        rest = left
      } else {
        result += "&"
        rest = body
      }
    }
    return result + rest
  }

  /// Of `#65;` and `#x41;`; nothing for a number that is no character.
  private static func number(_ name: String) -> String? {
    let isHex = name.hasPrefix("#x") || name.hasPrefix("#X")
    guard let code = UInt64(name.dropFirst(isHex ? 2 : 1).dropLast(), radix: isHex ? 16 : 10) else { return "\u{FFFD}" }
    switch code {
    case 0, 0xd800...0xdfff, 0x110000...: return "\u{FFFD}"
    case 0x80...0x9f: return String(Character(windows1252[Int(code - 0x80)]))
    case 1...8, 0xb, 0xe...0x1f, 0x7f, 0xfdd0...0xfdef: return ""
    case _ where code & 0xfffe == 0xfffe: return ""
    default: return String(Character(Unicode.Scalar(UInt32(code))!))
    }
  }
}
