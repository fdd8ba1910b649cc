import Testing
import FTFWeights

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

/// Which images show what a sentence says, as far as captions tell.
@Suite struct Relevances {
  private let captions = [
    ["many planes are parked near a terminal", "an airport"], ["a plane on the runway of an airport"], ["a river with two bridges"],
    ["storage tanks beside a river"], ["some green trees"],
  ]
  private var relevance: Relevance { Relevance(captions, kinds: ["airport", "airport", "river", "StorageTanks", nil]) }

  @Test func wordsOfMeaningAreInTheSingular() {
    #expect(Relevance.words("Many planes are PARKED near the churches, and two bodies of glass.") == ["plane", "parked", "church", "body", "glass"])
    #expect(Relevance.words("some of the many").isEmpty)
  }

  @Test func captionsAgreeByTheirWordsOrByClassAndAWord() {
    let relevance = relevance
    func shown(_ sentence: String, of owner: Int) -> [Int] { captions.indices.filter { relevance.shows(sentence, of: owner, image: $0) } }
    #expect(shown("an airport", of: 0) == [0, 1])
    // Of the same class, and a plane in both.
    #expect(shown("many planes are parked near a terminal", of: 0) == [0, 1])
    #expect(shown("a river with two bridges", of: 2) == [2])
    #expect(shown("some green trees", of: 4) == [4])
  }

  @Test func classesAreAskedForInWords() {
    let relevance = relevance
    #expect(relevance.classes.map(\.sentence) == ["storage tanks", "airport", "river"])
    let river = relevance.classes[2]
    #expect(captions.indices.filter { relevance.isOf(river, image: $0) } == [2])
    #expect(Relevance.spelled("storagetanks", ["storage", "tanks", "bare"]) == "storage tanks")
    #expect(Relevance.spelled("bare_land-2", ["bare"]) == "bare land 2" && Relevance.spelled("SeaLake", []) == "sea lake")
  }
}
