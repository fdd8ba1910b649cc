import Foundation

/// Where model files lie that nobody names.
public enum ModelPlaces {
  /// The model that is taken when none is named: `FTF_MODEL`, or `ftf-small.ftf` of the checkout or installation that the program is part of, or
  /// of the working directory.
  ///
  /// - Parameter folders: to be looked at before those.
  /// - Throws: `unusableModel` where there is none.
  public static func defaultModel(in folders: [String] = []) throws(FastThenFineError) -> String {
    if let named { return named }
    for folder in folders + places().flatMap(modelFolders) {
      let path = "\(folder)/ftf-small.ftf"
      if FileManager.default.fileExists(atPath: path) { return path }
    }
    throw FastThenFineError(.unusableModel, "there is no default model here; set FTF_MODEL to the path of one, or name one")
  }

  /// The model that built an index: where it was then, or where it was moved to, beside the index, the program or the default model, known by what
  /// it computes.
  ///
  /// - Parameters:
  ///   - index: any.
  ///   - folders: to be looked at too.
  /// - Throws: `unusableModel` where it is gone, `otherModel` for vectors of which nobody said what made them.
  public static func model(of index: ImageIndex, in folders: [String] = []) throws(FastThenFineError) -> String {
    guard !index.modelPath.isEmpty else {
      throw FastThenFineError(
        .otherModel, at: index.path,
        "holds vectors that were made elsewhere, by what nobody said: search them by vectors; for sentences, import them with "
          + "the model that made them")
    }
    if FileManager.default.fileExists(atPath: index.modelPath) { return index.modelPath }
    let beside = [index.path, URL(fileURLWithPath: index.path).deletingLastPathComponent().path]
    let looked = folders + (beside.map { URL(fileURLWithPath: $0) } + places()).flatMap { [$0.path] + modelFolders($0) }
    let files = looked.flatMap { folder in
      ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".ftf") }.sorted().map { "\(folder)/\($0)" }
    }
    if let found = ((named.map { [$0] } ?? []) + files).first(where: index.isBuilt) { return found }
    throw FastThenFineError(.unusableModel, at: index.modelPath, "the model that built \(index.path) is gone; name where it is now")
  }

  private static var named: String? { ProcessInfo.processInfo.environment["FTF_MODEL"].flatMap { $0.isEmpty ? nil : $0 } }

  /// In the repository, and where it is installed.
  private static func modelFolders(_ place: URL) -> [String] {
    ["Models", "share/fastthenfine"].map { place.appendingPathComponent($0).path }
  }

  /// The working directory, and the folders that the executable lies in.
  private static func places() -> [URL] {
    var places = [URL(fileURLWithPath: FileManager.default.currentDirectoryPath)]
    var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/" {
      places.append(folder)
      folder.deleteLastPathComponent()
    }
    return places
  }
}
