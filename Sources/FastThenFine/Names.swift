import FTFEncoders
import FTFFiles
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFRetrieval
import FTFWeights

// What the command names of the modules below.
package typealias EncodedImage = FTFEncoders.EncodedImage
package typealias EncodedText = FTFEncoders.EncodedText
package typealias RGBImage = FTFImaging.RGBImage
package typealias OutputFile = FTFFiles.OutputFile
package typealias FilePath = FTFFiles.FilePath
package typealias IndexEntry = Catalog.Entry
package typealias RetrievalScores = FTFRetrieval.RetrievalScores

package struct RetrievalReport: Sendable {
  package var recall: RetrievalScores
  package var reranked: RetrievalScores
  /// What the rerank adds to recall's mR, by drawing images anew; nil of fewer than ten candidates or none.
  package var gain: Interval?
  /// How far the model's probabilities are from what is true, by tenths; nil where it states none.
  package var reliability: Reliability?
}

extension Engine {
  /// Retrieval among images and their captions in memory, recall only and reranked.
  ///
  /// - Parameters:
  ///   - texts: of the captions, image by image.
  ///   - kinds: of scene, image by image; nil where nobody says.
  ///   - precision: fp32 searches the vectors as they are, int8 their codes.
  package func evaluate(
    _ images: [EncodedImage], _ texts: [EncodedText], captions: [[String]], kinds: [String?], precision: Precision, _ interaction: Interaction
  ) throws -> RetrievalReport {
    let settings = try interaction.resolved(model.config.interaction)
    let reranks = settings.mode != .none
    var hubness = try Self.hubness(model, precision, with: kernels.singleThreaded)
    if let own = Self.captionHubness(
      model, images: images.everyFew(Self.mostOwnBank).flatMap(\.global), captions: texts.map(\.sentence), precision, with: kernels.singleThreaded)
    {
      hubness?.captions = own
    }
    func named(_ texts: [EncodedText], _ owner: [Int]) -> Evaluation {
      Evaluation(
        globals: images.map(\.global), patches: images.map(\.patches), sentences: texts.map(\.sentence), words: texts.map(\.words), owner: owner,
        dimension: dimension, precision: precision, hubness: hubness, with: kernels)
    }
    let owner = captions.indices.flatMap { i in captions[i].map { _ in i } }
    let evaluation = named(texts, owner)
    var report = RetrievalReport(recall: evaluation.scores(nil), reranked: evaluation.scores(settings))
    // Of fewer candidates the rerank does not reach the tenth place.
    guard settings.candidates >= 10 else { return report }
    let trials = RerankTrials(evaluation, limit: settings.candidates)
    if reranks {
      let parts = trials.parts([nil, settings])
      report.gain = Interval(zip(parts[1], parts[0]).map { $0 - $1 })
    }
    guard let probability = model.config.probability else { return report }
    let relevance = Relevance(captions, kinds: kinds)
    let classes = relevance.classes
    let names =
      classes.isEmpty
      ? nil
      : RerankTrials(
        named(encode(texts: classes.map(\.sentence)), classes.map(\.image)), limit: settings.candidates)
    report.reliability = Reliability(
      probability, trials.judged(reranks ? settings : nil, relevance, captions: captions.flatMap { $0 }, owner: owner, classes: names))
    return report
  }

  /// How many of recall's best are reranked.
  package func candidates(_ interaction: Interaction) throws(FastThenFineError) -> Int {
    try interaction.resolved(model.config.interaction).candidates
  }

  package var precision: Precision { model.precision }
  package var defaultMode: InteractionMode { model.config.interaction.mode }
  package var modelName: String { model.config.name }
  package var level: String { kernels.level.rawValue }
  package var path: String { model.path }
  /// Of a sentence; the rest is cut off.
  package var mostTokens: Int { model.config.text.contextLength }
  package var patches: Int { patchGrid * patchGrid }
  /// Side of the patch grid, over which attention lies row by row.
  public var patchGrid: Int { model.config.vision.grid }

  /// `body(i)` for i in 0..<count, on all threads.
  package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) { kernels.parallelFor(count, body) }
}

extension ImageIndex {
  /// All items, by id.
  package func entries(_ target: SearchTarget) throws(FastThenFineError) -> [IndexEntry] {
    try FastThenFineError.wrapping { try catalog.entries(target.kind) }
  }

  /// The items of this moment, to be gone through without holding them.
  package func items(_ target: SearchTarget) throws(FastThenFineError) -> StoredItems {
    try FastThenFineError.wrapping { try StoredItems(catalog.snapshot(), target.kind) }
  }

  /// The coarse vectors of all items, f32[n, d], and their ids.
  package func coarseVectors(_ target: SearchTarget) throws(FastThenFineError) -> (ids: [Int64], values: [Float]) {
    try FastThenFineError.wrapping { try catalog.coarseVectors(target.kind) }
  }

  /// Bytes of its segments.
  package var mappedBytes: Int {
    let folder = "\(path)/segments"
    return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).reduce(0) { sum, name in
      sum + ((try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)"))?[.size] as? Int ?? 0)
    }
  }

  /// What an attribute has among the images: a spread of numbers, or texts and how often each is met.
  package struct AttributeValues: Sendable {
    package var name: String
    package var least: Double?
    package var most: Double?
    /// Of numbers, how many lie in each of twelve equal parts between the least and the most.
    package var histogram: [Int]
    /// The most frequent texts.
    package var texts: [(value: String, count: Int)]
    /// How many different texts there are.
    package var distinctTexts: Int
  }

  /// The attributes that images have, by name: those with numbers, and those with texts to choose from.
  package func attributeValues() throws(FastThenFineError) -> [AttributeValues] {
    let (bins, choices) = (12, 30)
    return try FastThenFineError.wrapping { try catalog.attributeSummaries() }.map { summary in
      let numbers = summary.numbers.filter(\.isFinite)
      let (least, most) = (numbers.min(), numbers.max())
      var histogram: [Int] = []
      // The ends of what a number can be are too far apart to be divided.
      if let least, let most, least < most, (most - least).isFinite {
        histogram = [Int](repeating: 0, count: bins)
        for number in numbers { histogram[min(bins - 1, Int((number - least) / (most - least) * Double(bins)))] += 1 }
      }
      return AttributeValues(
        name: summary.name, least: least, most: most, histogram: histogram, texts: Array(summary.texts.prefix(choices)),
        distinctTexts: summary.texts.count)
    }
  }

  /// Where and when the images were taken: west, south, east, north in degrees, and the first and the last time; nil for what none of
  /// them says.
  package func extent() throws(FastThenFineError) -> (box: [Double]?, times: [String]?) {
    try FastThenFineError.wrapping { try catalog.extent() }
  }

  /// A few of the captions, for people to begin with.
  package func someCaptions(_ count: Int) throws(FastThenFineError) -> [String] {
    try FastThenFineError.wrapping { Array(try catalog.captions().sorted().prefix(count)) }
  }

  package func segmentCounts() throws -> (segments: Int, dead: Int) { try catalog.segmentCounts() }
}

/// The items of an index at one moment, piece by piece or by their ids, and their coarse vectors.
package struct StoredItems {
  package let count: Int
  private let catalog: Catalog
  private let kind: ItemKind
  private let find: @Sendable ([Int64]) -> (values: [Float], missing: Int64?)

  init(_ catalog: Catalog, _ kind: ItemKind) throws {
    (self.catalog, self.kind) = (catalog, kind)
    count = try catalog.count(kind)
    find = try catalog.coarseVectorFinder(kind)
  }

  /// All of them, ascending by id, some at a time.
  package struct Pages {
    fileprivate let catalog: Catalog
    fileprivate let kind: ItemKind
    private var last = Int64.min
    private static let length = 4096

    fileprivate init(_ catalog: Catalog, _ kind: ItemKind) { (self.catalog, self.kind) = (catalog, kind) }

    /// Nil behind the last.
    package mutating func next() throws -> [IndexEntry]? {
      let entries = try catalog.entries(kind, after: last, limit: Self.length)
      guard let end = entries.last?.id else { return nil }
      last = end
      return entries
    }
  }

  package func pages() -> Pages { Pages(catalog, kind) }

  /// Some of them, in the order of their ids in `ids`.
  package func entries(_ ids: [Int64]) throws -> [IndexEntry] {
    let found = try catalog.entries(kind, ids)
    return try ids.map { id in
      guard let entry = found[id] else {
        throw FastThenFineError(.damagedIndex, at: catalog.path, "its catalog lacks item \(id); it has to be repaired")
      }
      return entry
    }
  }

  /// Finds vectors: f32[ids, dimension]. Several threads may at once.
  package var vectors: @Sendable (_ ids: [Int64]) throws -> [Float] {
    let (find, path) = (find, catalog.path)
    return { ids in
      let (values, missing) = find(ids)
      if let missing {
        throw FastThenFineError(.damagedIndex, at: path, "its segments lack item \(missing) of its catalog; it has to be repaired")
      }
      return values
    }
  }
}
