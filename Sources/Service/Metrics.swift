import Foundation
import Synchronization

/// What the service counts, as Prometheus reads it.
final class ServiceMetrics: Sendable {
  /// Upper bounds of the buckets, in seconds.
  private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  private struct Histogram {
    var buckets = [Int](repeating: 0, count: ServiceMetrics.bounds.count + 1)
    var sum = 0.0

    mutating func add(_ seconds: Double) {
      buckets[ServiceMetrics.bounds.firstIndex { seconds <= $0 } ?? ServiceMetrics.bounds.count] += 1
      sum += seconds
    }
  }

  private struct State {
    var requests: [String: Int] = [:]
    var times: [String: Histogram] = [:]
    var shared = 0
    var answers = 0
  }
  private let state = Mutex(State())

  func count(route: String, status: Int, seconds: Double) {
    state.withLock {
      $0.requests["route=\"\(route)\",status=\"\(status)\"", default: 0] += 1
      $0.times["ftf_request_duration_seconds", default: Histogram()].add(seconds)
    }
  }

  /// How many sentences a scan found something for.
  func add(shared count: Int) {
    state.withLock {
      $0.shared += count
      $0.answers += 1
    }
  }

  /// A part of an answer: queue, encode, recall, rerank.
  func add(_ part: String, milliseconds: Double) {
    state.withLock { $0.times["ftf_\(part)_duration_seconds", default: Histogram()].add(milliseconds / 1000) }
  }

  func text(inside: Int, images: Int) -> String {
    let state = state.withLock { $0 }
    var lines = ["# TYPE ftf_requests_total counter"]
    for (labels, count) in state.requests.sorted(by: { $0.key < $1.key }) { lines.append("ftf_requests_total{\(labels)} \(count)") }
    for (name, histogram) in state.times.sorted(by: { $0.key < $1.key }) {
      lines.append("# TYPE \(name) histogram")
      var sum = 0
      for (bound, count) in zip(Self.bounds, histogram.buckets) {
        sum += count
        lines.append("\(name)_bucket{le=\"\(bound)\"} \(sum)")
      }
      sum += histogram.buckets.last!
      lines.append("\(name)_bucket{le=\"+Inf\"} \(sum)")
      lines.append("\(name)_sum \(histogram.sum)")
      lines.append("\(name)_count \(sum)")
    }
    lines += ["# TYPE ftf_batch_size summary", "ftf_batch_size_sum \(state.shared)", "ftf_batch_size_count \(state.answers)"]
    lines += ["# TYPE ftf_requests_inside gauge", "ftf_requests_inside \(inside)", "# TYPE ftf_images gauge", "ftf_images \(images)"]
    return lines.joined(separator: "\n") + "\n"
  }
}
