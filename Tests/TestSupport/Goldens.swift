import Foundation
import FTFWeights

/// What `Models/goldens.py` (or, for a full model, `Models/check.py`) wrote.
package struct Goldens {
  package struct Lists: Decodable {
    package var images: [String]
    package var sentences: [String]
    package var ids: [[Int32]]
  }

  /// The committed fixtures.
  package static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Goldens").path

  package let lists: Lists
  package let values: SafeTensors

  package init(folder: String = Goldens.folder, name: String = "expected") throws {
    lists = try JSONDecoder().decode(Lists.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name).json")))
    values = try SafeTensors(path: "\(folder)/\(name).safetensors")
  }

  /// The default model.
  package static let defaultModel = URL(fileURLWithPath: folder).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Models/ftf-small.ftf").path

  /// A tensor of any shape, flat.
  package func floats(_ name: String) throws -> [Float] {
    try values.floats(name, shape: values.tensors[name]!.shape)
  }
}

/// A folder that goes when the value does.
package final class TemporaryFolder {
  package let path: String

  package init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("ftf-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  package func file(_ name: String, _ data: Data? = nil) throws -> String {
    if let data { try data.write(to: URL(fileURLWithPath: "\(path)/\(name)")) }
    return "\(path)/\(name)"
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The largest absolute difference and the smallest cosine of rows of `width`, rows of zeros left out.
package func distance(_ a: [Float], _ b: [Float], width: Int) -> (worst: Float, cosine: Float) {
  precondition(a.count == b.count)
  var worst: Float = 0
  var cosine: Float = 1
  for row in stride(from: 0, to: a.count, by: width) {
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    for i in row..<row + width {
      worst = max(worst, abs(a[i] - b[i]))
      ab += Double(a[i]) * Double(b[i])
      aa += Double(a[i]) * Double(a[i])
      bb += Double(b[i]) * Double(b[i])
    }
    if bb > 0 { cosine = min(cosine, Float(ab / max((aa * bb).squareRoot(), 1e-30))) }
  }
  return (worst, cosine)
}
