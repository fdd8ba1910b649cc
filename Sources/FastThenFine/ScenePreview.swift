import FTFFiles
import Foundation
import FTFImaging
import FTFScenes

/// What a scene will look like to a model, before an hour is spent on it.
package struct ScenePreview: Sendable {
  package var path: String
  package var picture: String
  package var width: Int
  package var height: Int
  /// Of a window, and how many there are.
  package var window: (width: Int, height: Int)
  package var windows: Int
  /// By what its bands are known, where it does not say it itself.
  package var basis: String?

  /// Pixels of the longer side of a picture, at most.
  private static let side = 1024

  /// Writes a PNG file of every scene below some paths.
  package static func all(
    of paths: [String], _ cutting: SceneCutting, to folder: String, with engine: Engine
  ) throws(FastThenFineError) -> [Result<ScenePreview, FastThenFineError>] {
    let (cutting, walk) = (try cutting.checked(), FolderWalk(paths))
    if let problem = walk.problems.first { throw FastThenFineError(.unusableFile, problem) }
    let scenes = walk.files.map(\.path).filter { IndexWriter.isScene($0, cutting) }
    guard !scenes.isEmpty else {
      throw FastThenFineError(.unusableFile, paths.joined(separator: ", ") + ": holds no scene to look at" + (GDAL.absence.map { "; \($0)" } ?? ""))
    }
    var taken: Set<String> = []
    return scenes.map { path in
      var name = path.name
      while !taken.insert(name).inserted { name += "_" }
      return Result { () throws(FastThenFineError) in try ScenePreview(path, cutting, "\(folder)/\(name).png", engine) }
    }
  }

  private init(_ path: FilePath, _ cutting: Cutting, _ picture: String, _ engine: Engine) throws(FastThenFineError) {
    do {
      let scene = try Scene(path, bands: cutting.bands)
      let grid = try engine.grid(scene, cutting)
      guard let image = try scene.picture(nil, side: Self.side, stretch: nil, shape: .ground, with: engine.kernels) else {
        throw ImagingError.unreadable(path: path.description, reason: "most of it is nothing")
      }
      let scale = min(1, Double(Self.side) / Double(max(image.width, image.height)))
      let small =
        scale < 1
        ? image.resized(width: max(1, Int(Double(image.width) * scale)), height: max(1, Int(Double(image.height) * scale))) : image
      try small.write(png: picture)
      (self.path, self.picture, width, height) = (path.description, picture, scene.width, scene.height)
      (window, windows, basis) = ((grid.width, grid.height), grid.count, scene.basis)
    } catch {
      throw FastThenFineError(error)
    }
  }

  package var line: String {
    "\(path): \(width) x \(height), \(windows) windows of \(window.width) x \(window.height)" + (basis.map { "; red, green and blue \($0)" } ?? "")
      + "; \(picture)"
  }

  package var object: [String: Any] {
    var object: [String: Any] = [
      "path": path, "picture": picture, "width": width, "height": height, "window": [window.width, window.height], "windows": windows,
    ]
    object["bands"] = basis
    return object
  }
}
