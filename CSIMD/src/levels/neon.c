// Level neon: what every 64-bit Arm CPU has, and CRC32.
#include "../shapes.h"
#include <string.h>
#if defined(__aarch64__)
#define LEVEL neon
#include "../kernels/level.h"
#include <arm_acle.h>
#include <arm_neon.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("crc"))), apply_to = function)

#include "../vector/f32x16_neon.h"

// Products of s8 fit into i16; they are added in pairs to i32.
static inline int32x4_t dot4(int32x4_t sum, int8x16_t a, int8x16_t b) {
  const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
  return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

#include "../kernels/tile_arm.h"
#include "../kernels/all.h"
#pragma clang attribute pop
#endif
