#include "cimage.h"
#include <math.h>
#include <stdlib.h>

// Coefficients of one output position: `count` taps from input `first` on, in 22 fractional bits.
typedef struct taps {
  int first, count;
} taps;

enum { BITS = 22 };

static double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double triangle(double x) {
  x = fabs(x);
  return x < 1 ? 1 - x : 0;
}

// Allocates taps[out] and coefficients[out, most]; returns `most`, or 0.
static int plan(uint32_t in, uint32_t out, cimage_filter filter, taps **positions, int32_t **coefficients) {
  const double scale = (double)in / out, stretch = scale > 1 ? scale : 1;
  const double support = (filter == CIMAGE_BILINEAR ? 1 : 2) * stretch;
  const int most = (int)ceil(support) * 2 + 1;
  *positions = malloc(sizeof(taps) * out);
  *coefficients = malloc(sizeof(int32_t) * out * (size_t)most);
  double *weights = malloc(sizeof(double) * (size_t)most);
  if (!*positions || !*coefficients || !weights) {
    free(*positions);
    free(*coefficients);
    free(weights);
    return 0;
  }
  for (uint32_t i = 0; i < out; i++) {
    const double centre = (i + 0.5) * scale;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > (int)in ? (int)in : end;
    double sum = 0;
    for (int j = first; j < end; j++)
      sum += weights[j - first] = (filter == CIMAGE_BILINEAR ? triangle : bicubic)((j - centre + 0.5) / stretch);
    for (int j = 0; j < end - first; j++) {
      const double w = sum != 0 ? weights[j] / sum : weights[j];
      (*coefficients)[i * (size_t)most + j] = (int32_t)(w * (1 << BITS) + (w < 0 ? -0.5 : 0.5));
    }
    (*positions)[i] = (taps){first, end - first};
  }
  free(weights);
  return most;
}

static uint8_t rounded(int32_t sum) {
  const int32_t v = sum >> BITS;
  return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static void resize_row(const uint8_t *in, uint8_t *out, uint32_t width, const taps *positions, const int32_t *k,
                       int most) {
  for (uint32_t x = 0; x < width; x++, k += most) {
    const uint8_t *p = in + 3 * (size_t)positions[x].first;
    int32_t r = 1 << (BITS - 1), g = r, b = r;
    for (int j = 0; j < positions[x].count; j++) {
      r += p[3 * j] * k[j];
      g += p[3 * j + 1] * k[j];
      b += p[3 * j + 2] * k[j];
    }
    out[3 * x] = rounded(r);
    out[3 * x + 1] = rounded(g);
    out[3 * x + 2] = rounded(b);
  }
}

int cimage_resize(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width,
                  uint32_t out_height, cimage_filter filter) {
  taps *columns = NULL, *rows = NULL;
  int32_t *column_k = NULL, *row_k = NULL;
  const size_t stride = 3 * (size_t)out_width;
  const int column_most = plan(width, out_width, filter, &columns, &column_k);
  const int row_most = column_most ? plan(height, out_height, filter, &rows, &row_k) : 0;
  uint8_t *middle = row_most ? malloc(stride * height) : NULL;
  int32_t *sums = row_most ? malloc(sizeof(int32_t) * stride) : NULL;
  const int failed = !middle || !sums;
  if (!failed) {
    for (uint32_t y = 0; y < height; y++)
      resize_row(rgb + 3 * (size_t)width * y, middle + stride * y, out_width, columns, column_k, column_most);
    for (uint32_t y = 0; y < out_height; y++) {
      for (size_t i = 0; i < stride; i++)
        sums[i] = 1 << (BITS - 1);
      for (int j = 0; j < rows[y].count; j++) {
        const uint8_t *p = middle + stride * (size_t)(rows[y].first + j);
        const int32_t k = row_k[(size_t)y * row_most + j];
        for (size_t i = 0; i < stride; i++)
          sums[i] += p[i] * k;
      }
      for (size_t i = 0; i < stride; i++)
        out[stride * y + i] = rounded(sums[i]);
    }
  }
  if (column_most) {
    free(columns);
    free(column_k);
  }
  if (row_most) {
    free(rows);
    free(row_k);
  }
  free(middle);
  free(sums);
  return failed;
}
