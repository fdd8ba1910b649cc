// Sizes that the caller allocates by, and packing, which is a copy and the same on every level.
#include "csimd.h"
#include "shapes.h"
#include <string.h>

size_t csimd_packed_bytes_s8(size_t n, size_t k, size_t panel) { return (n + panel - 1) / panel * panel * ((k + 7) / 8) * 8; }

// The most that a level takes: two places of a window among groups of four rows, in i16.
size_t csimd_packed_bytes_depthwise(size_t channels, size_t kernel) { return kernel * 2 * ((kernel + 4) / 4) * csimd_round16(channels) * 8; }

size_t csimd_attention_scratch(size_t tokens, size_t width) {
  // Panels of 64 columns are the widest that a level has.
  return width * ((tokens + 63) / 64 * 64) + tokens * csimd_round16(width) + CSIMD_ATTENTION_ROWS * csimd_round16(tokens);
}

size_t csimd_gram_count(size_t n) {
  size_t rows = 0;
  for (size_t c = 0; c <= n; c += 16) rows += c + (n + 1 - c < 16 ? n + 1 - c : 16);
  return 16 * rows;
}

size_t csimd_gram_width(size_t n) { return csimd_round16(n + 1); }

void csimd_pack_s8(size_t n, size_t k, const int8_t *w, int8_t *out, size_t panel, size_t depth, size_t whole) {
  for (size_t n0 = 0; n0 < n; n0 += panel)
    for (size_t k0 = 0; k0 < whole; k0 += depth)
      for (size_t i = 0; i < panel; i++, out += depth) {
        memset(out, 0, depth);
        if (n0 + i < n && k0 < k) memcpy(out, w + (n0 + i) * k + k0, k - k0 < depth ? k - k0 : depth);
      }
}

void csimd_pack_f32(size_t n, size_t k, const float *w, float *out, size_t panel) {
  for (size_t n0 = 0; n0 < n; n0 += panel)
    for (size_t j = 0; j < k; j++)
      for (size_t i = 0; i < panel; i++) *out++ = n0 + i < n ? w[(n0 + i) * k + j] : 0;
}
