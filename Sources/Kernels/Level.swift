import CFTFSIMD

/// An instruction-set level, from the one that every CPU runs upwards: the name of what a CPU may be held to. Which there are, and which kernels
/// each has, says `CSIMD/include/kernels.inc`.
package struct Level: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  let number: UInt32

  var code: csimd_level { csimd_level(rawValue: number) }
  package var rawValue: String { unsafe String(cString: csimd_level_name(code)) }
  package var description: String { rawValue }
  /// The instructions that it is named for.
  package var instructions: String { unsafe String(cString: csimd_level_instructions(code)) }

  private init(number: UInt32) { self.number = number }
  package static func < (a: Level, b: Level) -> Bool { a.number < b.number }
  init(_ code: csimd_level) { number = code.rawValue }

  package init?(rawValue: String) {
    guard let level = Self.all.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = level
  }

  /// Swift SIMD types; no instruction beyond the platform's baseline.
  package static let portable = Level(csimd_level_portable)

  /// Of every CPU, `portable` first, the later the better.
  package static let all = (0..<csimd_levels.rawValue).map { Level(number: $0) }

  /// Whether this CPU and operating system run kernels of the level.
  package var isAvailable: Bool { csimd_level_runs(code, csimd_features()) != 0 }

  /// The levels that this CPU runs, `portable` first.
  package static var available: [Level] { all.filter(\.isAvailable) }

  /// The level that is chosen when nobody asks for one. No CPU with AMX has run its tiles yet, so nobody knows how fast they are: they are taken by name
  /// alone.
  package static var best: Level { available.last { $0.rawValue != "amx" }! }
}

/// A kernel of the list.
package struct Kernel: Sendable {
  /// The operation's name, a field of `csimd_kernels`.
  package let operation: String
  package let level: Level
  /// Of its tile; 0 for the portable twins, which have none.
  package let rows: Int
  package let columns: Int

  /// Everything that is compiled in and that this CPU runs, the portable twins first.
  package static let all: [Kernel] = {
    let twins = (0..<csimd_operations.rawValue).map {
      unsafe Kernel(operation: String(cString: csimd_operation_name(csimd_operation(rawValue: $0))), level: .portable, rows: 0, columns: 0)
    }
    let listed = (0..<csimd_row_count()).map(csimd_row_at).filter { $0.needs & ~csimd_features() == 0 }
    return twins
      + listed.map {
        unsafe Kernel(operation: String(cString: csimd_operation_name($0.operation)), level: Level($0.level), rows: $0.rows, columns: $0.columns)
      }
  }()
}

/// A level that cannot be had.
package enum LevelError: Error, Equatable, CustomStringConvertible {
  case unknown(String)
  case unavailable(Level)

  package var description: String {
    let choices = Level.available.map(\.rawValue).joined(separator: ", ")
    return switch self {
    case .unknown(let name): "unknown level '\(name)'; this CPU runs \(choices)"
    case .unavailable(let level): "this CPU cannot run level '\(level.rawValue)' (\(level.instructions)); it runs \(choices)"
    }
  }
}
