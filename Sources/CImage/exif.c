#include "exif.h"
#include <string.h>

static uint32_t read(const uint8_t *p, int bytes, int little) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint32_t)p[i] << 8 * (little ? i : bytes - 1 - i);
  return value;
}

int cimage_orientation(const uint8_t *tiff, size_t size) {
  if (size < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 0;
  const int little = tiff[0] == 'I';
  const uint32_t directory = read(tiff + 4, 4, little);
  if (directory > size || size - directory < 2) return 0;
  const uint32_t count = read(tiff + directory, 2, little);
  for (uint32_t i = 0; i < count; i++) {
    const size_t at = (size_t)directory + 2 + 12 * (size_t)i;
    if (at + 12 > size) return 0;
    if (read(tiff + at, 2, little) == 0x0112) {
      const uint32_t value = read(tiff + at + 8, 2, little);
      return value >= 1 && value <= 8 ? (int)value : 0;
    }
  }
  return 0;
}

int cimage_xmp_orientation(const uint8_t *xmp, size_t size) {
  static const char name[] = "tiff:Orientation";
  const size_t length = sizeof name - 1;
  for (size_t i = 0; i + length < size; i++) {
    if (memcmp(xmp + i, name, length) != 0) continue;
    // = and a quote, or the end of a tag, with white space wherever XML has it.
    for (size_t j = i + length; j < size && j < i + length + 16; j++) {
      if (xmp[j] >= '1' && xmp[j] <= '8') return xmp[j] - '0';
      if (!memchr("=\"'> \t\r\n", xmp[j], 8)) break;
    }
  }
  return 0;
}
