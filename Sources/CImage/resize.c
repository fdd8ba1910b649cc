#include "cimage.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { BITS = 22, LOW_BITS = 12 };

// Two neighbouring taps of an output position, each a coefficient in 22 fractional bits: high * 2^12 + low, 0 <= low < 2^12. Both
// halves fit in 16 bits, for which SSE2 has a product of pairs; the sums are the same numbers.
typedef struct pair {
  int16_t high[2], low[2];
} pair;

// How one axis is resized: output position i takes the inputs from first[i] on, weighted by pairs[i * most ... + counts[i] - 1];
// the tap that fills up an odd number of them has weight zero.
typedef struct axis {
  int *first, *counts;
  pair *pairs;
  int most;
} axis;

static double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double triangle(double x) {
  x = fabs(x);
  return x < 1 ? 1 - x : 0;
}

static void leave(axis *axis) {
  free(axis->first);
  free(axis->counts);
  free(axis->pairs);
}

static pair pair_of(int32_t a, int32_t b) {
  const int32_t mask = (1 << LOW_BITS) - 1;
  return (pair){{(int16_t)(a >> LOW_BITS), (int16_t)(b >> LOW_BITS)}, {(int16_t)(a & mask), (int16_t)(b & mask)}};
}

static int32_t fixed(double w) { return (int32_t)(w * (1 << BITS) + (w < 0 ? -0.5 : 0.5)); }

// Returns nonzero where memory is short; to be left by leave() in any case.
static int plan(uint32_t in, uint32_t out, cimage_filter filter, axis *axis) {
  const double scale = (double)in / out, stretch = scale > 1 ? scale : 1;
  const double support = (filter == CIMAGE_BILINEAR ? 1 : 2) * stretch;
  const int most = (int)ceil(support) + 1;
  axis->most = most;
  axis->first = malloc(sizeof(int) * out);
  axis->counts = malloc(sizeof(int) * out);
  axis->pairs = calloc(out * (size_t)most, sizeof(pair));
  double *weights = malloc(sizeof(double) * 2 * (size_t)most);
  if (!axis->first || !axis->counts || !axis->pairs || !weights) {
    free(weights);
    return 1;
  }
  for (uint32_t i = 0; i < out; i++) {
    const double centre = (i + 0.5) * scale;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > (int)in ? (int)in : end;
    const int count = end - first;
    double sum = 0;
    for (int j = 0; j < count; j++) sum += weights[j] = (filter == CIMAGE_BILINEAR ? triangle : bicubic)((first + j - centre + 0.5) / stretch);
    for (int j = 0; j < count; j++) weights[j] = sum != 0 ? weights[j] / sum : weights[j];
    weights[count] = 0;
    axis->first[i] = first;
    axis->counts[i] = (count + 1) / 2;
    for (int j = 0; j < axis->counts[i]; j++) axis->pairs[i * (size_t)most + j] = pair_of(fixed(weights[2 * j]), fixed(weights[2 * j + 1]));
  }
  free(weights);
  return 0;
}

static uint8_t rounded(int32_t sum) {
  const int32_t v = sum >> BITS;
  return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

// The sum of `count` pairs of inputs that lie `step` bytes apart; the input of a last tap of weight zero is not read.
static uint8_t sum_of(const uint8_t *p, size_t step, const pair *k, int count) {
  int32_t high = 0, low = 1 << (BITS - 1);
  for (int j = 0; j < count; j++, p += 2 * step) {
    const int32_t a = p[0], b = k[j].high[1] | k[j].low[1] ? p[step] : 0;
    high += a * k[j].high[0] + b * k[j].high[1];
    low += a * k[j].low[0] + b * k[j].low[1];
  }
  return rounded((int32_t)((uint32_t)high << LOW_BITS) + low);
}

#if defined(__SSE2__)
static __m128i whole(__m128i high, __m128i low) { return _mm_srai_epi32(_mm_add_epi32(_mm_slli_epi32(high, LOW_BITS), low), BITS); }

static __m128i both(const int16_t *two) {
  int32_t v;
  memcpy(&v, two, sizeof v);
  return _mm_set1_epi32(v);
}
#endif

// One row of pixels from `in`, of which `bytes` may be read.
static void resize_row(const uint8_t *in, size_t bytes, uint8_t *out, uint32_t width, const axis *axis) {
  const pair *k = axis->pairs;
  for (uint32_t x = 0; x < width; x++, k += axis->most) {
    const size_t start = 3 * (size_t)axis->first[x];
    const int count = axis->counts[x];
#if defined(__SSE2__)
    // A pair of taps is six bytes, and eight are read.
    if (start + 6 * (size_t)count + 2 <= bytes) {
      const __m128i zero = _mm_setzero_si128();
      __m128i high = zero, low = _mm_set1_epi32(1 << (BITS - 1));
      for (int j = 0; j < count; j++) {
        // r0 g0 b0 r1 g1 b1 becomes r0 r1 g0 g1 b0 b1: a pair of taps side by side, a channel a lane.
        const __m128i p = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(in + start + 6 * (size_t)j)), zero);
        const __m128i taps = _mm_unpacklo_epi16(p, _mm_srli_si128(p, 6));
        high = _mm_add_epi32(high, _mm_madd_epi16(taps, both(k[j].high)));
        low = _mm_add_epi32(low, _mm_madd_epi16(taps, both(k[j].low)));
      }
      const __m128i words = _mm_packs_epi32(whole(high, low), zero);
      const int32_t rgb = _mm_cvtsi128_si32(_mm_packus_epi16(words, zero));
      memcpy(out + 3 * (size_t)x, &rgb, 3);
      continue;
    }
#endif
    for (int c = 0; c < 3; c++) out[3 * (size_t)x + c] = sum_of(in + start + c, 3, k, count);
  }
}

// One row of `stride` bytes from the rows above each other at `in`.
static void resize_column(const uint8_t *in, size_t stride, uint8_t *out, const pair *k, int count) {
  size_t i = 0;
#if defined(__SSE2__)
  const __m128i zero = _mm_setzero_si128();
  for (; i + 8 <= stride; i += 8) {
    __m128i high[2] = {zero, zero}, low[2] = {_mm_set1_epi32(1 << (BITS - 1)), _mm_set1_epi32(1 << (BITS - 1))};
    for (int j = 0; j < count; j++) {
      const uint8_t *p = in + i + 2 * j * stride;
      // The row below may be past the end where its weight is zero: then the row is its own neighbour.
      const uint8_t *below = k[j].high[1] | k[j].low[1] ? p + stride : p;
      const __m128i rows = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)p), _mm_loadl_epi64((const __m128i *)below));
      const __m128i taps[2] = {_mm_unpacklo_epi8(rows, zero), _mm_unpackhi_epi8(rows, zero)};
      for (int h = 0; h < 2; h++) {
        high[h] = _mm_add_epi32(high[h], _mm_madd_epi16(taps[h], both(k[j].high)));
        low[h] = _mm_add_epi32(low[h], _mm_madd_epi16(taps[h], both(k[j].low)));
      }
    }
    const __m128i words = _mm_packs_epi32(whole(high[0], low[0]), whole(high[1], low[1]));
    _mm_storel_epi64((__m128i *)(out + i), _mm_packus_epi16(words, zero));
  }
#endif
  for (; i < stride; i++) out[i] = sum_of(in + i, stride, k, count);
}

int cimage_resize(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width, uint32_t out_height, cimage_filter filter) {
  axis columns = {0}, rows = {0};
  const size_t stride = 3 * (size_t)out_width, row = 3 * (size_t)width;
  int failed = plan(width, out_width, filter, &columns) || plan(height, out_height, filter, &rows);
  uint8_t *middle = failed ? NULL : malloc(stride * height);
  failed = !middle;
  if (!failed) {
    for (uint32_t y = 0; y < height; y++) resize_row(rgb + row * y, row * (height - y), middle + stride * y, out_width, &columns);
    for (uint32_t y = 0; y < out_height; y++)
      resize_column(middle + stride * (size_t)rows.first[y], stride, out + stride * y, rows.pairs + (size_t)y * rows.most, rows.counts[y]);
  }
  leave(&columns);
  leave(&rows);
  free(middle);
  return failed;
}
