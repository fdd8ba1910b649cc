// Level sse42: SSSE3, SSE4.1 and SSE4.2, of CPUs before AVX2. Tile 2 x 16: 8 accumulators, 4 columns, the broadcast, its magnitude and ones of 16
// registers. The product is that of level avx2 on half the width: see there why nothing saturates.
#include "../shapes.h"
#include <string.h>
#if defined(__x86_64__)
#define LEVEL sse42
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("ssse3,sse4.1,sse4.2"))), apply_to = function)

#include "../vector/f32x16_sse42.h"

enum { QUAD_BYTES = 8 };

// sum + four products a lane, for s8 a (with its magnitude) and b.
static inline __m128i dot4(__m128i sum, __m128i magnitude_a, __m128i a, __m128i b) {
  return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(magnitude_a, _mm_sign_epi8(b, a)), _mm_set1_epi16(1)));
}

// Pairs of i16 a lane: of four channels a register, the same channel of two rows, and of two more. Products of u8 and s8 fit.
typedef struct quads {
  __m128i of01[4], of23[4];
} quads;
static inline void widened(__m128i a, __m128i b, __m128i out[4]) {
  const __m128i low = _mm_unpacklo_epi8(a, b), high = _mm_unpackhi_epi8(a, b);
  out[0] = _mm_cvtepu8_epi16(low);
  out[1] = _mm_cvtepu8_epi16(_mm_srli_si128(low, 8));
  out[2] = _mm_cvtepu8_epi16(high);
  out[3] = _mm_cvtepu8_epi16(_mm_srli_si128(high, 8));
}
static inline quads interleaved(const uint8_t *const p[], size_t at, size_t taps, size_t n) {
  const __m128i zero = _mm_setzero_si128();
  quads x;
  widened(load_u8_n(p[0] + at, n), taps > 1 ? load_u8_n(p[1] + at, n) : zero, x.of01);
  widened(taps > 2 ? load_u8_n(p[2] + at, n) : zero, taps > 3 ? load_u8_n(p[3] + at, n) : zero, x.of23);
  return x;
}
static inline i32x16 quads_add(i32x16 acc, quads x, size_t taps, const char *w) {
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    acc.v[i] = _mm_add_epi32(acc.v[i], _mm_madd_epi16(x.of01[i], _mm_loadu_si128((const __m128i *)(w + 16 * i))));
    if (taps > 2) acc.v[i] = _mm_add_epi32(acc.v[i], _mm_madd_epi16(x.of23[i], _mm_loadu_si128((const __m128i *)(w + 64 + 16 * i))));
  }
  return acc;
}
static inline void quad_put(char *w, size_t c, size_t b, int8_t code) { ((int16_t *)w)[b / 2 * 32 + 2 * c + b % 2] = code; }

enum { ROW_OFFSET = 0 };
static inline i8v row_side(i8v v) { return v; }
static inline i8v accumulate(i8v sum, i8v row, i8v s) { return dot4(sum, _mm_abs_epi8(row), row, s); }

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  i32x16 acc[ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) acc[r] = load_i32(start);
  for (size_t k = 0; k < x->k; k += 4, w += 64) {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + r * x->lda + k, 4);
      const __m128i one = _mm_set1_epi32(four ^ (int32_t)0x80808080), size = _mm_abs_epi8(one);
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) acc[r].v[i] = dot4(acc[r].v[i], size, one, _mm_load_si128((const __m128i *)(w + 16 * i)));
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) out[r][0] = to_f32(acc[r]);
}

enum { MOST_ROWS = ROWS, A_OFFSET = 128, SHALLOW_ROWS = 1, SHALLOW_K = 0 };
static inline size_t rows_of(size_t vectors) { return ROWS; }
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

enum { PEAK_MACS = 16 };
typedef __m128i i8r;
static inline i8r peak_splat(int8_t x) { return _mm_set1_epi8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) { return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(a, b), _mm_set1_epi16(1))); }

#include "../kernels/all.h"
#pragma clang attribute pop
#endif
