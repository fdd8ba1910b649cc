// acc[r, :] = sum_k A[row + r, k] W[k, panel], in order of k, one fused multiply-add each.
#pragma once

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
