#include "cimage.h"
#include "exif.h"
#include <string.h>

static uint32_t big(const uint8_t *p, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | p[i];
  return value;
}

int cimage_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes) {
  if (size >= 29 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 && memcmp(data + 12, "IHDR", 4) == 0) {
    *width = big(data + 16, 4);
    *height = big(data + 20, 4);
    *bytes = data[28] || data[24] == 16 ? (data[24] == 16 ? 6 : 3) : 0;
    return 0;
  }
  int orientation;
  return size < 4 || data[0] != 0xff || data[1] != 0xd8 || cimage_jpeg_header(data, size, width, height, bytes, &orientation);
}
