import Foundation
import FTFWeights

/// Finds out which activation explains the vectors that another program made of the same weights.
struct ReferenceVectors {
  private let path: String
  private let expected: [Float]
  private let inputs: Inputs

  enum Inputs {
    case images([String])
    case sentences([String])

    var count: Int {
      switch self {
      case .images(let paths): paths.count
      case .sentences(let sentences): sentences.count
      }
    }
  }

  /// Rows that are compared: a wrong activation shows in each.
  private static let most = 64
  /// A median of 1 - cosine that rounding to half precision stays below.
  private static let explained = 1e-3

  /// - Parameter options: with vectors, a row for each calibration image or each sentence.
  init(_ options: Converter.Options) throws {
    let (path, rows, values, images) = options.expected!
    let inputs: Inputs = images.map(Inputs.images) ?? .sentences(options.sentences)
    guard rows == inputs.count else {
      throw FastThenFineError(
        .badInput, at: path,
        "has \(rows) rows for \(inputs.count) inputs; a row for each calibration image, sorted by path, or for "
          + "each sentence is compared")
    }
    let taken = (0..<min(rows, Self.most)).map { $0 * rows / min(rows, Self.most) }
    let d = values.count / rows
    expected = taken.flatMap { values[$0 * d..<($0 + 1) * d] }
    for row in stride(from: 0, to: expected.count, by: d) where expected[row..<row + d].allSatisfy({ $0 == 0 }) {
      throw FastThenFineError(.badInput, at: path, "has a row of zeros, which has no direction")
    }
    (self.path, self.inputs) =
      switch inputs {
      case .images(let paths): (path, .images(taken.map { paths[$0] }))
      case .sentences(let sentences): (path, .sentences(taken.map { sentences[$0] }))
      }
  }

  /// Sets the model's activation where it was a guess.
  ///
  /// - Throws: where no activation explains the vectors, or another than the source or the user says.
  func check(_ model: inout SourceModel, _ level: String?, _ threads: Int?, report: (String) -> Void) throws {
    let declared = model.activation(ofImages: isOfImages)
    let names = declared.isFixed ? [declared.name] : ["gelu", "quickgelu"]
    var distances: [(name: String, distance: Double)] = []
    for name in names { distances.append((name, try distance(model.with(activation: name), level, threads))) }
    distances.sort { $0.distance < $1.distance }
    let figures = distances.map { "\($0.name) \(String(format: "%.1e", $0.distance))" }.joined(separator: ", ")
    report("\(path): median of 1 - cosine: \(figures)")
    let best = distances[0]
    guard best.distance <= Self.explained else {
      throw FastThenFineError(
        .badInput, at: path,
        "no activation explains it (1 - cosine is \(figures)); are its rows of the same inputs, in the order of sorted "
          + "paths or of the lines?")
    }
    if distances.count > 1, distances[1].distance < 4 * best.distance {
      throw FastThenFineError(.badInput, at: path, "does not tell the activations apart (1 - cosine is \(figures)); give more rows, in fp32")
    }
    guard best.name != declared.name else { return }
    guard model.isActivationGuessed else {
      throw FastThenFineError(
        .badInput, at: path,
        "is explained by \(best.name), not by \(declared.name) (\(figures)); give the activation \(best.name)")
    }
    model = model.with(activation: best.name)
    model.decisions = model.decisions.filter { !$0.hasPrefix("activation:") }
    model.decisions.append("activation: \(best.name) (it explains \(path))")
  }

  private var isOfImages: Bool {
    if case .images = inputs { return true }
    return false
  }

  private func distance(_ model: SourceModel, _ level: String?, _ threads: Int?) throws -> Double {
    let engine = try Engine(
      Model(model), for: Engine.kernels(level: level, threads: threads))
    let d = engine.dimension
    guard expected.count == inputs.count * d else {
      throw FastThenFineError(.badInput, at: path, "has rows of \(expected.count / inputs.count) values, the model vectors of \(d)")
    }
    let vectors: [[Float]] =
      switch inputs {
      case .images(let paths): try engine.encode(imagePaths: paths).map { try $0.get().global }
      case .sentences(let sentences): engine.encode(texts: sentences).map(\.sentence)
      }
    return 1 - Cosines(of: vectors.flatMap { $0 }, and: expected, dimension: d).median
  }
}
