#if Serve
import FastThenFine
import Foundation
import Hummingbird
import FTFInterchange
import FTFJSON

/// What `POST /v1/search` asks for.
struct SearchRequest: Sendable {
  var query: Query
  var filter: String?
  var area: SearchArea?
  /// All results as a list, in place of an answer.
  var format: ResultsFormat?
  /// For logs and answers.
  var words: String

  /// The fields that it has.
  static let names: Set<String> = [
    "text", "id", "image", "examples", "top", "candidates", "interaction", "unlike", "recall_only", "min_probability", "all_windows", "filter",
    "bbox", "near",
    "index", "offset", "format",
  ]
  static let mostResults = 1000
  static let mostOffset = 10_000_000
  static let mostUnlike = 100
  static let longestText = 10_000

  init(_ fields: Fields) throws {
    let (text, id) = (try fields.string("text"), try fields.integer("id", in: 0...Int.max))
    // A file, or its bytes as text.
    let image = try (fields.values["image"] as? Data).map(Array.init) ?? fields.string("image").map(Self.image)
    let examples = fields.values["examples"]
    guard [text != nil, image != nil, id != nil, examples != nil].count(where: { $0 }) == 1 else {
      throw Problem(.unprocessableContent, "bad_input", "give one of text, image, id and examples")
    }
    let content: Query.Content
    if let examples {
      content = .examples(try Self.examples(examples))
      words = "several examples"
    } else if let text {
      content = .sentence(try Self.sentence(text))
      words = text
    } else if let image {
      content = .imageData(image)
      words = "an image"
    } else {
      content = .item(Int64(id!))
      words = "like \(id!)"
    }
    query = Query(content)
    let isList = try fields.string("format") ?? "json" != "json"
    query.top = isList ? 1 : try fields.integer("top", in: 1...Self.mostResults) ?? 10
    query.offset = try fields.integer("offset", in: 0...Self.mostOffset) ?? 0
    if let name = try fields.string("format"), name != "json" {
      guard let found = ResultsFormat(rawValue: name) else {
        throw Problem(.unprocessableContent, "bad_input", "format is json, \(ResultsFormat.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      format = found
      query.top = try fields.integer("top", in: 1...Int(Int32.max)) ?? Int(Int32.max)
    }
    query.interaction.candidates = try fields.integer("candidates", in: 1...10_000)
    if let mode = try fields.string("interaction") {
      guard let mode = InteractionMode(rawValue: mode) else {
        let names = InteractionMode.allCases.map(\.rawValue).joined(separator: ", ")
        throw Problem(.unprocessableContent, "bad_input", "interaction has to be one of \(names)")
      }
      query.interaction.mode = mode
    }
    query.unlike = try fields.integers("unlike", most: Self.mostUnlike) ?? []
    query.recallOnly = try fields.bool("recall_only") ?? false
    query.minimumProbability = try fields.number("min_probability") ?? 0
    query.allWindows = try fields.bool("all_windows") ?? false
    filter = try fields.string("filter")
    if let box = try fields.numbers("bbox", count: 4) { area = .box(west: box[0], south: box[1], east: box[2], north: box[3]) }
    if let near = try fields.numbers("near", count: 3) {
      guard area == nil else { throw Problem(.unprocessableContent, "bad_input", "give one of bbox and near") }
      area = .near(lon: near[0], lat: near[1], kilometres: near[2])
    }
  }

  private static let mostExamples = 64

  /// `[{"text": ..., "weight": 1}, {"id": ..., "weight": -0.5}, {"image": ...}]`
  private static func examples(_ value: Any) throws -> [Query.Example] {
    guard let list = value as? [[String: Any]], (1...mostExamples).contains(list.count) else {
      throw Problem(.unprocessableContent, "bad_input", "examples are 1 to \(mostExamples) objects with one of text, image and id, and a weight")
    }
    return try list.map { object in
      let fields = try Fields(object).only(["text", "image", "id", "weight"])
      let (text, id, picture) = (try fields.string("text"), try fields.integer("id", in: 0...Int.max), try fields.string("image"))
      guard [text != nil, id != nil, picture != nil].count(where: { $0 }) == 1 else {
        throw Problem(.unprocessableContent, "bad_input", "an example has one of text, image and id")
      }
      let content: Query.Content = try text.map { .sentence(try sentence($0)) } ?? id.map { .item(Int64($0)) } ?? .imageData(image(picture!))
      let weight = try fields.number("weight") ?? 1
      guard abs(weight) <= 100 else { throw Problem(.unprocessableContent, "bad_input", "weight lies in -100...100") }
      return Query.Example(content, weight: Float(weight))
    }
  }

  private static let texts: Set = ["text", "image", "filter", "interaction", "index", "format"]

  /// A value that came as text, in a form or an address: what is no text by its name is JSON, or numbers with commas between them.
  static func value(_ text: String, of name: String) -> Any {
    if texts.contains(name) { return text }
    if let value = JSONValue(text) { return value.any }
    let numbers = text.split(separator: ",").map { Double($0.trimmingCharacters(in: .whitespaces)) }
    return numbers.count > 1 && numbers.allSatisfy { $0 != nil } ? numbers.map { NSNumber(value: $0!) } : text
  }

  static func sentence(_ text: String) throws -> String {
    guard !text.isEmpty, text.unicodeScalars.count <= longestText else {
      throw Problem(.unprocessableContent, "bad_input", "a sentence has 1 to \(longestText) characters")
    }
    return text
  }

  /// The bytes of a picture from base64 or a data URL. No address is ever fetched.
  static func image(_ text: String) throws -> [UInt8] {
    var base = Substring(text)
    if text.hasPrefix("data:") {
      guard let comma = text.firstIndex(of: ","), text[..<comma].hasSuffix(";base64") else {
        throw Problem(.unprocessableContent, "bad_input", "a data URL of an image has to be in base64")
      }
      base = text[text.index(after: comma)...]
    }
    guard let data = Data(base64Encoded: String(base), options: .ignoreUnknownCharacters), !data.isEmpty else {
      throw Problem(.unprocessableContent, "bad_input", "an image is given as base64 or as a data URL of it; addresses are not fetched")
    }
    return Array(data)
  }
}
#endif
