// A block of a product of u8 and s8: its sums, and what follows them. The level defines the tiles
//   tile_u8(rows, vectors, product, a, start, panel of W, ahead, acc)   acc = start and the exact sums of rows of A as floats, of the first vectors
//   store_panel(c, values, vectors)                                       a row of that many whole vectors, as store_u8
// MOST_ROWS, those of its tallest tile, and A_OFFSET, what it takes from each activation; and AHEAD, the type of what a tile is told beside its
// operands, where that is more than the line it prefetches from.
#pragma once
#include "gemm.h"
#include <stdbool.h>

#ifndef AHEAD
#define AHEAD const char *
#endif

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

// A block of whole vectors. What an activation takes is much beside storing the sums and reading them again, and too much code for each of them.
static inline __attribute__((always_inline)) void finish_floats(size_t rows, const csimd_gemm_u8_f32_args *x, size_t row, size_t column,
                                                                f32x16 acc[ROWS][VECTORS]) {
  float *const c = x->c + row * x->ldc + column;
#pragma clang loop unroll(full)
  for (size_t v = 0; v < VECTORS; v++) {
    const f32x16 scale = load(x->scale + column + 16 * v), bias = load(x->bias + column + 16 * v);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) acc[r][v] = add(mul(acc[r][v], mul(splat(x->a_scale ? x->a_scale[row + r] : 1), scale)), bias);
  }
  if (x->activation != csimd_activation_none) {
    float values[ROWS * PANEL];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (size_t v = 0; v < VECTORS; v++) store(values + r * PANEL + 16 * v, acc[r][v]);
#pragma clang loop unroll(disable)
    for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(disable)
      for (size_t i = 0; i < PANEL; i += 16) {
        const f32x16 p = activated(load(values + r * PANEL + i), x->activation);
        store(c + r * x->ldc + i, x->residual ? add(p, load(x->residual + (row + r) * x->ldr + column + i)) : p);
      }
    return;
  }
  const float *const residual = x->residual ? x->residual + row * x->ldr + column : NULL;
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTORS; v++) store(c + r * x->ldc + 16 * v, residual ? add(acc[r][v], load(residual + r * x->ldr + 16 * v)) : acc[r][v]);
}

static inline __attribute__((always_inline)) void block_u8_f32(size_t rows, const csimd_gemm_u8_f32_args *x, size_t row, const uint8_t *a,
                                                               size_t column, const int32_t *start, const int8_t *w, AHEAD ahead) {
  f32x16 acc[ROWS][VECTORS];
  tile_u8(rows, VECTORS, &x->product, a, start, w, ahead, acc);
  if (x->product.n - column >= PANEL) return finish_floats(rows, x, row, column, acc);
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

static inline f32x16 with_residual(f32x16 q, const csimd_gemm_u8_u8_args *x, size_t row, size_t at, size_t count) {
  return add(q, mul(from_u8_n(x->residual + row * x->product.n + at, count), splat(x->residual_scale)));
}

static inline uint8_t *output_row(const csimd_gemm_u8_u8_args *x, size_t row) { return x->c + (x->c_row ? x->c_row[row] : row * x->product.n); }

// Rows of whole vectors, which lie behind each other: without a branch in them, as what follows a short sum takes as long as it.
static inline __attribute__((always_inline)) void finish_whole(size_t rows, size_t vectors, const csimd_gemm_u8_u8_args *x, bool has_residual,
                                                               size_t row, size_t column, f32x16 acc[][VECTORS]) {
  f32x16 scale[VECTORS], bias[VECTORS];
#pragma clang loop unroll(full)
  for (size_t v = 0; v < vectors; v++) scale[v] = load(x->scale + column + 16 * v), bias[v] = load(x->bias + column + 16 * v);
  f32x16 before = splat(0);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    f32x16 q[VECTORS];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      // Where registers are few, read for each row.
      const f32x16 by = VECTORS > 1 ? scale[v] : load(x->scale + column), also = VECTORS > 1 ? bias[v] : load(x->bias + column);
      q[v] = add(mul(acc[r][v], by), also);
      if (has_residual) q[v] = with_residual(q[v], x, row + r, column + 16 * v, 16);
    }
    uint8_t *const c = output_row(x, row + r) + column;
    if (vectors > 1)
      store_panel(c, q, vectors);
    else if (r % 2 == 1)
      store_u8_two(output_row(x, row + r - 1) + column, before, c, q[0]);
    else if (r + 1 < rows)
      before = q[0];
    else
      store_u8(c, q[0]);
  }
}

static inline __attribute__((always_inline)) void block_u8_u8(size_t rows, size_t vectors, const csimd_gemm_u8_u8_args *x, size_t row,
                                                              const uint8_t *a, size_t column, const int32_t *start, const int8_t *w, AHEAD ahead) {
  f32x16 acc[MOST_ROWS][VECTORS];
  const size_t left = x->product.n - column;
  tile_u8(rows, vectors, &x->product, a, start, w, ahead, acc);
  if (left >= 16 * vectors) {
    if (x->residual) return finish_whole(rows, vectors, x, true, row, column, acc);
    return finish_whole(rows, vectors, x, false, row, column, acc);
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    uint8_t *c = output_row(x, row + r) + column;
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      if (16 * v >= left) break;
      const size_t count = left - 16 * v < 16 ? left - 16 * v : 16, at = column + 16 * v;
      f32x16 q = add(mul(acc[r][v], load_n(x->scale + at, count)), load_n(x->bias + at, count));
      if (x->residual) q = with_residual(q, x, row + r, at, count);
      if (count == 16)
        store_u8(c + 16 * v, q);
      else
        store_u8_n(c + 16 * v, q, count);
    }
  }
}
