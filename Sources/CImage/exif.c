#include "exif.h"
#include <string.h>

static uint32_t read(const uint8_t *p, int bytes, int little) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint32_t)p[i] << 8 * (little ? i : bytes - 1 - i);
  return value;
}

// The value of an entry of a directory, where it is one whole number: a BYTE, a SHORT, or a LONG as some write it; -1 for another.
static int64_t value_of(const uint8_t *entry, size_t value_at, int little) {
  const uint32_t type = read(entry + 2, 2, little);
  return type == 3   ? (int64_t)read(entry + value_at, 2, little)
         : type == 4 ? (int64_t)read(entry + value_at, 4, little)
         : type == 1 ? entry[value_at]
                     : -1;
}

// Of a directory whose first entry is at `at`: `tag` among `count` entries of `size_of_entry` bytes; -1 where there is none.
static int64_t find_in(const uint8_t *data, size_t size, size_t at, uint64_t count, size_t size_of_entry, size_t value_at, int little, uint32_t tag) {
  for (uint64_t i = 0; i < count && size_of_entry <= size - at; i++, at += size_of_entry)
    if (read(data + at, 2, little) == tag) return value_of(data + at, value_at, little);
  return -1;
}

int64_t cimage_tiff_value(const uint8_t *tiff, size_t size, uint32_t tag) {
  if (size < 16 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return -1;
  const int little = tiff[0] == 'I';
  if (read(tiff + 2, 2, little) == 43) {
    // BigTIFF: everything has eight bytes.
    const uint64_t low = read(tiff + (little ? 8 : 12), 4, little), high = read(tiff + (little ? 12 : 8), 4, little);
    const uint64_t directory = high << 32 | low;
    if (directory > size || size - directory < 8) return -1;
    const uint64_t count = read(tiff + directory + (little ? 0 : 4), 4, little);
    return find_in(tiff, size, (size_t)directory + 8, count, 20, 12, little, tag);
  }
  const uint32_t directory = read(tiff + 4, 4, little);
  if (directory > size || size - directory < 2) return -1;
  return find_in(tiff, size, (size_t)directory + 2, read(tiff + directory, 2, little), 12, 8, little, tag);
}

int cimage_orientation(const uint8_t *tiff, size_t size) {
  const int64_t value = cimage_tiff_value(tiff, size, 0x0112);
  return value >= 1 && value <= 8 ? (int)value : 0;
}

const char *cimage_tiff_refusal(const uint8_t *tiff, size_t size) {
  const int64_t kind = cimage_tiff_value(tiff, size, 254), photometric = cimage_tiff_value(tiff, size, 262);
  if (photometric == 32803 || photometric == 34892) return "it holds what a camera's sensor measured, raw; develop it to a TIFF or JPEG";
  if ((kind > 0 && (kind & 1)) || cimage_tiff_value(tiff, size, 255) == 2)
    return "its first picture is a thumbnail of another one in it, as raw files of cameras have it; save the picture alone as a TIFF or JPEG";
  return NULL;
}

// EXIF as JPEG and some writers of WebP have it begins with its name.
static int exif_orientation(const uint8_t *block, size_t size) {
  static const char name[6] = "Exif\0";
  const int is_named = size > sizeof name && memcmp(block, name, sizeof name) == 0;
  return is_named ? cimage_orientation(block + sizeof name, size - sizeof name) : cimage_orientation(block, size);
}

// Chunks with a name and a length: WebP's, name first, padded to two bytes, and PNG's, length first, with a checksum behind.
static int of_chunks(const uint8_t *data, size_t size, size_t at, int is_webp) {
  int said = 0;
  while (at <= size && size - at >= 8) {
    const uint8_t *name = data + at + (is_webp ? 0 : 4);
    const size_t length = read(data + at + (is_webp ? 4 : 0), 4, is_webp), start = at + 8;
    if (length > size - start) break;
    if (memcmp(name, is_webp ? "EXIF" : "eXIf", 4) == 0) {
      const int found = exif_orientation(data + start, length);
      if (found) return found;
    } else if (memcmp(name, is_webp ? "XMP " : "iTXt", 4) == 0 && !said) {
      said = cimage_xmp_orientation(data + start, length);
    }
    at = start + length + (is_webp ? length & 1 : 4);
  }
  return said;
}

int cimage_file_orientation(const uint8_t *data, size_t size) {
  int found = 0;
  if (size >= 16 && (memcmp(data, "II", 2) == 0 || memcmp(data, "MM", 2) == 0)) found = cimage_orientation(data, size);
  uint32_t width, height, bytes;
  if (size >= 16 && data[0] == 0xff && data[1] == 0xd8 && cimage_jpeg_header(data, size, &width, &height, &bytes, &found)) found = 1;
  if (size >= 16 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0) found = of_chunks(data, size, 12, 1);
  if (size >= 16 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) found = of_chunks(data, size, 8, 0);
  return found ? found : 1;
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
