// Level avx2: AVX2, FMA. Tile 6 x 16: 12 accumulators, 2 columns, the broadcast and a product of 16 registers.
// vpmaddubsw saturates pairs of u8 times s8, which would cost more steps than it saves: rows of A are brought to i16 once for all panels, weights by
// a panel's first tile, and vpmaddwd multiplies and adds pairs exactly. Dot products of s8 and s8 (kernels/dots.h) take vpmaddubsw: the magnitude of
// one is the unsigned side and its sign moves to the other, which is never -128: a pair is at most 2 * 128 * 127 = 32512 < 32767, so nothing
// saturates.
#include "../shapes.h"
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#define LEVEL avx2
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "../vector/f32x16_avx2.h"

enum { QUAD_BYTES = 8 };

// Elements of a row of A that are there.
static inline size_t row_bytes(const csimd_product_u8 *x) { return (x->k + 3) / 4 * 4; }

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

// What a tile does beside multiplying: the first of a panel prefetches the next panel and leaves its weights as i16, which the others read: of four
// vector instructions a step and row they take the place of none, and those that widen are a twelfth.
typedef struct beside {
  const char *ahead;
  int16_t *widened;
  bool is_widened;
} beside;
#define AHEAD beside

// Rows of A as i16, in the order of k; two of them and two weights are multiplied and added in one step.
static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, beside also, f32x16 out[][VECTORS]) {
  i32x16 acc[ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) acc[r] = load_i32(start);
  const size_t there = row_bytes(x);
  for (size_t k = 0; k < there; k += 2) {
    __m256i low, high;
    if (also.is_widened) {
      low = _mm256_load_si256((const __m256i *)(also.widened + 16 * k)), high = _mm256_load_si256((const __m256i *)(also.widened + 16 * k + 16));
    } else {
      __builtin_prefetch(also.ahead + 16 * k, 0, 2);
      low = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(w + 16 * k)));
      high = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(w + 16 * k + 16)));
      if (also.widened) {
        _mm256_store_si256((__m256i *)(also.widened + 16 * k), low);
        _mm256_store_si256((__m256i *)(also.widened + 16 * k + 16), high);
      }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t two;
      memcpy(&two, a + 2 * (r * there + k), 4);
      const __m256i one = _mm256_set1_epi32(two);
      acc[r].low = _mm256_add_epi32(acc[r].low, _mm256_madd_epi16(one, low));
      acc[r].high = _mm256_add_epi32(acc[r].high, _mm256_madd_epi16(one, high));
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) out[r][0] = to_f32(acc[r]);
}

enum { MOST_ROWS = ROWS, A_OFFSET = 0 };
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

enum { PEAK_MACS = 32 };
typedef __m256i i8r;
static inline i8r peak_splat(int8_t x) { return _mm256_set1_epi8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
}

#define OWN_LOOPS_U8
#include "../kernels/all.h"

// Elements of A that are brought to i16 at a time. Of very deep rows as many as fit, at least one.
enum { CHUNK = 1 << 16 };

static inline size_t chunk_rows(const csimd_product_u8 *x) {
  const size_t fitting = CHUNK / row_bytes(x), pairs = fitting / (2 * ROWS);
  return pairs ? pairs * 2 * ROWS : fitting < ROWS ? fitting : ROWS;
}

static void widen(const csimd_product_u8 *x, size_t row, size_t rows, int16_t *out) {
  const size_t there = row_bytes(x);
  for (size_t r = 0; r < rows; r++, out += there) {
    const uint8_t *a = x->a + (row + r) * x->lda;
    size_t k = 0;
    for (; k + 16 <= there; k += 16) _mm256_storeu_si256((__m256i *)(out + k), _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + k))));
    for (; k < there; k++) out[k] = a[k];
  }
}

// A last panel of eight columns: half a tile, of twice the rows.
enum { HALF = 8, HALF_ROWS = 2 * ROWS };
static inline __attribute__((always_inline)) void half_u8_u8(const csimd_gemm_u8_u8_args *x, size_t row, const int16_t *a, size_t column,
                                                             const int32_t *start, const int8_t *w) {
  __m256i acc[HALF_ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < HALF_ROWS; r++) acc[r] = _mm256_loadu_si256((const __m256i *)start);
  const size_t there = row_bytes(&x->product);
  for (size_t k = 0; k < there; k += 2) {
    const __m256i two_of_w = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(w + 16 * k)));
#pragma clang loop unroll(full)
    for (size_t r = 0; r < HALF_ROWS; r++) {
      int32_t two;
      memcpy(&two, a + r * there + k, 4);
      acc[r] = _mm256_add_epi32(acc[r], _mm256_madd_epi16(_mm256_set1_epi32(two), two_of_w));
    }
  }
  const __m256 scale = _mm256_loadu_ps(x->scale + column), bias = _mm256_loadu_ps(x->bias + column);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < HALF_ROWS; r++) {
    __m256 q = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(acc[r]), scale), bias);
    if (x->residual) {
      const __m128i codes = _mm_loadl_epi64((const __m128i *)(x->residual + (row + r) * x->product.n + column));
      q = _mm256_add_ps(q, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes)), _mm256_set1_ps(x->residual_scale)));
    }
    const __m256i code = _mm256_cvtps_epi32(q);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
    _mm_storel_epi64((__m128i *)(output_row(x, row + r) + column), _mm_packus_epi16(words, words));
  }
}

// Of deeper panels the weights are widened each time.
enum { DEEPEST_WIDENED = 2048 };

// Chunks of rows against every panel: the first block widens the panel's weights, where others follow.
#define CHUNK_LOOP(x, half, block)                                                                                                                   \
  const csimd_product_u8 *product = &(x)->product;                                                                                                   \
  const size_t most = chunk_rows(product), bytes = PANEL * packed_depth(product->k);                                                                 \
  _Alignas(32) int16_t wide[CHUNK], weights[PANEL * DEEPEST_WIDENED];                                                                                \
  for (size_t first = 0; first < product->m; first += most) {                                                                                        \
    const size_t rows = product->m - first < most ? product->m - first : most;                                                                       \
    widen(product, first, rows, wide);                                                                                                               \
    for (size_t p = first_panel; p < end_panel; p++) {                                                                                               \
      const int8_t *w = (const int8_t *)product->w + p * bytes;                                                                                      \
      int32_t start[PANEL];                                                                                                                          \
      start_of(product, p * PANEL, start);                                                                                                           \
      size_t row = 0;                                                                                                                                \
      half;                                                                                                                                          \
      beside also = {(const char *)w + bytes, NULL, false};                                                                                          \
      if (rows - row >= 2 * ROWS && product->k <= DEEPEST_WIDENED) {                                                                                 \
        also.widened = weights;                                                                                                                      \
        block(ROWS);                                                                                                                                 \
        also.is_widened = true;                                                                                                                      \
        for (row += ROWS; row + ROWS <= rows; row += ROWS) block(ROWS);                                                                              \
        also = (beside){(const char *)w, NULL, false};                                                                                               \
      }                                                                                                                                              \
      FOR_ROW_BLOCKS(rows, block)                                                                                                                    \
    }                                                                                                                                                \
  }

#define WIDE (const uint8_t *)(wide + row * row_bytes(product))

void KERNEL(gemm_u8_f32)(const csimd_gemm_u8_f32_args *args, size_t first_panel, size_t end_panel) {
  const csimd_gemm_u8_f32_args own = *args, *x = &own;
#define BLOCK(rows) block_u8_f32(rows, x, first + row, WIDE, p * PANEL, start, w, also)
  CHUNK_LOOP(x, (void)0, BLOCK)
#undef BLOCK
}

void KERNEL(gemm_u8_u8)(const csimd_gemm_u8_u8_args *args, size_t first_panel, size_t end_panel) {
  // Of its own, so that no byte that is stored may have changed it.
  const csimd_gemm_u8_u8_args own = *args, *x = &own;
#define HALVES                                                                                                                                       \
  if (product->n - p * PANEL == HALF)                                                                                                                \
    for (; row + HALF_ROWS <= rows; row += HALF_ROWS) half_u8_u8(x, first + row, wide + row * row_bytes(product), p * PANEL, start, w)
#define BLOCK(rows) block_u8_u8(rows, VECTORS, x, first + row, WIDE, p * PANEL, start, w, also)
  CHUNK_LOOP(x, HALVES, BLOCK)
#undef BLOCK
#undef HALVES
}
#pragma clang attribute pop
#endif
