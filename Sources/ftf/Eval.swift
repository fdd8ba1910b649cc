import ArgumentParser
import FastThenFine
import Foundation
import Retrieval
import Weights

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

  @OptionGroup var rerank: RerankOptions
  @OptionGroup var machine: Machine

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let engine = try machine.engine(model)
    let interaction = try rerank.interaction(engine.model.config.interaction)
    let file = try CaptionsFile(path: captions)
    if let problem = file.problems.first { throw Failure(problem) }
    let lines = file.lines.filter { $0.split == split }
    guard !lines.isEmpty else { throw Failure("\(captions): no line has the split '\(split)'") }

    let progress = Progress("images", total: lines.count)
    let encoded = try engine.encode(imagePaths: lines.map { "\(images)/\($0.filename)" }, progress: progress.add)
      .map { try $0.get() }
    progress.finish()
    let sentences = lines.flatMap(\.captions)
    let owner = lines.enumerated().flatMap { i, line in line.captions.map { _ in i } }
    let textProgress = Progress("captions", total: sentences.count)
    let texts = engine.encode(texts: sentences, progress: textProgress.add)
    textProgress.finish()

    let precision = precision ?? engine.model.precision
    let evaluation = Evaluation(
      globals: encoded.map(\.global), patches: encoded.map(\.patches), sentences: texts.map(\.sentence),
      words: texts.map(\.words), owner: owner, dimension: engine.dimension, precision: precision, with: engine.kernels)
    let recall = evaluation.scores(nil)
    let reranked = evaluation.scores(interaction)
    if json {
      return try printJSON([
        "images": lines.count, "captions": sentences.count, "precision": precision.rawValue,
        "candidates": interaction.candidates, "recall": object(recall), "rerank": object(reranked),
      ])
    }
    print(
      "\(lines.count) images, \(sentences.count) captions, \(precision.rawValue), \(interaction.candidates) candidates")
    print("            i2t R@1   R@5  R@10  t2i R@1   R@5  R@10     mR  ms/query")
    for (name, scores) in [("recall only", recall), ("reranked", reranked)] {
      let columns = (scores.imageToText + scores.textToImage + [scores.meanRecall]).map { String(format: "%6.2f", $0) }
      let time = String(format: "%9.3f", scores.millisecondsPerQuery)
      print(name.padding(toLength: 12, withPad: " ", startingAt: 0) + columns.joined(separator: " ") + time)
    }
  }

  private func object(_ scores: RetrievalScores) -> [String: Any] {
    [
      "i2t": scores.imageToText, "t2i": scores.textToImage, "mR": scores.meanRecall,
      "ms_per_query": scores.millisecondsPerQuery,
    ]
  }
}

/// How candidates are reranked; what is not given comes from the model.
struct RerankOptions: ParsableArguments {
  @Option(help: "How many candidates recall hands to the rerank.")
  var candidates: Int?

  @Option(help: "The share of the pooled patches against the global vector, 0 to 1.")
  var beta: Float?

  @Option(help: "The temperature of the attention over patches.")
  var tau: Float?

  @Option(help: "The share of the fine score, 0 to 1.")
  var lambda: Float?

  @Option(help: "balanced, words, maxsim or none.")
  var interaction: InteractionConfig.Mode?

  @Option(help: "raw fuses scores as they are, z normalises them over the candidates first.")
  var fusion: InteractionConfig.Fusion?

  func interaction(_ defaults: InteractionConfig) throws -> InteractionConfig {
    let result = InteractionConfig(
      mode: interaction ?? defaults.mode, candidates: candidates ?? defaults.candidates, tau: tau ?? defaults.tau,
      beta: beta ?? defaults.beta, lambda: lambda ?? defaults.lambda, fusion: fusion ?? defaults.fusion)
    guard result.isUsable else {
      throw ValidationError("--tau must be positive, --beta and --lambda lie in 0...1, --candidates is at least 1")
    }
    return result
  }
}

extension InteractionConfig.Mode: ExpressibleByArgument {}
extension InteractionConfig.Fusion: ExpressibleByArgument {}
