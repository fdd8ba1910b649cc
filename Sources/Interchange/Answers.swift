import FastThenFine
import Foundation

extension Answer.Result {
  /// A result as JSON has it.
  package func object(_ over: SearchTarget = .images) -> [String: Any] {
    var object: [String: Any] = [
      "rank": rank, "id": id, (over == .images ? "path" : "caption"): name, "score": score, "recall_score": recallScore,
      "recall_rank": recallRank, "attributes": attributes.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) } ?? [:],
    ]
    object["probability"] = probability
    object["index"] = index
    // Of the scene that it is a window of.
    object["bands"] = bands
    if let extent { object["extent"] = [extent.width, extent.height] }
    if let window { object["window"] = [window.x, window.y, window.width, window.height] }
    if let geometry, let parsed = try? JSONSerialization.jsonObject(with: Data(geometry.utf8)) {
      object["geometry"] = parsed
      object["centre"] = centre.map { [$0.lon, $0.lat] }
    }
    object["datetime"] = datetime
    object["path_bytes"] = pathBytes.map { Data($0).base64EncodedString() }
    return object
  }
}

extension Answer {
  /// An answer as JSON has it.
  package func object(_ query: String, _ over: SearchTarget = .images) -> [String: Any] {
    var object: [String: Any] = [
      "query": query, "encode_ms": encodeMilliseconds, "recall_ms": recallMilliseconds,
      "rerank_ms": rerankMilliseconds,
      "results": results.map { $0.object(over) },
    ]
    object["nothing_fits"] = nothingFits
    return object
  }
}
