import Encoders
import Foundation
import Imaging
import Kernels
import Retrieval
import Weights

/// What quantisation cost a model, measured against the same weights in fp32 on the user's own images.
package struct AccuracyCard: Codable, Sendable {
  /// Cosines with the fp32 vectors after the fp32 set's mean is taken off both: plain cosines flatter vectors that all
  /// point one way.
  package struct Cosines: Codable, Sendable {
    package var median: Double
    package var firstPercentile: Double
  }

  package struct Layer: Codable, Sendable {
    package var name: String
    /// 10 log10 of the weights' power over that of their error.
    package var decibels: Double
  }

  package var images: Int
  package var sentences: Int
  package var global: Cosines
  package var patches: Cosines
  package var text: Cosines
  /// The share of fp32's ten best images that int8's ten best hold, over the sentences.
  package var overlap: Double
  /// The noisiest first.
  package var layers: [Layer]

  /// The least of the three medians: what a budget is compared with.
  package var least: Double { min(global.median, patches.median, text.median) }

  /// - Parameters:
  ///   - exact: the model in fp32.
  ///   - quantized: the same weights, quantised.
  ///   - paths: images that both can read.
  ///   - sentences: what is asked of them.
  package init(exact: Engine, quantized: Engine, imagePaths paths: [String], sentences: [String]) throws {
    let pairs = zip(exact.encode(imagePaths: paths), quantized.encode(imagePaths: paths))
    let images = pairs.compactMap { a, b in (try? a.get()).flatMap { a in (try? b.get()).map { (a, $0) } } }
    let texts = Array(zip(exact.encode(texts: sentences), quantized.encode(texts: sentences)))
    let d = exact.dimension
    (self.images, self.sentences) = (images.count, sentences.count)
    global = Self.cosines(images.flatMap(\.0.global), images.flatMap(\.1.global), d)
    patches = Self.cosines(images.flatMap(\.0.patches), images.flatMap(\.1.patches), d)
    text = Self.cosines(texts.flatMap(\.0.sentence), texts.flatMap(\.1.sentence), d)
    let best = { (g: [Float], t: [Float], engine: Engine) -> Set<Int> in
      let scores = VectorSet(g, dimension: d).dots(VectorSet(t, dimension: d), with: engine.kernels)
      return Set(recall(scores.span, limit: 10).map(\.item))
    }
    let (exactImages, otherImages) = (images.flatMap(\.0.global), images.flatMap(\.1.global))
    let shared = texts.map { a, b in
      best(exactImages, a.sentence, exact).intersection(best(otherImages, b.sentence, exact)).count
    }
    overlap = Double(shared.reduce(0, +)) / Double(max(texts.count * min(10, images.count), 1))
    layers = try Self.noise(exact.model, quantized.model)
  }

  private static func cosines(_ exact: [Float], _ other: [Float], _ d: Int) -> Cosines {
    let rows = exact.count / d
    var mean = [Double](repeating: 0, count: d)
    for i in exact.indices { mean[i % d] += Double(exact[i]) / Double(rows) }
    var cosines = (0..<rows).map { row -> Double in
      var (ab, aa, bb) = (0.0, 0.0, 0.0)
      for i in 0..<d {
        let (a, b) = (Double(exact[row * d + i]) - mean[i], Double(other[row * d + i]) - mean[i])
        ab += a * b
        aa += a * a
        bb += b * b
      }
      return aa * bb > 0 ? ab / (aa * bb).squareRoot() : 1
    }
    cosines.sort()
    guard !cosines.isEmpty else { return Cosines(median: 1, firstPercentile: 1) }
    return Cosines(median: cosines[rows / 2], firstPercentile: cosines[rows / 100])
  }

  private static func noise(_ exact: ModelFile, _ quantized: ModelFile) throws -> [Layer] {
    var layers: [Layer] = []
    for (name, tensor) in quantized.weights.tensors where tensor.type == .i8 {
      let floats = try exact.weights.floats(name, shape: tensor.shape)
      let codes = try quantized.weights.codes(name, shape: tensor.shape)
      let scales = try quantized.weights.floats("\(name)_scale", shape: [tensor.shape[0]])
      let size = codes.count / tensor.shape[0]
      let columns = try quantized.columns(String(name.dropLast(".weight".count)), count: size)
      var (power, error) = (0.0, 0.0)
      for i in codes.indices {
        let difference = Double(floats[i]) - Double(scales[i / size] * (columns?[i % size] ?? 1)) * Double(codes[i])
        power += Double(floats[i]) * Double(floats[i])
        error += difference * difference
      }
      let ratio = error > 0 ? 10 * log10(power / error) : 200
      layers.append(Layer(name: String(name.dropLast(".weight".count)), decibels: ratio))
    }
    return layers.sorted { ($0.decibels, $0.name) < ($1.decibels, $1.name) }
  }

  package func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// Lines for a person; all layers, or the noisiest few.
  package func lines(allLayers: Bool) -> [String] {
    func line(_ name: String, _ c: Cosines) -> String {
      name.padding(toLength: 30, withPad: " ", startingAt: 0)
        + String(format: "median %.4f, 1st percentile %.4f", c.median, c.firstPercentile)
    }
    return [
      "against fp32, on \(images) images and \(sentences) sentences (cosines with the mean taken off):",
      line("  g, the global vector", global), line("  P, the patches", patches), line("  t, the sentence", text),
      String(format: "  of fp32's ten best images     %.1f %% are among the ten best", 100 * overlap),
      "  weights, signal to noise, the noisiest first:",
    ]
      + layers.prefix(allLayers ? layers.count : 5).map {
        "    " + $0.name.padding(toLength: 34, withPad: " ", startingAt: 0) + String(format: "%.1f dB", $0.decibels)
      }
  }
}
