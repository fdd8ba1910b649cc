import CFTFSIMD
import FTFTestSupport
import Testing

@testable import FTFKernels

/// What the list of kernels says, and every tile that it names.
@Suite struct List {
  @Test func everyOperationIsTakenFromTheBestLevelThatTheFeaturesAllow() {
    func chosen(_ level: Level, _ features: UInt32) -> [csimd_level] {
      var (levels, table) = ([csimd_level](repeating: csimd_level_portable, count: Int(csimd_operations.rawValue)), Portable.kernels)
      unsafe csimd_choose(level.code, features, &table, &levels)
      return levels
    }
    let all = UInt32.max
    #expect(chosen(.portable, all).allSatisfy { $0 == csimd_level_portable })
    #expect(chosen(Level.all.last!, 0).allSatisfy { $0 == csimd_level_portable })
    for level in Level.all where (0..<csimd_row_count()).contains(where: { csimd_row_at($0).level == level.code }) {
      let levels = chosen(level, all)
      #expect(levels.allSatisfy { $0.rawValue <= level.number } && levels.contains(level.code), "level \(level)")
      // One that the features do not allow is passed over, whatever was asked for.
      #expect(!chosen(Level.all.last!, all & ~needs(of: level)).contains(level.code), "level \(level)")
    }
  }

  private func needs(of level: Level) -> UInt32 {
    (0..<csimd_row_count()).map(csimd_row_at).filter { $0.level == level.code }.reduce(0) { $0 | $1.needs }
  }

  /// Weights are packed by the level that reads them.
  @Test(arguments: Level.available) func weightsArePackedAsTheyAreRead(level: Level) throws {
    let origins = Dictionary(uniqueKeysWithValues: try KernelSet(level: level).kernels.map { ($0.operation, $0.level) })
    for (pack, readers) in [
      ("pack_s8", ["gemm_u8_f32", "gemm_u8_u8"]), ("pack_f32", ["gemm_f32"]), ("pack_depthwise", ["depthwise_u8"]),
    ] { for reader in readers { #expect(origins[pack] == origins[reader]) } }
  }

  @Test func cpusHaveWhatTheySayAndTheSystemKeeps() {
    let (ssse3, sse41, sse42, fma, avx): (UInt32, UInt32, UInt32, UInt32, UInt32) = (1 << 9, 1 << 19, 1 << 20, 1 << 12, 1 << 28)
    let old = ssse3 | sse41 | sse42
    let wide: UInt32 = 1 << 5 | 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31
    let (tiles, tileState): (UInt32, UInt64) = (1 << 24 | 1 << 25, 0x60000)
    var x = csimd_x86(
      leaf1_ecx: old | fma | avx, leaf7_ebx: wide, leaf7_ecx: 1 << 11, leaf7_edx: tiles, leaf7_1_eax: 1 << 4, xcr0: 0xe7 | tileState,
      tiles_permitted: 1)
    func levels(_ x: csimd_x86) -> [String] {
      let features = csimd_features_of_x86(x)
      return ["sse42", "avx2", "avxvnni", "avx512vnni", "amx"].filter { csimd_level_runs(Level(rawValue: $0)!.code, features) != 0 }
    }
    #if arch(x86_64)
    #expect(levels(x) == ["sse42", "avx2", "avxvnni", "avx512vnni", "amx"])
    // Tiles need the instructions for int8, a system that keeps both their states, and its permission.
    for without in [
      { $0.leaf7_edx = 1 << 24 }, { $0.xcr0 = 0xe7 | 1 << 17 }, { $0.xcr0 = 0xe7 | 1 << 18 }, { $0.tiles_permitted = 0 },
    ] as [(inout csimd_x86) -> Void] {
      var y = x
      without(&y)
      #expect(levels(y) == ["sse42", "avx2", "avxvnni", "avx512vnni"])
    }
    // A hypervisor that hides the dot products, a system that does not keep the registers, or none of their upper halves.
    x.leaf7_ecx = 0
    #expect(levels(x) == ["sse42", "avx2", "avxvnni"])
    x.leaf7_1_eax = 0
    #expect(levels(x) == ["sse42", "avx2"])
    (x.leaf7_ecx, x.xcr0) = (1 << 11, 0x7)
    #expect(levels(x) == ["sse42", "avx2"])
    x.xcr0 = 0
    #expect(levels(x) == ["sse42"])
    (x.leaf1_ecx, x.xcr0) = (old | avx, 0xe7)
    #expect(levels(x) == ["sse42"])
    x.leaf1_ecx = sse42 | fma | avx
    #expect(levels(x) == [])
    #endif
    #expect(csimd_features_of_arm(1 << 7 | 1 << 20, 1 << 13) == 0x700 && csimd_features_of_arm(0, 0) == 0)
  }

  /// As many rows as the tallest tile has and what is over, against every number of vectors that a panel can end with, operands that begin one
  /// element off and end with their last. Floats are small whole numbers, whose products are the same fused or not.
  @Test(arguments: Level.available.filter { $0 != .portable }) func productsAreThoseOfThePortableTwinsInEveryTile(level: Level) throws {
    let table = try KernelSet(level: level).table
    let panel = table.panel_s8
    let columns = (0..<panel / 16).flatMap { vectors in [1, 8, 16].map { panel + 16 * vectors + $0 } } + [1, 15, 16]
    for m in 1...33 {
      for n in columns {
        // Deep ones have tiles of their own.
        for k in (m + n) % 3 == 0 ? [1, 4, 31] : m % 6 == 1 ? [5, 517] : [5, 8] {
          let product = Product(m: m, n: n, k: k)
          #expect(product.results(table) == product.results(Portable.kernels), "\(m)x\(n)x\(k), level \(level)")
        }
      }
    }
  }

  private struct Product {
    let m: Int, n: Int, k: Int

    func results(_ table: csimd_kernels) -> [[Float]] {
      var random = SeededGenerator(seed: UInt64(m * 7919 + n * 31 + k))
      let lda = (k + 3) / 4 * 4
      let (a, w) = (AlignedBuffer(copying: random.bytes(m * lda + 1).span), random.codes(n * k))
      let (scale, bias) = (AlignedBuffer(copying: random.floats(n + 1).span), AlignedBuffer(copying: random.floats(n + 1).span))
      let residual = AlignedBuffer(copying: random.bytes(m * n + 1).span)
      func whole(_ count: Int) -> [Float] { random.bytes(count).map { Float($0 % 17) - 8 } }
      let (af, wf, rf) = (AlignedBuffer(copying: whole(m * k + 1).span), whole(n * k), AlignedBuffer(copying: whole(m * n + 1).span))
      let (panels, wides) = ((n + table.panel_s8 - 1) / table.panel_s8, (n + table.panel_f32 - 1) / table.panel_f32)
      let packed = AlignedBuffer<UInt8>(count: csimd_packed_bytes_s8(n, k, table.panel_s8), repeating: 0)
      unsafe table.pack_s8(n, k, w.span.address, packed.address)
      let sums = AlignedBuffer<Int32>(count: panels * table.panel_s8, repeating: 0)
      for row in 0..<n { sums[row] = (0..<k).reduce(0) { $0 + Int32(w[row * k + $1]) } }
      let floats = AlignedBuffer<Float>(count: wides * table.panel_f32 * k, repeating: 0)
      unsafe table.pack_f32(n, k, wf.span.address, floats.address)
      let product = unsafe csimd_product_u8(m: m, n: n, k: k, a: a.address + 1, lda: lda, a_zero: 117, w: packed.address, w_sum: sums.address)
      let (c8, c, cf) = (
        AlignedBuffer<UInt8>(count: m * n + 65, repeating: 77), AlignedBuffer<Float>(count: m * n + 17, repeating: 77),
        AlignedBuffer<Float>(count: m * n + 17, repeating: 77)
      )
      var small = unsafe csimd_gemm_u8_u8_args(
        product: product, scale: scale.address + 1, bias: bias.address + 1, residual: residual.address + 1, residual_scale: 0.3, c: c8.address + 1,
        c_row: nil)
      unsafe table.gemm_u8_u8(&small, 0, panels)
      var args = unsafe csimd_gemm_u8_f32_args(
        product: product, a_scale: nil, scale: scale.address + 1, bias: bias.address + 1, activation: csimd_activation_gelu,
        residual: rf.address + 1, ldr: n, c: c.address + 1, ldc: n)
      unsafe table.gemm_u8_f32(&args, 0, panels)
      var real = unsafe csimd_gemm_f32_args(
        m: m, n: n, k: k, a: af.address + 1, lda: k, w: floats.address, bias: rf.address, activation: csimd_activation_none, residual: rf.address + 1,
        ldr: n, c: cf.address + 1, ldc: n)
      unsafe table.gemm_f32(&real, 0, wides)
      return [c8.array.map(Float.init), c.array, cf.array]
    }
  }
}
