import ArgumentParser
import FastThenFine

struct IndexRoot: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "root", abstract: "Show the folders that the images of an index lie in, or say that one lies elsewhere now.",
    discussion: """
      Example, after a library was renamed, mounted elsewhere or copied with its index to another machine:
        ftf index root archive.ftfindex imagery /mnt/disk/imagery
      Ids, vectors and what is known of the images stay; nothing is encoded again, and nothing on the disk is moved.
      """)

  @Argument(help: "The folder of the index.")
  var index: String

  @Argument(help: "The folder as it was, or its name.")
  var folder: String?

  @Argument(help: "The folder as it is.")
  var place: String?

  @Flag(help: "JSON on stdout.")
  var json = false

  func validate() throws {
    if folder != nil && place == nil { throw ValidationError("say where the folder is now") }
  }

  func run() throws {
    var moved = 0
    if let folder, let place { moved = try IndexUpkeep.move(folder, to: place, in: index) }
    let roots = try IndexUpkeep.roots(of: index)
    if json { return printJSON(["moved": moved, "roots": roots.map { ["path": $0.path, "files": $0.files] as [String: Any] }]) }
    if let place { print("\(index): \(moved) files are known below \(place) now") }
    for root in roots { print("\(root.path.shown)  \(root.files) files") }
  }
}
