#if Serve
import CoreMetrics
import FTFFiles
import Foundation
import Synchronization

/// What the service counts. The libraries below it count to the same registry once it is the process's.
final class ServiceMetrics: Sendable {
  let registry = MetricsRegistry()
  private let request: CoreMetrics.Timer
  private let parts: [String: CoreMetrics.Timer]
  private let shared: Recorder

  init() {
    let registry = registry
    request = CoreMetrics.Timer(label: "ftf_request_duration", dimensions: [], factory: registry)
    let names = ["queue", "encode", "recall", "rerank"]
    parts = Dictionary(
      uniqueKeysWithValues: names.map { ($0, CoreMetrics.Timer(label: "ftf_\($0)_duration", dimensions: [], factory: registry)) })
    shared = Recorder(label: "ftf_batch_size", dimensions: [], aggregate: true, factory: registry)
  }

  func count(route: String, status: Int, seconds: Double) {
    Counter(label: "ftf_requests", dimensions: [("route", route), ("status", "\(status)")], factory: registry).increment()
    request.recordNanoseconds(Int64(seconds * 1e9))
  }

  /// How many sentences a scan found something for.
  func add(shared count: Int) { shared.record(count) }

  /// A part of an answer: queue, encode, recall, rerank.
  func add(_ part: String, milliseconds: Double) { parts[part]?.recordNanoseconds(Int64(milliseconds * 1e6)) }

  /// - Parameters:
  ///   - inside: requests that are in the house, and those of them that search.
  ///   - images: of all indexes.
  func text(inside: (all: Int, searches: Int), images: Int) -> String {
    for (label, value) in Self.process { Meter(label: label, dimensions: [], factory: registry).set(value) }
    let cpu = Double(clock()) / Double(CLOCKS_PER_SEC)
    registry.total("process_cpu_seconds_total", cpu)
    for (label, value) in [("ftf_requests_inside", inside.all), ("ftf_searches_inside", inside.searches), ("ftf_images", images)] {
      Meter(label: label, dimensions: [], factory: registry).set(value)
    }
    return registry.text
  }
}

extension ServiceMetrics {
  /// What Prometheus' own clients say of a process.
  private static var process: [(String, Double)] {
    let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").map { Double($0) ?? 0 } ?? []
    let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
    var limit = rlimit()
    _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return [
      ("process_virtual_memory_bytes", (statm.first ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE)))),
      ("process_resident_memory_bytes", (statm.dropFirst().first ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE)))),
      ("process_open_fds", Double(open)), ("process_max_fds", Double(limit.rlim_cur)), ("process_start_time_seconds", started),
    ]
  }

  private static let started = Date().timeIntervalSince1970 - ProcessInfo.processInfo.systemUptime + bootSeconds

  /// Seconds after the machine's start at which this process began.
  private static var bootSeconds: Double {
    let stat = (try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8)) ?? ""
    let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 19 ? (Double(fields[19]) ?? 0) / Double(sysconf(Int32(_SC_CLK_TCK))) : ProcessInfo.processInfo.systemUptime
  }

  /// What each series tells, for people.
  fileprivate static let help: [String: String] = [
    "ftf_requests_total": "Requests that were answered, by route and status.",
    "ftf_request_duration_seconds": "Time from a request's head to its answer.",
    "ftf_queue_duration_seconds": "Time that searches waited for threads.", "ftf_encode_duration_seconds": "Time to encode a query.",
    "ftf_recall_duration_seconds": "Time to go through the index.", "ftf_rerank_duration_seconds": "Time to rerank the candidates.",
    "ftf_batch_size": "Sentences that were answered by one scan.", "ftf_requests_inside": "Requests that are being answered.",
    "ftf_searches_inside": "Searches that are being answered.", "ftf_images": "Images of all indexes.",
    "process_cpu_seconds_total": "CPU time of the process.", "process_virtual_memory_bytes": "Virtual memory of the process.",
    "process_resident_memory_bytes": "Resident memory of the process.", "process_open_fds": "Open files.", "process_max_fds": "The most open files.",
    "process_start_time_seconds": "When the process began, since 1970.",
  ]
}

/// swift-metrics' counters, meters, recorders and timers, as Prometheus reads them (text format 0.0.4). What has the same name and
/// dimensions is one series, which stays.
final class MetricsRegistry: MetricsFactory, Sendable {
  private let series = Mutex<[String: Series]>([:])

  private func series(_ label: String, _ ending: String, _ dimensions: [(String, String)], _ kind: Series.Kind) -> Series {
    let name = Series.name(label, ending)
    let labels = dimensions.map { "\(Series.name($0, ""))=\"\(Series.escaped($1))\"" }.joined(separator: ",")
    return series.withLock { all in
      let key = "\(name){\(labels)}"
      if let known = all[key] { return known }
      let made = Series(name, labels, kind)
      all[key] = made
      return made
    }
  }

  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { series(label, "_total", dimensions, .counter) }
  func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { series(label, "", dimensions, .gauge) }
  func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    series(label, "", dimensions, aggregate ? .histogram(Series.powers) : .gauge)
  }
  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    series(label, "_seconds", dimensions, .histogram(Series.seconds))
  }

  /// A counter that somebody else counts.
  func total(_ name: String, _ value: Double) { series(name, "", [], .counter).set(value) }

  func destroyCounter(_ handler: any CounterHandler) {}
  func destroyMeter(_ handler: any MeterHandler) {}
  func destroyRecorder(_ handler: any RecorderHandler) {}
  func destroyTimer(_ handler: any TimerHandler) {}

  /// All series, those of a name together.
  var text: String {
    let all = series.withLock { $0.values.sorted { ($0.name, $0.labels) < ($1.name, $1.labels) } }
    var lines: [String] = []
    for (i, one) in all.enumerated() {
      if i == 0 || all[i - 1].name != one.name {
        lines.append("# HELP \(one.name) \(ServiceMetrics.help[one.name] ?? "Of a library below the service.")")
        lines.append("# TYPE \(one.name) \(one.kind.name)")
      }
      lines += one.lines
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// One series of numbers, whatever it is counted by.
private final class Series: CounterHandler, MeterHandler, RecorderHandler, TimerHandler, Sendable {
  enum Kind {
    case counter, gauge
    /// With the upper bounds of its buckets.
    case histogram([Double])

    var name: String {
      switch self {
      case .counter: "counter"
      case .gauge: "gauge"
      case .histogram: "histogram"
      }
    }

    var bounds: [Double] { if case .histogram(let bounds) = self { bounds } else { [] } }
  }

  static let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  static let powers: [Double] = [1, 2, 4, 8, 16, 32, 64, 128]

  let name: String
  let labels: String
  let kind: Kind

  private struct State {
    /// The value, or the sum of what a histogram was told.
    var value = 0.0
    var buckets: [Int]
  }
  private let state: Mutex<State>

  init(_ name: String, _ labels: String, _ kind: Kind) {
    (self.name, self.labels, self.kind) = (name, labels, kind)
    state = Mutex(State(buckets: [Int](repeating: 0, count: kind.bounds.count + 1)))
  }

  /// A name as Prometheus has them.
  static func name(_ label: String, _ ending: String) -> String {
    let plain = label.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "_" }.joined()
    return plain.hasSuffix(ending) ? plain : plain + ending
  }

  static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }

  private func change(_ body: (inout Double) -> Void) { state.withLock { body(&$0.value) } }

  func increment(by amount: Int64) { change { $0 += Double(amount) } }
  func increment(by amount: Double) { change { $0 += amount } }
  func decrement(by amount: Double) { change { $0 -= amount } }
  func reset() { change { $0 = 0 } }
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { change { $0 = value } }
  func record(_ value: Int64) { record(Double(value)) }
  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

  func record(_ value: Double) {
    guard case .histogram(let bounds) = kind else { return set(value) }
    state.withLock {
      $0.buckets[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
      $0.value += value
    }
  }

  var lines: [String] {
    let state = state.withLock { $0 }
    let braces = labels.isEmpty ? "" : "{\(labels)}"
    guard case .histogram(let bounds) = kind else { return ["\(name)\(braces) \(Self.number(state.value))"] }
    var (lines, sum) = ([String](), 0)
    for (bound, count) in zip(bounds.map(Self.number) + ["+Inf"], state.buckets) {
      sum += count
      lines.append("\(name)_bucket{\(labels.isEmpty ? "" : labels + ",")le=\"\(bound)\"} \(sum)")
    }
    return lines + ["\(name)_sum\(braces) \(Self.number(state.value))", "\(name)_count\(braces) \(sum)"]
  }

  private static func number(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
}
#endif
