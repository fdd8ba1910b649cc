// sums[q] = <a, b_q> for a CPU with vpdpbusd, which multiplies u8 by s8: a + 128 is the unsigned side, and 128 times
// the sum of b_q comes off at the end. The level defines BYTES, i8v and its operations.
#pragma once

static inline __attribute__((always_inline)) void dots_of(size_t count, size_t d, const int8_t *a, const int8_t *b,
                                                          const int32_t *b_sum, int32_t *sums) {
  i8v acc[4] = {zero_i8(), zero_i8(), zero_i8(), zero_i8()};
  size_t l = 0;
  for (; l + BYTES <= d; l += BYTES) {
    const i8v x = flip_sign(load_i8(a + l));
#pragma clang loop unroll(full)
    for (size_t q = 0; q < count; q++)
      acc[q] = accumulate(acc[q], x, load_i8(b + q * d + l));
  }
#pragma clang loop unroll(full)
  for (size_t q = 0; q < count; q++) {
    int32_t tail = 0;
    for (size_t i = l; i < d; i++)
      tail += (a[i] + 128) * b[q * d + i];
    sums[q] = lanes_of(acc[q]) + tail - 128 * b_sum[q];
  }
}
