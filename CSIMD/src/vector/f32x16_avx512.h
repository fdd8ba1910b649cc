// Sixteen floats in one 512-bit register. Included inside the region that has the target attribute.
#pragma once
#include "i32x4_sse.h"

typedef __m512 f32x16;

static inline __mmask16 mask_of(size_t n) { return (__mmask16)((1u << n) - 1); }
static inline f32x16 load(const float *p) { return _mm512_loadu_ps(p); }
static inline f32x16 load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(mask_of(n), p); }
static inline void store(float *p, f32x16 v) { _mm512_storeu_ps(p, v); }
static inline void store_n(float *p, f32x16 v, size_t n) { _mm512_mask_storeu_ps(p, mask_of(n), v); }
static inline f32x16 splat(float x) { return _mm512_set1_ps(x); }
static inline f32x16 add(f32x16 a, f32x16 b) { return _mm512_add_ps(a, b); }
static inline f32x16 sub(f32x16 a, f32x16 b) { return _mm512_sub_ps(a, b); }
static inline f32x16 mul(f32x16 a, f32x16 b) { return _mm512_mul_ps(a, b); }
static inline f32x16 quotient(f32x16 a, f32x16 b) { return _mm512_div_ps(a, b); }
static inline f32x16 smaller(f32x16 a, f32x16 b) { return _mm512_min_ps(a, b); }
static inline f32x16 larger(f32x16 a, f32x16 b) { return _mm512_max_ps(a, b); }
static inline f32x16 magnitude(f32x16 a) { return _mm512_abs_ps(a); }
static inline f32x16 fused(f32x16 a, f32x16 b, f32x16 c) { return _mm512_fmadd_ps(a, b, c); }
// Lanes n and up become x.
static inline f32x16 fill_from(f32x16 v, size_t n, float x) { return _mm512_mask_blend_ps(mask_of(n), splat(x), v); }
// 2^n for integral n in [-126, 127].
static inline f32x16 power_of_two(f32x16 n) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
// Sixteen values in [-127, 127] rounded half to even and stored as s8, xored with flip.
static inline void store_s8(uint8_t *p, f32x16 v, uint8_t flip) {
  const __m128i q = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v));
  _mm_storeu_si128((__m128i *)p, _mm_xor_si128(q, _mm_set1_epi8((char)flip)));
}
// Sixteen values within i32, clamped to [0, 255], rounded half to even and stored as u8.
static inline __m128i to_u8(f32x16 v) { return _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(larger(v, splat(0)))); }
static inline void store_u8(uint8_t *p, f32x16 v) { _mm_storeu_si128((__m128i *)p, to_u8(v)); }
static inline void store_u8_n(uint8_t *p, f32x16 v, size_t n) { _mm_mask_storeu_epi8(p, mask_of(n), to_u8(v)); }
static inline f32x16 from_u8_n(const uint8_t *p, size_t n) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask_of(n), p))); }

// Clamped to [0, 255] by packing, rounded half to even, in the order of 128 bits; the first vectors of four.
static inline __attribute__((always_inline)) __m512i packed_64(const f32x16 q[4], size_t vectors) {
  __m512i code[4];
  for (size_t i = 0; i < 4; i++) code[i] = i < vectors ? _mm512_cvtps_epi32(q[i]) : _mm512_setzero_si512();
  return _mm512_packus_epi16(_mm512_packs_epi32(code[0], code[1]), _mm512_packs_epi32(code[2], code[3]));
}
// Sixteen values a vector clamped to [0, 255], rounded half to even and stored as u8.
static inline __attribute__((always_inline)) void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) {
  // Dword 4 g + i of the packed bytes is the g-th of vector i.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  if (vectors == 1) return store_u8(p, q[0]);
  const __m512i codes = _mm512_permutexvar_epi32(order, packed_64(q, vectors));
  if (vectors == 4) return _mm512_storeu_si512(p, codes);
  _mm256_storeu_si256((__m256i *)p, _mm512_castsi512_si256(codes));
  if (vectors == 3) _mm_storeu_si128((__m128i *)(p + 32), _mm512_extracti32x4_epi32(codes, 2));
}

typedef __m512i i32x16;
static inline i32x16 zero_i32(void) { return _mm512_setzero_si512(); }
static inline i32x16 load_i32(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline i32x16 times_i32(i32x16 a, int32_t b) { return _mm512_mullo_epi32(a, _mm512_set1_epi32(b)); }
static inline f32x16 to_f32(i32x16 v) { return _mm512_cvtepi32_ps(v); }

static inline float sum_of(f32x16 v) {
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline float max_of(f32x16 v) { return _mm512_reduce_max_ps(v); }
