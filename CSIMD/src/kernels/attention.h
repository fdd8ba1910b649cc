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

static inline void put(float *p, f32x16 x, size_t n) {
  // A store under a mask is slow to be read again.
  if (n < 16)
    store_n(p, x, n);
  else
    store(p, x);
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
        put(out + r * ldo + at, mul(acc[r][v], splat(by[r])), width - at);
      }
  }
  for (; j < width; j += 16) {
    f32x16 acc[CSIMD_ATTENTION_ROWS][ATTENTION_VECTORS];
    block_product(rows, 1, depth, a, lda, b + j / ATTENTION_COLUMNS * step + j % ATTENTION_COLUMNS, ldb, acc);
    for (size_t r = 0; r < rows; r++) put(out + r * ldo + j, mul(acc[r][0], splat(by[r])), width - j);
  }
}

// exp(x - max) of a row in place, with zeros up to a whole vector; returns the sum.
static inline float exponentials(size_t k, float *x) {
  const size_t tail = k % 16, body = k - tail;
  f32x16 most = splat(-__builtin_inff()), total = splat(0);
  for (size_t j = 0; j < body; j += 16) most = larger(most, load(x + j));
  if (tail) most = larger(most, fill_from(load(x + body), tail, -__builtin_inff()));
  const f32x16 top = splat(max_of(most));
  for (size_t j = 0; j < body; j += 16) {
    const f32x16 e = exponential(sub(load(x + j), top));
    store(x + j, e);
    total = add(total, e);
  }
  if (tail) {
    const f32x16 e = fill_from(exponential(sub(load(x + body), top)), tail, 0);
    store(x + body, e);
    total = add(total, e);
  }
  return sum_of(total);
}

static inline __attribute__((always_inline)) void attend(const csimd_attention_f32_args *x, size_t first, size_t rows, const float *kt,
                                                         const float *v, size_t ldv, float *scores) {
  const size_t padded = csimd_round16(x->tokens), seen = x->causal ? first + rows : x->tokens;
  float by[CSIMD_ATTENTION_ROWS];
  for (size_t r = 0; r < rows; r++) by[r] = x->scale;
  const size_t whole = csimd_round16(seen);
  product_rows(rows, x->width, whole, x->q + first * x->ld, x->ld, kt, ATTENTION_COLUMNS, x->width * ATTENTION_COLUMNS, by, scores, padded);
  for (size_t r = 0; r < rows; r++) {
    float *row = scores + r * padded;
    const size_t own = x->causal ? first + r + 1 : x->tokens;
    by[r] = 1.0f / exponentials(own, row);
    for (size_t j = csimd_round16(own); j < whole; j += 16) store(row + j, splat(0));
  }
  product_rows(rows, seen, x->width, scores, padded, v, ldv, ATTENTION_COLUMNS, by, x->o + first * x->ldo, x->ldo);
}

// By itself, as what is around it would take registers from its products.
static __attribute__((noinline)) void attend_block(const csimd_attention_f32_args *x, size_t first, const float *kt, const float *v, size_t ldv,
                                                   float *scores) {
  attend(x, first, CSIMD_ATTENTION_ROWS, kt, v, ldv, scores);
}

// Of up to four rows of K, those that are missing zeros, four numbers at a time. The rows often lie so far from each other that they share a few
// lines of a cache, out of which one number of each would throw the one before.
static inline __attribute__((always_inline)) void transpose_rows(size_t rows, size_t width, const float *k, size_t ld, float *kt) {
  typedef float f32x4 __attribute__((vector_size(16), aligned(4), may_alias));
  size_t i = 0;
  for (; i + 4 <= width; i += 4, kt += 4 * ATTENTION_COLUMNS) {
    f32x4 row[4] = {{0}, {0}, {0}, {0}};
#pragma clang loop unroll(full)
    for (size_t r = 0; r < 4; r++)
      if (r < rows) row[r] = *(const f32x4 *)(k + r * ld + i);
    const f32x4 ab = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5), cd = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const f32x4 more_ab = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7), more_cd = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    *(f32x4 *)kt = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(f32x4 *)(kt + ATTENTION_COLUMNS) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(f32x4 *)(kt + 2 * ATTENTION_COLUMNS) = __builtin_shufflevector(more_ab, more_cd, 0, 1, 4, 5);
    *(f32x4 *)(kt + 3 * ATTENTION_COLUMNS) = __builtin_shufflevector(more_ab, more_cd, 2, 3, 6, 7);
  }
  for (; i < width; i++, kt += ATTENTION_COLUMNS)
    for (size_t r = 0; r < 4; r++) kt[r] = r < rows ? k[r * ld + i] : 0;
}

// K transposed, f32[panels, width, ATTENTION_COLUMNS]: a block of queries reads it as it lies.
static inline __attribute__((always_inline)) void transpose(size_t tokens, size_t width, const float *k, size_t ld, float *kt) {
  for (size_t j = 0; j < csimd_round16(tokens); j += 4) {
    float *panel = kt + j / ATTENTION_COLUMNS * width * ATTENTION_COLUMNS + j % ATTENTION_COLUMNS;
    if (j + 4 <= tokens)
      transpose_rows(4, width, k + j * ld, ld, panel);
    else
      transpose_rows(j < tokens ? tokens - j : 0, width, k + j * ld, ld, panel);
  }
}

// Tokens whose values are read as they lie: more would lie in the same few lines of a cache.
enum { FEW_TOKENS = 64 };

void KERNEL(attention)(const csimd_attention_f32_args *x) {
  const size_t tokens = x->tokens, width = x->width, wide = csimd_round16(width);
  float *kt = x->scratch, *copied = kt + (tokens + ATTENTION_COLUMNS - 1) / ATTENTION_COLUMNS * width * ATTENTION_COLUMNS;
  float *scores = copied + tokens * wide;
  transpose(tokens, width, x->k, x->ld, kt);
  const int isCopied = width % 16 != 0 || tokens > FEW_TOKENS;
  for (size_t j = 0; isCopied && j < tokens; j++)
    for (size_t i = 0; i < wide; i += 16)
      store(copied + j * wide + i, width - i < 16 ? load_n(x->v + j * x->ld + i, width - i) : load(x->v + j * x->ld + i));
  const float *v = isCopied ? copied : x->v;
  const size_t ldv = isCopied ? wide : x->ld;
  // Six rows take as long as one: the last block begins where it is whole, and computes some rows again.
  const size_t rows = tokens < CSIMD_ATTENTION_ROWS ? 1 : CSIMD_ATTENTION_ROWS;
  for (size_t first = 0; first < tokens; first += rows) {
    if (rows == 1)
      attend(x, first, 1, kt, v, ldv, scores);
    else
      attend_block(x, first + rows <= tokens ? first : tokens - rows, kt, v, ldv, scores);
  }
}
