import Foundation
import FTFKernels
import FTFTestSupport
import Synchronization
import Testing
import FTFWeights

@testable import FTFRetrieval

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
    // The order of both normalised, on recall's scale: mean 0.7 and sum of squares 0.08 there, 0.45 and 0.33 of the fine scores.
    let z = fused(candidates, fine: fine, interaction(0, .z))
    #expect(z.map(\.score) == candidates.map(\.recall))
    let (recallDeviation, fineDeviation) = ((0.08 / 3).squareRoot(), (0.33 / 3).squareRoot())
    let both = fused(candidates, fine: fine, interaction(0.6, .z))
    for candidate in both {
      let f = Double(fine[candidates.firstIndex { $0.item == candidate.item }!])
      let normal = 0.4 * (Double(candidate.recall) - 0.7) / recallDeviation + 0.6 * (f - 0.45) / fineDeviation
      #expect(abs(Double(candidate.score) - (0.7 + normal * recallDeviation)) < 1e-5)
    }
    #expect(fused(candidates, fine: [1, 1, 1, 1], interaction(1, .z)).allSatisfy { abs($0.score - 0.7) < 1e-6 })
    let alike = recall([0.5, 0.5, 0.5].span, limit: 3)
    #expect(fused(alike, fine: [0.1, 0.9, 0.4], interaction(0.5, .z)).map(\.item) == [1, 2, 0])
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

  func doubles(_ rows: Rows) -> [[Double]] {
    (0..<rows.count).map { row in
      (0..<d).map { i in
        rows.isInt8
          ? Double(rows.scales[row]) * Double(rows.codes[row * d + i]) : Double(rows.floats[row * d + i])
      }
    }
  }

  func config(_ mode: InteractionConfig.Mode, tau: Float = 0.1, beta: Float = 0.5) -> InteractionConfig {
    InteractionConfig(mode: mode, candidates: 10, tau: tau, beta: beta, lambda: 1, fusion: .raw)
  }

  /// One image of `n` patches in memory.
  func images(_ g: [Float], _ p: [Float], _ precision: Precision, _ kernels: KernelSet) -> ItemSet {
    ItemSet(coarse: [g], fine: [p], dimension: d, areImages: true, precision: precision, with: kernels)
  }

  /// What rounding the Gram matrix to codes may cost a score. Each product is off by half a step of (range / 255), so that |v|^2 is
  /// off by `half` at most and <g, v> too; with |v|^2 and |u|^2 at least `least`, s_f is off by at most this.
  func bound(_ item: Item, beta: Double, guides: [[Double]], tau: Double) -> Double {
    guard item.gram.codes.count > 0 else { return 1e-5 }
    let half = Double(item.gram.step) / 2
    let (p, g) = (doubles(item.fine), doubles(item.coarse)[0])
    return guides.map { t in
      let (_, w) = oracle(p, g, t, tau: tau, beta: beta)
      let v = (0..<d).map { i in zip(w, p).reduce(0) { $0 + $1.0 * $1.1[i] } }
      func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      let (vv, vt, gv) = (dot(v, v), dot(v, t), dot(g, v))
      let unit = beta / vv.squareRoot()
      let uu = (1 - beta) * (1 - beta) * dot(g, g) + 2 * (1 - beta) * unit * gv + unit * unit * vv
      // d(1 / |v|) = half / (2 |v|^3); in |u|^2 both it and the products themselves change.
      let dUnit = beta * half / (2 * (vv - half) * (vv - half).squareRoot())
      let dUU = 2 * (1 - beta) * (dUnit * (abs(gv) + half) + unit * half)
      let numerator = abs((1 - beta) * dot(g, t) + unit * vt)
      return dUnit * abs(vt) / uu.squareRoot() + numerator * dUU / (2 * (uu - dUU) * (uu - dUU).squareRoot()) + 1e-5
    }.max()!
  }

  @Test(arguments: Level.available, [Precision.fp32, .int8])
  func everyModeIsItsFormula(level: Level, precision: Precision) throws {
    let kernels = try KernelSet(level: level)
    for (seed, n) in [(0, 9), (1, 1), (2, 14), (3, 15), (4, 16), (5, 17), (12, 49), (7, 31)] {
      var random = SeededGenerator(seed: UInt64(seed))
      // Patches of one image are alike: each is drawn about g.
      let g = unitRows(1, &random)
      let p = (0..<n).flatMap { _ -> [Float] in
        let row = zip(g, unitRows(1, &random)).map { $0 + $1 }
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return row.map { $0 / length }
      }
      let set = images(g, p, precision, kernels)
      let query = EncodedQuery(
        sentence: unitRows(1, &random), words: unitRows(seed, &random), precision: precision, with: kernels)
      let (patches, global) = (doubles(set.item(0).fine), doubles(set.item(0).coarse)[0])
      let (t, w) = (doubles(query.view.coarse)[0], doubles(query.view.fine))
      let guides = w.isEmpty ? [t] : w
      var scorer = PairScorer()
      func score(_ config: InteractionConfig) -> Double {
        Double(
          scorer.score(
            image: set.item(0), text: query.view, recall: nil, config, ahead: RawSpan(), with: kernels))
      }
      for (tau, beta) in [(0.1, 0.5), (0.02, 1.0), (1.0, 0.0), (0.3, 0.9)] {
        let balanced = config(.balanced, tau: Float(tau), beta: Float(beta))
        let expected = oracle(patches, global, t, tau: tau, beta: beta)
        let bounds = (one: bound(set.item(0), beta: beta, guides: [t], tau: tau), all: bound(set.item(0), beta: beta, guides: guides, tau: tau))
        #expect(abs(score(balanced) - expected.0) < bounds.one, "seed \(seed)")
        #expect(bounds.one < 0.01, "the bound says nothing")
        let attention = scorer.attention(image: set.item(0), text: query.view, balanced, with: kernels)
        #expect(zip(attention, expected.1).allSatisfy { abs(Double($0) - $1) < 1e-5 })
        let parts = guides.map { oracle(patches, global, $0, tau: tau, beta: beta).0 }
        let words = score(config(.words, tau: Float(tau), beta: Float(beta)))
        #expect(abs(words - parts.reduce(0, +) / Double(parts.count)) < bounds.all, "seed \(seed)")
      }
      let best = guides.map { word in patches.map { zip($0, word).reduce(0) { $0 + $1.0 * $1.1 } }.max()! }
      #expect(abs(score(config(.maxsim)) - best.reduce(0, +) / Double(best.count)) < 1e-5)
      let attention = scorer.attention(image: set.item(0), text: query.view, config(.maxsim), with: kernels)
      #expect(abs(attention.reduce(0, +) - 1) < 1e-5)
    }
  }

  @Test func theLawsOfTheInteractionHold() throws {
    let kernels = try KernelSet()
    var random = SeededGenerator(seed: 11)
    let (rows, g, t) = (unitRows(n, &random), unitRows(1, &random), unitRows(1, &random))
    func score(_ rows: [Float], tau: Float, beta: Float) -> Float {
      let query = EncodedQuery(sentence: t, words: [], precision: .fp32, with: kernels)
      var scorer = PairScorer()
      return scorer.score(
        image: images(g, rows, .fp32, kernels).item(0), text: query.view, recall: nil,
        config(.balanced, tau: tau, beta: beta), ahead: RawSpan(), with: kernels)
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

@Suite struct Pipelines {
  let d = 32
  let kernels: KernelSet
  init() throws { kernels = try KernelSet(threads: 2) }

  /// Images in sources of several sizes, with copies among them.
  func sources(_ counts: [Int], _ precision: Precision) -> [ItemSet] {
    var random = SeededGenerator(seed: 3)
    var (coarse, fine) = ([[Float]](), [[Float]]())
    return counts.map { count in
      for i in 0..<count {
        let isCopy = i % 5 == 4
        coarse.append(isCopy ? coarse[coarse.count - 3] : random.floats(d))
        fine.append(isCopy ? fine[fine.count - 3] : random.floats(7 * d))
      }
      return ItemSet(
        coarse: Array(coarse.suffix(count)), fine: Array(fine.suffix(count)), dimension: d, areImages: true,
        precision: precision, with: kernels)
    }
  }

  @Test(arguments: [Precision.fp32, .int8]) func manySourcesAnswerAsOneAndAFilterLeavesOut(precision: Precision) {
    let counts = [13, 0, 1, 40]
    let parts = sources(counts, precision)
    var random = SeededGenerator(seed: 5)
    let query = EncodedQuery(
      sentence: random.floats(d), words: random.floats(3 * d), precision: precision, with: kernels)
    for live in [nil, Bitmap(count: 54) { $0 % 3 != 1 }] {
      let pipeline = Pipeline(parts, live: live)
      #expect(pipeline.count == live?.ones ?? 54)
      // Each item by itself is what the whole has to agree with, to the last bit.
      let scores = (0..<54).map { item -> Float in
        let (source, index) = pipeline.place(item)
        let score = AlignedBuffer<Float>(count: 1, repeating: 0)
        kernels.dots(source.item(index).coarse, query.view.coarse, into: score)
        return score[0]
      }
      let order = (0..<54).filter { live?[$0] ?? true }.sorted { (scores[$1], $0) < (scores[$0], $1) }
      for limit in [0, 1, 10, 54, 100] {
        #expect(pipeline.recall(query, limit: limit, with: kernels).map(\.item) == Array(order.prefix(limit)))
      }
      let interaction = InteractionConfig(mode: .words, candidates: 20, tau: 0.1, beta: 0.5, lambda: 0.6, fusion: .raw)
      let found = pipeline.reranked(
        pipeline.recall(query, limit: 30, with: kernels), for: query, interaction, with: kernels)
      #expect(found.suffix(10).map(\.item) == Array(order[20..<30]), "what lies beyond the candidates stays")
      #expect(zip(found, found.dropFirst()).allSatisfy { $0.score >= $1.score }, "a score never rises along the list")
      for candidate in found.prefix(20) {
        let (source, index) = pipeline.place(candidate.item)
        var scorer = PairScorer()
        let fine = scorer.score(
          image: source.item(index), text: query.view, recall: nil, interaction, ahead: RawSpan(), with: kernels)
        #expect(candidate.score == (1 - interaction.lambda) * scores[candidate.item] + interaction.lambda * fine)
      }
    }
  }
}

extension Pipelines {
  /// More images than are scanned at once, and every number of queries up to more than a tile of the kernel.
  @Test(arguments: [Precision.fp32, .int8]) func queriesThatShareAScanFindWhatEachFindsAlone(precision: Precision) {
    let parts = sources([1500, 0, 3, 700], precision)
    var random = SeededGenerator(seed: 6)
    let queries = (0..<9).map { _ in
      EncodedQuery(sentence: random.floats(d), words: random.floats(2 * d), precision: precision, with: kernels)
    }
    for live in [nil, Bitmap(count: 2203) { $0 % 7 != 2 }, Bitmap(count: 2203) { $0 % 97 == 2 }, Bitmap(count: 2203) { $0 == 1502 }] {
      let pipeline = Pipeline(parts, live: live)
      for count in 1...queries.count {
        let (some, limits) = (Array(queries.prefix(count)), (0..<count).map { [10, 1, 0, 3000, 60][$0 % 5] })
        let together = pipeline.recall(some, limits: limits, with: kernels)
        for i in some.indices { #expect(together[i] == pipeline.recall(some[i], limit: limits[i], with: kernels), "\(count) \(i)") }
      }
    }
  }
}

/// A set that notes what a scan let go.
private struct NotedSet: ItemSource {
  let items: ItemSet
  let passed: PassedRows
  var count: Int { items.count }
  var coarse: Rows {
    @_lifetime(borrow self)
    get { items.coarse }
  }
  @_lifetime(borrow self)
  func item(_ index: Int) -> Item { items.item(index) }
  @_lifetime(borrow self)
  func bytes(ofItem index: Int) -> RawSpan { items.bytes(ofItem: index) }
  func bring(_ index: Int) {}
  func pass(_ rows: Range<Int>) { passed.rows.withLock { $0 += rows } }
}

private final class PassedRows: Sendable {
  let rows = Mutex<[Int]>([])
}

extension Pipelines {
  @Test func theLastQueryLetsGoOfEveryRowItReadAndFindsTheSame() {
    let sets = sources([20_000, 3, 700], .int8).map { NotedSet(items: $0, passed: PassedRows()) }
    var random = SeededGenerator(seed: 7)
    let query = EncodedQuery(sentence: random.floats(d), words: random.floats(2 * d), precision: .int8, with: kernels)
    for live in [nil, Bitmap(count: 20_703) { $0 >= 2048 }] {
      let pipeline = Pipeline(sets, live: live)
      let found = pipeline.recall(query, limit: 50, with: kernels)
      for set in sets { #expect(set.passed.rows.withLock { $0 }.isEmpty) }
      #expect(pipeline.recall(query, limit: 50, isLast: true, with: kernels) {} == found)
      for (set, first) in zip(sets, [live == nil ? 0 : 2048, 0, 0]) {
        let rows = set.passed.rows.withLock { rows in
          defer { rows = [] }
          return rows
        }
        #expect(rows.sorted() == Array(first..<set.count))
      }
    }
  }
}

@Suite struct Probabilities {
  /// Answers whose right images were drawn with the chances of a known model: the fit states those chances again.
  @Test func aFitFindsTheChancesThatAnswersWereDrawnWith() throws {
    var random = SeededGenerator(seed: 4)
    let truth = ProbabilityConfig(bias: -3, score: 8, share: 0, temperature: 1)
    let answers = (0..<3000).map { _ -> JudgedAnswer in
      let level = Float.random(in: 0.1...0.6, using: &random)
      let scores = (0..<20).map { _ in level + Float.random(in: -0.1...0.1, using: &random) }.sorted(by: >)
      let chances = truth.probabilities(scores, candidates: scores.count)
      return JudgedAnswer(scores: scores, isRight: chances.map { Double.random(in: 0...1, using: &random) < $0 })
    }
    let found = try #require(ProbabilityConfig(answers))
    #expect(abs(found.bias - truth.bias) < 0.2 && abs(found.score - truth.score) < 0.4 && found.share == 0)
    let differences = answers.prefix(200).flatMap { answer in
      zip(truth.probabilities(answer.scores, candidates: 20), found.probabilities(answer.scores, candidates: 20)).map { abs($0 - $1) }
    }
    #expect(differences.max()! < 0.05)
    let reliability = Reliability(found, answers)
    #expect(reliability.expectedError < 0.02)
    #expect(reliability.bins.reduce(0) { $0 + $1.count } == 30_000)
    let wrong = ProbabilityConfig(bias: truth.bias + 2, score: truth.score, share: truth.share, temperature: truth.temperature)
    #expect(Reliability(wrong, answers).expectedError > 0.1, "a measure that finds no fault says nothing")
  }

  @Test func aChanceNeverFallsWhereTheScoreRises() throws {
    // Right is what has the lowest score.
    var answers: [JudgedAnswer] = []
    for i in 0..<50 { answers.append(JudgedAnswer(scores: [0.5, 0.4, 0.3 - Float(i) / 1000], isRight: [false, i % 10 == 0, true])) }
    let config = try #require(ProbabilityConfig(answers))
    #expect(config.score == 0)
    #expect(abs(config.probabilities([0.9], candidates: 1)[0] - 55.0 / 150) < 1e-6)
  }

  @Test func nothingToLearnFromIsNoFit() {
    #expect(ProbabilityConfig([]) == nil)
    #expect(ProbabilityConfig([JudgedAnswer(scores: [0.5, 0.2], isRight: [false, false])]) == nil)
  }

  /// Ten answers of weight one outweigh a thousand that count for little.
  @Test func answersCountByTheirWeight() throws {
    var answers = (0..<1000).map { i in JudgedAnswer(scores: [0.5, 0.4], isRight: [false, i == 0], weight: 0.001) }
    answers += (0..<10).map { i in JudgedAnswer(scores: [0.5, 0.4], isRight: [true, i != 0], weight: 1) }
    let config = try #require(ProbabilityConfig(answers))
    #expect(config.probabilities([0.5, 0.4], candidates: 2).allSatisfy { $0 > 0.8 })
    #expect(Reliability(config, answers).expectedError < 0.1)
  }

  @Test func chancesFallAlongTheListAndWithEveryScore() {
    let config = ProbabilityConfig(bias: -3, score: 5, share: 1, temperature: 0.05)
    let high = config.probabilities([0.5, 0.4, 0.3], candidates: 3)
    #expect(high == high.sorted(by: >))
    let low = config.probabilities([0.2, 0.1, 0], candidates: 3)
    #expect(zip(high, low).allSatisfy { $0 > $1 })
    #expect(config.probabilities([0.5, 0.5, 0.5], candidates: 3)[0] < high[0], "others fit as well")
  }
}

@Suite struct Tuning {
  /// Images whose global vectors are noise and whose patches are not: a rerank can only help.
  @Test func trialsCountAsTheEvaluationDoesAndSeeWhatARerankGives() throws {
    var random = SeededGenerator(seed: 6)
    let (n, d, patches) = (40, 16, 4)
    func unit(_ x: [Float]) -> [Float] {
      let norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return x.map { $0 / norm }
    }
    let topics = (0..<n).map { _ in unit(random.floats(d)) }
    let globals = topics.map { topic in unit(zip(topic, random.floats(d)).map { $0 + 0.7 * $1 }) }
    let fine = topics.map { topic in (0..<patches).flatMap { $0 == 0 ? topic : unit(random.floats(d)) } }
    let owner = (0..<2 * n).map { $0 / 2 }
    let sentences = owner.map { i in unit(zip(topics[i], random.floats(d)).map { $0 + 0.2 * $1 }) }
    let kernels = try KernelSet(threads: 2)
    let evaluation = Evaluation(
      globals: globals, patches: fine, sentences: sentences, words: sentences, owner: owner, dimension: d, precision: .fp32,
      with: kernels)
    let trials = RerankTrials(evaluation, limit: 80)
    let settings = [Float(0.3), 1].flatMap { lambda in
      [15, 80].map { InteractionConfig(mode: .balanced, candidates: $0, tau: 0.05, beta: 0.9, lambda: lambda, fusion: .z) }
    }
    let parts = trials.parts([nil] + settings)
    for (setting, part) in zip([nil] + settings, parts) {
      let mean = part.reduce(0, +) / Double(n)
      #expect(abs(mean - evaluation.scores(setting).meanRecall) < 1e-9)
    }
    let gain = Interval(zip(parts[4], parts[0]).map { $0 - $1 })
    #expect(gain.low > 0 && gain.low < gain.mean && gain.mean < gain.high)
    #expect(Interval([Double](repeating: 2, count: 5)) == Interval([Double](repeating: 2, count: 5)))
  }
}

@Suite struct Hubs {
  private let d = 16

  private func unit(_ x: [Float]) -> [Float] {
    let norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return x.map { $0 / norm }
  }

  @Test(arguments: [Precision.fp32, .int8]) func hubnessIsItsFormula(precision: Precision) throws {
    var random = SeededGenerator(seed: 12)
    let kernels = try KernelSet(threads: 1)
    let rows = (0..<50).map { _ in unit(random.floats(d)) }
    let item = unit(random.floats(d))
    let hubness = Hubness(
      bank: rows.flatMap { $0 }, temperature: 0.1, range: Hubness.Range(level: 0.2, floor: -.infinity), dimension: d, precision: precision,
      with: kernels)
    let mean = rows.reduce(0.0) { sum, row in
      sum + exp(zip(row, item).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / 0.1) / 50
    }
    let value = hubness.value(of: VectorSet(item, precision, dimension: d, with: kernels).view, with: kernels)
    #expect(abs(Double(value) - (0.1 * log(mean) - 0.2)) < (precision == .fp32 ? 1e-5 : 0.01))
  }

  /// What is like nothing that is asked is no better an answer for that: it has what a tenth of the items lie below.
  @Test func whatIsLikeNothingGetsNoMoreThanMostItems() throws {
    var random = SeededGenerator(seed: 14)
    let kernels = try KernelSet(threads: 1)
    let sentences = (0..<40).map { _ in unit([1] + random.floats(d - 1).map { 0.5 * $0 }) }
    let items = (0..<30).map { _ in unit([1] + random.floats(d - 1).map { 0.5 * $0 }) }
    let bank = sentences.flatMap { $0 }
    func value(_ hubness: Hubness, _ item: [Float]) -> Float {
      hubness.value(of: VectorSet(item, .fp32, dimension: d, with: kernels).view, with: kernels)
    }
    let plain = Hubness(bank: bank, temperature: 0.1, dimension: d, precision: .fp32, with: kernels)
    let values = items.map { value(plain, $0) }
    let range = Hubness.Range(values)
    #expect(values.filter { $0 < range.floor }.count == 3)
    #expect(abs(range.level - values.reduce(0, +) / 30) < 1e-6)
    let away = unit([-1] + [Float](repeating: 0, count: d - 1))
    for hubness in [
      Hubness(bank: bank, temperature: 0.1, range: range, dimension: d, precision: .fp32, with: kernels),
      Hubness(bank: bank, temperature: 0.1, items: items, dimension: d, precision: .fp32, with: kernels),
    ] {
      #expect(value(plain, away) < range.floor)
      #expect(abs(value(hubness, away) - (range.floor - range.level)) < 1e-6)
      for (item, plainly) in zip(items, values) where plainly >= range.floor {
        #expect(abs(value(hubness, item) - (plainly - range.level)) < 1e-6)
      }
    }
  }

  /// One image lies where all sentences are: it comes first for every sentence until its hubness is taken off.
  @Test(arguments: [Precision.fp32, .int8]) func aHubComesFirstNoLonger(precision: Precision) throws {
    var random = SeededGenerator(seed: 13)
    let kernels = try KernelSet(threads: 2)
    let n = 12
    let middle = unit(random.floats(d))
    let topics = (0..<n).map { _ in unit(zip(middle, random.floats(d)).map { $0 + 0.5 * $1 }) }
    // The hub, and images a little beside their sentences.
    let globals = [middle] + topics.map { unit(zip($0, random.floats(d)).map { $0 - 0.45 * $1 }) }
    let sentences = [middle] + topics
    func firsts(_ share: Float) -> Int {
      let evaluation = Evaluation(
        globals: globals, patches: globals, sentences: sentences, words: sentences, owner: Array(0...n), dimension: d,
        precision: precision,
        hubness: (
          Hubness(
            bank: topics.flatMap { $0 }, temperature: 0.05, dimension: d, precision: precision, with: kernels),
          Hubness(
            bank: topics.flatMap { $0 }, temperature: 0.05, dimension: d, precision: precision, with: kernels)
        ), with: kernels)
      let setting = InteractionConfig(
        mode: .balanced, candidates: n + 1, tau: 0.1, beta: 0.5, lambda: 0, fusion: .raw, hubness: share)
      return Int((evaluation.scores(setting).textToImage[0] * Double(n + 1) / 100).rounded())
    }
    #expect(firsts(1) > firsts(0))
  }

  @Test func aShareOfNothingChangesNothing() {
    let setting = InteractionConfig(mode: .balanced, candidates: 3, tau: 0.1, beta: 0.5, lambda: 0.5, fusion: .raw, hubness: 0.5)
    let candidates = [Float(0.5), 0.4, 0.3].enumerated().map { Candidate(item: $0, recall: $1, recallRank: $0, score: $1) }
    #expect(fused(candidates, fine: [0.5, 0.4, 0.3], setting).map(\.item) == [0, 1, 2])
    #expect(fused(candidates, fine: [0.5, 0.4, 0.3], hubness: [0.5, 0, 0], setting).map(\.item) == [1, 2, 0])
  }
}
