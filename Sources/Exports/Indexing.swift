import CFastThenFine
import FastThenFine
import Foundation
import Synchronization

/// What a caller of C is told, one thing at a time, and whether it gave up.
@safe private final class Listener: @unchecked Sendable {
  private let lock = Mutex(())
  private let function: ftf_progress?
  private let context: UnsafeMutableRawPointer?
  let cancellation = Cancellation()

  init(_ function: ftf_progress?, _ context: UnsafeMutableRawPointer?) { unsafe (self.function, self.context) = unsafe (function, context) }

  func hear(_ event: IndexWriter.Event) {
    guard let function = unsafe function else { return }
    func tell(_ kind: ftf_event, _ count: Int, _ line: String?) {
      lock.withLock { _ in
        let result =
          unsafe line.map { line in unsafe line.withCString { unsafe function(context, kind, 0, $0) } } ?? function(context, kind, count, nil)
        if result != 0 { cancellation.cancel() }
      }
    }
    switch event {
    case .begins(let count): tell(FTF_BEGINS, count, nil)
    case .encoded(let count): tell(FTF_ENCODED, count, nil)
    case .skipped(let error): tell(FTF_SKIPPED, 0, "\(error)")
    case .warned(let line): tell(FTF_WARNED, 0, line)
    }
  }
}

/// The engine of a model that is given, or of the one that built an index, or the default one.
private func engine(_ model: OpaquePointer?, _ folder: String) throws -> Engine {
  if unsafe model != nil { return try unsafe ModelHandle.at(model).get() }
  if let index = try ImageIndex.existing(path: folder) { return try Engine(path: ModelPlaces.model(of: index, in: modelFolders)) }
  return try Engine(path: ModelPlaces.defaultModel(in: modelFolders))
}

@c @implementation public func ftf_index_add(
  _ folder: UnsafePointer<CChar>?, _ model: OpaquePointer?, _ paths: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int,
  _ options: UnsafePointer<ftf_index_options>?, _ progress: ftf_progress?, _ context: UnsafeMutableRawPointer?,
  _ out: UnsafeMutablePointer<ftf_index_summary>?
) -> ftf_status {
  status {
    let folder = try unsafe path(folder)
    let paths = try unsafe elements(paths, count, "the paths").map { try unsafe path($0) }
    let asked = unsafe options?.pointee ?? ftf_index_defaults()
    guard asked.size == MemoryLayout<ftf_index_options>.size else {
      throw FastThenFineError(.badInput, "index options of \(asked.size) bytes are no version's; begin with ftf_index_defaults()")
    }
    guard asked.views == 0 || Views(rawValue: Int(asked.views)) != nil else {
      throw FastThenFineError(.badInput, "views are 1, 2, 4 or 8, not \(asked.views)")
    }
    guard let rereading = [0: IndexWriter.Rereading.changed, 1: .failed, 2: .all][asked.rereading] else {
      throw FastThenFineError(.badInput, "rereading is 0, 1 or 2, not \(asked.rereading)")
    }
    guard let patches = [0: StoredPatches?.none, 1: .nothing, 2: .pooled, 3: .int8][asked.patches] else {
      throw FastThenFineError(.badInput, "what is kept of patches is 0 to 3, not \(asked.patches)")
    }
    var shard: IndexWriter.Shard?
    if asked.shards > 0 {
      shard = IndexWriter.Shard(asked.shard, of: asked.shards)
      guard shard != nil else { throw FastThenFineError(.badInput, "there is no share \(asked.shard) of \(asked.shards)") }
    }
    let cutting = SceneCutting(ground: asked.ground < 0 ? nil : asked.ground, overlap: asked.overlap < 0 ? nil : asked.overlap)
    let listener = unsafe Listener(progress, context)
    let done = try IndexUpkeep.add(
      paths, to: folder, views: Views(rawValue: Int(asked.views)), patches: patches, rereading: rereading, cutting: cutting, shard: shard,
      cancellation: listener.cancellation, progress: listener.hear
    ) { try unsafe engine(model, folder) }
    unsafe out?.pointee = ftf_index_summary(
      indexed: done.indexed, unchanged: done.unchanged, failed: done.failed, known_bad: done.knownBad, set_aside: done.setAside,
      windows: done.windows, empty_windows: done.emptyWindows, moved: done.moved, removed: done.removed, unseen: done.unseen,
      is_cancelled: done.isCancelled ? 1 : 0)
  }
}

@c @implementation public func ftf_index_merge(
  _ folder: UnsafePointer<CChar>?, _ parts: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ merged: UnsafeMutablePointer<Int>?
) -> ftf_status {
  status {
    let folder = try unsafe path(folder)
    let parts = try unsafe elements(parts, count, "the parts").map { try unsafe path($0, "a part") }
    let done = try IndexUpkeep.merge(parts, into: folder)
    unsafe merged?.pointee = done.files
  }
}

@c @implementation public func ftf_index_set_attributes(
  _ folder: UnsafePointer<CChar>?, _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ objects: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int,
  _ unused: UnsafeMutablePointer<Int>?
) -> ftf_status {
  status {
    let folder = try unsafe path(folder)
    let names = try unsafe elements(names, count, "the names").map { try unsafe path($0, "a name") }
    let objects = try unsafe elements(objects, count, "the objects").map { try unsafe text($0, "an object") }
    let left = try IndexUpkeep.set(attributes: zip(names, objects).map { (name: $0, json: $1) }, in: folder)
    unsafe unused?.pointee = left.count
  }
}
