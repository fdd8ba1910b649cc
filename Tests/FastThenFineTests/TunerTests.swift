import Testing
import Weights

@testable import FastThenFine

@Suite struct Tuning {
  /// What a guide adds to the parts of 200 images: the same noise, a mean of its own.
  private func trial(_ mean: Double, spread: Double = 0) -> Tuner.Trial {
    Tuner.Trial(setting: .recallOnly, gain: (0..<200).map { mean + ($0.isMultiple(of: 2) ? spread : -spread) })
  }

  @Test func aDearerGuideIsTakenWhereItIsBetterByMoreThanChance() {
    #expect(trial(1.3).isSurelyBetter(than: trial(1.2)))
    #expect(!trial(1.3, spread: 20).isSurelyBetter(than: trial(1.2)))
    #expect(trial(6, spread: 20).isSurelyBetter(than: trial(1.2)))
    #expect(!trial(1.2).isSurelyBetter(than: trial(1.2)))
  }
}
