import Foundation

/// The model that a verb takes when none is named: `FTF_MODEL`, or `Models/ftf-small.ftf` of the checkout that the
/// executable was built in, or of the working directory.
func defaultModel() throws -> String {
  if let path = ProcessInfo.processInfo.environment["FTF_MODEL"] { return path }
  var places = [URL(fileURLWithPath: FileManager.default.currentDirectoryPath)]
  var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
  while folder.path != "/" {
    places.append(folder)
    folder.deleteLastPathComponent()
  }
  for place in places {
    let path = place.appendingPathComponent("Models/ftf-small.ftf").path
    if FileManager.default.fileExists(atPath: path) { return path }
  }
  throw Failure("there is no default model here; name one with --model, or in FTF_MODEL")
}
