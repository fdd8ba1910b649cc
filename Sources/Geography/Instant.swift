/// A time as text says it, with the precision that it is given in: RFC 3339, or a date of ISO 8601, which is all of its day. A time without a
/// zone is UTC's.
package struct Instant: Sendable, Hashable {
  /// Microseconds since 1970: the first and the last that are meant.
  package let first: Int64
  package let last: Int64

  private static let second: Int64 = 1_000_000
  private static let day: Int64 = 86_400 * second

  /// Nil for what is no time, such as the 31st of February.
  package init?(_ text: String) {
    var text = text
    let parsed = text.withUTF8 { bytes -> (Int64, Int64)? in
      var reader = unsafe InstantReader(bytes.span)
      return reader.instant()
    }
    guard let parsed else { return nil }
    (first, last) = parsed
  }

  /// As RFC 3339 has its beginning, in UTC; a fraction only where there is one.
  package var text: String { Self.text(first) }

  /// - Parameter microseconds: since 1970.
  package static func text(_ microseconds: Int64) -> String {
    func padded(_ value: Int64, _ count: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
    let days = microseconds >= 0 ? microseconds / day : -((day - 1 - microseconds) / day)
    let rest = microseconds - days * day
    let (year, month, date) = civil(days)
    let (seconds, part) = (rest / second, rest % second)
    var fraction = part == 0 ? "" : "." + padded(part, 6)
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(date, 2))T\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):"
      + "\(padded(seconds % 60, 2))\(fraction)Z"
  }

  /// Days since 1970 of a date of the Gregorian calendar: years begin in March, so that a leap day is a year's last.
  fileprivate static func days(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, date: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let part = (5 * dayOfYear + 2) / 153
    let month = part < 10 ? part + 3 : part - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1)
  }
}

private struct InstantReader: ~Copyable, ~Escapable {
  private let bytes: Span<UInt8>
  private var at = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  @_lifetime(self: copy self)
  private mutating func take(_ characters: StaticString) -> Bool {
    guard let next, unsafe UnsafeBufferPointer(start: characters.utf8Start, count: characters.utf8CodeUnitCount).contains(next) else { return false }
    at += 1
    return true
  }

  /// Exactly so many digits.
  @_lifetime(self: copy self)
  private mutating func number(_ count: Int) -> Int64? {
    guard at + count <= bytes.count else { return nil }
    var value: Int64 = 0
    for i in at..<at + count {
      guard (48...57).contains(bytes[i]) else { return nil }
      value = value * 10 + Int64(bytes[i] - 48)
    }
    at += count
    return value
  }

  @_lifetime(self: copy self)
  mutating func instant() -> (Int64, Int64)? {
    guard let year = number(4), take("-"), let month = number(2), take("-"), let date = number(2) else { return nil }
    let lengths: [Int64] = [31, year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...12).contains(month), (1...lengths[Int(month) - 1]).contains(date) else { return nil }
    let midnight = Instant.days(year, month, date) * 86_400_000_000
    if next == nil { return (midnight, midnight + 86_400_000_000 - 1) }
    guard take("Tt "), let hour = number(2), take(":"), let minute = number(2), hour < 24, minute < 60 else { return nil }
    var (seconds, fraction, precision): (Int64, Int64, Int64) = (0, 0, 60_000_000)
    if take(":") {
      guard let second = number(2), second <= 60 else { return nil }
      (seconds, precision) = (second, 1)
      if take(".,") {
        var (digits, scale): (Int, Int64) = (0, 100_000)
        while let digit = number(1) {
          fraction += digit * scale
          (digits, scale) = (digits + 1, scale / 10)
        }
        guard digits > 0 else { return nil }
      }
    }
    guard let zone = zone() else { return nil }
    let start = midnight + ((hour * 60 + minute - zone) * 60 + seconds) * 1_000_000 + fraction
    return (start, start + precision - 1)
  }

  /// Minutes east of UTC, to the end of the text.
  @_lifetime(self: copy self)
  private mutating func zone() -> Int64? {
    if next == nil { return 0 }
    if take("Zz") { return next == nil ? 0 : nil }
    let sign: Int64 = take("+") ? 1 : -1
    guard sign > 0 || take("-"), let hours = number(2), hours < 24 else { return nil }
    _ = take(":")
    guard next != nil else { return sign * hours * 60 }
    guard let minutes = number(2), minutes < 60, next == nil else { return nil }
    return sign * (hours * 60 + minutes)
  }
}
