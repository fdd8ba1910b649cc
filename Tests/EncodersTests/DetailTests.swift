import FTFEncoders
import FastThenFine
import Foundation
import FTFImaging
import FTFKernels
import FTFTestSupport
import Testing
import FTFWeights

/// The patches' second source, on the tiny model: block 2 has 14 x 14 positions, four under each of the 7 x 7 patches.
@Suite struct DetailPath {
  static let (block, cells, channels) = (2, 4, 12)
  let folder: TemporaryFolder
  let images: [String]

  init() throws {
    folder = try TemporaryFolder()
    images = try Goldens().lists.images.map { "\(Goldens.folder)/images/\($0)" }
  }

  /// The tiny model with a random detail projection.
  private func source() throws -> SourceModel {
    var source = try SourceModel("\(Goldens.folder)/tiny")
    guard case .efficientNetLite(var vision) = source.config.vision else { fatalError("the tiny model is no EfficientNet") }
    vision.detail = Self.block
    source.config.vision = .efficientNetLite(vision)
    var random = SeededGenerator(seed: 5)
    let (d, inputs) = (source.config.dimension, Self.cells * Self.channels)
    source.set("vision.detail_projection.weight", [d, inputs], (0..<d * inputs).map { _ in .random(in: -0.5...0.5, using: &random) })
    source.set("vision.detail_projection.bias", [d], (0..<d).map { _ in .random(in: -0.5...0.5, using: &random) })
    return source
  }

  @Test(arguments: Level.available) func patchesAreTheSumOfBothSources(level: Level) throws {
    let source = try source()
    let model = try Model(source)
    let engine = try Engine(model, for: Engine.kernels(level: level.rawValue, threads: 2))
    let d = engine.dimension
    var (detail, features): ([Float], [Float]) = ([], [])
    let probe = ImageProbe(
      output: { name, values in if name == "vision.blocks.\(Self.block)" { detail = values } },
      input: { name, values, rows in if name == "vision.patch_projection" { features = (0..<rows * 40).map { values[$0] } } })
    let image = engine.images.encode(try engine.prepared(RGBImage(path: images[0])).pixels, with: engine.kernels, probe: probe)
    #expect(detail.count == 14 * 14 * Self.channels)
    func layer(_ name: String, _ inputs: Int) throws -> (weight: [Float], bias: [Float]) {
      (try model.weights.floats("\(name).weight", shape: [d, inputs]), try model.weights.floats("\(name).bias", shape: [d]))
    }
    let (head, fine) = (try layer("vision.patch_projection", 40), try layer("vision.detail_projection", Self.cells * Self.channels))
    var expected: [Float] = []
    for patch in 0..<49 {
      var x = features[patch * 40..<patch * 40 + 40].map(Double.init)
      // The cell's rows, left to right, then down.
      for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let position = (2 * (patch / 7) + dy) * 14 + 2 * (patch % 7) + dx
        x += detail[position * Self.channels..<(position + 1) * Self.channels].map(Double.init)
      }
      let y = (0..<d).map { row -> Double in
        var sum = Double(head.bias[row]) + Double(fine.bias[row])
        for i in 0..<40 { sum += x[i] * Double(head.weight[row * 40 + i]) }
        for i in 0..<48 { sum += x[40 + i] * Double(fine.weight[row * 48 + i]) }
        return sum
      }
      let norm = y.reduce(0) { $0 + $1 * $1 }.squareRoot()
      expected += y.map { Float($0 / norm) }
    }
    #expect(distance(image.patches, expected, width: d).worst < 1e-5)
  }

  @Test func int8StaysNear() throws {
    let (exact, quantized) = (try folder.file("fp32.ftf"), try folder.file("int8.ftf"))
    let source = try source()
    try source.write(fp32: exact)
    let quantizer = try Quantizer(
      source, .int8, imagePaths: images, sentences: ["a bridge"], smooth: false,
      for: Engine.kernels(level: nil, threads: 2), progress: { _ in })
    try quantizer.write(quantized, escapes: [])
    let patches = try [exact, quantized].map { path in
      let engine = try Engine(path: path, pool: ComputePool(threads: 2))
      return try engine.encode(imagePaths: images).flatMap { try $0.get().patches }
    }
    #expect(distance(patches[0], patches[1], width: source.config.dimension).cosine > 0.97)
  }

  /// A config is as hostile as any other byte of a file.
  @Test(arguments: [-1, 4, 1000, Int.max]) func aBlockThatIsNoneIsRefused(block: Int) throws {
    let text = try String(contentsOfFile: "\(Goldens.folder)/tiny/config.json", encoding: .utf8)
    let json = text.replacingOccurrences(of: "\"efficientnet_lite\"", with: "\"efficientnet_lite\", \"detail\": \(block)")
    #expect(throws: WeightsError.self) { try ModelConfig(json: Data(json.utf8), path: "config.json") }
  }
}

/// What int8 costs the tiny convolutional model, and what its channels are brought to.
@Suite struct ConvolutionCalibration {
  @Test func codesThatMakeUpForEachOtherKeepMoreThanTheNearest() throws {
    let folder = try TemporaryFolder()
    let images = try Goldens().lists.images.map { "\(Goldens.folder)/images/\($0)" }
    let source = try SourceModel("\(Goldens.folder)/tiny")
    let kernels = try Engine.kernels(level: nil, threads: 2)
    let samples = try Samples(Model(source), sentences: ["a bridge over a river"], imagePaths: images, with: kernels)
    let calibration = try Calibration(source, .int8, samples, smooth: true, for: kernels, progress: { _ in })
    let layers = Set(source.tensors.keys.filter { $0.hasPrefix("vision.") && $0.hasSuffix(".weight") }.map { String($0.dropLast(7)) })
    #expect(layers.isSubset(of: calibration.rounded.keys), "a layer was not weighed")
    #expect(Set(calibration.activations.keys) == Set((0..<4).map { "vision.blocks.\($0)" }))
    func patches(_ path: String) throws -> [Float] {
      try Engine(path: path, pool: ComputePool(threads: 2)).encode(imagePaths: images).flatMap { try $0.get().patches }
    }
    let paths = try ["exact", "nearest", "weighed", "equalised"].map { try folder.file("\($0).ftf") }
    try source.write(fp32: paths[0])
    try calibration.source.write(fp32: paths[3])
    for (path, rounded) in [(paths[1], [:]), (paths[2], calibration.rounded)] {
      try calibration.source.write(
        int8: path, activations: calibration.activations, calibrationImages: images.count, rounded: rounded)
    }
    let exact = try patches(paths[0])
    func noise(_ path: String) throws -> Double {
      zip(exact, try patches(path)).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    }
    // In fp32 the channels' ranges are no matter but for what lies beyond them.
    #expect(try noise(paths[3]) < 0.2 * noise(paths[1]))
    #expect(try noise(paths[2]) < noise(paths[1]))
  }
}
