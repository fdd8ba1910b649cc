import FastThenFine
import Foundation

/// The model that a verb takes when none is named: `FTF_MODEL`, or `Models/ftf-small.ftf` of the checkout that the
/// executable was built in, or of the working directory.
func defaultModel() throws -> String {
  if let path = ProcessInfo.processInfo.environment["FTF_MODEL"] { return path }
  for place in places() {
    for folder in modelFolders {
      let path = place.appendingPathComponent("\(folder)/ftf-small.ftf").path
      if FileManager.default.fileExists(atPath: path) { return path }
    }
  }
  throw Failure("there is no default model here; name one with --model, or in FTF_MODEL")
}

/// In the repository, and where it is installed.
private let modelFolders = ["Models", "share/fastthenfine"]

/// The working directory, and the folders that the executable lies in.
private func places() -> [URL] {
  var places = [URL(fileURLWithPath: FileManager.default.currentDirectoryPath)]
  var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
  while folder.path != "/" {
    places.append(folder)
    folder.deleteLastPathComponent()
  }
  return places
}

/// The model that built an index: the one that is given, or where it was then, or where it was moved to: beside the index, the
/// executable or the default model, known by what it computes.
func modelPath(of index: ImageIndex, given: String?) throws -> String {
  if let given { return given }
  if index.modelPath.isEmpty {
    throw Failure(
      "\(index.path): holds vectors that were made elsewhere, by what nobody said: search them by vectors (--vectors); for sentences, import them "
        + "with --model and the model that made them")
  }
  if FileManager.default.fileExists(atPath: index.modelPath) { return index.modelPath }
  let named = (ProcessInfo.processInfo.environment["FTF_MODEL"]).map { [$0] } ?? []
  let beside = [URL(fileURLWithPath: index.path), URL(fileURLWithPath: index.path).deletingLastPathComponent()] + places()
  let folders = beside.flatMap { place in [place.path] + modelFolders.map { place.appendingPathComponent($0).path } }
  let files = folders.flatMap { folder in
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".ftf") }.sorted().map { "\(folder)/\($0)" }
  }
  if let found = (named + files).first(where: index.isBuilt) { return found }
  throw Failure("\(index.modelPath): the model that built \(index.path) is gone; name it with --model")
}
