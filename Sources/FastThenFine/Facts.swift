import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFScenes
import FTFWeights

/// What a model file, an index or this machine is, a line each.
package struct Fact {
  package var key: String
  package var value: Any
  package var text: String { (value as? [String])?.joined(separator: ", ") ?? "\(value)" }
}

package enum Facts {
  /// Of the library, the command and the packages.
  package static let version = "0.2.0"

  package static func machine(level: String?, threads: Int?) throws(FastThenFineError) -> [Fact] {
    let kernels = try FastThenFineError.wrapping { try Engine.kernels(level: level, threads: threads) }
    return [
      Fact(key: "cpu", value: cpuName), Fact(key: "levels", value: Level.available.map(\.rawValue)),
      Fact(key: "level", value: kernels.level.rawValue), Fact(key: "kernels", value: origins(kernels)), Fact(key: "threads", value: kernels.threads),
      Fact(key: "memory_bytes", value: Int(ProcessInfo.processInfo.physicalMemory)),
      Fact(key: "version", value: version),
      Fact(key: "libraries", value: "\(RGBImage.libraries), \(Catalog.library), \(GDAL.version.map { "GDAL \($0)" } ?? "no GDAL")"),
    ]
  }

  /// The levels that the kernels are from, the one of most operations first; the operations of the others by name.
  private static func origins(_ kernels: KernelSet) -> [String] {
    let levels = Dictionary(grouping: kernels.kernels, by: \.level).sorted { ($1.value.count, $0.key.rawValue) < ($0.value.count, $1.key.rawValue) }
    return levels.enumerated().map { place, level in
      let all = "\(level.key.rawValue) (\(level.key.instructions))"
      return place == 0 ? all : "\(all): \(level.value.map(\.operation).joined(separator: " "))"
    }
  }

  /// Of a model file or an index.
  package static func of(_ path: String) throws(FastThenFineError) -> [Fact] {
    let isIndex = FileManager.default.fileExists(atPath: "\(path)/catalog.sqlite")
    return try FastThenFineError.wrapping { isIndex ? try index(path) : try model(path) }
  }

  private static func index(_ path: String) throws -> [Fact] {
    let catalog = try Catalog(path: path)
    let counts = try catalog.segmentCounts()
    return [
      Fact(key: "images", value: try catalog.pictures()), Fact(key: "captions", value: try catalog.count(.caption)),
      Fact(key: "bad_files", value: try catalog.sources().values.count { $0.failure != nil }),
      Fact(key: "segments", value: counts.segments), Fact(key: "dead_items", value: counts.dead),
      Fact(key: "model", value: catalog.model.name), Fact(key: "model_path", value: catalog.model.path),
      Fact(key: "dimension", value: catalog.model.dimension), Fact(key: "views", value: catalog.model.views),
    ] + bands(try catalog.bandBases())
  }

  /// What of scenes' colours was not said by the scenes themselves.
  private static func bands(_ bases: [(basis: String, scenes: Int)]) -> [Fact] {
    guard !bases.isEmpty else { return [] }
    return [Fact(key: "bands", value: bases.map { "red, green and blue \($0.basis): \($0.scenes) scene\($0.scenes == 1 ? "" : "s")" })]
  }

  package static var cpuName: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }

  private static func activation(_ config: ModelConfig) -> String {
    switch config.vision {
    case .efficientNetLite(let vision): "\(vision.activation), text \(config.text.activation)"
    case .vit(let vision) where vision.activation == config.text.activation: vision.activation
    case .vit(let vision): "\(vision.activation), text \(config.text.activation)"
    }
  }

  private static func preprocessing(_ p: PreprocessingConfig) -> String {
    "\(p.interpolation) to \(p.resizeTo) (\(p.resize)), crop \(p.cropTo), mean \(p.mean), std \(p.std)"
  }

  private static func model(_ path: String) throws -> [Fact] {
    let model = try Model(path: path)
    let config = model.config
    let parameters = model.weights.names.filter { !$0.hasSuffix(".weight_scale") && !$0.hasSuffix(".columns") }.reduce(
      0
    ) {
      $0 + model.weights.shape($1)!.reduce(1, *)
    }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    var facts = [
      Fact(key: "name", value: config.name), Fact(key: "precision", value: model.precision.rawValue),
      Fact(key: "parameters", value: parameters), Fact(key: "bytes", value: size),
      Fact(key: "dimension", value: config.dimension), Fact(key: "vision", value: config.vision.architecture),
      Fact(key: "image_size", value: config.vision.imageSize),
      Fact(key: "patches", value: config.vision.grid * config.vision.grid),
      Fact(key: "preprocessing", value: preprocessing(config.preprocessing)),
      Fact(key: "text", value: config.text.architecture), Fact(key: "text_layers", value: config.text.layers),
      Fact(key: "vocabulary", value: config.text.vocabulary),
      Fact(key: "context_length", value: config.text.contextLength),
      Fact(key: "pooling", value: config.text.pooling), Fact(key: "activation", value: activation(config)),
      Fact(key: "fingerprint", value: model.fingerprint),
      Fact(key: "checksum", value: model.metadata["checksum"] == nil ? "none" : "matches"),
      Fact(key: "interaction", value: config.interaction.mode.rawValue),
      Fact(key: "candidates", value: config.interaction.candidates),
      Fact(key: "tau", value: Double("\(config.interaction.tau)")!),
      Fact(key: "beta", value: Double("\(config.interaction.beta)")!),
      Fact(key: "lambda", value: Double("\(config.interaction.lambda)")!),
      Fact(key: "fusion", value: config.interaction.fusion.rawValue),
      Fact(key: "hubness", value: Double("\(config.interaction.hubness)")!),
    ]
    if let metres = config.preprocessing.ground { facts.append(Fact(key: "ground", value: metres)) }
    if let hubness = config.hubness {
      facts.append(Fact(key: "bank", value: "\(hubness.sentences) sentences, \(hubness.images) images"))
    }
    facts.append(Fact(key: "states_probabilities", value: config.probability != nil))
    if let origin = model.metadata["origin"], !origin.isEmpty {
      facts.append(Fact(key: "origin", value: origin))
    }
    if let decisions = model.metadata["decisions"] {
      facts.append(Fact(key: "decisions", value: decisions.split(separator: "\n").map(String.init)))
    }
    let smoothed = model.weights.names.count { $0.hasSuffix(".columns") }
    if smoothed > 0 { facts.append(Fact(key: "smoothed_layers", value: smoothed)) }
    if let images = config.calibrationImages, images > 0 {
      facts.append(Fact(key: "calibration_images", value: images))
    }
    if let json = model.metadata["card"],
      let card = try? JSONDecoder().decode(AccuracyCard.self, from: Data(json.utf8))
    {
      facts += [
        Fact(key: "cosine_g", value: card.global.median), Fact(key: "cosine_P", value: card.patches.median),
        Fact(key: "cosine_t", value: card.text.median), Fact(key: "overlap_10", value: card.overlap),
        Fact(key: "verified_images", value: card.images), Fact(key: "verdict", value: card.verdict),
      ]
      if let worst = card.layers.first, let output = worst.output {
        facts.append(Fact(key: "noisiest_layer", value: worst.name + String(format: ", %.1f dB", output)))
      }
      if let escapes = card.escapes { facts.append(Fact(key: "layers_fp32", value: escapes)) }
    }
    return facts
  }
}
