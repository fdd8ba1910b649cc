// Level i8mm: the matrix products of Armv8.6 (Neoverse V1 and N2, Graviton 3 and up), for the int8 product alone; the rest is neondot's. Tile 4 x 16:
// 16 accumulators, 8 columns and 2 pairs of rows of 32 registers.
// usmmla takes two rows of eight u8 and two outputs of eight s8, and adds their four sums to four lanes. The sums start at zero; -a_zero times the
// weights' sums comes last.
#include "../shapes.h"
#include <string.h>
#if defined(__aarch64__)
#define LEVEL i8mm
#include "../kernels/level.h"
#include <arm_acle.h>
#include <arm_neon.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("crc,dotprod,i8mm"))), apply_to = function)

#include "../vector/f32x16_neon.h"

enum { PAIRS = (ROWS + 1) / 2 };

// `count` (4 or 8) bytes of each of two rows; what is not there is zero.
static inline uint8x16_t row_pair(const uint8_t *a, const uint8_t *b, size_t count) {
  uint8_t both[16] = {0};
  memcpy(both, a, count);
  memcpy(both + 8, b, count);
  return vld1q_u8(both);
}

static inline __attribute__((always_inline)) void step_u8(size_t rows, const uint8_t *a, size_t lda, size_t count, const int8_t *w,
                                                          int32x4_t acc[PAIRS][8]) {
  int8x16_t columns[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) columns[i] = vld1q_s8(w + 16 * i);
#pragma clang loop unroll(full)
  for (size_t p = 0; p < (rows + 1) / 2; p++) {
    // The last row of an odd number stands for both.
    const uint8_t *first = a + 2 * p * lda, *second = 2 * p + 1 < rows ? first + lda : first;
    const uint8x16_t pair = count == 8 ? vcombine_u8(vld1_u8(first), vld1_u8(second)) : row_pair(first, second, count);
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) acc[p][i] = vusmmlaq_s32(acc[p][i], pair, columns[i]);
  }
}

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  int32x4_t acc[PAIRS][8];
#pragma clang loop unroll(full)
  for (size_t p = 0; p < PAIRS; p++)
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) acc[p][i] = vdupq_n_s32(0);
  // A row is there to a multiple of four.
  const size_t there = (x->k + 3) / 4 * 4;
  size_t k = 0;
  for (; k + 8 <= there; k += 8, w += 128) {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
    step_u8(rows, a + k, x->lda, 8, w, acc);
  }
  if (k < there) step_u8(rows, a + k, x->lda, 4, w, acc);
  const i32x16 offset = load_i32(start);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    i32x16 sums;
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      const int32x4_t even = acc[r / 2][2 * i], odd = acc[r / 2][2 * i + 1];
      const int32x4_t of_row = r % 2 ? vcombine_s32(vget_high_s32(even), vget_high_s32(odd)) : vcombine_s32(vget_low_s32(even), vget_low_s32(odd));
      sums.v[i] = vaddq_s32(of_row, offset.v[i]);
    }
    out[r][0] = to_f32(sums);
  }
}

enum { MOST_ROWS = ROWS, A_OFFSET = 0, SHALLOW_ROWS = 1, SHALLOW_K = 0 };
static inline size_t rows_of(size_t vectors) { return ROWS; }
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

#include "../vector/functions.h"
#include "../kernels/gemm_u8.h"
#pragma clang attribute pop
#endif
