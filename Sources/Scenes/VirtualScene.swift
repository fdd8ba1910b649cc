import CFTFGDAL
import FTFFiles
import Foundation
import FTFImaging
import FTFKernels

/// A VRT is a list of other files. It is read where all it does is to lay such files beside each other, each below its own folder: what
/// a file from elsewhere names must not make this machine open anything else.
enum VirtualScene {
  static func isOne(_ path: FilePath) -> Bool { path.ending == "vrt" }

  /// Elements that say where pixels lie and what they mean, and nothing else.
  private static let harmless: Set<String> = [
    "?xml", "VRTDataset", "VRTRasterBand", "SRS", "GeoTransform", "GCPList", "GCP", "Metadata", "MDI", "ColorInterp", "NoDataValue",
    "HideNoDataValue", "Description", "UnitType", "UnitName", "Offset", "Scale", "CategoryNames", "Category", "ColorTable", "Entry",
    "Histograms", "HistItem", "HistMin", "HistMax", "BucketCount", "IncludeOutOfRange", "Approximate", "HistCounts", "SimpleSource",
    "ComplexSource", "AveragedSource", "NoDataFromMaskSource", "SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect",
    "NODATA", "ScaleOffset", "ScaleRatio", "LUT", "ColorTableComponent", "UseMaskBand", "Exponent", "SrcMin", "SrcMax", "DstMin", "DstMax",
    "Clamp", "MaskBand", "Overview", "OverviewList", "BlockXSize", "BlockYSize", "MaskValueThreshold", "RemappedValue",
  ]
  private static let mostBytes = 64 << 20
  private static let deepest = 4

  private final class Visit {
    var refused: String?
    /// As they are written, and whether they are seen from the VRT's folder.
    var sources: [(name: String, isRelative: Bool)] = []
    var isRelative = false
  }

  /// Throws where it is more than a list of files below its folder, or below one that FTF_TRUSTED_FOLDERS names (with colons between).
  static func check(_ path: FilePath, depth: Int = 0) throws(ImagingError) {
    func refusal(_ reason: String) -> ImagingError { .unreadable(path: path.description, reason: reason) }
    guard depth < deepest else { throw refusal("it refers to VRTs that refer to VRTs, too deeply") }
    let bytes: Data
    do { bytes = try WholeFile.bytes(path, limit: mostBytes) } catch { throw refusal(error.reason) }
    let visit = Visit()
    let failed = withExtendedLifetime(visit) {
      unsafe cgdal_visit_xml(
        String(decoding: bytes, as: UTF8.self),
        { element, attribute, value, context in
          let visit = unsafe Unmanaged<Visit>.fromOpaque(context!).takeUnretainedValue()
          VirtualScene.take(
            unsafe String(cString: element!), unsafe attribute.map { unsafe String(cString: $0) }, unsafe String(cString: value!), visit)
        }, Unmanaged.passUnretained(visit).toOpaque())
    }
    guard failed == 0 else { throw refusal("it is no well-formed VRT") }
    if let reason = visit.refused { throw refusal(reason) }
    guard let own = path.folder?.real else { throw refusal("its folder is gone") }
    let trusted = (ProcessInfo.processInfo.environment["FTF_TRUSTED_FOLDERS"] ?? "").split(separator: ":").compactMap { FilePath(String($0)).real }
    for (name, isRelative) in visit.sources {
      let named = FilePath(name)
      let place = isRelative ? own.appending(named) : named
      guard place.spelling.hasPrefix("/"), !place.spelling.hasPrefix("/vsi"), !name.contains("://") else {
        throw refusal("it refers to '\(name)', which is no file below its folder")
      }
      guard let real = place.real else { throw refusal("it refers to '\(name)', which is not there") }
      guard ([own] + trusted).contains(where: { real.isBelow($0) }) else {
        throw refusal("it refers to '\(name)' outside of its folder; name that folder in FTF_TRUSTED_FOLDERS to have it read")
      }
      if isOne(real) { try check(real, depth: depth + 1) }
    }
  }

  private static func take(_ element: String, _ attribute: String?, _ value: String, _ visit: Visit) {
    guard visit.refused == nil else { return }
    guard harmless.contains(element) else {
      visit.refused = "it has a \(element), which is not read: only mosaics of files are"
      return
    }
    if let attribute {
      if attribute == "subClass" { visit.refused = "it is a \(value), which is not read: only mosaics of files are" }
      if element == "SourceFilename", attribute == "relativeToVRT" { visit.isRelative = value == "1" }
      if element == "MDI", attribute == "key", value.uppercased() == "OVERVIEW_FILE" { visit.refused = "it names a file of overviews" }
      return
    }
    guard element == "SourceFilename" else { return }
    if value.isEmpty {
      // The element itself: what is said of it comes next.
      visit.isRelative = false
    } else {
      visit.sources.append((value, visit.isRelative))
    }
  }
}
