// Thirty-two channels at a time, for kernels/depthwise_wide.h: four vectors of 256 bits. The level defines dot_256.
#pragma once

typedef __m256i ints_32;
typedef __m256 floats_32;
static inline ints_32 zero_ints_32(void) { return _mm256_setzero_si256(); }
static inline ints_32 load_bytes_32(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline ints_32 unpack_8_low_32(ints_32 a, ints_32 b) { return _mm256_unpacklo_epi8(a, b); }
static inline ints_32 unpack_8_high_32(ints_32 a, ints_32 b) { return _mm256_unpackhi_epi8(a, b); }
static inline ints_32 unpack_16_low_32(ints_32 a, ints_32 b) { return _mm256_unpacklo_epi16(a, b); }
static inline ints_32 unpack_16_high_32(ints_32 a, ints_32 b) { return _mm256_unpackhi_epi16(a, b); }
static inline ints_32 dot_bytes_32(ints_32 sum, ints_32 u, const char *s) { return dot_256(sum, u, _mm256_loadu_si256((const __m256i *)s)); }
// The four of each sixteen.
static inline floats_32 ordered_32(const float *p) { return _mm256_set_m128(_mm_loadu_ps(p + 16), _mm_loadu_ps(p)); }
static inline floats_32 finished_32(ints_32 sum, floats_32 scale, floats_32 bias) {
  return _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale), bias);
}
// Rounded half to even, clamped to [0, 255] by packing and stored as u8.
static inline void store_packed_32(uint8_t *p, const floats_32 q[4]) {
  __m256i code[4];
  for (size_t i = 0; i < 4; i++) code[i] = _mm256_cvtps_epi32(q[i]);
  const __m256i all = _mm256_packus_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
  _mm256_storeu_si256((__m256i *)p, all);
}
