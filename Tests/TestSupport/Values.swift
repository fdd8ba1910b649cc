import FTFKernels

extension SeededGenerator {
  /// Floats in -limit..<limit.
  package mutating func floats(_ count: Int, limit: Float = 1) -> [Float] {
    (0..<count).map { _ in Float.random(in: -limit..<limit, using: &self) }
  }

  /// Codes in -127...127, the ends often.
  package mutating func codes(_ count: Int) -> [Int8] {
    (0..<count).map { _ in
      switch next() % 8 {
      case 0: -127
      case 1: 127
      case 2: 0
      default: Int8.random(in: -127...127, using: &self)
      }
    }
  }

  /// Bytes in 0...255, the ends often.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in
      switch next() % 8 {
      case 0: 0
      case 1: 255
      default: UInt8.random(in: 0...255, using: &self)
      }
    }
  }
}

extension AlignedBuffer {
  package var array: [Element] { (0..<count).map { self[$0] } }
}

/// clamp(round-half-even(sum * multiplier + offset)): how every level makes a code of an exact sum.
package func requantized(_ sum: Int32, _ multiplier: Float, _ offset: Float) -> UInt8 {
  UInt8(min(max(Float(sum) * multiplier + offset, 0), 255).rounded(.toNearestOrEven))
}
