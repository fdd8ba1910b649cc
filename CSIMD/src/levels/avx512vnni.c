// Level avx512vnni: AVX-512 F BW DQ VL VNNI. Tile 6 x 64: 24 accumulators, 4 columns, 1 broadcast of 32 registers.
// vpdpbusd multiplies u8 by s8 and adds four products to an i32 lane without saturation; the sum starts at
// -a_zero sum_k w[n,k]. |sum| <= 65536 * 255 * 127 < 2^31. Past k the packed weights are zero.
#include "../shapes.h"
#include <string.h>
#if defined(__x86_64__)
#define LEVEL avx512vnni
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function)

#include "../vector/f32x16_avx512.h"

enum { QUAD_BYTES = 4 };

// Dot products; see kernels/dots.h.
enum { BYTES = 64, ROW_OFFSET = 128 };
typedef __m512i i8v;
static inline i8v zero_i8(void) { return _mm512_setzero_si512(); }
static inline i8v load_i8(const int8_t *p) { return _mm512_loadu_si512(p); }
static inline i8v row_side(i8v v) { return _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80)); }
static inline i8v accumulate(i8v sum, i8v u, i8v s) { return _mm512_dpbusd_epi32(sum, u, s); }
static inline __m128i sums4(const i8v v[4]) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
  const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// Four bytes a lane: of sixteen channels, the same channel of four rows.
typedef __m512i quads;
static inline __m128i load_u8_n(const uint8_t *p, size_t n) {
  return n == 16 ? _mm_loadu_si128((const __m128i *)p) : _mm_maskz_loadu_epi8(mask_of(n), p);
}
// A constant that the compiler cannot see: from two shuffles that it knows it makes seven.
static inline __m512i unknown(__m512i v) {
  __asm__("" : "+v"(v));
  return v;
}
// Lane c gets byte c of each row: dwords of channels 4 g ... 4 g + 3 are brought to the 128 bits g, and transposed there.
static inline quads interleaved(const uint8_t *const p[], size_t at, size_t taps, size_t n) {
  __m512i v = _mm512_zextsi128_si512(load_u8_n(p[0] + at, n));
  if (taps > 1) v = _mm512_inserti32x4(v, load_u8_n(p[1] + at, n), 1);
  if (taps > 2) v = _mm512_inserti32x4(v, load_u8_n(p[2] + at, n), 2);
  if (taps > 3) v = _mm512_inserti32x4(v, load_u8_n(p[3] + at, n), 3);
  const __m512i dwords = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(unknown(dwords), v), unknown(bytes));
}
static inline i32x16 quads_add(i32x16 acc, quads x, size_t taps, const char *w) { return _mm512_dpbusd_epi32(acc, x, _mm512_loadu_si512(w)); }
static inline void quad_put(char *w, size_t c, size_t b, int8_t code) { w[4 * c + b] = code; }

// Sixty-four channels at a time, for kernels/depthwise_wide.h.
typedef __m512i ints_64;
typedef __m512 floats_64;
static inline ints_64 zero_ints_64(void) { return _mm512_setzero_si512(); }
static inline ints_64 load_bytes_64(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline ints_64 unpack_8_low_64(ints_64 a, ints_64 b) { return _mm512_unpacklo_epi8(a, b); }
static inline ints_64 unpack_8_high_64(ints_64 a, ints_64 b) { return _mm512_unpackhi_epi8(a, b); }
static inline ints_64 unpack_16_low_64(ints_64 a, ints_64 b) { return _mm512_unpacklo_epi16(a, b); }
static inline ints_64 unpack_16_high_64(ints_64 a, ints_64 b) { return _mm512_unpackhi_epi16(a, b); }
static inline ints_64 dot_bytes_64(ints_64 sum, ints_64 u, const char *s) { return _mm512_dpbusd_epi32(sum, u, _mm512_loadu_si512(s)); }
// The four of each sixteen.
static inline floats_64 ordered_64(const float *p) {
  const __m256 low = _mm256_set_m128(_mm_loadu_ps(p + 16), _mm_loadu_ps(p)), high = _mm256_set_m128(_mm_loadu_ps(p + 48), _mm_loadu_ps(p + 32));
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
static inline floats_64 finished_64(ints_64 sum, floats_64 scale, floats_64 bias) { return add(mul(to_f32(sum), scale), bias); }
static inline void store_packed_64(uint8_t *p, const floats_64 q[4]) { _mm512_storeu_si512(p, packed_64(q, 4)); }
static inline __m256i dot_256(__m256i sum, __m256i u, __m256i s) { return _mm256_dpbusd_epi32(sum, u, s); }
#include "../vector/wide_256.h"
#define WIDEST 64

// Accumulators, columns and the broadcast fit into 32 registers.
// A panel of 512 inputs is as large as the smallest first cache; what comes from the second is better read for six rows at once.
enum { MOST_ROWS = 16, A_OFFSET = 0, SHALLOW_ROWS = 3, SHALLOW_K = 512 };
static inline size_t rows_of(size_t vectors) { return vectors == 1 ? 16 : 24 / vectors; }

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  __m512i acc_i32x16[MOST_ROWS][VECTORS];
#pragma clang loop unroll(full)
  for (size_t v = 0; v < vectors; v++)
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) acc_i32x16[r][v] = load_i32(start + 16 * v);
  // There is a first step: with none to be left out the sums need not be kept for it.
  size_t k = 0;
  do {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
    __m512i panel[VECTORS];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) panel[v] = _mm512_load_si512(w + 64 * v);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + r * x->lda + k, 4);
      const __m512i one = _mm512_set1_epi32(four);
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) acc_i32x16[r][v] = _mm512_dpbusd_epi32(acc_i32x16[r][v], one, panel[v]);
    }
    w += 64 * VECTORS;
  } while ((k += 4) < x->k);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) out[r][v] = _mm512_cvtepi32_ps(acc_i32x16[r][v]);
}

enum { PEAK_MACS = 64 };
typedef __m512i i8r;
static inline i8r peak_splat(int8_t x) { return _mm512_set1_epi8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) { return _mm512_dpbusd_epi32(sum, a, b); }

#include "../kernels/all.h"
#pragma clang attribute pop
#endif
