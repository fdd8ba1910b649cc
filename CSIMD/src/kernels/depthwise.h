// Depthwise convolution, sixteen channels of some neighbouring outputs at a time: each input pixel is loaded once for
// all the outputs that it belongs to. The border is in the input already, so there is no condition in the loops.
//
// u8: four rows of a column are interleaved, so that a channel's lane holds four taps, which one multiply-add takes. Such
// a group of rows serves two output rows, each with the weights moved to its place; the taps that are not there have zero
// weights. The level defines quads (sixteen channels of four rows), QUAD_BYTES (of the weights of one channel) and
//   interleaved(p, at, taps, n)     the quads of n <= 16 channels of the rows p[0] + at ... p[taps - 1] + at
//   quads_add(acc, quads, taps, w)  acc plus the sum of each lane's products; the weights past the taps are zero
//   quad_put(w, c, b, code)         the weight of channel c and row b of a group
// and WIDEST: 16, or the most channels at a time that depthwise_wide.h has been given vectors for.
#pragma once

#ifndef WIDEST
#define WIDEST 16
#endif

enum { ACROSS = TILE_ROWS(depthwise_f32), ACROSS_U8 = TILE_ROWS(depthwise_u8) };

// Groups of four rows that two output rows reach into.
#define GROUPS(kernel) (((kernel) + 4) / 4)

// sums[v][t] = sum over the window of output row v and column t, for `pair` rows, `across` columns and up to 16 channels.
// rows: the input rows of both windows at the first column.
static inline __attribute__((always_inline)) void window_u8(size_t kernel, size_t stride, size_t pair, size_t across, size_t count, size_t channels,
                                                            const uint8_t *const rows[], const char *w, size_t ldw, i32x16 sums[][ACROSS_U8]) {
  const size_t groups = GROUPS(kernel);
#pragma clang loop unroll(full)
  for (size_t v = 0; v < pair; v++)
#pragma clang loop unroll(full)
    for (size_t t = 0; t < across; t++) sums[v][t] = zero_i32();
#pragma clang loop unroll(full)
  for (size_t j = 0; j < (across - 1) * stride + kernel; j++)
#pragma clang loop unroll(full)
    for (size_t q = 0; q < groups; q++) {
      const size_t left = pair - 1 + kernel - 4 * q, taps = left < 4 ? left : 4;
      const quads x = interleaved(rows + 4 * q, j * channels, taps, count);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < across; t++)
        if (j >= t * stride && j - t * stride < kernel)
#pragma clang loop unroll(full)
          for (size_t v = 0; v < pair; v++)
            sums[v][t] = quads_add(sums[v][t], x, taps, w + (((j - t * stride) * 2 + v) * groups + q) * ldw * QUAD_BYTES);
    }
}

static inline __attribute__((always_inline)) void window_f32(size_t kernel, size_t stride, size_t across, size_t count, size_t channels,
                                                             const float *x, size_t row, const float *w, size_t ldw, f32x16 sums[]) {
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++) sums[t] = splat(0);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kernel; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < (across - 1) * stride + kernel; j++) {
      const float *p = x + i * row + j * channels;
      const f32x16 v = count == 16 ? load(p) : load_n(p, count);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < across; t++)
        if (j >= t * stride && j - t * stride < kernel) sums[t] = fused(v, load(w + (i * kernel + j - t * stride) * ldw), sums[t]);
    }
}

#if WIDEST >= 64
#define WIDE 64
#include "depthwise_wide.h"
#undef WIDE
#endif
#if WIDEST >= 32
#define WIDE 32
#include "depthwise_wide.h"
#undef WIDE
#endif

// Where the weights of channel c lie: in the order of the lanes that it is computed in, by the widest block that is whole.
static size_t place_of(size_t c, size_t channels) {
  for (size_t wide = WIDEST; wide >= 32; wide /= 2) {
    const size_t block = c / wide * wide;
    if (block + wide <= channels) return block + c % 16 / 4 * (wide / 4) + c % wide / 16 * 4 + c % 4;
  }
  return c;
}

// w[j, v, q, c, b] is the tap of row i = 4 q + b - v and column j, zero where there is no such row.
void KERNEL(pack_depthwise)(size_t channels, size_t kernel, const int8_t *w, void *out) {
  const size_t groups = GROUPS(kernel), wide = csimd_round16(channels);
  memset(out, 0, kernel * 2 * groups * wide * QUAD_BYTES);
  for (size_t c = 0; c < channels; c++)
    for (size_t i = 0; i < kernel; i++)
      for (size_t j = 0; j < kernel; j++)
        for (size_t v = 0; v < 2; v++) {
          const size_t group = (j * 2 + v) * groups + (i + v) / 4, at = place_of(c, channels);
          quad_put((char *)out + (group * wide + at / 16 * 16) * QUAD_BYTES, at % 16, (i + v) % 4, w[(c * kernel + i) * kernel + j]);
        }
}

static inline __attribute__((always_inline)) void step_u8(size_t kernel, size_t stride, size_t pair, size_t across, size_t count,
                                                          const csimd_depthwise_args *a, size_t y, size_t x, size_t c) {
  const size_t channels = a->channels;
  const uint8_t *rows[6];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < pair - 1 + kernel; i++) rows[i] = (const uint8_t *)a->x + (y * stride + i) * a->row + x * stride * channels + c;
  i32x16 sums[2][ACROSS_U8];
  window_u8(kernel, stride, pair, across, count, channels, rows, (const char *)a->w + c * QUAD_BYTES, csimd_round16(channels), sums);
  const f32x16 scale = load_n(a->scale + c, count), bias = load_n(a->bias + c, count);
#pragma clang loop unroll(full)
  for (size_t v = 0; v < pair; v++) {
    uint8_t *out = (uint8_t *)a->y + ((y + v) * a->width + x) * channels + c;
    f32x16 before = splat(0);
#pragma clang loop unroll(full)
    for (size_t t = 0; t < across; t++) {
      const f32x16 q = add(mul(to_f32(sums[v][t]), scale), bias);
      if (count < 16)
        store_u8_n(out + t * channels, q, count);
      else if (t % 2 == 1)
        store_u8_two(out + (t - 1) * channels, before, out + t * channels, q);
      else if (t + 1 < across)
        before = q;
      else
        store_u8(out + t * channels, q);
    }
  }
}

// One or two rows of outputs.
static inline __attribute__((always_inline)) void rows_u8(size_t kernel, size_t stride, size_t pair, const csimd_depthwise_args *a, size_t y) {
  size_t c = 0;
#if WIDEST >= 64
  c = rows_64(kernel, stride, pair, a, y, c);
#endif
#if WIDEST >= 32
  c = rows_32(kernel, stride, pair, a, y, c);
#endif
  for (; c < a->channels; c += 16) {
    const size_t count = a->channels - c < 16 ? a->channels - c : 16;
    size_t x = 0;
    if (count == 16) {
      for (; x + ACROSS_U8 <= a->width; x += ACROSS_U8) step_u8(kernel, stride, pair, ACROSS_U8, 16, a, y, x, c);
      for (; x < a->width; x++) step_u8(kernel, stride, pair, 1, 16, a, y, x, c);
    } else
      for (; x < a->width; x++) step_u8(kernel, stride, pair, 1, count, a, y, x, c);
  }
}

#define DEPTHWISE_U8(k, s)                                                                                                                           \
  static __attribute__((noinline)) void depthwise_u8_##k##_##s(const csimd_depthwise_args *a, size_t first, size_t end) {                            \
    size_t y = first;                                                                                                                                \
    if (s == 1)                                                                                                                                      \
      for (; y + 2 <= end; y += 2) rows_u8(k, s, 2, a, y);                                                                                           \
    for (; y < end; y++) rows_u8(k, s, 1, a, y);                                                                                                     \
  }

static inline __attribute__((always_inline)) void step_f32(size_t kernel, size_t stride, size_t across, size_t count, const csimd_depthwise_args *a,
                                                           size_t y, size_t x, size_t c) {
  const size_t channels = a->channels;
  f32x16 sums[ACROSS];
  window_f32(kernel, stride, across, count, channels, (const float *)a->x + y * stride * a->row + x * stride * channels + c, a->row,
             (const float *)a->w + c, csimd_round16(channels), sums);
  const f32x16 bias = load_n(a->bias + c, count);
  float *out = (float *)a->y + (y * a->width + x) * channels + c;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++) store_n(out + t * channels, activated(add(sums[t], bias), csimd_activation_relu6), count);
}

#define DEPTHWISE_F32(k, s)                                                                                                                          \
  static __attribute__((noinline)) void depthwise_f32_##k##_##s(const csimd_depthwise_args *a, size_t first, size_t end) {                           \
    for (size_t y = first; y < end; y++)                                                                                                             \
      for (size_t c = 0; c < a->channels; c += 16) {                                                                                                 \
        const size_t count = a->channels - c < 16 ? a->channels - c : 16;                                                                            \
        size_t x = 0;                                                                                                                                \
        if (count == 16) {                                                                                                                           \
          for (; x + ACROSS <= a->width; x += ACROSS) step_f32(k, s, ACROSS, 16, a, y, x, c);                                                        \
          for (; x < a->width; x++) step_f32(k, s, 1, 16, a, y, x, c);                                                                               \
        } else                                                                                                                                       \
          for (; x < a->width; x++) step_f32(k, s, 1, count, a, y, x, c);                                                                            \
      }                                                                                                                                              \
  }

#define DEPTHWISE_OF(type, TYPE)                                                                                                                     \
  DEPTHWISE_##TYPE(3, 1) DEPTHWISE_##TYPE(3, 2) DEPTHWISE_##TYPE(5, 1) DEPTHWISE_##TYPE(5, 2) void KERNEL(depthwise_##type)(                         \
      const csimd_depthwise_args *a, size_t first, size_t end) {                                                                                     \
    if (a->kernel == 3)                                                                                                                              \
      (a->stride == 1 ? depthwise_##type##_3_1 : depthwise_##type##_3_2)(a, first, end);                                                             \
    else                                                                                                                                             \
      (a->stride == 1 ? depthwise_##type##_5_1 : depthwise_##type##_5_2)(a, first, end);                                                             \
  }

DEPTHWISE_OF(u8, U8)
DEPTHWISE_OF(f32, F32)
