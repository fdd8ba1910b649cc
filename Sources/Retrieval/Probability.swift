import Foundation
import FTFWeights

/// What an answer was: final scores, best first, and for each whether it is right; and how much the answer counts.
package struct JudgedAnswer: Sendable {
  package var scores: [Float]
  package var isRight: [Bool]
  package var weight: Double

  package init(scores: [Float], isRight: [Bool], weight: Double = 1) { (self.scores, self.isRight, self.weight) = (scores, isRight, weight) }
}

/// The chance that an image shows what a sentence says, from its score: p = 1 / (1 + exp(-(bias + score s))).
///
/// It does not depend on what else is in the archive. Models that were tuned by an earlier version have a share too: of the scores of the other
/// candidates, share log(exp(s / temperature) / sum_candidates exp(s_k / temperature)) is added.
extension ProbabilityConfig {
  /// - Parameter scores: final scores of the candidates, and whatever follows them.
  /// - Parameter candidates: how many of them share.
  package func probabilities(_ scores: [Float], candidates: Int) -> [Double] {
    zip(scores, shares(scores, candidates)).map { logistic(bias + score * Double($0) + $1) }
  }

  private func shares(_ scores: [Float], _ candidates: Int) -> [Double] {
    guard share != 0, let most = scores.max() else { return scores.map { _ in 0 } }
    let sum = scores.prefix(candidates).reduce(0) { $0 + exp(Double($1 - most) / temperature) }
    return scores.map { share * (Double($0 - most) / temperature - log(sum)) }
  }

  /// The fit of greatest likelihood over the first results of answers, those that a user looks at; nil where all are right or all are wrong.
  package init?(_ answers: [JudgedAnswer], first: Int = 20) {
    let rows = answers.flatMap { answer in
      zip(answer.scores, answer.isRight).prefix(first).map { (x: Double($0), y: $1 ? 1.0 : 0, weight: answer.weight) }
    }
    let (all, right) = (rows.reduce(0) { $0 + $1.weight }, rows.reduce(0) { $0 + $1.y * $1.weight })
    guard right > 0, right < all else { return nil }
    var (bias, score) = (log(right / (all - right)), 0.0)
    // Newton's method: the likelihood is concave, and a breath of ridge keeps scores that are all equal from dividing by zero.
    for _ in 0..<100 {
      var (gradient, hessian) = (SIMD2<Double>(), SIMD3<Double>(1e-6, 0, 1e-6))
      for (x, y, weight) in rows {
        let p = logistic(bias + score * x)
        gradient += weight * (p - y) * SIMD2(1, x)
        hessian += weight * p * (1 - p) * SIMD3(1, x, x * x)
      }
      let determinant = hessian.x * hessian.z - hessian.y * hessian.y
      let step = SIMD2(hessian.z * gradient.x - hessian.y * gradient.y, hessian.x * gradient.y - hessian.y * gradient.x) / determinant
      // Far from the greatest likelihood the curve is flat, and a whole step would leave it.
      let length = min(1, 10 / max(abs(step.x), abs(step.y), .leastNormalMagnitude))
      (bias, score) = (bias - length * step.x, score - length * step.y)
      if abs(step.x) + abs(step.y) < 1e-9 { break }
    }
    // A chance that falls where the score rises would be noise.
    if score < 0 { (bias, score) = (log(right / (all - right)), 0) }
    guard bias.isFinite, score.isFinite else { return nil }
    self.init(bias: bias, score: score, share: 0, temperature: 1)
  }
}

private func logistic(_ z: Double) -> Double { 1 / (1 + exp(-z)) }

/// How far stated probabilities are from what came true.
package struct Reliability: Sendable {
  package struct Bin: Sendable {
    package var count = 0
    package var weight = 0.0
    package var stated = 0.0
    package var right = 0.0
    package var meanStated: Double { weight > 0 ? stated / weight : 0 }
    package var shareRight: Double { weight > 0 ? right / weight : 0 }
  }

  /// Ten of equal width.
  package private(set) var bins = [Bin](repeating: Bin(), count: 10)

  /// - Parameter first: how many results of an answer count: those that a user looks at.
  package init(_ config: ProbabilityConfig, _ answers: [JudgedAnswer], first: Int = 10) {
    for answer in answers {
      let probabilities = config.probabilities(answer.scores, candidates: answer.scores.count)
      for (p, right) in zip(probabilities.prefix(first), answer.isRight) {
        let i = min(Int(p * 10), 9)
        bins[i].count += 1
        bins[i].weight += answer.weight
        bins[i].stated += answer.weight * p
        bins[i].right += right ? answer.weight : 0
      }
    }
  }

  /// The mean over all results of |stated - true| in their bins: the expected calibration error.
  package var expectedError: Double {
    let total = bins.reduce(0) { $0 + $1.weight }
    return total > 0 ? bins.reduce(0) { $0 + abs($1.stated - $1.right) } / total : 0
  }
}
