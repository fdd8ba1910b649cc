// What the best kernels up to a level make of the same numbers, a line a kernel and shape: kernels LEVEL. Whatever level and CPU it runs on, the
// lines are the same where csimd.h says so; those of gemm_f32 and depthwise_f32 are where the level fuses multiply and add. Every output has guards
// behind it.
#include "csimd.h"
#include "tiles.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

static uint64_t state = 1;
static uint32_t next(void) {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(state >> 33);
}
static float real(void) { return (float)(int32_t)(next() % 20001 - 10000) / 4096; }

// Bytes with guards behind them; an address that is a multiple of 64 and so many elements more.
static void *space(size_t bytes) {
  char *p = aligned_alloc(64, (bytes + GUARD + 127) / 64 * 64);
  memset(p, 0, bytes);
  memset(p + bytes, 0xa5, GUARD);
  return p;
}
static void *bytes(size_t n) {
  uint8_t *p = space(n);
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)next();
  return p;
}
// Codes in [-127, 127].
static int8_t *codes(size_t n) {
  int8_t *p = bytes(n);
  for (size_t i = 0; i < n; i++)
    if (p[i] == -128) p[i] = 127;
  return p;
}
static float *reals(size_t n) {
  float *p = space(n * sizeof(float));
  for (size_t i = 0; i < n; i++) p[i] = real();
  return p;
}
static float *scales(size_t n) {
  float *p = reals(n);
  for (size_t i = 0; i < n; i++) p[i] = 0.01f + (float)(next() % 1000) / 100000;
  return p;
}

static void say(const char *kernel, size_t a, size_t b, size_t c, const void *out, size_t n) {
  uint64_t hash = 14695981039346656037ull;
  const uint8_t *p = out;
  for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * 1099511628211ull;
  for (size_t i = 0; i < GUARD; i++)
    if (p[n + i] != 0xa5) printf("%s %zu %zu %zu WROTE BEHIND ITS END\n", kernel, a, b, c);
  printf("%s %zu %zu %zu %016llx\n", kernel, a, b, c, (unsigned long long)hash);
}

static void products(const csimd_kernels *kernels, size_t m, size_t n, size_t k) {
  const size_t panel = kernels->panel_s8, panels = (n + panel - 1) / panel, lda = (k + 3) / 4 * 4;
  const size_t wide = kernels->panel_f32, wides = (n + wide - 1) / wide;
  int8_t *w = codes(n * k);
  void *packed = space(csimd_packed_bytes_s8(n, k, panel));
  int32_t *sums = space(panels * panel * 4);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < k; j++) sums[i] += w[i * k + j];
  kernels->pack_s8(n, k, w, packed);
  // The last row of A ends with its last byte, and begins at no multiple of anything.
  csimd_product_u8 product = {m, n, k, bytes(m * lda + 1) + 1, lda, (int32_t)(next() % 256), packed, sums};
  float *scale = scales(n), *bias = reals(n), *a_scale = scales(m), *residual = reals(m * n), *c = space(m * n * 4);
  for (int activation = 0; activation < 4; activation++) {
    csimd_gemm_u8_f32_args args = {product, activation % 2 ? a_scale : NULL, scale, bias, activation, activation > 1 ? residual : NULL, n, c, n};
    kernels->gemm_u8_f32(&args, 0, panels);
    say("gemm_u8_f32", m, n, k, c, m * n * 4);
  }
  uint8_t *u8 = space(m * n);
  csimd_gemm_u8_u8_args args = {product, scale, bias, bytes(m * n), 0.1f, u8, NULL};
  for (int added = 1; added >= 0; added--) {
    if (!added) args.residual = NULL;
    kernels->gemm_u8_u8(&args, 0, panels);
    say("gemm_u8_u8", m, n, k, u8, m * n);
  }
  float *f = reals(n * k), *floats = space(wides * wide * k * 4);
  kernels->pack_f32(n, k, f, floats);
  csimd_gemm_f32_args real = {m, n, k, reals(m * k), k, floats, bias, csimd_activation_gelu, residual, n, c, n};
  kernels->gemm_f32(&real, 0, wides);
  say("gemm_f32", m, n, k, c, m * n * 4);
}

static void depthwise(const csimd_kernels *kernels, size_t side, size_t channels, size_t kernel, size_t stride) {
  const size_t input = (side - 1) * stride + kernel, row = input * channels;
  const size_t wide = (channels + 15) / 16 * 16;
  void *packed = space(csimd_packed_bytes_depthwise(channels, kernel));
  kernels->pack_depthwise(channels, kernel, codes(channels * kernel * kernel), packed);
  uint8_t *y = space(side * side * channels);
  csimd_depthwise_args args = {side, side, channels, kernel, stride, bytes(input * row), row, packed, scales(channels), reals(channels), y};
  kernels->depthwise_u8(&args, 0, side);
  say("depthwise_u8", side, channels, kernel * 10 + stride, y, side * side * channels);
  float *z = space(side * side * channels * 4);
  csimd_depthwise_args floats = {side, side, channels, kernel, stride, reals(input * row), row, reals(kernel * kernel * wide), NULL, reals(channels),
                                 z};
  kernels->depthwise_f32(&floats, 0, side);
  say("depthwise_f32", side, channels, kernel * 10 + stride, z, side * side * channels * 4);
}

static void rows(const csimd_kernels *kernels, size_t m, size_t k) {
  float *x = reals(m * k), *y = space(m * k * 4), *scale = space(m * 4), *weight = reals(k), *bias = reals(k);
  for (size_t j = 0; j < k; j++) x[j] = 0;
  uint8_t *q = space(m * k);
  for (int flip = 0; flip < 2; flip++) {
    kernels->quantize_rows(m, k, x, k, flip ? weight : NULL, q, k, flip ? 0x80 : 0, scale);
    say("quantize_rows", m, k, flip, q, m * k);
    say("quantize_rows_scale", m, k, flip, scale, m * 4);
  }
  kernels->layernorm(m, k, x, weight, bias, 1e-5f, y);
  say("layernorm", m, k, 0, y, m * k * 4);
  kernels->row_max(m, k, x, k, scale);
  say("row_max", m, k, 0, scale, m * 4);
  kernels->l2normalize(m, k, x);
  say("l2normalize", m, k, 0, x, m * k * 4);
}

static void attention(const csimd_kernels *kernels, size_t tokens, size_t width) {
  for (int causal = 0; causal < 2; causal++) {
    float *o = space(tokens * width * 4), *scratch = space(csimd_attention_scratch(tokens, width) * 4);
    csimd_attention_f32_args args = {tokens, width,  reals(tokens * width), reals(tokens * width), reals(tokens * width), width, 0.3f, causal, o,
                                     width,  scratch};
    kernels->attention(&args);
    say("attention", tokens, width, (size_t)causal, o, tokens * width * 4);
  }
}

static void dots(const csimd_kernels *kernels, size_t n, size_t m, size_t d) {
  float *out = space(n * m * 4);
  int8_t *a = codes(n * d + 1), *b = codes(m * d + 1);
  // Rows need not lie at multiples of anything.
  csimd_dots_s8_args args = {n, m, d, a + 1, scales(n), b + 1, scales(m), out, n, NULL, 0};
  kernels->dots_s8(&args);
  say("dots_s8", n, m, d, out, n * m * 4);
  kernels->dots_f32(n, reals(n * d), m, reals(m * d), d, out, n);
  say("dots_f32", n, m, d, out, n * m * 4);
}

static void interaction(const csimd_kernels *kernels, size_t n, size_t guides) {
  const size_t width = csimd_gram_width(n);
  float *weights = space(guides * width * 4), *fine = space(guides * 4), *a = reals(guides * width);
  csimd_interaction_args args = {n,       guides, a,    width, bytes(csimd_gram_count(n)), 0.1f, 0.003f, NULL, 1, reals(guides), 0.1f, 0.4f,
                                 weights, fine,   NULL, 0};
  kernels->interaction(&args);
  say("interaction", n, guides, 0, fine, guides * 4);
  say("interaction_weights", n, guides, 0, weights, guides * width * 4);
}

int main(int count, char **arguments) {
  csimd_level level = csimd_level_sse42;
  while (level < csimd_levels && (count < 2 || strcmp(csimd_level_name(level), arguments[1]))) level++;
  uint32_t features = csimd_features();
#if defined(__x86_64__)
  // What AMX has beyond AVX-512 runs by hand.
  if (level == csimd_level_amx && !(features & csimd_feature_AMXINT8)) emulate_tiles(), features |= csimd_feature_AMXINT8;
#endif
  if (level == csimd_levels || !csimd_level_runs(level, features)) return printf("this CPU has no such level\n"), 2;
  csimd_kernels table = {0};
  csimd_choose(level, features, &table, NULL);
  const csimd_kernels *kernels = &table;
  // Every number of rows up to the tallest tile of any level and what is over, against every number of vectors that a panel can end with.
  const size_t ks[] = {1, 3, 4, 5, 8, 9, 16, 31, 64, 67};
  for (size_t m = 1; m < 34; m++)
    for (size_t n = 0; n < 11; n++)
      for (size_t l = 0; l < 10; l++) {
        const size_t ns[] = {1, 15, 16, 17, 24, 32, 33, 48, 64, 70, 130};
        if (l < 2 || (m + n + l) % 3 == 0) products(kernels, m, ns[n], ks[l]);
      }
  // Deep products have tiles of their own.
  for (size_t m = 1; m < 14; m++) products(kernels, m, 130, 517);
  const size_t sides[] = {1, 2, 5, 8}, channels[] = {1, 15, 16, 17, 32, 40, 64, 113};
  for (size_t i = 0; i < 4; i++)
    for (size_t j = 0; j < 8; j++)
      for (size_t kernel = 3; kernel < 6; kernel += 2)
        for (size_t stride = 1; stride < 3; stride++) depthwise(kernels, sides[i], channels[j], kernel, stride);
  for (size_t m = 1; m < 4; m++)
    for (size_t k = 1; k < 70; k += 3) rows(kernels, m, k);
  for (size_t tokens = 1; tokens < 80; tokens += 5)
    for (size_t width = 8; width < 70; width += 8) attention(kernels, tokens, width);
  const size_t ds[] = {1, 15, 16, 31, 33, 64, 100, 384};
  for (size_t n = 1; n < 11; n += 3)
    for (size_t m = 1; m < 20; m += 3)
      for (size_t d = 0; d < 8; d++) dots(kernels, n, m, ds[d]);
  for (size_t n = 1; n < 70; n += 8)
    for (size_t guides = 1; guides < 6; guides++) interaction(kernels, n, guides);
  for (size_t n = 0; n < 40; n++) {
    uint32_t crc = kernels->crc32c(7, bytes(n), n);
    printf("crc32c %zu %08x\n", n, crc);
  }
  return kernels->peak_s8(3) ? 0 : 1;
}
