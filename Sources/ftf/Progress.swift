import FTFFiles
import Foundation
import Synchronization

/// Progress on stderr: one line that is rewritten on a terminal, a line every ten seconds elsewhere.
final class Progress: Sendable {
  private struct State {
    var done = 0
    var shown: ContinuousClock.Instant
  }

  private let name: String
  private let total: Int
  private let start = ContinuousClock.now
  private let state: Mutex<State>
  private let isTerminal = isatty(2) == 1

  init(_ name: String, total: Int) {
    (self.name, self.total) = (name, total)
    state = Mutex(State(shown: start))
  }

  /// From any thread.
  func add(_ count: Int) {
    state.withLock { state in
      state.done += count
      let now = ContinuousClock.now
      guard now - state.shown > (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
      state.shown = now
      show(line(state.done), ending: isTerminal ? "" : "\n")
    }
  }

  func finish() {
    state.withLock { show(line($0.done), ending: "\n") }
  }

  /// A line of its own that the progress does not overwrite.
  func report(_ text: String) {
    state.withLock { _ in show(text.shown, ending: "\n") }
  }

  private func line(_ done: Int) -> String {
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let rate = Double(done) / max(seconds, 1e-9)
    var text = "\(done) of \(total) \(name), \(String(format: "%.0f", rate))/s"
    if done < total, rate > 0 { text += ", \(Self.duration(Double(total - done) / rate)) left" }
    return text
  }

  private func show(_ line: String, ending: String) {
    Streams.write((isTerminal ? "\r\u{1B}[K\(line)" : line) + ending)
  }

  static func duration(_ seconds: Double) -> String {
    let s = Int(seconds.rounded(.up))
    return s < 60 ? "\(s) s" : s < 3600 ? "\(s / 60) min \(s % 60) s" : "\(s / 3600) h \(s % 3600 / 60) min"
  }
}
