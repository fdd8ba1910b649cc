// Level avxvnni: AVX2, FMA, AVX-VNNI. Tile 6 x 16: 12 accumulators, 2 columns, 1 broadcast of 16 registers.
// vpdpbusd in its VEX form, on 256 bits; operands, offsets and exactness as on avx512vnni.
#include "../shapes.h"
#include <string.h>
#if defined(__x86_64__)
#define LEVEL avxvnni
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

#include "../vector/f32x16_avx2.h"

enum { QUAD_BYTES = 4 };

enum { ROW_OFFSET = 128 };
static inline i8v row_side(i8v v) { return _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80)); }
static inline i8v accumulate(i8v sum, i8v u, i8v s) { return _mm256_dpbusd_avx_epi32(sum, u, s); }

// Four bytes a lane: of sixteen channels, the same channel of four rows.
typedef struct quads {
  __m256i low, high;
} quads;
// Lane c gets byte c of each row.
static inline quads interleaved(const uint8_t *const p[], size_t at, size_t taps, size_t n) {
  const __m128i zero = _mm_setzero_si128(), a = load_u8_n(p[0] + at, n);
  const __m128i b = taps > 1 ? load_u8_n(p[1] + at, n) : zero, c = taps > 2 ? load_u8_n(p[2] + at, n) : zero;
  const __m128i d = taps > 3 ? load_u8_n(p[3] + at, n) : zero;
  const __m128i ab = _mm_unpacklo_epi8(a, b), cd = _mm_unpacklo_epi8(c, d);
  const __m128i ab_high = _mm_unpackhi_epi8(a, b), cd_high = _mm_unpackhi_epi8(c, d);
  return (quads){_mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd)),
                 _mm256_set_m128i(_mm_unpackhi_epi16(ab_high, cd_high), _mm_unpacklo_epi16(ab_high, cd_high))};
}
static inline i32x16 quads_add(i32x16 acc, quads x, size_t taps, const char *w) {
  return (i32x16){_mm256_dpbusd_avx_epi32(acc.low, x.low, _mm256_loadu_si256((const __m256i *)w)),
                  _mm256_dpbusd_avx_epi32(acc.high, x.high, _mm256_loadu_si256((const __m256i *)(w + 32)))};
}
static inline void quad_put(char *w, size_t c, size_t b, int8_t code) { w[4 * c + b] = code; }
static inline __m256i dot_256(__m256i sum, __m256i u, __m256i s) { return _mm256_dpbusd_avx_epi32(sum, u, s); }
#include "../vector/wide_256.h"
#define WIDEST 32

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  i32x16 acc[ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) acc[r] = load_i32(start);
  for (size_t k = 0; k < x->k; k += 4, w += 64) {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
    const __m256i low = _mm256_load_si256((const __m256i *)w), high = _mm256_load_si256((const __m256i *)(w + 32));
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + r * x->lda + k, 4);
      const __m256i one = _mm256_set1_epi32(four);
      acc[r].low = _mm256_dpbusd_avx_epi32(acc[r].low, one, low);
      acc[r].high = _mm256_dpbusd_avx_epi32(acc[r].high, one, high);
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) out[r][0] = to_f32(acc[r]);
}

enum { MOST_ROWS = ROWS, A_OFFSET = 0, SHALLOW_ROWS = 1, SHALLOW_K = 0 };
static inline size_t rows_of(size_t vectors) { return ROWS; }
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

enum { PEAK_MACS = 32 };
typedef __m256i i8r;
static inline i8r peak_splat(int8_t x) { return _mm256_set1_epi8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }

#include "../kernels/all.h"
#pragma clang attribute pop
#endif
