import CFTFGDAL
import CFTFImage
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels
import Synchronization

/// What a scene's windows look like to a model, in the order of the grid, each block of the file decoded once.
///
/// Memory holds a strip: the pixels of one row of windows, already reduced to between once and twice what the model takes. A scene so
/// wide that its strip would be large is read in parts side by side.
package final class SceneReader {
  let scene: Scene
  package let grid: WindowGrid
  package let stretch: Stretch?
  private let level: Scene.Level
  /// Pixels that the model takes from a window.
  private let side: Int
  /// Pixels of the level that become one of the strip.
  private let factor: Int
  private let shape: PictureShape
  private let table: AlignedBuffer<UInt8>
  private let strips: [Strip]

  /// Windows side by side whose pixels are in memory at once, and the columns of the reduced level that they cover.
  private struct Strip {
    var columns: Range<Int>
    var pixels: Range<Int>
  }

  /// Bytes of a strip's pixels, where the file can be read in parts side by side.
  private static let stripBytes = 16 << 20

  /// - Parameters:
  ///   - side: pixels that the model takes from a window.
  ///   - stretch: what an earlier reading found; nil to look at the scene's values now.
  package init(
    _ scene: Scene, grid: WindowGrid, side: Int, stretch known: Stretch? = nil, shape: PictureShape = .square, with kernels: KernelSet
  ) throws(ImagingError) {
    (self.scene, self.grid, self.side, self.shape) = (scene, grid, side, shape)
    // The coarsest level that still has all the pixels that the model takes, reduced by whole pixels as far as that goes.
    let wanted = Double(shape == .square ? min(grid.width, grid.height) : max(grid.width, grid.height)) / Double(side)
    level = scene.levels.last { Double(scene.width) / Double($0.width) <= max(1, wanted) * 1.001 } ?? scene.levels[0]
    let rest = wanted * Double(level.width) / Double(scene.width)
    var factor = 1
    while Double(factor * 2) <= rest * 1.001, factor < 1024 { factor *= 2 }
    self.factor = factor
    if scene.toning.needsStretch, known == nil {
      stretch = try scene.measureStretch(with: kernels)
    } else {
      stretch = scene.toning.needsStretch ? known : nil
    }
    table = scene.toning.table(stretch)
    let (block, rows) = try Self.blocks(scene, level, factor)
    let scale = Double(level.width) / Double(scene.width) / Double(factor)
    let reach = Double(grid.height) * scale + 2 + Double(rows) / Double(factor)
    let widest = block.width >= level.width ? Int.max : max(4 * side, Int(Double(Self.stripBytes) / 4 / reach))
    strips = Self.strips(grid, scale, widest, (level.width + factor - 1) / factor)
    (self.block, taskRows) = (block, rows)
  }

  private let block: (width: Int, height: Int)
  /// Rows of the level that are read at once.
  private let taskRows: Int

  private static func blocks(
    _ scene: Scene, _ level: Scene.Level, _ factor: Int
  ) throws(ImagingError) -> (block: (width: Int, height: Int), rows: Int) {
    let size = try scene.with(level) { dataset throws(ImagingError) in dataset.size }
    let isTurned = scene.orientation >= 5
    let block = (
      max(1, Int(isTurned ? size.block_height : size.block_width)), max(1, Int(isTurned ? size.block_width : size.block_height))
    )
    // Whole blocks and whole cells of the strip: what is read has to be a multiple of both.
    var rows = block.1
    while rows % factor != 0 { rows += block.1 }
    let least = min(64, max(1, level.height))
    let groups = (least + rows - 1) / rows
    return (block, rows * groups)
  }

  private static func strips(_ grid: WindowGrid, _ scale: Double, _ widest: Int, _ most: Int) -> [Strip] {
    var (strips, first) = ([Strip](), 0)
    while first < grid.left.count {
      func pixels(_ last: Int) -> Range<Int> {
        let start = max(0, Int((Double(grid.left[first]) * scale).rounded(.down)))
        let end = min(most, Int((Double(grid.left[last] + grid.width) * scale).rounded(.up)) + 1)
        return start..<end
      }
      var last = first
      while last + 1 < grid.left.count, pixels(last + 1).count <= widest { last += 1 }
      strips.append(Strip(columns: first..<last + 1, pixels: pixels(last)))
      first = last + 1
    }
    return strips
  }

  // MARK: Reading

  /// Windows side by side, in the order of the grid.
  ///
  /// Sendable until the next row is read: what makes pictures of it only reads.
  package struct Row: @unchecked Sendable {
    package let windows: [Window]
    fileprivate let reader: SceneReader
    fileprivate let buffer: StripBuffer

    /// The picture of a window, from any thread, until the next row is read; nil where most of it is nothing.
    package func image(_ i: Int) -> RGBImage? { reader.image(windows[i], buffer) }
  }

  /// Memory that no task uses.
  private let idle = Mutex<[AlignedBuffer<UInt8>]>([])
  private var position = (strip: 0, row: 0)
  private var buffer: StripBuffer?

  /// Leaves out the first windows of the grid.
  package func skip(_ count: Int) {
    var left = count
    for (i, strip) in strips.enumerated() {
      let rows = min(grid.top.count, left / strip.columns.count)
      position = (i, rows)
      left -= rows * strip.columns.count
      if rows < grid.top.count { break }
      position = (i + 1, 0)
    }
    skipped = left
  }

  /// Windows of the next row that are left out.
  private var skipped = 0

  /// Reads the next windows; nil after the last.
  package func next(with kernels: KernelSet) throws(ImagingError) -> Row? {
    guard position.strip < strips.count else { return nil }
    let strip = strips[position.strip]
    let buffer = buffer ?? StripBuffer(columns: strip.pixels)
    let windows = strip.columns.map {
      Window(x: grid.left[$0], y: grid.top[position.row], width: grid.width, height: grid.height)
    }
    try fill(buffer, rows(of: windows[0]), kernels)
    position.row += 1
    self.buffer = buffer
    if position.row == grid.top.count {
      position = (position.strip + 1, 0)
      self.buffer = nil
    }
    defer { skipped = 0 }
    return Row(windows: Array(windows.dropFirst(skipped)), reader: self, buffer: buffer)
  }

  /// Pixels of the strip for one of the scene.
  private var scale: (x: Double, y: Double) {
    (
      Double(level.width) / Double(scene.width) / Double(factor), Double(level.height) / Double(scene.height) / Double(factor)
    )
  }

  private func rows(of window: Window) -> Range<Int> {
    let most = (level.height + factor - 1) / factor
    let start = min(most - 1, Int((Double(window.y) * scale.y).rounded(.down)))
    return start..<min(most, Int((Double(window.y + window.height) * scale.y).rounded(.up)) + 1)
  }

  private func fill(_ strip: StripBuffer, _ wanted: Range<Int>, _ kernels: KernelSet) throws(ImagingError) {
    strip.keep(from: wanted.lowerBound, taskRows: taskRows / factor)
    strip.reserve(wanted.count + 2 * (taskRows / factor))
    while strip.end < wanted.upperBound {
      let (from, to) = (strip.end * factor, min(level.height, strip.end * factor + taskRows))
      strip.end = (to + factor - 1) / factor
      let tasks = tasks(strip, from..<to, kernels.threads)
      // Tasks read what is constant here and write parts of the strip that are theirs alone; nothing else happens meanwhile.
      nonisolated(unsafe) let (reader, part) = (self, strip)
      let failures = kernels.parallelMap(tasks.count) { i -> ImagingError? in
        do throws(ImagingError) {
          unsafe try reader.load(tasks[i], part)
          return nil
        } catch { return error }
      }
      if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
    }
  }

  private typealias Rectangle = (x: Int, y: Int, width: Int, height: Int)

  /// What is read by one thread at once, in pixels of the level: whole blocks as far as the strip has them.
  private func tasks(_ strip: StripBuffer, _ rows: Range<Int>, _ threads: Int) -> [Rectangle] {
    let (left, right) = (strip.columns.lowerBound * factor, min(level.width, strip.columns.upperBound * factor))
    if block.width >= level.width {
      // Rows as wide as the file: the threads share the rows.
      var step = max(block.height, rows.count / max(1, threads))
      while step % factor != 0 || step % block.height != 0 { step += 1 }
      return stride(from: rows.lowerBound, to: rows.upperBound, by: step).map {
        (left, $0, right - left, min(step, rows.upperBound - $0))
      }
    }
    var step = block.width * max(1, 1024 / block.width)
    while step % factor != 0 { step += block.width }
    let first = left / step * step
    return stride(from: first, to: right, by: step).map { x in
      let start = max(left, x)
      return (start, rows.lowerBound, min(right, x + step) - start, rows.count)
    }
  }

  private func load(_ task: Rectangle, _ strip: StripBuffer) throws(ImagingError) {
    let toning = scene.toning
    let count = task.width * task.height
    // Kept for the next task: memory that comes and goes in such pieces ends up in shreds.
    let bytes = count * toning.bands.count * toning.valueBytes
    var kept = idle.withLock { $0.popLast() }
    if kept.map({ $0.count < bytes }) ?? true { kept = AlignedBuffer<UInt8>(uninitialised: bytes) }
    let values = kept!
    defer { idle.withLock { $0.append(values) } }
    let mask = toning.hasMask ? AlignedBuffer<UInt8>(uninitialised: count) : nil
    try unsafe scene.read(task, level, type: toning.type, into: UnsafeMutableRawPointer(values.address), mask: mask?.address)
    let sums = AlignedBuffer<UInt32>(uninitialised: (task.width + factor - 1) / factor * 4)
    var tones = toning.tones(stretch)
    unsafe cimage_tone(
      values.address, UInt32(task.width), UInt32(task.height), mask?.address, &tones, table.address, UInt32(factor),
      strip.address(x: task.x / factor, y: task.y / factor), strip.columns.count * 4, sums.address)
  }

  /// The size of a picture whose pixels are square on the ground; nil where they are already. The side that has more pixels keeps them,
  /// up to twice what the model takes.
  private func squareSize(_ width: Int, _ height: Int) -> (width: Int, height: Int)? {
    guard shape != .pixels, let sample = scene.ground?.sample else { return nil }
    let (across, down) = (sample.across / scale.x, sample.down / scale.y)
    guard abs(across - down) * 50 > max(across, down) else { return nil }
    let ground = (width: Double(width) * across, height: Double(height) * down)
    let most = max(ground.width / min(across, down), ground.height / min(across, down))
    let longest = min(most, Double(max(2 * side, min(width, height))))
    let metres = max(ground.width, ground.height) / longest
    return (max(1, Int((ground.width / metres).rounded())), max(1, Int((ground.height / metres).rounded())))
  }

  /// The picture of a window: cut from the strip, where there is nothing the mean of the rest; nil where most is nothing.
  private func image(_ window: Window, _ strip: StripBuffer) -> RGBImage? {
    let x0 = max(strip.columns.lowerBound, Int((Double(window.x) * scale.x).rounded()))
    let y0 = max(strip.start, Int((Double(window.y) * scale.y).rounded()))
    let x1 = min(strip.columns.upperBound, max(x0 + 1, Int((Double(window.x + window.width) * scale.x).rounded())))
    let y1 = min(strip.end, max(y0 + 1, Int((Double(window.y + window.height) * scale.y).rounded())))
    let (width, height) = (x1 - x0, y1 - y0)
    guard width > 0, height > 0 else { return nil }
    // A picture is seen as any other is; of the ground nothing is cut off.
    let square = squareSize(width, height)
    let isPadded = shape == .square && !(grid.isWhole && scene.ground == nil) && !RGBImage.isSquare(square?.width ?? width, square?.height ?? height)
    let rgb = AlignedBuffer<UInt8>(uninitialised: width * height * 3)
    let mean = isPadded ? AlignedBuffer<UInt8>(count: 3, repeating: 0) : nil
    let share = unsafe cimage_cut(
      strip.address(x: x0, y: y0), strip.columns.count * 4, UInt32(width), UInt32(height), rgb.address, mean?.address)
    // Mostly nothing: less than half of it is there.
    guard share > 0, share * 2 >= UInt64(width * height) * 255 else { return nil }
    var image = RGBImage(width: width, height: height, pixels: rgb)
    if let square { image = image.resized(width: square.width, height: square.height) }
    return mean.map { image.padded(with: [$0[0], $0[1], $0[2]]) } ?? image
  }
}

/// What a picture of a window is to be.
package enum PictureShape: Sendable {
  /// As a model sees it: square, filled up where it is not, its pixels square on the ground.
  case square
  /// As it lies on the ground, whatever its sides.
  case ground
  /// The scene's own pixels.
  case pixels
}

/// Pixels of the rows that the windows being read need: u8[rows, columns, 4], the last what share of the pixel is there.
private final class StripBuffer {
  /// Of the reduced level.
  let columns: Range<Int>
  /// The first row that is held, and the one after the last.
  private(set) var start = 0
  var end = 0
  private(set) var pixels = AlignedBuffer<UInt8>(count: 0, repeating: 0)

  init(columns: Range<Int>) { self.columns = columns }

  private var stride: Int { columns.count * 4 }

  func offset(x: Int, y: Int) -> Int { (y - start) * stride + (x - columns.lowerBound) * 4 }

  @unsafe func address(x: Int, y: Int) -> UnsafeMutablePointer<UInt8> { unsafe pixels.address + offset(x: x, y: y) }

  /// Forgets the rows above, and skips those that nobody asks for.
  func keep(from row: Int, taskRows: Int) {
    guard row > start else { return }
    if row >= end {
      // Reading begins where a task begins.
      (start, end) = (row / taskRows * taskRows, row / taskRows * taskRows)
      return
    }
    let kept = (end - row) * stride
    unsafe memmove(pixels.address, pixels.address + (row - start) * stride, kept)
    start = row
  }

  /// Makes room for so many rows, at once: a larger buffer each time would leave holes that nothing fits into.
  func reserve(_ rows: Int) {
    guard pixels.count < rows * stride else { return }
    let larger = AlignedBuffer<UInt8>(uninitialised: rows * stride)
    unsafe memcpy(larger.address, pixels.address, (end - start) * stride)
    pixels = larger
  }
}

extension RGBImage {
  /// Windows are square to a pixel; what differs by more is the edge of a scene.
  fileprivate static func isSquare(_ width: Int, _ height: Int) -> Bool { abs(width - height) * 50 <= max(width, height) }

  /// Made square, so that a model that cuts out the middle sees all of it.
  fileprivate func padded(with color: [UInt8]) -> RGBImage {
    let side = max(width, height)
    let out = AlignedBuffer<UInt8>(uninitialised: side * side * 3)
    let (left, top) = ((side - width) / 2, (side - height) / 2)
    for y in 0..<side {
      for x in 0..<side {
        let isInside = x >= left && x < left + width && y >= top && y < top + height
        for c in 0..<3 { out[(y * side + x) * 3 + c] = isInside ? pixels[((y - top) * width + x - left) * 3 + c] : color[c] }
      }
    }
    return RGBImage(width: side, height: side, pixels: out)
  }
}

extension Scene {
  /// The picture of a window, or of all; nil where most of it is nothing.
  ///
  /// - Parameter side: pixels that it has at least, where the scene has them: on its shorter side, or on its longer one where it is looked at.
  package func picture(
    _ window: Window?, side: Int, stretch: Stretch?, shape: PictureShape = .square, with kernels: KernelSet
  ) throws(ImagingError) -> RGBImage? {
    let reader = try SceneReader(self, grid: WindowGrid(self, window: window), side: side, stretch: stretch, shape: shape, with: kernels)
    return try reader.next(with: kernels)?.image(0)
  }
}

extension WindowGrid {
  /// One window.
  init(_ scene: Scene, window: Window?) {
    let window = window ?? Window(x: 0, y: 0, width: scene.width, height: scene.height)
    (width, height, left, top, isPicture) = (window.width, window.height, [window.x], [window.y], false)
  }
}
