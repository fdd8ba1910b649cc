import CSIMD

/// An instruction-set level, from the one that every CPU runs upwards.
package enum Level: String, CaseIterable, Sendable {
  /// Swift SIMD types; no instruction beyond the platform's baseline.
  case portable
  /// SSSE3, SSE4.1 and SSE4.2.
  case sse42
  /// AVX2 and FMA.
  case avx2
  /// AVX2, FMA and AVX-VNNI.
  case avxvnni
  /// AVX-512 F, BW, DQ, VL and VNNI.
  case avx512vnni
  /// What every 64-bit Arm CPU has, and CRC32.
  case neon
  /// And the dot products of Armv8.2.
  case neondot

  var code: csimd_level {
    switch self {
    case .portable: csimd_level_portable
    case .sse42: csimd_level_sse42
    case .avx2: csimd_level_avx2
    case .avxvnni: csimd_level_avxvnni
    case .avx512vnni: csimd_level_avx512vnni
    case .neon: csimd_level_neon
    case .neondot: csimd_level_neondot
    }
  }

  /// Whether this CPU and operating system run the level.
  package var isAvailable: Bool {
    let kernels = unsafe csimd_kernels_of(code)
    return unsafe self == .portable || kernels != nil
  }

  /// The levels that this CPU runs, `portable` first.
  package static var available: [Level] { allCases.filter(\.isAvailable) }

  /// The level that is chosen when nobody asks for one.
  package static var best: Level {
    let code = csimd_best_level()
    return allCases.first { $0.code == code } ?? .portable
  }
}

/// A level that cannot be had.
package enum LevelError: Error, Equatable, CustomStringConvertible {
  case unknown(String)
  case unavailable(Level)

  package var description: String {
    let choices = Level.available.map(\.rawValue).joined(separator: ", ")
    return switch self {
    case .unknown(let name): "unknown level '\(name)'; this CPU runs \(choices)"
    case .unavailable(let level): "this CPU cannot run level '\(level.rawValue)'; it runs \(choices)"
    }
  }
}
