import Foundation
import FTFTestSupport
import Testing

/// Kills, full disks and changed bytes: nothing that was reported is lost, and no answer is another without `verify` naming why.
@Suite struct Damage {
  let folder: TemporaryFolder
  private let images: String
  private let model: String
  private let index: String
  /// What a search prints of a whole index.
  private let expected: [String]

  init() throws {
    folder = try TemporaryFolder()
    (images, model, index) = ("\(folder.path)/images", "\(folder.path)/tiny.ftf", "\(folder.path)/index")
    try FileManager.default.copyItem(atPath: "\(Goldens.folder)/images", toPath: images)
    try TinyModel.fp32.get().write(to: URL(fileURLWithPath: model))
    let captions = try folder.file("c.jsonl", Data(#"{"filename": "a", "captions": ["a river", "two ships"]}"#.utf8))
    let known = try folder.file("k.jsonl", Data(#"{"filename": "rgb.jpg", "year": 2020}"#.utf8))
    try #require(
      ftf(["index", index, images, "--model", model, "--captions", captions, "--attributes", known]).code == 0)
    expected = try Self.answers(index)
  }

  /// Paths, scores and attributes of every image by three sentences, and every caption by a picture.
  private static func answers(_ index: String) throws -> [String] {
    var lines: [String] = []
    for arguments in [["--stdin"], ["--image", "\(Goldens.folder)/images/rgb.jpg", "--over", "captions"]] {
      let found = try ftf(["search", index, "--top", "100", "--json"] + arguments, input: "a river\ntwo ships\nroofs\n")
      guard found.code == 0 else { throw Refused(error: found.error) }
      for object in found.objects {
        for result in object["results"] as? [[String: Any]] ?? [] {
          lines.append("\(result["path"] ?? result["caption"]!) \(result["id"]!) \(result["score"]!) \(result["attributes"] ?? "")")
        }
      }
    }
    return lines
  }

  private struct Refused: Error { var error: String }

  private func copy(_ name: String) throws -> String {
    let path = "\(folder.path)/\(name)"
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.copyItem(atPath: index, toPath: path)
    return path
  }

  /// Sixty kills at moments that are spread over the time that a verb takes.
  @Test func aKillAtAnyMomentLosesNothingThatWasThere() throws {
    let other = "\(folder.path)/other"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    for i in 0..<12 {
      try FileManager.default.copyItem(atPath: "\(images)/exact.png", toPath: "\(other)/\(i).png")
    }
    let verbs: [(String, (String) -> String)] = [
      ("index", { "index '\($0)' '\(other)'" }), ("create", { "index '\($0).new' '\(other)' --model '\(self.model)'" }),
      ("remove", { "index remove '\($0)' '\(self.images)/grey.jpg'" }), ("compact", { "index compact '\($0)'" }),
      ("repair", { "index repair '\($0)'" }),
    ]
    let all = Set(expected)
    for (name, verb) in verbs {
      for round in 0..<12 {
        let path = try copy("killed")
        try? FileManager.default.removeItem(atPath: path + ".new")
        if name == "repair" { try flip("\(path)/segments/00000001.ftfseg", at: 100) }
        _ = try shell("timeout -s KILL 0.\(String(format: "%03d", 15 + round * 17)) $ftf \(verb(path))")
        if name == "create" {
          #expect(try shell("$ftf \(verb(path))").code == 0, "creation starts over")
          #expect(try ftf(["index", "verify", path + ".new"]).code == 0)
          continue
        }
        if name == "repair" {
          #expect(try ftf(["index", "repair", path]).code == 0)
        }
        #expect(try ftf(["index", "verify", path]).code == 0, "\(name), round \(round)")
        let found = Set(try Self.answers(path).map { $0.split(separator: " ")[0] })
        let lost = Set(all.map { $0.split(separator: " ")[0] }).subtracting(found).filter { !$0.hasSuffix("grey.jpg") || name != "remove" }
        #expect(lost.isEmpty, "\(name), round \(round): \(lost)")
        let again = try shell("$ftf \(verb(path))")
        #expect(again.code == 0 || name == "remove", "\(name), round \(round): \(again.error)")
      }
    }
  }

  @Test func anEmptiedOrDamagedCatalogIsPutBackByARepair() throws {
    for kind in ["emptied", "gone", "torn", "a row"] {
      let path = try copy("lost")
      let catalog = "\(path)/catalog.sqlite"
      let bytes = try Data(contentsOf: URL(fileURLWithPath: catalog))
      switch kind {
      case "emptied": try Data().write(to: URL(fileURLWithPath: catalog))
      case "gone": try FileManager.default.removeItem(atPath: catalog)
      case "torn": try bytes.dropLast(bytes.count / 3).write(to: URL(fileURLWithPath: catalog))
      default:
        var changed = bytes
        let place = try #require(changed.range(of: Data("/grey.jpg".utf8)))
        changed.replaceSubrange(place, with: Data("/gray.jpg".utf8))
        try changed.write(to: URL(fileURLWithPath: catalog))
      }
      #expect(try ftf(["index", "verify", path]).code == 1, "\(kind)")
      if kind == "emptied" || kind == "gone" {
        let again = try shell("$ftf index '\(path)' '\(images)' --model '\(model)'")
        #expect(again.code == 1 && again.error.contains("ftf index repair"), "\(kind): \(again.error)")
      }
      let repaired = try ftf(["index", "repair", path])
      #expect(repaired.code == 0 && repaired.error.contains("catalog.sqlite: "), "\(kind): \(repaired.error)")
      #expect(try ftf(["index", "verify", path]).code == 0, "\(kind)")
      #expect(try Self.answers(path) == expected, "\(kind): what was said of an image too")
    }
  }

  private func flip(_ path: String, at place: Int) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data[place] ^= 0x10
    try data.write(to: URL(fileURLWithPath: path))
  }

  /// Named by verify, or no answer changed.
  private func check(_ path: String, _ what: String) throws {
    let verified = try ftf(["index", "verify", path])
    #expect(verified.code == 0 || verified.code == 1, "\(what): \(verified.code) \(verified.error)")
    guard verified.code == 0 else { return }
    do {
      #expect(try Self.answers(path) == expected, "\(what): another answer, and verify is content")
    } catch {
      Issue.record("\(what): no answer, and verify is content: \(error)")
    }
  }

  @Test func aChangedOrMissingByteIsNamedOrChangesNothing() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: "\(index)/segments").sorted().map { "segments/\($0)" } + ["catalog.sqlite"]
    var random = SeededGenerator(seed: 11)
    for file in files {
      let size = try Data(contentsOf: URL(fileURLWithPath: "\(index)/\(file)")).count
      let isCatalog = file == "catalog.sqlite"
      for _ in 0..<(isCatalog ? 48 : 10) {
        let path = try copy("changed")
        let place = Int.random(in: 0..<size, using: &random)
        try flip("\(path)/\(file)", at: place)
        try check(path, "\(file), byte \(place)")
      }
      for _ in 0..<6 {
        let path = try copy("cut")
        let length = Int.random(in: 0..<size, using: &random)
        try Data(contentsOf: URL(fileURLWithPath: "\(index)/\(file)")).prefix(length).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
        try check(path, "\(file), cut to \(length)")
      }
    }
  }

  /// A limit on the size of files stands for a full disk where none can be mounted.
  @Test(arguments: [0, 1, 4, 8, 16, 32, 64, 100]) func aFullDiskIsAnErrorAndTheNextTimeGoesOn(kilobytes: Int) throws {
    let path = "\(folder.path)/full"
    let done = try shell("trap '' XFSZ; ulimit -f \(kilobytes); $ftf index '\(path)' '\(images)' --model '\(model)'")
    #expect(done.code == 0 || done.code == 1, "\(done.code): \(done.error)")
    #expect(!done.error.contains("damaged"), "\(done.error)")
    let again = try ftf(["index", path, images, "--model", model, "--json"])
    #expect(again.code == 0 && again.objects.first?["images"] as? Int == 17, "\(again.error)")
    #expect(try ftf(["index", "verify", path]).code == 0)
  }

  // MARK: What is no damage

  /// Nobody keeps root out: as root the command runs as another user, where the system has a way to.
  private func asNobody(_ script: String) throws -> Outcome? {
    guard getuid() == 0 else { return try shell(script) }
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    guard try shell("\(user) $ftf --version && \(user) test -r '\(model)'").code == 0 else { return nil }
    return try shell("ftf=\"\(user) $ftf\"; \(script)")
  }

  @Test func anIndexThatCannotBeWrittenIsReadAsItIs() throws {
    #expect(try shell("chmod -R a+rX '\(folder.path)'; chmod -R a-w '\(index)'").code == 0)
    defer { _ = try? shell("chmod -R u+w '\(index)'") }
    let before = try FileManager.default.contentsOfDirectory(atPath: index).sorted()
    let found = try asNobody("$ftf search '\(index)' --text 'a river' --json --top 3; $ftf index verify '\(index)' --json")
    guard let found else { return }
    #expect(found.code == 0 && found.objects.count == 2, "\(found.error)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: index).sorted() == before)
    for verb in ["index '\(index)' '\(images)'", "index remove '\(index)' '\(images)'", "index compact '\(index)'"] {
      guard let refused = try asNobody("$ftf \(verb)") else { return }
      #expect(refused.code == 1 && refused.error.contains(index) && !refused.error.contains("damaged"), "\(refused.error)")
    }
  }

  @Test func whatIsNotDamagedIsNotCalledSo() throws {
    let gone = try shell(
      "mkdir '\(folder.path)/d'; cd '\(folder.path)/d'; rmdir ../d; $ftf search '\(index)' --text x --json --top 1; $ftf search index --text x")
    #expect(gone.objects.count == 1 && gone.code == 1 && gone.error.contains("working directory") && !gone.error.contains("damaged"), "\(gone.error)")
    // A folder that is searched gets nothing; a creation that was interrupted starts over; of two creators one is told of the other.
    let plain = try shell("mkdir '\(folder.path)/p'; $ftf search '\(folder.path)/p' --text x; ls -A '\(folder.path)/p' | wc -l")
    #expect(plain.output.trimmingCharacters(in: .whitespacesAndNewlines) == "0")
    let started = try shell(
      "mkdir '\(folder.path)/s'; : > '\(folder.path)/s/catalog.sqlite'; $ftf search '\(folder.path)/s' --text x; $ftf index '\(folder.path)/s' '\(images)' --model '\(model)' --json"
    )
    #expect(started.code == 0 && started.objects.last?["indexed"] as? Int == 17 && !started.error.contains("damaged"), "\(started.error)")
    let both = try shell(
      "for i in 1 2; do $ftf index '\(folder.path)/b' '\(images)' --model '\(model)' & done; wait; $ftf info '\(folder.path)/b' --json")
    #expect(both.objects.last?["images"] as? Int == 17 && !both.error.contains("damaged"), "\(both.error)")
  }

  @Test func linesMayEndAsOnOtherSystemsAndThreadsFollowTheScheduler() throws {
    let lines = try folder.file(
      "crlf.jsonl", Data("\u{FEFF}{\"filename\": \"rgb.jpg\", \"year\": 7}\r\n{\"filename\": \"grey.jpg\", \"year\": 7}\r\n".utf8))
    #expect(try ftf(["index", index, images, "--attributes", lines, "--json"]).objects.first?["attributes"] as? Int == 2)
    #expect(
      try ftf(["search", index, "--stdin", "--filter", "year = 7", "--json"], input: "a\r\nb\r\n").objects.map { $0["query"] as? String } == [
        "a", "b",
      ])
    let one = try shell("command -v taskset > /dev/null || exit 0; taskset -c 0 $ftf info --json")
    #expect(one.objects.isEmpty || one.objects[0]["threads"] as? Int == 1, "\(one.output)")
  }
}
