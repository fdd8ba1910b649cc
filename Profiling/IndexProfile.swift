import FastThenFine
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a search of an index costs on this machine: time by part, page faults, and bytes that came from the disk.
package struct IndexProfile: Sendable {
  package struct Part: Sendable {
    package var name: String
    /// Milliseconds.
    package var p50: Double
    package var p99: Double
  }

  package let items: Int
  /// Milliseconds to open the index, and of the first query after it.
  package let opening: Double
  package let first: Double
  /// Of the queries after the first.
  package let queries: Int
  package let parts: [Part]
  /// A query, on average: page faults that memory answered, those that the disk did, and bytes that were read from it.
  package let minorFaults: Double
  package let majorFaults: Double
  package let bytesRead: Double

  /// By sentences, each asked once.
  package init(_ index: ImageIndex, engine: Engine, rounds: Int) throws {
    let start = ContinuousClock.now
    let searcher = try Searcher(index, engine: engine)
    let opening = (ContinuousClock.now - start) / .milliseconds(1)
    let sentences = (0...rounds).map { Self.things[$0 % Self.things.count] + " beside " + Self.things[$0 / Self.things.count % Self.things.count] }
    var names = ["whole", "encode", "recall"]
    if index.hasPatches { names.append("rerank") }
    self = try Self(items: searcher.count, opening: opening, rounds: rounds, names) { i in
      let answer = try searcher.answer(Query(.sentence(sentences[i])))
      return [answer.encodeMilliseconds, answer.recallMilliseconds, answer.rerankMilliseconds]
    }
  }

  /// By vectors of random directions, where no model is known.
  package init(_ index: ImageIndex, pool: ComputePool, rounds: Int) throws {
    let start = ContinuousClock.now
    let searcher = try VectorSearcher(index, pool: pool)
    let opening = (ContinuousClock.now - start) / .milliseconds(1)
    var state: UInt32 = 1
    self = try Self(items: searcher.count, opening: opening, rounds: rounds, ["whole"]) { _ in
      let vector = (0..<searcher.dimension).map { _ -> Float in
        state = state &* 1_664_525 &+ 1_013_904_223
        return Float(Int32(bitPattern: state)) / 2_147_483_648
      }
      _ = try searcher.nearest(vector, top: 10)
      return []
    }
  }

  private init(items: Int, opening: Double, rounds: Int, _ names: [String], _ body: (Int) throws -> [Double]) throws {
    var times = names.map { _ in [Double]() }
    var (first, before) = (0.0, Self.usage())
    for i in 0...rounds {
      let start = ContinuousClock.now
      let parts = try body(i)
      let whole = (ContinuousClock.now - start) / .milliseconds(1)
      if i == 0 {
        (first, before) = (whole, Self.usage())
      } else {
        for (k, time) in ([whole] + parts).prefix(names.count).enumerated() { times[k].append(time) }
      }
    }
    let after = Self.usage()
    (self.items, self.opening, self.first, queries) = (items, opening, first, rounds)
    parts = zip(names, times).map { name, times in
      let sorted = times.sorted()
      return Part(name: name, p50: sorted[sorted.count / 2], p99: sorted[min(sorted.count - 1, sorted.count * 99 / 100)])
    }
    let each = Double(rounds)
    minorFaults = Double(after.minor - before.minor) / each
    majorFaults = Double(after.major - before.major) / each
    bytesRead = Double(after.read - before.read) / each
  }

  private static let things = [
    "a bridge", "many planes", "a river", "storage tanks", "a church", "green trees", "a playground", "boats in a harbour", "a railway station",
    "dense houses", "bare land", "a viaduct", "farmland", "a stadium", "a parking lot", "white waves",
  ]

  private static func usage() -> (minor: Int, major: Int, read: Int) {
    var usage = rusage()
    unsafe _ = getrusage(0, &usage)  // RUSAGE_SELF
    // What the mapped files were read for counts here too; nothing says it elsewhere.
    let io = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)) ?? ""
    let line = io.split(separator: "\n").first { $0.hasPrefix("read_bytes:") }
    return (usage.ru_minflt, usage.ru_majflt, line.flatMap { Int($0.dropFirst(11).trimmingCharacters(in: .whitespaces)) } ?? 0)
  }
}
