import FTFTestSupport
import Testing

@testable import FastThenFine

/// What an index keeps of patches.
@Suite struct PooledPatches {
  @Test(arguments: [(1, 1), (2, 1), (3, 2), (7, 4), (14, 7), (16, 8)]) func everyPatchIsInAPart(side: Int, pooledSide: Int) {
    let (pooling, d) = (PatchPooling(side: side), 3)
    // Equal patches stay what they are, however many there are to a part.
    let same = pooling.pooled((0..<side * side).flatMap { _ in [0.6, 0, 0.8] as [Float] }, dimension: d)
    #expect(same.count == pooledSide * pooledSide * d)
    for i in same.indices { #expect(abs(same[i] - [0.6, 0, 0.8][i % d]) < 1e-6) }
    // Each patch moves a part of its own place and no part elsewhere.
    for patch in 0..<side * side {
      var one = [Float](repeating: 0, count: side * side * d)
      one[patch * d] = 1
      let moved = stride(from: 0, to: same.count, by: d).map { pooling.pooled(one, dimension: d)[$0] > 0 }
      let parts = moved.indices.filter { moved[$0] }
      #expect((1...4).contains(parts.count))
      for part in parts {
        #expect(abs(Double(part % pooledSide) + 0.5 - (Double(patch % side) + 0.5) * Double(pooledSide) / Double(side)) <= 1)
        #expect(abs(Double(part / pooledSide) + 0.5 - (Double(patch / side) + 0.5) * Double(pooledSide) / Double(side)) <= 1)
      }
    }
  }

  @Test func weightsAreSpreadOverTheGridAndKeepTheirSum() {
    var random = SeededGenerator(seed: 5)
    for side in [3, 7, 16] {
      let pooling = PatchPooling(side: side)
      let half = (side + 1) / 2
      let weights = random.floats(half * half).map(abs)
      let grid = pooling.spread(weights)
      #expect(grid.count == side * side && abs(grid.reduce(0, +) - weights.reduce(0, +)) < 1e-4)
      // The corner of the grid is the corner part's alone.
      #expect(abs(grid[0] - weights[0] / 4) < 1e-6 || side == 3)
      let whole = random.floats(side * side)
      #expect(pooling.spread(whole) == whole)
    }
  }
}
