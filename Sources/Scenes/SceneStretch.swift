import CFTFGDAL
import Foundation
import FTFImaging
import FTFKernels

extension Scene {
  /// Values of each band that are looked at, at most about this many.
  private static let mostSamples = 4 << 20
  /// The shares of the valid pixels that are darker than black and brighter than white.
  private static let percentiles = (0.02, 0.98)

  /// The 2nd and the 98th percentile of red, green and blue over the whole scene: of its smallest overview with enough pixels, or
  /// else of blocks spread evenly over it. The same file gives the same numbers.
  func measureStretch(with kernels: KernelSet) throws(ImagingError) -> Stretch {
    if toning.type == CGDAL_F64 { return try measureStretch(of: Double.self, CGDAL_F64, with: kernels) }
    return try measureStretch(of: Float.self, CGDAL_F32, with: kernels)
  }

  /// - Parameter type: of the values, of which `T` loses none.
  private func measureStretch<T: BinaryFloatingPoint & BitwiseCopyable & Sendable>(
    of: T.Type, _ type: Int32, with kernels: KernelSet
  ) throws(ImagingError) -> Stretch {
    let level = levels.last { $0.width * $0.height >= 1 << 18 } ?? levels[0]
    let size = try with(level) { dataset throws(ImagingError) in dataset.size }
    let isTurned = orientation >= 5
    let block = (width: Int(isTurned ? size.block_height : size.block_width), height: Int(isTurned ? size.block_width : size.block_height))
    let (blockWidth, blockHeight) = (min(1024, max(1, block.width)), min(1024, max(64, block.height)))
    let (across, down) = ((level.width + blockWidth - 1) / blockWidth, (level.height + blockHeight - 1) / blockHeight)
    let most = max(1, Self.mostSamples / (blockWidth * blockHeight))
    // Every so many blocks of the whole, so that they are spread over it.
    let step = max(1, Int((Double(across * down) / Double(most)).rounded(.up)))
    let chosen = Swift.stride(from: step / 2, to: across * down, by: step).map { $0 }
    let parts = kernels.parallelMap(chosen.count) { i -> Result<[[T]], ImagingError> in
      let (x, y) = (chosen[i] % across * blockWidth, chosen[i] / across * blockHeight)
      let window = (x, y, min(blockWidth, level.width - x), min(blockHeight, level.height - y))
      return Result { () throws(ImagingError) in try self.values(window, level, type) }
    }
    var values: [[T]] = [[], [], []]
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
      let (low, high) = (percentile(Self.percentiles.0), percentile(Self.percentiles.1))
      stretch.low.append(low)
      // Of one value alone: what is above it is white, however little.
      stretch.high.append(high > low ? high : low + max(1e-6, abs(low) * 1e-6))
    }
    return stretch
  }

  /// The values of red, green and blue in a window of a level, where there are any.
  private func values<T: BinaryFloatingPoint & BitwiseCopyable>(
    _ window: (x: Int, y: Int, width: Int, height: Int), _ level: Level, _ type: Int32
  ) throws(ImagingError) -> [[T]] {
    let count = window.width * window.height
    let planes = toning.bands.count
    let values = AlignedBuffer<T>(uninitialised: count * planes)
    let mask = toning.hasMask ? AlignedBuffer<UInt8>(uninitialised: count) : nil
    try unsafe read(window, level, type: type, into: UnsafeMutableRawPointer(values.address), mask: mask?.address)
    var found: [[T]] = [[], [], []]
    for c in 0..<3 { found[c].reserveCapacity(count) }
    for i in 0..<count {
      if let mask, mask[i] == 0 { continue }
      if let alpha = toning.alpha, values[i * planes + alpha] <= 0 { continue }
      var (r, g, b) = (values[i * planes + toning.planes[0]], values[i * planes + toning.planes[1]], values[i * planes + toning.planes[2]])
      if toning.isSignedByte { (r, g, b) = (r > 127 ? r - 256 : r, g > 127 ? g - 256 : g, b > 127 ? b - 256 : b) }
      if toning.isNothing((Double(r), Double(g), Double(b))) { continue }
      found[0].append(r)
      found[1].append(g)
      found[2].append(b)
    }
    return found
  }
}
