// Products of f32, in order of k, one fused multiply-add each where the level has it.
#pragma once
#include "gemm.h"

_Static_assert(TILE_ROWS(gemm_f32) == ROWS && TILE_COLUMNS(gemm_f32) == PANEL && TILE_COLUMNS(pack_f32) == PANEL, "one tile for both types");

void KERNEL(pack_f32)(size_t n, size_t k, const float *w, float *out) { csimd_pack_f32(n, k, w, out, PANEL); }

// acc[r, :] = sum_k A[row + r, k] W[k, panel].
static inline __attribute__((always_inline)) void tile_f32(size_t rows, const csimd_gemm_f32_args *x, size_t row, const float *w, const char *ahead,
                                                           f32x16 acc[][VECTORS]) {
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTORS; v++) acc[r][v] = splat(0);
  const float *a = x->a + row * x->lda;
  for (size_t k = 0; k < x->k; k++, w += 16 * VECTORS) {
    __builtin_prefetch(ahead + 64 * k, 0, 2);
    f32x16 column[VECTORS];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTORS; v++) column[v] = load(w + 16 * v);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      const f32x16 one = splat(a[r * x->lda + k]);
#pragma clang loop unroll(full)
      for (size_t v = 0; v < VECTORS; v++) acc[r][v] = fused(one, column[v], acc[r][v]);
    }
  }
}

static inline __attribute__((always_inline)) void block_f32(size_t rows, const csimd_gemm_f32_args *x, size_t row, size_t column, const float *w,
                                                            const char *ahead) {
  f32x16 acc[ROWS][VECTORS];
  tile_f32(rows, x, row, w, ahead, acc);
#pragma clang loop unroll(full)
  for (size_t v = 0; v < VECTORS; v++) {
    const size_t at = column + 16 * v;
    if (at >= x->n) break;
    const size_t count = x->n - at < 16 ? x->n - at : 16;
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++)
      finish(acc[r][v], x->bias + at, x->activation, x->residual ? x->residual + (row + r) * x->ldr + at : NULL, count,
             x->c + (row + r) * x->ldc + at);
  }
}

void KERNEL(gemm_f32)(const csimd_gemm_f32_args *x, size_t first_panel, size_t end_panel) {
  const void *panels = x->w;
#define BLOCK(rows) block_f32(rows, x, row, p *PANEL, w, ahead_of(w, bytes, row / ROWS))
  const size_t bytes = PANEL * x->k * sizeof(float);
  PANEL_LOOP(x->m, bytes, BLOCK)
#undef BLOCK
}
