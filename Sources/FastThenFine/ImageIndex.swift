import FTFIndex
import FTFWeights

/// What a search goes through.
public enum SearchTarget: String, Sendable, CaseIterable {
  case images, captions

  package var kind: ItemKind { self == .images ? .image : .caption }
}

/// An index on disk: a folder with the vectors of images and sentences and with what is known of them.
///
/// It is read by any number of processes while one of them writes it, by an ``IndexWriter``.
public final class ImageIndex: Sendable {
  package let catalog: Catalog

  /// Opens an index; one that an earlier version made is brought forward first.
  ///
  /// - Throws: `notAnIndex`, `damagedIndex`, `unusableIndex`, `unusableFile` or, where it has to be brought forward, `locked`.
  public init(path: String) throws(FastThenFineError) {
    catalog = try FastThenFineError.wrapping { try Catalog(path: path) }
  }

  package init(_ catalog: Catalog) { self.catalog = catalog }

  /// Nil where there is no index at the path, or one whose making was interrupted.
  package static func existing(path: String) throws(FastThenFineError) -> ImageIndex? {
    do {
      return try ImageIndex(path: path)
    } catch {
      guard error.code == .notAnIndex else { throw error }
      return nil
    }
  }

  /// Whether a model file is the one that built the index.
  package func isBuilt(by model: String) -> Bool {
    guard let model = try? Model(path: model) else { return false }
    return model.fingerprint == catalog.model.fingerprint
  }

  public var path: String { catalog.path }
  /// Where the model file was when the index was made.
  public var modelPath: String { catalog.model.path }
  public var modelName: String { catalog.model.name }
  /// Length of every vector.
  public var dimension: Int { catalog.model.dimension }
  /// Whether there are patches to rerank by; vectors that were made elsewhere have none, and recall alone answers.
  public var hasPatches: Bool { catalog.model.hasPatches }
  /// What it keeps of each picture's patches.
  public var patches: StoredPatches { StoredPatches(catalog.model.patches) }
  /// Of each picture, whose vectors are averaged.
  public var views: Views { (try? catalog.views) ?? .one }

  /// Items that are in the index now.
  public func count(_ target: SearchTarget = .images) throws(FastThenFineError) -> Int {
    try FastThenFineError.wrapping { try catalog.count(target.kind) }
  }

  /// Pictures, and windows of scenes: what results are, where `count` has the windows of long pictures too.
  package func pictures() throws(FastThenFineError) -> Int { try FastThenFineError.wrapping { try catalog.pictures() } }

  /// What is wrong with the index, a line each; every byte is read.
  ///
  /// - Parameter progress: is told how many items more have been looked at.
  public func problems(progress: @Sendable (Int) -> Void = { _ in }) throws(FastThenFineError) -> [String] {
    try FastThenFineError.wrapping { try catalog.problems(progress: progress) }
  }

  /// Files that it knows, the bad ones too.
  package func files() throws(FastThenFineError) -> Int { try FastThenFineError.wrapping { try catalog.sources().count } }
}
