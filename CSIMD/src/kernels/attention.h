// One head of one sequence, in blocks of six query rows: scores against K transposed, softmax, product with V. The
// scores of a block stay in cache; nothing of size tokens^2 is written. Products accumulate in order of the depth.
#pragma once

enum { ATTENTION_COLUMNS = TILE_COLUMNS(attention), ATTENTION_VECTORS = ATTENTION_COLUMNS / 16 };
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

// out[r, :] = by[r] * A B for the full width of B, whose columns lie in panels of ATTENTION_COLUMNS, `step` floats from one to the next.
static inline __attribute__((always_inline)) void product_rows(size_t rows, size_t depth, size_t width, const float *a, size_t lda, const float *b,
                                                               size_t ldb, size_t step, const float *by, float *out, size_t ldo) {
  size_t j = 0;
  for (; j + 16 * ATTENTION_VECTORS <= csimd_round16(width); j += 16 * ATTENTION_VECTORS) {
    f32x16 acc[CSIMD_ATTENTION_ROWS][ATTENTION_VECTORS];
    block_product(rows, ATTENTION_VECTORS, depth, a, lda, b + j / ATTENTION_COLUMNS * step, ldb, acc);
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < ATTENTION_VECTORS; v++) {
        const size_t at = j + 16 * v;
        store_n(out + r * ldo + at, mul(acc[r][v], splat(by[r])), width - at < 16 ? width - at : 16);
      }
  }
  for (; j < width; j += 16) {
    f32x16 acc[CSIMD_ATTENTION_ROWS][ATTENTION_VECTORS];
    block_product(rows, 1, depth, a, lda, b + j / ATTENTION_COLUMNS * step + j % ATTENTION_COLUMNS, ldb, acc);
    for (size_t r = 0; r < rows; r++) store_n(out + r * ldo + j, mul(acc[r][0], splat(by[r])), width - j < 16 ? width - j : 16);
  }
}

static inline __attribute__((always_inline)) void attend(const csimd_attention_f32_args *x, size_t first, size_t rows, const float *kt,
                                                         const float *v, float *scores) {
  const size_t padded = csimd_round16(x->tokens), seen = x->causal ? first + rows : x->tokens;
  float by[CSIMD_ATTENTION_ROWS];
  for (size_t r = 0; r < rows; r++) by[r] = x->scale;
  product_rows(rows, x->width, seen, x->q + first * x->ld, x->ld, kt, ATTENTION_COLUMNS, x->width * ATTENTION_COLUMNS, by, scores, padded);
  for (size_t r = 0; r < rows; r++) {
    float *row = scores + r * padded;
    const size_t own = x->causal ? first + r + 1 : x->tokens;
    by[r] = 1.0f / exponentials(own, row);
    memset(row + own, 0, (seen - own) * sizeof(float));
  }
  product_rows(rows, seen, x->width, scores, padded, v, csimd_round16(x->width), ATTENTION_COLUMNS, by, x->o + first * x->ldo, x->ldo);
}

// K transposed, f32[panels, width, ATTENTION_COLUMNS]: a block of queries reads it as it lies. Of four tokens at a time four numbers: the rows of K
// often lie so far from each other that they share a few lines of a cache, out of which one number of each would throw the one before.
static inline __attribute__((always_inline)) void transpose(size_t tokens, size_t width, const float *k, size_t ld, float *kt) {
  typedef float f32x4 __attribute__((vector_size(16), aligned(4), may_alias));
  for (size_t j = 0; j < csimd_round16(tokens); j += 4) {
    float *panel = kt + j / ATTENTION_COLUMNS * width * ATTENTION_COLUMNS + j % ATTENTION_COLUMNS;
    size_t i = 0;
    for (; j + 4 <= tokens && i + 4 <= width; i += 4) {
      const float *from = k + j * ld + i;
      const f32x4 a = *(const f32x4 *)from, b = *(const f32x4 *)(from + ld), c = *(const f32x4 *)(from + 2 * ld), d = *(const f32x4 *)(from + 3 * ld);
      const f32x4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const f32x4 more_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), more_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      float *to = panel + i * ATTENTION_COLUMNS;
      *(f32x4 *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
      *(f32x4 *)(to + ATTENTION_COLUMNS) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
      *(f32x4 *)(to + 2 * ATTENTION_COLUMNS) = __builtin_shufflevector(more_ab, more_cd, 0, 1, 4, 5);
      *(f32x4 *)(to + 3 * ATTENTION_COLUMNS) = __builtin_shufflevector(more_ab, more_cd, 2, 3, 6, 7);
    }
    for (; i < width; i++)
      for (size_t r = 0; r < 4; r++) panel[i * ATTENTION_COLUMNS + r] = j + r < tokens ? k[(j + r) * ld + i] : 0;
  }
}

void KERNEL(attention)(const csimd_attention_f32_args *x) {
  const size_t panels = (x->tokens + ATTENTION_COLUMNS - 1) / ATTENTION_COLUMNS, wide = csimd_round16(x->width);
  float *kt = x->scratch, *v = kt + panels * x->width * ATTENTION_COLUMNS, *scores = v + x->tokens * wide;
  transpose(x->tokens, x->width, x->k, x->ld, kt);
  for (size_t j = 0; j < x->tokens; j++) {
    memcpy(v + j * wide, x->v + j * x->ld, x->width * sizeof(float));
    memset(v + j * wide + x->width, 0, (wide - x->width) * sizeof(float));
  }
  size_t first = 0;
  for (; first + CSIMD_ATTENTION_ROWS <= x->tokens; first += CSIMD_ATTENTION_ROWS) attend(x, first, CSIMD_ATTENTION_ROWS, kt, v, scores);
  for (; first < x->tokens; first++) attend(x, first, 1, kt, v, scores);
}
