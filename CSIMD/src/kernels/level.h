// The functions of the list, and what a level needs to define them: KERNEL(operation) is the name of its own; TILE_ROWS(operation),
// TILE_COLUMNS(operation) and TILE_PACKING(operation) are the list's; the int8 product's tile is ROWS by VECTORS of sixteen outputs.
#pragma once
#include "csimd.h"

#define CSIMD_KERNEL(operation, level, needs, tile_rows, tile_columns, packing)                                                                      \
  __typeof__(*((csimd_kernels *)0)->operation) csimd_##operation##_##level;                                                                          \
  enum {                                                                                                                                             \
    csimd_rows_##operation##_##level = tile_rows,                                                                                                    \
    csimd_columns_##operation##_##level = tile_columns,                                                                                              \
    csimd_packs_##operation##_##level = csimd_packing_##packing,                                                                                     \
  };
#include "kernels.inc"

#define CSIMD_JOINED(prefix, operation, level) prefix##operation##_##level
#define CSIMD_JOIN(prefix, operation, level) CSIMD_JOINED(prefix, operation, level)
#define KERNEL(operation) CSIMD_JOIN(csimd_, operation, LEVEL)
#define TILE_ROWS(operation) CSIMD_JOIN(csimd_rows_, operation, LEVEL)
#define TILE_COLUMNS(operation) CSIMD_JOIN(csimd_columns_, operation, LEVEL)
#define TILE_PACKING(operation) CSIMD_JOIN(csimd_packs_, operation, LEVEL)

#ifdef LEVEL
enum { ROWS = TILE_ROWS(gemm_u8_f32), VECTORS = TILE_COLUMNS(gemm_u8_f32) / 16 };
#endif
