import ArgumentParser
import FastThenFine
import Foundation

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a model file or an index holds, or what this machine runs.",
    discussion: "Example: ftf info small.ftf")

  @Argument(help: "A .ftf file or the folder of an index; without it, the machine.")
  var path: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func run() throws {
    let facts =
      try path.map { path throws(FastThenFineError) in try Facts.of(path) }
      ?? Facts.machine(level: machine.level, threads: machine.threads)
    if json {
      return printJSON(Dictionary(uniqueKeysWithValues: facts.map { ($0.key, $0.value) }))
    }
    let width = facts.map(\.key.count).max() ?? 0
    for fact in facts {
      print(fact.key.padding(toLength: width + 2, withPad: " ", startingAt: 0) + "\(fact.text)")
    }
  }
}
