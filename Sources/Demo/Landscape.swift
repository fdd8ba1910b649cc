import Foundation
import FTFImaging
import FTFKernels
import FTFScenes

/// A drawn scene as archives hold them: scenes of every kind at known places on a plain, 16 bits a value, half a metre a pixel, in UTM.
package struct Landscape: Sendable {
  /// Something that was placed.
  package struct Placed: Sendable {
    package var kind: SceneKind
    /// Of its upper left, in pixels.
    package var x: Int
    package var y: Int
    /// Of its square, in pixels.
    package var side: Int
  }

  /// Pixels a side.
  package let side: Int
  package private(set) var placed: [Placed] = []
  /// u16[3, side, side].
  private let values: [UInt16]

  /// UTM zone 32 north.
  private static let epsg = 32632
  private static let transform = [460_000, 0.5, 0, 5_460_000, 0, -0.5]
  /// Pixels of a cell of the plain, in which there is one thing or none.
  private static let cell = 400

  /// Four fifths of the cells hold something: a scene of little but one shade would be stretched until its noise is all one sees.
  ///
  /// - Parameter drawn: scenes that are there already, and are not drawn again.
  package init(side: Int, seed: UInt64 = 1, drawn: [Scene], with kernels: KernelSet) {
    self.side = side
    var random = Random(seed: seed)
    let across = side / Self.cell
    var cells = Array(0..<across * across)
    for i in cells.indices.dropLast() { cells.swapAt(i, random.whole(i...cells.count - 1)) }
    for (number, cell) in cells.prefix(cells.count * 4 / 5).enumerated() {
      let room = Self.cell - Self.picture
      placed.append(
        Placed(
          kind: SceneKind.allCases[number % SceneKind.allCases.count], x: cell % across * Self.cell + random.whole(0...room),
          y: cell / across * Self.cell + random.whole(0...room), side: Self.picture))
    }
    let (things, known) = (placed, Dictionary(uniqueKeysWithValues: drawn.map { ($0.name, $0) }))
    let pictures = kernels.parallelMap(things.count) { i in
      let (kind, scene) = (things[i].kind, i / SceneKind.allCases.count)
      return (known[kind.name(scene)] ?? kind.scene(scene)).image.resized(width: Self.picture, height: Self.picture)
    }
    let plane = Self.plain(side, kernels)
    kernels.parallelFor(things.count) { Self.paste(pictures[$0], things[$0], side, plane) }
    values = unsafe plane.span.withUnsafeBufferPointer { unsafe Array($0) }
  }

  /// Why none can be written; nil where it can.
  package static var absence: String? { GDAL.absence }

  private static let picture = 300

  /// Grass and bare soil, in soft patches.
  ///
  /// - Returns: u16[3, side, side].
  private static func plain(_ side: Int, _ kernels: KernelSet) -> AlignedBuffer<UInt16> {
    let noise = Noise(seed: 7)
    let step = 16
    let coarse = side / step + 2
    let patches = (0..<coarse * coarse).map { noise.fractal(Point(Float($0 % coarse), Float($0 / coarse)), size: 24) }
    let plane = AlignedBuffer<UInt16>(count: 3 * side * side, repeating: 0)
    kernels.parallelFor(side) { y in
      var random = Random(seed: UInt64(y) &* 77 + 5)
      for x in 0..<side {
        let (cx, cy) = (x / step, y / step)
        let (fx, fy) = (Float(x % step) / Float(step), Float(y % step) / Float(step))
        func at(_ dx: Int, _ dy: Int) -> Float { patches[(cy + dy) * coarse + cx + dx] }
        let top = at(0, 0) * (1 - fx) + at(1, 0) * fx
        let share = 0.5 + top * (1 - fy) + (at(0, 1) * (1 - fx) + at(1, 1) * fx) * fy - top * fy
        let (grass, soil) = (Colour(98, 122, 74), Colour(124, 126, 88))
        let grain = Float(random.next() >> 56) / 16 - 8
        let colour = grass + (soil - grass) * min(1, max(0, share)) + grain
        for c in 0..<3 { plane[(c * side + y) * side + x] = value(colour[c], c) }
      }
    }
    return plane
  }

  private static let (gain, dark) = (Colour(14, 12, 11), Colour(420, 510, 690))

  /// A shade as a sensor counts it: each band has its own dark and its own gain.
  private static func value(_ shade: Float, _ band: Int) -> UInt16 { UInt16(max(0, shade) * gain[band] + dark[band]) }

  /// Laid onto the plain, with soft edges. Things do not touch each other.
  private static func paste(_ image: RGBImage, _ thing: Placed, _ side: Int, _ plane: AlignedBuffer<UInt16>) {
    let soft = 10
    for c in 0..<3 {
      for y in 0..<thing.side {
        for x in 0..<thing.side {
          let edge = min(min(x, y), min(thing.side - 1 - x, thing.side - 1 - y))
          let share = min(1, Float(edge + 1) / Float(soft))
          let at = (c * side + thing.y + y) * side + thing.x + x
          let new = Float(value(Float(image.pixels[(y * thing.side + x) * 3 + c]), c))
          plane[at] = UInt16(Float(plane[at]) * (1 - share) + new * share)
        }
      }
    }
  }

  /// Writes it as a GeoTIFF: tiled with overviews, or in strips.
  package func write(to path: String, striped: Bool = false) throws {
    try GeoTIFF.write(
      .u16(values), width: side, height: side, bands: 3, to: path, driver: striped ? "GTiff" : "COG",
      options: striped ? "COMPRESS=LZW" : "COMPRESS=DEFLATE LEVEL=1 NUM_THREADS=ALL_CPUS BLOCKSIZE=512 RESAMPLING=AVERAGE", transform: Self.transform,
      epsg: Self.epsg)
  }
}
