import FastThenFine
import Foundation
import FTFTestSupport
import Testing
import FTFTokenization

/// Against a full model and RSICD, which no checkout holds: `make check DATA=...` sets both variables.
private let environment = ProcessInfo.processInfo.environment

@Suite(.enabled(if: environment["FTF_CHECK"] != nil, "run by make check"))
struct FullModel {
  let folder = environment["FTF_CHECK"]!
  let images = environment["FTF_CHECK_IMAGES"]!

  @Test func tokensOfEveryCaptionMatchTransformers() throws {
    let engine = try Engine(path: "\(folder)/fp32.ftf", pool: ComputePool(threads: 1))
    let lists = try JSONDecoder().decode(
      Goldens.Lists.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/ids.json")))
    #expect(lists.sentences.count > 15_000)
    var wrong = 0
    for (sentence, ids) in zip(lists.sentences, lists.ids) where engine.tokens(sentence) != ids {
      wrong += 1
      if wrong < 20 { Issue.record("\(sentence.prefix(80).debugDescription): \(engine.tokens(sentence)) for \(ids)") }
    }
    #expect(wrong == 0)
  }

  @Test func pairsOfEveryCaptionMatchTransformers() throws {
    struct File: Decodable {
      struct Model: Decodable {
        var vocab: [String: Int]
        var merges: [[String]]
      }
      var model: Model
    }
    let file = try JSONDecoder().decode(
      File.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/clip/tokenizer.json")))
    let vocabulary = file.model.vocab.sorted { $0.value < $1.value }.map(\.key)
    let pairs = try BytePairEncoding(
      vocabulary: vocabulary, merges: file.model.merges.map { $0.joined(separator: " ") })
    let lists = try JSONDecoder().decode(
      Goldens.Lists.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/clip_ids.json")))
    #expect(lists.sentences.count > 15_000)
    for (sentence, ids) in zip(lists.sentences, lists.ids) where pairs.encode(sentence, limit: 77) != ids {
      Issue.record("\(sentence.prefix(80).debugDescription): \(pairs.encode(sentence, limit: 77)) for \(ids)")
    }
  }

  @Test func vectorsMatchPyTorch() throws {
    let engine = try Engine(path: "\(folder)/fp32.ftf")
    let goldens = try Goldens(folder: folder)
    let encoded = try engine.encode(imagePaths: goldens.lists.images.map { "\(images)/\($0)" }).map { try $0.get() }
    let texts = engine.encode(texts: goldens.lists.sentences)
    let longest = texts.map(\.words.count).max()!
    let words = texts.flatMap { $0.words + [Float](repeating: 0, count: longest - $0.words.count) }
    for (name, values) in [
      ("g", encoded.flatMap(\.global)), ("P", encoded.flatMap(\.patches)), ("t", texts.flatMap(\.sentence)),
      ("W", words),
    ] {
      let (worst, cosine) = distance(values, try goldens.floats(name), width: engine.dimension)
      print("\(name): max abs error \(worst), least cosine \(cosine)")
      #expect(worst <= 2e-4 && cosine >= 0.999999, "\(name): \(worst), \(cosine)")
    }
  }
}
