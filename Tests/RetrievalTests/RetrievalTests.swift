import Foundation
import Kernels
import TestSupport
import Testing
import Weights

@testable import Retrieval

@Suite struct Recall {
  @Test(arguments: [0, 1, 2, 7, 50, 333]) func theOrderIsThatOfASortWithTiesByTheLowerItem(count: Int) {
    var random = SeededGenerator(seed: UInt64(count))
    // Few distinct values, so that ties are everywhere.
    let scores = (0..<count).map { _ in Float(Int.random(in: 0..<9, using: &random)) / 8 }
    for limit in [1, 3, 10, count, count + 5] {
      let expected = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(limit)
      let found = recall(scores.span, limit: limit)
      #expect(found.map(\.item) == Array(expected), "limit \(limit), seed \(random.seed)")
      #expect(found.map(\.recallRank) == Array(0..<found.count))
      #expect(found.allSatisfy { $0.recall == scores[$0.item] && $0.score == $0.recall })
    }
  }

  @Test func fusedScoresAreTheWeightedSumOfTheTwo() {
    let candidates = recall([0.5, 0.9, 0.7, 0.7].span, limit: 4)
    let fine: [Float] = [0.1, 0.4, 0.4, 0.9]
    func interaction(_ lambda: Float, _ fusion: InteractionConfig.Fusion) -> InteractionConfig {
      InteractionConfig(mode: .balanced, candidates: 4, tau: 0.1, beta: 0.5, lambda: lambda, fusion: fusion)
    }
    #expect(fused(candidates, fine: fine, interaction(0, .raw)).map(\.item) == [1, 2, 3, 0])
    #expect(fused(candidates, fine: fine, interaction(1, .raw)).map(\.item) == [0, 2, 3, 1])
    let raw = fused(candidates, fine: fine, interaction(0.25, .raw))
    #expect(abs(raw.first { $0.item == 1 }!.score - 0.7) < 1e-6)
    // Deviations of recall (n - 1): mean 0.7, sum of squares 0.08.
    let z = fused(candidates, fine: fine, interaction(0, .z))
    #expect(abs(z[0].score - Float(0.2 / (0.08 / 3).squareRoot())) < 1e-5)
    #expect(fused(candidates, fine: [1, 1, 1, 1], interaction(1, .z)).map(\.score) == [0, 0, 0, 0])
    #expect(fused([], fine: [], interaction(0.3, .z)).isEmpty)
  }

  @Test func theChanceOfAHitIsTheShareOfOrdersThatHaveOne() {
    // Scores 3 2 2 2 2 1; hits are two of the four equal ones.
    let keys = [3, 2, 2, 2, 2, 1].map { RankKey(isCandidate: true, score: $0) }
    let isHit: (Int) -> Bool = { $0 == 2 || $0 == 4 }
    let expected = [1: 0.0, 2: 0.5, 3: 1 - 1.0 / 6, 4: 1, 6: 1]
    for (k, chance) in expected { #expect(abs(chanceOfHit(keys, within: k, isHit: isHit) - chance) < 1e-12, "\(k)") }
    #expect(chanceOfHit(keys, within: 3) { _ in false } == 0)
    #expect(chanceOfHit(keys, within: 1) { $0 == 0 } == 1)
    let outside = [RankKey(isCandidate: false, score: 9), RankKey(isCandidate: true, score: -1)]
    #expect(chanceOfHit(outside, within: 1) { $0 == 0 } == 0 && chanceOfHit(outside, within: 2) { $0 == 0 } == 1)
  }
}

/// The interaction as `design` has it, with every vector formed, in double precision.
private func oracle(_ p: [[Double]], _ g: [Double], _ t: [Double], tau: Double, beta: Double) -> (Double, [Double]) {
  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
  func unit(_ a: [Double]) -> [Double] {
    let length = max(dot(a, a).squareRoot(), 1e-12)
    return a.map { $0 / length }
  }
  let a = p.map { dot($0, t) }
  let powers = a.map { exp(($0 - a.max()!) / tau) }
  let w = powers.map { $0 / powers.reduce(0, +) }
  let v = unit(t.indices.map { i in zip(w, p).reduce(0) { $0 + $1.0 * $1.1[i] } })
  let u = unit(t.indices.map { (1 - beta) * g[$0] + beta * v[$0] })
  return (dot(u, t), w)
}

@Suite struct Interactions {
  let d = 40
  let n = 9

  func unitRows(_ count: Int, _ random: inout SeededGenerator) -> [Float] {
    (0..<count).flatMap { _ in
      let row = random.floats(d)
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return row.map { $0 / length }
    }
  }

  func doubles(_ set: VectorSet) -> [[Double]] {
    (0..<set.count).map { row in
      (0..<d).map { i in
        switch set.storage {
        case .f32(let rows): Double(rows[row * d + i])
        case .int8(let codes, let scales): Double(scales[row]) * Double(codes[row * d + i])
        }
      }
    }
  }

  func config(_ mode: InteractionConfig.Mode, tau: Float = 0.1, beta: Float = 0.5) -> InteractionConfig {
    InteractionConfig(mode: mode, candidates: 10, tau: tau, beta: beta, lambda: 1, fusion: .raw)
  }

  @Test(arguments: Level.available, [Precision.fp32, .int8])
  func everyModeIsItsFormula(level: Level, precision: Precision) throws {
    let kernels = try KernelSet(level: level)
    for seed in UInt64(0)..<8 {
      var random = SeededGenerator(seed: seed)
      func set(_ count: Int, _ random: inout SeededGenerator) -> VectorSet {
        let rows = unitRows(count, &random)
        return precision == .fp32
          ? VectorSet(rows, dimension: d) : VectorSet(quantizing: rows, dimension: d, with: kernels)
      }
      let (patches, global) = (set(n, &random), set(1, &random))
      let (sentence, words) = (set(1, &random), set(Int(seed), &random))
      let image = FineImage(patches: patches, global: global, with: kernels)
      let text = FineText(sentence: sentence, words: words)
      let (p, g, t, w) = (doubles(patches), doubles(global)[0], doubles(sentence)[0], doubles(words))
      for (tau, beta) in [(0.1, 0.5), (0.02, 1.0), (1.0, 0.0), (0.3, 0.9)] {
        let (score, weights) = image.fine(text, config(.balanced, tau: Float(tau), beta: Float(beta)), with: kernels)
        let expected = oracle(p, g, t, tau: tau, beta: beta)
        #expect(abs(Double(score) - expected.0) < 1e-5, "seed \(seed)")
        #expect(zip(weights, expected.1).allSatisfy { abs(Double($0) - $1) < 1e-5 })
        let byWords = image.fine(text, config(.words, tau: Float(tau), beta: Float(beta)), with: kernels).score
        let parts = (w.isEmpty ? [t] : w).map { oracle(p, g, $0, tau: tau, beta: beta).0 }
        #expect(abs(Double(byWords) - parts.reduce(0, +) / Double(parts.count)) < 1e-5, "seed \(seed)")
      }
      let best = (w.isEmpty ? [t] : w).map { word in p.map { zip($0, word).reduce(0) { $0 + $1.0 * $1.1 } }.max()! }
      let maxsim = image.fine(text, config(.maxsim), with: kernels)
      #expect(abs(Double(maxsim.score) - best.reduce(0, +) / Double(best.count)) < 1e-5)
      #expect(abs(maxsim.weights.reduce(0, +) - 1) < 1e-5)
    }
  }

  @Test func theLawsOfTheInteractionHold() throws {
    let kernels = try KernelSet()
    var random = SeededGenerator(seed: 11)
    let (rows, g, t) = (unitRows(n, &random), unitRows(1, &random), unitRows(1, &random))
    func score(_ rows: [Float], tau: Float, beta: Float) -> Float {
      let image = FineImage(
        patches: VectorSet(rows, dimension: d), global: VectorSet(g, dimension: d), with: kernels)
      let text = FineText(sentence: VectorSet(t, dimension: d), words: VectorSet([], dimension: d))
      return image.fine(text, config(.balanced, tau: tau, beta: beta), with: kernels).score
    }
    let recall = zip(g, t).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(score(rows, tau: 0.1, beta: 0) - recall) < 1e-6, "beta 0 is recall")
    let dots = (0..<n).map { j in (0..<d).reduce(0) { $0 + rows[j * d + $1] * t[$1] } }
    #expect(abs(score(rows, tau: 1e-5, beta: 1) - dots.max()!) < 1e-5, "beta 1, tau to 0 is the best patch")
    let mean = (0..<d).map { i in (0..<n).reduce(0) { $0 + rows[$1 * d + i] } / Float(n) }
    let length = mean.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let pooled = zip(mean, t).reduce(0) { $0 + $1.0 * $1.1 } / length
    #expect(abs(score(rows, tau: 1e6, beta: 1) - pooled) < 1e-5, "tau to infinity pools the mean")
    let order = (0..<n).shuffled(using: &random)
    let shuffled = order.flatMap { Array(rows[$0 * d..<($0 + 1) * d]) }
    #expect(abs(score(shuffled, tau: 0.1, beta: 0.5) - score(rows, tau: 0.1, beta: 0.5)) < 1e-6, "order of patches")
  }
}
