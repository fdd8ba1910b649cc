import FastThenFine
import TestSupport

/// A tiny model of random weights, converted into a folder, on two threads.
func tinyEngine(in folder: TemporaryFolder) throws -> Engine {
  let model = "\(folder.path)/tiny.ftf"
  var options = Converter.Options()
  options.precision = .fp32
  try Converter.convert("\(Goldens.folder)/tiny", to: model, options)
  return try Engine(path: model, pool: ComputePool(threads: 2))
}
