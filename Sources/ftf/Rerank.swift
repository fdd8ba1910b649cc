import ArgumentParser
import FastThenFine
import Foundation
import FTFInterchange
import FTFJSON

struct Rerank: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rerank", abstract: "Rerank what another engine found.",
    discussion: """
      Example: ftf rerank archive.ftfindex --text 'a bridge over a wide river' --candidates found.txt --json
      Candidates are ids of the index (see 'ftf index export'), a line each, alone or with the score that they were found with, which is not used: \
      118, or 118 0.73, or {"id": 118, "score": 0.73}. Without --text a line is a query: {"query": "a bridge", "candidates": [118, {"id": 7}]}.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Option(help: "The sentence.")
  var text: String?

  @Option(help: ArgumentHelp("A file of candidates, or - for stdin.", valueName: "file|-"))
  var candidates: String

  @Option(help: "How many results; all of the candidates by default.")
  var top: Int?

  @Option(help: "The model file; by default the one that built the index.")
  var model: String?

  @Flag(help: "JSON on stdout, an object a query.")
  var json = false

  @OptionGroup var how: InteractionOptions
  @OptionGroup var machine: Machine

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top takes 1 or more") }
  }

  func run() throws {
    let archive = try ImageIndex(path: index)
    guard archive.hasPatches else { throw Failure("\(index): has no patches to rerank by") }
    let engine = try machine.engine(modelPath(of: archive, given: model), mapped: archive.mappedBytes)
    let searcher = try Searcher(archive, engine: engine)
    let lines = try self.lines()
    if let text { return try answer(text, try lines.map { try id($0.text, $0.place) }, searcher) }
    for line in lines {
      guard let object = JSONValue(line.text)?.any as? [String: Any], let query = object["query"] as? String,
        let found = object["candidates"] as? [Any]
      else { throw Failure("\(line.place): no query; expected {\"query\": ..., \"candidates\": [...]}, or candidates of one --text") }
      try answer(query, try found.map { try id($0, line.place) }, searcher)
    }
  }

  private func lines() throws -> [(place: String, text: String)] {
    var lines: [String] = []
    if candidates == "-" {
      while let line = readLine() { lines.append(line) }
    } else {
      guard let text = try? String(contentsOfFile: candidates, encoding: .utf8) else { throw Failure("\(candidates): cannot be read as UTF-8") }
      lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map(String.init)
    }
    return lines.enumerated().compactMap { number, line in
      line.allSatisfy(\.isWhitespace) ? nil : ("\(candidates):\(number + 1)", line)
    }
  }

  private func id(_ line: String, _ place: String) throws -> Int64 {
    if line.first(where: { !$0.isWhitespace }) == "{" { return try id(JSONValue(line)?.any ?? NSNull(), place) }
    let fields = line.split { $0.isWhitespace || $0 == "," }
    guard (1...2).contains(fields.count), let id = Int64(fields[0]), fields.count == 1 || Double(fields[1]) != nil else {
      throw Failure("\(place): no candidate; expected an id, alone or with a score")
    }
    return id
  }

  private func id(_ value: Any, _ place: String) throws -> Int64 {
    let id = (value as? [String: Any])?["id"] ?? value
    guard let number = id as? NSNumber, number.isWhole else { throw Failure("\(place): no candidate; expected an id, alone or with a score") }
    return number.int64Value
  }

  private func answer(_ sentence: String, _ ids: [Int64], _ searcher: Searcher) throws {
    var answer = try searcher.rerank(sentence, among: Set(ids), interaction: how.settings)
    let unknown = Set(ids).subtracting(answer.results.map(\.id)).sorted()
    if !unknown.isEmpty {
      report(
        "ftf: \(index) has no image \(unknown.prefix(5).map(String.init).joined(separator: ", "))\(unknown.count > 5 ? " and \(unknown.count - 5) more" : "")"
      )
    }
    if let top { answer.results = Array(answer.results.prefix(top)) }
    if json { return print(answer.json(sentence).json) }
    print(sentence)
    for result in answer.results {
      print(
        String(format: "%3d  %7.4f  (recall %.4f, rank %d)  ", result.rank, result.score, result.recallScore, result.recallRank) + result.name.shown)
    }
  }
}
