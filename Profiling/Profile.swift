import FTFEncoders
import FastThenFine
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFRetrieval
import FTFWeights

/// Times a model on this machine, part by part, against the ceiling of its cores.
package struct Profile {
  package struct Timing {
    package var name: String
    /// Milliseconds: the median and the quartiles of the runs.
    package var median: Double
    package var quartiles: (Double, Double)
    /// Multiply-adds, where the part is one of products.
    package var operations: Int?
    /// Bytes that come from memory, where they are what takes the time.
    package var bytes: Int?
  }

  /// int8 multiply-adds a second of one core, on registers alone; nil for `portable` and for fp32.
  package let peak: Double?
  /// Bytes a second that one core reads from memory.
  package private(set) var bandwidth: Double?
  package private(set) var layers: [Timing] = []
  package private(set) var parts: [Timing] = []
  /// The share of the ceiling that encoding an image must reach on every level; 53 to 67 % were measured.
  package static let leastShare = 0.4

  /// What runs slower than it should; nil where there is no ceiling to compare with.
  package var shortfalls: [String]? {
    guard let peak else { return nil }
    return parts.filter { $0.name == "image, one thread" }.compactMap { part in
      let share = Double(part.operations ?? 0) / part.median * 1e3 / peak
      guard share < Self.leastShare else { return nil }
      return "\(part.name): \(Int(100 * share)) % of the ceiling, where \(Int(100 * Self.leastShare)) % are expected"
    }
  }

  /// The layers of a picture one after the other, each as long as its median, in Chrome's trace format.
  package var trace: String {
    var start = 0.0
    let events = layers.map { layer in
      defer { start += layer.median * 1e3 }
      return String(format: "{\"name\":\"%@\",\"ph\":\"X\",\"ts\":%.1f,\"dur\":%.1f,\"pid\":1,\"tid\":1}", layer.name, start, layer.median * 1e3)
    }
    return "[\(events.joined(separator: ",\n"))]\n"
  }

  /// Images a second with all threads, pixels in memory.
  package private(set) var imagesPerSecond = 0.0

  private let engine: Engine
  private let single: KernelSet

  /// What is timed.
  package enum Part: String, CaseIterable, Sendable {
    case image, text, search
  }

  /// Of the vectors of an image.
  package struct Shape: Sendable {
    package var patches: Int
    package var dimension: Int
    package init(patches: Int, dimension: Int) { (self.patches, self.dimension) = (patches, dimension) }
  }

  /// - Parameters:
  ///   - rounds: how often each part is run after it has been warmed.
  ///   - shape: of what is searched, where it is not the model's own.
  package init(_ engine: Engine, rounds: Int = 60, parts: [Part] = Part.allCases, shape: Shape? = nil) throws {
    self.engine = engine
    single = engine.kernels.singleThreaded
    peak = engine.model.precision == .int8 ? single.peakInt8() : nil
    if parts.contains(.image) { timeImage(rounds) }
    if parts.contains(.text) { timeText(rounds) }
    if parts.contains(.search) {
      let shape = shape ?? Shape(patches: engine.images.patches, dimension: engine.dimension)
      try timeSearch(rounds, shape)
    }
  }

  /// Pixels that differ from run to run.
  private func image(_ seed: Int) -> AlignedBuffer<UInt8> {
    let side = engine.images.side
    let pixels = AlignedBuffer<UInt8>(count: side * side * 3, repeating: 0)
    var state = UInt32(truncatingIfNeeded: seed &* 2_654_435_761 | 1)
    for i in 0..<pixels.count {
      state = state &* 1_664_525 &+ 1_013_904_223
      pixels[i] = UInt8(truncatingIfNeeded: state >> 24)
    }
    return pixels
  }

  private mutating func timeImage(_ rounds: Int) {
    let images = (0..<8).map(image)
    var times: [String: [Double]] = [:]
    var names: [(String, Int)] = []
    for round in 0..<rounds + 5 {
      var last = ContinuousClock.now
      let probe = ImageProbe(layer: { name, operations in
        let now = ContinuousClock.now
        if round >= 5 { times[name, default: []].append((now - last) / .milliseconds(1)) }
        if round == 0 { names.append((name, operations)) }
        last = ContinuousClock.now
      })
      _ = engine.images.encode(images[round % 8], with: single, probe: probe)
    }
    layers = names.map { Self.timing($0.0, times[$0.0] ?? [0], operations: $0.1) }
    let total = names.reduce(0) { $0 + $1.1 }
    parts += [
      measure("image, one thread", rounds, operations: total) { _ = engine.images.encode(images[$0 % 8], with: single) }
    ]
    if engine.kernels.threads > 1 {
      parts += [
        measure("image, \(engine.kernels.threads) threads inside", rounds, operations: total) {
          _ = engine.images.encode(images[$0 % 8], with: engine.kernels)
        }
      ]
    }
    let together = engine.images.together
    let several = Array(images.prefix(together))
    if together > 1 {
      parts += [
        measure("images, \(several.count) in a pass, one thread", max(rounds / 4, 5), operations: several.count * total) { _ in
          _ = engine.images.encode(several, with: single)
        }
      ]
    }
    let passes = (rounds * engine.kernels.threads + several.count - 1) / several.count
    let start = ContinuousClock.now
    engine.kernels.parallelFor(passes) { [engine, single] _ in _ = engine.images.encode(several, with: single) }
    imagesPerSecond = Double(passes * several.count) / ((ContinuousClock.now - start) / .seconds(1))
  }

  private mutating func timeText(_ rounds: Int) {
    let sentences = [
      "a long bridge crosses a wide river near the city", "two white planes are parked beside the terminal building",
      "a playground with a red track and green grass inside", "many storage tanks stand next to the road by the sea",
    ]
    let ids = sentences.map(engine.tokens)
    parts += [
      measure("sentence of \(ids[0].count) tokens, one thread", rounds) {
        _ = engine.texts.encode([ids[$0 % 4]], with: single)
      }
    ]
  }

  private mutating func timeSearch(_ rounds: Int, _ shape: Shape) throws {
    let (d, stored) = (shape.dimension, 100_000)
    var vectors = RandomVectors(dimension: d)
    func pipeline(_ count: Int, _ patches: Int) -> Pipeline<ItemSet> {
      let set = ItemSet(
        coarse: (0..<count).map { _ in vectors.rows(1) }, fine: (0..<count).map { _ in vectors.rows(patches) },
        dimension: d, areImages: patches > 0, precision: .int8, with: single)
      return Pipeline([set])
    }
    func queries(_ words: Int) -> [EncodedQuery] {
      (0..<8).map { _ in
        EncodedQuery(sentence: vectors.rows(1), words: vectors.rows(words), precision: .int8, with: single)
      }
    }
    let (archive, few) = (pipeline(stored, 0), queries(10))
    parts += [
      measure("recall among \(stored) images, one thread", max(rounds / 4, 5), operations: stored * d) {
        _ = archive.recall(few[$0 % 8], limit: 100, with: single)
      },
      measure("recall of 8 sentences together among \(stored) images, one thread", max(rounds / 4, 5), operations: 8 * stored * d) { _ in
        _ = archive.recall(few, limits: few.map { _ in 100 }, with: single)
      },
    ]
    let images = pipeline(50, shape.patches)
    let candidates = images.recall(few[0], limit: 50, with: single)
    for mode in [InteractionConfig.Mode.balanced, .words, .maxsim] {
      let interaction = interaction(mode, 50)
      parts += [
        measure("rerank of 50 candidates, 10 words, \(mode.rawValue), one thread", max(rounds / 4, 5)) {
          _ = images.reranked(candidates, for: few[$0 % 8], interaction, with: single)
        }
      ]
    }
    try timeRerankFromMemory(rounds, shape, queries(12), &vectors)
  }

  private func interaction(_ mode: InteractionConfig.Mode, _ candidates: Int) -> InteractionConfig {
    var interaction = engine.model.config.interaction
    (interaction.mode, interaction.candidates) = (mode, candidates)
    return interaction
  }

  /// A hundred candidates at a time out of a segment that no cache holds, as a search of a large index finds them.
  private mutating func timeRerankFromMemory(
    _ rounds: Int, _ shape: Shape, _ queries: [EncodedQuery], _ vectors: inout RandomVectors
  ) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("ftf-profile-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var writer = try SegmentWriter(path: path, dimension: shape.dimension, isPooled: true)
    let items = (0..<100).map { _ in
      PackedItem(coarse: vectors.rows(1), fine: vectors.rows(shape.patches), isPooled: true, with: single)
    }
    let each = shape.patches * (shape.dimension + 4)
    let count = max(100, (256 << 20) / each)
    for i in 0..<count { try writer.append(items[i % 100], id: Int64(i)) }
    try writer.finish()
    let segment = try Segment(path: path)
    let pipeline = Pipeline([segment])
    // Scattered, as the best of a ranking are, 7,919 being prime to what it is taken modulo; and side by side, as other programs lay
    // them out.
    func sets(_ step: Int) -> [[Candidate]] {
      (0..<count / 100).map { set -> [Candidate] in
        (0..<100).map { i -> Candidate in
          let item: Int = (set * 100 + i) * step % count
          return Candidate(item: item, recall: 0.1, recallRank: i, score: 0.1)
        }
      }
    }
    let places = [("scattered", sets(7919)), ("side by side", sets(1))]
    // Mapped for good: the first touch of a page costs a fault.
    for set in places[1].1 { _ = pipeline.reranked(set, for: queries[0], interaction(.maxsim, 100), with: single) }
    bandwidth = single.bandwidth()
    let guides: [(String, InteractionConfig.Mode)] = [
      ("the sentence", .balanced), ("12 words", .words), ("12 words, maxsim", .maxsim),
    ]
    let bytes = 100 * segment.bytes(ofItem: 0).byteCount
    for (place, sets) in places {
      for (guide, mode) in guides {
        let interaction = interaction(mode, 100)
        parts += [
          measure("rerank of 100 candidates in memory, \(place), by \(guide)", rounds, bytes: bytes) {
            _ = pipeline.reranked(sets[$0 % sets.count], for: queries[$0 % 8], interaction, with: single)
          }
        ]
      }
    }
  }

  private func measure(
    _ name: String, _ rounds: Int, operations: Int? = nil, bytes: Int? = nil, _ body: (Int) -> Void
  ) -> Timing {
    for round in 0..<3 { body(round) }
    let times = (0..<rounds).map { round in
      let start = ContinuousClock.now
      body(round)
      return (ContinuousClock.now - start) / .milliseconds(1)
    }
    var timing = Self.timing(name, times, operations: operations)
    timing.bytes = bytes
    return timing
  }

  private static func timing(_ name: String, _ times: [Double], operations: Int?) -> Timing {
    let sorted = times.sorted()
    return Timing(
      name: name, median: sorted[sorted.count / 2], quartiles: (sorted[sorted.count / 4], sorted[sorted.count * 3 / 4]),
      operations: operations)
  }
}

/// Rows of random directions.
private struct RandomVectors {
  let dimension: Int
  private var state: UInt32 = 1

  init(dimension: Int) { self.dimension = dimension }

  mutating func rows(_ count: Int) -> [Float] {
    (0..<count * dimension).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) / 2_147_483_648
    }
  }
}
