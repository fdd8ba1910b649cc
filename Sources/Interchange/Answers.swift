import FastThenFine
import Foundation
import FTFJSON

extension Answer.Result {
  /// A result as JSON has it; members that it lacks are left out.
  package func json(_ over: SearchTarget = .images) -> JSONValue {
    // Of the scene that it is a window of.
    let (bands, extent) = (bands, extent)
    let place = geometry.flatMap { JSONValue($0) }
    let centre = place == nil ? nil : centre
    let known = attributes.flatMap { JSONValue($0) }
    // In the order in which they are written.
    return .object([
      "attributes": known ?? .object([] as [JSONValue.Member]),
      "bands": bands.map(JSONValue.text),
      "caption": over == .images ? nil : .text(name),
      "centre": centre.map { .list([$0.lon, $0.lat]) },
      "datetime": known?["datetime"]?.text.map(JSONValue.text),
      "extent": extent.map { .list([$0.width, $0.height]) },
      "geometry": place,
      "id": .whole(id),
      "index": index.map(JSONValue.text),
      "path": over == .images ? .text(name) : nil,
      "path_bytes": pathBytes.map { .text(Data($0).base64EncodedString()) },
      "probability": probability.map(JSONValue.number),
      "rank": .whole(rank),
      "recall_rank": .whole(recallRank),
      "recall_score": .single(recallScore),
      "score": .single(score),
      "window": window.map { .list([$0.x, $0.y, $0.width, $0.height]) },
    ])
  }
}

extension Answer {
  /// An answer as JSON has it.
  package func json(_ query: String, _ over: SearchTarget = .images) -> JSONValue {
    .object([
      "encode_ms": .number(encodeMilliseconds), "nothing_fits": nothingFits.map(JSONValue.number), "query": .text(query),
      "recall_ms": .number(recallMilliseconds), "rerank_ms": .number(rerankMilliseconds), "results": .list(results.map { $0.json(over) }),
    ])
  }
}
