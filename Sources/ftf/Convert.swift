import ArgumentParser
import FTFDemo
import FastThenFine
import FTFFiles
import Foundation
import Synchronization

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model file of trained weights.",
    discussion: "Example: ftf convert ftf-lite2 -o small.ftf --precision fp32")

  @Argument(
    help:
      "A folder of transformers' CLIP or VisionTextDualEncoder, of open_clip or of this project's own format, or a file of weights (.safetensors, .pt, .bin, an fp32 .ftf)."
  )
  var source: String?

  @Option(help: "With --text instead of one source: where the image tower comes from.")
  var vision: String?

  @Option(help: "With --vision: where the text tower comes from; a BERT or sentence-transformers folder too.")
  var text: String?

  @Option(name: .shortAndLong, help: "The model file to write.")
  var output: String

  @Option(help: "fp32, int8 (weights and activations) or int8-weights (a small file, fp32 arithmetic).")
  var precision: Precision = .int8

  @Option(help: "Folder of images like those to be searched; int8 takes the scales of its activations from them.")
  var calibrate: String?

  @Option(help: "How many of them to use, evenly spaced over the sorted names.")
  var calibrationImages = 300

  @Option(help: "Where the weights come from, in a sentence; it travels with the model.")
  var origin = ""

  @Option(help: "Folder with vocab.json and merges.txt, or tokenizer.json, where the source has none.")
  var tokenizer: String?

  @Option(help: "gelu or quickgelu, where the source does not say it: the same weights make another model.")
  var activation: Activation?

  @Option(
    help:
      "open_clip's name of the architecture, such as ViT-L-14-336 or ViT-B-32-quickgelu, where the source is a bare file."
  )
  var arch: String?

  @Option(help: "Side of the images to encode, where it is not that of the training: positions are resized.")
  var imageSize: Int?

  @Option(
    help: "What the patches of a CLIP are made of: token (as trained), value or self (which point at things; self by default).")
  var patches: PatchSource?

  enum Activation: String, ExpressibleByArgument, CaseIterable { case gelu, quickgelu }

  @Option(parsing: .upToNextOption, help: "Layers, or beginnings of their names, to keep in fp32.")
  var keepFp32: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: "Divide the difficulty of large activations between them and the weights, in int8 transformers.")
  var smooth = true

  @Flag(
    help:
      "Measure what quantisation cost on images of --calibrate that it was not calibrated with, if there are more; print it and keep it in the file.")
  var verify = false

  @Option(
    help: ArgumentHelp(
      "Vectors that another program made of the images of --calibrate, sorted by path, or else of the lines of --sentences: says which activation explains them, and takes it where the source is silent.",
      valueName: "file.npy"))
  var expect: String?

  @Option(help: "Sentences like those to be asked, one a line, in place of the built-in ones.")
  var sentences: String?

  @Option(
    help: ArgumentHelp(
      "The least median cosine with fp32 that g and t may have: layers stay fp32, the noisiest first, until it is kept.",
      valueName: "cosine"))
  var budget: Double?

  @Option(help: ArgumentHelp("The same for the patches, where it is not that of --budget.", valueName: "cosine"))
  var patchBudget: Double?

  @Option(
    help: ArgumentHelp(
      "With --images: captions (JSON lines of filename, split and captions) on which the rerank's settings are chosen, and what a score means is found. Lines of the split val are tuned on, or all where there are none; those of the split train show what is near to whatever is asked.",
      valueName: "captions.jsonl"))
  var tune: String?

  @Option(help: "With --tune: the folder of its images.")
  var images: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Tensors (names, or how they begin) and keys of a config that nothing computes and that may be left out.", valueName: "name"))
  var ignore: [String] = []

  @Flag(help: "What was made, and the card of --verify, as JSON on stdout.")
  var json = false

  @OptionGroup var machine: Machine

  func validate() throws {
    if (source == nil) == (vision == nil) || (vision == nil) != (text == nil) {
      throw ValidationError("give one source, or --vision SRC and --text SRC")
    }
    if expect != nil && calibrate == nil && sentences == nil {
      throw ValidationError("--expect goes with the images of --calibrate DIR, or with the lines of --sentences FILE")
    }
    let canMeasure = calibrate != nil && precision != .fp32
    if (budget != nil || verify && expect == nil) && !canMeasure {
      throw ValidationError(
        "--verify and --budget compare a quantised model with fp32 on the images of --calibrate DIR")
    }
    if !keepFp32.isEmpty && precision == .fp32 { throw ValidationError("--keep-fp32 is for quantised models") }
    if patchBudget != nil && budget == nil { throw ValidationError("--patch-budget goes with --budget") }
    if let budget, !(-1...1).contains(budget) || !(-1...1).contains(patchBudget ?? 0) {
      throw ValidationError("--budget and --patch-budget take cosines")
    }
    if (tune == nil) != (images == nil) { throw ValidationError("--tune FILE and --images DIR go together") }
    if calibrationImages < 1 { throw ValidationError("--calibration-images takes 1 or more") }
  }

  func run() throws {
    let interrupt = Interrupt.removing(Converter.unfinished(of: output))
    defer { interrupt.cancel() }
    let progress = ConvertProgress()
    let outcome: Converter.Outcome
    do {
      outcome = try Converter.convert(
        source ?? vision!, to: output, options(), level: machine.level, threads: machine.threads,
        progress: progress.take)
    } catch let error as FastThenFineError where error.code == .needsCalibrationImages {
      throw ValidationError(
        "int8 of this model needs --calibrate DIR, a folder of images like those to be searched; or --precision fp32")
    }
    report("wrote \(output): \(outcome.name), \(precision.rawValue), \(outcome.bytes / 1_000_000) MB")
    guard json else {
      for line in outcome.accuracy?.lines(allLayers: verify) ?? [] { print(line) }
      return
    }
    var facts: [String: Any] = [
      "path": output, "name": outcome.name, "precision": precision.rawValue, "bytes": outcome.bytes,
      "decisions": outcome.decisions,
    ]
    if let card = outcome.card {
      facts["card"] = try JSONSerialization.jsonObject(with: Data(card.utf8))
      facts["verdict"] = outcome.accuracy?.verdict
    }
    printJSON(facts)
  }

  private func options() throws -> Converter.Options {
    var options = Converter.Options()
    options.precision = precision
    (options.text, options.tokenizer, options.activation) = (text, tokenizer, activation?.rawValue)
    (options.architecture, options.imageSize, options.origin) = (arch, imageSize, origin)
    options.ignored = ignore
    (options.keepFP32, options.smooths) = (keepFp32, smooth)
    (options.verifies, options.budget, options.patchBudget) = (verify, budget, patchBudget)
    options.patches = patches
    options.sentences = try questions()
    if let expect {
      let file = try NPYFile(expect)
      let (rows, values) = (file.rows, try file[0..<file.rows])
      options.expected = (expect, rows, values, try calibrate.map { folder in try ImageFiles.below([folder]) })
    }
    if let calibrate { (options.calibrationImages, options.verificationImages) = try sample(calibrate) }
    if let tune, let images { (options.tuning, options.tuningBank) = try captioned(tune, images) }
    return options
  }

  /// Lines to tune on, and lines of the split train.
  private func captioned(_ path: String, _ folder: String) throws -> (val: [CaptionedImage], train: [CaptionedImage]) {
    let file = try CaptionsFile(path: path)
    if let problem = file.problems.first { throw Failure(problem) }
    guard !file.lines.isEmpty else { throw Failure("\(path): holds no captions") }
    func images(_ lines: [CaptionsFile.Line]) -> [CaptionedImage] {
      lines.map { CaptionedImage(path: "\(folder)/\($0.filename)", captions: $0.captions, kind: $0.kind) }
    }
    let val = file.lines.filter { $0.split == "val" }
    return val.isEmpty ? (images(file.lines), []) : (images(val), images(file.lines.filter { $0.split == "train" }))
  }

  private func questions() throws -> [String] {
    guard let sentences else { return SceneKind.allCases.flatMap(\.sentences) }
    let text: String
    do {
      text = try String(contentsOfFile: sentences, encoding: .utf8)
    } catch {
      throw Failure("\(sentences): cannot be read: \(error.systemReason)")
    }
    let lines = text.lines.filter { !$0.allSatisfy(\.isWhitespace) }.map(String.init)
    guard !lines.isEmpty else { throw Failure("\(sentences): holds no sentences") }
    return lines
  }

  /// Images to calibrate with, and as many others to measure with, where the folder has them; both evenly spaced.
  private func sample(_ folder: String) throws -> (used: [String], others: [String]) {
    func spaced(_ all: [String]) -> [String] {
      let count = min(calibrationImages, all.count)
      return (0..<count).map { all[$0 * all.count / count] }
    }
    let all = try ImageFiles.below([folder])
    let used = spaced(all)
    let taken = Set(used)
    return (used, spaced(all.filter { !taken.contains($0) }))
  }
}

/// What a conversion tells, on stderr.
private final class ConvertProgress: Sendable {
  private let progress = Mutex<Progress?>(nil)

  func take(_ event: Converter.Event) {
    switch event {
    case .report(let line): report(line)
    case .begins(let name, let total): progress.withLock { $0 = Progress(name, total: total) }
    case .done(let count): progress.withLock { $0 }?.add(count)
    case .ends: progress.withLock { $0 }?.finish()
    }
  }
}

extension Precision: ExpressibleByArgument {}
extension PatchSource: ExpressibleByArgument {}
