// From the values of a raster to pixels that can be looked at.
#include "cimage.h"
#include <math.h>
#include <string.h>

// Of which channels the value is nodata: whether the pixel is nothing.
static inline int is_nothing(const cimage_tones *t, const int is_nodata[3]) {
  int all = 1, any = 0;
  for (int c = 0; c < 3; c++) {
    if (!t->has_nodata[c]) continue;
    if (is_nodata[c] && t->alone[c]) return 1;
    all &= is_nodata[c];
    any = 1;
  }
  return all & any;
}

// One pixel of whole numbers: whether there is anything, and its colours.
static inline int whole(const cimage_tones *t, const uint8_t *table, const uint32_t v[3], uint32_t rgb[3], size_t entries) {
  const int is_nodata[3] = {v[0] == t->nodata_bits[0], v[1] == t->nodata_bits[1], v[2] == t->nodata_bits[2]};
  if (is_nothing(t, is_nodata)) return 0;
  for (int c = 0; c < 3; c++) rgb[c] = table[c * entries + v[c]];
  return 1;
}

static inline int real(const cimage_tones *t, const float v[3], uint32_t rgb[3]) {
  if (!isfinite(v[0]) || !isfinite(v[1]) || !isfinite(v[2])) return 0;
  const int is_nodata[3] = {v[0] == (float)t->nodata[0], v[1] == (float)t->nodata[1], v[2] == (float)t->nodata[2]};
  if (is_nothing(t, is_nodata)) return 0;
  for (int c = 0; c < 3; c++) {
    const float x = (v[c] - (float)t->low[c]) * (float)t->gain[c];
    rgb[c] = x > 0 ? x < 255 ? (uint32_t)(x + 0.5f) : 255 : 0;
  }
  return 1;
}

static inline int real64(const cimage_tones *t, const double v[3], uint32_t rgb[3]) {
  if (!isfinite(v[0]) || !isfinite(v[1]) || !isfinite(v[2])) return 0;
  const int is_nodata[3] = {v[0] == t->nodata[0], v[1] == t->nodata[1], v[2] == t->nodata[2]};
  if (is_nothing(t, is_nodata)) return 0;
  for (int c = 0; c < 3; c++) {
    const double x = (v[c] - t->low[c]) * t->gain[c];
    rgb[c] = x > 0 ? x < 255 ? (uint32_t)(x + 0.5) : 255 : 0;
  }
  return 1;
}

// type is constant where this is called, so that only its own branch is left.
static inline int pixel(cimage_values type, const cimage_tones *t, const uint8_t *table, const void *in, size_t at, uint32_t rgb[3]) {
  const size_t p = at * (size_t)t->planes;
  if (type == CIMAGE_U8) {
    const uint8_t *v = (const uint8_t *)in + p;
    const uint32_t values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
    return (t->alpha < 0 || v[t->alpha]) && whole(t, table, values, rgb, 256);
  }
  if (type == CIMAGE_U16) {
    const uint16_t *v = (const uint16_t *)in + p;
    const uint32_t values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
    return (t->alpha < 0 || v[t->alpha]) && whole(t, table, values, rgb, 65536);
  }
  if (type == CIMAGE_F64) {
    const double *v = (const double *)in + p;
    const double values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
    return (t->alpha < 0 || v[t->alpha] > 0) && real64(t, values, rgb);
  }
  const float *v = (const float *)in + p;
  const float values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
  return (t->alpha < 0 || v[t->alpha] > 0) && real(t, values, rgb);
}

// A row that nothing is reduced of.
static inline void plain_row(cimage_values type, const void *in, size_t start, uint32_t width, const uint8_t *mask, const cimage_tones *tones,
                             const uint8_t *table, uint8_t *out) {
  const cimage_tones t = *tones;
  for (uint32_t x = 0; x < width; x++, out += 4) {
    uint32_t rgb[3] = {0, 0, 0};
    const int there = (!mask || mask[start + x]) && pixel(type, &t, table, in, start + x, rgb);
    out[0] = (uint8_t)rgb[0], out[1] = (uint8_t)rgb[1], out[2] = (uint8_t)rgb[2], out[3] = there ? 255 : 0;
  }
}

// Adds a row to the cells that it lies in: R, G, B and how many there were.
static inline void add_row(cimage_values type, const void *in, size_t start, uint32_t width, const uint8_t *mask, const cimage_tones *tones,
                           const uint8_t *table, uint32_t factor, uint32_t *sums) {
  const cimage_tones t = *tones;
  for (uint32_t x = 0; x < width; sums += 4) {
    const uint32_t end = x + factor < width ? x + factor : width;
    for (; x < end; x++) {
      uint32_t rgb[3];
      if ((mask && !mask[start + x]) || !pixel(type, &t, table, in, start + x, rgb)) continue;
      for (int c = 0; c < 3; c++) sums[c] += rgb[c];
      sums[3]++;
    }
  }
}

#define BY_TYPE(call)                                                                                                                                \
  switch (tones->type) {                                                                                                                             \
  case CIMAGE_U8: call(CIMAGE_U8); break;                                                                                                            \
  case CIMAGE_U16: call(CIMAGE_U16); break;                                                                                                          \
  case CIMAGE_F32: call(CIMAGE_F32); break;                                                                                                          \
  case CIMAGE_F64: call(CIMAGE_F64); break;                                                                                                          \
  }

void cimage_tone(const void *in, uint32_t width, uint32_t height, const uint8_t *mask, const cimage_tones *tones, const uint8_t *table,
                 uint32_t factor, uint8_t *out, size_t stride, uint32_t *sums) {
  const uint32_t columns = (width + factor - 1) / factor;
  for (uint32_t top = 0; top < height; top += factor, out += stride) {
    if (factor == 1) {
#define PLAIN(type) plain_row(type, in, (size_t)top *width, width, mask, tones, table, out)
      BY_TYPE(PLAIN)
      continue;
    }
    const uint32_t bottom = top + factor < height ? top + factor : height;
    memset(sums, 0, (size_t)columns * 4 * sizeof *sums);
    for (uint32_t y = top; y < bottom; y++) {
#define ADD(type) add_row(type, in, (size_t)y *width, width, mask, tones, table, factor, sums)
      BY_TYPE(ADD)
    }
    for (uint32_t i = 0; i < columns; i++) {
      const uint32_t *sum = sums + 4 * i, n = sum[3];
      const uint32_t across = (i + 1) * factor <= width ? factor : width - i * factor;
      for (int c = 0; c < 3; c++) out[4 * i + c] = n ? (uint8_t)((sum[c] + n / 2) / n) : 0;
      // At least 1 where there is anything.
      out[4 * i + 3] = (uint8_t)((n * 255 + across * (bottom - top) - 1) / (across * (bottom - top)));
    }
  }
}

// What there is of a row, 255 for every whole pixel.
static uint64_t share_of(const uint8_t *rgba, uint32_t width) {
  uint64_t sum = 0;
  for (uint32_t x = 0; x < width; x++) sum += rgba[4 * (size_t)x + 3];
  return sum;
}

static void mean_of(const uint8_t *rgba, size_t stride, uint32_t width, uint32_t height, uint64_t share, uint8_t mean[3]) {
  uint64_t sums[3] = {0, 0, 0};
  for (uint32_t y = 0; y < height; y++) {
    const uint8_t *in = rgba + y * stride;
    for (uint32_t x = 0; x < width; x++, in += 4)
      for (int c = 0; c < 3; c++) sums[c] += (uint32_t)in[c] * in[3] / 255;
  }
  for (int c = 0; c < 3; c++) mean[c] = share ? (uint8_t)(sums[c] * 255 / share) : 0;
}

uint64_t cimage_cut(const uint8_t *rgba, size_t stride, uint32_t width, uint32_t height, uint8_t *rgb, uint8_t *mean) {
  uint64_t share = 0;
  for (uint32_t y = 0; y < height; y++) {
    const uint8_t *in = rgba + y * stride;
    uint8_t *out = rgb + (size_t)y * width * 3;
    share += share_of(in, width);
    // Four bytes at once, of which the next pixel overwrites one.
    for (uint32_t x = 0; x + 1 < width; x++, in += 4, out += 3) memcpy(out, in, 4);
    memcpy(out, in, 3);
  }
  const int is_whole = share == (uint64_t)width * height * 255;
  if (is_whole && !mean) return share;
  uint8_t own[3];
  mean_of(rgba, stride, width, height, share, own);
  if (mean) memcpy(mean, own, 3);
  for (uint32_t y = 0; y < height && !is_whole; y++)
    for (uint32_t x = 0; x < width; x++)
      if (rgba[y * stride + 4 * (size_t)x + 3] == 0) memcpy(rgb + ((size_t)y * width + x) * 3, own, 3);
  return share;
}
