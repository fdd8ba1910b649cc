import Dispatch

package enum OwnThread {
  /// `body` in a thread that may wait for others, and compute for long.
  ///
  /// Dispatch's global and concurrent queues and Swift's tasks share threads, as many as there are processors. Where some of those wait for work that
  /// has to come to one of them, and the rest compute, it never comes.
  package static func run(qos: DispatchQoS = .unspecified, _ body: @escaping @Sendable () -> Void) {
    // A serial queue gets a thread whatever others do: one that is idle, or a new one.
    DispatchQueue(label: "FastThenFine", qos: qos).async(execute: body)
  }
}
