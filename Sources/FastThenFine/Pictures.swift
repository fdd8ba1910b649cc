import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels
import FTFScenes

extension Engine {
  /// A picture as files hold it: JPEG and PNG by the libraries that are linked, everything else by GDAL where it is installed.
  ///
  /// - Parameter path: as a spelling of `FilePath`.
  package func picture(at path: String) throws(ImagingError) -> RGBImage {
    guard Scene.isOne(at: FilePath(path)) else { return try RGBImage(path: path, reducedTo: inputSide) }
    return try picture(FilePath(path), nil, nil)
  }

  /// What a result shows.
  package func picture(of result: Answer.Result) throws(ImagingError) -> RGBImage {
    let path = result.filePath
    guard let stored = StoredScene(result.scene) else { return try picture(at: path.spelling) }
    return try picture(path, result.pixels, stored)
  }

  /// What the shorter side of a picture is made before it is cropped.
  var inputSide: Int { max(model.config.preprocessing.resizeTo, model.config.preprocessing.cropTo) }

  private func picture(_ path: FilePath, _ window: Window?, _ stored: StoredScene?) throws(ImagingError) -> RGBImage {
    let scene = try Scene(path, bands: stored?.cutting.bands)
    let side = inputSide
    guard let image = try scene.picture(window, side: side, stretch: stored?.stretch, with: kernels.singleThreaded) else {
      throw .unreadable(path: path.description, reason: "most of it is nothing")
    }
    return image
  }
}

extension Answer.Result {
  var filePath: FilePath { pathBytes.map { FilePath(bytes: $0) } ?? FilePath(name) }
  var pixels: Window? { window.map { Window(x: $0.x, y: $0.y, width: $0.width, height: $0.height) } }
}
