import CGDAL
import Foundation
import Imaging
import Kernels

extension Scene {
  /// Values of each band that are looked at, at most about this many.
  private static let mostSamples = 4 << 20
  /// The shares of the valid pixels that are darker than black and brighter than white.
  private static let percentiles = (0.02, 0.98)

  /// The 2nd and the 98th percentile of red, green and blue over the whole scene: of its smallest overview with enough pixels, or
  /// else of blocks spread evenly over it. The same file gives the same numbers.
  func measureStretch(with kernels: KernelSet) throws(ImagingError) -> Stretch {
    let level = levels.last { $0.width * $0.height >= 1 << 18 } ?? levels[0]
    let size = try with(level) { dataset throws(ImagingError) in dataset.size }
    let (blockWidth, blockHeight) = (min(1024, max(1, Int(size.block_width))), min(1024, max(64, Int(size.block_height))))
    let (across, down) = ((level.width + blockWidth - 1) / blockWidth, (level.height + blockHeight - 1) / blockHeight)
    let most = max(1, Self.mostSamples / (blockWidth * blockHeight))
    // Every so many blocks of the whole, so that they are spread over it.
    let step = max(1, Int((Double(across * down) / Double(most)).rounded(.up)))
    let chosen = Swift.stride(from: step / 2, to: across * down, by: step).map { $0 }
    let parts = kernels.parallelMap(chosen.count) { i -> Result<[[Float]], ImagingError> in
      let (x, y) = (chosen[i] % across * blockWidth, chosen[i] / across * blockHeight)
      let window = (x, y, min(blockWidth, level.width - x), min(blockHeight, level.height - y))
      return Result { () throws(ImagingError) in try self.values(window, level) }
    }
    var values: [[Float]] = [[], [], []]
    for part in parts {
      let part = try part.get()
      for c in 0..<3 { values[c] += part[c] }
    }
    var stretch = Stretch(low: [], high: [])
    for c in 0..<3 {
      // A scene of nothing has windows of nothing, whatever its range.
      guard !values[c].isEmpty else {
        stretch.low.append(0)
        stretch.high.append(1)
        continue
      }
      values[c].sort()
      func percentile(_ share: Double) -> Double { Double(values[c][Int((Double(values[c].count - 1) * share).rounded())]) }
      let low = percentile(Self.percentiles.0)
      stretch.low.append(low)
      stretch.high.append(max(percentile(Self.percentiles.1), low + max(1e-6, abs(low) * 1e-6)))
    }
    return stretch
  }

  /// The values of red, green and blue in a window of a level, where there are any.
  private func values(_ window: (x: Int, y: Int, width: Int, height: Int), _ level: Level) throws(ImagingError) -> [[Float]] {
    let count = window.width * window.height
    let planes = toning.bands.count
    let values = AlignedBuffer<Float>(uninitialised: count * planes)
    let mask = toning.hasMask ? AlignedBuffer<UInt8>(uninitialised: count) : nil
    try with(level) { dataset throws(ImagingError) in
      try unsafe dataset.read(window, bands: toning.bands, type: CGDAL_F32, into: UnsafeMutableRawPointer(values.address))
      if let mask { try unsafe dataset.readMask(window, into: mask.address) }
    }
    var found: [[Float]] = [[], [], []]
    for c in 0..<3 { found[c].reserveCapacity(count) }
    let nodata = toning.nodata.map { $0.map { Float($0) } }
    for i in 0..<count {
      if let mask, mask[i] == 0 { continue }
      if let alpha = toning.alpha, values[i * planes + alpha] <= 0 { continue }
      let (r, g, b) = (values[i * planes + toning.planes[0]], values[i * planes + toning.planes[1]], values[i * planes + toning.planes[2]])
      guard r.isFinite, g.isFinite, b.isFinite else { continue }
      if let nodata, r == nodata[0], g == nodata[1], b == nodata[2] { continue }
      found[0].append(r)
      found[1].append(g)
      found[2].append(b)
    }
    return found
  }
}
