// A block of a product of u8 and s8: its sums, and what follows them. The level defines the tiles
//   tile_u8(rows, vectors, product, a, start, panel of W, ahead, acc)   acc = start and the exact sums of rows of A as floats, of the first vectors
//   store_panel(c, values, vectors)                                       a row of that many whole vectors, as store_u8
// MOST_ROWS, those of its tallest tile, and A_OFFSET, what it takes from each activation.
#pragma once
#include "gemm.h"

_Static_assert(TILE_ROWS(gemm_u8_u8) == ROWS && TILE_COLUMNS(gemm_u8_u8) == PANEL && TILE_COLUMNS(pack_s8) == PANEL, "one tile for both");

// Steps of k that lie together; a panel has whole fours of them.
enum { DEPTH = TILE_PACKING(pack_s8) == csimd_packing_s8_by_8 ? 8 : TILE_PACKING(pack_s8) == csimd_packing_s8_by_2 ? 2 : 4 };
enum { WHOLE_DEPTH = DEPTH < 4 ? 4 : DEPTH };
static inline size_t packed_depth(size_t k) { return (k + WHOLE_DEPTH - 1) / WHOLE_DEPTH * WHOLE_DEPTH; }

void KERNEL(pack_s8)(size_t n, size_t k, const int8_t *w, void *out) { csimd_pack_s8(n, k, w, out, PANEL, DEPTH, packed_depth(k)); }

// What the sums of a panel begin with: the zero of the activations, taken off them all at once.
static inline void start_of(const csimd_product_u8 *x, size_t column, int32_t start[PANEL]) {
  for (size_t i = 0; i < PANEL; i++) start[i] = x->w_sum[column + i] * (A_OFFSET - x->a_zero);
}

static inline __attribute__((always_inline)) void block_u8_f32(size_t rows, const csimd_gemm_u8_f32_args *x, size_t row, const uint8_t *a,
                                                               size_t column, const int32_t *start, const int8_t *w, const char *ahead) {
  f32x16 acc[ROWS][VECTORS];
  tile_u8(rows, VECTORS, &x->product, a, start, w, ahead, acc);
#pragma clang loop unroll(full)
  for (size_t v = 0; v < VECTORS; v++) {
    const size_t at = column + 16 * v;
    if (at >= x->product.n) break;
    const size_t count = x->product.n - at < 16 ? x->product.n - at : 16;
    const f32x16 scale = load_n(x->scale + at, count);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      const size_t i = row + r;
      const f32x16 by = x->a_scale ? mul(splat(x->a_scale[i]), scale) : scale;
      finish(mul(acc[r][v], by), x->bias + at, x->activation, x->residual ? x->residual + i * x->ldr + at : NULL, count, x->c + i * x->ldc + at);
    }
  }
}

static inline __attribute__((always_inline)) f32x16 requantized(const csimd_gemm_u8_u8_args *x, f32x16 acc, size_t row, size_t at, size_t count) {
  const f32x16 q = add(mul(acc, load_n(x->scale + at, count)), load_n(x->bias + at, count));
  if (!x->residual) return q;
  return add(q, mul(from_u8_n(x->residual + row * x->product.n + at, count), splat(x->residual_scale)));
}

static inline __attribute__((always_inline)) void block_u8_u8(size_t rows, size_t vectors, const csimd_gemm_u8_u8_args *x, size_t row,
                                                              const uint8_t *a, size_t column, const int32_t *start, const int8_t *w,
                                                              const char *ahead) {
  f32x16 acc[MOST_ROWS][VECTORS];
  const size_t n = x->product.n;
  tile_u8(rows, vectors, &x->product, a, start, w, ahead, acc);
  const size_t left = n - column < 16 * vectors ? n - column : 16 * vectors;
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    uint8_t *c = x->c + (x->c_row ? x->c_row[row + r] : (row + r) * n) + column;
    if (left == 16 * vectors) {
      f32x16 q[VECTORS];
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) q[v] = requantized(x, acc[r][v], row + r, column + 16 * v, 16);
      store_panel(c, q, vectors);
      continue;
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      if (16 * v >= left) break;
      const size_t count = left - 16 * v < 16 ? left - 16 * v : 16;
      const f32x16 q = requantized(x, acc[r][v], row + r, column + 16 * v, count);
      if (count == 16)
        store_u8(c + 16 * v, q);
      else
        store_u8_n(c + 16 * v, q, count);
    }
  }
}
