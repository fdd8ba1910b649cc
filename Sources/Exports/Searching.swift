import CFastThenFine
import FastThenFine
import FTFFiles
import Foundation
import FTFImaging

typealias IndexHandle = Handle<LiveIndex>
typealias VectorsHandle = Handle<VectorSearcher>

@c @implementation public func ftf_index_open(
  _ folder: UnsafePointer<CChar>?, _ model: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let (out, folder) = try unsafe (place(out), path(folder))
    let engine =
      try unsafe model == nil
      ? Engine(path: ModelPlaces.model(of: ImageIndex(path: folder), in: modelFolders)) : ModelHandle.at(model).get()
    let index = try LiveIndex(path: folder, engine: engine)
    unsafe out.pointee = IndexHandle(index, texts: [folder, engine.modelName, engine.path]).pointer
  }
}

@c @implementation public func ftf_index_close(_ index: OpaquePointer?) { unsafe IndexHandle.release(index) }

@c @implementation public func ftf_index_refresh(_ index: OpaquePointer?, _ changed: UnsafeMutablePointer<Int32>?) -> ftf_status {
  status {
    let isOther = try unsafe IndexHandle.at(index).get().refresh()
    unsafe changed?.pointee = isOther ? 1 : 0
  }
}

@c @implementation public func ftf_index_describe(_ index: OpaquePointer?) -> ftf_index_facts {
  guard let handle = try? unsafe IndexHandle.at(index) else { return unsafe ftf_index_facts() }
  let (live, texts, now) = (handle.described, handle.texts, handle.described.now)
  return unsafe ftf_index_facts(
    path: texts[0], model_name: texts[1], model_path: texts[2], images: now.images, dimension: live.engine.dimension, grid: live.engine.patchGrid,
    has_patches: now.index.hasPatches ? 1 : 0, is_stale: live.isStale ? 1 : 0)
}

// MARK: Queries

/// What a search was asked for beside its parts.
@safe private struct Options {
  private let given: ftf_search_options

  /// - Parameter options: of this version's size, or of an earlier one's; nil for the defaults.
  init(_ options: UnsafePointer<ftf_search_options>?) throws(FastThenFineError) {
    guard let options = unsafe options else {
      unsafe given = ftf_search_defaults()
      return
    }
    guard unsafe options.pointee.size == MemoryLayout<ftf_search_options>.size else {
      throw FastThenFineError(.badInput, "search options of \(unsafe options.pointee.size) bytes are no version's; begin with ftf_search_defaults()")
    }
    unsafe given = options.pointee
  }

  func searcher(_ index: LiveIndex) throws -> Searcher {
    try unsafe index.now.searcher(filter: given.filter.map { try unsafe text($0, "the filter") }, area: area(given.box, given.near))
  }

  func query(_ content: Query.Content) throws(FastThenFineError) -> Query {
    guard let top = unsafe Int(exactly: given.top), let offset = unsafe Int(exactly: given.offset) else {
      throw FastThenFineError(.badInput, "more results are asked for than there can be")
    }
    var query = Query(content, top: top, interaction: try interaction())
    query.offset = offset
    (query.recallOnly, query.allWindows) = unsafe (given.recall_only != 0, given.all_windows != 0)
    query.minimumProbability = unsafe given.minimum_probability
    return query
  }

  func interaction() throws(FastThenFineError) -> Interaction {
    func share(_ value: Float) -> Float? { value < 0 ? nil : value }
    var interaction = unsafe Interaction(
      candidates: given.candidates < 0 ? nil : given.candidates, tau: share(given.tau), beta: share(given.beta), lambda: share(given.lambda),
      hubness: share(given.hubness))
    if let mode = unsafe given.mode {
      let name = try unsafe text(mode, "the mode")
      guard let mode = InteractionMode(rawValue: name) else {
        throw FastThenFineError(.badInput, "\(name) is no mode of the rerank: \(InteractionMode.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      interaction.mode = mode
    }
    return interaction
  }

  var cancellation: Cancellation { unsafe given.seconds > 0 ? Cancellation(after: .seconds(given.seconds)) : Cancellation() }
}

private func area(_ box: UnsafePointer<Double>?, _ near: UnsafePointer<Double>?) throws(FastThenFineError) -> SearchArea? {
  guard unsafe box == nil || near == nil else { throw FastThenFineError(.badInput, "a search is near a place or in a box, not both") }
  if let box = unsafe box { return unsafe .box(west: box[0], south: box[1], east: box[2], north: box[3]) }
  return unsafe near.map { unsafe .near(lon: $0[0], lat: $0[1], kilometres: $0[2]) }
}

extension Query.Content {
  /// - Returns: also the picture that it shows, where it comes as pixels.
  fileprivate static func of(_ part: ftf_part, _ engine: Engine) throws(FastThenFineError) -> (content: Self, picture: RGBImage?) {
    if unsafe part.text != nil { return (.sentence(try unsafe text(part.text, "the text")), nil) }
    if let picture = unsafe part.picture {
      switch try unsafe Engine.Picture(picture.pointee) {
      case .file(let path): return (.image(path), nil)
      case .encoded(let bytes): return (.imageData(bytes), nil)
      case let pixels: return (.imageData([]), try engine.decoded(pixels))
      }
    }
    if let vector = unsafe part.vector { return unsafe (.vector(Array(UnsafeBufferPointer(start: vector, count: engine.dimension))), nil) }
    guard unsafe part.item != 0 else { throw FastThenFineError(.badInput, "a part has neither text, picture, vector nor item") }
    return (.item(unsafe part.item), nil)
  }
}

@c @implementation public func ftf_search(
  _ index: OpaquePointer?, _ parts: UnsafePointer<ftf_part>?, _ count: Int, _ options: UnsafePointer<ftf_search_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let (out, live, options) = try unsafe (place(out), IndexHandle.at(index).get(), Options(options))
    let parts = try unsafe elements(parts, count, "the parts")
    guard count > 0 else { throw FastThenFineError(.badInput, "a search has at least one part") }
    let searcher = try options.searcher(live)
    let asked = try unsafe parts.map { try unsafe Query.Content.of($0, live.engine) }
    guard count > 1 else {
      let answer = try searcher.answer(now: options.query(asked[0].content), showing: asked[0].picture, cancellation: options.cancellation)
      unsafe out.pointee = AnswerHandle(AnswerMemory(answer, answer.results)).pointer
      return
    }
    let examples = unsafe zip(parts, asked).map { part, asked in
      unsafe Query.Example(asked.picture.map { .vector(live.engine.embed($0)) } ?? asked.content, weight: part.weight)
    }
    let answer = try searcher.answer(options.query(.examples(examples)), cancellation: options.cancellation)
    unsafe out.pointee = AnswerHandle(AnswerMemory(answer, answer.results)).pointer
  }
}

@c @implementation public func ftf_search_text(
  _ index: OpaquePointer?, _ sentence: UnsafePointer<CChar>?, _ top: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  var options = unsafe ftf_search_defaults()
  unsafe options.top = top
  var part = unsafe ftf_part()
  unsafe part.text = unsafe sentence
  return unsafe ftf_search(index, &part, 1, &options, out)
}

@c @implementation public func ftf_rerank(
  _ index: OpaquePointer?, _ sentence: UnsafePointer<CChar>?, _ ids: UnsafePointer<Int64>?, _ count: Int,
  _ options: UnsafePointer<ftf_search_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let (out, live, options) = try unsafe (place(out), IndexHandle.at(index).get(), Options(options))
    let ids = try unsafe Set(elements(ids, count, "the ids"))
    let answer = try options.searcher(live).rerank(unsafe text(sentence, "the text"), among: ids, interaction: options.interaction())
    unsafe out.pointee = AnswerHandle(AnswerMemory(answer, answer.results)).pointer
  }
}

@c @implementation public func ftf_index_items(
  _ index: OpaquePointer?, _ after: Int64, _ limit: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let (out, live) = try unsafe (place(out), IndexHandle.at(index).get())
    guard (1...100_000).contains(limit) else { throw FastThenFineError(.badInput, "a page has 1 to 100000 images, not \(limit)") }
    let items = try live.now.searcher.items(after: after, limit: limit)
    unsafe out.pointee = AnswerHandle(AnswerMemory(nil, items)).pointer
  }
}

// MARK: Pictures

@c @implementation public func ftf_index_picture(
  _ index: OpaquePointer?, _ id: Int64, _ sentence: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<ftf_pixels>?
) -> ftf_status {
  status {
    let (out, live) = try unsafe (place(out), IndexHandle.at(index).get())
    let searcher = live.now.searcher
    let item = try searcher.item(id)
    let picture: RGBImage
    if unsafe sentence == nil {
      picture = try HeatMap.picture(of: item, with: live.engine)
    } else {
      let answer = try searcher.rerank(unsafe text(sentence, "the text"), among: [id])
      guard let weights = answer.results.first?.attention else {
        throw FastThenFineError(.badInput, at: live.path, "has no patches, so nobody knows where in its images a sentence was found")
      }
      picture = try HeatMap.picture(weights, of: item, with: live.engine)
    }
    let count = picture.pixels.count
    guard let memory = unsafe malloc(count) else { throw FastThenFineError(.unusableFile, "there is no memory for a picture") }
    let pixels = unsafe memory.bindMemory(to: UInt8.self, capacity: count)
    for i in 0..<count { unsafe pixels[i] = picture.pixels[i] }
    unsafe out.pointee = ftf_pixels(pixels: pixels, width: picture.width, height: picture.height)
  }
}

@c @implementation public func ftf_pixels_free(_ pixels: UnsafeMutablePointer<ftf_pixels>?) {
  guard let pixels = unsafe pixels else { return }
  unsafe free(pixels.pointee.pixels)
  unsafe pixels.pointee = ftf_pixels()
}

// MARK: Vectors alone

@c @implementation public func ftf_vectors_open(
  _ folder: UnsafePointer<CChar>?, _ filter: UnsafePointer<CChar>?, _ box: UnsafePointer<Double>?, _ near: UnsafePointer<Double>?, _ threads: Int32,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> ftf_status {
  status {
    let out = try unsafe place(out)
    guard (0...4096).contains(threads) else { throw FastThenFineError(.badInput, "threads are 1 to 4096, or 0 for all") }
    let searcher = try unsafe VectorSearcher(
      ImageIndex(path: path(folder)), filter: filter.map { try unsafe text($0, "the filter") }, area: area(box, near),
      pool: ComputePool(threads: threads == 0 ? nil : Int(threads)))
    unsafe out.pointee = VectorsHandle(searcher).pointer
  }
}

@c @implementation public func ftf_vectors_close(_ vectors: OpaquePointer?) { unsafe VectorsHandle.release(vectors) }

@c @implementation public func ftf_vectors_count(_ vectors: OpaquePointer?) -> Int { (try? unsafe VectorsHandle.at(vectors))?.described.count ?? 0 }

@c @implementation public func ftf_vectors_dimension(_ vectors: OpaquePointer?) -> Int {
  (try? unsafe VectorsHandle.at(vectors))?.described.dimension ?? 0
}

@c @implementation public func ftf_vectors_nearest(
  _ vectors: OpaquePointer?, _ queries: UnsafePointer<Float>?, _ count: Int, _ top: Int, _ ids: UnsafeMutablePointer<Int64>?,
  _ scores: UnsafeMutablePointer<Float>?
) -> ftf_status {
  status {
    let searcher = try unsafe VectorsHandle.at(vectors).get()
    let (floats, overflows) = count.multipliedReportingOverflow(by: searcher.dimension)
    guard !overflows else { throw FastThenFineError(.badInput, "\(count) queries are more than there can be") }
    let rows = try unsafe Array(elements(queries, floats, "the queries"))
    guard count > 0 else { return }
    let (ids, scores) = try unsafe (place(ids), place(scores))
    for (i, matches) in try searcher.nearest(rows, top: top).enumerated() {
      for j in 0..<top {
        unsafe (ids[i * top + j], scores[i * top + j]) = j < matches.count ? (matches[j].id, matches[j].score) : (-1, 0)
      }
    }
  }
}
