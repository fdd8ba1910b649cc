// From the values of a raster to pixels that can be looked at.
#include "cimage.h"
#include <math.h>
#include <string.h>

// One pixel of whole numbers: whether there is anything, and its colours.
static inline int whole(const cimage_tones *t, const uint8_t *table, const uint32_t v[3], uint32_t rgb[3], size_t entries) {
  if (t->has_nodata && v[0] == t->nodata_bits[0] && v[1] == t->nodata_bits[1] && v[2] == t->nodata_bits[2])
    return 0;
  for (int c = 0; c < 3; c++)
    rgb[c] = table[c * entries + v[c]];
  return 1;
}

static inline int real(const cimage_tones *t, const float v[3], uint32_t rgb[3]) {
  if (isnan(v[0]) || isnan(v[1]) || isnan(v[2]))
    return 0;
  if (t->has_nodata && v[0] == t->nodata[0] && v[1] == t->nodata[1] && v[2] == t->nodata[2])
    return 0;
  for (int c = 0; c < 3; c++) {
    const float x = (v[c] - t->low[c]) * t->gain[c];
    rgb[c] = x > 0 ? x < 255 ? (uint32_t)(x + 0.5f) : 255 : 0;
  }
  return 1;
}

static inline int pixel(const cimage_tones *t, const uint8_t *table, const void *in, size_t at, uint32_t rgb[3]) {
  const size_t p = at * (size_t)t->planes;
  if (t->type == CIMAGE_U8) {
    const uint8_t *v = (const uint8_t *)in + p;
    const uint32_t values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
    return (t->alpha < 0 || v[t->alpha]) && whole(t, table, values, rgb, 256);
  }
  if (t->type == CIMAGE_U16) {
    const uint16_t *v = (const uint16_t *)in + p;
    const uint32_t values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
    return (t->alpha < 0 || v[t->alpha]) && whole(t, table, values, rgb, 65536);
  }
  const float *v = (const float *)in + p;
  const float values[3] = {v[t->plane[0]], v[t->plane[1]], v[t->plane[2]]};
  return (t->alpha < 0 || v[t->alpha] > 0) && real(t, values, rgb);
}

void cimage_tone(const void *in, uint32_t width, uint32_t height, const uint8_t *mask, const cimage_tones *tones,
                 const uint8_t *table, uint32_t factor, uint8_t *out, size_t stride, uint32_t *sums) {
  const uint32_t columns = (width + factor - 1) / factor;
  for (uint32_t top = 0; top < height; top += factor, out += stride) {
    const uint32_t bottom = top + factor < height ? top + factor : height;
    memset(sums, 0, (size_t)columns * 4 * sizeof *sums);
    for (uint32_t y = top; y < bottom; y++) {
      uint32_t *sum = sums, inside = 0;
      for (uint32_t x = 0; x < width; x++) {
        const size_t at = (size_t)y * width + x;
        uint32_t rgb[3];
        if ((!mask || mask[at]) && pixel(tones, table, in, at, rgb)) {
          for (int c = 0; c < 3; c++)
            sum[c] += rgb[c];
          sum[3]++;
        }
        if (++inside == factor) {
          sum += 4;
          inside = 0;
        }
      }
    }
    for (uint32_t i = 0; i < columns; i++) {
      const uint32_t *sum = sums + 4 * i, n = sum[3];
      const uint32_t across = (i + 1) * factor <= width ? factor : width - i * factor;
      for (int c = 0; c < 3; c++)
        out[4 * i + c] = n ? (uint8_t)((sum[c] + n / 2) / n) : 0;
      // At least 1 where there is anything.
      out[4 * i + 3] = (uint8_t)((n * 255 + across * (bottom - top) - 1) / (across * (bottom - top)));
    }
  }
}
