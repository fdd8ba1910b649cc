// Depthwise convolution, sixteen channels of four neighbouring outputs at a time: each input pixel is loaded once for
// all the outputs that it belongs to. The border is in the input already, so there is no condition in the loops.
#pragma once

enum { ACROSS = 4 };

// sums[t] = sum over the window of output t, for `across` outputs and up to 16 channels of them.
static inline __attribute__((always_inline)) void window_u8(size_t kernel, size_t stride, size_t across, size_t count,
                                                            size_t channels, const uint8_t *x, size_t row,
                                                            const int32_t *w, size_t ldw, i32x16 sums[]) {
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++)
    sums[t] = zero_i32();
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kernel; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < (across - 1) * stride + kernel; j++) {
      const uint8_t *p = x + i * row + j * channels;
      const i32x16 v = count == 16 ? widen_u8(p) : widen_u8_n(p, count);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < across; t++)
        if (j >= t * stride && j - t * stride < kernel)
          sums[t] = multiply_add(sums[t], v, load_i32(w + (i * kernel + j - t * stride) * ldw));
    }
}

static inline __attribute__((always_inline)) void window_f32(size_t kernel, size_t stride, size_t across, size_t count,
                                                             size_t channels, const float *x, size_t row, const float *w,
                                                             size_t ldw, f32x16 sums[]) {
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++)
    sums[t] = splat(0);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kernel; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < (across - 1) * stride + kernel; j++) {
      const float *p = x + i * row + j * channels;
      const f32x16 v = count == 16 ? load(p) : load_n(p, count);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < across; t++)
        if (j >= t * stride && j - t * stride < kernel)
          sums[t] = fused(v, load(w + (i * kernel + j - t * stride) * ldw), sums[t]);
    }
}

static inline __attribute__((always_inline)) void step_u8(size_t kernel, size_t stride, size_t across, size_t count,
                                                          const csimd_depthwise_args *a, size_t y, size_t x, size_t c) {
  const size_t channels = a->channels;
  i32x16 sums[ACROSS];
  window_u8(kernel, stride, across, count, channels,
            (const uint8_t *)a->x + y * stride * a->row + x * stride * channels + c, a->row,
            (const int32_t *)a->w + c, csimd_round16(channels), sums);
  const f32x16 scale = load_n(a->scale + c, count), bias = load_n(a->bias + c, count);
  uint8_t *out = (uint8_t *)a->y + (y * a->width + x) * channels + c;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++) {
    const f32x16 q = add(mul(to_f32(sums[t]), scale), bias);
    if (count == 16)
      store_u8(out + t * channels, q);
    else
      store_u8_n(out + t * channels, q, count);
  }
}

static inline __attribute__((always_inline)) void step_f32(size_t kernel, size_t stride, size_t across, size_t count,
                                                           const csimd_depthwise_args *a, size_t y, size_t x, size_t c) {
  const size_t channels = a->channels;
  f32x16 sums[ACROSS];
  window_f32(kernel, stride, across, count, channels,
             (const float *)a->x + y * stride * a->row + x * stride * channels + c, a->row, (const float *)a->w + c,
             csimd_round16(channels), sums);
  const f32x16 bias = load_n(a->bias + c, count);
  float *out = (float *)a->y + (y * a->width + x) * channels + c;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < across; t++)
    store_n(out + t * channels, activated(add(sums[t], bias), csimd_activation_relu6), count);
}

#define DEPTHWISE(type, k, s)                                                                                          \
  static __attribute__((noinline)) void depthwise_##type##_##k##_##s(const csimd_depthwise_args *a, size_t first,      \
                                                                     size_t end) {                                     \
    for (size_t y = first; y < end; y++)                                                                               \
      for (size_t c = 0; c < a->channels; c += 16) {                                                                   \
        const size_t count = a->channels - c < 16 ? a->channels - c : 16;                                              \
        size_t x = 0;                                                                                                  \
        if (count == 16) {                                                                                             \
          for (; x + ACROSS <= a->width; x += ACROSS)                                                                  \
            step_##type(k, s, ACROSS, 16, a, y, x, c);                                                                 \
          for (; x < a->width; x++)                                                                                    \
            step_##type(k, s, 1, 16, a, y, x, c);                                                                      \
        } else                                                                                                         \
          for (; x < a->width; x++)                                                                                    \
            step_##type(k, s, 1, count, a, y, x, c);                                                                   \
      }                                                                                                                \
  }

#define DEPTHWISE_OF(type)                                                                                             \
  DEPTHWISE(type, 3, 1)                                                                                                \
  DEPTHWISE(type, 3, 2)                                                                                                \
  DEPTHWISE(type, 5, 1)                                                                                                \
  DEPTHWISE(type, 5, 2)                                                                                                \
  static void depthwise_##type(const csimd_depthwise_args *a, size_t first, size_t end) {                              \
    if (a->kernel == 3)                                                                                                \
      (a->stride == 1 ? depthwise_##type##_3_1 : depthwise_##type##_3_2)(a, first, end);                               \
    else                                                                                                               \
      (a->stride == 1 ? depthwise_##type##_5_1 : depthwise_##type##_5_2)(a, first, end);                               \
  }

DEPTHWISE_OF(u8)
DEPTHWISE_OF(f32)
