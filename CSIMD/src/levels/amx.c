// Level amx: the tiles of AMX (Sapphire Rapids and up), for the int8 product alone; the rest is avx512vnni's, and so is the packing. Tile 16 x 64:
// tiles 0 to 3 hold the sums of sixteen outputs each, 4 sixteen rows of activations, 5 a quarter of the panel; 6 and 7 are those of what k leaves
// over 64, as a tile's shape is part of the configuration and a new one clears the sums. tdpbusd adds, for every row and output, sixteen times four
// products of u8 and s8 to an i32, without saturation. The sums start at zero and are stored; -a_zero times the weights' sums, and what follows them,
// comes a row at a time.
#include "../shapes.h"
#include <string.h>
#if defined(__x86_64__)
#define LEVEL amx
#include "../kernels/level.h"
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function)

#include "../vector/f32x16_avx512.h"

enum { MOST_ROWS = 1, A_OFFSET = 0, TILE_K = 64 };

// A row of the sums that the tiles left, i32[64], in the place of activations.
static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *sums,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  for (size_t v = 0; v < vectors; v++) out[0][v] = to_f32(_mm512_add_epi32(_mm512_load_si512(sums + 64 * v), load_i32(start + 16 * v)));
}

#include "../vector/functions.h"
#include "../kernels/gemm_u8_blocks.h"

// What ldtilecfg reads.
typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
} tile_shapes;

// Bytes of a row of A that are there: up to a multiple of four.
static inline size_t row_bytes(const csimd_product_u8 *x) { return (x->k + 3) / 4 * 4; }

static void configure(size_t rows, size_t rest) {
  tile_shapes shapes = {.palette = 1};
  for (size_t i = 0; i < 5; i++) shapes.rows[i] = (uint8_t)rows, shapes.bytes[i] = TILE_K;
  shapes.rows[5] = TILE_K / 4, shapes.bytes[5] = TILE_K;
  if (rest) {
    shapes.rows[6] = (uint8_t)rows, shapes.bytes[6] = (uint16_t)rest;
    shapes.rows[7] = (uint8_t)(rest / 4), shapes.bytes[7] = TILE_K;
  }
  _tile_loadconfig(&shapes);
}

// The sums of as many rows as are configured against a panel, to i32[16][64].
static inline void sums_of(const csimd_product_u8 *x, size_t row, const int8_t *w, int32_t *sums) {
  const size_t there = row_bytes(x), stride = 4 * PANEL;
  const uint8_t *a = x->a + row * x->lda;
  size_t k = 0;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
#define STEP(rows_of_a, quarter, of)                                                                                                                 \
  _tile_loadd(quarter, w + TILE_K * of, stride);                                                                                                     \
  _tile_dpbusd(of, rows_of_a, quarter);
  for (; k + TILE_K <= there; k += TILE_K, w += TILE_K * PANEL) {
    _tile_loadd(4, a + k, x->lda);
    STEP(4, 5, 0)
    STEP(4, 5, 1)
    STEP(4, 5, 2)
    STEP(4, 5, 3)
  }
  if (k < there) {
    _tile_loadd(6, a + k, x->lda);
    STEP(6, 7, 0)
    STEP(6, 7, 1)
    STEP(6, 7, 2)
    STEP(6, 7, 3)
  }
#undef STEP
  _tile_stored(0, sums, stride);
  _tile_stored(1, sums + 16, stride);
  _tile_stored(2, sums + 32, stride);
  _tile_stored(3, sums + 48, stride);
}

// Every panel against sixteen rows at a time and what is over; `block` is what becomes of a row's sums.
#define TILE_LOOP(x, block)                                                                                                                          \
  const csimd_product_u8 *product = &(x)->product;                                                                                                   \
  _Alignas(64) int32_t sums[ROWS * PANEL];                                                                                                           \
  size_t configured = 0;                                                                                                                             \
  for (size_t p = first_panel; p < end_panel; p++) {                                                                                                 \
    const int8_t *w = (const int8_t *)product->w + p * PANEL * packed_depth(product->k);                                                             \
    int32_t start[PANEL];                                                                                                                            \
    start_of(product, p * PANEL, start);                                                                                                             \
    for (size_t row = 0; row < product->m; row += ROWS) {                                                                                            \
      const size_t rows = product->m - row < ROWS ? product->m - row : ROWS;                                                                         \
      if (rows != configured) configure(configured = rows, row_bytes(product) % TILE_K);                                                             \
      sums_of(product, row, w, sums);                                                                                                                \
      for (size_t r = 0; r < rows; r++) block(row + r, (const uint8_t *)(sums + r * PANEL), p * PANEL, start);                                       \
    }                                                                                                                                                \
  }                                                                                                                                                  \
  _tile_release();

void KERNEL(gemm_u8_f32)(const csimd_gemm_u8_f32_args *x, size_t first_panel, size_t end_panel) {
#define BLOCK(row, sums, column, start) block_u8_f32(1, x, row, sums, column, start, NULL, NULL)
  TILE_LOOP(x, BLOCK)
#undef BLOCK
}

void KERNEL(gemm_u8_u8)(const csimd_gemm_u8_u8_args *x, size_t first_panel, size_t end_panel) {
#define BLOCK(row, sums, column, start) block_u8_u8(1, VECTORS, x, row, sums, column, start, NULL, NULL)
  TILE_LOOP(x, BLOCK)
#undef BLOCK
}

#pragma clang attribute pop
#endif
