import ArgumentParser
import FastThenFine
import Foundation
import FTFProfiling

struct ProfileVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Time a model on this machine, part by part, against the ceiling of its cores.",
    discussion: """
      Example: ftf profile small.ftf --layers
      Every kernel in every shape of the model, and what became slower: ftf profile --kernels --json > run.json; ftf profile --kernels --against run.json
      """)

  @Argument(help: "The model file, or an index, whose searches are timed; the default model without it.")
  var model: String?

  @Flag(help: "Show every layer of the image encoder.")
  var layers = false

  @Flag(help: "Time every kernel of every level in every shape that the model calls it in, on one core.")
  var kernels = false

  @Option(help: "With --kernels: compare with a run that --json wrote; exit 1 where a kernel became slower beyond noise.")
  var against: String?

  @Option(help: "With --kernels: write a roofline to this file, SVG.")
  var roofline: String?

  @Option(help: "Write the layers of an encoded picture to this file, as Chrome's tracing and Perfetto read them.")
  var trace: String?

  @Option(help: "How often each part is timed; 60 by default, 15 with --kernels.")
  var rounds: Int?

  @Option(parsing: .upToNextOption, help: "What to time: image, text, search; all of them by default.")
  var parts: [Profile.Part] = []

  @Option(help: "Patches of an image that is searched; the model's own number by default.")
  var patches: Int?

  @Option(help: "Length of a vector that is searched; the model's own by default.")
  var dimension: Int?

  @Flag(help: "Exit 1 where encoding an image reaches less of the ceiling than the kernels are known for.")
  var assert = false

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func validate() throws {
    if let patches, !(1...4096).contains(patches) { throw ValidationError("--patches takes 1 to 4096") }
    if let dimension, !(1...8192).contains(dimension) { throw ValidationError("--dimension takes 1 to 8192") }
    if assert && !parts.isEmpty && !parts.contains(.image) { throw ValidationError("--assert needs the part image") }
    if !kernels && (against != nil || roofline != nil) { throw ValidationError("--against and --roofline go with --kernels") }
    if kernels && (assert || layers || !parts.isEmpty || trace != nil) {
      throw ValidationError("--kernels goes alone: --assert, --layers, --parts and --trace are about the whole model")
    }
    if let model, Self.isIndex(model), kernels || assert || layers || !parts.isEmpty || trace != nil || patches != nil || dimension != nil {
      throw ValidationError("an index is timed by its searches alone: --rounds, --json, --threads and --level go with it")
    }
    if let rounds, rounds < 5 { throw ValidationError("--rounds takes 5 or more") }
  }

  func run() throws {
    if let model, Self.isIndex(model) { return try profileIndex(model) }
    let engine = try machine.engine(try model ?? defaultModel())
    if kernels { return try profileKernels(engine) }
    let hasCeiling = engine.precision == .int8 && engine.level != "portable"
    guard hasCeiling || !assert else {
      throw Failure(
        "there is no ceiling to compare with: --assert is for int8 models on a level with int8 instructions")
    }
    let profile = try Profile(
      engine, rounds: rounds ?? 60, parts: parts.isEmpty ? Profile.Part.allCases : parts,
      shape: Profile.Shape(patches: patches ?? engine.patches, dimension: dimension ?? engine.dimension))
    if json { printJSON(object(profile, engine)) } else { show(profile, engine) }
    if let trace { try writeOutput(Data(profile.trace.utf8), to: trace) }
    if assert, let shortfalls = profile.shortfalls, !shortfalls.isEmpty {
      throw Failure(shortfalls.joined(separator: "; ") + "; is the machine busy?")
    }
  }

  private func show(_ profile: Profile, _ engine: Engine) {
    print("\(engine.modelName), \(engine.precision.rawValue), level \(engine.level)")
    if let peak = profile.peak { print(String(format: "int8 ceiling of one core: %.0f GMAC/s", peak / 1e9)) }
    if let bandwidth = profile.bandwidth {
      print(String(format: "memory read by one core: %.1f GB/s", bandwidth / 1e9))
    }
    print(
      "".padding(toLength: Self.nameWidth, withPad: " ", startingAt: 0)
        + "median ms   quartiles      GMAC/s  % of ceiling; or GB/s from memory")
    if layers { for timing in profile.layers { print(line(timing, profile)) } }
    for timing in profile.parts { print(line(timing, profile)) }
    guard profile.imagesPerSecond > 0 else { return }
    print(String(format: "images, %d side by side: %.0f a second", engine.pool.threads, profile.imagesPerSecond))
  }

  private static let nameWidth = 66

  private func line(_ timing: Profile.Timing, _ profile: Profile) -> String {
    var line = timing.name.padding(toLength: Self.nameWidth, withPad: " ", startingAt: 0)
    line += String(format: "%9.3f  %.3f-%.3f", timing.median, timing.quartiles.0, timing.quartiles.1)
    let (amount, ceiling) =
      timing.bytes.map { ($0, profile.bandwidth) } ?? timing.operations.map { ($0, profile.peak) } ?? (0, nil)
    guard amount > 0 else { return line }
    let rate = Double(amount) / timing.median / 1e6
    line = line.padding(toLength: Self.nameWidth + 24, withPad: " ", startingAt: 0) + String(format: "%9.1f", rate)
    if let ceiling { line += String(format: "%12.1f", 100 * rate * 1e9 / ceiling) }
    return line
  }

  private func object(_ profile: Profile, _ engine: Engine) -> [String: Any] {
    func object(_ timing: Profile.Timing) -> [String: Any] {
      var object: [String: Any] = [
        "name": timing.name, "median_ms": timing.median, "quartiles_ms": [timing.quartiles.0, timing.quartiles.1],
      ]
      if let operations = timing.operations { object["macs"] = operations }
      if let bytes = timing.bytes { object["bytes"] = bytes }
      return object
    }
    return [
      "model": engine.modelName, "precision": engine.precision.rawValue,
      "level": engine.level, "threads": engine.pool.threads,
      "peak_macs_per_second": profile.peak ?? 0, "memory_bytes_per_second": profile.bandwidth ?? 0,
      "layers": profile.layers.map(object), "parts": profile.parts.map(object),
      "images_per_second": profile.imagesPerSecond,
    ]
  }
}

extension Profile.Part: ExpressibleByArgument {}
