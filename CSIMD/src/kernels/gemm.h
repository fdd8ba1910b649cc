// The loops around the tiles of an instruction set: a panel of W at a time, blocks of rows of A against it, so that
// W is read once from memory and A stays in cache. The level defines ROWS, VECTORS (of 16 outputs) and the tiles
//   tile_u8(rows, vectors, product, row, column, panel of W, ahead, acc)   acc = the exact sums as floats, of the first vectors
//   tile_f32(rows, args, row, panel of W, ahead, acc)
//   store_panel(c, values)                                          a row of a whole panel, as store_u8
// and MOST_ROWS with rows_of(vectors), how many rows a tile of so few vectors has registers for.
#pragma once

// Where a tile prefetches from, a line each step of k: the first blocks of rows bring the next panel while they work on this
// one. Weights that come from memory are otherwise waited for by the first block and by no other.
static inline const char *ahead_of(const void *w, size_t bytes, size_t block) {
  return (const char *)w + (block < VECTORS ? bytes + block * (bytes / VECTORS) : 0);
}

// Writes act(P + bias) + residual for `count` outputs (at most 16).
static inline void finish(f32x16 p, const float *bias, csimd_activation activation, const float *residual, size_t count, float *c) {
  if (count >= 16) {
    p = activated(add(p, load(bias)), activation);
    store(c, residual ? add(p, load(residual)) : p);
  } else {
    p = activated(add(p, load_n(bias, count)), activation);
    store_n(c, residual ? add(p, load_n(residual, count)) : p, count);
  }
}

static inline __attribute__((always_inline)) void block_u8_f32(size_t rows, const csimd_gemm_u8_f32_args *x, size_t row, size_t column,
                                                               const int8_t *w, const char *ahead) {
  f32x16 acc[ROWS][VECTORS];
  tile_u8(rows, VECTORS, &x->product, row, column, w, ahead, acc);
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

static inline __attribute__((always_inline)) void block_u8_u8(size_t rows, size_t vectors, const csimd_gemm_u8_u8_args *x, size_t row, size_t column,
                                                              const int8_t *w, const char *ahead) {
  f32x16 acc[MOST_ROWS][VECTORS];
  const size_t n = x->product.n;
  tile_u8(rows, vectors, &x->product, row, column, w, ahead, acc);
  const int is_whole = vectors == VECTORS && column + 16 * VECTORS <= n;
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    uint8_t *c = x->c + (x->c_row ? x->c_row[row + r] : (row + r) * n) + column;
    if (is_whole) {
      f32x16 q[VECTORS];
#pragma clang loop unroll(full)
      for (size_t v = 0; v < VECTORS; v++) q[v] = requantized(x, acc[r][v], row + r, column + 16 * v, 16);
      store_panel(c, q);
      continue;
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
      const size_t at = column + 16 * v;
      if (at >= n) break;
      const size_t count = n - at < 16 ? n - at : 16;
      const f32x16 q = requantized(x, acc[r][v], row + r, at, count);
      if (count == 16)
        store_u8(c + 16 * v, q);
      else
        store_u8_n(c + 16 * v, q, count);
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

// From `row` on.
#define FOR_ROW_BLOCKS(m, block)                                                                                                                     \
  for (; row + ROWS <= (m); row += ROWS) block(ROWS);                                                                                                \
  switch ((m) - row) {                                                                                                                               \
  case 1: block(1); break;                                                                                                                           \
  case 2: block(2); break;                                                                                                                           \
  case 3: block(3); break;                                                                                                                           \
  case 4: block(ROWS > 4 ? 4 : 1); break;                                                                                                            \
  case 5: block(ROWS > 4 ? 5 : 1); break;                                                                                                            \
  }

#define PANEL_LOOP(m, bytes, block)                                                                                                                  \
  for (size_t p = first_panel; p < end_panel; p++) {                                                                                                 \
    const void *w = (const char *)panels + p * (bytes);                                                                                              \
    size_t row = 0;                                                                                                                                  \
    FOR_ROW_BLOCKS(m, block)                                                                                                                         \
  }

enum { PANEL = 16 * VECTORS };

static void gemm_u8_f32(const csimd_gemm_u8_f32_args *x, size_t first_panel, size_t end_panel) {
  const void *panels = x->product.w;
#define BLOCK(rows) block_u8_f32(rows, x, row, p *PANEL, w, ahead_of(w, bytes, row / ROWS))
  const size_t bytes = PANEL * ((x->product.k + 3) / 4) * 4;
  PANEL_LOOP(x->product.m, bytes, BLOCK)
#undef BLOCK
}

// A last panel of few outputs has tiles of as few vectors and more rows; the rows that are left go with the whole panel.
static void gemm_u8_u8(const csimd_gemm_u8_u8_args *x, size_t first_panel, size_t end_panel) {
  const size_t m = x->product.m, bytes = PANEL * ((x->product.k + 3) / 4) * 4;
  for (size_t p = first_panel; p < end_panel; p++) {
    const int8_t *w = x->product.w + p * bytes;
    const size_t vectors = (x->product.n - p * PANEL + 15) / 16;
    size_t row = 0;
#pragma clang loop unroll(full)
    for (size_t v = 1; v < VECTORS; v++)
      if (vectors == v)
        for (; row + rows_of(v) <= m; row += rows_of(v)) block_u8_u8(rows_of(v), v, x, row, p * PANEL, w, (const char *)w);
#define BLOCK(rows) block_u8_u8(rows, VECTORS, x, row, p *PANEL, w, ahead_of(w, bytes, row / ROWS))
    FOR_ROW_BLOCKS(m, BLOCK)
#undef BLOCK
  }
}

static void gemm_f32(const csimd_gemm_f32_args *x, size_t first_panel, size_t end_panel) {
  const void *panels = x->w;
#define BLOCK(rows) block_f32(rows, x, row, p *PANEL, w, ahead_of(w, bytes, row / ROWS))
  const size_t bytes = PANEL * x->k * sizeof(float);
  PANEL_LOOP(x->m, bytes, BLOCK)
#undef BLOCK
}
