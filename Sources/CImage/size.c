#include "cimage.h"
#include <string.h>

static uint32_t big(const uint8_t *p, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | p[i];
  return value;
}

static int of_jpeg(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes) {
  for (size_t at = 2; size - at >= 4 && data[at] == 0xff;) {
    const uint8_t marker = data[at + 1];
    if (marker == 0xff) {
      at++;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) return 1;
    const size_t length = big(data + at + 2, 2);
    if (length < 2 || length + 2 > size - at) return 1;
    // The frame's header, of any process; C4, C8 and CC are tables.
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      if (length < 8) return 1;
      *height = big(data + at + 5, 2);
      *width = big(data + at + 7, 2);
      // A progressive one is held in coefficients of 16 bits until its last scan has come.
      *bytes = marker == 0xc2 || marker == 0xc6 || marker == 0xca || marker == 0xce ? 2 * data[at + 9] : 0;
      return 0;
    }
    at += length + 2;
  }
  return 1;
}

int cimage_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes) {
  if (size >= 29 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 && memcmp(data + 12, "IHDR", 4) == 0) {
    *width = big(data + 16, 4);
    *height = big(data + 20, 4);
    *bytes = data[28] || data[24] == 16 ? (data[24] == 16 ? 6 : 3) : 0;
    return 0;
  }
  return size >= 4 && data[0] == 0xff && data[1] == 0xd8 ? of_jpeg(data, size, width, height, bytes) : 1;
}
