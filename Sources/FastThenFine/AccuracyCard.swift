import FTFEncoders
import Foundation
import FTFKernels
import FTFRetrieval
import FTFWeights

/// What a model in fp32 makes of images and sentences: what its quantised versions are measured against.
package struct ExactVectors: Sendable {
  package let images: [(path: String, vectors: EncodedImage)]
  package let sentences: [String]
  package let texts: [EncodedText]

  /// Images that cannot be read are left out.
  package init(_ exact: Engine, imagePaths paths: [String], sentences: [String], progress: @Sendable (Int) -> Void = { _ in }) {
    images = zip(paths, exact.encode(imagePaths: paths, progress: progress)).compactMap { path, result in
      (try? result.get()).map { (path, $0) }
    }
    (self.sentences, texts) = (sentences, exact.encode(texts: sentences))
  }
}

/// Cosines of vectors with those of the exact model, row by row, after the exact set's mean is taken off both: plain cosines
/// flatter vectors that all point one way.
package struct Cosines: Codable, Sendable {
  package var mean: Double
  package var median: Double
  package var firstPercentile: Double

  /// - Parameters:
  ///   - exact: f32[rows, d]; the mean of fewer than eight rows says nothing and stays.
  ///   - other: f32[rows, d].
  package init(of other: [Float], and exact: [Float], dimension d: Int) {
    let rows = exact.count / d
    var mean = [Double](repeating: 0, count: d)
    if rows >= 8 { for i in exact.indices { mean[i % d] += Double(exact[i]) / Double(rows) } }
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
    (median, firstPercentile) = rows > 0 ? (cosines[rows / 2], cosines[rows / 100]) : (1, 1)
    self.mean = rows > 0 ? cosines.reduce(0, +) / Double(rows) : 1
  }
}

/// What quantisation cost a model, measured against the same weights in fp32 on the user's own images.
package struct AccuracyCard: Codable, Sendable {
  /// Signal to noise, 10 log10 of the power of fp32's values over that of their difference from the quantised model's.
  package struct Layer: Codable, Sendable {
    package var name: String
    /// Of the output. Linear layers are both given fp32's input, so that each shows its own noise; blocks of convolutions
    /// have that of the blocks before them too.
    package var output: Double?
    /// Of the weights; nil for a block of several.
    package var weights: Double?
  }

  /// Cosines that a model must keep, each as a median.
  package struct Budget: Sendable {
    /// Of g and t.
    package var vectors: Double
    /// Of P.
    package var patches: Double

    package init(vectors: Double, patches: Double) { (self.vectors, self.patches) = (vectors, patches) }
  }

  package var images: Int
  package var sentences: Int
  package var global: Cosines
  package var patches: Cosines
  package var text: Cosines
  /// The share of fp32's ten best images that the quantised model's ten best hold, over the sentences.
  package var overlap: Double
  /// The noisiest outputs first, then the noisiest weights.
  package var layers: [Layer]
  /// The layers that stayed fp32, or the beginnings of their names.
  package var escapes: [String]?

  /// - Parameters:
  ///   - exact: what the model in fp32 makes of images and sentences.
  ///   - quantized: the same weights, quantised.
  ///   - layers: the noise of each.
  package init(exact: ExactVectors, quantized: Engine, layers: [Layer], escapes: [String] = []) {
    let others = zip(exact.images, quantized.encode(imagePaths: exact.images.map(\.path)))
    let images = others.compactMap { a, b in (try? b.get()).map { (a.vectors, $0) } }
    let texts = Array(zip(exact.texts, quantized.encode(texts: exact.sentences)))
    let d = quantized.dimension
    (self.images, self.sentences, self.layers) = (images.count, texts.count, layers)
    self.escapes = escapes.isEmpty ? nil : escapes
    global = Cosines(of: images.flatMap(\.1.global), and: images.flatMap(\.0.global), dimension: d)
    patches = Cosines(of: images.flatMap(\.1.patches), and: images.flatMap(\.0.patches), dimension: d)
    text = Cosines(of: texts.flatMap(\.1.sentence), and: texts.flatMap(\.0.sentence), dimension: d)
    func best(_ g: [Float], _ t: [Float]) -> Set<Int> {
      let scores = AlignedBuffer<Float>(count: g.count / d, repeating: 0)
      quantized.kernels.dots(Rows(g.span, dimension: d), Rows(t.span, dimension: d), into: scores)
      return Set(recall(scores.span, limit: 10).map(\.item))
    }
    let (exactImages, otherImages) = (images.flatMap(\.0.global), images.flatMap(\.1.global))
    let shared = texts.map { a, b in
      best(exactImages, a.sentence).intersection(best(otherImages, b.sentence)).count
    }
    overlap = Double(shared.reduce(0, +)) / Double(max(texts.count * min(10, images.count), 1))
  }

  /// What the figures mean for the ranking of images.
  package var verdict: String {
    let least = min(global.median, text.median)
    if least >= 0.99 && patches.median >= 0.97 && overlap >= 0.95 {
      return "good: images rank as in fp32, but for near ties"
    }
    if least >= 0.97 && patches.median >= 0.93 && overlap >= 0.85 {
      return "fair: neighbours in the ranking change places"
    }
    return "poor: other images come first; set a budget, or take the precision int8-weights"
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
        + String(format: "mean %.4f, median %.4f, 1st percentile %.4f", c.mean, c.median, c.firstPercentile)
    }
    return [
      "against fp32, on \(images) images and \(sentences) sentences (cosines with the mean taken off):",
      line("  g, the global vector", global), line("  P, the patches", patches), line("  t, the sentence", text),
      String(format: "  of fp32's ten best images     %.1f %% are among the ten best", 100 * overlap),
      "  verdict: \(verdict)", "  signal to noise of outputs and of weights, the noisiest first:",
    ] + layers.prefix(allLayers ? layers.count : 5).map(row)
  }

  private func row(_ layer: Layer) -> String {
    func decibels(_ value: Double?) -> String {
      let text = value.map { String(format: "%.1f dB", $0) } ?? "-"
      return String(repeating: " ", count: max(10 - text.count, 1)) + text
    }
    return "    " + layer.name.padding(toLength: 30, withPad: " ", startingAt: 0) + decibels(layer.output)
      + decibels(layer.weights)
  }
}
