import FTFIndex

/// What an index keeps of a picture's patches, chosen when it is made.
public enum StoredPatches: String, Sendable, CaseIterable {
  /// Nothing: a picture takes a 25th of the room with the default model; recall alone answers, and nothing says where in a picture a sentence was found.
  case nothing = "none"
  /// Means of neighbours, a third as many (16 of 49 for the default model), in 8 bits a number. A patch alone is noisy: with the default model these find
  /// as well as all of them, and show more coarsely where.
  case pooled
  /// All of them, a code of 8 bits a number.
  case int8

  init(_ kept: KeptPatches) {
    switch kept {
    case .none: self = .nothing
    case .pooled: self = .pooled
    case .all: self = .int8
    }
  }

  var kept: KeptPatches {
    switch self {
    case .nothing: .none
    case .pooled: .pooled
    case .int8: .all
    }
  }
}

/// Patches of a grid joined with their neighbours: half as many a side, rounded up. Part i of a side is what lies between i/n and (i + 1)/n of it, patches
/// that a bound cuts being in both parts: of seven 0-1, 1-3, 3-5 and 5-6, of sixteen eight pairs.
struct PatchPooling {
  let side: Int

  private var pooledSide: Int { (side + 1) / 2 }
  private func part(_ i: Int) -> Range<Int> { i * side / pooledSide..<((i + 1) * side + pooledSide - 1) / pooledSide }

  /// The patches of each part of the grid, row by row.
  private var parts: [[Int]] {
    (0..<pooledSide * pooledSide).map { i in
      part(i / pooledSide).flatMap { y in part(i % pooledSide).map { x in y * side + x } }
    }
  }

  /// f32[side^2, dimension], rows of unit norm -> f32[parts, dimension], their means, of unit norm.
  func pooled(_ patches: [Float], dimension: Int) -> [Float] {
    precondition(patches.count == side * side * dimension)
    let parts = parts
    var means = [Float](repeating: 0, count: parts.count * dimension)
    for (row, part) in parts.enumerated() {
      let start = row * dimension
      for patch in part { for i in 0..<dimension { means[start + i] += patches[patch * dimension + i] } }
    }
    Engine.normalise(&means, rows: parts.count)
    return means
  }

  /// Weights of the parts over the whole grid, each part's shared evenly among its patches; weights of a whole grid stay as they are.
  func spread(_ weights: [Float]) -> [Float] {
    let parts = parts
    guard weights.count == parts.count, weights.count != side * side else { return weights }
    var grid = [Float](repeating: 0, count: side * side)
    for (weight, part) in zip(weights, parts) { for patch in part { grid[patch] += weight / Float(part.count) } }
    return grid
  }
}
