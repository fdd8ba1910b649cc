import ArgumentParser
import FastThenFine
import Foundation
import Imaging
import Index
import Kernels
import Weights

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a model file or an index holds, or what this machine runs.",
    discussion: "Example: ftf info small.ftf")

  @Argument(help: "A .ftf file or the folder of an index; without it, the machine.")
  var path: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func run() throws {
    let facts = try path.map { Self.isIndex($0) ? try index($0) : try model($0) } ?? machineFacts()
    if json {
      return try printJSON(Dictionary(uniqueKeysWithValues: facts.map { ($0.key, $0.value) }))
    }
    let width = facts.map(\.key.count).max() ?? 0
    for fact in facts {
      print(fact.key.padding(toLength: width + 2, withPad: " ", startingAt: 0) + "\(fact.text)")
    }
  }

  private struct Fact {
    var key: String
    var value: Any
    var text: String { (value as? [String])?.joined(separator: ", ") ?? "\(value)" }
  }

  private func machineFacts() throws -> [Fact] {
    let kernels = try Engine.kernels(level: machine.level, threads: machine.threads)
    return [
      Fact(key: "cpu", value: Self.cpuName), Fact(key: "levels", value: Level.available.map(\.rawValue)),
      Fact(key: "level", value: kernels.level.rawValue), Fact(key: "threads", value: kernels.threads),
      Fact(key: "memory_bytes", value: Int(ProcessInfo.processInfo.physicalMemory)),
      Fact(key: "version", value: FTF.configuration.version),
      Fact(key: "libraries", value: "\(RGBImage.libraries), \(Catalog.library)"),
    ]
  }

  private static func isIndex(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/catalog.sqlite")
  }

  private func index(_ path: String) throws -> [Fact] {
    let catalog = try Catalog(path: path)
    let counts = try catalog.segmentCounts()
    return [
      Fact(key: "images", value: try catalog.count(.image)), Fact(key: "captions", value: try catalog.count(.caption)),
      Fact(key: "bad_files", value: try catalog.stamps().values.count(where: \.isBad)),
      Fact(key: "segments", value: counts.segments), Fact(key: "dead_items", value: counts.dead),
      Fact(key: "model", value: catalog.model.name), Fact(key: "model_path", value: catalog.model.path),
      Fact(key: "dimension", value: catalog.model.dimension),
    ]
  }

  private static var cpuName: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }

  private func model(_ path: String) throws -> [Fact] {
    let model = try ModelFile(path: path)
    let config = model.config
    let parameters = model.weights.tensors.filter { !$0.key.hasSuffix(".weight_scale") }.reduce(0) {
      $0 + $1.value.count
    }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    var facts = [
      Fact(key: "name", value: config.name), Fact(key: "precision", value: model.precision.rawValue),
      Fact(key: "parameters", value: parameters), Fact(key: "bytes", value: size),
      Fact(key: "dimension", value: config.dimension), Fact(key: "vision", value: config.vision.architecture),
      Fact(key: "image_size", value: config.vision.imageSize),
      Fact(key: "patches", value: config.vision.grid * config.vision.grid),
      Fact(key: "text", value: config.text.architecture), Fact(key: "text_layers", value: config.text.layers),
      Fact(key: "vocabulary", value: config.text.vocabulary),
      Fact(key: "context_length", value: config.text.contextLength),
      Fact(key: "interaction", value: config.interaction.mode.rawValue),
      Fact(key: "candidates", value: config.interaction.candidates),
      Fact(key: "tau", value: Double("\(config.interaction.tau)")!),
      Fact(key: "beta", value: Double("\(config.interaction.beta)")!),
      Fact(key: "lambda", value: Double("\(config.interaction.lambda)")!),
      Fact(key: "fusion", value: config.interaction.fusion.rawValue),
    ]
    if let origin = model.weights.metadata["origin"], !origin.isEmpty {
      facts.append(Fact(key: "origin", value: origin))
    }
    if let images = config.calibrationImages { facts.append(Fact(key: "calibration_images", value: images)) }
    if let json = model.weights.metadata["card"],
      let card = try? JSONDecoder().decode(AccuracyCard.self, from: Data(json.utf8))
    {
      facts += [
        Fact(key: "cosine_g", value: card.global.median), Fact(key: "cosine_P", value: card.patches.median),
        Fact(key: "cosine_t", value: card.text.median), Fact(key: "overlap_10", value: card.overlap),
        Fact(key: "verified_images", value: card.images),
      ]
    }
    return facts
  }
}
