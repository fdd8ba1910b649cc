import FTFKernels
import FTFTestSupport
import Testing

/// Which items are meant, against an array of truths.
@Suite struct Bitmaps {
  private func truths(_ count: Int, _ seed: UInt64) -> [Bool] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in .random(using: &random) }
  }

  private func all(_ map: Bitmap) -> [Bool] { (0..<map.count).map { map[$0] } }

  @Test(arguments: [0, 1, 63, 64, 65, 128, 1000]) func aBitmapIsWhatItsItemsSay(count: Int) {
    let (a, b) = (truths(count, 1), truths(count, 2))
    let (x, y) = (Bitmap(count: count) { a[$0] }, Bitmap(count: count) { b[$0] })
    #expect(all(x) == a && x.ones == a.count { $0 } && x.hasAny == a.contains(true))
    #expect(all(x & y) == zip(a, b).map { $0 && $1 } && all(x | y) == zip(a, b).map { $0 || $1 } && all(~x) == a.map { !$0 })
    #expect((~x).ones == count - x.ones && Bitmap(repeating: true, count: count).ones == count && !Bitmap(repeating: false, count: count).hasAny)
    var changed = Bitmap(repeating: false, count: count)
    for i in 0..<count { changed[i] = a[i] }
    #expect(changed == x)
    for i in 0..<count { changed[i] = !changed[i] }
    #expect(changed == ~x)
    for start in stride(from: 0, through: count, by: max(1, count / 13)) {
      for end in stride(from: start, through: count, by: max(1, count / 17)) {
        var found: [Int] = []
        x.forEach(in: start..<end) { found.append($0) }
        #expect(found == (start..<end).filter { a[$0] } && x.ones(in: start..<end) == found.count)
      }
    }
  }

  @Test func whatIsAppendedComesBehind() {
    var (map, expected) = (Bitmap(), [Bool]())
    for (i, count) in [0, 3, 64, 61, 0, 127, 1, 200].enumerated() {
      let more = truths(count, UInt64(i))
      map.append(Bitmap(count: count) { more[$0] })
      expected += more
      #expect(map.count == expected.count && all(map) == expected && map == Bitmap(count: expected.count) { expected[$0] })
    }
  }
}
