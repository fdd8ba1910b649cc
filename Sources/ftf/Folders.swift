import Foundation
import Imaging

/// The images that paths stand for: a file is itself, a folder everything below it with an image's ending, sorted.
func imagePaths(_ paths: [String]) throws -> [String] {
  var result: [String] = []
  for path in paths {
    var isFolder: ObjCBool = false
    let url = URL(fileURLWithPath: path)
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw Failure("\(path): there is no such file or folder")
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
    guard !found.isEmpty else { throw Failure("\(path): holds no .jpg, .jpeg or .png file") }
    result += found.sorted()
  }
  return result
}
