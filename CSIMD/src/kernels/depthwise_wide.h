// Depthwise convolution of 64 or 32 channels at a time, WIDE: rows are interleaved by unpacking whole vectors, two shuffles for sixteen channels of
// four rows where one by one they take five, and outputs are packed four vectors at once. Both stay inside 128 bits, so that vector i of four holds
// channels 16 g + 4 i ... 16 g + 4 i + 3 in its 128 bits g; scale, bias and weights come in that order, and packing restores that of channels. The
// level defines, by WIDE: ints and floats, vectors of WIDE / 4 lanes; int_bytes, of WIDE lanes; zero_ints, dot_bytes, ordered, finished and packed
// (see either), load_bytes, and unpack_8_low, ..._high, unpack_16_low, ..._high, shuffles inside 128 bits.

#define W(name) CSIMD_PASTE_(name, WIDE)
#define CSIMD_PASTE_(name, wide) CSIMD_PASTE__(name, wide)
#define CSIMD_PASTE__(name, wide) name##_##wide

enum { W(ACROSS) = 2 };

// out[i]: lane c holds a byte of each of four rows; zeros where there are fewer.
static inline __attribute__((always_inline)) void W(interleave)(const uint8_t *p, size_t row, size_t taps, W(ints) out[4]) {
  const W(ints) zero = W(zero_ints)();
  const W(ints) a = W(load_bytes)(p), b = taps > 1 ? W(load_bytes)(p + row) : zero;
  const W(ints) c = taps > 2 ? W(load_bytes)(p + 2 * row) : zero, d = taps > 3 ? W(load_bytes)(p + 3 * row) : zero;
  const W(ints) ab = W(unpack_8_low)(a, b), cd = W(unpack_8_low)(c, d), ab_high = W(unpack_8_high)(a, b), cd_high = W(unpack_8_high)(c, d);
  out[0] = W(unpack_16_low)(ab, cd), out[1] = W(unpack_16_high)(ab, cd);
  out[2] = W(unpack_16_low)(ab_high, cd_high), out[3] = W(unpack_16_high)(ab_high, cd_high);
}

// `pair` rows and `across` columns of outputs of the channels c ..< c + WIDE.
static inline __attribute__((always_inline)) void W(step)(size_t kernel, size_t stride, size_t pair, size_t across, const csimd_depthwise_args *a,
                                                          const W(floats) scale[4], const W(floats) bias[4], size_t y, size_t x, size_t c) {
  const size_t channels = a->channels, groups = GROUPS(kernel), ldw = csimd_round16(channels);
  const uint8_t *at = (const uint8_t *)a->x + y * stride * a->row + x * stride * channels + c;
  const char *w = (const char *)a->w + c * QUAD_BYTES;
  // A column of outputs is finished as soon as it has all its sums, beside those of the next, where that takes no registers from weights that both
  // use.
  const size_t columns = (across - 1) * stride + kernel, is_early = stride > 1 || (kernel > 3 && WIDE == 64);
  W(ints) sums[2][W(ACROSS)][4];
#pragma clang loop unroll(full)
  for (size_t v = 0; v < pair; v++)
#pragma clang loop unroll(full)
    for (size_t t = 0; t < across; t++)
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 4; i++) sums[v][t][i] = W(zero_ints)();
#pragma clang loop unroll(full)
  for (size_t j = 0; j < columns; j++) {
#pragma clang loop unroll(full)
    for (size_t q = 0; q < groups; q++) {
      const size_t left = pair - 1 + kernel - 4 * q, taps = left < 4 ? left : 4;
      W(ints) quads[4];
      W(interleave)(at + 4 * q * a->row + j * channels, a->row, taps, quads);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < across; t++)
        if (j >= t * stride && j - t * stride < kernel)
#pragma clang loop unroll(full)
          for (size_t v = 0; v < pair; v++)
#pragma clang loop unroll(full)
            for (size_t i = 0; i < 4; i++) {
              const size_t tap = ((j - t * stride) * 2 + v) * groups + q;
              sums[v][t][i] = W(dot_bytes)(sums[v][t][i], quads[i], w + (tap * ldw + WIDE / 4 * i) * QUAD_BYTES);
            }
    }
#pragma clang loop unroll(full)
    for (size_t t = 0; t < across; t++)
      if (j + 1 == (is_early ? t * stride + kernel : columns))
#pragma clang loop unroll(full)
        for (size_t v = 0; v < pair; v++) {
          W(floats) out[4];
#pragma clang loop unroll(full)
          for (size_t i = 0; i < 4; i++) out[i] = W(finished)(sums[v][t][i], scale[i], bias[i]);
          W(store_packed)((uint8_t *)a->y + ((y + v) * a->width + x + t) * channels + c, out);
        }
  }
}

// As many blocks as there are from channel c on; the channel after them.
static inline __attribute__((always_inline)) size_t W(rows)(size_t kernel, size_t stride, size_t pair, const csimd_depthwise_args *a, size_t y,
                                                            size_t c) {
  for (; c + WIDE <= a->channels; c += WIDE) {
    W(floats) scale[4], bias[4];
    for (size_t i = 0; i < 4; i++) scale[i] = W(ordered)(a->scale + c + 4 * i), bias[i] = W(ordered)(a->bias + c + 4 * i);
    size_t x = 0;
    for (; x + W(ACROSS) <= a->width; x += W(ACROSS)) W(step)(kernel, stride, pair, W(ACROSS), a, scale, bias, y, x, c);
    for (; x < a->width; x++) W(step)(kernel, stride, pair, 1, a, scale, bias, y, x, c);
  }
  return c;
}

#undef W
#undef CSIMD_PASTE_
#undef CSIMD_PASTE__
