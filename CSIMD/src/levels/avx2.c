// Level avx2: AVX2, FMA. Tile 4 x 16: 8 accumulators, 2 columns, the broadcast, its magnitude and ones of 16 registers.
// vpmaddubsw multiplies u8 by s8 and adds pairs with saturation to i16. Activations become a - 128 in [-128, 127]; their
// magnitude is the unsigned side and their sign moves to the weight, which is never -128: a pair is at most
// 2 * 128 * 127 = 32512 < 32767, so nothing saturates. (128 - a_zero) times the weights' sums puts the offset right.
#include "../shapes.h"
#include <string.h>
#if defined(__x86_64__)
#define LEVEL avx2
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "../vector/f32x16_avx2.h"

enum { QUAD_BYTES = 8 };

// sum + four products a lane, for s8 a (with its magnitude) and b.
static inline __m256i dot4(__m256i sum, __m256i magnitude_a, __m256i a, __m256i b) {
  const __m256i pairs = _mm256_maddubs_epi16(magnitude_a, _mm256_sign_epi8(b, a));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// Pairs of i16 a lane: of sixteen channels, the same channel of two rows, and of two more. Products of u8 and s8 fit, so that
// vpmaddwd is exact where vpmaddubsw would saturate.
typedef struct quads {
  __m256i low01, high01, low23, high23;
} quads;
static inline quads interleaved(const uint8_t *const p[], size_t at, size_t taps, size_t n) {
  const __m128i zero = _mm_setzero_si128(), a = load_u8_n(p[0] + at, n);
  const __m128i b = taps > 1 ? load_u8_n(p[1] + at, n) : zero, c = taps > 2 ? load_u8_n(p[2] + at, n) : zero;
  const __m128i d = taps > 3 ? load_u8_n(p[3] + at, n) : zero;
  return (quads){_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)),
                 _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(c, d)), _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(c, d))};
}
static inline __m256i pairs_add(__m256i acc, __m256i x, const char *w) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(x, _mm256_loadu_si256((const __m256i *)w)));
}
static inline i32x16 quads_add(i32x16 acc, quads x, size_t taps, const char *w) {
  acc = (i32x16){pairs_add(acc.low, x.low01, w), pairs_add(acc.high, x.high01, w + 32)};
  return taps < 3 ? acc : (i32x16){pairs_add(acc.low, x.low23, w + 64), pairs_add(acc.high, x.high23, w + 96)};
}
static inline void quad_put(char *w, size_t c, size_t b, int8_t code) { ((int16_t *)w)[b / 2 * 32 + 2 * c + b % 2] = code; }

enum { ROW_OFFSET = 0 };
static inline i8v row_side(i8v v) { return v; }
static inline i8v accumulate(i8v sum, i8v row, i8v s) { return dot4(sum, _mm256_abs_epi8(row), row, s); }

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, size_t row, const int32_t *start,
                                                          const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  i32x16 acc[ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) acc[r] = load_i32(start);
  const uint8_t *a = x->a + row * x->lda;
  for (size_t k = 0; k < x->k; k += 4, w += 64) {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
    const __m256i low = _mm256_load_si256((const __m256i *)w), high = _mm256_load_si256((const __m256i *)(w + 32));
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + r * x->lda + k, 4);
      const __m256i one = _mm256_set1_epi32(four ^ (int32_t)0x80808080), size = _mm256_abs_epi8(one);
      acc[r].low = dot4(acc[r].low, size, one, low);
      acc[r].high = dot4(acc[r].high, size, one, high);
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) out[r][0] = to_f32(acc[r]);
}

enum { MOST_ROWS = ROWS, A_OFFSET = 128, SHALLOW_ROWS = 1, SHALLOW_K = 0 };
static inline size_t rows_of(size_t vectors) { return ROWS; }
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

enum { PEAK_MACS = 32 };
typedef __m256i i8r;
static inline i8r peak_splat(int8_t x) { return _mm256_set1_epi8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
}

#include "../kernels/all.h"
#pragma clang attribute pop
#endif
