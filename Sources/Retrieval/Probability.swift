import Foundation
import Weights

/// The chance that an image is what a sentence asks for, from its score and from those of the other candidates:
/// p = 1 / (1 + exp(-(bias + score s + share log(exp(s / temperature) / sum_candidates exp(s_k / temperature))))).
///
/// The score says whether the image fits at all, its share whether others fit as well. Fitted on captioned images, where an image
/// is right when the sentence is among its captions: images that would fit as well and have other captions count as wrong.
extension ProbabilityConfig {
  /// - Parameter scores: final scores of the candidates, and whatever follows them.
  /// - Parameter candidates: how many of them share.
  package func probabilities(_ scores: [Float], candidates: Int) -> [Double] {
    zip(scores, Self.shares(scores, candidates, temperature)).map { logistic(bias + score * Double($0) + share * $1) }
  }

  private static func shares(_ scores: [Float], _ candidates: Int, _ temperature: Double) -> [Double] {
    guard let most = scores.max() else { return [] }
    let sum = scores.prefix(candidates).reduce(0) { $0 + exp(Double($1 - most) / temperature) }
    return scores.map { Double($0 - most) / temperature - log(sum) }
  }

  /// The fit of greatest likelihood, by Newton's method, for the best of some temperatures.
  package init?(_ answers: [(scores: [Float], isRight: [Bool])]) {
    let fits = [0.01, 0.02, 0.05, 0.1].compactMap { temperature -> (config: ProbabilityConfig, loss: Double)? in
      var rows: [(x: SIMD3<Double>, y: Double)] = []
      for (scores, isRight) in answers {
        let shares = Self.shares(scores, scores.count, temperature)
        for i in scores.indices { rows.append((SIMD3(1, Double(scores[i]), shares[i]), isRight[i] ? 1 : 0)) }
      }
      // A chance that falls where the score rises would be noise: what asks for that is left out.
      guard var (w, loss) = Self.fit(rows) else { return nil }
      while let column = (1...2).first(where: { w[$0] < 0 }) {
        for i in rows.indices { rows[i].x[column] = 0 }
        guard let refitted = Self.fit(rows) else { return nil }
        (w, loss) = refitted
      }
      return (ProbabilityConfig(bias: w[0], score: w[1], share: w[2], temperature: temperature), loss)
    }
    guard let best = fits.min(by: { $0.loss < $1.loss }) else { return nil }
    self = best.config
  }

  private static func fit(_ rows: [(x: SIMD3<Double>, y: Double)]) -> (weights: [Double], loss: Double)? {
    let right = rows.reduce(0) { $0 + $1.y }
    guard right > 0, right < Double(rows.count) else { return nil }
    var w = SIMD3(log(right / (Double(rows.count) - right)), 0, 0)
    var step = SIMD3<Double>(repeating: 0)
    var best = (w: w, loss: Double.infinity)
    for _ in 0..<100 {
      var (gradient, hessian, loss) = ([0.0, 0, 0], [[Double]](repeating: [0, 0, 0], count: 3), 0.0)
      for (x, y) in rows {
        let z = (w * x).sum()
        let p = logistic(z)
        loss += log1p(exp(-abs(z))) + max(z, 0) - y * z
        for i in 0..<3 {
          gradient[i] += (p - y) * x[i]
          for j in 0...i { hessian[i][j] += p * (1 - p) * x[i] * x[j] }
        }
      }
      // A step that went too far is halved.
      guard loss < best.loss else {
        step /= 2
        if (step * step).sum() < 1e-16 { break }
        w = best.w - step
        continue
      }
      let gain = best.loss - loss
      best = (w, loss)
      if gain < 1e-9 * loss { break }
      // A breath of ridge keeps a column that says nothing from dividing by zero.
      for i in 0..<3 {
        hessian[i][i] += 1e-6
        for j in 0..<i { hessian[j][i] = hessian[i][j] }
      }
      let solution = solved(hessian, gradient)
      step = SIMD3(solution[0], solution[1], solution[2])
      w = best.w - step
    }
    let weights = [best.w.x, best.w.y, best.w.z]
    return weights.allSatisfy(\.isFinite) && best.loss.isFinite ? (weights, best.loss) : nil
  }

  private static func solved(_ a: [[Double]], _ b: [Double]) -> [Double] {
    var (a, b) = (a, b)
    for i in b.indices {
      for row in i + 1..<max(b.count, i + 1) {
        let factor = a[row][i] / a[i][i]
        for column in i..<b.count { a[row][column] -= factor * a[i][column] }
        b[row] -= factor * b[i]
      }
    }
    for i in b.indices.reversed() {
      for column in i + 1..<max(b.count, i + 1) { b[i] -= a[i][column] * b[column] }
      b[i] /= a[i][i]
    }
    return b
  }
}

private func logistic(_ z: Double) -> Double { 1 / (1 + exp(-z)) }

/// How far stated probabilities are from what came true.
package struct Reliability: Sendable {
  package struct Bin: Sendable {
    package var count = 0
    package var stated = 0.0
    package var right = 0.0
    package var meanStated: Double { stated / Double(max(count, 1)) }
    package var shareRight: Double { right / Double(max(count, 1)) }
  }

  /// Ten of equal width.
  package private(set) var bins = [Bin](repeating: Bin(), count: 10)

  /// - Parameter first: how many results of an answer count: those that a user looks at.
  package init(_ config: ProbabilityConfig, _ answers: [(scores: [Float], isRight: [Bool])], first: Int = 10) {
    for answer in answers {
      let probabilities = config.probabilities(answer.scores, candidates: answer.scores.count)
      for (p, right) in zip(probabilities.prefix(first), answer.isRight) {
        let i = min(Int(p * 10), 9)
        bins[i].count += 1
        bins[i].stated += p
        bins[i].right += right ? 1 : 0
      }
    }
  }

  /// The mean over all results of |stated - true| in their bins: the expected calibration error.
  package var expectedError: Double {
    let total = Double(max(bins.reduce(0) { $0 + $1.count }, 1))
    return bins.reduce(0) { $0 + abs($1.stated - $1.right) } / total
  }
}
