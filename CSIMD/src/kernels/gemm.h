// The loops around the tiles of an instruction set: a panel of W at a time, blocks of rows of A against it, so that
// W is read once from memory and A stays in cache.
#pragma once

enum { PANEL = 16 * VECTORS };

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
