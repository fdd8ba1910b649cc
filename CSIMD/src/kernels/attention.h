// One head of one sequence, in blocks of six query rows: scores against K transposed, softmax, product with V. The
// scores of a block stay in cache; nothing of size tokens^2 is written. Products accumulate in order of the depth.
#pragma once

enum { ATTENTION_VECTORS = TILE_COLUMNS(attention) / 16 };
_Static_assert(CSIMD_ATTENTION_ROWS == TILE_ROWS(attention), "");

// C[rows, 16 vectors] = A[rows, depth] B[depth, 16 vectors], A with leading dimension lda, B and C with padded rows.
static inline __attribute__((always_inline)) void block_product(size_t rows, size_t vectors, size_t depth, const float *a, size_t lda, const float *b,
                                                                size_t ldb, f32x16 acc[][ATTENTION_VECTORS]) {
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) acc[r][j] = splat(0);
  for (size_t i = 0; i < depth; i++, b += ldb) {
    f32x16 column[ATTENTION_VECTORS];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) column[j] = load(b + 16 * j);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      const f32x16 x = splat(a[r * lda + i]);
#pragma clang loop unroll(full)
      for (size_t j = 0; j < vectors; j++) acc[r][j] = add(acc[r][j], mul(x, column[j]));
    }
  }
}

// out[r, :] = by[r] * A B for the full width of B.
static inline __attribute__((always_inline)) void product_rows(size_t rows, size_t depth, size_t width, const float *a, size_t lda, const float *b,
                                                               size_t ldb, const float *by, float *out, size_t ldo) {
  size_t j = 0;
  for (; j + 16 * ATTENTION_VECTORS <= csimd_round16(width); j += 16 * ATTENTION_VECTORS) {
    f32x16 acc[CSIMD_ATTENTION_ROWS][ATTENTION_VECTORS];
    block_product(rows, ATTENTION_VECTORS, depth, a, lda, b + j, ldb, acc);
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < ATTENTION_VECTORS; v++) {
        const size_t at = j + 16 * v;
        store_n(out + r * ldo + at, mul(acc[r][v], splat(by[r])), width - at < 16 ? width - at : 16);
      }
  }
  for (; j < width; j += 16) {
    f32x16 acc[CSIMD_ATTENTION_ROWS][ATTENTION_VECTORS];
    block_product(rows, 1, depth, a, lda, b + j, ldb, acc);
    for (size_t r = 0; r < rows; r++) store_n(out + r * ldo + j, mul(acc[r][0], splat(by[r])), width - j < 16 ? width - j : 16);
  }
}

static inline __attribute__((always_inline)) void attend(const csimd_attention_f32_args *x, size_t first, size_t rows, const float *kt,
                                                         const float *v, float *scores) {
  const size_t padded = csimd_round16(x->tokens), seen = x->causal ? first + rows : x->tokens;
  float by[CSIMD_ATTENTION_ROWS];
  for (size_t r = 0; r < rows; r++) by[r] = x->scale;
  product_rows(rows, x->width, seen, x->q + first * x->ld, x->ld, kt, padded, by, scores, padded);
  for (size_t r = 0; r < rows; r++) {
    float *row = scores + r * padded;
    const size_t own = x->causal ? first + r + 1 : x->tokens;
    by[r] = 1.0f / exponentials(own, row);
    memset(row + own, 0, (seen - own) * sizeof(float));
  }
  product_rows(rows, seen, x->width, scores, padded, v, csimd_round16(x->width), by, x->o + first * x->ldo, x->ldo);
}

void KERNEL(attention)(const csimd_attention_f32_args *x) {
  const size_t padded = csimd_round16(x->tokens), wide = csimd_round16(x->width);
  float *kt = x->scratch, *v = kt + x->width * padded, *scores = v + x->tokens * wide;
  for (size_t i = 0; i < x->width; i++) {
    for (size_t j = 0; j < x->tokens; j++) kt[i * padded + j] = x->k[j * x->ld + i];
    memset(kt + i * padded + x->tokens, 0, (padded - x->tokens) * sizeof(float));
  }
  for (size_t j = 0; j < x->tokens; j++) {
    memcpy(v + j * wide, x->v + j * x->ld, x->width * sizeof(float));
    memset(v + j * wide + x->width, 0, (wide - x->width) * sizeof(float));
  }
  size_t first = 0;
  for (; first + CSIMD_ATTENTION_ROWS <= x->tokens; first += CSIMD_ATTENTION_ROWS) attend(x, first, CSIMD_ATTENTION_ROWS, kt, v, scores);
  for (; first < x->tokens; first++) attend(x, first, 1, kt, v, scores);
}
