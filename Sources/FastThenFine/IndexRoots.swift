import FTFFiles
import FTFIndex

/// The folders that the images of an index lie in, and what follows when one of them is elsewhere.
extension IndexUpkeep {
  /// A folder, and how many files the index knows below it.
  public struct Root: Sendable, Equatable {
    public var path: String
    public var files: Int
  }

  /// The folder that all files lie below, or those inside of it where it has no file of its own.
  ///
  /// - Parameter index: the folder of one.
  /// - Throws: `notAnIndex`, `damagedIndex`.
  public static func roots(of index: String) throws(FastThenFineError) -> [Root] {
    try FastThenFineError.wrapping { try roots(Catalog(path: index)).map { Root(path: $0.path.description, files: $0.files) } }
  }

  private static func roots(_ catalog: Catalog) throws -> [(path: FilePath, files: Int)] {
    let files = try catalog.sources().keys
    guard var common = files.first?.folder else { return [] }
    for file in files { while !file.isBelow(common), let above = common.folder { common = above } }
    if files.contains(where: { $0.folder == common }) { return [(common, files.count)] }
    var counts: [FilePath: Int] = [:]
    for file in files {
      var place = file
      while let above = place.folder, above != common { place = above }
      counts[place, default: 0] += 1
    }
    return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Says that a folder lies elsewhere now: its images keep their ids, vectors and what is known of them, and files that are as they were are not
  /// read again. Nothing on the disk is moved.
  ///
  /// - Parameters:
  ///   - folder: as it was; or its name alone, where that is the name of one of the roots.
  ///   - place: as it is.
  ///   - index: the folder of one.
  /// - Returns: how many files the index knows below it.
  /// - Throws: `badInput` where the index knows nothing below the folder; `locked`, `notAnIndex`, `damagedIndex`.
  public static func move(_ folder: String, to place: String, in index: String) throws(FastThenFineError) -> Int {
    try FastThenFineError.wrapping {
      let writer = try CatalogWriter(path: index)
      let known = try writer.catalog.sources()
      let roots = try roots(writer.catalog)
      let whole = FilePath(folder).absolute ?? FilePath(folder)
      let named = roots.filter { $0.path.name == folder }
      let from = known.keys.contains { $0.isBelow(whole) } || named.count != 1 ? whole : named[0].path
      let to = FilePath(place).absolute ?? FilePath(place)
      let start = from.spelling.utf8.last == UInt8(ascii: "/") ? from.spelling.utf8.count - 1 : from.spelling.utf8.count
      var moves: [(from: FilePath, to: FilePath, stamp: FileStamp)] = []
      for (path, source) in known where path.isBelow(from) {
        let rest = String(decoding: path.spelling.utf8.dropFirst(start), as: UTF8.self)
        let new = FilePath((to.spelling == "/" ? "" : to.spelling) + rest)
        let there = ImageFiles.stamp(of: new)
        // Copied elsewhere, a file was changed when it was copied: what it is counts.
        let isSame = there.size == source.stamp.size && there.modified == source.stamp.modified
        moves.append((path, new, isSame ? there : source.stamp))
      }
      guard !moves.isEmpty else {
        let folders = roots.prefix(8).map(\.path.description).joined(separator: ", ")
        throw FastThenFineError(.badInput, at: index, "knows nothing below \(from); its images lie in \(folders.isEmpty ? "no folder" : folders)")
      }
      if from != to { try writer.move(sources: moves.sorted { $0.from < $1.from }) }
      writer.save()
      return moves.count
    }
  }
}
