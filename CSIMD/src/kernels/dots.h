// Dot products of the rows of one matrix with the rows of another: recall over codes, and what the interaction needs.
// The s8 sums are exact: d * 127^2 < 2^31 for d <= 65536.
//
// Four rows against up to DOT_QUERIES queries a tile: every load serves several products, no accumulator waits for itself, and
// four of them are folded together (sums4). Where the level multiplies u8 by s8 (ROW_OFFSET 128), the row is the unsigned side,
// row + 128, and 128 times the query's sum comes off at the end. The level defines BYTES, i8v and its operations.
#pragma once

enum { DOT_ROWS = TILE_ROWS(dots_s8), DOT_QUERIES = TILE_COLUMNS(dots_s8), DOT_CHUNK = 16 };

static int32_t sum_s8(size_t d, const int8_t *b) {
  i8v acc[DOT_ROWS] = {zero_i8(), zero_i8(), zero_i8(), zero_i8()};
  size_t l = 0;
  for (; l + BYTES <= d; l += BYTES) acc[0] = accumulate(acc[0], peak_splat(1), load_i8(b + l));
  int32_t sum = first_of(sums4(acc));
  for (; l < d; l++) sum += b[l];
  return sum;
}

// sum_i (A[r, at + i] + ROW_OFFSET) B[at + i]: what is left of a length that BYTES does not divide.
static __attribute__((noinline)) i32x4 dots_tail(size_t rows, size_t count, const int8_t *a, size_t d, const int8_t *b, size_t at) {
  int32_t sums[DOT_ROWS] = {0};
  for (size_t r = 0; r < rows; r++)
    for (size_t i = at; i < at + count; i++) sums[r] += (a[r * d + i] + ROW_OFFSET) * b[i];
  return load_i32x4(sums);
}

// Rows row ..< row + rows, 4 or 1, against `queries` queries.
static inline __attribute__((always_inline)) void dots_tile(size_t rows, size_t queries, const csimd_dots_s8_args *x, size_t row, size_t query,
                                                            const int32_t *b_sum) {
  const size_t d = x->d;
  const int8_t *a = x->a + row * d, *b = x->b + query * d;
  i8v acc[DOT_QUERIES][DOT_ROWS];
#pragma clang loop unroll(full)
  for (size_t q = 0; q < queries; q++)
#pragma clang loop unroll(full)
    for (size_t r = 0; r < DOT_ROWS; r++) acc[q][r] = zero_i8();
  size_t l = 0;
  for (; l + BYTES <= d; l += BYTES) {
    i8v u[DOT_ROWS];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) u[r] = row_side(load_i8(a + r * d + l));
#pragma clang loop unroll(full)
    for (size_t q = 0; q < queries; q++) {
      const i8v s = load_i8(b + q * d + l);
#pragma clang loop unroll(full)
      for (size_t r = 0; r < rows; r++) acc[q][r] = accumulate(acc[q][r], u[r], s);
    }
  }
#pragma clang loop unroll(full)
  for (size_t q = 0; q < queries; q++) {
    i32x4 sums = less(sums4(acc[q]), ROW_OFFSET * b_sum[q]);
    if (l < d) sums = added(sums, dots_tail(rows, d - l, a, d, b + q * d, l));
    store_scaled(x->out + (query + q) * x->ldo + row, rows, sums, x->b_scale[query + q], x->a_scale + row);
  }
}

static inline __attribute__((always_inline)) void dots_rows(size_t rows, size_t count, const csimd_dots_s8_args *x, size_t row, size_t first,
                                                            const int32_t *b_sum) {
  size_t q = 0;
  for (; q + DOT_QUERIES <= count; q += DOT_QUERIES) dots_tile(rows, DOT_QUERIES, x, row, first + q, b_sum + q);
  if (DOT_QUERIES > 2 && q + 2 <= count) {
    dots_tile(rows, 2, x, row, first + q, b_sum + q);
    q += 2;
  }
  if (q < count) dots_tile(rows, 1, x, row, first + q, b_sum + q);
}

// Of the bytes that come after A, the share of these rows of A.
static inline void fetch(const csimd_dots_s8_args *x, size_t row, size_t rows) {
  if (x->ahead)
    for (size_t byte = x->ahead_size * row / x->n & ~63; byte < x->ahead_size * (row + rows) / x->n; byte += 64)
      __builtin_prefetch((const char *)x->ahead + byte, 0, 2);
}

void KERNEL(dots_s8)(const csimd_dots_s8_args *x) {
  for (size_t first = 0; first < x->m; first += DOT_CHUNK) {
    const size_t count = x->m - first < DOT_CHUNK ? x->m - first : DOT_CHUNK;
    int32_t b_sum[DOT_CHUNK];
    for (size_t q = 0; q < count; q++) b_sum[q] = ROW_OFFSET ? sum_s8(x->d, x->b + (first + q) * x->d) : 0;
    size_t row = 0;
    // A single query reads more than it computes: row by row, which the hardware's prefetcher follows, as it does not follow four.
    for (; x->m > 1 && row + DOT_ROWS <= x->n; row += DOT_ROWS) {
      if (first == 0) fetch(x, row, DOT_ROWS);
      dots_rows(DOT_ROWS, count, x, row, first, b_sum);
    }
    for (; row < x->n; row++) {
      if (first == 0) fetch(x, row, 1);
      dots_rows(1, count, x, row, first, b_sum);
    }
  }
}

void KERNEL(dots_f32)(size_t n, const float *a, size_t m, const float *b, size_t d, float *out, size_t ldo) {
  for (size_t j = 0; j < m; j++)
    for (size_t i = 0; i < n; i++) {
      const float *x = a + i * d, *y = b + j * d;
      f32x16 sum = splat(0);
      size_t l = 0;
      for (; l + 16 <= d; l += 16) sum = add(sum, mul(load(x + l), load(y + l)));
      if (l < d) sum = add(sum, mul(load_n(x + l, d - l), load_n(y + l, d - l)));
      out[j * ldo + i] = sum_of(sum);
    }
}
