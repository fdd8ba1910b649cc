import ArgumentParser
import CFTFImage
import FastThenFine
import FTFFiles
import FTFInterchange
import Foundation

/// The command. One line on stderr says what went wrong and what to do; the exit code is 2 for usage, 1 for failure.
@main
struct FTF: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ftf",
    abstract: "Find overhead images by sentence or picture: fast recall, then a fine rerank that says why.",
    version: Facts.version,
    subcommands: [
      Convert.self, Info.self, Embed.self, IndexVerb.self, Search.self, Rerank.self, Eval.self, ProfileVerb.self, DemoVerb.self, Serve.self,
    ])

  static func main() {
    cimage_return_large_memory()
    Streams.prepare()
    Streams.explainSignals()
    let code = outcome()
    guard Streams.isPrinted else {
      report("ftf: standard output cannot be written")
      Foundation.exit(1)
    }
    Foundation.exit(code)
  }

  private static func outcome() -> Int32 {
    do {
      // As the system has them: an argument may be the name of a file, which need not be UTF-8.
      let arguments = unsafe UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc)).dropFirst()
      try Streams.requireRoom(Streams.threadRoom)
      var command = try parseAsRoot(
        unsafe arguments.map { unsafe FilePath(bytes: Data(bytes: $0!, count: strlen($0!))).spelling })
      try command.run()
      return 0
    } catch let error as Failure {
      report("ftf: \(error.message)")
      return 1
    } catch let error as FastThenFineError {
      report("ftf: \(error)\(error.wayOut)")
      return error.code == .unknownAttribute ? 2 : 1
    } catch {
      let code = exitCode(for: error)
      if code.isSuccess {
        print(fullMessage(for: error))
        return 0
      }
      if let code = error as? ExitCode { return code.rawValue }
      if code == .validationFailure {
        report(lines: fullMessage(for: error))
        return 2
      }
      report("ftf: \(oneLine(error))")
      return 1
    }
  }

  /// Errors of this project say all there is in a line; those of the system are cut down to the path and the reason.
  private static func oneLine(_ error: any Error) -> String {
    guard let system = error as? CocoaError else { return "\(error)" }
    let path = system.filePath.map { "\($0): " } ?? ""
    return path + system.systemReason
  }
}

extension FastThenFineError {
  /// What the library cannot know: the verb or option that helps.
  var wayOut: String {
    switch code {
    case .notAModel: "; make one with 'ftf convert'"
    case .unreadTensors: " (leave them out with --ignore NAME, if that is meant)"
    case .untunedModel: " (ftf convert --tune)"
    case .needsBands: ", with --bands 3,2,1"
    case .tooManyWindows: ", with --ground or --window"
    case .notAnIndex: "; make one with 'ftf index INDEX FOLDER'"
    case .damagedIndex: "; see 'ftf index repair'"
    default: ""
    }
  }
}

/// A failure with the one line that the user sees.
struct Failure: Error {
  var message: String
  init(_ message: String) { self.message = message }
}

/// What every verb that computes takes.
struct Machine: ParsableArguments {
  @Option(help: "Threads; all cores by default.")
  var threads: Int?

  @Option(help: "Instruction-set level, as FTF_LEVEL; the best one by default.")
  var level: String?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024") }
  }

  /// - Parameters:
  ///   - mapped: bytes of an index that will be mapped beside it.
  ///   - towers: what will be asked for.
  func engine(_ path: String, mapped: Int = 0, for towers: Engine.Towers = .both) throws -> Engine {
    let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
    // The file, its weights as the kernels take them, what is mapped, and room to compute in.
    try Streams.requireRoom(size * 5 / 2 + mapped + Streams.threadRoom)
    return try Engine(path: path, level: level, pool: ComputePool(threads: threads), towers: towers)
  }
}

/// One JSON object on stdout.
func printJSON(_ object: [String: Any]) { print(JSONText.of(object)) }
