import CFTFGDAL
import CFTFImage
import Foundation
import FTFImaging
import FTFKernels

/// How the bands of a scene become red, green and blue.
struct Toning: Sendable {
  /// Of the raster, from 1: those that are read.
  var bands: [Int]
  /// CGDAL_U8, CGDAL_U16, CGDAL_I16, CGDAL_F32 or CGDAL_F64: as they are read, without another's range cutting them off.
  var type: Int32
  /// The places in `bands` of red, green, blue.
  var planes: [Int]
  /// The place in `bands` of alpha.
  var alpha: Int?
  /// Whether the dataset has a mask of its own.
  var hasMask = false
  /// Where the values are an index of colours: u8[n, 4].
  var palette: [UInt8]?
  /// Whether bytes are below 0 from 128 on, as GDAL has them before 3.7.
  var isSignedByte = false
  /// The greatest of whole numbers that use fewer bits than a byte.
  var most = 255.0
  /// Of red, green and blue; nil where the band has none.
  var nodata: [Double?] = [nil, nil, nil]
  /// Whether dark is shown bright: 0 is white, or the scale is below 0.
  var isNegative: [Bool] = [false, false, false]
  /// By what the bands are known, where the file does not say it itself.
  var basis: String?

  /// Bytes of a value.
  var valueBytes: Int {
    switch type {
    case CGDAL_U8: 1
    case CGDAL_F32: 4
    case CGDAL_F64: 8
    default: 2
    }
  }
  var isFloat: Bool { type == CGDAL_F32 || type == CGDAL_F64 }

  /// Whether values have to be stretched: bytes are taken for what they are.
  var needsStretch: Bool { (type != CGDAL_U8 || isSignedByte) && palette == nil }

  /// Whether a value that is no data makes the pixel nothing by itself: what no sensor gives, such as -9999. A 0 may be a dark channel.
  func isAlone(_ c: Int) -> Bool { nodata[c].map { $0 < 0 || !$0.isFinite } ?? false }

  /// Whether a pixel is nothing by its values.
  func isNothing(_ values: (Double, Double, Double)) -> Bool {
    guard values.0.isFinite, values.1.isFinite, values.2.isFinite else { return true }
    var (all, any) = (true, false)
    for (c, value) in [values.0, values.1, values.2].enumerated() {
      guard let nodata = nodata[c] else { continue }
      // As many bits as the values have.
      let isNodata = type == CGDAL_F32 ? Float(value) == Float(nodata) : value == nodata
      if isNodata && isAlone(c) { return true }
      (all, any) = (all && isNodata, true)
    }
    return all && any
  }

  /// - Parameter chosen: the bands of red, green and blue, from 1; nil to find out.
  init(_ dataset: Dataset, chosen: [Int]?) throws(ImagingError) {
    let path = dataset.path.description
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: path, reason: reason) }
    let count = Int(dataset.size.bands)
    guard count > 0 else { throw refusal("it has no bands") }
    let all = (1...count).map { dataset.band($0) }
    let alphas = (1...count).filter { all[$0 - 1].color == Int32(CGDAL_ALPHA) }
    if let chosen {
      if let wrong = chosen.first(where: { !(1...count).contains($0) }) { throw refusal("it has \(count) bands, and \(wrong) is asked for") }
      try self.init(dataset, chosen.count == 1 ? [chosen[0], chosen[0], chosen[0]] : chosen, alphas, all)
      return
    }
    let bands = try SceneBands(dataset, all, alphas: alphas)
    try self.init(dataset, bands.colors, alphas, all)
    basis = bands.basis
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
    case [CGDAL_U8], [CGDAL_U16], [CGDAL_I16], [CGDAL_F32]: type = used[0].type
    // What 24 bits hold, and what they do not.
    case _ where types.isSubset(of: [CGDAL_U8, CGDAL_U16, CGDAL_I16, CGDAL_F32]): type = CGDAL_F32
    default: type = CGDAL_F64
    }
    let signed = Set(used.map { $0.is_signed_byte != 0 })
    guard signed.count == 1 else { throw refusal("some of its bands are signed bytes and others are not") }
    isSignedByte = signed == [true] && type == CGDAL_U8
    hasMask = used.contains { $0.has_mask != 0 }
    nodata = used.map { $0.has_nodata != 0 ? $0.nodata : nil }
    let isWhiteZero = dataset.metadata("MINISWHITE", domain: "IMAGE_STRUCTURE") == "YES"
    isNegative = used.map { isWhiteZero != ($0.scale < 0) }
    if type == CGDAL_U8, let bits = used.map(\.bits).max(), (1..<8).contains(bits) { most = Double((1 << bits) - 1) }
    if colors == [colors[0], colors[0], colors[0]], used[0].color == Int32(CGDAL_PALETTE), !isFloat {
      var rgba = [UInt8](repeating: 0, count: 65536 * 4)
      let entries = unsafe cgdal_palette(dataset.handle, Int32(colors[0]), &rgba, 65536)
      if entries > 0 { palette = Array(rgba.prefix(Int(entries) * 4)) }
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
    guard !isFloat else { return table }
    for c in 0..<3 {
      for bits in 0..<entries {
        if let palette {
          table[c * entries + bits] = 4 * bits + c < palette.count ? palette[4 * bits + c] : 0
          continue
        }
        let (low, high) = stretch.map { ($0.low[c], $0.high[c]) } ?? (0, most)
        let shade = UInt8(max(0, min(255, ((value(ofBits: bits) - low) / (high - low) * 255).rounded())))
        table[c * entries + bits] = isNegative[c] ? 255 - shade : shade
      }
    }
    return table
  }

  private func value(ofBits bits: Int) -> Double {
    if type == CGDAL_I16 { return Double(Int16(bitPattern: UInt16(bits))) }
    return Double(isSignedByte && bits > 127 ? bits - 256 : bits)
  }

  /// What `cimage_tone` takes beside the table.
  func tones(_ stretch: Stretch?) -> cimage_tones {
    var tones = cimage_tones()
    tones.type =
      switch type {
      case CGDAL_U8: CIMAGE_U8
      case CGDAL_F32: CIMAGE_F32
      case CGDAL_F64: CIMAGE_F64
      default: CIMAGE_U16
      }
    tones.planes = Int32(bands.count)
    tones.plane = (Int32(planes[0]), Int32(planes[1]), Int32(planes[2]))
    tones.alpha = Int32(alpha ?? -1)
    func low(_ c: Int) -> Double { stretch.map { isNegative[c] ? $0.high[c] : $0.low[c] } ?? 0 }
    func gain(_ c: Int) -> Double { stretch.map { (isNegative[c] ? -255 : 255) / ($0.high[c] - $0.low[c]) } ?? 1 }
    tones.low = (low(0), low(1), low(2))
    tones.gain = (gain(0), gain(1), gain(2))
    // One that is no value of this type is none.
    let bits = nodata.map { $0.flatMap { self.bits(of: $0) } }
    func isThere(_ c: Int) -> Int32 { bits[c] == nil ? 0 : 1 }
    func isAlone(_ c: Int) -> Int32 { self.isAlone(c) ? 1 : 0 }
    tones.has_nodata = (isThere(0), isThere(1), isThere(2))
    tones.alone = (isAlone(0), isAlone(1), isAlone(2))
    tones.nodata_bits = (bits[0] ?? 0, bits[1] ?? 0, bits[2] ?? 0)
    tones.nodata = (nodata[0] ?? 0, nodata[1] ?? 0, nodata[2] ?? 0)
    return tones
  }

  /// The bits of nodata as they are read; nil where no value can be it.
  private func bits(of nodata: Double) -> UInt32? {
    if isFloat { return 0 }
    if type == CGDAL_I16 { return Int16(exactly: nodata).map { UInt32(UInt16(bitPattern: $0)) } }
    if type == CGDAL_U16 { return UInt16(exactly: nodata).map { UInt32($0) } }
    if isSignedByte, let value = Int8(exactly: nodata) { return UInt32(UInt8(bitPattern: value)) }
    return UInt8(exactly: nodata).map { UInt32($0) }
  }
}
