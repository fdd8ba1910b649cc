import ArgumentParser
import FastThenFine
import FTFFiles
import Foundation
import FTFGeography
import FTFJSON
import FTFParquet

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

  @Option(help: "JSON lines of filename, the name of a vector, and whatever is known of it, for --filter; of Parquet its other columns are that.")
  var attributes: String?

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
    let known = try attributes.map { try Dictionary(AttributesFile(path: $0).lines.map { ($0.filename, $0.json) }, uniquingKeysWith: { $1 }) }
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
    try source.forEachBlock(of: Self.block) { vectors, first, more in
      try writer.add(vectors) { i in
        let name = names?[first + i] ?? "\(existing + first + i + 1)"
        return VectorImport.Item(name: name, footprint: more?.footprints?[i], attributes: known?[name] ?? more?.attributes?[i])
      }
      progress.add(vectors.count / source.columns)
      stored += vectors.count / source.columns
      return !Interrupt.isPressed
    }
    let count = try writer.finish()
    progress.finish()
    if json {
      printJSON(["imported": stored, "dimension": source.columns, "vectors": count, "interrupted": Interrupt.isPressed])
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
  /// Of a column `id` in Parquet.
  let names: [String]?
  private let path: String
  private let file: NPYFile?
  private let table: (reader: ParquetReader, column: ParquetReader.Column)?

  init(_ path: String, column name: String) throws {
    self.path = path
    let start = try? FileHandle(forReadingFrom: URL(fileURLWithPath: path)).read(upToCount: 4)
    guard start == Data("PAR1".utf8) else {
      let file = try NPYFile(path)
      (self.file, table, rows, columns, names) = (file, nil, file.rows, file.columns, nil)
      guard columns <= 65536 else { throw Failure("\(path): has vectors of \(columns); an index holds some of at most 65536") }
      return
    }
    do {
      let reader = try ParquetReader(FilePath(path))
      guard let column = reader.vectors.first(where: { $0.path.first == name }) else {
        let others = reader.vectors.compactMap(\.path.first).map { "'\($0)'" }.joined(separator: ", ")
        throw Failure("\(path): has no column '\(name)' of vectors" + (others.isEmpty ? "" : "; name one with --column: \(others)"))
      }
      guard let group = reader.rows.firstIndex(where: { $0 > 0 }) else { throw Failure("\(path): has no rows") }
      (file, table, rows) = (nil, (reader, column), reader.rows.reduce(0, +))
      columns = try reader.vectors(of: column, in: group).dimension
      names = try reader.columns.first { $0.path == ["id"] }.map { id in
        try reader.rows.indices.flatMap { group in try reader.values(of: id, in: group).map(Self.text) }
      }
    } catch let error as ParquetError {
      throw Failure("\(path): \(error)")
    }
  }

  private static func text(_ value: ParquetReader.Value) -> String {
    switch value {
    case .text(let text): text
    case .integer(let number): "\(number)"
    default: ""
    }
  }

  /// What a table says of its rows beside their vectors.
  struct More {
    var footprints: [Geometry?]?
    /// JSON objects.
    var attributes: [String]?
  }

  private func more(_ reader: ParquetReader, _ group: Int) throws -> More {
    var more = More()
    var columns: [(String, [ParquetReader.Value])] = []
    for column in reader.columns where column.path.count == 1 && column.path != ["id"] {
      let values = try reader.values(of: column, in: group)
      if column.path == ["geometry"] {
        more.footprints = try values.enumerated().map { row, value in
          guard case .bytes(let bytes) = value else { return nil }
          guard let footprint = Geometry(wkb: bytes) else {
            throw Failure("\(path): the geometry of a row is no polygon or point in WKB: row \(row)")
          }
          return footprint
        }
      } else {
        columns.append((column.path[0], values))
      }
    }
    guard !columns.isEmpty else { return more }
    more.attributes = (0..<reader.rows[group]).map { row in
      var members: [JSONValue.Member] = []
      for (name, values) in columns {
        switch values[row] {
        case .null, .bytes: break
        case .bool(let value): members.append(.init(name, .bool(value)))
        case .integer(let value): members.append(.init(name, .whole(value)))
        case .double(let value): if value.isFinite { members.append(.init(name, .number(value))) }
        case .text(let value): members.append(.init(name, .text(value)))
        }
      }
      return JSONValue.object(members).json
    }
    return more
  }

  /// `body` on vectors that follow each other, f32[n, columns], and the place of the first.
  func forEachBlock(of most: Int, _ body: ([Float], Int, More?) throws -> Bool) throws {
    if let file {
      for start in stride(from: 0, to: rows, by: most) {
        guard try body(file[start..<min(start + most, rows)], start, nil) else { return }
      }
    }
    guard let (reader, column) = table else { return }
    var first = 0
    for group in reader.rows.indices where reader.rows[group] > 0 {
      let (found, more): ((dimension: Int, values: [Float]), More)
      do { (found, more) = (try reader.vectors(of: column, in: group), try self.more(reader, group)) } catch let error as ParquetError {
        throw Failure("\(path): \(error)")
      }
      guard found.dimension == columns else { throw Failure("\(path): has vectors of \(columns) and of \(found.dimension)") }
      if let bad = found.values.firstIndex(where: { !$0.isFinite }) {
        throw Failure("\(path): row \(first + bad / columns) has a value that is not finite")
      }
      guard try body(found.values, first, more) else { return }
      first += reader.rows[group]
    }
  }
}
