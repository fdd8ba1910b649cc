// Products of u8 and s8, a block of rows after the other against a panel of weights. Beside what gemm_u8_blocks.h needs the level defines
// rows_of(vectors), how many rows a tile of so few vectors has registers for, and SHALLOW_ROWS, those of a tile of up to SHALLOW_K inputs, or 0
// inputs where it has none of its own.
#pragma once
#include "gemm_u8_blocks.h"

static inline const uint8_t *a_of(const csimd_product_u8 *x, size_t row) { return x->a + row * x->lda; }

void KERNEL(gemm_u8_f32)(const csimd_gemm_u8_f32_args *x, size_t first_panel, size_t end_panel) {
  const size_t bytes = PANEL * packed_depth(x->product.k);
  for (size_t p = first_panel; p < end_panel; p++) {
    const int8_t *w = x->product.w + p * bytes;
    int32_t start[PANEL];
    start_of(&x->product, p * PANEL, start);
    size_t row = 0;
#define BLOCK(rows) block_u8_f32(rows, x, row, a_of(&x->product, row), p *PANEL, start, w, ahead_of(w, bytes, row / ROWS))
    FOR_ROW_BLOCKS(x->product.m, BLOCK)
#undef BLOCK
  }
}

// A last panel of few outputs has tiles of as few vectors and more rows; the rows that are left go with the whole panel.
void KERNEL(gemm_u8_u8)(const csimd_gemm_u8_u8_args *args, size_t first_panel, size_t end_panel) {
  // Of its own, so that no byte that is stored may have changed it.
  const csimd_gemm_u8_u8_args own = *args, *x = &own;
  const size_t m = x->product.m, bytes = PANEL * packed_depth(x->product.k);
  for (size_t p = first_panel; p < end_panel; p++) {
    const int8_t *w = x->product.w + p * bytes;
    const size_t vectors = (x->product.n - p * PANEL + 15) / 16;
    int32_t start[PANEL];
    start_of(&x->product, p * PANEL, start);
    size_t row = 0;
#pragma clang loop unroll(full)
    for (size_t v = 1; v < VECTORS; v++)
      if (vectors == v)
        for (; row + rows_of(v) <= m; row += rows_of(v))
          block_u8_u8(rows_of(v), v, x, row, a_of(&x->product, row), p * PANEL, start, w, (const char *)w);
    // Where a tile takes few steps, what comes after them takes as long: shorter tiles let one's last steps run beside the next one's first.
    if (x->product.k <= SHALLOW_K)
      for (; row + SHALLOW_ROWS <= m; row += SHALLOW_ROWS)
        block_u8_u8(SHALLOW_ROWS, VECTORS, x, row, a_of(&x->product, row), p * PANEL, start, w, ahead_of(w, bytes, row / SHALLOW_ROWS));
#define BLOCK(rows) block_u8_u8(rows, VECTORS, x, row, a_of(&x->product, row), p *PANEL, start, w, ahead_of(w, bytes, row / ROWS))
    FOR_ROW_BLOCKS(m, BLOCK)
#undef BLOCK
  }
}
