import ArgumentParser
import FastThenFine
import Foundation

struct IndexMerge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Join indexes of one model into one, without encoding anything.",
    discussion: """
      Example, on two machines and then on one of them:
        ftf index part1.ftfindex /imagery --shard 1/2
        ftf index part2.ftfindex /imagery --shard 2/2
        ftf index merge archive.ftfindex part1.ftfindex part2.ftfindex
      Every item is checked before it is taken. Stop it with Ctrl-C and start it again; of two files with one path the newer counts.
      """)

  @Argument(help: "The folder of the index that they are joined in; made where there is none.")
  var into: String

  @Argument(help: "The folders of the indexes that are joined, which stay as they are.")
  var parts: [String]

  @Flag(help: "JSON on stdout.")
  var json = false

  func run() throws {
    let total = try parts.reduce(0) { try $0 + ImageIndex(path: $1).files() }
    Interrupt.watch()
    let progress = Progress("files", total: total)
    let merge = try IndexUpkeep.merge(parts, into: into, cancellation: Interrupt.cancellation, progress: progress.add)
    progress.finish()
    let images = try ImageIndex(path: into).pictures()
    if json {
      printJSON([
        "files": merge.files, "known": merge.known, "captions": merge.captions, "images": images, "interrupted": merge.isCancelled,
      ])
    } else {
      print("\(into): \(images) images; \(merge.files) files and \(merge.captions) captions taken over, \(merge.known) known already")
    }
    if merge.isCancelled {
      report("ftf: stopped; run the same command again to go on")
      throw ExitCode(130)
    }
  }
}
