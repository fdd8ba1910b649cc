// Every kernel over f32x16, as functions of the level that includes this. Before it the level defines f32x16, i32x16, what dots.h, depthwise.h and
// gemm_u8.h name, i8r, PEAK_MACS, peak_splat and peak_step.
#pragma once
#include "../vector/functions.h"
#include "rows.h"
#include "attention.h"
#include "dots.h"
#include "interaction.h"
#include "checksum.h"
#ifdef OWN_LOOPS_U8
#include "gemm_u8_blocks.h"
#else
#include "gemm_u8.h"
#endif
#include "gemm_f32.h"
#include "depthwise.h"
#include "peak.h"
