import Foundation

/// Writes zip files of stored entries, and the pickle of a state dict, well-formed or bent.
package struct ArchiveWriter {
  package struct Entry {
    package var name: String
    package var data: Data
    /// What the directory claims instead of the truth.
    package var method: UInt16 = 0
    package var size: UInt32?
    package var offset: UInt32?

    package init(_ name: String, _ data: Data, method: UInt16 = 0, size: UInt32? = nil, offset: UInt32? = nil) {
      (self.name, self.data, self.method, self.size, self.offset) = (name, data, method, size, offset)
    }
  }

  package static func zip(_ entries: [Entry], count: UInt16? = nil) -> Data {
    var file = Data()
    var directory = Data()
    for entry in entries {
      let (offset, size) = (UInt32(file.count), UInt32(entry.data.count))
      file += little(0x0403_4b50 as UInt32) + little(20 as UInt16) + little(0 as UInt16) + little(entry.method)
      file += little(0 as UInt32) + little(0 as UInt32) + little(size) + little(size)
      file += little(UInt16(entry.name.utf8.count)) + little(0 as UInt16) + Data(entry.name.utf8) + entry.data
      directory += little(0x0201_4b50 as UInt32) + little(20 as UInt16) + little(20 as UInt16) + little(0 as UInt16)
      directory += little(entry.method) + little(0 as UInt32) + little(0 as UInt32)
      directory += little(entry.size ?? size) + little(entry.size ?? size)
      directory += little(UInt16(entry.name.utf8.count)) + Data(count: 12) + little(entry.offset ?? offset)
      directory += Data(entry.name.utf8)
    }
    let start = UInt32(file.count)
    file += directory + little(0x0605_4b50 as UInt32) + Data(count: 4)
    let n = count ?? UInt16(entries.count)
    return file + little(n) + little(n) + little(UInt32(directory.count)) + little(start) + little(0 as UInt16)
  }

  /// `{name: tensor}` with one f32 tensor of that shape, whose storage is `0`.
  package static func pickle(shape: [Int32], strides: [Int32], offset: Int32 = 0, storage: String = "FloatStorage")
    -> Data
  {
    func text(_ s: String) -> Data { Data("X".utf8) + little(UInt32(s.utf8.count)) + Data(s.utf8) }
    func number(_ n: Int32) -> Data { Data("J".utf8) + little(UInt32(bitPattern: n)) }
    func tuple(_ parts: [Data]) -> Data { Data("(".utf8) + parts.reduce(Data(), +) + Data("t".utf8) }
    let id = tuple([text("storage"), Data("ctorch\n\(storage)\n".utf8), text("0"), text("cpu"), number(6)])
    let arguments = tuple([
      id + Data("Q".utf8), number(offset), tuple(shape.map(number)), tuple(strides.map(number)), Data([0x89]),
      Data("ccollections\nOrderedDict\n)R".utf8),
    ])
    return Data([0x80, 2]) + Data("}".utf8) + text("w") + Data("ctorch._utils\n_rebuild_tensor_v2\n".utf8) + arguments
      + Data("Rs.".utf8)
  }

  static func little<T: FixedWidthInteger>(_ value: T) -> Data {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe Data($0) }
  }
}
