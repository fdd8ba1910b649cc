// The balanced text-guided interaction in dot products: dimension-free, the same for codes and for floats.
#pragma once

enum { GUIDES = TILE_ROWS(interaction) };

static float dot_rows(size_t n, const float *x, const float *y) {
  f32x16 sum = splat(0);
  size_t j = 0;
  for (; j + 16 <= n; j += 16) sum = add(sum, mul(load(x + j), load(y + j)));
  if (j < n) sum = add(sum, mul(load_n(x + j, n - j), load_n(y + j, n - j)));
  return sum_of(sum);
}

// Sixteen elements of the packed matrix, codes as they are.
static inline f32x16 gram_at(const csimd_interaction_args *x, size_t i) { return x->gram ? from_u8_n(x->gram + i, 16) : load(x->gram_f32 + i); }

static inline void fetch_line(const csimd_interaction_args *x, size_t byte, size_t ahead) {
  __builtin_prefetch((const char *)x->ahead + (byte < ahead ? byte : 0), 0, 2);
}

// A line of what comes next is asked for with every row: all at once would fill the queue of misses and stop everything behind it.
// Columns 16 at a time: what a column's rows add up to stays in a register, and a row's weight is a broadcast. The code of 0 stands
// for `least`, which is added at the end, so that what pads the matrix adds nothing.
static inline __attribute__((always_inline)) void interact(size_t guides, const csimd_interaction_args *x, size_t m, size_t ahead) {
  const size_t n = x->n, width = csimd_round16(n + 1);
  const float *w = x->weights + m * width, rest = 1.0f - x->beta;
  f32x16 along_g[GUIDES], half[GUIDES], total[GUIDES];
#pragma clang loop unroll(full)
  for (size_t q = 0; q < guides; q++) along_g[q] = half[q] = total[q] = splat(0);
  size_t at = 0;
  for (size_t c = 0; c <= n; c += 16) {
    const size_t own = n + 1 - c < 16 ? n + 1 - c : 16;
    const f32x16 of_g = gram_at(x, c ? at + 16 * own : 0);
    f32x16 sum[GUIDES];
#pragma clang loop unroll(full)
    for (size_t q = 0; q < guides; q++) sum[q] = splat(0);
    for (size_t r = c; r < c + own; r++, at += 16) {
      const f32x16 row = gram_at(x, at);
      fetch_line(x, 4 * at, ahead);
#pragma clang loop unroll(full)
      for (size_t q = 0; q < guides; q++) sum[q] = add(sum[q], mul(row, splat(w[q * width + r])));
    }
    // The block on the diagonal holds both halves of itself.
#pragma clang loop unroll(full)
    for (size_t q = 0; q < guides; q++) sum[q] = mul(sum[q], splat(0.5f));
    for (size_t r = 0; r < c; r++, at += 16) {
      const f32x16 row = gram_at(x, at);
      fetch_line(x, 4 * at, ahead);
#pragma clang loop unroll(full)
      for (size_t q = 0; q < guides; q++) sum[q] = add(sum[q], mul(row, splat(w[q * width + r])));
    }
#pragma clang loop unroll(full)
    for (size_t q = 0; q < guides; q++) {
      const f32x16 w_c = load(w + q * width + c);
      half[q] = add(half[q], mul(sum[q], w_c));
      along_g[q] = add(along_g[q], mul(of_g, w_c));
      total[q] = add(total[q], w_c);
    }
  }
  const float least = x->gram ? x->least : 0, step = x->gram ? x->step : 1;
  for (size_t q = 0; q < guides; q++) {
    const float sum = sum_of(total[q]), g_v = least * sum + step * sum_of(along_g[q]);
    const float v_v = least * (sum * sum) + (2.0f * step) * sum_of(half[q]);
    const float length = __builtin_sqrtf(v_v > 0 ? v_v : 0);
    const float unit = x->beta / (length > 1e-12f ? length : 1e-12f);
    const float v_t = dot_rows(n, w + q * width + 1, x->a + (m + q) * x->lda);
    const float u_t = rest * x->gt[m + q] + unit * v_t;
    const float u_u = (rest * rest) * x->gg + (2.0f * (rest * unit)) * g_v + (unit * unit) * v_v;
    const float u = __builtin_sqrtf(u_u > 0 ? u_u : 0);
    x->fine[m + q] = u_t / (u > 1e-12f ? u : 1e-12f);
  }
}

// w = 0, softmax(a / tau), zeros for some guides. Step by step over all of them, since the steps of one wait for each other.
static inline void weigh(size_t guides, const csimd_interaction_args *x, size_t m) {
  const size_t n = x->n, width = csimd_round16(n + 1);
  float number[GUIDES];
  for (size_t q = 0; q < guides; q++) {
    const float *a = x->a + (m + q) * x->lda;
    float *w = x->weights + (m + q) * width;
    w[0] = 0;
    size_t j = 0;
    for (; j + 16 <= n; j += 16) store(w + 1 + j, quotient(load(a + j), splat(x->tau)));
    if (j < n) store_n(w + 1 + j, quotient(load_n(a + j, n - j), splat(x->tau)), n - j);
    for (j = n + 1; j < width; j++) w[j] = 0;
  }
  float *first = x->weights + m * width + 1;
  for (size_t q = 0; q < guides; q++) number[q] = largest(n, first + q * width);
  for (size_t q = 0; q < guides; q++) number[q] = exponentials_below(number[q], n, first + q * width);
  for (size_t q = 0; q < guides; q++) scale_row(n, first + q * width, 1.0f / number[q]);
}

void KERNEL(interaction)(const csimd_interaction_args *x) {
  for (size_t m = 0; m < x->guides;) {
    const size_t left = x->guides - m, ahead = m ? 0 : x->ahead_size;
    const size_t guides = left >= GUIDES ? GUIDES : left >= 2 ? 2 : 1;
    weigh(guides, x, m);
    if (guides == GUIDES)
      interact(GUIDES, x, m, ahead);
    else if (guides == 2)
      interact(2, x, m, ahead);
    else
      interact(1, x, m, ahead);
    m += guides;
  }
}

void KERNEL(row_max)(size_t m, size_t n, const float *x, size_t ldx, float *out) {
  for (size_t i = 0; i < m; i++, x += ldx) {
    f32x16 most = splat(x[0]);
    size_t j = 0;
    for (; j + 16 <= n; j += 16) most = larger(most, load(x + j));
    if (j < n) most = larger(most, fill_from(load_n(x + j, n - j), n - j, x[0]));
    out[i] = max_of(most);
  }
}
