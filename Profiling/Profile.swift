import Encoders
import FastThenFine
import Foundation
import Imaging
import Kernels
import Retrieval
import Weights

/// Times a model on this machine, part by part, against the ceiling of its cores.
package struct Profile {
  package struct Timing {
    package var name: String
    /// Milliseconds: the median and the quartiles of the runs.
    package var median: Double
    package var quartiles: (Double, Double)
    /// Multiply-adds, where the part is one of products.
    package var operations: Int?
  }

  /// int8 multiply-adds a second of one core, on registers alone; nil for `portable` and for fp32.
  package let peak: Double?
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

  /// Images a second with all threads, pixels in memory.
  package private(set) var imagesPerSecond = 0.0

  private let engine: Engine
  private let single: KernelSet

  /// - Parameter rounds: how often each part is run after it has been warmed.
  package init(_ engine: Engine, rounds: Int = 60) {
    self.engine = engine
    single = engine.kernels.singleThreaded
    peak = engine.model.precision == .int8 ? single.peakInt8() : nil
    timeImage(rounds)
    timeText(rounds)
    timeSearch(rounds)
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
    let start = ContinuousClock.now
    engine.kernels.parallelFor(rounds * engine.kernels.threads) {
      _ = engine.images.encode(images[$0 % 8], with: single)
    }
    imagesPerSecond = Double(rounds * engine.kernels.threads) / ((ContinuousClock.now - start) / .seconds(1))
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

  private mutating func timeSearch(_ rounds: Int) {
    let (d, n, stored) = (engine.dimension, engine.images.patches, 100_000)
    func rows(_ count: Int, _ seed: UInt32) -> VectorSet {
      var state = seed
      let values = (0..<count * d).map { _ -> Float in
        state = state &* 1_664_525 &+ 1_013_904_223
        return Float(Int32(bitPattern: state)) / 2_147_483_648
      }
      return VectorSet(quantizing: values, dimension: d, with: single)
    }
    let (archive, queries) = (rows(stored, 1), rows(8, 2))
    parts += [
      measure("recall among \(stored) images, one thread", max(rounds / 4, 5), operations: stored * d) {
        _ = recall(archive.dots(queries.rows($0 % 8..<$0 % 8 + 1), with: single).span, limit: 100)
      }
    ]
    let candidates = (0..<50).map { rows(n + 1, UInt32(100 + $0)) }
    for mode in [InteractionConfig.Mode.balanced, .words, .maxsim] {
      var interaction = engine.model.config.interaction
      interaction.mode = mode
      parts += [
        measure("rerank of 50 candidates, 10 words, \(mode.rawValue), one thread", max(rounds / 4, 5)) { round in
          let text = FineText(sentence: queries.rows(round % 8..<round % 8 + 1), words: rows(10, UInt32(round)))
          for candidate in candidates {
            let image = FineImage(patches: candidate.rows(1..<n + 1), global: candidate.rows(0..<1), with: single)
            _ = image.fine(text, interaction, with: single)
          }
        }
      ]
    }
  }

  private func measure(_ name: String, _ rounds: Int, operations: Int? = nil, _ body: (Int) -> Void) -> Timing {
    for round in 0..<3 { body(round) }
    let times = (0..<rounds).map { round in
      let start = ContinuousClock.now
      body(round)
      return (ContinuousClock.now - start) / .milliseconds(1)
    }
    return Self.timing(name, times, operations: operations)
  }

  private static func timing(_ name: String, _ times: [Double], operations: Int?) -> Timing {
    let sorted = times.sorted()
    return Timing(
      name: name, median: sorted[sorted.count / 2], quartiles: (sorted[sorted.count / 4], sorted[sorted.count * 3 / 4]),
      operations: operations)
  }
}
