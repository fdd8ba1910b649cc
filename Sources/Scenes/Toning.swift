import CGDAL
import CImage
import Foundation
import Imaging
import Kernels

/// How the bands of a scene become red, green and blue.
struct Toning: Sendable {
  /// Of the raster, from 1: those that are read.
  var bands: [Int]
  /// CGDAL_U8, CGDAL_U16 (whose bits may be those of i16) or CGDAL_F32.
  var type: Int32
  /// The places in `bands` of red, green, blue.
  var planes: [Int]
  /// The place in `bands` of alpha.
  var alpha: Int?
  /// Whether the dataset has a mask of its own.
  var hasMask = false
  /// Where the values are an index of colours: u8[n, 4].
  var palette: [UInt8]?
  var isSigned = false
  /// The greatest of whole numbers that use fewer bits than a byte.
  var most = 255.0
  var nodata: [Double]?

  /// Bytes of a value.
  var valueBytes: Int { type == CGDAL_U8 ? 1 : type == CGDAL_F32 ? 4 : 2 }

  /// Whether values have to be stretched: bytes are taken for what they are.
  var needsStretch: Bool { type != CGDAL_U8 && palette == nil }

  /// - Parameter chosen: the bands of red, green and blue, from 1; nil to find out.
  init(_ dataset: Dataset, chosen: [Int]?) throws(ImagingError) {
    let path = dataset.path.description
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: path, reason: reason) }
    let count = Int(dataset.size.bands)
    guard count > 0 else { throw refusal("it has no bands") }
    let all = (1...count).map { dataset.band($0) }
    let alphas = (1...count).filter { all[$0 - 1].color == Int32(CGDAL_ALPHA) }
    let colors: [Int]
    if let chosen {
      guard let wrong = chosen.first(where: { !(1...count).contains($0) }) else {
        colors = chosen.count == 1 ? [chosen[0], chosen[0], chosen[0]] : chosen
        try self.init(dataset, colors, alphas, all)
        return
      }
      throw refusal("it has \(count) bands, and \(wrong) is asked for")
    }
    colors = try Self.colors(dataset, all, alphas, refusal)
    try self.init(dataset, colors, alphas, all)
  }

  private init(_ dataset: Dataset, _ colors: [Int], _ alphas: [Int], _ all: [cgdal_band]) throws(ImagingError) {
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: dataset.path.description, reason: reason) }
    let used = colors.map { all[$0 - 1] }
    guard !used.contains(where: { (CGDAL_COMPLEX_FIRST...CGDAL_COMPLEX_LAST).contains($0.type) }) else {
      throw refusal("its values are complex numbers, which make no picture")
    }
    bands = []
    for band in colors where !bands.contains(band) { bands.append(band) }
    let places = bands
    planes = colors.map { places.firstIndex(of: $0)! }
    if let first = alphas.first, !colors.contains(first) {
      alpha = bands.count
      bands.append(first)
    }
    let types = Set(used.map(\.type))
    switch types {
    case [CGDAL_U8]: type = CGDAL_U8
    case [CGDAL_U16], [CGDAL_I16]: (type, isSigned) = (CGDAL_U16, types == [CGDAL_I16])
    default: type = CGDAL_F32
    }
    hasMask = used.contains { $0.has_mask != 0 }
    if used.allSatisfy({ $0.has_nodata != 0 }) { nodata = used.map(\.nodata) }
    if type == CGDAL_U8, let bits = used.map(\.bits).max(), (1..<8).contains(bits) { most = Double((1 << bits) - 1) }
    if colors == [colors[0], colors[0], colors[0]], used[0].color == Int32(CGDAL_PALETTE), type != CGDAL_F32 {
      var rgba = [UInt8](repeating: 0, count: 65536 * 4)
      let entries = unsafe cgdal_palette(dataset.handle, Int32(colors[0]), &rgba, 65536)
      if entries > 0 { palette = Array(rgba.prefix(Int(entries) * 4)) }
    }
  }

  /// Red, green and blue by what the file says of its bands, or by what common sensors have.
  private static func colors(
    _ dataset: Dataset, _ all: [cgdal_band], _ alphas: [Int], _ refusal: (String) -> ImagingError
  ) throws(ImagingError) -> [Int] {
    func first(_ color: Int32) -> Int? { all.firstIndex { $0.color == color }.map { $0 + 1 } }
    if let r = first(Int32(CGDAL_RED)), let g = first(Int32(CGDAL_GREEN)), let b = first(Int32(CGDAL_BLUE)) { return [r, g, b] }
    let names = all.map { band in
      unsafe withUnsafeBytes(of: band.name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }.lowercased()
    }
    for wanted in [["red", "green", "blue"], ["b04", "b03", "b02"], ["b4", "b3", "b2"], ["sr_b4", "sr_b3", "sr_b2"]] {
      let found = wanted.compactMap { names.firstIndex(of: $0).map { $0 + 1 } }
      if found.count == 3 { return found }
    }
    let plain = (1...all.count).filter { !alphas.contains($0) }
    switch plain.count {
    case 1: return [plain[0], plain[0], plain[0]]
    case 3: return plain
    // Sentinel-2 in the order of its bands, with or without B10; Landsat 8 and 9.
    case 12, 13, 7, 11: return [4, 3, 2]
    // WorldView-2 and 3.
    case 8: return [5, 3, 2]
    default:
      throw refusal("it has \(plain.count) bands and does not say which are red, green and blue; say it with --bands 3,2,1")
    }
  }
}

/// The range of values that is shown from black to white, for red, green and blue; kept with the scene, so that all its windows and
/// all later readings agree.
package struct Stretch: Sendable, Equatable, Codable {
  package var low: [Double]
  package var high: [Double]
}

extension Toning {
  /// The shades of whole numbers: u8[3, 256] or u8[3, 65536], by the bits of a value.
  func table(_ stretch: Stretch?) -> AlignedBuffer<UInt8> {
    let entries = type == CGDAL_U8 ? 256 : 65536
    let table = AlignedBuffer<UInt8>(count: 3 * entries, repeating: 0)
    guard type != CGDAL_F32 else { return table }
    for c in 0..<3 {
      for bits in 0..<entries {
        if let palette {
          table[c * entries + bits] = 4 * bits + c < palette.count ? palette[4 * bits + c] : 0
          continue
        }
        let value = isSigned ? Double(Int16(bitPattern: UInt16(bits))) : Double(bits)
        let (low, high) = stretch.map { ($0.low[c], $0.high[c]) } ?? (0, most)
        table[c * entries + bits] = UInt8(max(0, min(255, ((value - low) / (high - low) * 255).rounded())))
      }
    }
    return table
  }

  /// What `cimage_tone` takes beside the table.
  func tones(_ stretch: Stretch?) -> cimage_tones {
    var tones = cimage_tones()
    tones.type = type == CGDAL_U8 ? CIMAGE_U8 : type == CGDAL_F32 ? CIMAGE_F32 : CIMAGE_U16
    tones.planes = Int32(bands.count)
    tones.plane = (Int32(planes[0]), Int32(planes[1]), Int32(planes[2]))
    tones.alpha = Int32(alpha ?? -1)
    func gain(_ c: Int) -> Float { stretch.map { Float(255 / ($0.high[c] - $0.low[c])) } ?? 1 }
    tones.low = (Float(stretch?.low[0] ?? 0), Float(stretch?.low[1] ?? 0), Float(stretch?.low[2] ?? 0))
    tones.gain = (gain(0), gain(1), gain(2))
    if let nodata, let bits = bits(of: nodata) {
      tones.has_nodata = 1
      tones.nodata_bits = (bits[0], bits[1], bits[2])
      tones.nodata = (Float(nodata[0]), Float(nodata[1]), Float(nodata[2]))
    }
    return tones
  }

  /// The bits of nodata as they are read; nil where no value can be it.
  private func bits(of nodata: [Double]) -> [UInt32]? {
    if type == CGDAL_F32 { return [0, 0, 0] }
    let found = nodata.compactMap { value -> UInt32? in
      if type == CGDAL_U8 { return UInt8(exactly: value).map { UInt32($0) } }
      return isSigned ? Int16(exactly: value).map { UInt32(UInt16(bitPattern: $0)) } : UInt16(exactly: value).map { UInt32($0) }
    }
    return found.count == 3 ? found : nil
  }
}
