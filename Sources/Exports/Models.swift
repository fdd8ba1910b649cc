import CFastThenFine
import FastThenFine
import Foundation

typealias ModelHandle = Handle<Engine>

@c @implementation public func ftf_model_open(
  _ file: UnsafePointer<CChar>?, _ level: UnsafePointer<CChar>?, _ threads: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let out = try unsafe place(out)
    guard (0...4096).contains(threads) else { throw FastThenFineError(.badInput, "threads are 1 to 4096, or 0 for all") }
    let file = unsafe file == nil ? try ModelPlaces.defaultModel(in: modelFolders) : try path(file)
    let level = unsafe level == nil ? nil : try text(level, "the level")
    unsafe out.pointee = handle(try Engine(path: file, level: level, pool: ComputePool(threads: threads == 0 ? nil : Int(threads)))).pointer
  }
}

private func handle(_ engine: Engine) -> ModelHandle { ModelHandle(engine, texts: [engine.modelName, engine.path, engine.level]) }

@c @implementation public func ftf_model_close(_ model: OpaquePointer?) { unsafe ModelHandle.release(model) }

@c @implementation public func ftf_model_describe(_ model: OpaquePointer?) -> ftf_model_facts {
  guard let handle = try? unsafe ModelHandle.at(model) else { return unsafe ftf_model_facts() }
  let (engine, texts) = (handle.described, handle.texts)
  return unsafe ftf_model_facts(
    name: texts[0], path: texts[1], level: texts[2], dimension: engine.dimension, grid: engine.patchGrid,
    patches: engine.patchGrid * engine.patchGrid,
    words: engine.mostTokens, threads: engine.pool.threads)
}

extension Engine.Picture {
  init(_ picture: ftf_picture) throws(FastThenFineError) {
    if unsafe picture.path != nil {
      self = .file(try unsafe path(picture.path))
    } else if let bytes = unsafe picture.encoded {
      self = unsafe .encoded(Array(UnsafeRawBufferPointer(start: bytes, count: picture.bytes)))
    } else if let pixels = unsafe picture.pixels {
      let (width, height) = unsafe (picture.width, picture.height)
      let (count, overflows) = width.multipliedReportingOverflow(by: height)
      guard !overflows, (1...1 << 31).contains(count) else { throw FastThenFineError(.badInput, "a picture of \(width) x \(height) has no pixels") }
      self = unsafe .pixels(Array(UnsafeBufferPointer(start: pixels, count: 3 * count)), width: width, height: height)
    } else {
      throw FastThenFineError(.badInput, "a picture has neither a path nor bytes nor pixels")
    }
  }
}

/// Pictures of which no more than these are held at once.
private let picturesAtOnce = 64

@c @implementation public func ftf_encode_pictures(
  _ model: OpaquePointer?, _ pictures: UnsafePointer<ftf_picture>?, _ count: Int, _ views: Int32, _ vectors: UnsafeMutablePointer<Float>?,
  _ patches: UnsafeMutablePointer<Float>?, _ failed: ftf_failed?, _ context: UnsafeMutableRawPointer?
) -> ftf_status {
  status {
    let engine = try unsafe ModelHandle.at(model).get()
    guard let views = Views(rawValue: Int(views)) else { throw FastThenFineError(.badInput, "views are 1, 2, 4 or 8, not \(views)") }
    let pictures = try unsafe elements(pictures, count, "the pictures")
    guard count > 0 else { return }
    let vectors = try unsafe place(vectors)
    let (dimension, side) = (engine.dimension, engine.patchGrid * engine.patchGrid * engine.dimension)
    for start in stride(from: 0, to: count, by: picturesAtOnce) {
      let given = (start..<min(start + picturesAtOnce, count)).map { i in
        Result { () throws(FastThenFineError) in try unsafe Engine.Picture(pictures[i]) }
      }
      var encoded = engine.vectors(of: given.compactMap { try? $0.get() }, views: views).makeIterator()
      for (i, picture) in zip(start..., given) {
        let result = picture.flatMap { _ in encoded.next()! }
        let row = unsafe vectors + i * dimension
        let grid = unsafe patches.map { unsafe $0 + i * side }
        switch result {
        case .success(let found):
          unsafe row.update(from: found.global, count: dimension)
          unsafe grid?.update(from: found.patches, count: side)
        case .failure(let error):
          unsafe row.update(repeating: 0, count: dimension)
          unsafe grid?.update(repeating: 0, count: side)
          guard let failed = unsafe failed else { throw error }
          unsafe error.description.withCString { unsafe failed(context, i, ftf_status(error.code), $0) }
        }
      }
    }
  }
}

@c @implementation public func ftf_encode_texts(
  _ model: OpaquePointer?, _ texts: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ vectors: UnsafeMutablePointer<Float>?,
  _ words: UnsafeMutablePointer<Float>?, _ tokens: UnsafeMutablePointer<Int>?
) -> ftf_status {
  status {
    let engine = try unsafe ModelHandle.at(model).get()
    let sentences = try unsafe elements(texts, count, "the texts").enumerated().map { i, sentence in try unsafe text(sentence, "text \(i)") }
    guard count > 0 else { return }
    let vectors = try unsafe place(vectors)
    let (dimension, most) = (engine.dimension, engine.mostTokens * engine.dimension)
    for (i, encoded) in engine.vectors(of: sentences).enumerated() {
      unsafe (vectors + i * dimension).update(from: encoded.sentence, count: dimension)
      if let row = unsafe words.map({ unsafe $0 + i * most }) {
        unsafe row.update(from: encoded.words, count: encoded.words.count)
        unsafe (row + encoded.words.count).update(repeating: 0, count: most - encoded.words.count)
      }
      unsafe tokens?[i] = encoded.words.count / dimension
    }
  }
}
