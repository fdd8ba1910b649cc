// exp, GELU and QuickGELU over f32x16, one sequence of operations for every instruction set. Coefficients: ours, least
// squares at Chebyshev nodes, the last one rounded last; errors measured over all of the range in fp32.
#pragma once

#ifndef STORES_TWO
static inline void store_u8_two(uint8_t *p, f32x16 v, uint8_t *q, f32x16 w) {
  store_u8(p, v);
  store_u8(q, w);
}
#endif

// x rounded half to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
static inline f32x16 rounded(f32x16 x) {
  const f32x16 magic = splat(12582912.0f);
  return sub(add(x, magic), magic);
}

// exp(x), x clamped to [-87, 88]. Relative error below 1.2e-7. n = round(x / ln 2), r = x - n ln 2 in two steps.
static inline f32x16 exponential(f32x16 x) {
  x = smaller(larger(x, splat(-87.0f)), splat(88.0f));
  const f32x16 n = rounded(mul(x, splat(0x1.715476p+0f)));
  const f32x16 r = sub(sub(x, mul(n, splat(0x1.63p-1f))), mul(n, splat(-0x1.bd0106p-13f)));
  f32x16 p = splat(0x1.6d4366p-10f);
  p = add(mul(p, r), splat(0x1.120ba6p-7f));
  p = add(mul(p, r), splat(0x1.5554e8p-5f));
  p = add(mul(p, r), splat(0x1.5554dcp-3f));
  p = add(mul(p, r), splat(0x1.0p-1f));
  return mul(add(splat(1.0f), add(r, mul(mul(r, r), p))), power_of_two(n));
}

// x Phi(x). Phi(x) - 1/2 = x Q(s), s = x^2 (2 / 5.25^2) - 1, x clamped to +-5.25, where Phi is 0 or 1 to fp32.
// Absolute error below 1.1e-6.
static inline f32x16 gelu(f32x16 x) {
  const f32x16 c = smaller(larger(x, splat(-5.25f)), splat(5.25f));
  const f32x16 s = sub(mul(mul(c, c), splat(0x1.293726p-4f)), splat(1.0f));
  f32x16 p = splat(-0x1.195ca0p-11f);
  p = add(mul(p, s), splat(0x1.7ab142p-10f));
  p = add(mul(p, s), splat(-0x1.6ed2fap-10f));
  p = add(mul(p, s), splat(0x1.f2ba30p-10f));
  p = add(mul(p, s), splat(-0x1.4a0e6ap-8f));
  p = add(mul(p, s), splat(0x1.281c38p-7f));
  p = add(mul(p, s), splat(-0x1.a9fcecp-7f));
  p = add(mul(p, s), splat(0x1.2c8300p-6f));
  p = add(mul(p, s), splat(-0x1.9951e4p-6f));
  p = add(mul(p, s), splat(0x1.06a4bcp-5f));
  p = add(mul(p, s), splat(-0x1.45cbaep-5f));
  p = add(mul(p, s), splat(0x1.96af52p-5f));
  p = add(mul(p, s), splat(-0x1.12f35ap-4f));
  p = add(mul(p, s), splat(0x1.13c84ap-3f));
  return mul(x, larger(add(splat(0.5f), mul(c, p)), splat(0.0f)));
}

// x / (1 + exp(-1.702 x))
static inline f32x16 quickgelu(f32x16 x) { return quotient(x, add(splat(1.0f), exponential(mul(x, splat(-1.702f))))); }

static inline f32x16 activated(f32x16 x, csimd_activation activation) {
  switch (activation) {
  case csimd_activation_gelu: return gelu(x);
  case csimd_activation_quickgelu: return quickgelu(x);
  case csimd_activation_relu6: return smaller(larger(x, splat(0)), splat(6));
  default: return x;
  }
}
