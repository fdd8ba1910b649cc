import FastThenFine
import Foundation
import FTFTestSupport

/// The bytes of a tiny model of random weights, converted once for all tests.
private let tiny = Result {
  let folder = try TemporaryFolder()
  var options = Converter.Options()
  options.precision = .fp32
  try Converter.convert("\(Goldens.folder)/tiny", to: "\(folder.path)/tiny.ftf", options)
  return try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/tiny.ftf"))
}

/// That model in a file of the folder, on two threads.
func tinyEngine(in folder: TemporaryFolder) throws -> Engine {
  try Engine(path: folder.file("tiny.ftf", tiny.get()), pool: ComputePool(threads: 2))
}
