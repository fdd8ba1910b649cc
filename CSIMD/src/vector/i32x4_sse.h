// What every x86 level has of four lanes and of bytes. Included inside the region that has the target attribute.
#pragma once
typedef __m128i i32x4;
static inline i32x4 load_i32x4(const int32_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline i32x4 added(i32x4 a, i32x4 b) { return _mm_add_epi32(a, b); }
static inline i32x4 less(i32x4 a, int32_t b) { return _mm_sub_epi32(a, _mm_set1_epi32(b)); }
static inline int32_t first_of(i32x4 v) { return _mm_cvtsi128_si32(v); }
// out[r] = (by a_scale[r]) sums[r], of one row or of four.
static inline __attribute__((always_inline)) void store_scaled(float *out, size_t rows, i32x4 sums, float by, const float *a_scale) {
  const __m128 scale = _mm_mul_ps(_mm_set1_ps(by), rows == 1 ? _mm_load_ss(a_scale) : _mm_loadu_ps(a_scale));
  const __m128 scores = _mm_mul_ps(scale, _mm_cvtepi32_ps(sums));
  if (rows == 1)
    _mm_store_ss(out, scores);
  else
    _mm_storeu_ps(out, scores);
}
static inline uint64_t crc32c_of_8(uint64_t state, uint64_t word) { return _mm_crc32_u64(state, word); }
static inline uint64_t crc32c_of_1(uint64_t state, uint8_t byte) { return _mm_crc32_u8((uint32_t)state, byte); }
// What is in a register may have changed: nothing is computed once for several uses.
#define TOUCH(x) __asm__ volatile("" : "+v"(x))
