import FastThenFine
import Foundation
import FTFProfiling

extension ProfileVerb {
  func profileKernels(_ engine: Engine) throws {
    let before = try against.map { path in
      do {
        return try JSONDecoder().decode(KernelProfile.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
      } catch {
        throw Failure("\(path) is no run of ftf profile --kernels --json")
      }
    }
    let profile = try timed(engine)
    if let roofline { try writeOutput(Data(profile.roofline.utf8), to: roofline) }
    let changes = before.map(profile.changes) ?? []
    if before != nil && changes.isEmpty { throw Failure("\(against!) has no kernel of this model on this CPU's levels") }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(profile), as: UTF8.self))
    } else {
      show(profile, engine, changes)
    }
    var losses = changes.filter { $0.isLoss }
    guard let before, !losses.isEmpty else { return }
    // What a neighbour did to one run it does not do to the next.
    let again = Set(try timed(engine).changes(since: before).filter { $0.isLoss }.map { $0.name })
    losses = losses.filter { again.contains($0.name) }
    guard !losses.isEmpty else { return }
    let worst = losses.sorted { $0.ratio > $1.ratio }.prefix(10).map {
      String(format: "%@ takes %.2f times as long (%.2f to %.2f)", $0.name, $0.ratio, $0.interval.0, $0.interval.1)
    }
    throw Failure("\(losses.count) of \(changes.count) kernels became slower, in two runs: " + worst.joined(separator: "; "))
  }

  private func timed(_ engine: Engine) throws -> KernelProfile {
    var progress: Progress?
    let profile = try KernelProfile(engine, rounds: rounds ?? 15) { total in
      if progress == nil { progress = Progress("kernels", total: total) }
      progress?.add(1)
    }
    progress?.finish()
    return profile
  }

  private func show(_ profile: KernelProfile, _ engine: Engine, _ changes: [KernelProfile.Change]) {
    print("\(profile.model) on \(profile.cpu), one core; calls: of a picture, a sentence and a search together")
    for (level, peak) in profile.peaks.sorted(by: { $0.value < $1.value }) {
      print(String(format: "%@: int8 ceiling %.0f GMAC/s", level, peak / 1e9))
    }
    for line in profile.bandwidths {
      print(
        String(
          format: "reading %8.0f KB over and over: %6.1f GB/s, %6.1f each where %d cores do", line[0] / 1024, line[1] / 1e9, line[2] / 1e9,
          engine.pool.threads))
    }
    let ratios = Dictionary(changes.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    var head = Self.cell("kernel", 15) + Self.cell("shape", 22) + Self.cell("level", 12) + Self.cell("tile", 7)
    head += "calls  median us   quartiles            GMAC/s    GB/s  % of ceiling"
    print(head + (changes.isEmpty ? "" : "  time against before"))
    for row in profile.rows {
      var line = Self.cell(row.operation, 15) + Self.cell(row.shape, 22) + Self.cell(row.level, 12) + Self.cell("\(row.tile[0])x\(row.tile[1])", 7)
      line += String(format: "%5d %10.2f   ", row.calls, row.median) + Self.cell(String(format: "%.2f-%.2f", row.quartiles[0], row.quartiles[1]), 18)
      line += String(format: "%9.1f %7.1f", row.macRate, row.byteRate) + (row.share.map { String(format: "%14.1f", 100 * $0) } ?? "              ")
      if let change = ratios[row.name] { line += String(format: "  %.2f (%.2f-%.2f)", change.ratio, change.interval.0, change.interval.1) }
      print(line)
    }
    for whole in profile.wholes where whole.milliseconds > 0 {
      print(
        String(
          format: "%@: %.3f ms; its kernels one by one, operands in cache: %.3f ms; not in them (weights from memory, what lies between): %.1f %%",
          whole.name, whole.milliseconds, whole.kernels, 100 * (1 - whole.kernels / whole.milliseconds)))
    }
    for doubt in profile.doubts { print("doubtful: \(doubt)") }
  }

  private static func cell(_ text: String, _ width: Int) -> String { text.padding(toLength: max(width, text.count + 1), withPad: " ", startingAt: 0) }
}
