// Every kernel over f32x16, and the table of the level that includes this. Before it the level defines f32x16, i32x16,
// ROWS, VECTORS, ATTENTION_VECTORS, what dots.h and depthwise.h name, tile_u8, i8r, PEAK_MACS, peak_splat and peak_step; after
// it, LEVEL_TABLE is the table.
#pragma once
#include "../vector/functions.h"
#include "rows.h"
#include "attention.h"
#include "dots.h"
#include "interaction.h"
#include "checksum.h"
#include "tile_f32.h"
#include "gemm.h"
#include "depthwise.h"
#include "peak.h"

static void pack_s8(size_t n, size_t k, const int8_t *w, void *out) { csimd_pack_s8(n, k, w, out, PANEL); }

static void pack_f32(size_t n, size_t k, const float *w, float *out) { csimd_pack_f32(n, k, w, out, PANEL); }

#define LEVEL_TABLE                                                                                                                                  \
  {                                                                                                                                                  \
      .panel = PANEL,                                                                                                                                \
      .pack_s8 = pack_s8,                                                                                                                            \
      .pack_f32 = pack_f32,                                                                                                                          \
      .pack_depthwise = pack_depthwise,                                                                                                              \
      .gemm_u8_f32 = gemm_u8_f32,                                                                                                                    \
      .gemm_u8_u8 = gemm_u8_u8,                                                                                                                      \
      .gemm_f32 = gemm_f32,                                                                                                                          \
      .depthwise_u8 = depthwise_u8,                                                                                                                  \
      .depthwise_f32 = depthwise_f32,                                                                                                                \
      .quantize_rows = quantize_rows,                                                                                                                \
      .layernorm = layernorm,                                                                                                                        \
      .l2normalize = l2normalize,                                                                                                                    \
      .attention = attention,                                                                                                                        \
      .dots_s8 = dots_s8,                                                                                                                            \
      .dots_f32 = dots_f32,                                                                                                                          \
      .row_max = row_max,                                                                                                                            \
      .interaction = interaction,                                                                                                                    \
      .crc32c = crc32c,                                                                                                                              \
      .peak_s8 = peak_s8,                                                                                                                            \
  }
