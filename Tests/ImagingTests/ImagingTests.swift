import Foundation
import FTFImaging
import FTFKernels
import FTFTestSupport
import Testing
import FTFWeights

@Suite struct Pixels {
  let goldens: Goldens
  init() throws { goldens = try Goldens() }

  @Test func everyKindOfImageComesWithinOneGreyLevelOfPillow() throws {
    let expected = try goldens.floats("pixels")
    for (i, name) in goldens.lists.images.enumerated() {
      let image = try RGBImage(path: "\(Goldens.folder)/images/\(name)").centred(resizeTo: 56, cropTo: 56)
      #expect(image.width == 56 && image.height == 56)
      var worst: Float = 0
      for j in 0..<56 * 56 * 3 { worst = max(worst, abs(Float(image.pixels[j]) - expected[i * 56 * 56 * 3 + j])) }
      #expect(worst <= 1, "\(name) differs by \(worst)")
    }
  }

  @Test func sixteenBitsAreCutToTheHighByte() throws {
    let expected = try goldens.floats("grey16")
    let image = try RGBImage(path: "\(Goldens.folder)/images/grey16.png")
    for i in expected.indices {
      #expect(image.pixels[3 * i] == UInt8(expected[i]) && image.pixels[3 * i + 2] == image.pixels[3 * i])
    }
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let folder = try TemporaryFolder()
    let image = try RGBImage(path: "\(Goldens.folder)/images/exact.png")
    try image.write(png: "\(folder.path)/a.png")
    try image.write(jpeg: "\(folder.path)/a.jpg", quality: 95)
    #expect(try RGBImage(path: "\(folder.path)/a.png").pixels.array == image.pixels.array)
    let lossy = try RGBImage(path: "\(folder.path)/a.jpg")
    let error = zip(lossy.pixels.array, image.pixels.array).map { abs(Int($0) - Int($1)) }.reduce(0, +)
    #expect(Double(error) < 6.5 * Double(image.pixels.count), "\(Double(error) / Double(image.pixels.count))")
    #expect(throws: ImagingError.self) { try image.write(png: "\(folder.path)/none/a.png") }
  }

  @Test func aLargeJPEGIsDecodedAtAFractionWithTheSamePicture() throws {
    let folder = try TemporaryFolder()
    // Soft waves: what a camera sees, without the edges that no two filters treat alike.
    let (width, height) = (1800, 1200)
    let pixels = AlignedBuffer<UInt8>(count: width * height * 3, repeating: 0)
    for y in 0..<height {
      for x in 0..<width {
        let (a, b) = (sin(Double(x) / 40) * cos(Double(y) / 70), cos(Double(x + y) / 55))
        for c in 0..<3 { pixels[(y * width + x) * 3 + c] = UInt8(128 + 60 * a + Double(20 * c) * b) }
      }
    }
    let path = "\(folder.path)/large.jpg"
    try RGBImage(width: width, height: height, pixels: pixels).write(jpeg: path, quality: 92)
    let whole = try RGBImage(path: path).centred(resizeTo: 224, cropTo: 224)
    // At least twice what it is made: 1200 by 2 is 600, by 4 it would be 300.
    for (side, expected) in [(224, 600), (100, 300), (75, 150), (300, 600), (301, 1200), (1, 150)] {
      #expect(try RGBImage(path: path, reducedTo: side).height == expected, "\(side)")
    }
    let reduced = try RGBImage(path: path, reducedTo: 224).centred(resizeTo: 224, cropTo: 224)
    let worst = whole.pixels.span.indices.map { abs(Int(whole.pixels[$0]) - Int(reduced.pixels[$0])) }.max()!
    #expect(worst <= 3, "\(worst)")
    // A small one, and a PNG, are what they were.
    for name in ["rgb.jpg", "exif6.jpg", "exact.png"] {
      let path = "\(Goldens.folder)/images/\(name)"
      let (a, b) = (try RGBImage(path: path), try RGBImage(path: path, reducedTo: 224))
      #expect(a.width == b.width && a.pixels.span.indices.allSatisfy { a.pixels[$0] == b.pixels[$0] })
    }
  }

  @Test func aLongStripIsCutBeforeItIsResized() throws {
    let strip = RGBImage(width: 20000, height: 2, pixels: AlignedBuffer(count: 120_000, repeating: 9))
    let centre = strip.centred(resizeTo: 56, cropTo: 56)
    #expect(centre.width == 56 && centre.height == 56 && centre.pixels.array.allSatisfy { $0 == 9 })
  }
}

/// What other programs show of a file, and a plain reading of the format does not.
@Suite struct ForeignImages {
  private func file(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(name)"))
  }

  private func pixels(_ data: Data) throws -> [UInt8] { try RGBImage(data: data, path: "x").pixels.array }

  @Test func cmykIsInvertedWithAdobesMarkerAndWithout() throws {
    var data = try file("cmyk.jpg")
    let expected = try pixels(data)
    let marker = try #require(data.range(of: Data([0xff, 0xee])))
    let length = Int(data[marker.upperBound]) << 8 | Int(data[marker.upperBound + 1])
    data.removeSubrange(marker.lowerBound..<marker.upperBound + length)
    #expect(try pixels(data) == expected)
  }

  @Test(arguments: ["rgb.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg"])
  func aJPEGWithoutItsEndMarkHasAllPixelsAndOneWithoutMoreIsRefused(name: String) throws {
    let data = try file(name)
    let end = try #require(data.range(of: Data([0xff, 0xd9]), options: .backwards)).lowerBound
    #expect(try pixels(data.prefix(end)) == pixels(data))
    #expect(try pixels(data.prefix(end + 1)) == pixels(data))
    for length in stride(from: end - 8, to: end / 2, by: -7) {
      #expect(throws: ImagingError.self, "cut to \(length) of \(end)") { try pixels(data.prefix(length)) }
    }
    // Between two scans nothing but what is missing tells that something is.
    var scan = data.range(of: Data([0xff, 0xda]), in: 0..<end)
    while let found = scan {
      #expect(throws: ImagingError.self) { try pixels(data.prefix(found.lowerBound)) }
      scan = data.range(of: Data([0xff, 0xda]), in: found.upperBound..<end)
    }
  }

  @Test(arguments: [3, 6, 8]) func orientationIsTakenFromXMPWhereEXIFHasNone(orientation: Int) throws {
    let plain = try RGBImage(path: "\(Goldens.folder)/images/rgb.jpg")
    for text in ["<x tiff:Orientation=\"\(orientation)\"/>", "<x><tiff:Orientation>\(orientation)</tiff:Orientation></x>"] {
      let packet = Data("http://ns.adobe.com/xap/1.0/\0\(text)".utf8)
      let segment = Data([0xff, 0xe1, UInt8((packet.count + 2) >> 8), UInt8((packet.count + 2) & 255)]) + packet
      var data = try file("rgb.jpg")
      data.insert(contentsOf: segment, at: 2)
      let image = try RGBImage(data: data, path: "x")
      let exif = try RGBImage(path: "\(Goldens.folder)/images/exif\(orientation).jpg")
      #expect(image.pixels.array != plain.pixels.array)
      #expect((image.width > image.height) == (exif.width > exif.height))
    }
    var silent = try file("rgb.jpg")
    silent.insert(contentsOf: Data([0xff, 0xe1, 0, 8]) + Data("http:/".utf8), at: 2)
    #expect(try pixels(silent) == plain.pixels.array)
  }

  @Test func sixteenBitsThatLeaveTheRangeEmptyAreStretched() throws {
    let folder = try TemporaryFolder()
    // A ramp of 12 bits, and the same with its values in the upper bits.
    func image(_ shift: Int) throws -> RGBImage {
      let values = (0..<64 * 64).map { UInt16($0 << shift) }
      let path = try folder.file("\(shift).png", PNGWriter.grey16(width: 64, height: 64, values))
      return try RGBImage(path: path)
    }
    let (low, full) = (try image(0).pixels.array, try image(4).pixels.array)
    #expect(full.max() == 255 && low.max() == 255)
    #expect(zip(low, full).allSatisfy { abs(Int($0) - Int($1)) <= 2 })
  }
}

@Suite struct BrokenImages {
  func reason(_ data: Data) -> String {
    do {
      _ = try RGBImage(data: data, path: "x")
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func emptyAndForeignFilesAreNamedAsSuch() {
    #expect(reason(Data()).contains("empty"))
    #expect(reason(Data("hello".utf8)).contains("neither a JPEG nor a PNG"))
    for (bytes, name) in [
      (Data("GIF89a".utf8), "GIF"), (Data([0x49, 0x49, 0x2a, 0, 8, 0]), "TIFF"), (Data("RIFF....WEBPVP8 ".utf8), "WebP"),
      (Data("version https://git-lfs.github.com/spec/v1\n".utf8), "git lfs pull"), (Data("\n<!DOCTYPE html>".utf8), "HTML"),
      (Data("....ftypavif".utf8), "AVIF"), (Data("NITF02.10".utf8), "NITF"),
    ] { #expect(reason(bytes).contains(name), "\(reason(bytes))") }
  }

  @Test(arguments: ["rgb.jpg", "progressive.jpg", "cmyk.jpg", "exact.png", "palette.png", "exif6.jpg"])
  func aFileCutAnywhereIsAnErrorAndNeverACrash(name: String) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(name)"))
    for length in stride(from: 2, to: data.count - 16, by: max(1, data.count / 97)) {
      #expect(!reason(data.prefix(length)).isEmpty, "\(name) cut to \(length) bytes was taken for whole")
    }
  }

  @Test(arguments: ["rgb.jpg", "exif6.jpg", "palette.png", "grey16.png"])
  func aFileWithFlippedBytesNeverCrashes(name: String) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(name)"))
    var random = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      var damaged = data
      for _ in 0..<3 {
        damaged[Int.random(in: 2..<data.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = reason(damaged)
    }
  }

  /// Memory is booked by what a file says before it is decoded: whatever the decoder takes has to have said it.
  @Test(arguments: ["rgb.jpg", "progressive.jpg", "exif6.jpg"]) func theSizeIsKnownWhereverTheDecoderFindsIt(name: String) throws {
    let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(name)")))
    let whole = try #require(RGBImage.size(Data(data)))
    #expect((whole.decodingBytes > 0) == (name == "progressive.jpg"))
    // libjpeg looks for the next marker in whatever lies between two.
    for junk in [[0x30], Array(repeating: 0x2f, count: 70), [0xff, 0xff, 0xff]] as [[UInt8]] {
      let spoilt = Data(data[..<2] + junk + data[2...])
      let image = try RGBImage(data: spoilt, path: name)
      let size = try #require(RGBImage.size(spoilt))
      #expect(size == whole && (size.width, size.height) == (image.width, image.height))
    }
  }

  /// Ten bytes a scan, each of which goes over all of the image.
  @Test func aJPEGOfThousandsOfScansIsRefused() throws {
    let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/progressive.jpg")))
    let scan = try #require(data.indices.dropLast().first { data[$0] == 0xff && data[$0 + 1] == 0xda })
    let length = Int(data[scan + 2]) << 8 + Int(data[scan + 3])
    let empty = Array(data[scan..<scan + 2 + length]) + [0]
    let bomb = Array(data[..<scan]) + Array(repeatElement(empty, count: 5000).joined()) + Array(data[scan...])
    #expect(reason(Data(bomb)).contains("scans"))
  }

  @Test func anImageOfThirtyThousandSquareIsRefusedBeforeMemoryIsTaken() throws {
    var png = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/exact.png"))
    png.replaceSubrange(16..<24, with: [0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30])
    // The header's checksum is over its type and data.
    let crc = PNGWriter.crc32(png[12..<29])
    png.replaceSubrange(29..<33, with: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: crc >> $0) })
    #expect(reason(png).contains("30000 x 30000"))
    var jpeg = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/rgb.jpg"))
    let frame = jpeg.range(of: Data([0xff, 0xc0]))!.lowerBound
    jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x75, 0x30, 0x75, 0x30])
    #expect(reason(jpeg).contains("30000 x 30000"))
  }
}
