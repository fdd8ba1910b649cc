// Sixteen floats in two 256-bit registers. Included inside the region that has the target attribute.
#pragma once
#include "i32x4_sse.h"

typedef struct f32x16 {
  __m256 low, high;
} f32x16;
#include "partial.h"

static inline f32x16 load(const float *p) { return (f32x16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void store(float *p, f32x16 v) {
  _mm256_storeu_ps(p, v.low);
  _mm256_storeu_ps(p + 8, v.high);
}
static inline f32x16 splat(float x) { return (f32x16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline f32x16 add(f32x16 a, f32x16 b) { return (f32x16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
static inline f32x16 sub(f32x16 a, f32x16 b) { return (f32x16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
static inline f32x16 mul(f32x16 a, f32x16 b) { return (f32x16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
static inline f32x16 quotient(f32x16 a, f32x16 b) { return (f32x16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
static inline f32x16 smaller(f32x16 a, f32x16 b) { return (f32x16){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
static inline f32x16 larger(f32x16 a, f32x16 b) { return (f32x16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
static inline f32x16 magnitude(f32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return (f32x16){_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
static inline f32x16 fused(f32x16 a, f32x16 b, f32x16 c) {
  return (f32x16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
static inline __m256 power_of_two_8(__m256 n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
// 2^n for integral n in [-126, 127].
static inline f32x16 power_of_two(f32x16 n) { return (f32x16){power_of_two_8(n.low), power_of_two_8(n.high)}; }
typedef struct i32x16 {
  __m256i low, high;
} i32x16;

static inline i32x16 rounded_i32(f32x16 v) { return (i32x16){_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high)}; }
static inline __m256i packed_i16(i32x16 v) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(v.low, v.high), 0xd8); }
// Sixteen values in [-127, 127] rounded half to even and stored as s8, xored with flip.
static inline void store_s8(uint8_t *p, f32x16 v, uint8_t flip) {
  const __m256i words = packed_i16(rounded_i32(v));
  const __m128i q = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128((__m128i *)p, _mm_xor_si128(q, _mm_set1_epi8((char)flip)));
}
// Sixteen values within i32, rounded half to even, clamped to [0, 255] by packing and stored as u8.
static inline void store_u8(uint8_t *p, f32x16 v) {
  const __m256i words = packed_i16(rounded_i32(v));
  _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
// The same of two vectors at once, for half the shuffles.
#define STORES_TWO
static inline void store_u8_two(uint8_t *p, f32x16 v, uint8_t *q, f32x16 w) {
  const __m256i first = _mm256_packs_epi32(_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high));
  const __m256i second = _mm256_packs_epi32(_mm256_cvtps_epi32(w.low), _mm256_cvtps_epi32(w.high));
  // Every 128 bits hold four of each half of v, then of w.
  const __m256i all = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(all));
  _mm_storeu_si128((__m128i *)q, _mm256_extracti128_si256(all, 1));
}

static inline i32x16 zero_i32(void) { return (i32x16){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
static inline i32x16 load_i32(const int32_t *p) {
  return (i32x16){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8))};
}
static inline i32x16 times_i32(i32x16 a, int32_t b) {
  const __m256i by = _mm256_set1_epi32(b);
  return (i32x16){_mm256_mullo_epi32(a.low, by), _mm256_mullo_epi32(a.high, by)};
}
static inline i32x16 widen_u8(const uint8_t *p) {
  return (i32x16){_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)))};
}
static inline i32x16 widen_u8_n(const uint8_t *p, size_t n) {
  uint8_t lanes[16] = {0};
  memcpy(lanes, p, n);
  return widen_u8(lanes);
}
static inline f32x16 to_f32(i32x16 v) { return (f32x16){_mm256_cvtepi32_ps(v.low), _mm256_cvtepi32_ps(v.high)}; }
static inline f32x16 from_u8_n(const uint8_t *p, size_t n) { return to_f32(widen_u8_n(p, n)); }

static inline __m128i load_u8_n(const uint8_t *p, size_t n) {
  if (n == 16) return _mm_loadu_si128((const __m128i *)p);
  uint8_t lanes[16] = {0};
  memcpy(lanes, p, n);
  return _mm_loadu_si128((const __m128i *)lanes);
}

static inline float sum_of(f32x16 v) {
  const __m256 h = _mm256_add_ps(v.low, v.high);
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline float max_of(f32x16 v) {
  const __m256 h = _mm256_max_ps(v.low, v.high);
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

// Dot products of s8 rows; see kernels/dots.h.
enum { BYTES = 32 };
typedef __m256i i8v;
static inline i8v zero_i8(void) { return _mm256_setzero_si256(); }
static inline i8v load_i8(const int8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline i32x4 sums4(const i8v v[4]) {
  const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
  const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
  const __m256i all = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}
