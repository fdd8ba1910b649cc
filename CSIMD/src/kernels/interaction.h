// The balanced text-guided interaction in dot products: dimension-free, the same for codes and for floats.
#pragma once

static float dot_rows(size_t n, const float *x, const float *y) {
  f32x16 sum = splat(0);
  size_t j = 0;
  for (; j + 16 <= n; j += 16)
    sum = add(sum, mul(load(x + j), load(y + j)));
  if (j < n)
    sum = add(sum, mul(load_n(x + j, n - j), load_n(y + j, n - j)));
  return sum_of(sum);
}

static void interaction(const csimd_interaction_args *x) {
  const size_t n = x->n;
  const float rest = 1.0f - x->beta;
  for (size_t m = 0; m < x->guides; m++) {
    const float *a = x->a + m * n;
    float *w = x->weights + m * n;
    for (size_t j = 0; j < n; j++)
      w[j] = a[j] / x->tau;
    scale_row(n, w, 1.0f / exponentials(n, w));
    float squared = 0;
    for (size_t j = 0; j < n; j++)
      squared = squared + w[j] * dot_rows(n, x->gram + j * n, w);
    const float length = __builtin_sqrtf(squared > 0 ? squared : 0);
    const float unit = x->beta / (length > 1e-12f ? length : 1e-12f);
    const float u_t = rest * x->gt[m] + unit * dot_rows(n, w, a);
    const float u_u = rest * rest * x->gg + 2.0f * (rest * unit) * dot_rows(n, w, x->gp) + unit * unit * squared;
    const float u = __builtin_sqrtf(u_u > 0 ? u_u : 0);
    x->fine[m] = u_t / (u > 1e-12f ? u : 1e-12f);
  }
}
