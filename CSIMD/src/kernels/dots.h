// Dot products of the rows of one matrix with the rows of another: recall over codes, and what the interaction needs.
// The s8 sums are exact: d * 127^2 < 2^31 for d <= 65536. The level defines dots_of(count, d, a, b, b_sum, sums).
#pragma once

enum { QUERIES = 4 };

static void dots_s8(size_t n, const int8_t *a, const float *a_scale, size_t m, const int8_t *b, const float *b_scale,
                    size_t d, float *out, size_t ldo) {
  for (size_t j = 0; j < m; j += QUERIES, b += QUERIES * d) {
    const size_t count = m - j < QUERIES ? m - j : QUERIES;
    int32_t b_sum[QUERIES] = {0};
    for (size_t q = 0; q < count; q++)
      for (size_t l = 0; l < d; l++)
        b_sum[q] += b[q * d + l];
    for (size_t i = 0; i < n; i++) {
      int32_t sums[QUERIES];
      if (count == QUERIES)
        dots_of(QUERIES, d, a + i * d, b, b_sum, sums);
      else
        for (size_t q = 0; q < count; q++)
          dots_of(1, d, a + i * d, b + q * d, b_sum + q, sums + q);
      for (size_t q = 0; q < count; q++)
        out[(j + q) * ldo + i] = b_scale[j + q] * a_scale[i] * (float)sums[q];
    }
  }
}

static void dots_f32(size_t n, const float *a, size_t m, const float *b, size_t d, float *out, size_t ldo) {
  for (size_t j = 0; j < m; j++)
    for (size_t i = 0; i < n; i++) {
      const float *x = a + i * d, *y = b + j * d;
      f32x16 sum = splat(0);
      size_t l = 0;
      for (; l + 16 <= d; l += 16)
        sum = add(sum, mul(load(x + l), load(y + l)));
      if (l < d)
        sum = add(sum, mul(load_n(x + l, d - l), load_n(y + l, d - l)));
      out[j * ldo + i] = sum_of(sum);
    }
}
