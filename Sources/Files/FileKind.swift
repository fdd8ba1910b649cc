/// What a file is by its first bytes: for whoever expected something else to say what it found.
package enum FileKind {
  /// How many bytes of a file are looked at.
  package static let prefix = 512

  private static let magics: [(bytes: [UInt8], at: Int, name: String)] = [
    (Array("version https://git-lfs".utf8), 0, lfsPointer),
    ([0xff, 0xd8, 0xff], 0, "a JPEG file"), ([0x89, 0x50, 0x4e, 0x47], 0, "a PNG file"),
    ([0x49, 0x49, 0x2a, 0], 0, "a TIFF file"), ([0x4d, 0x4d, 0, 0x2a], 0, "a TIFF file"),
    ([0x49, 0x49, 0x2b, 0], 0, "a BigTIFF file"), ([0x4d, 0x4d, 0, 0x2b], 0, "a BigTIFF file"),
    (Array("WEBP".utf8), 8, "a WebP file"), (Array("GIF8".utf8), 0, "a GIF file"), (Array("BM".utf8), 0, "a BMP file"),
    ([0, 0, 0, 0x0c, 0x6a, 0x50, 0x20, 0x20], 0, "a JPEG 2000 file"), ([0xff, 0x4f, 0xff, 0x51], 0, "a JPEG 2000 file"),
    ([0xff, 0x0a], 0, "a JPEG XL file"), ([0, 0, 0, 0x0c, 0x4a, 0x58, 0x4c, 0x20], 0, "a JPEG XL file"),
    (Array("ftypavif".utf8), 4, "an AVIF file"), (Array("ftyphei".utf8), 4, "a HEIF file"),
    (Array("ftypmif1".utf8), 4, "a HEIF file"), (Array("NITF".utf8), 0, "an NITF file"), (Array("%PDF".utf8), 0, "a PDF file"),
    ([0x89, 0x48, 0x44, 0x46], 0, "an HDF5 file"), (Array("CDF".utf8), 0, "a NetCDF file"), (Array("GGUF".utf8), 0, "a GGUF file"),
    ([0x50, 0x4b, 3, 4], 0, "a zip archive"), ([0x1f, 0x8b], 0, "a gzip archive"), ([0x28, 0xb5, 0x2f, 0xfd], 0, "a Zstandard archive"),
    ([0xfd, 0x37, 0x7a, 0x58, 0x5a], 0, "an xz archive"), (Array("ustar".utf8), 257, "a tar archive"),
    (Array("SQLite format 3".utf8), 0, "an SQLite database"), ([0x7f, 0x45, 0x4c, 0x46], 0, "a program"),
  ]

  private static let lfsPointer = "a Git LFS pointer in place of the file (fetch it with 'git lfs pull')"

  /// With its article; nil where it is nothing that is known.
  package static func name(of bytes: [UInt8]) -> String? {
    if bytes.isEmpty { return "an empty file" }
    for magic in magics where bytes.dropFirst(magic.at).starts(with: magic.bytes) { return magic.name }
    let text = String(decoding: bytes, as: UTF8.self).lowercased().drop { $0.isWhitespace || $0 == "\u{FEFF}" }
    for beginning in ["<!doctype html", "<html", "<head"] where text.hasPrefix(beginning) {
      return "an HTML page in place of the file (a download that failed)"
    }
    if text.hasPrefix("<?xml") { return "an XML file" }
    return nil
  }
}
