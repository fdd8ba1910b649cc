import Foundation
import Imaging
import Index

/// Image files as folders hold them.
package enum ImageFiles {
  /// The images that paths stand for: a file is itself, a folder everything below it with an image's ending, sorted.
  package static func below(_ paths: [String]) throws(FastThenFineError) -> [String] {
    var result: [String] = []
    for path in paths {
      var isFolder: ObjCBool = false
      let url = URL(fileURLWithPath: path)
      guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw FastThenFineError(.unusableFile, "\(path): there is no such file or folder")
      }
      guard isFolder.boolValue else {
        result.append(url.standardizedFileURL.path)
        continue
      }
      var found: [String] = []
      let entries = FileManager.default.enumerator(
        at: url.standardizedFileURL, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
      while let entry = entries?.nextObject() as? URL {
        if RGBImage.endings.contains(entry.pathExtension.lowercased()) { found.append(entry.path) }
      }
      guard !found.isEmpty else {
        throw FastThenFineError(.unusableFile, "\(path): holds no .jpg, .jpeg or .png file")
      }
      result += found.sorted()
    }
    return result
  }

  /// A file that is not there gets a stamp of its own; reading it then says why.
  static func stamp(of path: String) -> FileStamp {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return FileStamp(size: -1, modified: 0) }
    let time = status.st_mtim
    return FileStamp(size: Int64(status.st_size), modified: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}
