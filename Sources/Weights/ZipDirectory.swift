import FTFFiles
import FTFKernels

/// The entries of a zip file that are stored as they are, as PyTorch writes them; ZIP64 included. The central directory is
/// believed only as far as the local headers and the file's size bear it out, and entries that overlap are refused.
struct ZipDirectory {
  struct Entry: Sendable {
    var name: String
    /// Of the data, in the file.
    var bytes: Range<Int>
  }

  let entries: [String: Entry]
  static let mostEntries = 1 << 20

  init(_ file: MappedFile) throws(WeightsError) {
    let path = file.path
    func malformed(_ reason: String) -> WeightsError { .archive(path: path, reason: reason) }
    func u16(_ at: Int) -> Int { Int(file.load(at: at, as: UInt16.self)) }
    func u32(_ at: Int) -> Int { Int(file.load(at: at, as: UInt32.self)) }
    func u64(_ at: Int) throws(WeightsError) -> Int {
      guard let value = Int(exactly: file.load(at: at, as: UInt64.self)) else {
        throw malformed("it has an impossible offset")
      }
      return value
    }

    // The end record lies in the last 64 KiB, after it only a comment.
    guard file.count >= 22 else { throw malformed("it has \(file.count) bytes") }
    var end = file.count - 22
    let lowest = max(0, end - 65535)
    while end >= lowest, u32(end) != 0x0605_4b50 { end -= 1 }
    guard end >= lowest else { throw malformed("it is no zip file, or is truncated") }
    var (count, size, start) = (u16(end + 10), u32(end + 12), u32(end + 16))
    if end >= 20, u32(end - 20) == 0x0706_4b50 {
      let record = try u64(end - 12)
      guard record >= 0, record <= end - 20 - 56, u32(record) == 0x0606_4b50 else {
        throw malformed("its ZIP64 record is missing")
      }
      (count, size, start) = (try u64(record + 32), try u64(record + 40), try u64(record + 48))
    }
    guard count <= Self.mostEntries, start >= 0, size >= 0, start <= end, size <= end - start else {
      throw malformed("its directory lies outside of the file")
    }

    var entries: [String: Entry] = [:]
    var taken: [Range<Int>] = []
    var at = start
    for _ in 0..<count {
      guard at + 46 <= start + size, u32(at) == 0x0201_4b50 else { throw malformed("its directory is broken") }
      let (flags, method) = (u16(at + 8), u16(at + 10))
      var (packed, unpacked, local) = (u32(at + 20), u32(at + 24), u32(at + 42))
      let (nameLength, extraLength, commentLength) = (u16(at + 28), u16(at + 30), u16(at + 32))
      let extra = at + 46 + nameLength
      guard extra + extraLength + commentLength <= start + size else { throw malformed("its directory is broken") }
      let name = String(decoding: file.array(at: at + 46, count: nameLength) as [UInt8], as: UTF8.self)
      var field = extra
      while field + 4 <= extra + extraLength {
        let (id, length) = (u16(field), u16(field + 2))
        if id == 1 {
          var value = field + 4
          func next(_ current: Int) throws(WeightsError) -> Int {
            guard current == 0xffff_ffff else { return current }
            guard value + 8 <= min(field + 4 + length, extra + extraLength) else {
              throw malformed("its directory is broken")
            }
            defer { value += 8 }
            return try u64(value)
          }
          unpacked = try next(unpacked)
          packed = try next(packed)
          local = try next(local)
        }
        field += 4 + length
      }
      guard flags & 1 == 0 else { throw malformed("'\(name)' is encrypted") }
      guard local >= 0, local <= file.count - 30, u32(local) == 0x0403_4b50 else {
        throw malformed("'\(name)' is not where it should be")
      }
      let data = local + 30 + u16(local + 26) + u16(local + 28)
      guard data <= start, packed >= 0, packed <= start - data else {
        throw malformed("'\(name)' reaches into the directory")
      }
      // What is compressed (the code of TorchScript archives) is left out: nothing here reads it.
      if method == 0 {
        guard packed == unpacked else { throw malformed("'\(name)' has two sizes") }
        guard entries.updateValue(Entry(name: name, bytes: data..<data + packed), forKey: name) == nil else {
          throw malformed("'\(name)' is there twice")
        }
      }
      taken.append(local..<data + packed)
      at += 46 + nameLength + extraLength + commentLength
    }
    taken.sort { $0.lowerBound < $1.lowerBound }
    for (a, b) in zip(taken, taken.dropFirst()) where a.upperBound > b.lowerBound {
      throw malformed("its entries overlap")
    }
    self.entries = entries
  }
}
