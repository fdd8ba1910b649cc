#if Serve
import FastThenFine
import Foundation
import HTTPTypes
import Hummingbird

/// What existing clients speak: embeddings as OpenAI has them, rerank as Cohere and Jina have it, and clip-retrieval's service.
extension SearchService {
  func addForeign(to router: Router<ServiceContext>) {
    router.post("/v1/embeddings") { request, _ in try await self.embeddings(request) }
    router.post("/v1/rerank") { request, _ in try await self.rerank(request) }
    router.post("/knn-service") { request, _ in try await self.neighbours(request) }
    router.get("/v1/models") { _, _ -> Response in
      let names = Set(self.archives.map(\.now.index.modelName)).sorted()
      return JSON.response([
        "object": "list", "data": names.map { ["id": $0, "object": "model", "created": 0, "owned_by": "local"] as [String: Any] },
      ])
    }
  }

  static let mostInputs = 256

  private enum Input: Sendable {
    case sentence(String)
    /// Base64 or a data URL.
    case image(String)
  }

  private func input(_ value: Any) throws -> Input {
    if let text = value as? String { return .sentence(try SearchRequest.sentence(text)) }
    if let object = value as? [String: Any], let image = object["image"] as? String, !image.isEmpty { return .image(image) }
    throw Problem(.unprocessableContent, "bad_input", "an input is a text, or an object with an image")
  }

  /// `input`: one or many texts, or objects with an image as data URL; `encoding_format`: float or base64. Of many, one that cannot be used
  /// has an empty `embedding` and an `error` of its own.
  private func embeddings(_ request: Request) async throws -> Response {
    let fields = try await object(request)
    guard let given = fields.values["input"] else { throw Problem(.unprocessableContent, "bad_input", "input is missing") }
    let inputs = try (given as? [Any] ?? [given]).map(input)
    guard (1...Self.mostInputs).contains(inputs.count) else {
      throw Problem(.unprocessableContent, "bad_input", "input has 1 to \(Self.mostInputs) items")
    }
    let format = try fields.string("encoding_format") ?? "float"
    guard ["float", "base64"].contains(format) else { throw Problem(.unprocessableContent, "bad_input", "encoding_format is float or base64") }
    let (archive, cancellation) = (try archive(fields.string("index")), cancellation())
    let engine = archive.engine
    let made: [Result<[Float], Problem>]
    do {
      made = try await compute { _ in
        try inputs.map { input in
          if cancellation.isDue { throw Problem(.serviceUnavailable, "deadline", "it took longer than it may", retryAfter: 1) }
          return Result { try Self.vector(of: input, engine) }.mapError(Problem.wrapping)
        }
      }
    } catch { throw Problem.wrapping(error) }
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

  private static func vector(of input: Input, _ engine: Engine) throws -> [Float] {
    switch input {
    case .sentence(let text): engine.encode(text: text, with: engine.kernels.singleThreaded).sentence
    case .image(let text): try engine.embed(imageData: SearchRequest.image(text))
    }
  }

  private static func encoded(_ vector: [Float], isBase64: Bool) -> Any {
    isBase64 ? unsafe vector.withUnsafeBytes { unsafe Data($0).base64EncodedString() } : vector.map(Double.init)
  }

  /// `query`: a text; `documents`: ids of indexed images, as numbers, texts or objects with an id.
  private func rerank(_ request: Request) async throws -> Response {
    let fields = try await object(request)
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
    let top = try fields.integer("top_n", in: 1...10_000) ?? ids.count
    let now = try archive(fields.string("index")).now
    let found: [Answer.Result]
    do {
      found = try await now.searcher.rank(SearchRequest.sentence(query), among: Set(ids), cancellation: cancellation())
    } catch { throw Problem.wrapping(error) }
    let scores = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0.score) })
    // An id that the index does not have fails by itself: it is not among the results.
    let ranked = ids.enumerated().compactMap { i, id in scores[id].map { (index: i, id: id, score: $0) } }
      .sorted { ($1.score, $0.index) < ($0.score, $1.index) }
    return JSON.response([
      "id": UUID().uuidString, "model": now.index.modelName,
      "results": ranked.prefix(top).map { ["index": $0.index, "relevance_score": Double($0.score), "document": ["id": $0.id]] as [String: Any] },
    ])
  }

  /// clip-retrieval's: `text` or `image` (base64), `num_images`; an array of what is known of each.
  private func neighbours(_ request: Request) async throws -> Response {
    let fields = try await object(request)
    var values: [String: Any] = [:]
    // The client names both, and one of them is null.
    values["text"] = try fields.string("text")
    values["image"] = try fields.string("image")
    guard values.count == 1 else { throw Problem(.unprocessableContent, "bad_input", "give one of text and image") }
    values["top"] = min(SearchRequest.mostResults, try fields.integer("num_images", in: 1...1_000_000) ?? 40)
    // The client always names an index, whatever there is.
    let name = try fields.string("indice_name")
    let archive = archives.count == 1 ? archives[0] : try archive(name)
    let answer = try await answer(SearchRequest(Fields(values)).query, with: archive.now.searcher)
    let list = answer.results.map { result -> [String: Any] in
      ["id": result.id, "similarity": Double(result.score), "url": address(of: result.id, "/original", in: archive), "caption": result.name]
    }
    return JSON.response(list)
  }
}
#endif
