// Sixteen floats in four 128-bit registers of Arm. Included inside the region that has the target attribute.
#pragma once
typedef struct f32x16 {
  float32x4_t v[4];
} f32x16;
typedef struct i32x16 {
  int32x4_t v[4];
} i32x16;
#include "partial.h"

static inline f32x16 load(const float *p) { EACH(f32x16, vld1q_f32(p + 4 * i)); }
static inline void store(float *p, f32x16 x) {
  for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.v[i]);
}
static inline f32x16 splat(float x) { EACH(f32x16, vdupq_n_f32(x)); }
static inline f32x16 add(f32x16 a, f32x16 b) { EACH(f32x16, vaddq_f32(a.v[i], b.v[i])); }
static inline f32x16 sub(f32x16 a, f32x16 b) { EACH(f32x16, vsubq_f32(a.v[i], b.v[i])); }
static inline f32x16 mul(f32x16 a, f32x16 b) { EACH(f32x16, vmulq_f32(a.v[i], b.v[i])); }
static inline f32x16 quotient(f32x16 a, f32x16 b) { EACH(f32x16, vdivq_f32(a.v[i], b.v[i])); }
// Where one is no number the second, as x86 has it.
static inline f32x16 smaller(f32x16 a, f32x16 b) { EACH(f32x16, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
static inline f32x16 larger(f32x16 a, f32x16 b) { EACH(f32x16, vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
static inline f32x16 magnitude(f32x16 a) { EACH(f32x16, vabsq_f32(a.v[i])); }
static inline f32x16 fused(f32x16 a, f32x16 b, f32x16 c) { EACH(f32x16, vfmaq_f32(c.v[i], a.v[i], b.v[i])); }
// 2^n for integral n in [-126, 127].
static inline f32x16 power_of_two(f32x16 n) {
  EACH(f32x16, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n.v[i]), vdupq_n_s32(127)), 23)));
}

static inline i32x16 rounded_i32(f32x16 x) { EACH(i32x16, vcvtnq_s32_f32(x.v[i])); }
// Sixteen values in [-127, 127] rounded half to even and stored as s8, xored with flip.
static inline void store_s8(uint8_t *p, f32x16 v, uint8_t flip) {
  const i32x16 q = rounded_i32(v);
  const int8x16_t bytes =
      vcombine_s8(vqmovn_s16(vcombine_s16(vqmovn_s32(q.v[0]), vqmovn_s32(q.v[1]))), vqmovn_s16(vcombine_s16(vqmovn_s32(q.v[2]), vqmovn_s32(q.v[3]))));
  vst1q_u8(p, veorq_u8(vreinterpretq_u8_s8(bytes), vdupq_n_u8(flip)));
}
// Sixteen values within i32, rounded half to even, clamped to [0, 255] by packing and stored as u8.
static inline void store_u8(uint8_t *p, f32x16 v) {
  const i32x16 q = rounded_i32(v);
  vst1q_u8(p, vcombine_u8(vqmovun_s16(vcombine_s16(vqmovn_s32(q.v[0]), vqmovn_s32(q.v[1]))),
                          vqmovun_s16(vcombine_s16(vqmovn_s32(q.v[2]), vqmovn_s32(q.v[3])))));
}

static inline i32x16 zero_i32(void) { EACH(i32x16, vdupq_n_s32(0)); }
static inline i32x16 load_i32(const int32_t *p) { EACH(i32x16, vld1q_s32(p + 4 * i)); }
static inline i32x16 times_i32(i32x16 a, int32_t b) { EACH(i32x16, vmulq_n_s32(a.v[i], b)); }
static inline uint8x16_t load_u8_n(const uint8_t *p, size_t n) {
  if (n == 16) return vld1q_u8(p);
  uint8_t lanes[16] = {0};
  memcpy(lanes, p, n);
  return vld1q_u8(lanes);
}
static inline i32x16 widen_u8_n(const uint8_t *p, size_t n) {
  const uint8x16_t bytes = load_u8_n(p, n);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  return (i32x16){{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_high_u16(low)),
                   vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), vreinterpretq_s32_u32(vmovl_high_u16(high))}};
}
static inline f32x16 to_f32(i32x16 x) { EACH(f32x16, vcvtq_f32_s32(x.v[i])); }
static inline f32x16 from_u8_n(const uint8_t *p, size_t n) { return to_f32(widen_u8_n(p, n)); }

// In the order of every level: lanes eight apart, four, two, one.
static inline float sum_of(f32x16 x) {
  const float32x4_t q = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
  const float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
static inline float max_of(f32x16 x) {
  const f32x16 a = larger((f32x16){{x.v[0], x.v[1], x.v[0], x.v[1]}}, (f32x16){{x.v[2], x.v[3], x.v[2], x.v[3]}});
  float lanes[16], most;
  store(lanes, a);
  most = lanes[0];
  for (size_t i = 1; i < 8; i++) most = most > lanes[i] ? most : lanes[i];
  return most;
}

// Dot products of s8 rows; see kernels/dots.h. A sum is four i32, held as bytes.
enum { BYTES = 16 };
typedef int8x16_t i8v;
typedef int32x4_t i32x4;
static inline i8v zero_i8(void) { return vdupq_n_s8(0); }
static inline i8v load_i8(const int8_t *p) { return vld1q_s8(p); }
static inline i32x4 as_i32(i8v v) { return vreinterpretq_s32_s8(v); }
static inline i32x4 sums4(const i8v v[4]) { return vpaddq_s32(vpaddq_s32(as_i32(v[0]), as_i32(v[1])), vpaddq_s32(as_i32(v[2]), as_i32(v[3]))); }
static inline i32x4 load_i32x4(const int32_t *p) { return vld1q_s32(p); }
static inline i32x4 added(i32x4 a, i32x4 b) { return vaddq_s32(a, b); }
static inline i32x4 less(i32x4 a, int32_t b) { return vsubq_s32(a, vdupq_n_s32(b)); }
static inline int32_t first_of(i32x4 v) { return vgetq_lane_s32(v, 0); }
// out[r] = (by a_scale[r]) sums[r], of one row or of four.
static inline __attribute__((always_inline)) void store_scaled(float *out, size_t rows, i32x4 sums, float by, const float *a_scale) {
  if (rows == 1)
    out[0] = by * a_scale[0] * (float)first_of(sums);
  else
    vst1q_f32(out, vmulq_f32(vmulq_n_f32(vld1q_f32(a_scale), by), vcvtq_f32_s32(sums)));
}
static inline uint64_t crc32c_of_8(uint64_t state, uint64_t word) { return __crc32cd((uint32_t)state, word); }
static inline uint64_t crc32c_of_1(uint64_t state, uint8_t byte) { return __crc32cb((uint32_t)state, byte); }
// What is in a register may have changed: nothing is computed once for several uses.
#define TOUCH(x) __asm__ volatile("" : "+w"(x))

// Depthwise: pairs of i16 a lane, of four channels a register the same channel of two rows, and of two more. Products of u8 and s8 fit.
enum { QUAD_BYTES = 8 };
typedef struct quads {
  int16x8_t of01[4], of23[4];
} quads;
static inline void widened(uint8x16_t a, uint8x16_t b, int16x8_t out[4]) {
  const uint8x16_t low = vzip1q_u8(a, b), high = vzip2q_u8(a, b);
  out[0] = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(low)));
  out[1] = vreinterpretq_s16_u16(vmovl_high_u8(low));
  out[2] = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(high)));
  out[3] = vreinterpretq_s16_u16(vmovl_high_u8(high));
}
static inline quads interleaved(const uint8_t *const p[], size_t at, size_t taps, size_t n) {
  const uint8x16_t zero = vdupq_n_u8(0);
  quads x;
  widened(load_u8_n(p[0] + at, n), taps > 1 ? load_u8_n(p[1] + at, n) : zero, x.of01);
  widened(taps > 2 ? load_u8_n(p[2] + at, n) : zero, taps > 3 ? load_u8_n(p[3] + at, n) : zero, x.of23);
  return x;
}
static inline int32x4_t pairs_add(int32x4_t acc, int16x8_t x, const char *w) {
  const int16x8_t by = vld1q_s16((const int16_t *)w);
  return vaddq_s32(acc, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(by)), vmull_high_s16(x, by)));
}
static inline i32x16 quads_add(i32x16 acc, quads x, size_t taps, const char *w) {
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    acc.v[i] = pairs_add(acc.v[i], x.of01[i], w + 16 * i);
    if (taps > 2) acc.v[i] = pairs_add(acc.v[i], x.of23[i], w + 64 + 16 * i);
  }
  return acc;
}
static inline void quad_put(char *w, size_t c, size_t b, int8_t code) { ((int16_t *)w)[b / 2 * 32 + 2 * c + b % 2] = code; }
