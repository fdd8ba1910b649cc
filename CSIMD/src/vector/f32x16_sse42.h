// Sixteen floats in four 128-bit registers. Included inside the region that has the target attribute.
#pragma once
#include "i32x4_sse.h"

typedef struct f32x16 {
  __m128 v[4];
} f32x16;
typedef struct i32x16 {
  __m128i v[4];
} i32x16;
#include "partial.h"

static inline f32x16 load(const float *p) { EACH(f32x16, _mm_loadu_ps(p + 4 * i)); }
static inline void store(float *p, f32x16 x) {
  for (int i = 0; i < 4; i++) _mm_storeu_ps(p + 4 * i, x.v[i]);
}
static inline f32x16 splat(float x) { EACH(f32x16, _mm_set1_ps(x)); }
static inline f32x16 add(f32x16 a, f32x16 b) { EACH(f32x16, _mm_add_ps(a.v[i], b.v[i])); }
static inline f32x16 sub(f32x16 a, f32x16 b) { EACH(f32x16, _mm_sub_ps(a.v[i], b.v[i])); }
static inline f32x16 mul(f32x16 a, f32x16 b) { EACH(f32x16, _mm_mul_ps(a.v[i], b.v[i])); }
static inline f32x16 quotient(f32x16 a, f32x16 b) { EACH(f32x16, _mm_div_ps(a.v[i], b.v[i])); }
static inline f32x16 smaller(f32x16 a, f32x16 b) { EACH(f32x16, _mm_min_ps(a.v[i], b.v[i])); }
static inline f32x16 larger(f32x16 a, f32x16 b) { EACH(f32x16, _mm_max_ps(a.v[i], b.v[i])); }
static inline f32x16 magnitude(f32x16 a) { EACH(f32x16, _mm_andnot_ps(_mm_set1_ps(-0.0f), a.v[i])); }
// There is no instruction for both: the product is rounded too.
static inline f32x16 fused(f32x16 a, f32x16 b, f32x16 c) { EACH(f32x16, _mm_add_ps(_mm_mul_ps(a.v[i], b.v[i]), c.v[i])); }
// 2^n for integral n in [-126, 127].
static inline f32x16 power_of_two(f32x16 n) {
  EACH(f32x16, _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v[i]), _mm_set1_epi32(127)), 23)));
}

static inline i32x16 rounded_i32(f32x16 x) { EACH(i32x16, _mm_cvtps_epi32(x.v[i])); }
// Sixteen values in [-127, 127] rounded half to even and stored as s8, xored with flip.
static inline void store_s8(uint8_t *p, f32x16 v, uint8_t flip) {
  const i32x16 q = rounded_i32(v);
  const __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(q.v[0], q.v[1]), _mm_packs_epi32(q.v[2], q.v[3]));
  _mm_storeu_si128((__m128i *)p, _mm_xor_si128(bytes, _mm_set1_epi8((char)flip)));
}
// Sixteen values within i32, rounded half to even, clamped to [0, 255] by packing and stored as u8.
static inline void store_u8(uint8_t *p, f32x16 v) {
  const i32x16 q = rounded_i32(v);
  _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm_packs_epi32(q.v[0], q.v[1]), _mm_packs_epi32(q.v[2], q.v[3])));
}

static inline i32x16 zero_i32(void) { EACH(i32x16, _mm_setzero_si128()); }
static inline i32x16 load_i32(const int32_t *p) { EACH(i32x16, _mm_loadu_si128((const __m128i *)(p + 4 * i))); }
static inline i32x16 times_i32(i32x16 a, int32_t b) { EACH(i32x16, _mm_mullo_epi32(a.v[i], _mm_set1_epi32(b))); }
static inline __m128i load_u8_n(const uint8_t *p, size_t n) {
  if (n == 16) return _mm_loadu_si128((const __m128i *)p);
  uint8_t lanes[16] = {0};
  memcpy(lanes, p, n);
  return _mm_loadu_si128((const __m128i *)lanes);
}
static inline i32x16 widen_u8_n(const uint8_t *p, size_t n) {
  const __m128i bytes = load_u8_n(p, n);
  return (i32x16){{_mm_cvtepu8_epi32(bytes), _mm_cvtepu8_epi32(_mm_srli_si128(bytes, 4)), _mm_cvtepu8_epi32(_mm_srli_si128(bytes, 8)),
                   _mm_cvtepu8_epi32(_mm_srli_si128(bytes, 12))}};
}
static inline f32x16 to_f32(i32x16 x) { EACH(f32x16, _mm_cvtepi32_ps(x.v[i])); }
static inline f32x16 from_u8_n(const uint8_t *p, size_t n) { return to_f32(widen_u8_n(p, n)); }

// In the order of every level: lanes eight apart, four, two, one.
static inline float sum_of(f32x16 x) {
  __m128 q = _mm_add_ps(_mm_add_ps(x.v[0], x.v[2]), _mm_add_ps(x.v[1], x.v[3]));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline float max_of(f32x16 x) {
  __m128 q = _mm_max_ps(_mm_max_ps(x.v[0], x.v[2]), _mm_max_ps(x.v[1], x.v[3]));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

// Dot products of s8 rows; see kernels/dots.h.
enum { BYTES = 16 };
typedef __m128i i8v;
static inline i8v zero_i8(void) { return _mm_setzero_si128(); }
static inline i8v load_i8(const int8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline i32x4 sums4(const i8v v[4]) {
  const __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(v[0], v[1]), _mm_unpackhi_epi32(v[0], v[1]));
  const __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(v[2], v[3]), _mm_unpackhi_epi32(v[2], v[3]));
  return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
}
