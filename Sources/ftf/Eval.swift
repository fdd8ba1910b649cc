import ArgumentParser
import FastThenFine
import FTFFiles
import Foundation

struct Eval: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure retrieval: R@1, R@5, R@10 both ways and their mean, recall only and reranked.",
    discussion: "Example: ftf eval small.ftf --images rsicd/images --captions rsicd/captions.jsonl --split val")

  @Argument(help: "The model file.")
  var model: String

  @Option(help: "Folder of the images.")
  var images: String

  @Option(help: "JSON lines of filename, split and captions.")
  var captions: String

  @Option(help: "Which lines to use.")
  var split = "val"

  @Option(help: "fp32 searches the vectors as they are, int8 their codes; the model's own by default.")
  var precision: Precision?

  @Option(help: "How many of the eight symmetries of an image are encoded, and averaged: 1, 2, 4 or 8.")
  var views = Views.one

  @Option(help: "Patches as an index keeps them: int8 or pooled.")
  var patches = StoredPatches.int8

  @OptionGroup var rerank: RerankOptions
  @OptionGroup var machine: Machine

  @Flag(help: "JSON on stdout.")
  var json = false

  func validate() throws {
    if patches == .nothing { throw ValidationError("--patches none leaves nothing to rerank by; --interaction none measures recall alone") }
  }

  func run() throws {
    let engine = try machine.engine(model)
    let interaction = rerank.settings
    let file = try CaptionsFile(path: captions)
    if let problem = file.problems.first { throw Failure(problem) }
    let lines = file.lines.filter { $0.split == split }
    guard !lines.isEmpty else { throw Failure("\(captions): no line has the split '\(split)'") }

    let progress = Progress("images", total: lines.count)
    let encoded = try engine.encode(imagePaths: lines.map { "\(images)/\($0.filename)" }, views: views, progress: progress.add)
      .map { engine.kept(try $0.get(), patches) }
    progress.finish()
    let sentences = lines.flatMap(\.captions)
    let textProgress = Progress("captions", total: sentences.count)
    let texts = engine.encode(texts: sentences, progress: textProgress.add)
    textProgress.finish()

    let precision = precision ?? engine.precision
    let candidates = try engine.candidates(interaction)
    let found = try engine.evaluate(encoded, texts, captions: lines.map(\.captions), kinds: lines.map(\.kind), precision: precision, interaction)
    if json {
      var facts: [String: Any] = [
        "images": lines.count, "captions": sentences.count, "precision": precision.rawValue,
        "candidates": candidates, "recall": object(found.recall), "rerank": object(found.reranked),
      ]
      facts["gain"] = found.gain.map { ["mean": $0.mean, "low": $0.low, "high": $0.high] }
      facts["probability"] = found.reliability.map { reliability in
        [
          "expected_calibration_error": reliability.expectedError,
          "bins": reliability.bins.map { ["results": Double($0.count), "stated": $0.meanStated, "right": $0.shareRight] },
        ] as [String: Any]
      }
      return printJSON(facts)
    }
    print(
      "\(lines.count) images, \(sentences.count) captions, \(precision.rawValue), \(candidates) candidates")
    print("            i2t R@1   R@5  R@10  t2i R@1   R@5  R@10     mR  ms/query")
    for (name, scores) in [("recall only", found.recall), ("reranked", found.reranked)] {
      let columns = (scores.imageToText + scores.textToImage + [scores.meanRecall]).map { String(format: "%6.2f", $0) }
      let time = String(format: "%9.3f", scores.millisecondsPerQuery)
      print(name.padding(toLength: 12, withPad: " ", startingAt: 0) + columns.joined(separator: " ") + time)
    }
    if let gain = found.gain {
      print(String(format: "the rerank adds %+.2f mR (%+.2f to %+.2f, drawing images anew)", gain.mean, gain.low, gain.high))
    }
    guard let reliability = found.reliability else { return }
    print(String(format: "probabilities of the first ten, captions and names of classes: expected calibration error %.3f", reliability.expectedError))
    for bin in reliability.bins where bin.count > 0 {
      print(String(format: "  stated %5.1f %%, right %5.1f %% of %d", 100 * bin.meanStated, 100 * bin.shareRight, bin.count))
    }
  }

  private func object(_ scores: RetrievalScores) -> [String: Any] {
    [
      "i2t": scores.imageToText, "t2i": scores.textToImage, "mR": scores.meanRecall,
      "ms_per_query": scores.millisecondsPerQuery,
    ]
  }
}

/// How candidates are reranked, and how many.
struct RerankOptions: ParsableArguments {
  @Option(help: "How many candidates recall hands to the rerank.")
  var candidates: Int?

  @OptionGroup var how: InteractionOptions

  func validate() throws {
    guard candidates.map({ $0 >= 1 }) ?? true else { throw ValidationError("--candidates is at least 1") }
  }

  var settings: Interaction {
    var settings = how.settings
    settings.candidates = candidates
    return settings
  }
}

/// How candidates are reranked; what is not given comes from the model.
struct InteractionOptions: ParsableArguments {
  @Option(help: "The share of the pooled patches against the global vector, 0 to 1.")
  var beta: Float?

  @Option(help: "The temperature of the attention over patches.")
  var tau: Float?

  @Option(help: "The share of the fine score, 0 to 1.")
  var lambda: Float?

  @Option(help: "The share of what an item has for every query that is taken off its score, 0 to 2, where the model was tuned.")
  var hubness: Float?

  @Option(help: "balanced, words, maxsim or none.")
  var interaction: InteractionMode?

  @Option(help: "raw fuses scores as they are, z normalises them over the candidates first.")
  var fusion: ScoreFusion?

  func validate() throws {
    let isUsable =
      tau.map { $0 > 0 && $0.isFinite } ?? true && beta.map { (0...1).contains($0) } ?? true
      && lambda.map { (0...1).contains($0) } ?? true && hubness.map { (0...2).contains($0) } ?? true
    guard isUsable else {
      throw ValidationError("--tau must be positive, --beta and --lambda lie in 0...1, --hubness in 0...2")
    }
  }

  var settings: Interaction {
    Interaction(
      mode: interaction, tau: tau, beta: beta, lambda: lambda, fusion: fusion,
      hubness: hubness)
  }
}

extension InteractionMode: ExpressibleByArgument {}
extension ScoreFusion: ExpressibleByArgument {}
