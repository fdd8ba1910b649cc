// Kernels over the rows of one matrix, written over f32x16 and compiled once an instruction set.
// Element i of a row goes to lane i % 16; lanes are folded by sum_of. Tails use partial loads; nothing is read past k.
#pragma once

// Elements j ..< j + n of a row, times their columns' factors.
static inline f32x16 scaled(const float *x, const float *column, size_t j, size_t n) {
  const f32x16 v = n < 16 ? load_n(x + j, n) : load(x + j);
  return column ? mul(v, n < 16 ? load_n(column + j, n) : load(column + j)) : v;
}

void KERNEL(quantize_rows)(size_t m, size_t k, const float *x, size_t ldx, const float *column, void *codes, size_t ldq, uint8_t flip, float *scale) {
  uint8_t *q = codes;
  for (size_t i = 0; i < m; i++, x += ldx, q += ldq) {
    f32x16 largest = splat(0);
    size_t j = 0;
    for (; j + 16 <= k; j += 16) largest = larger(largest, magnitude(scaled(x, column, j, 16)));
    if (j < k) largest = larger(largest, magnitude(scaled(x, column, j, k - j)));
    const float most = max_of(largest);
    const f32x16 inverse = splat(most > 0 ? 127.0f / most : 0);
    scale[i] = most / 127.0f;
    for (j = 0; j + 16 <= k; j += 16) store_s8(q + j, mul(scaled(x, column, j, 16), inverse), flip);
    if (j < k) {
      uint8_t tail[16];
      store_s8(tail, mul(scaled(x, column, j, k - j), inverse), flip);
      memcpy(q + j, tail, k - j);
    }
  }
}

void KERNEL(layernorm)(size_t m, size_t k, const float *x, const float *weight, const float *bias, float eps, float *y) {
  const size_t tail = k % 16, body = k - tail;
  for (size_t i = 0; i < m; i++, x += k, y += k) {
    f32x16 total = splat(0);
    for (size_t j = 0; j < body; j += 16) total = add(total, load(x + j));
    if (tail) total = add(total, load_n(x + body, tail));
    const f32x16 mean = splat(sum_of(total) / (float)k);
    f32x16 squares = splat(0);
    for (size_t j = 0; j < body; j += 16) {
      const f32x16 d = sub(load(x + j), mean);
      squares = add(squares, mul(d, d));
    }
    if (tail) {
      const f32x16 d = fill_from(sub(load_n(x + body, tail), mean), tail, 0);
      squares = add(squares, mul(d, d));
    }
    const f32x16 inverse = splat(1.0f / __builtin_sqrtf(sum_of(squares) / (float)k + eps));
    for (size_t j = 0; j < body; j += 16) store(y + j, add(mul(mul(sub(load(x + j), mean), inverse), load(weight + j)), load(bias + j)));
    if (tail) {
      const f32x16 d = mul(sub(load_n(x + body, tail), mean), inverse);
      store_n(y + body, add(mul(d, load_n(weight + body, tail)), load_n(bias + body, tail)), tail);
    }
  }
}

static float largest(size_t k, const float *x) {
  const size_t tail = k % 16, body = k - tail;
  f32x16 most = splat(-__builtin_inff());
  for (size_t j = 0; j < body; j += 16) most = larger(most, load(x + j));
  if (tail) most = larger(most, fill_from(load_n(x + body, tail), tail, -__builtin_inff()));
  return max_of(most);
}

// exp(x - most) in place; returns the sum.
static float exponentials_below(float most, size_t k, float *x) {
  const size_t tail = k % 16, body = k - tail;
  const f32x16 top = splat(most);
  f32x16 total = splat(0);
  for (size_t j = 0; j < body; j += 16) {
    const f32x16 e = exponential(sub(load(x + j), top));
    store(x + j, e);
    total = add(total, e);
  }
  if (tail) {
    const f32x16 e = exponential(sub(load_n(x + body, tail), top));
    store_n(x + body, e, tail);
    total = add(total, fill_from(e, tail, 0));
  }
  return sum_of(total);
}

static void scale_row(size_t k, float *x, float by) {
  size_t j = 0;
  for (; j + 16 <= k; j += 16) store(x + j, mul(load(x + j), splat(by)));
  if (j < k) store_n(x + j, mul(load_n(x + j, k - j), splat(by)), k - j);
}

static float squared_length(size_t k, const float *x) {
  f32x16 squares = splat(0);
  size_t j = 0;
  for (; j + 16 <= k; j += 16) {
    const f32x16 v = load(x + j);
    squares = add(squares, mul(v, v));
  }
  if (j < k) {
    const f32x16 v = load_n(x + j, k - j);
    squares = add(squares, mul(v, v));
  }
  return sum_of(squares);
}

void KERNEL(l2normalize)(size_t m, size_t k, float *x) {
  for (size_t i = 0; i < m; i++, x += k) {
    const float length = __builtin_sqrtf(squared_length(k, x));
    scale_row(k, x, 1.0f / (length > 1e-12f ? length : 1e-12f));
  }
}
