import Foundation
import Weights

/// What libFuzzer calls with every input it makes (`make fuzz`): both readers of weights take it for theirs and read every
/// tensor, and configs are checked as if they were one. An error is fine; a crash, a hang or a gigabyte is not.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  // The readers map files, so that the input becomes one, in memory.
  guard let path = input else { return -1 }
  let data = unsafe Data(bytes: bytes, count: count)
  guard (try? data.write(to: URL(fileURLWithPath: path))) != nil else { return -1 }
  if let config = try? ModelConfig(json: data, path: path) { _ = config.json() }
  for source in [try? openSafeTensors(path), try? openPyTorchArchive(path)] {
    guard let source else { continue }
    for name in source.names { _ = try? source.floats(name, shape: source.shape(name)!) }
  }
  return 0
}

private let input: String? = {
  let folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
  return "\(folder)/ftf-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
}()

#if FUZZING
@_silgen_name("LLVMFuzzerRunDriver")
private func drive(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ target: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

@main struct Fuzzer {
  static func main() {
    var count = CommandLine.argc
    var arguments = unsafe CommandLine.unsafeArgv
    unsafe exit(drive(&count, &arguments, fuzz))
  }
}
#else
/// Without libFuzzer: replays the files that it is given.
@main struct Replay {
  static func main() throws {
    for path in CommandLine.arguments.dropFirst() {
      let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      unsafe data.withUnsafeBufferPointer { unsafe _ = fuzz($0.baseAddress!, $0.count) }
      print(path)
    }
  }
}
#endif
