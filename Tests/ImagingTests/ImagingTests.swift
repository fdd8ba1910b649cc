import Foundation
import Imaging
import Kernels
import TestSupport
import Testing
import Weights

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
    #expect(error < 8 * image.pixels.count)
    #expect(throws: ImagingError.self) { try image.write(png: "\(folder.path)/none/a.png") }
  }

  @Test func aLongStripIsCutBeforeItIsResized() throws {
    let strip = RGBImage(width: 20000, height: 2, pixels: AlignedBuffer(count: 120_000, repeating: 9))
    let centre = strip.centred(resizeTo: 56, cropTo: 56)
    #expect(centre.width == 56 && centre.height == 56 && centre.pixels.array.allSatisfy { $0 == 9 })
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
    #expect(reason(Data("GIF89a".utf8)).contains("neither a JPEG nor a PNG"))
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

  @Test func anImageOfThirtyThousandSquareIsRefusedBeforeMemoryIsTaken() throws {
    var png = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/exact.png"))
    png.replaceSubrange(16..<24, with: [0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30])
    // The header's checksum is over its type and data.
    let crc = crc32(png[12..<29])
    png.replaceSubrange(29..<33, with: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: crc >> $0) })
    #expect(reason(png).contains("30000 x 30000"))
    var jpeg = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/rgb.jpg"))
    let frame = jpeg.range(of: Data([0xff, 0xc0]))!.lowerBound
    jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x75, 0x30, 0x75, 0x30])
    #expect(reason(jpeg).contains("30000 x 30000"))
  }

  private func crc32(_ data: Data) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in data {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
