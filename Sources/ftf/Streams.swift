import FTFFiles
import Foundation

/// The command's standard streams: what cannot be printed is a failure, what cannot be reported is not.
enum Streams {
  /// To be called before anything else: a stream that is closed must not become the first file that is opened.
  static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    for stream: Int32 in 0...2 where fcntl(stream, F_GETFD) == -1 {
      // Opened so that reading gives nothing and writing fails, as on a closed one.
      _ = unsafe open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY)
    }
  }

  /// What ends a program without a word of its own says one line: memory that is not there, which nothing in Swift can be asked for
  /// beforehand, and a mapped file that became shorter.
  static func explainSignals() {
    var limit = rlimit()
    let isLimited = unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 && limit.rlim_cur != rlim_t.max
    // Only what is safe in a handler: a write and an exit.
    signal(SIGBUS) { _ in
      Streams.end("ftf: a file became shorter, or its disk failed, while it was read\n")
    }
    guard isLimited else { return }
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV] {
      signal(number) { _ in
        Streams.end("ftf: there is not enough memory: the limit (ulimit -v) is too low; raise it, or give --threads 1\n")
      }
    }
  }

  /// Bytes of address space that threads take when they begin: Dispatch waits for ever for one that it cannot make.
  static let threadRoom = 40 << 20

  /// Throws where a limit of the address space leaves no room for so many bytes: some of what is called waits for ever for memory that
  /// does not come.
  static func requireRoom(_ bytes: Int) throws {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur < rlim_t(Int.max) else { return }
    let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = statm.split(separator: " ").first.flatMap { Int($0) } ?? 0
    guard Int(limit.rlim_cur) - pages * Int(sysconf(Int32(_SC_PAGESIZE))) < bytes else { return }
    throw Failure("there is not enough memory: the limit of \(limit.rlim_cur >> 10) kB (ulimit -v) is too low")
  }

  private static func end(_ line: StaticString) -> Never {
    _ = unsafe Foundation.write(2, line.utf8Start, line.utf8CodeUnitCount)
    _exit(1)
  }

  /// Whether all that was printed was taken.
  static var isPrinted: Bool { fflush(nil) == 0 }

  /// To stderr, as far as it takes it.
  static func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes { unsafe Foundation.write(2, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}

/// One line on stderr, whatever names are in it.
func report(_ line: String) { Streams.write(line.shown + "\n") }

/// Lines of the command's own.
func report(lines: String) { Streams.write(lines + "\n") }
