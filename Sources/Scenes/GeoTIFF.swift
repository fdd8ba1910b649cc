import CFTFGDAL
import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels

/// Rasters with a place on the ground, as they are written.
package enum GeoTIFF {
  /// Of values in memory: bands, rows, columns.
  package enum Values {
    case u8([UInt8])
    case u16([UInt16])
    case f32([Float])
  }

  /// Writes a raster in a reference system by its EPSG number, or in that of a scene.
  ///
  /// - Parameters:
  ///   - driver: `GTiff`, or `COG` for one with tiles and overviews.
  ///   - transform: GDAL's six numbers; nil for none.
  package static func write(
    _ values: Values, width: Int, height: Int, bands: Int, to path: String, driver: String = "GTiff", options: String = "",
    transform: [Double]? = nil, like scene: Scene? = nil, epsg: Int = 0
  ) throws(ImagingError) {
    var message = [CChar](repeating: 0, count: Int(CGDAL_MESSAGE))
    let reference = try scene.map { scene throws(ImagingError) in try Dataset(scene.path) }
    func write(_ type: Int32, _ values: UnsafeRawPointer?) -> Int32 {
      unsafe cgdal_write(
        path, driver, options, Int32(width), Int32(height), Int32(bands), type, values, transform, reference?.handle, Int32(epsg),
        &message)
    }
    let failed: Int32
    switch values {
    case .u8(let values):
      precondition(values.count == width * height * bands)
      failed = unsafe values.withUnsafeBytes { unsafe write(CGDAL_U8, $0.baseAddress) }
    case .u16(let values):
      precondition(values.count == width * height * bands)
      failed = unsafe values.withUnsafeBytes { unsafe write(CGDAL_U16, $0.baseAddress) }
    case .f32(let values):
      precondition(values.count == width * height * bands)
      failed = unsafe values.withUnsafeBytes { unsafe write(CGDAL_F32, $0.baseAddress) }
    }
    guard failed == 0 else { throw Dataset.refusal(FilePath(path), message) }
  }
}

extension Scene {
  /// Writes a grid of values that lies over a window, with its place on the ground, as a GeoTIFF of f32; not where the scene has no
  /// affine transform.
  package func write(grid: [Float], side: Int, over window: Window?, to path: String) throws(ImagingError) {
    guard let ground, let t = ground.transform else { return }
    let window = window ?? Window(x: 0, y: 0, width: width, height: height)
    var (x, y, w, h) = (Double(window.x), Double(window.y), Double(window.width), Double(window.height))
    // A window that is not square on the ground was seen in the middle of a square.
    let (across, down) = (w * ground.sample.across, h * ground.sample.down)
    if abs(across - down) * 50 > max(across, down) {
      let (wide, high) = (max(across, down) / ground.sample.across, max(across, down) / ground.sample.down)
      (x, y, w, h) = (x - (wide - w) / 2, y - (high - h) / 2, wide, high)
    }
    let (sx, sy) = (w / Double(side), h / Double(side))
    let own = [t[0] + x * t[1] + y * t[2], t[1] * sx, t[2] * sy, t[3] + x * t[4] + y * t[5], t[4] * sx, t[5] * sy]
    try GeoTIFF.write(.f32(grid), width: side, height: side, bands: 1, to: path, transform: own, like: self)
  }
}
