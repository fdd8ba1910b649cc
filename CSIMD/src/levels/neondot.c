// Level neondot: the dot products of Armv8.2 and later (Cortex-A75, Neoverse N1, Graviton 2 and up).
#include "../shapes.h"
#include <string.h>
#if defined(__aarch64__)
#define LEVEL neondot
#include "../kernels/level.h"
#include <arm_acle.h>
#include <arm_neon.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("crc,dotprod"))), apply_to = function)

#include "../vector/f32x16_neon.h"

static inline int32x4_t dot4(int32x4_t sum, int8x16_t a, int8x16_t b) { return vdotq_s32(sum, a, b); }

#include "../kernels/tile_arm.h"
#include "../kernels/all.h"
#pragma clang attribute pop
#endif
