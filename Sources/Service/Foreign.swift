#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird

/// What existing clients speak: embeddings as OpenAI has them, rerank as Cohere and Jina have it, and clip-retrieval's service.
extension SearchService {
  func addForeign(to router: Router<ServiceContext>) {
    router.post("/v1/embeddings") { request, _ in try await self.embeddings(request) }
    for path in ["/v1/rerank", "/v2/rerank"] as [RouterPath] {
      router.post(path) { request, context in try await self.rerank(request, context) }
    }
    router.post("/knn-service") { request, context in try await self.neighbours(request, context) }
    router.get("/indices-list") { request, _ -> Response in
      _ = try Parameters(request).only([])
      return JSON.response(self.archives.map(\.name))
    }
    router.get("/v1/models") { request, _ -> Response in
      _ = try Parameters(request).only([])
      return JSON.response(["object": "list", "data": self.models.map(Self.model)])
    }
    router.get("/v1/models/:model") { request, context -> Response in
      let name = context.parameters.get("model").map { $0.removingPercentEncoding ?? $0 } ?? ""
      guard self.models.contains(name) else { throw Problem(.notFound, "not_found", "there is no model of that name; /v1/models lists them") }
      return JSON.response(Self.model(name))
    }
  }

  private var models: [String] { Set(archives.map(\.now.index.modelName)).sorted() }

  private static func model(_ name: String) -> [String: Any] { ["id": name, "object": "model", "created": 0, "owned_by": "local"] }

  /// What a request may have one of.
  static let mostInputs = 2048
  private static let mostImages = 64

  private enum Input: Sendable {
    case sentence(String)
    /// Base64 or a data URL.
    case image(String)
  }

  /// - Throws: what is neither; an empty text fails by itself.
  private func input(_ value: Any) throws -> Input {
    if let text = value as? String { return .sentence(text) }
    if let object = value as? [String: Any], let image = object["image"] as? String { return .image(image) }
    throw Problem(.unprocessableContent, "bad_input", "an input is a text, or an object with an image")
  }

  /// `input`: one or many texts, or objects with an image as data URL; `encoding_format`: float or base64; `dimensions`: as many as the model has.
  /// Of many, one that cannot be used has an empty `embedding` and an `error` of its own.
  private func embeddings(_ request: Request) async throws -> Response {
    let fields = try await object(request).only(["input", "model", "encoding_format", "dimensions", "user", "index"])
    guard let given = fields.values["input"] else { throw Problem(.unprocessableContent, "bad_input", "input is missing") }
    let inputs = try (given as? [Any] ?? [given]).map(input)
    let images = inputs.count { if case .image = $0 { true } else { false } }
    guard (1...Self.mostInputs).contains(inputs.count), images <= Self.mostImages else {
      throw Problem(.unprocessableContent, "bad_input", "input has 1 to \(Self.mostInputs) items, at most \(Self.mostImages) of them images")
    }
    let format = try fields.string("encoding_format") ?? "float"
    guard ["float", "base64"].contains(format) else { throw Problem(.unprocessableContent, "bad_input", "encoding_format is float or base64") }
    let (archive, cancellation) = (try archive(fields.string("index")), cancellation())
    let engine = archive.engine
    if let asked = try fields.integer("dimensions", in: 1...1_000_000), asked != engine.dimension {
      throw Problem(.unprocessableContent, "bad_input", "this model has \(engine.dimension) dimensions and no fewer")
    }
    let made = try await vectors(of: inputs, engine, cancellation)
    if made.allSatisfy({ (try? $0.get()) == nil }) { _ = try made[0].get() }
    let tokens = inputs.reduce(0) { sum, input in
      if case .sentence(let text) = input { return sum + engine.tokens(text).count }
      return sum
    }
    let data = made.enumerated().map { i, vector -> [String: Any] in
      switch vector {
      case .success(let vector): ["object": "embedding", "index": i, "embedding": Self.encoded(vector, isBase64: format == "base64")]
      case .failure(let problem):
        ["object": "embedding", "index": i, "embedding": [Double](), "error": ["code": problem.code, "detail": problem.detail]]
      }
    }
    return JSON.response([
      "object": "list", "data": data, "model": archive.now.index.modelName, "usage": ["prompt_tokens": tokens, "total_tokens": tokens],
    ])
  }

  private static let together = 64

  /// Texts some at a time, so that searches come between; pictures decoded beside them.
  private func vectors(of inputs: [Input], _ engine: Engine, _ cancellation: Cancellation) async throws -> [Result<[Float], Problem>] {
    var made: [Result<[Float], Problem>] = []
    func check() throws { if cancellation.isDue { throw Problem(.serviceUnavailable, "deadline", "it took longer than it may", retryAfter: 1) } }
    var left = inputs[...]
    while let first = left.first {
      try check()
      if case .image(let text) = first {
        left.removeFirst()
        do {
          let picture = try await decode { try engine.picture(Data(SearchRequest.image(text))) }
          made.append(.success(try await compute { _ in engine.embed(picture) }))
        } catch { made.append(.failure(Problem.wrapping(error))) }
        continue
      }
      let texts = left.prefix(Self.together).prefix { if case .sentence = $0 { true } else { false } }.map { input in
        if case .sentence(let text) = input { text } else { "" }
      }
      left = left.dropFirst(texts.count)
      let usable = texts.map { text in Result { try SearchRequest.sentence(text) }.mapError(Problem.wrapping) }
      let sentences = usable.compactMap { try? $0.get() }
      var vectors = try await compute { _ in sentences.map { engine.encode(text: $0, with: engine.kernels.singleThreaded).sentence } }[...]
      for text in usable { made.append(text.map { _ in vectors.removeFirst() }) }
    }
    return made
  }

  private static func encoded(_ vector: [Float], isBase64: Bool) -> Any {
    isBase64 ? unsafe vector.withUnsafeBytes { unsafe Data($0).base64EncodedString() } : vector.map(Double.init)
  }

  /// `query`: a text; `documents`: ids of indexed images, as numbers, texts or objects with an id.
  private func rerank(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let fields = try await object(request).only([
      "query", "documents", "top_n", "model", "index", "return_documents", "max_chunks_per_doc", "max_tokens_per_doc", "rank_fields", "priority",
    ])
    guard let query = try fields.string("query"), let documents = fields.values["documents"] as? [Any], !documents.isEmpty,
      documents.count <= 10_000
    else { throw Problem(.unprocessableContent, "bad_input", "query is a text, documents are 1 to 10000 ids of images") }
    let ids = try documents.map { document -> Int64 in
      let value = (document as? [String: Any])?["id"] ?? document
      let number = (value as? NSNumber).flatMap { $0.isBool ? nil : Int64(exactly: $0.doubleValue) }
      guard let id = number ?? (value as? String).flatMap({ Int64($0) }) else {
        throw Problem(.unprocessableContent, "bad_input", "a document is the id of an image")
      }
      return id
    }
    context.notes.words = query
    let top = try fields.integer("top_n", in: 1...10_000) ?? ids.count
    let returnsDocuments = try fields.bool("return_documents") ?? (request.uri.path != "/v2/rerank")
    let now = try archive(fields.string("index")).now
    let found: [Answer.Result]
    do {
      found = try await now.searcher.rank(SearchRequest.sentence(query), among: Set(ids), cancellation: cancellation())
    } catch { throw Problem.wrapping(error) }
    let scores = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0.score) })
    // An id that the index does not have fails by itself: it is not among the results.
    let ranked = ids.enumerated().compactMap { i, id in scores[id].map { (index: i, id: id, score: $0) } }
      .sorted { ($1.score, $0.index) < ($0.score, $1.index) }
    let results = ranked.prefix(top).map { one in
      var result: [String: Any] = ["index": one.index, "relevance_score": Double(one.score)]
      if returnsDocuments { result["document"] = ["id": one.id] }
      return result
    }
    return JSON.response([
      "id": UUID().uuidString, "model": now.index.modelName, "results": results,
      "meta": ["api_version": ["version": request.uri.path == "/v2/rerank" ? "2" : "1"], "billed_units": ["search_units": 0]] as [String: Any],
    ])
  }

  private static let neighbourFields: Set<String> = [
    "text", "image", "image_url", "embedding_input", "num_images", "num_result_ids", "indice_name", "modality", "deduplicate", "use_safety_model",
    "use_violence_detector", "use_mclip", "aesthetic_score", "aesthetic_weight",
  ]

  /// clip-retrieval's: `text`, `image` (base64) or `embedding_input` (a vector), `num_images`; an array of what is known of each.
  private func neighbours(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let fields = try await object(request).only(Self.neighbourFields)
    var values: [String: Any] = [:]
    // The client names all, and all but one are null.
    values["text"] = try fields.string("text")
    values["image"] = try fields.string("image")
    let vector = fields.values["embedding_input"]
    guard fields.values["image_url"] == nil else {
      throw Problem(.unprocessableContent, "bad_input", "addresses are not fetched; send the picture as image")
    }
    guard values.count + (vector == nil ? 0 : 1) == 1 else {
      throw Problem(.unprocessableContent, "bad_input", "give one of text, image and embedding_input")
    }
    let top = min(SearchRequest.mostResults, try fields.integer("num_images", in: 1...1_000_000) ?? 40)
    // The client always names an index, and has names of its own where there is one.
    let name = try fields.string("indice_name")
    let archive = archives.count == 1 ? archives[0] : try archive(name)
    let answer: Answer
    if let vector {
      answer = try await self.answer(vector, top, archive)
    } else {
      values["top"] = top
      let asked = try SearchRequest(Fields(values))
      context.notes.words = asked.words
      let picture = try await picture(of: asked.query, in: archive)
      answer = try await self.answer(asked.query, showing: picture, with: archive.now.searcher)
    }
    let list = answer.results.map { result -> [String: Any] in
      ["id": result.id, "similarity": Double(result.score), "url": address(of: result.id, "/original", in: archive), "caption": result.name]
    }
    return JSON.response(list)
  }

  private func answer(_ vector: Any, _ top: Int, _ archive: Archive) async throws -> Answer {
    let (searcher, dimension, cancellation) = (archive.now.searcher, archive.engine.dimension, cancellation())
    guard let numbers = vector as? [NSNumber], numbers.count == dimension, numbers.allSatisfy({ $0.doubleValue.isFinite && !$0.isBool }) else {
      throw Problem(.unprocessableContent, "bad_input", "embedding_input has \(dimension) numbers")
    }
    let values = numbers.map(\.floatValue)
    do { return try await searcher.answer(Query(.vector(values), top: top), cancellation: cancellation) } catch { throw Problem(error) }
  }
}
#endif
