import FTFFiles
import Foundation
import FTFGeography
import FTFImaging
import FTFKernels
import FTFTestSupport
import Testing

@testable import FTFScenes

/// Rasters as archives hold them, written by GDAL and read back through windows.
@Suite(.enabled(if: GDAL.absence == nil, "GDAL is not installed")) struct Rasters {
  let folder: TemporaryFolder
  let kernels: KernelSet

  init() throws {
    folder = try TemporaryFolder()
    kernels = try KernelSet(levelName: nil, threads: 2)
  }

  /// Red is the column and green the row, both by four, blue is 7.
  private func coordinates(_ width: Int, _ height: Int) -> [UInt8] {
    var values = [UInt8](repeating: 7, count: 3 * width * height)
    for y in 0..<height {
      for x in 0..<width { (values[y * width + x], values[(height + y) * width + x]) = (UInt8(x / 4), UInt8(y / 4)) }
    }
    return values
  }

  private let utm = [500_000, 0.5, 0, 5_500_000, 0, -0.5]

  private func write(
    _ name: String, _ values: GeoTIFF.Values, _ width: Int, _ height: Int, bands: Int = 3, options: String = "", driver: String = "GTiff",
    transform: [Double]? = nil, epsg: Int = 0
  ) throws -> FilePath {
    let path = "\(folder.path)/\(name)"
    try GeoTIFF.write(
      values, width: width, height: height, bands: bands, to: path, driver: driver, options: options, transform: transform, epsg: epsg)
    return FilePath(path)
  }

  private func windows(_ scene: Scene, _ cutting: Cutting, side: Int = 64, skipping: Int = 0) throws -> [(window: Window, image: RGBImage?)] {
    let grid = WindowGrid(scene, cutting, ground: 150, side: side)
    let reader = try SceneReader(scene, grid: grid, side: side, with: kernels)
    reader.skip(skipping)
    var found: [(Window, RGBImage?)] = []
    while let row = try reader.next(with: kernels) { for i in row.windows.indices { found.append((row.windows[i], row.image(i))) } }
    return found
  }

  @Test func everyLayoutGivesTheSameWindows() throws {
    let (width, height) = (500, 350)
    let values = coordinates(width, height)
    let layouts = [
      ("strip.tif", "GTiff", ""), ("rows.tif", "GTiff", "BLOCKYSIZE=3"), ("tiles.tif", "GTiff", "TILED=YES BLOCKXSIZE=64 BLOCKYSIZE=128"),
      ("deflate.tif", "GTiff", "TILED=YES COMPRESS=DEFLATE INTERLEAVE=BAND"), ("big.tif", "GTiff", "BIGTIFF=YES"),
      ("cog.tif", "COG", "COMPRESS=DEFLATE RESAMPLING=AVERAGE OVERVIEWS=AUTO BLOCKSIZE=128"),
    ]
    for (name, driver, options) in layouts {
      let scene = try Scene(write(name, .u8(values), width, height, options: options, driver: driver))
      for cutting in [Cutting(window: 64), Cutting(window: 100, overlap: 0), Cutting(window: 300)] {
        let found = try windows(scene, cutting)
        var covered = [Bool](repeating: false, count: width * height)
        for (window, image) in found {
          #expect(window.x + window.width <= width && window.y + window.height <= height)
          for y in window.y..<window.y + window.height {
            for x in window.x..<window.x + window.width { covered[y * width + x] = true }
          }
          // The first and the last pixel are the corners of the window, to the pixels that became one.
          let image = try #require(image)
          let reach = max(1, window.width / image.width)
          for (px, py) in [(0, 0), (image.width - 1, image.height - 1)] {
            let (x, y) = (window.x + px * window.width / image.width, window.y + py * window.height / image.height)
            let at = (py * image.width + px) * 3
            #expect(
              abs(Int(image.pixels[at]) - x / 4) <= 1 + reach / 2 && abs(Int(image.pixels[at + 1]) - y / 4) <= 1 + reach / 2, "\(name) \(window)")
            #expect(image.pixels[at + 2] == 7)
          }
          #expect(image.width >= 64 && image.width <= 2 * 64 + 2, "between once and twice what the model takes")
        }
        #expect(!covered.contains(false), "\(name): every pixel is in a window")
        // What was interrupted goes on with the same windows.
        for count in [1, found.count / 2, found.count - 1] {
          let rest = try windows(scene, cutting, skipping: count)
          #expect(rest.map(\.window) == found.dropFirst(count).map(\.window))
          for (a, b) in zip(rest, found.dropFirst(count)) { #expect(a.image!.pixels.span.elements == b.image!.pixels.span.elements) }
        }
      }
    }
  }

  @Test func aStretchIsTheSceneS() throws {
    // A ramp of 16 bits with a margin of nothing; what is equal in the file is equal in every window.
    let (width, height) = (640, 480)
    var values = [UInt16](repeating: 0, count: 3 * width * height)
    for i in 0..<width * height where i % width >= 100 {
      for c in 0..<3 { values[c * width * height + i] = UInt16(1000 + 2000 * c + i % width) }
    }
    let path = try write("sixteen.tif", .u16(values), width, height, options: "TILED=YES")
    // Nodata as a sidecar says it.
    try Data("<PAMDataset>\((1...3).map { "<PAMRasterBand band=\"\($0)\"><NoDataValue>0</NoDataValue></PAMRasterBand>" }.joined())</PAMDataset>".utf8)
      .write(to: URL(fileURLWithPath: path.spelling + ".aux.xml"))
    let scene = try Scene(path)
    let stretch = try scene.measureStretch(with: kernels)
    // Percentiles 2 and 98 of 540 columns: the 11th and the 529th.
    for c in 0..<3 {
      #expect(abs(stretch.low[c] - Double(1111 + 2000 * c)) <= 1 && abs(stretch.high[c] - Double(1628 + 2000 * c)) <= 1, "\(stretch)")
    }
    #expect(try scene.measureStretch(with: kernels) == stretch)
    let found = try windows(scene, Cutting(window: 128, overlap: 0), side: 128)
    #expect(found.contains { $0.image == nil } == false || found.filter { $0.image == nil }.allSatisfy { $0.window.x < 100 })
    #expect(found.filter { $0.window.x == 0 }.allSatisfy { $0.image == nil }, "100 of 128 columns are nothing")
    for (window, image) in found where window.x >= 128 {
      let image = try #require(image)
      for x in [0, 64, 127] {
        let shade = (Double(1000 + window.x + x) - stretch.low[0]) / (stretch.high[0] - stretch.low[0]) * 255
        #expect(abs(Double(image.pixels[x * 3]) - max(0, min(255, shade))) <= 1)
      }
    }
  }

  @Test func oddScenesAreReadOrRefusedByName() throws {
    func refusal(_ path: FilePath, _ bands: [Int]? = nil) -> String {
      do {
        _ = try windows(Scene(path, bands: bands), Cutting())
        return ""
      } catch { return "\(error)" }
    }
    let pixel: [UInt8] = [9]
    // One pixel, one band, no place.
    let one = try Scene(write("one.tif", .u8(pixel), 1, 1, bands: 1))
    #expect(one.ground == nil)
    let only = try windows(one, Cutting())
    #expect(only.count == 1 && only[0].image?.width == 1 && only[0].image?.pixels[2] == 9)
    // Longer than wide.
    let long = try windows(Scene(write("long.tif", .u8([UInt8](repeating: 50, count: 3 * 20 * 3000)), 20, 3000)), Cutting())
    #expect(long.count > 1 && long.allSatisfy { $0.window.width == 20 && $0.image != nil && $0.image!.width == $0.image!.height })
    for (bands, expected) in [(2, "2 bands"), (4, "4 bands"), (20, "20 bands")] {
      let path = try write(
        "bands\(bands).tif", .u8([UInt8](repeating: 1, count: bands * 16)), 4, 4, bands: bands, options: "PHOTOMETRIC=MINISBLACK ALPHA=NO")
      #expect(refusal(path).contains(expected) && refusal(path).contains("which bands are red"), "\(refusal(path))")
      #expect(refusal(path, [2, 1, 2]) == "" && refusal(path, [1]) == "" && refusal(path, [21]).contains("21"))
    }
    // Of no numbers there is nothing.
    let nothing = try Scene(write("nan.tif", .f32([Float](repeating: .nan, count: 3 * 64)), 8, 8))
    #expect(try windows(nothing, Cutting()).allSatisfy { $0.image == nil })
    let half = try Scene(write("half.tif", .f32((0..<3 * 64).map { $0 % 8 < 2 ? .nan : Float($0 % 64) }), 8, 8))
    #expect(try windows(half, Cutting())[0].image != nil)
    // Cut off, empty, and another thing under the name.
    let whole = try write("whole.tif", .u8(coordinates(600, 600)), 600, 600)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: whole.spelling))
    for (name, data) in [
      ("cut.tif", bytes.prefix(bytes.count / 2)), ("head.tif", bytes.prefix(20)), ("random.tif", Data("II*\u{0}nonsense and more".utf8)),
    ] {
      let path = FilePath(try folder.file(name, Data(data)))
      #expect(refusal(path).contains(name), "\(name): \(refusal(path))")
    }
    #expect(refusal("/vsicurl/http://127.0.0.1/a.tif").contains("not read"))
  }

  @Test func aMosaicRefersToItsFolder() throws {
    let own = FilePath("\(folder.path)/own")
    try FileManager.default.createDirectory(atPath: own.spelling + "/parts", withIntermediateDirectories: true)
    let values = coordinates(64, 64)
    for path in ["own/parts/a.tif", "outside.tif"] { _ = try write(path, .u8(values), 64, 64) }
    func mosaic(_ source: String, relative: Int = 1, more: String = "", subclass: String = "") throws -> String {
      let bands = (1...3).map { band in
        """
        <VRTRasterBand dataType="Byte" band="\(band)"\(subclass)>\(more)<SimpleSource>
        <SourceFilename relativeToVRT="\(relative)">\(source)</SourceFilename><SourceBand>\(band)</SourceBand>
        <SrcRect xOff="0" yOff="0" xSize="64" ySize="64"/><DstRect xOff="0" yOff="0" xSize="64" ySize="64"/></SimpleSource></VRTRasterBand>
        """
      }
      let path = own.appending("mosaic.vrt")
      try Data("<VRTDataset rasterXSize=\"64\" rasterYSize=\"64\">\(bands.joined())</VRTDataset>".utf8)
        .write(to: URL(fileURLWithPath: path.spelling))
      do {
        let found = try windows(Scene(path), Cutting())
        #expect(found[0].image?.pixels[(5 * 64 + 20) * 3] == 5)
        return ""
      } catch { return "\(error)" }
    }
    #expect(try mosaic("parts/a.tif") == "")
    #expect(try mosaic("\(own.real!)/parts/a.tif", relative: 0) == "")
    for source in ["../outside.tif", "/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "/vsizip/a.zip/b.tif", "parts/none.tif"] {
      #expect(try mosaic(source).contains("refers to"), "\(source)")
    }
    #expect(try mosaic("\(folder.path)/outside.tif", relative: 0).contains("outside of its folder"))
    try FileManager.default.createSymbolicLink(atPath: own.spelling + "/link.tif", withDestinationPath: "\(folder.path)/outside.tif")
    #expect(try mosaic("link.tif").contains("outside of its folder"))
    #expect(try mosaic("parts/a.tif", more: "<PixelFunctionCode>import os</PixelFunctionCode>").contains("PixelFunctionCode"))
    #expect(try mosaic("parts/a.tif", subclass: " subClass=\"VRTDerivedRasterBand\"").contains("VRTDerivedRasterBand"))
    #expect(try mosaic("parts/a.tif", subclass: " subClass=\"VRTRawRasterBand\"").contains("VRTRawRasterBand"))
    // Itself, and again itself.
    #expect(try mosaic("mosaic.vrt").contains("too deeply"))
  }

  /// What `gdaltransform` says of pixels, by its own way to PROJ.
  private func transformed(_ path: FilePath, _ pixels: [(Double, Double)]) throws -> [Place]? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/gdaltransform")
    guard FileManager.default.isExecutableFile(atPath: process.executableURL!.path) else { return nil }
    process.arguments = ["-t_srs", "EPSG:4326", "-output_xy", path.spelling]
    let (input, output) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(pixels.map { "\($0.0) \($0.1)\n" }.joined().utf8))
    try input.fileHandleForWriting.close()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.split(separator: "\n").map { line in
      let numbers = line.split(separator: " ").map { Double($0)! }
      // PROJ may answer beyond the antimeridian.
      return Place(lon: numbers[0] - 360 * (numbers[0] / 360).rounded(), lat: numbers[1])
    }
  }

  @Test func footprintsAreWhereGDALPutsThem() throws {
    let (width, height) = (400, 300)
    let values = [UInt8](repeating: 1, count: width * height)
    let (c, s) = (cos(0.3) * 10, sin(0.3) * 10)
    let cases: [(String, [Double], Int)] = [
      ("utm.tif", [500_000, 10, 0, 5_500_000, 0, -10], 32632), ("southup.tif", [500_000, 10, 0, 5_500_000, 0, 10], 32632),
      ("rotated.tif", [500_000, c, s, 5_500_000, s, -c], 32632), ("degrees.tif", [13, 0.0001, 0, 52.5, 0, -0.0001], 4326),
      ("mercator.tif", [1_500_000, 100, 0, 6_900_000, 0, -100], 3857), ("fiji.tif", [760_000, 500, 0, 8_000_000, 0, -500], 32760),
      ("polar.tif", [-2_000_000, 10000, 0, 2_000_000, 0, -10000], 3413),
    ]
    for (name, transform, epsg) in cases {
      let path = try write(name, .u8(values), width, height, bands: 1, transform: transform, epsg: epsg)
      let scene = try Scene(path)
      let ground = try #require(scene.ground, "\(name)")
      #expect(ground.reference == "EPSG:\(epsg)")
      let window = Window(x: 17, y: 30, width: 224, height: 200)
      let footprint = try #require(ground.footprint(window))
      // Places along the outline, by another program; each lies within a tenth of a pixel of the footprint's own.
      let outline = (0..<40).map { i -> (Double, Double) in
        let share = Double(i % 10) / 10
        switch i / 10 {
        case 0: return (17 + share * 224, 30)
        case 1: return (241, 30 + share * 200)
        case 2: return (241 - share * 224, 230)
        default: return (17, 230 - share * 200)
        }
      }
      guard let expected = try transformed(path, outline) else { continue }
      let tenth = 0.1 * min(ground.sample.across, ground.sample.down)
      for place in expected where abs(place.lon) < 179.9 {
        // Inside is 0: what lies on the edge is within a tenth of a pixel of it either way.
        #expect(footprint.distanceToOutline(from: place) <= tenth * 1.01, "\(name) \(place)")
      }
      if name == "fiji.tif" {
        #expect(footprint.polygons.count == 2 && footprint.boundingBox.west > footprint.boundingBox.east)
        #expect(footprint.polygons.joined().allSatisfy { abs($0.lon) <= 180 })
      }
    }
    // A transform without a reference system says nothing.
    #expect(try Scene(write("nowhere.tif", .u8(values), width, height, bands: 1, transform: utm)).ground == nil)
  }

  /// By GDAL's own program, which writes what is only read here; nil where it is not there.
  private func translated(_ name: String, _ options: [String]) throws -> FilePath? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/gdal_translate")
    guard FileManager.default.isExecutableFile(atPath: process.executableURL!.path) else { return nil }
    let path = "\(folder.path)/\(name)"
    process.arguments = ["-q"] + options + ["\(Goldens.folder)/images/rgb.jpg", path]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(name)")
    return FilePath(path)
  }

  @Test func everyFormatShowsTheSamePicture() throws {
    let original = try RGBImage(path: "\(Goldens.folder)/images/rgb.jpg")
    let formats: [(String, [String], Int)] = [
      ("a.jp2", ["-of", "JP2OpenJPEG", "-co", "QUALITY=100", "-co", "REVERSIBLE=YES"], 0), ("a.webp", ["-of", "WEBP", "-co", "LOSSLESS=YES"], 0),
      ("zstd.tif", ["-co", "COMPRESS=ZSTD"], 0), ("jpeg.tif", ["-co", "COMPRESS=JPEG", "-co", "PHOTOMETRIC=YCBCR", "-co", "JPEG_QUALITY=100"], 30),
      ("band.tif", ["-co", "INTERLEAVE=BAND", "-co", "COMPRESS=LZW"], 0), ("a.vrt", ["-of", "VRT"], 0),
    ]
    for (name, options, most) in formats {
      guard let path = try translated(name, options) else { continue }
      if name == "a.vrt" {
        // It refers to a file that is not below its folder.
        #expect(throws: ImagingError.self) { try Scene(path) }
        continue
      }
      let image = try #require(try Scene(path).picture(nil, side: 4096, stretch: nil, with: kernels))
      #expect(image.width == original.width && image.height == original.height, "\(name)")
      let worst = image.pixels.span.indices.map { abs(Int(image.pixels[$0]) - Int(original.pixels[$0])) }.max()!
      #expect(worst <= most, "\(name): \(worst)")
    }
    guard let complex = try translated("complex.tif", ["-ot", "CFloat32"]) else { return }
    #expect { try Scene(complex) } throws: { "\($0)".contains("complex") }
    let points = try #require(
      try translated(
        "points.tif",
        [
          "-a_srs", "EPSG:32632", "-gcp", "0", "0", "500000", "5500000", "-gcp", "100", "0", "500100", "5500000", "-gcp", "0", "80",
          "500000", "5499920", "-gcp", "100", "80", "500100", "5499920",
        ]))
    let ground = try #require(try Scene(points).ground)
    #expect(ground.transform == nil && abs(ground.sample.across - 1) < 0.01 && abs(ground.places([(0, 0)])[0]!.lon - 9) < 1e-6)
  }

  /// Rational polynomials that are as plain as can be, so that it is known where each pixel lies: lines go south, samples east.
  @Test func rationalPolynomialsSayWhereASceneLies() throws {
    let one = Array(repeating: "0", count: 20)
    func coefficients(_ place: Int, _ value: String) -> String { (one[..<place] + [value] + one[(place + 1)...]).joined(separator: " ") }
    let said = [
      "LINE_OFF": "40", "SAMP_OFF": "50", "LAT_OFF": "48", "LONG_OFF": "11", "HEIGHT_OFF": "0", "LINE_SCALE": "40", "SAMP_SCALE": "50",
      "LAT_SCALE": "0.01", "LONG_SCALE": "0.02", "HEIGHT_SCALE": "500", "LINE_NUM_COEFF": coefficients(2, "-1"),
      "LINE_DEN_COEFF": coefficients(0, "1"), "SAMP_NUM_COEFF": coefficients(1, "1"), "SAMP_DEN_COEFF": coefficients(0, "1"),
    ].map { "<MDI key=\"\($0)\">\($1)</MDI>" }.joined()
    guard let plain = try translated("plain.tif", []) else { return }
    let virtual = try folder.file(
      "rpc.vrt",
      Data(
        """
        <VRTDataset rasterXSize="100" rasterYSize="80"><Metadata domain="RPC">\(said)</Metadata>
        <VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">\(plain.name)</SourceFilename>
        <SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>
        """.utf8))
    let scene = try Scene(FilePath(virtual))
    let ground = try #require(scene.ground)
    #expect(ground.transform == nil)
    // RPCs count from the middle of the first pixel.
    for (x, y) in [(0.5, 0.5), (50.5, 40.5), (99.5, 79.5)] {
      let place = try #require(ground.places([(x, y)])[0])
      #expect(abs(place.lon - (11 + 0.02 * (x - 50.5) / 50)) < 1e-6 && abs(place.lat - (48 - 0.01 * (y - 40.5) / 40)) < 1e-6, "\(x) \(y): \(place)")
    }
    let footprint = try #require(ground.footprint(Window(x: 0, y: 0, width: 100, height: 80)))
    #expect(abs(footprint.boundingBox.west - 10.9798) < 1e-4 && abs(footprint.boundingBox.north - 48.010125) < 1e-4)
  }

  @Test func namesHoldTimes() {
    #expect(SceneNames.properties(of: "/a/T32UNU_20240601T102031_B04.jp2") == ["platform": "sentinel-2", "datetime": "2024-06-01T10:20:31Z"])
    #expect(
      SceneNames.properties(of: "/a/LC08_L2SP_193024_20240601_20240607_02_T1_SR.tif") == [
        "platform": "landsat-8", "datetime": "2024-06-01T00:00:00Z",
      ])
    #expect(SceneNames.properties(of: "/S2A_MSIL2A_20240601T102031_N0510_R065_T32UNU_X.SAFE/T.tif")["platform"] == "sentinel-2a")
    #expect(SceneNames.properties(of: "/a/holiday_20240601.jpg").isEmpty)
    #expect(SceneNames.time("2024:06:01 10:20:31") == "2024-06-01T10:20:31Z" && SceneNames.time("2024-06-01T10:20:31.5Z") == "2024-06-01T10:20:31.5Z")
    for bad in ["20241301", "2024", "x", "20240601T102561", "99999999T999999"] { #expect(SceneNames.time(bad) == nil, "\(bad)") }
  }
}

extension Span<UInt8> {
  fileprivate var elements: [UInt8] { indices.map { self[$0] } }
}

extension Geometry {
  /// Metres from a place to the nearest edge, on a plane that touches there.
  fileprivate func distanceToOutline(from place: Place) -> Double {
    let shrink = cos(place.lat * .pi / 180)
    var least = Double.infinity
    for ring in polygons {
      for i in ring.indices {
        func flat(_ p: Place) -> (Double, Double) {
          var lon = p.lon - place.lon
          lon -= 360 * (lon / 360).rounded()
          return (lon * shrink, p.lat - place.lat)
        }
        let (p, q) = (flat(ring[i]), flat(ring[(i + 1) % ring.count]))
        let (dx, dy) = (q.0 - p.0, q.1 - p.1)
        let length = dx * dx + dy * dy
        let share = length > 0 ? max(0, min(1, -(p.0 * dx + p.1 * dy) / length)) : 0
        let (x, y) = (p.0 + share * dx, p.1 + share * dy)
        least = min(least, (x * x + y * y).squareRoot() * 111_195)
      }
    }
    return least
  }
}
