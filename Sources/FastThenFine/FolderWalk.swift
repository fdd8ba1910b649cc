import FTFFiles
import Foundation
import FTFImaging
import FTFKernels
import FTFScenes

/// The image files below some paths, as far as they could be seen, and what could not.
///
/// Links to folders are followed; a folder is entered once, however many ways lead to it, under its own name rather than a link's.
/// Hidden files and folders are left out unless they are named.
struct FolderWalk {
  /// From the root of the system, sorted, each once.
  private(set) var files: [FilePath] = []
  /// The same, to be asked for one.
  private(set) var seen: Set<FilePath> = []
  /// What could not be seen, a line each.
  private(set) var problems: [String] = []
  /// How many files were left out, by their ending.
  private(set) var leftOut: [String: Int] = [:]
  /// How many of them GDAL would read, if it were there.
  private(set) var scenesLeftOut = 0
  /// The folders whose every entry was seen.
  private var read: Set<FilePath> = []
  private var entered: Set<[UInt64]> = []
  private var links: [FilePath] = []

  /// Endings of other formats: a file with one of these, or with none, is looked into, since what it is its content says.
  private static let pictures: Set<String> = [
    "", "vrt", "tif", "tiff", "webp", "gif", "bmp", "img", "jp2", "j2k", "jxl", "heic", "heif", "avif", "dat", "bin", "pic", "image",
  ]

  init(_ paths: [String]) {
    var found: Set<FilePath> = []
    for path in paths {
      let path = FilePath(path)
      guard let root = path.absolute else {
        problems.append("\(path): the working directory is gone; give the whole path")
        continue
      }
      switch Self.kind(root) {
      case .folder:
        let before = found.count
        walk(root, &found)
        if found.count == before && read.contains(root) { empty.append(root) }
      case .file: found.insert(root)
      case .other: problems.append("\(path): is neither a file nor a folder")
      case .missing(let reason): problems.append("\(path): \(reason)")
      }
    }
    if !links.isEmpty {
      // A link to a file that is found anyway is the same picture.
      var identities = Set(found.compactMap(Self.identity))
      for link in links where Self.identity(link).map({ identities.insert($0).inserted }) ?? false { found.insert(link) }
    }
    (files, seen) = (found.sorted(), found)
    empty.removeAll { root in files.contains { $0.isBelow(root) } }
  }

  /// Roots that hold no images.
  private(set) var empty: [FilePath] = []

  /// Whether a file that was seen before is gone: it is not there, and the folder that it, or all that led to it, is missing from was
  /// read. A folder that cannot be read or a root that is not there says nothing of what was in it.
  func isGone(_ path: FilePath) -> Bool {
    guard case .missing = Self.kind(path, following: false) else { return false }
    var folder = path.folder
    while let place = folder {
      if read.contains(place) { return true }
      guard case .missing = Self.kind(place, following: false) else { return false }
      folder = place.folder
    }
    return false
  }

  // MARK: Walking

  private enum Kind {
    case folder, file, other
    case missing(String)
  }

  private static func kind(_ path: FilePath, following: Bool = true) -> Kind {
    var status = stat()
    let failed = unsafe path.withCString { unsafe following ? stat($0, &status) : lstat($0, &status) } != 0
    if failed {
      let code = errno
      let isAway = following || code == ENOENT || code == ENOTDIR
      return isAway ? .missing(code == ENOENT ? "there is no such file or folder" : unsafe String(cString: strerror(code))) : .other
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder
    case S_IFREG: return .file
    default: return .other
    }
  }

  private mutating func walk(_ root: FilePath, _ found: inout Set<FilePath>) {
    // Real folders first: what a link leads to may be reached without it.
    var (folders, linked) = ([root], [FilePath]())
    while let folder = folders.popLast() ?? linked.popLast() {
      guard enter(folder) else { continue }
      guard let names = list(folder) else { continue }
      for (name, type) in names {
        let path = folder.appending(name)
        switch type {
        case Int(DT_DIR): folders.append(path)
        case Int(DT_REG): take(path, &found)
        case Int(DT_LNK): follow(path, &linked)
        case Int(DT_UNKNOWN):
          switch Self.kind(path) {
          case .folder: folders.append(path)
          case .file: take(path, &found)
          default: break
          }
        default: break
        }
      }
    }
  }

  /// - Returns: whether the folder was not entered before.
  private mutating func enter(_ folder: FilePath) -> Bool {
    Self.identity(folder).map { entered.insert($0).inserted } ?? true
  }

  /// Device and inode, with links followed.
  private static func identity(_ path: FilePath) -> [UInt64]? {
    var status = stat()
    guard unsafe path.withCString({ unsafe stat($0, &status) }) == 0 else { return nil }
    return [UInt64(status.st_dev), UInt64(status.st_ino)]
  }

  /// The entries of a folder, hidden ones left out, in the order of their names; nil where it cannot be read.
  private mutating func list(_ folder: FilePath) -> [(name: FilePath, type: Int)]? {
    func refuse() {
      problems.append("\(folder): cannot be read: \(unsafe String(cString: strerror(errno))); what the index has of it is kept")
    }
    guard let directory = unsafe folder.withCString({ unsafe opendir($0) }) else {
      refuse()
      return nil
    }
    defer { unsafe closedir(directory) }
    var entries: [(name: FilePath, type: Int)] = []
    errno = 0
    while let entry = unsafe readdir(directory) {
      let bytes = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
      if bytes.first != UInt8(ascii: ".") { entries.append((FilePath(bytes: bytes), Int(unsafe entry.pointee.d_type))) }
      errno = 0
    }
    guard errno == 0 else {
      refuse()
      return nil
    }
    read.insert(folder)
    return entries.sorted { $0.name < $1.name }
  }

  private mutating func follow(_ link: FilePath, _ linked: inout [FilePath]) {
    switch Self.kind(link) {
    case .folder: linked.append(link)
    case .file: if Self.isImage(link) { links.append(link) }
    case .missing(let reason): if RGBImage.endings.contains(link.ending) { problems.append("\(link): is a link, and \(reason)") }
    case .other: break
    }
  }

  private mutating func take(_ path: FilePath, _ found: inout Set<FilePath>) {
    if Self.isImage(path) {
      found.insert(path)
    } else {
      leftOut[path.ending, default: 0] += 1
      if GDAL.absence != nil, Self.pictures.contains(path.ending), Scene.isOne(at: path) { scenesLeftOut += 1 }
    }
  }

  private static func isImage(_ path: FilePath) -> Bool {
    if RGBImage.endings.contains(path.ending) { return true }
    return pictures.contains(path.ending) && (RGBImage.isImage(at: path) || GDAL.absence == nil && Scene.isOne(at: path))
  }
}
