/// Which of so many items are meant, a bit each: of a million that is 125 kB, which stays in the second cache, so nothing is packed further.
package struct Bitmap: Sendable, Equatable {
  /// Item i is bit i % 64 of word i / 64; bits beyond the last item are 0.
  private var words: [UInt64]
  package private(set) var count: Int

  package init() { (words, count) = ([], 0) }

  package init(repeating value: Bool, count: Int) {
    (words, self.count) = ([UInt64](repeating: value ? .max : 0, count: (count + 63) / 64), count)
    trim()
  }

  /// Asks for each item, from the first on.
  @inline(__always)
  package init<E: Error>(count: Int, _ isMeant: (Int) throws(E) -> Bool) throws(E) {
    (words, self.count) = ([], count)
    words.reserveCapacity((count + 63) / 64)
    for first in stride(from: 0, to: count, by: 64) {
      var word: UInt64 = 0
      for i in first..<min(first + 64, count) where try isMeant(i) { word |= 1 << UInt64(i - first) }
      words.append(word)
    }
  }

  private mutating func trim() { if count % 64 > 0 { words[words.count - 1] &= ~(.max << UInt64(count % 64)) } }

  package subscript(_ i: Int) -> Bool {
    get {
      precondition(i >= 0 && i < count)
      return words[i >> 6] >> UInt64(i & 63) & 1 == 1
    }
    set {
      precondition(i >= 0 && i < count)
      if newValue { words[i >> 6] |= 1 << UInt64(i & 63) } else { words[i >> 6] &= ~(1 << UInt64(i & 63)) }
    }
  }

  package mutating func append(_ other: Bitmap) {
    let shift = UInt64(count % 64)
    count += other.count
    guard shift > 0 else { return words += other.words }
    for word in other.words {
      words[words.count - 1] |= word << shift
      words.append(word >> (64 - shift))
    }
    words.removeLast(words.count - (count + 63) / 64)
  }

  package var hasAny: Bool { words.contains { $0 != 0 } }
  package var ones: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// How many of some items that follow each other are meant.
  package func ones(in range: Range<Int>) -> Int {
    var sum = 0
    forEachWord(in: range) { sum += $1.nonzeroBitCount }
    return sum
  }

  /// Those of some items that are meant, ascending.
  package func forEach(in range: Range<Int>, _ body: (Int) -> Void) {
    forEachWord(in: range) { first, word in
      var left = word
      while left != 0 {
        body(first + left.trailingZeroBitCount)
        left &= left - 1
      }
    }
  }

  private func forEachWord(in range: Range<Int>, _ body: (_ first: Int, _ word: UInt64) -> Void) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    guard !range.isEmpty else { return }
    for place in range.lowerBound >> 6...(range.upperBound - 1) >> 6 {
      var word = words[place]
      if place == range.lowerBound >> 6 { word &= .max << UInt64(range.lowerBound & 63) }
      if place == range.upperBound >> 6 { word &= ~(.max << UInt64(range.upperBound & 63)) }
      body(place << 6, word)
    }
  }

  package static func & (a: Bitmap, b: Bitmap) -> Bitmap { a.combined(b, &) }
  package static func | (a: Bitmap, b: Bitmap) -> Bitmap { a.combined(b, |) }

  package static prefix func ~ (a: Bitmap) -> Bitmap {
    var result = a
    for i in a.words.indices { result.words[i] = ~a.words[i] }
    result.trim()
    return result
  }

  private func combined(_ other: Bitmap, _ operation: (UInt64, UInt64) -> UInt64) -> Bitmap {
    precondition(count == other.count)
    var result = self
    for i in words.indices { result.words[i] = operation(words[i], other.words[i]) }
    return result
  }
}
