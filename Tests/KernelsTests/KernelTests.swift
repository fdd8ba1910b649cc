import Foundation
import FTFKernels
import FTFTestSupport
import Testing

/// Every level that this CPU runs, called directly.
let levels = Level.available

@Test func theRunExercisesMoreThanThePortableLevel() {
  #if arch(x86_64)
  #expect(levels.count > 1, "this CPU runs no SIMD level: the run proves less than it should")
  #endif
}

@Test func anUnknownLevelIsAnErrorThatNamesTheOthers() {
  #expect(throws: LevelError.unknown("sse9")) { try KernelSet(levelName: "sse9", threads: 1) }
  #expect("\(LevelError.unknown("sse9"))".contains("portable"))
}

struct Shape: CustomStringConvertible, Sendable {
  var m: Int
  var n: Int
  var k: Int
  var description: String { "\(m)x\(n)x\(k)" }
}

let shapes =
  [1, 2, 3, 5, 6, 7, 13, 49].map { Shape(m: $0, n: 65, k: 28) }
  + [1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129].map { Shape(m: 5, n: $0, k: 33) }
  + [1, 2, 3, 4, 5, 8, 15, 27, 64, 127, 1280].map { Shape(m: 7, n: 24, k: $0) }

@Suite struct Products {
  @Test(arguments: shapes) func quantizedConvolutionIsExactOnEveryLevel(shape: Shape) throws {
    var random = SeededGenerator(seed: UInt64(shape.m * 7919 + shape.n * 31 + shape.k))
    let (m, n, k) = (shape.m, shape.n, shape.k)
    let lda = (k + 3) / 4 * 4
    let (x, w, residual) = (random.bytes(m * lda), random.codes(n * k), random.bytes(m * n))
    let scales = random.floats(n).map { abs($0) / Float(k) }
    let bias = random.floats(n)
    let input = ActivationScale(scale: 0.02, zero: 117)
    let output = ActivationScale(scale: 0.013, zero: 101)
    let added = ActivationScale(scale: 0.007, zero: 99)
    for level in levels {
      for threads in [1, 2] {
        let kernels = try KernelSet(level: level, threads: threads)
        let layer = QuantizedConvolution(
          codes: w.span, scales: scales.span, bias: bias.span, inputs: k, input: input, output: output,
          residual: added, for: kernels)
        let y = AlignedBuffer<UInt8>(count: m * n + 64, repeating: 77)
        kernels.convolve(
          layer, AlignedBuffer(copying: x.span), rows: m, residual: AlignedBuffer(copying: residual.span), into: y)
        let inverse = 1 / output.scale
        var wrong = 0
        for row in 0..<m {
          for column in 0..<n {
            var sum: Int32 = 0
            for i in 0..<k { sum += (Int32(x[row * lda + i]) - Int32(input.zero)) * Int32(w[column * k + i]) }
            let offset = bias[column] / output.scale + (Float(output.zero) - added.scale * inverse * Float(added.zero))
            let value = Float(sum) * (scales[column] * input.scale / output.scale) + offset
            let all = value + Float(residual[row * n + column]) * (added.scale * inverse)
            if y[row * n + column] != UInt8(min(max(all, 0), 255).rounded(.toNearestOrEven)) { wrong += 1 }
          }
        }
        #expect(wrong == 0, "level \(level), seed \(random.seed)")
        #expect(y.array[(m * n)...].allSatisfy { $0 == 77 }, "level \(level) wrote past its output")
      }
    }
  }

  @Test(arguments: [Int8(-127), 127]) func sumsAreExactAtTheLimitsOfTheOperands(weight: Int8) throws {
    let (m, n, k) = (7, 33, 65536)
    for (value, zero) in [(UInt8(255), 0), (0, 255), (255, 128)] {
      let x = [UInt8](repeating: value, count: m * k)
      let w = [Int8](repeating: weight, count: n * k)
      let sum = Int64(k) * (Int64(value) - Int64(zero)) * Int64(weight)
      for level in levels {
        let kernels = try KernelSet(level: level)
        let layer = LinearLayer(
          codes: w.span, scales: [Float](repeating: 1, count: n).span, bias: [Float](repeating: 0, count: n).span,
          inputs: k, for: kernels)
        let y = AlignedBuffer<Float>(count: m * n, repeating: 0)
        let room = QuantizedRows(rows: m, columns: k)
        kernels.linear(
          layer, codes: AlignedBuffer(copying: x.span), scale: 1, zero: zero, rows: m, quantized: room, into: y)
        #expect(y.array.allSatisfy { $0 == Float(sum) }, "level \(level)")
      }
    }
  }

  @Test(arguments: shapes) func int8LayersGiveTheSameBitsOnEveryLevel(shape: Shape) throws {
    // Every other shape with its input's columns multiplied before they are quantised.
    var random = SeededGenerator(seed: UInt64(shape.m + shape.n * 131 + shape.k * 17))
    let (m, n, k) = (shape.m, shape.n, shape.k)
    var x = random.floats(m * k, limit: 3)
    for i in 0..<k { x[i] = 0 }  // a row of zeros
    let (w, scales, bias) = (random.codes(n * k), random.floats(n).map(abs), random.floats(n))
    let columns = shape.n % 2 == 0 ? nil : random.floats(k).map { abs($0) + 0.1 }
    var expected: [Float]?
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let layer = LinearLayer(
        codes: w.span, scales: scales.span, bias: bias.span, columns: columns.map { AlignedBuffer(copying: $0.span) },
        inputs: k, for: kernels)
      let room = QuantizedRows(rows: m, columns: k)
      let y = AlignedBuffer<Float>(count: m * n, repeating: 0.5)
      kernels.linear(
        layer, AlignedBuffer(copying: x.span), rows: m, activation: shape.n % 2 == 0 ? .gelu : .quickGELU, adding: true,
        quantized: room, into: y)
      let result = y.array
      #expect(result == expected ?? result, "level \(level), seed \(random.seed)")
      expected = result
    }
    // Codes of a row as the formula has them, and their exact sum.
    for row in 1..<m {
      let values = (0..<k).map { x[row * k + $0] * (columns?[$0] ?? 1) }
      let most = values.reduce(0) { max($0, abs($1)) }
      let codes = values.map { Int32(($0 * (127 / most)).rounded(.toNearestOrEven)) }
      for column in 0..<n {
        var sum: Int32 = 0
        for i in 0..<k { sum += codes[i] * Int32(w[column * k + i]) }
        let value = Double(most / 127) * Double(scales[column]) * Double(sum) + Double(bias[column])
        let activated =
          shape.n % 2 == 0 ? value * 0.5 * erfc(-value / 2.0.squareRoot()) : value / (1 + exp(-1.702 * value))
        let found = Double(expected![row * n + column]) - 0.5
        // The activations are within 1.2e-6, and a few roundings of the value.
        #expect(abs(found - activated) <= 2e-6 + 1e-6 * abs(value), "row \(row), column \(column), seed \(random.seed)")
      }
    }
  }

  @Test(arguments: shapes) func floatLayersStayWithinTheErrorOfTheirSums(shape: Shape) throws {
    var random = SeededGenerator(seed: UInt64(shape.m * 3 + shape.n * 5 + shape.k * 7))
    let (m, n, k) = (shape.m, shape.n, shape.k)
    let (x, w, bias) = (random.floats(m * k), random.floats(n * k), random.floats(n))
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let layer = LinearLayer(weights: w.span, bias: bias.span, inputs: k, for: kernels)
      let room = QuantizedRows(rows: 0, columns: 0)
      let y = AlignedBuffer<Float>(count: m * n, repeating: 0)
      kernels.linear(layer, AlignedBuffer(copying: x.span), rows: m, activation: .relu6, quantized: room, into: y)
      var worst: Double = 0
      for row in 0..<m {
        for column in 0..<n {
          var sum = Double(bias[column])
          var magnitude = abs(sum)
          for i in 0..<k {
            let product = Double(x[row * k + i]) * Double(w[column * k + i])
            sum += product
            magnitude += abs(product)
          }
          // k + 1 roundings of partial sums no larger than the sum of magnitudes.
          let bound = Double(k + 2) * Double(Float.ulpOfOne) * magnitude
          worst = max(worst, abs(Double(y[row * n + column]) - min(max(sum, 0), 6)) / max(bound, 1e-30))
        }
      }
      #expect(worst <= 1, "level \(level), seed \(random.seed)")
    }
  }
}

struct Window: CustomStringConvertible, Sendable {
  var side: Int
  var channels: Int
  var kernel: Int
  var stride: Int
  var description: String { "\(side)x\(side)x\(channels), kernel \(kernel), stride \(stride)" }
}

let windows = [(3, 1), (3, 2), (5, 1), (5, 2)].flatMap { kernel, stride in
  [(1, 16), (2, 17), (5, 8), (7, 33), (8, 48), (14, 15), (13, 64), (6, 113), (9, 96), (4, 145)].map {
    Window(side: $0, channels: $1, kernel: kernel, stride: stride)
  }
}

@Test func whatMayLeave32BitsIsNotBounded() throws {
  let kernels = try KernelSet()
  let codes = [Int8](repeating: 1, count: 16)
  // 4 inputs, 255 each, by 127: 129,540 times the scale.
  for (scale, bias, isBounded) in [(8000, 0, true), (9000, 0, false), (1, 1e9, true), (1, -1.1e9, false), (.nan, 0, false), (1, .infinity, false)]
    as [(Float, Float, Bool)]
  {
    var (scales, biases) = ([Float](repeating: 1, count: 4), [Float](repeating: 0, count: 4))
    (scales[2], biases[2]) = (scale, bias)
    let one = ActivationScale(scale: 1, zero: 0)
    let layer = QuantizedConvolution(
      codes: codes.span, scales: scales.span, bias: biases.span, inputs: 4, input: one, output: one, residual: nil, for: kernels)
    #expect(layer.isBounded == isBounded, "\(scale), \(bias)")
  }
  let taps = [Int8](repeating: 1, count: 9)
  for (bias, isBounded) in [(1e6, true), (1e8, false)] as [(Float, Bool)] {
    let layer = DepthwiseConvolution(codes: taps.span, scales: [Float(1)].span, bias: [bias].span, kernel: 3, stride: 1, for: kernels)
    #expect(layer.isBounded == isBounded)
  }
}

@Suite struct Windows {
  /// Of images whose border is before, behind, on both sides, and smaller than a window; whole and a strip at a time.
  @Test(arguments: [1, 2, 3, 4, 5, 8, 15, 32]) func unrolledAreThoseOfAPlainLoop(side: Int) throws {
    let kernels = try KernelSet(threads: 2)
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
      var random = SeededGenerator(seed: UInt64(side * 100 + kernel * 10 + stride))
      let image = random.bytes(side * side * 3)
      let (padding, columns) = (SamePadding(size: side, kernel: kernel, stride: stride), kernel * kernel * 3 + 1)
      let output = padding.output
      let expected = (0..<output * output * columns).map { i -> UInt8 in
        let (window, tap) = (i / columns, i % columns)
        guard tap < columns - 1 else { return 77 }
        let y = window / output * stride + tap / (kernel * 3) - padding.before
        let x = window % output * stride + tap / 3 % kernel - padding.before
        return (0..<side).contains(y) && (0..<side).contains(x) ? image[(y * side + x) * 3 + tap % 3] : 9
      }
      func unrolled(_ parts: [Range<Int>?]) -> [UInt8] {
        let y = AlignedBuffer<UInt8>(count: expected.count, repeating: 77)
        for part in parts {
          kernels.unroll(
            AlignedBuffer(copying: image.span), side: side, kernel: kernel, stride: stride, columns: columns, border: 9, into: y, part: part)
        }
        return y.array
      }
      #expect(unrolled([nil]) == expected && unrolled([output / 2..<output, 0..<output / 2]) == expected, "\(kernel), \(stride)")
    }
  }
}

@Suite struct Depthwise {
  @Test(arguments: windows) func int8IsExactOnEveryLevel(window: Window) throws {
    var random = SeededGenerator(seed: UInt64(window.side * 1000 + window.channels * 10 + window.kernel))
    let (side, c, k) = (window.side, window.channels, window.kernel)
    let padding = SamePadding(size: side, kernel: k, stride: window.stride)
    let bordered = side + padding.before + padding.after
    let (image, w) = (random.bytes(side * side * c), random.codes(c * k * k))
    let (scales, bias) = (random.floats(c).map { abs($0) / 100 }, random.floats(c))
    let factor = ActivationScale.relu6.scale
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let layer = DepthwiseConvolution(
        codes: w.span, scales: scales.span, bias: bias.span, kernel: k, stride: window.stride, for: kernels)
      let x = AlignedBuffer<UInt8>(count: bordered * bordered * c, repeating: 0)
      kernels.copyInside(AlignedBuffer(copying: image.span), side: side, channels: c, padding: padding, into: x)
      let room = padding.output * padding.output * c
      let y = AlignedBuffer<UInt8>(count: room + 64, repeating: 77)
      kernels.depthwise(layer, x, side: side, into: y)
      var wrong = 0
      for row in 0..<padding.output {
        for column in 0..<padding.output {
          for channel in 0..<c {
            var sum: Int32 = 0
            for i in 0..<k {
              for j in 0..<k {
                let (py, px) = (row * window.stride + i - padding.before, column * window.stride + j - padding.before)
                guard py >= 0, py < side, px >= 0, px < side else { continue }
                sum += Int32(image[(py * side + px) * c + channel]) * Int32(w[channel * k * k + i * k + j])
              }
            }
            let expected = requantized(sum, scales[channel] * factor / factor, bias[channel] / factor)
            if y[(row * padding.output + column) * c + channel] != expected { wrong += 1 }
          }
        }
      }
      #expect(wrong == 0, "level \(level), seed \(random.seed)")
      #expect(y.array[room...].allSatisfy { $0 == 77 }, "level \(level) wrote past its output")
    }
  }

  @Test(arguments: windows) func floatsAgreeWithAPlainLoop(window: Window) throws {
    var random = SeededGenerator(seed: UInt64(window.side * 7 + window.channels * 3 + window.kernel))
    let (side, c, k) = (window.side, window.channels, window.kernel)
    let padding = SamePadding(size: side, kernel: k, stride: window.stride)
    let bordered = side + padding.before + padding.after
    let (image, w, bias) = (random.floats(side * side * c), random.floats(c * k * k), random.floats(c))
    for level in levels {
      let kernels = try KernelSet(level: level)
      let layer = DepthwiseConvolution(weights: w.span, bias: bias.span, kernel: k, stride: window.stride)
      let x = AlignedBuffer<Float>(count: bordered * bordered * c, repeating: 9)
      kernels.fillBorder(of: x, side: side, channels: c, padding: padding, byte: 0)
      kernels.copyInside(AlignedBuffer(copying: image.span), side: side, channels: c, padding: padding, into: x)
      let y = AlignedBuffer<Float>(count: padding.output * padding.output * c, repeating: 0)
      kernels.depthwise(layer, x, side: side, into: y)
      var worst: Double = 0
      for row in 0..<padding.output {
        for column in 0..<padding.output {
          for channel in 0..<c {
            var sum = Double(bias[channel])
            for i in 0..<k {
              for j in 0..<k {
                let (py, px) = (row * window.stride + i - padding.before, column * window.stride + j - padding.before)
                guard py >= 0, py < side, px >= 0, px < side else { continue }
                sum += Double(image[(py * side + px) * c + channel]) * Double(w[channel * k * k + i * k + j])
              }
            }
            let found = Double(y[(row * padding.output + column) * c + channel])
            worst = max(worst, abs(found - min(max(sum, 0), 6)))
          }
        }
      }
      // At most 26 roundings of sums below 26.
      #expect(worst <= 26 * 26 * Double(Float.ulpOfOne), "level \(level), seed \(random.seed)")
    }
  }
}

@Suite struct RowKernels {
  @Test(arguments: [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 49, 64, 65, 127, 129, 384])
  func quantizingNormalisingAndDotsGiveTheSameBitsOnEveryLevel(width: Int) throws {
    var random = SeededGenerator(seed: UInt64(width))
    let rows = 5
    var x = random.floats(rows * width, limit: 4)
    for i in 0..<width { x[i] = 0 }
    let (weight, bias, t) = (random.floats(width), random.floats(width), random.codes(6 * width))
    let tScales = random.floats(6).map(abs)
    var expected: [[Float]]?
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let codes = AlignedBuffer<Int8>(count: rows * width, repeating: 0)
      let scales = AlignedBuffer<Float>(count: rows, repeating: 0)
      kernels.quantizeRows(x.span, rows: rows, columns: width, codes: codes, scales: scales)
      let normed = AlignedBuffer<Float>(copying: x.span)
      kernels.layerNorm(
        normed, rows: rows, weight: AlignedBuffer(copying: weight.span), bias: AlignedBuffer(copying: bias.span),
        epsilon: 1e-5, into: normed)
      let unit = AlignedBuffer<Float>(copying: x.span)
      kernels.l2Normalize(unit, rows: rows, columns: width)
      let dots = AlignedBuffer<Float>(count: 6 * rows, repeating: 0)
      kernels.dots(
        Rows(codes: codes.span, scales: scales.span, dimension: width),
        Rows(codes: t.span, scales: tScales.span, dimension: width), into: dots)
      for row in 0..<rows {
        for q in 0..<6 {
          var sum: Int32 = 0
          for i in 0..<width { sum += Int32(codes[row * width + i]) * Int32(t[q * width + i]) }
          #expect(dots[q * rows + row] == (tScales[q] * scales[row]) * Float(sum))
        }
      }
      let floats = AlignedBuffer<Float>(count: rows, repeating: 0)
      kernels.dots(Rows(x.span, dimension: width), Rows(weight.span, dimension: width), into: floats)
      #expect(codes.array[..<width].allSatisfy { $0 == 0 } && scales[0] == 0)
      let result = [codes.array.map(Float.init), scales.array, normed.array, unit.array, dots.array, floats.array]
      #expect(result == expected ?? result, "level \(level)")
      expected = result
    }
  }

  @Test(arguments: [(1, 32), (5, 32), (6, 32), (7, 12), (12, 64), (17, 32), (64, 16), (65, 33), (70, 48)], [false, true])
  func attentionIsSoftmaxOfScoresTimesValuesAndTheSameOnEveryLevel(shape: (Int, Int), causal: Bool) throws {
    let (tokens, headWidth) = shape
    var random = SeededGenerator(seed: UInt64(tokens))
    let (heads, first) = (3, 2)
    let width = heads * headWidth
    let rows = first + tokens
    let qkv = random.floats(rows * 3 * width)
    var expected: [Float]?
    for level in levels {
      let kernels = try KernelSet(level: level, threads: 2)
      let room = kernels.attentionScratch(tokens: max(first, tokens), headWidth: headWidth)
      // What is there counts for nothing.
      let scratch = AlignedBuffer<Float>(count: room, repeating: .nan)
      let y = AlignedBuffer<Float>(count: rows * width, repeating: .nan)
      kernels.attention(
        qkv: AlignedBuffer(copying: qkv.span), starts: [0, first, rows], heads: heads, width: width, causal: causal,
        scratch: scratch, into: y)
      let result = y.array
      #expect(result == expected ?? result, "level \(level)")
      expected = result
    }
    for row in first..<rows {
      for h in 0..<heads {
        let end = causal ? row + 1 : rows
        let scores = (first..<end).map { j in
          (0..<headWidth).reduce(0.0) {
            $0 + Double(qkv[row * 3 * width + h * headWidth + $1])
              * Double(qkv[j * 3 * width + width + h * headWidth + $1])
          } / Double(headWidth).squareRoot()
        }
        let most = scores.max()!
        let powers = scores.map { exp($0 - most) }
        let total = powers.reduce(0, +)
        for i in 0..<headWidth {
          let value = zip(first..<end, powers).reduce(0.0) {
            $0 + $1.1 / total * Double(qkv[$1.0 * 3 * width + 2 * width + h * headWidth + i])
          }
          #expect(abs(Double(expected![row * width + h * headWidth + i]) - value) < 3e-6)
        }
      }
    }
  }

  /// Tiles of four rows by up to four queries, and all that is left of them.
  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 49], [1, 2, 3, 4, 5, 6, 7, 12, 17, 33])
  func dotsOfCodesAreExactInEveryTile(rows: Int, queries: Int) throws {
    var random = SeededGenerator(seed: UInt64(rows * 100 + queries))
    for width in [1, 31, 32, 33, 63, 64, 65, 96, 129] {
      let (a, b) = (random.codes(rows * width), random.codes(queries * width))
      let (aScales, bScales) = (random.floats(rows), random.floats(queries))
      for level in levels {
        let kernels = try KernelSet(level: level)
        let dots = AlignedBuffer<Float>(count: rows * queries + 16, repeating: 77)
        kernels.dots(
          Rows(codes: a.span, scales: aScales.span, dimension: width),
          Rows(codes: b.span, scales: bScales.span, dimension: width), ahead: a.span.memory, into: dots, at: 1)
        var wrong = 0
        for row in 0..<rows {
          for q in 0..<queries {
            var sum: Int32 = 0
            for i in 0..<width { sum += Int32(a[row * width + i]) * Int32(b[q * width + i]) }
            if dots[1 + q * rows + row] != (bScales[q] * aScales[row]) * Float(sum) { wrong += 1 }
          }
        }
        #expect(wrong == 0, "level \(level), width \(width), seed \(random.seed)")
        #expect(dots[0] == 77 && dots.array[(1 + rows * queries)...].allSatisfy { $0 == 77 }, "level \(level)")
      }
    }
  }

  @Test(arguments: [1, 2, 15, 16, 17, 31, 32, 49, 65], [1, 2, 3, 4, 5, 7, 12])
  func theInteractionGivesTheSameBitsOnEveryLevel(patches: Int, guides: Int) throws {
    var random = SeededGenerator(seed: UInt64(patches * 31 + guides))
    let d = 48
    let (g, p, t) = (random.floats(d), random.floats(patches * d), random.floats(guides * d))
    for quantized in [false, true] {
      var expected: [Float]?
      for level in levels {
        let kernels = try KernelSet(level: level)
        let (patchRows, guideRows) = (Rows(p.span, dimension: d), Rows(t.span, dimension: d))
        let gram = GramMatrix(coarse: Rows(g.span, dimension: d), fine: patchRows, quantized: quantized, with: kernels)
        let a = AlignedBuffer<Float>(count: guides * patches, repeating: 0)
        let gt = AlignedBuffer<Float>(count: guides, repeating: 0)
        kernels.dots(patchRows, guideRows, into: a)
        kernels.dots(Rows(g.span, dimension: d), guideRows, into: gt)
        let columns = KernelSet.weightColumns(patches: patches)
        let weights = AlignedBuffer<Float>(count: guides * columns + 16, repeating: 77)
        let (fine, best) = (
          AlignedBuffer<Float>(count: guides, repeating: 0), AlignedBuffer<Float>(count: guides, repeating: 0)
        )
        kernels.interact(
          a: a, patches: patches, gram: gram.view, gt: gt, guides: guides, tau: 0.7, beta: 0.4, ahead: p.span.memory,
          weights: weights, fine: fine)
        kernels.rowMaxima(a, rows: guides, columns: patches, into: best)
        #expect(best.array == (0..<guides).map { m in (0..<patches).map { a[m * patches + $0] }.max()! })
        #expect(weights.array[(guides * columns)...].allSatisfy { $0 == 77 }, "level \(level)")
        let result = weights.array + fine.array + gram.codes.array.map(Float.init)
        #expect(result == expected ?? result, "level \(level), quantized \(quantized)")
        #expect(fine.array.allSatisfy { $0.isFinite })
        expected = result
      }
    }
  }

  @Test func checksumsAreThoseOfTheStandard() throws {
    var random = SeededGenerator(seed: 8)
    let bytes = random.bytes(1000)
    for level in levels {
      let kernels = try KernelSet(level: level)
      // The check value of CRC-32C in every catalogue of such codes.
      #expect(kernels.checksum(Array("123456789".utf8).span.memory) == 0xe306_9283, "level \(level)")
      #expect(kernels.checksum(RawSpan()) == 0)
      let whole = kernels.checksum(bytes.span.memory)
      for cut in [0, 1, 7, 8, 9, 500, 1000] {
        let first = kernels.checksum(bytes.span.memory.extracting(0..<cut))
        #expect(kernels.checksum(bytes.span.memory.extracting(cut..<1000), after: first) == whole)
        #expect(whole == KernelSet.checksum(bytes.span.memory))
      }
    }
  }
}
