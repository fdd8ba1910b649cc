import Foundation
import FastThenFine

/// Ctrl-C, as a flag: what is under way is finished and stored, and nothing that was reported done is lost. A second
/// Ctrl-C ends at once.
enum Interrupt {
  /// What a first Ctrl-C cancels.
  static let cancellation = Cancellation()

  static func watch() {
    // Made before a signal can come: a handler must not be the first to touch it.
    _ = isPressed
    signal(SIGINT) { _ in
      if Interrupt.isPressed { _exit(130) }
      Interrupt.cancellation.cancel()
    }
  }

  static var isPressed: Bool { cancellation.isDue }

  /// Ends the program at the first Ctrl-C while the result is kept, after removing files that are not whole.
  static func removing(_ paths: [String]) -> any DispatchSourceSignal {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler {
      for path in paths { try? FileManager.default.removeItem(atPath: path) }
      _exit(130)
    }
    source.resume()
    return source
  }
}
