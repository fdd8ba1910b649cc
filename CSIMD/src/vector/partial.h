// What a set without masks makes of its whole registers: rows of fewer than sixteen, by way of memory. Included where f32x16 is defined.
#pragma once

static inline f32x16 load(const float *p);
static inline void store(float *p, f32x16 x);
static inline void store_u8(uint8_t *p, f32x16 v);

static inline f32x16 load_n(const float *p, size_t n) {
  float lanes[16] = {0};
  memcpy(lanes, p, n * sizeof(float));
  return load(lanes);
}
static inline void store_n(float *p, f32x16 v, size_t n) {
  float lanes[16];
  store(lanes, v);
  memcpy(p, lanes, n * sizeof(float));
}
// Lanes n and up become x.
static inline f32x16 fill_from(f32x16 v, size_t n, float x) {
  float lanes[16];
  store(lanes, v);
  for (; n < 16; n++) lanes[n] = x;
  return load(lanes);
}
static inline void store_u8_n(uint8_t *p, f32x16 v, size_t n) {
  uint8_t lanes[16];
  store_u8(lanes, v);
  memcpy(p, lanes, n);
}

// Each of four registers of the result, from those of the operands.
#define EACH(type, expression)                                                                                                                       \
  type out;                                                                                                                                          \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) out.v[i] = expression;                                                              \
  return out
