import FTFFiles
import Foundation
import FTFImaging
import FTFIndex
import FTFKernels
import FTFScenes

/// The image files below some paths, as far as they could be seen, and what could not.
///
/// Links to folders are followed; a folder is entered once, however many ways lead to it, under its own name rather than a link's.
/// Hidden files and folders are left out unless they are named.
struct FolderWalk: Sendable {
  /// From the root of the system, sorted, each once, as they were when they were seen.
  private(set) var files: [Stamped] = []
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

  typealias Stamped = (path: FilePath, stamp: FileStamp)

  /// Endings of other formats: a file with one of these, or with none, is looked into, since what it is its content says.
  private static let pictures: Set<String> = [
    "", "vrt", "tif", "tiff", "webp", "gif", "bmp", "img", "jp2", "j2k", "jxl", "heic", "heif", "avif", "dat", "bin", "pic", "image",
  ]

  init(_ paths: [String]) {
    for path in paths {
      let path = FilePath(path)
      guard let root = path.absolute else {
        problems.append("\(path): the working directory is gone; give the whole path")
        continue
      }
      switch Self.kind(root) {
      case .folder:
        let before = files.count
        walk(root)
        if files.count == before && read.contains(root) { empty.append(root) }
      case .file: files.append((root, ImageFiles.stamp(of: root)))
      case .other: problems.append("\(path): is neither a file nor a folder")
      case .missing(let reason): problems.append("\(path): \(reason)")
      }
    }
    if !links.isEmpty {
      // A link to a file that is found anyway is the same picture.
      var identities = Set(files.compactMap { Self.identity($0.path) })
      for link in links.sorted() where Self.identity(link).map({ identities.insert($0).inserted }) ?? false {
        files.append((link, ImageFiles.stamp(of: link)))
      }
    }
    // A walk finds them nearly in order, and a file that is named twice comes twice.
    files.sort { $0.path < $1.path }
    files = files.indices.lazy.filter { [files] i in i == 0 || files[i - 1].path != files[i].path }.map { [files] i in files[i] }
    empty.removeAll { root in files.contains { $0.path.isBelow(root) } }
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

  /// Folders of one depth after those of the one before, each of them by a thread of its own: what takes long is what the system says of each file.
  private mutating func walk(_ root: FilePath) {
    // Real folders first: what a link leads to may be reached without it.
    var (folders, linked) = ([root], [FilePath]())
    while let next = folders.isEmpty ? linked.popLast() : folders.removeFirst() {
      var level: [FilePath] = []
      for folder in [next] + folders where enter(folder) { level.append(folder) }
      folders = []
      var rest = level[...]
      // Nothing of it throws.
      try! Conveyor.run {
        rest.popFirst()
      } made: {
        Listing($0)
      } take: { listing in
        folders += listing.folders
        linked += listing.linked
        take(listing)
      }
    }
  }

  private mutating func take(_ listing: Listing) {
    files += listing.files
    links += listing.links
    problems += listing.problems
    leftOut.merge(listing.leftOut, uniquingKeysWith: +)
    scenesLeftOut += listing.scenesLeftOut
    if listing.isWhole { read.insert(listing.folder) }
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

  /// What is in a folder, hidden entries left out, in the order of their names.
  private struct Listing: Sendable {
    let folder: FilePath
    var files: [Stamped] = []
    var folders: [FilePath] = []
    /// Links to folders, and to images.
    var (linked, links): ([FilePath], [FilePath]) = ([], [])
    var problems: [String] = []
    var leftOut: [String: Int] = [:]
    var scenesLeftOut = 0
    /// Whether every entry was seen.
    var isWhole = false

    init(_ folder: FilePath) {
      self.folder = folder
      guard let directory = unsafe folder.withCString({ unsafe opendir($0) }) else {
        refuse()
        return
      }
      defer { unsafe closedir(directory) }
      var names = Names()
      errno = 0
      while let entry = unsafe readdir(directory) {
        unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe names.append($0, Int(entry.pointee.d_type)) }
        errno = 0
      }
      guard errno == 0 else {
        refuse()
        return
      }
      isWhole = true
      let descriptor = unsafe dirfd(directory)
      for (name, type) in names.sorted { add(name, type, in: descriptor) }
    }

    private mutating func refuse() {
      problems.append("\(folder): cannot be read: \(unsafe String(cString: strerror(errno))); what the index has of it is kept")
    }

    private mutating func add(_ name: FilePath, _ type: Int, in descriptor: Int32) {
      let path = folder.appending(name)
      switch type {
      case Int(DT_DIR): folders.append(path)
      case Int(DT_REG): take(path, name, in: descriptor)
      case Int(DT_LNK): follow(path)
      case Int(DT_UNKNOWN):
        switch FolderWalk.kind(path) {
        case .folder: folders.append(path)
        case .file: take(path, name, in: descriptor)
        default: break
        }
      default: break
      }
    }

    private mutating func follow(_ link: FilePath) {
      switch FolderWalk.kind(link) {
      case .folder: linked.append(link)
      case .file: if FolderWalk.isImage(link, link.ending) { links.append(link) }
      case .missing(let reason): if RGBImage.endings.contains(link.ending) { problems.append("\(link): is a link, and \(reason)") }
      case .other: break
      }
    }

    private mutating func take(_ path: FilePath, _ name: FilePath, in descriptor: Int32) {
      let ending = name.ending
      if FolderWalk.isImage(path, ending) {
        files.append((path, ImageFiles.stamp(of: name, in: descriptor)))
      } else {
        leftOut[ending, default: 0] += 1
        if GDAL.absence != nil, FolderWalk.pictures.contains(ending), Scene.isOne(at: path) { scenesLeftOut += 1 }
      }
    }
  }

  /// What a folder holds, in one piece of memory: strings take three times as long to sort.
  private struct Names {
    private var bytes: [UInt8] = []
    private var entries: [(start: Int, count: Int, type: Int)] = []

    /// Adds an entry that is not hidden.
    ///
    /// - Parameter name: ends with a zero.
    mutating func append(_ name: UnsafeRawBufferPointer, _ type: Int) {
      guard let count = unsafe name.firstIndex(of: 0), unsafe name.first != UInt8(ascii: ".") else { return }
      entries.append((bytes.count, count, type))
      unsafe bytes += name[..<count]
    }

    /// By the bytes of their names.
    var sorted: [(name: FilePath, type: Int)] {
      let sorted = unsafe bytes.withUnsafeBytes { bytes in
        entries.sorted { a, b in
          let order = unsafe memcmp(bytes.baseAddress! + a.start, bytes.baseAddress! + b.start, min(a.count, b.count))
          return order == 0 ? a.count < b.count : order < 0
        }
      }
      return sorted.map { (FilePath(bytes: bytes[$0.start..<$0.start + $0.count]), $0.type) }
    }
  }

  private static func isImage(_ path: FilePath, _ ending: String) -> Bool {
    if RGBImage.endings.contains(ending) { return true }
    return pictures.contains(ending) && (RGBImage.isImage(at: path) || GDAL.absence == nil && Scene.isOne(at: path))
  }
}
