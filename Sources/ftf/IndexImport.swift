import ArgumentParser
import FastThenFine
import Foundation

struct IndexImport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Make an index of vectors that were made elsewhere, or extend it.",
    discussion: """
      Example: ftf index import vectors.ftfindex embeddings.npy --names names.txt
      Rows become items with ids from 1, in order, and are compared by their cosine. There are no patches: recall alone answers \
      'ftf search --vectors'. With --model, vectors that this model made are found by sentences and pictures too.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "A .npy file, f16, f32 or f64 [n, d]; or Parquet or GeoParquet with a column of vectors.")
  var vectors: String

  @Option(help: "A file with the name of each vector, a line each; without it a vector is called by its number, or as Parquet's column 'id' says.")
  var names: String?

  @Option(help: "The column of the vectors in Parquet.")
  var column = "embedding"

  @Option(help: "The model file that made the vectors.")
  var model: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  /// Rows that are read at once.
  private static let block = 1 << 14

  func run() throws {
    let source = try VectorSource(vectors, column: column)
    let names = try self.names.map { try Self.lines($0) } ?? source.names
    if let names {
      guard names.count == source.rows else { throw Failure("\(self.names ?? vectors): has \(names.count) names for \(source.rows) vectors") }
      var seen: [String: Int] = [:]
      for (i, name) in names.enumerated() {
        guard !name.isEmpty else { throw Failure("\(self.names ?? vectors): the name of vector \(i + 1) is empty") }
        if let first = seen.updateValue(i, forKey: name) {
          throw Failure("\(self.names ?? vectors): vectors \(first + 1) and \(i + 1) have the same name, '\(name)'")
        }
      }
    }
    let existing = try ImageIndex.existing(path: index)?.count() ?? 0
    let engine = try model.map { try machine.engine($0) }
    var writer = try VectorImport(
      path: index, dimension: source.columns, from: vectors, by: engine, pool: ComputePool(threads: machine.threads))
    Interrupt.watch()
    let progress = Progress("vectors", total: source.rows)
    var stored = 0
    for start in stride(from: 0, to: source.rows, by: Self.block) where !Interrupt.isPressed {
      let range = start..<min(start + Self.block, source.rows)
      try writer.add(source[range]) { names?[start + $0] ?? "\(existing + start + $0 + 1)" }
      progress.add(range.count)
      stored += range.count
    }
    let count = try writer.finish()
    progress.finish()
    if json {
      try printJSON(["imported": stored, "dimension": source.columns, "vectors": count, "interrupted": Interrupt.isPressed])
    } else {
      print("\(index): \(stored) vectors of \(source.columns) imported; it has \(count)")
    }
    if Interrupt.isPressed {
      report("ftf: stopped; what was imported is kept, and the whole file can be imported again: vectors of the same names are replaced")
      throw ExitCode(130)
    }
  }

  private static func lines(_ path: String) throws -> [String] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw Failure("\(path): is no file of names in UTF-8") }
    var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map(String.init)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}

/// Rows of vectors, read piece by piece.
struct VectorSource {
  let rows: Int
  let columns: Int
  let names: [String]?
  private let file: NPYFile

  init(_ path: String, column: String) throws {
    file = try NPYFile(path)
    (rows, columns, names) = (file.rows, file.columns, nil)
    guard columns <= 65536 else { throw Failure("\(path): has vectors of \(columns); an index holds some of at most 65536") }
  }

  subscript(range: Range<Int>) -> [Float] {
    get throws { try file[range] }
  }
}
