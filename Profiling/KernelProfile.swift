import FTFEncoders
import FastThenFine
import Foundation
import FTFKernels

/// Times every kernel of the list in every shape that a model calls it in, on one core, against what the core reaches.
package struct KernelProfile: Codable, Sendable {
  package struct Row: Codable, Sendable {
    package var operation: String
    package var sizes: [Int]
    package var level: String
    /// Of its tile.
    package var tile: [Int]
    /// How often a picture, a sentence or a query calls it.
    package var calls: Int
    /// Multiply-adds and bytes of a call.
    package var macs: Int
    package var bytes: Int
    /// Microseconds of a call: the median and the quartiles of `samples` samples.
    package var median: Double
    package var quartiles: [Double]
    package var samples: Int
    /// The medians of the passes over all kernels, each with operands of its own.
    package var passes: [Double]
    /// Of the int8 ceiling of its level; nil for what is no int8 product.
    package var share: Double?

    package var shape: String { sizes.map(String.init).joined(separator: "x") }
    package var name: String { "\(operation) \(shape) \(level)" }
    /// In G a second.
    package var macRate: Double { Double(macs) / median / 1e3 }
    package var byteRate: Double { Double(bytes) / median / 1e3 }
    /// Half of an interval of 95 % of the median, as a share of it: 1.57 IQR / sqrt(n), and no less than passes differ by.
    var uncertainty: Double {
      max(1.57 * (quartiles[1] - quartiles[0]) / Double(samples).squareRoot(), passes.max()! - passes.min()!) / median
    }
  }

  package struct Whole: Codable, Sendable {
    package var name: String
    /// Milliseconds: as a whole, and what its calls of kernels take one by one.
    package var milliseconds: Double
    package var kernels: Double
  }

  package var model: String
  package var cpu: String
  /// int8 multiply-adds a second of one core, on registers, by level.
  package var peaks: [String: Double]
  /// Bytes a second that are read, by the bytes that are read over and over: of one core, and of each where all read.
  package var bandwidths: [[Double]]
  package var rows: [Row] = []
  package var wholes: [Whole] = []
  /// What makes these figures doubtful: a clock that moved, time that others took.
  package var doubts: [String] = []

  /// - Parameters:
  ///   - rounds: samples of a kernel, of half a millisecond or more each.
  ///   - each: called before a kernel is timed, with how many there are.
  package init(_ engine: Engine, rounds: Int = 15, each: (Int) -> Void = { _ in }) throws {
    let single = engine.kernels.singleThreaded
    (model, cpu) = (engine.modelName, Facts.cpuName)
    let stolen = Self.stolenTime()
    let started = ContinuousClock.now
    let levels = Level.available.filter { $0 > .portable && $0 <= engine.kernels.level }
    let sets = Dictionary(uniqueKeysWithValues: try levels.map { ($0, try KernelSet(level: $0)) })
    peaks = sets.reduce(into: [:]) { $0[$1.key.rawValue] = $1.value.peakInt8() }
    bandwidths = [16 << 10, 256 << 10, 4 << 20, 512 << 20].map { [Double($0), single.bandwidth(of: $0), engine.kernels.bandwidth(of: $0)] }

    let wholes = Self.calls(engine, single)
    var calls: [KernelCase: Int] = [:]
    for whole in wholes { calls.merge(whole.calls, uniquingKeysWith: +) }
    let cases = calls.keys.sorted { ($0.operation, $0.sizes.reduce(1, *), $0.description) < ($1.operation, $1.sizes.reduce(1, *), $1.description) }
    let kernels = Kernel.all.filter { sets[$0.level] != nil }
    let todo = cases.flatMap { work in kernels.filter { $0.operation == work.operation }.map { (work, $0) } }
    // Not all samples of a kernel at once: where memory lies and what the machine does besides changes from pass to pass.
    var samples = [[[Double]]](repeating: [], count: todo.count)
    for _ in 0..<Self.passes {
      for (i, (work, kernel)) in todo.enumerated() {
        each(Self.passes * todo.count)
        samples[i].append(Self.samples(work.call(with: sets[kernel.level]!), max(rounds / Self.passes, 3)))
      }
    }
    rows = zip(todo, samples).map { Self.row($0.0, $0.1, calls[$0.0]!, $1, peaks[$0.1.level.rawValue]) }
    let own = Dictionary(uniqueKeysWithValues: engine.kernels.kernels.map { ($0.operation, $0.level.rawValue) })
    let medians = Dictionary(
      rows.filter { own[$0.operation] == $0.level }.map { (KernelCase($0.operation, $0.sizes), $0.median) }, uniquingKeysWith: { $1 })
    self.wholes = wholes.map { whole in
      Whole(
        name: whole.name, milliseconds: whole.milliseconds, kernels: whole.calls.reduce(0) { $0 + Double($1.value) * (medians[$1.key] ?? 0) } / 1e3)
    }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    for (level, set) in sets {
      guard let before = peaks[level.rawValue], let after = set.peakInt8() else { continue }
      if abs(after / before - 1) > 0.03 {
        doubts.append(String(format: "the clock moved: %@ reached %.0f, then %.0f GMAC/s", level.rawValue, before / 1e9, after / 1e9))
      }
    }
    if let stolen, let now = Self.stolenTime(), now - stolen > 0.01 * seconds {
      doubts.append(String(format: "others took %.1f of %.1f seconds from this machine", now - stolen, seconds))
    }
  }

  private static let passes = 3

  /// Microseconds of a call, sorted.
  private static func samples(_ body: () -> Void, _ count: Int) -> [Double] {
    func microseconds(_ times: Int) -> Double {
      let start = ContinuousClock.now
      for _ in 0..<times { body() }
      return (ContinuousClock.now - start) / .microseconds(1) / Double(times)
    }
    _ = microseconds(1)
    let times = max(1, Int(500 / max(microseconds(2), 0.01)))
    return (0..<count).map { _ in microseconds(times) }.sorted()
  }

  private static func row(_ work: KernelCase, _ kernel: Kernel, _ calls: Int, _ samples: [[Double]], _ peak: Double?) -> Row {
    let all = samples.joined().sorted()
    var row = Row(
      operation: work.operation, sizes: work.sizes, level: kernel.level.rawValue, tile: [kernel.rows, kernel.columns], calls: calls,
      macs: work.operations, bytes: work.bytes, median: all[all.count / 2], quartiles: [all[all.count / 4], all[all.count * 3 / 4]],
      samples: all.count, passes: samples.map { $0[$0.count / 2] })
    if work.isInt8, let peak { row.share = row.macRate * 1e9 / peak }
    return row
  }

  /// What a picture, a sentence, and a search of 100,000 coarse vectors call, and how long they take.
  private static func calls(_ engine: Engine, _ single: KernelSet) -> [(name: String, milliseconds: Double, calls: [KernelCase: Int])] {
    let side = engine.images.side
    let image = AlignedBuffer<UInt8>(count: side * side * 3, repeating: 0)
    for i in 0..<image.count { image[i] = UInt8(truncatingIfNeeded: i &* 2_654_435_761 >> 13) }
    let ids = engine.tokens("many storage tanks stand next to the road by the sea")
    func timed(_ name: String, _ body: (KernelSet) -> Void) -> (String, Double, [KernelCase: Int]) {
      let calls = single.recordingCalls(body)
      let times = (0..<21).map { _ in
        let start = ContinuousClock.now
        body(single)
        return (ContinuousClock.now - start) / .milliseconds(1)
      }
      return (name, times.sorted()[10], calls)
    }
    return [
      timed("a picture") { _ = engine.images.encode(image, with: $0) },
      timed("a sentence of \(ids.count) tokens") { _ = engine.texts.encode([ids], with: $0) },
      ("recall of a sentence, a block", 0, [KernelCase("dots_s8", [4096, 1, engine.dimension]): 1]),
      ("recall of eight sentences, a block", 0, [KernelCase("dots_s8", [4096, 8, engine.dimension]): 1]),
      (
        "reranking an image", 0,
        [
          KernelCase("dots_s8", [max(engine.images.patches, 1), 1, engine.dimension]): 1,
          KernelCase("interaction", [max(engine.images.patches, 1), 1]): 1,
        ]
      ),
      ("a megabyte that is checked", 0, [KernelCase("crc32c", [1 << 20]): 1]),
    ]
  }

  /// Seconds that a hypervisor gave to others; nil where nobody says.
  private static func stolenTime() -> Double? {
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
    let fields = text.prefix { $0 != "\n" }.split(separator: " ")
    return fields.count > 8 ? Double(fields[8]).map { $0 / 100 } : nil
  }
}

extension KernelProfile {
  /// A kernel of two runs.
  package struct Change: Sendable {
    package var name: String
    /// Time now over time then, each in terms of its run's ceiling, and an interval of 95 %.
    package var ratio: Double
    package var interval: (Double, Double)
    /// Whether it is slower beyond noise: by 5 % at least, at the good end of the interval.
    package var isLoss: Bool { interval.0 > 1.05 }
  }

  /// What both runs have, in the order of this one. A clock that runs at another pace moves ceiling and kernels alike, and is taken out.
  package func changes(since other: KernelProfile) -> [Change] {
    let before = Dictionary(other.rows.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    return rows.compactMap { row in
      guard let then = before[row.name] else { return nil }
      let pace = (peaks[row.level] ?? 1) / (other.peaks[row.level] ?? peaks[row.level] ?? 1)
      let ratio = row.median / then.median * pace
      let spread = (row.uncertainty * row.uncertainty + then.uncertainty * then.uncertainty).squareRoot()
      return Change(name: row.name, ratio: ratio, interval: (ratio * (1 - spread), ratio * (1 + spread)))
    }
  }
}
