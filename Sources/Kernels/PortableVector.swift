/// Sixteen floats: the portable twin of `f32x16` in CSIMD. Each function has the operations of the C one in their order,
/// so that every level gives the same bits.
typealias F32x16 = SIMD16<Float>

extension SIMD16<Float> {
  /// Elements 0..<count of `p`, zero in the lanes above; count is at most 16.
  @inline(__always)
  static func load(_ p: UnsafePointer<Float>, count: Int) -> Self {
    if count >= 16 { return unsafe UnsafeRawPointer(p).loadUnaligned(as: Self.self) }
    var v = Self()
    for i in 0..<count { v[i] = unsafe p[i] }
    return v
  }

  @inline(__always)
  func store(_ p: UnsafeMutablePointer<Float>, count: Int) {
    if count >= 16 {
      unsafe UnsafeMutableRawPointer(p).storeBytes(of: self, as: Self.self)
    } else {
      for i in 0..<count { unsafe p[i] = self[i] }
    }
  }

  /// Elements 0..<count of `p`, zero in the lanes above.
  @inline(__always)
  static func load(_ p: UnsafePointer<UInt8>, count: Int) -> Self { Self(unsafe SIMD16<Int32>.load(p, count: count)) }

  /// Clamped to [0, 255] and rounded half to even.
  @inline(__always)
  func storeUInt8(_ p: UnsafeMutablePointer<UInt8>, count: Int) {
    let codes = SIMD16<UInt8>(truncatingIfNeeded: larger(Self()).smaller(Self(repeating: 255)).integers())
    if count >= 16 {
      unsafe UnsafeMutableRawPointer(p).storeBytes(of: codes, as: SIMD16<UInt8>.self)
    } else {
      for i in 0..<count { unsafe p[i] = codes[i] }
    }
  }

  /// The lanes folded 8 + 8, 4 + 4, 2 + 2, 1 + 1.
  @inline(__always)
  func foldedSum() -> Float {
    let h = lowHalf + highHalf
    let q = h.lowHalf + h.highHalf
    return (q[0] + q[2]) + (q[1] + q[3])
  }

  @inline(__always)
  func foldedMax() -> Float {
    var most = self[0]
    for i in 1..<16 { most = most > self[i] ? most : self[i] }
    return most
  }

  @inline(__always)
  func larger(_ other: Self) -> Self { other.replacing(with: self, where: self .> other) }

  @inline(__always)
  func smaller(_ other: Self) -> Self { other.replacing(with: self, where: self .< other) }

  /// Lanes `count` and up become `value`.
  @inline(__always)
  func filled(from count: Int, with value: Float) -> Self {
    var v = self
    for i in count..<16 { v[i] = value }
    return v
  }

  @inline(__always)
  func magnitude() -> Self { Self(bitPattern: unsafe unsafeBitCast(self, to: SIMD16<UInt32>.self) & 0x7fff_ffff) }

  private init(bitPattern bits: SIMD16<UInt32>) { self = unsafe unsafeBitCast(bits, to: Self.self) }

  /// Rounded half to even, for magnitudes below 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
  @inline(__always)
  func rounded22() -> Self { (self + 12_582_912) - 12_582_912 }

  /// The integers of integral lanes below 2^22 in magnitude, read from the bits so that no value can trap.
  @inline(__always)
  func integers() -> SIMD16<Int32> {
    SIMD16<Int32>(truncatingIfNeeded: unsafe unsafeBitCast(self + 12_582_912, to: SIMD16<UInt32>.self) & 0x7f_ffff)
      &- 0x40_0000
  }

  /// exp(x), x clamped to [-87, 88].
  @inline(__always)
  func exponential() -> Self {
    let x = larger(Self(repeating: -87)).smaller(Self(repeating: 88))
    let n = (x * 0x1.715476p+0).rounded22()
    let r = (x - n * 0x1.63p-1) - n * -0x1.bd0106p-13
    var p = Self(repeating: 0x1.6d4366p-10)
    p = p * r + 0x1.120ba6p-7
    p = p * r + 0x1.5554e8p-5
    p = p * r + 0x1.5554dcp-3
    p = p * r + 0x1.0p-1
    let power = SIMD16<UInt32>(truncatingIfNeeded: n.integers() &+ 127) &<< 23
    return (1 + (r + (r * r) * p)) * Self(bitPattern: power)
  }

  /// x Phi(x).
  @inline(__always)
  func gelu() -> Self {
    let c = larger(Self(repeating: -5.25)).smaller(Self(repeating: 5.25))
    let s = (c * c) * 0x1.293726p-4 - 1
    var p = Self(repeating: -0x1.195ca0p-11)
    p = p * s + 0x1.7ab142p-10
    p = p * s + -0x1.6ed2fap-10
    p = p * s + 0x1.f2ba30p-10
    p = p * s + -0x1.4a0e6ap-8
    p = p * s + 0x1.281c38p-7
    p = p * s + -0x1.a9fcecp-7
    p = p * s + 0x1.2c8300p-6
    p = p * s + -0x1.9951e4p-6
    p = p * s + 0x1.06a4bcp-5
    p = p * s + -0x1.45cbaep-5
    p = p * s + 0x1.96af52p-5
    p = p * s + -0x1.12f35ap-4
    p = p * s + 0x1.13c84ap-3
    return self * (0.5 + c * p).larger(Self())
  }

  /// x / (1 + exp(-1.702 x)).
  @inline(__always)
  func quickGELU() -> Self { self / (1 + (self * -1.702).exponential()) }

  /// min(max(x, 0), 6).
  @inline(__always)
  func relu6() -> Self { larger(Self()).smaller(Self(repeating: 6)) }
}

extension SIMD16<Int32> {
  @inline(__always)
  static func load(_ p: UnsafePointer<UInt8>, count: Int) -> Self {
    if count >= 16 { return unsafe Self(truncatingIfNeeded: UnsafeRawPointer(p).loadUnaligned(as: SIMD16<UInt8>.self)) }
    var v = Self()
    for i in 0..<count { v[i] = unsafe Int32(p[i]) }
    return v
  }
}
