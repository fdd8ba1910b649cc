import Foundation

/// What libFuzzer calls with every input it makes (`make fuzz`), of the kind that FTF_FUZZ names. An error is fine; a crash, a hang or a
/// gigabyte is not.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  unsafe target(Data(bytes: bytes, count: count))
  return 0
}

private let target: @Sendable (Data) -> Void = {
  let name = ProcessInfo.processInfo.environment["FTF_FUZZ"] ?? ""
  guard let found = targets[name] else { fatalError("FTF_FUZZ names one of \(targets.keys.sorted())") }
  return found
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
