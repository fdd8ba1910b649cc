import CFastThenFine
import FastThenFine
import Foundation

typealias AnswerHandle = Handle<AnswerMemory>

/// An answer as C has it: its results and all that they point to, for as long as it lives.
@safe final class AnswerMemory: @unchecked Sendable {
  let times: ftf_times
  private let results: UnsafeMutableBufferPointer<ftf_result>
  private let texts: [UnsafeMutablePointer<CChar>]
  private let attentions: [UnsafeMutablePointer<Float>]

  /// - Parameter answer: whose times it says; nil where nothing was searched.
  init(_ answer: Answer?, _ found: [Answer.Result]) {
    times = ftf_times(
      encode: answer?.encodeMilliseconds ?? 0, recall: answer?.recallMilliseconds ?? 0, rerank: answer?.rerankMilliseconds ?? 0,
      nothing_fits: answer?.nothingFits ?? .nan)
    var texts = unsafe [UnsafeMutablePointer<CChar>]()
    var attentions = unsafe [UnsafeMutablePointer<Float>]()
    func kept(_ text: String?) -> UnsafePointer<CChar>? {
      guard let text, let copy = unsafe strdup(text) else { return nil }
      unsafe texts.append(copy)
      return unsafe UnsafePointer(copy)
    }
    func kept(_ values: [Float]?) -> UnsafePointer<Float>? {
      guard let values else { return nil }
      let copy = UnsafeMutablePointer<Float>.allocate(capacity: values.count)
      unsafe copy.initialize(from: values, count: values.count)
      unsafe attentions.append(copy)
      return unsafe UnsafePointer(copy)
    }
    func kept(path result: Answer.Result) -> UnsafePointer<CChar>? {
      guard let bytes = result.pathBytes else { return unsafe kept(result.name) }
      guard let copy = unsafe malloc(bytes.count + 1) else { return nil }
      let chars = unsafe copy.bindMemory(to: CChar.self, capacity: bytes.count + 1)
      for (i, byte) in bytes.enumerated() { unsafe chars[i] = CChar(bitPattern: byte) }
      unsafe chars[bytes.count] = 0
      unsafe texts.append(chars)
      return unsafe UnsafePointer(chars)
    }
    let results = UnsafeMutableBufferPointer<ftf_result>.allocate(capacity: found.count)
    for (i, result) in found.enumerated() {
      let window = result.window.map { ($0.x, $0.y, $0.width, $0.height) } ?? (0, 0, 0, 0)
      unsafe results.initializeElement(
        at: i,
        to: ftf_result(
          id: result.id, rank: result.rank, path: kept(path: result), score: result.score, recall_score: result.recallScore,
          recall_rank: result.recallRank, probability: result.probability ?? .nan, attributes: kept(result.attributes),
          geometry: kept(result.geometry), window: window, attention: kept(result.attention)))
    }
    unsafe (self.results, self.texts, self.attentions) = unsafe (results, texts, attentions)
  }

  deinit {
    unsafe texts.forEach { unsafe free($0) }
    unsafe attentions.forEach { unsafe $0.deallocate() }
    unsafe results.deallocate()
  }

  var count: Int { unsafe results.count }
  subscript(_ i: Int) -> UnsafePointer<ftf_result>? {
    unsafe i >= 0 && i < results.count ? UnsafePointer(results.baseAddress! + i) : nil
  }
}

@c @implementation public func ftf_answer_count(_ answer: OpaquePointer?) -> Int { (try? unsafe AnswerHandle.at(answer))?.described.count ?? 0 }

@c @implementation public func ftf_answer_at(_ answer: OpaquePointer?, _ index: Int) -> UnsafePointer<ftf_result>? {
  guard let handle = try? unsafe AnswerHandle.at(answer) else { return nil }
  return unsafe handle.described[index]
}

@c @implementation public func ftf_answer_times(_ answer: OpaquePointer?) -> ftf_times {
  (try? unsafe AnswerHandle.at(answer))?.described.times ?? ftf_times(encode: 0, recall: 0, rerank: 0, nothing_fits: .nan)
}

@c @implementation public func ftf_answer_free(_ answer: OpaquePointer?) { unsafe AnswerHandle.release(answer) }
