import Foundation
import FTFTestSupport
import Testing

/// A library that was renamed, or copied with its index to another machine.
@Suite struct RootCommands {
  let folder: TemporaryFolder
  let model: String
  init() throws {
    folder = try TemporaryFolder()
    model = try folder.file("tiny.ftf", TinyModel.int8.get())
  }

  private func ids(_ index: String) throws -> [String: Int] {
    let found = try ftf("search", index, "--text", "x", "--top", "100", "--recall-only", "--json").objects
    let results = try #require(found.first?["results"] as? [[String: Any]])
    return Dictionary(uniqueKeysWithValues: results.map { ($0["path"] as! String, $0["id"] as! Int) })
  }

  @Test func aLibraryThatMovedKeepsWhatItHad() throws {
    let (before, after, index) = ("\(folder.path)/before", "\(folder.path)/elsewhere/é after", "\(folder.path)/i.ftfindex")
    for part in ["a", "b"] {
      try FileManager.default.createDirectory(atPath: "\(before)/\(part)", withIntermediateDirectories: true)
      for name in ["rgb.jpg", "grey.jpg"] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(Goldens.folder)/images/\(name)")) + Data(part.utf8)
        try data.write(to: URL(fileURLWithPath: "\(before)/\(part)/\(name)"))
      }
    }
    #expect(try ftf("index", index, before, "--model", model).code == 0)
    let known = try folder.file("known.jsonl", Data(#"{"filename": "a/rgb.jpg", "year": 2020}"#.utf8))
    #expect(try ftf("index", index, "--attributes", known).code == 0)
    let old = try ids(index)
    let roots = try ftf("index", "root", index, "--json").objects.first?["roots"] as? [[String: Any]]
    #expect(roots?.map { $0["path"] as? String } == ["\(before)/a", "\(before)/b"] && roots?.map { $0["files"] as? Int } == [2, 2])

    // A copy has other times of change; the folder's own name is enough where it is one of the roots.
    try FileManager.default.createDirectory(atPath: "\(folder.path)/elsewhere", withIntermediateDirectories: true)
    #expect(try shell("cp -a '\(before)' '\(after)' && rm -r '\(before)'").code == 0)
    let moved = try ftf("index", "root", index, before, after, "--json")
    #expect(moved.code == 0 && moved.objects.first?["moved"] as? Int == 4, "\(moved.error)")
    #expect(try ids(index) == Dictionary(uniqueKeysWithValues: old.map { ($0.key.replacingOccurrences(of: before, with: after), $0.value) }))
    let again = try ftf("index", index, after, "--json").objects.first
    #expect(again?["unchanged"] as? Int == 4 && again?["indexed"] as? Int == 0 && again?["moved"] as? Int == 0)
    let found =
      try ftf("search", index, "--text", "x", "--filter", "year = 2020 and path like '%after/a%'", "--json").objects.first?["results"] as? [Any]
    #expect(found?.count == 1)
    #expect(try ftf("index", "root", index, "b", "\(folder.path)/c", "--json").objects.first?["moved"] as? Int == 2)
    #expect(try ftf("index", "verify", index).code == 0)

    let nothing = try ftf("index", "root", index, "/nowhere", "/else")
    #expect(nothing.code == 1 && nothing.error.contains("/nowhere") && nothing.error.contains("elsewhere"), "\(nothing.error)")
    #expect(try ftf("index", "root", index, before).code == 2)
  }
}
