import FTFKernels
import FTFTestSupport
import Testing

/// Codes whose errors make up for each other, against the nearest ones.
@Suite struct CompensatedRounding {
  /// Inputs whose columns tell of each other, as activations do: f32[rows, k].
  private func inputs(_ rows: Int, _ k: Int, _ random: inout SeededGenerator) -> [Float] {
    let mixing = random.floats(k * k)
    return (0..<rows).flatMap { _ -> [Float] in
      let hidden = random.floats(max(1, k / 8))
      let noise = random.floats(k)
      return (0..<k).map { c in
        0.1 * noise[c] + hidden.indices.reduce(Float(0)) { $0 + hidden[$1] * mixing[c * k + $1] }
      }
    }
  }

  private func scales(_ w: [Float], _ n: Int) -> [Float] {
    let k = w.count / n
    return (0..<n).map { row in w[row * k..<(row + 1) * k].map(abs).max()! / 127 }
  }

  private func nearest(_ w: [Float], _ scales: [Float]) -> [Int8] {
    let k = w.count / scales.count
    return w.indices.map { scales[$0 / k] > 0 ? Int8((w[$0] / scales[$0 / k]).rounded(.toNearestOrEven)) : 0 }
  }

  /// |X (w - s q)|^2 over all rows of w.
  private func error(_ x: [Float], _ w: [Float], _ scales: [Float], _ codes: [Int8]) -> Double {
    let k = w.count / scales.count
    var sum = 0.0
    for row in scales.indices {
      let e = (0..<k).map { Double(w[row * k + $0]) - Double(scales[row]) * Double(codes[row * k + $0]) }
      for input in stride(from: 0, to: x.count, by: k) {
        let y = (0..<k).reduce(0.0) { $0 + Double(x[input + $1]) * e[$1] }
        sum += y * y
      }
    }
    return sum
  }

  /// Fewer and more columns than are rounded together, and no multiple of them.
  @Test(arguments: [5, 64, 150]) func outputsChangeFarLess(k: Int) throws {
    var random = SeededGenerator(seed: UInt64(k))
    let (n, rows) = (9, 600)
    let (x, w) = (inputs(rows, k, &random), random.floats(n * k) + [Float](repeating: 0, count: k))
    let scales = scales(w, n + 1)
    var first: [Int8]?
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let moments = SecondMoments(columns: k)
      let buffer = AlignedBuffer<Float>(copying: x.span)
      moments.add(buffer, rows: rows, with: kernels)
      #expect(moments.rows == rows)
      let codes = moments.codes(w, scales: scales, with: kernels)
      #expect(codes.suffix(k).allSatisfy { $0 == 0 }, "a row of zeros")
      let (ours, theirs) = (error(x, w, scales, codes), error(x, w, scales, nearest(w, scales)))
      #expect(ours < (k < 64 ? 0.8 : 0.4) * theirs, "\(level): \(ours), nearest \(theirs)")
      // Sums differ in their last bits from level to level, and a code in a thousand with them.
      let same = zip(codes, first ?? codes).filter { $0 == $1 }.count
      #expect(same >= codes.count * 99 / 100, "\(level)")
      first = codes
    }
  }

  @Test func inputsThatSayNothingOfEachOtherLeaveTheNearest() throws {
    var random = SeededGenerator(seed: 8)
    let (n, k) = (7, 70)
    let w = random.floats(n * k)
    let identity = AlignedBuffer<Float>(count: k * k, repeating: 0)
    for i in 0..<k { identity[i * k + i] = 1 }
    let kernels = try KernelSet(threads: 1)
    let moments = SecondMoments(columns: k)
    moments.add(identity, rows: k, with: kernels)
    let scales = scales(w, n)
    #expect(moments.codes(w, scales: scales, with: kernels) == nearest(w, scales))
  }

  @Test func scaledInputsAreThoseOfScaledColumns() throws {
    var random = SeededGenerator(seed: 9)
    let (n, k, rows) = (4, 33, 200)
    let (x, w) = (inputs(rows, k, &random), random.floats(n * k))
    let factors = random.floats(k).map { 0.5 + abs($0) }
    let kernels = try KernelSet(threads: 1)
    let (plain, scaled) = (SecondMoments(columns: k), SecondMoments(columns: k))
    plain.add(AlignedBuffer(copying: x.span), rows: rows, with: kernels)
    let multiplied = x.indices.map { x[$0] * factors[$0 % k] }
    scaled.add(AlignedBuffer(copying: multiplied.span), rows: rows, with: kernels)
    let scales = scales(w, n)
    let (a, b) = (
      plain.scaled(by: factors).codes(w, scales: scales, with: kernels), scaled.codes(w, scales: scales, with: kernels)
    )
    #expect(zip(a, b).filter { $0 == $1 }.count >= a.count * 98 / 100)
  }

  @Test(arguments: [3, 5], [1, 2]) func depthwiseOutputsChangeLess(kernel: Int, stride: Int) throws {
    var random = SeededGenerator(seed: UInt64(10 * kernel + stride))
    let (channels, side, taps) = (40, 14, kernel * kernel)
    let padding = SamePadding(size: side, kernel: kernel, stride: stride)
    let bordered = side + padding.before + padding.after
    // Smooth images, and a channel that is always zero.
    let x = AlignedBuffer<Float>(count: bordered * bordered * channels, repeating: 0)
    for y in 0..<side {
      for column in 0..<side {
        for c in 0..<channels - 1 {
          let wave = Float(2 + (y * (c % 7 + 1) / 3 + column / 2) % 5) + 0.2 * random.floats(1)[0]
          x[((y + padding.before) * bordered + column + padding.before) * channels + c] = wave
        }
      }
    }
    let w = random.floats(channels * taps)
    let scales = scales(w, channels)
    let moments = TapMoments(channels: channels, kernel: kernel, stride: stride)
    moments.add(x, side: side, with: try KernelSet(threads: 2))
    let codes = moments.codes(w, scales: scales, noise: 0)
    let other = nearest(w, scales)
    #expect(codes.suffix(taps).elementsEqual(other.suffix(taps)), "nothing was seen of this channel")
    func change(_ codes: [Int8]) -> Double {
      var sum = 0.0
      for c in 0..<channels - 1 {
        for row in 0..<padding.output {
          for column in 0..<padding.output {
            var y = 0.0
            for tap in 0..<taps {
              let at = ((row * stride + tap / kernel) * bordered + column * stride + tap % kernel) * channels + c
              y += Double(x[at]) * (Double(w[c * taps + tap]) - Double(scales[c]) * Double(codes[c * taps + tap]))
            }
            sum += y * y
          }
        }
      }
      return sum
    }
    #expect(change(codes) < 0.9 * change(other))
  }
}
