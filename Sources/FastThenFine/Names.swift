import Encoders
import Imaging
import Index
import Kernels
import Retrieval
import Weights

// What the command names of the modules below.
package typealias EncodedImage = Encoders.EncodedImage
package typealias EncodedText = Encoders.EncodedText
package typealias RGBImage = Imaging.RGBImage
package typealias OutputFile = Kernels.OutputFile
package typealias FilePath = Kernels.FilePath
package typealias IndexEntry = Catalog.Entry
package typealias RetrievalScores = Retrieval.RetrievalScores

extension Engine {
  /// Retrieval among images and their captions in memory, recall only and reranked.
  ///
  /// - Parameters:
  ///   - owner: the image of each caption.
  ///   - precision: fp32 searches the vectors as they are, int8 their codes.
  package func evaluate(
    _ images: [EncodedImage], _ captions: [EncodedText], owner: [Int], precision: Precision, _ interaction: Interaction
  ) throws(FastThenFineError) -> (recall: RetrievalScores, reranked: RetrievalScores) {
    let settings = try interaction.resolved(model.config.interaction)
    let evaluation = Evaluation(
      globals: images.map(\.global), patches: images.map(\.patches), sentences: captions.map(\.sentence),
      words: captions.map(\.words), owner: owner, dimension: dimension, precision: precision, with: kernels)
    return (evaluation.scores(nil), evaluation.scores(settings))
  }

  /// How far the model's probabilities are from what is true of captioned images, by tenths; nil where it states none.
  ///
  /// - Parameter captions: of each image, in the order of `texts`.
  package func reliability(
    _ images: [EncodedImage], _ texts: [EncodedText], captions: [[String]], precision: Precision, _ interaction: Interaction
  ) throws(FastThenFineError) -> Reliability? {
    guard let probability = model.config.probability else { return nil }
    let settings = try interaction.resolved(model.config.interaction)
    let evaluation = Evaluation(
      globals: images.map(\.global), patches: images.map(\.patches), sentences: texts.map(\.sentence),
      words: texts.map(\.words), owner: captions.indices.flatMap { i in captions[i].map { _ in i } }, dimension: dimension,
      precision: precision, with: kernels)
    let (all, owned) = (captions.flatMap { $0 }, captions.map { Set($0) })
    let answers = RerankTrials(evaluation, limit: max(10, settings.candidates)).answers(settings.mode == .none ? nil : settings) {
      owned[$1].contains(all[$0])
    }
    return Reliability(probability, answers)
  }

  /// How many of recall's best are reranked.
  package func candidates(_ interaction: Interaction) throws(FastThenFineError) -> Int {
    try interaction.resolved(model.config.interaction).candidates
  }

  package var precision: Precision { model.precision }
  package var defaultMode: InteractionMode { model.config.interaction.mode }
  package var modelName: String { model.config.name }
  package var level: String { kernels.level.rawValue }
  package var patches: Int { images.patches }
  /// Side of the patch grid, over which attention lies row by row.
  public var patchGrid: Int { model.config.vision.grid }

  /// `body(i)` for i in 0..<count, on all threads.
  package func parallelFor(_ count: Int, _ body: (Int) -> Void) { kernels.parallelFor(count, body) }
}

extension Catalog.Entry {
  /// The path of an image's file for people, and as the system has it where it is not UTF-8.
  package var shownPath: String { FilePath(name).description }
  package var pathBytes: [UInt8]? { FilePath(name).isUTF8 ? nil : FilePath(name).bytes }
}

extension ImageIndex {
  /// All items, by id.
  package func entries(_ target: SearchTarget) throws(FastThenFineError) -> [IndexEntry] {
    try FastThenFineError.wrapping { try catalog.entries(target.kind) }
  }

  /// The coarse vectors of all items, f32[n, d], and their ids.
  package func coarseVectors(_ target: SearchTarget) throws(FastThenFineError) -> (ids: [Int64], values: [Float]) {
    try FastThenFineError.wrapping { try catalog.coarseVectors(target.kind) }
  }

  package func segmentCounts() throws -> (segments: Int, dead: Int) { try catalog.segmentCounts() }
}
