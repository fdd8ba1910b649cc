import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels
import FTFScenes

/// Pictures of where the interaction looked: the weights over the patch grid laid over the image.
public enum HeatMap {
  /// Writes `FOLDER/<rank>.png`, the picture with the attention over it, and `FOLDER/<rank>.json` (path, query, score and the grid of
  /// attention) for every result that was reranked; for a part of a scene with a place on the ground also `FOLDER/<rank>.tif`, the grid as
  /// a GeoTIFF in the scene's reference system.
  ///
  /// - Throws: `unusableFile`.
  public static func write(
    _ answer: Answer, _ query: String, to folder: String, with engine: Engine
  ) throws(FastThenFineError) {
    do { try files(answer, query, folder, engine) } catch { throw FastThenFineError(error) }
  }

  /// A result as it is shown, about as large as the model takes it: with the attention over it where it was reranked.
  ///
  /// - Returns: `pixels`: u8[height, width, 3], red, green and blue.
  /// - Throws: `unusableFile` where its file cannot be read.
  public static func drawn(_ result: Answer.Result, with engine: Engine) throws(FastThenFineError) -> Engine.Picture {
    let image = try FastThenFineError.wrapping {
      try result.attention.map { try picture($0, of: result, with: engine) } ?? picture(of: result, with: engine)
    }
    return .pixels((0..<image.pixels.count).map { image.pixels[$0] }, width: image.width, height: image.height)
  }

  private static func files(_ answer: Answer, _ query: String, _ folder: String, _ engine: Engine) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw FastThenFineError(.unusableFile, at: folder, "cannot be made: \(error.systemReason)")
    }
    let side = engine.model.config.vision.grid
    for result in answer.results {
      guard let weights = result.attention else { continue }
      try picture(weights, of: result, with: engine).write(png: "\(folder)/\(result.rank).png")
      let grid = (0..<side).map { row in weights[row * side..<(row + 1) * side].map(Double.init) }
      var object: [String: Any] = [
        "rank": result.rank, "path": result.name, "query": query, "score": Double(result.score), "grid": grid,
      ]
      if let window = result.window { object["window"] = [window.x, window.y, window.width, window.height] }
      if let stored = StoredScene(result.scene), stored.reference != nil {
        let scene = try Scene(result.filePath, bands: stored.cutting.bands)
        if scene.ground?.transform != nil {
          let output = try OutputFile("\(folder)/\(result.rank).tif")
          try scene.write(grid: weights, side: side, over: result.pixels, to: output.partial)
          try output.commit()
        }
      }
      let json = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
      try OutputFile.write(json, to: "\(folder)/\(result.rank).json")
    }
  }

  /// A result as a card has it, about as large as the model takes it.
  package static func picture(of result: Answer.Result, with engine: Engine) throws(ImagingError) -> RGBImage {
    shown(try engine.picture(of: result), with: engine)
  }

  private static func shown(_ picture: RGBImage, with engine: Engine) -> RGBImage {
    guard WholePicture.isWide(picture.width, picture.height) else { return engine.prepared(picture) }
    let least = min(picture.width, picture.height)
    let short = min(engine.inputSide, least)
    return picture.resized(width: max(1, picture.width * short / least), height: max(1, picture.height * short / least))
  }

  /// A result with the weights over what of it was seen: all of a picture that is not square is shown.
  package static func picture(_ weights: [Float], of result: Answer.Result, with engine: Engine) throws(ImagingError) -> RGBImage {
    let size = result.pixels == nil || result.scene != nil ? nil : RGBImage.size(try RGBImage.bytes(result.filePath.spelling))
    return picture(weights, of: result, try engine.picture(of: result), size, with: engine)
  }

  /// The same from the file that was indexed.
  package static func picture(
    _ weights: [Float], of result: Answer.Result, in file: IndexedFile, with engine: Engine
  ) throws(FastThenFineError) -> RGBImage {
    let size = result.pixels == nil || result.scene != nil ? nil : RGBImage.size(Data(try file.bytes(at: 0, count: file.size)))
    return picture(weights, of: result, try file.picture(of: result, with: engine), size, with: engine)
  }

  private static func picture(
    _ weights: [Float], of result: Answer.Result, _ picture: RGBImage, _ size: (width: Int, height: Int, decodingBytes: Int)?, with engine: Engine
  ) -> RGBImage {
    let (side, shown) = (engine.model.config.vision.grid, shown(picture, with: engine))
    guard let window = result.pixels, let size else {
      return overlay(weights, side: side, on: shown)
    }
    return overlay(weights, side: side, on: shown, over: Engine.scaled(window, (size.width, size.height), to: (shown.width, shown.height)))
  }

  /// The image with the weights over it: cold where they are least, hot where they are greatest, smooth between.
  ///
  /// - Parameters:
  ///   - weights: f32[side, side] over the window.
  ///   - window: of the image; nil for all of it. What lies beside it is cold.
  package static func overlay(_ weights: [Float], side: Int, on image: RGBImage, over window: Window? = nil) -> RGBImage {
    let window = window ?? Window(x: 0, y: 0, width: image.width, height: image.height)
    let (least, most) = (weights.min()!, weights.max()!)
    let range = max(most - least, .leastNormalMagnitude)
    let heat = weights.map { ($0 - least) / range }
    let pixels = AlignedBuffer<UInt8>(count: image.pixels.count, repeating: 0)
    for y in 0..<image.height {
      for x in 0..<image.width {
        let isSeen = x >= window.x && x < window.x + window.width && y >= window.y && y < window.y + window.height
        let h =
          isSeen
          ? bilinear(
            heat, side, (Float(y - window.y) + 0.5) / Float(window.height) * Float(side) - 0.5,
            (Float(x - window.x) + 0.5) / Float(window.width) * Float(side) - 0.5) : 0
        // The hotter, the more of the colour: what was not looked at stays as it is, a little darker.
        let opacity = 0.15 + 0.5 * h
        for (c, colour) in [255 * min(1, 2 * h), 255 * max(0, 1.4 * h - 0.5), 90 * (1 - h)].enumerated() {
          let i = (y * image.width + x) * 3 + c
          pixels[i] = UInt8(min(max((1 - opacity) * Float(image.pixels[i]) + opacity * colour, 0), 255))
        }
      }
    }
    return RGBImage(width: image.width, height: image.height, pixels: pixels)
  }

  private static func bilinear(_ grid: [Float], _ side: Int, _ y: Float, _ x: Float) -> Float {
    let (y, x) = (min(max(y, 0), Float(side - 1)), min(max(x, 0), Float(side - 1)))
    let (y0, x0) = (Int(y), Int(x))
    let (y1, x1) = (min(y0 + 1, side - 1), min(x0 + 1, side - 1))
    let (fy, fx) = (y - Float(y0), x - Float(x0))
    let top = grid[y0 * side + x0] * (1 - fx) + grid[y0 * side + x1] * fx
    let bottom = grid[y1 * side + x0] * (1 - fx) + grid[y1 * side + x1] * fx
    return top * (1 - fy) + bottom * fy
  }
}
