import CFTFGDAL
import FTFFiles
import Foundation
import FTFImaging

/// Which bands of a raster are red, green and blue, and by what that is known: their names, their colour interpretation, or the sensor that
/// metadata or a file's name tell of. How many there are says nothing.
struct SceneBands {
  /// Red, green and blue, from 1; three times the same for grey.
  var colors: [Int]
  /// By what, where the file does not say it itself; nil where it does.
  var basis: String?

  /// - Parameters:
  ///   - all: the bands of the raster.
  ///   - alphas: those that are alpha, from 1.
  init(_ dataset: Dataset, _ all: [cgdal_band], alphas: [Int]) throws(ImagingError) {
    let names = all.map { band in
      unsafe withUnsafeBytes(of: band.name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }.lowercased()
    }
    let plain = (1...all.count).filter { !alphas.contains($0) }
    func first(_ color: Int) -> Int? { all.firstIndex { $0.color == Int32(color) }.map { $0 + 1 } }
    let interpreted = [CGDAL_RED, CGDAL_GREEN, CGDAL_BLUE].compactMap { first($0) }
    func refusal(_ what: String) -> ImagingError { .unknownBands(path: dataset.path.description, reason: what) }

    // What a band is called goes before its colour, which many writers set without being asked.
    switch Self.byColor(names) {
    case .some(let found) where found.count == 3:
      (colors, basis) = (found, nil)
      return
    case .some where plain.count > 1:
      throw refusal("its bands are called \(names.joined(separator: ", ")), which are not red, green and blue")
    default: break
    }
    let sensor = Sensor(dataset)
    if let numbers = Self.numbers(names) {
      if let found = Self.byNumber(numbers, names, sensor) {
        (colors, basis) = (found.colors, found.basis)
        return
      }
      // Bands that are only counted.
      guard interpreted.count == 3, names.enumerated().allSatisfy({ numbers[$1] == $0 + 1 || numbers[$1] == nil }) else {
        throw refusal("its bands are called \(names.joined(separator: ", ")) and it does not say of which sensor")
      }
    }
    if interpreted.count == 3 {
      (colors, basis) = (interpreted, nil)
    } else if let sensor, let order = sensor.order(of: plain.count) {
      (colors, basis) = (order, "by \(sensor.told), bands \(order.map(String.init).joined(separator: ",")) as \(sensor.kind.rawValue) orders them")
    } else if plain.count == 1 {
      (colors, basis) = ([plain[0], plain[0], plain[0]], nil)
    } else if plain.count == 3 {
      (colors, basis) = (plain, "a guess: three bands that say nothing are taken for red, green and blue")
    } else {
      throw refusal("it has \(plain.count) bands and does not say what they are")
    }
  }

  // MARK: Names

  /// The bands that are called red, green and blue; fewer where some of them are missing; nil where none is called by a colour.
  private static func byColor(_ names: [String]) -> [Int]? {
    let words = names.map { Set($0.split { !$0.isLetter }.map(String.init)) }
    /// Other bands that have a colour in their name.
    let others: Set<String> = ["edge", "rededge", "coastal", "deep", "near", "infrared", "i", "pan"]
    func band(_ color: String) -> Int? {
      if let exact = names.firstIndex(of: color) { return exact + 1 }
      let found = words.indices.filter { words[$0].contains(color) && words[$0].isDisjoint(with: others) }
      return found.count == 1 ? found[0] + 1 : nil
    }
    let found = ["red", "green", "blue"].compactMap(band)
    let saysColor = words.contains { !$0.isDisjoint(with: ["red", "green", "blue", "nir", "swir", "rededge"]) }
    return saysColor ? found : nil
  }

  /// The numbers of bands that are called B4, B04, SR_B4 or the like, by their names; nil where fewer than three are. 8A is none.
  private static func numbers(_ names: [String]) -> [String: Int]? {
    var found: [String: Int] = [:]
    for name in names {
      var rest = name[...]
      for prefix in ["sr_", "toa_"] where rest.hasPrefix(prefix) { rest.removeFirst(prefix.count) }
      guard rest.hasPrefix("b") else { continue }
      let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
      let behind = rest.dropFirst(1 + digits.count)
      guard (1...2).contains(digits.count), behind.isEmpty || behind.hasPrefix("_") else { continue }
      found[name] = Int(digits)
    }
    return found.count >= 3 ? found : nil
  }

  /// Of numbered bands: by the sensor that is known, or by what the names give away.
  private static func byNumber(_ numbers: [String: Int], _ names: [String], _ sensor: Sensor?) -> (colors: [Int], basis: String?)? {
    let known = Set(numbers.values)
    func bands(_ wanted: [Int]) -> [Int]? {
      let found = wanted.compactMap { number in names.firstIndex { numbers[$0] == number }.map { $0 + 1 } }
      return found.count == 3 ? found : nil
    }
    if let sensor { return bands(sensor.kind.naturalColor).map { ($0, "by \(sensor.told)") } }
    let isSurface = names.contains { $0.hasPrefix("sr_b") }
    // Sentinel-2 writes B04, and has an 8A; Landsat 8 and 9 have no thermal band 6, which the reflectance of 4 to 7 leaves out.
    if names.contains(where: { $0.hasPrefix("b8a") || $0.hasPrefix("b0") }) || known.contains(where: { $0 > 8 }) || isSurface && known.contains(6) {
      return bands([4, 3, 2]).map { ($0, nil) }
    }
    if isSurface, known.isSuperset(of: [1, 2, 3, 4, 5, 7]) { return bands([3, 2, 1]).map { ($0, nil) } }
    if known == [2, 3, 4] {
      return bands([4, 3, 2]).map { ($0, "a guess: bands called 4, 3 and 2 are taken for those of Sentinel-2 or Landsat 8") }
    }
    return nil
  }
}

/// What took a scene, as its metadata or its name say it.
struct Sensor {
  enum Kind: String {
    case sentinel2 = "Sentinel-2"
    case landsat47 = "Landsat 4 to 7"
    case landsat89 = "Landsat 8 and 9"
    case worldView = "WorldView-2 and 3"
    case superDove = "SuperDove"
    case planetScope = "PlanetScope"

    /// Red, green and blue by the numbers that the sensor's makers give its bands.
    var naturalColor: [Int] {
      switch self {
      case .sentinel2, .landsat89: [4, 3, 2]
      case .landsat47, .planetScope: [3, 2, 1]
      case .worldView: [5, 3, 2]
      case .superDove: [6, 4, 2]
      }
    }
  }

  let kind: Kind
  /// Where that stands.
  let told: String

  init?(_ dataset: Dataset) {
    for (domain, key) in [
      ("", "SPACECRAFT_ID"), ("", "SPACECRAFT_NAME"), ("", "PLATFORM"), ("", "platform"), ("", "SATELLITE"), ("IMAGERY", "SATELLITEID"),
    ] {
      guard let value = dataset.metadata(key, domain: domain), let kind = Self.kind(value, isName: false) else { continue }
      (self.kind, told) = (kind, "its metadata (\(key) \(value))")
      return
    }
    for name in [dataset.path.name] + (dataset.path.folder.map { [$0.name] } ?? []) {
      guard let kind = Self.kind(name, isName: true) else { continue }
      (self.kind, told) = (kind, "the name \(name)")
      return
    }
    return nil
  }

  /// - Parameter isName: of a file or a folder, which other words may be in.
  private static func kind(_ text: String, isName: Bool) -> Kind? {
    let text = text.uppercased()
    let parts = text.split { !$0.isLetter && !$0.isNumber }.map(String.init)
    guard let first = parts.first else { return nil }
    if ["S2A", "S2B", "S2C", "S2D"].contains(first) || first.hasPrefix("SENTINEL2") { return .sentinel2 }
    // T32UNU_20240601T102031.
    if isName, first.count == 6, first.hasPrefix("T"), Int(first.dropFirst().prefix(2)) != nil, first.dropFirst(3).allSatisfy(\.isLetter) {
      return .sentinel2
    }
    if first.count == 4, ["LC0", "LO0", "LT0", "LE0", "LM0"].contains(String(first.prefix(3))), let number = first.last?.wholeNumberValue {
      return landsat(number)
    }
    if first == "SENTINEL", parts.count > 1, parts[1].hasPrefix("2") { return .sentinel2 }
    if first.hasPrefix("LANDSAT"), let number = (first.dropFirst(7) + (parts.dropFirst().first ?? "")).first?.wholeNumberValue {
      return landsat(number)
    }
    if parts.contains(where: { ["WV02", "WV03", "WV2", "WV3"].contains($0) }) { return .worldView }
    if first == "WORLDVIEW", parts.count > 1, ["2", "3", "02", "03"].contains(parts[1]) { return .worldView }
    if text.contains("SUPERDOVE") || parts.contains("8B") && parts.contains(where: { $0.hasPrefix("ANALYTIC") }) { return .superDove }
    if parts.contains("ANALYTICMS") { return .planetScope }
    return nil
  }

  private static func landsat(_ number: Int) -> Kind? {
    switch number {
    case 4...7: .landsat47
    case 8, 9: .landsat89
    default: nil
    }
  }

  /// Red, green and blue in a stack of so many bands as the sensor's products have them in order; nil for other stacks.
  func order(of count: Int) -> [Int]? {
    switch (kind, count) {
    case (.sentinel2, 12), (.sentinel2, 13), (.landsat89, 7), (.landsat89, 11), (.landsat47, 6), (.landsat47, 7), (.landsat47, 8), (.worldView, 8),
      (.superDove, 8), (.planetScope, 4):
      kind.naturalColor
    case (.worldView, 4): [3, 2, 1]
    default: nil
    }
  }
}
