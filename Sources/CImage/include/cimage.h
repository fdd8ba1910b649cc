/// JPEG (libjpeg-turbo) and PNG (libpng) in C, where their longjmp belongs, and the antialiased resize between pixels.
/// Functions that can fail return 0 on success; the message says why otherwise.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// What the decoders return where the machine is the reason, not the file.
#define CIMAGE_NO_MEMORY 3

typedef struct cimage {
  uint8_t *rgb; // u8[height, width, 3], from malloc: free with cimage_free
  uint32_t width, height;
  int orientation; // of EXIF or else XMP, 1...8; 1 where the file does not say
  char message[200];
} cimage;

/// Decodes to RGB: grey and palettes expanded, CMYK converted, alpha dropped, 16 bits cut to 8 (and stretched where none
/// of them reaches a quarter of the range). An image of more than max_pixels is refused before memory is taken; a truncated one
/// is an error, unless it lacks nothing but a JPEG's end mark.
int cimage_decode_jpeg(const uint8_t *data, size_t size, uint64_t max_pixels, cimage *out);
int cimage_decode_png(const uint8_t *data, size_t size, uint64_t max_pixels, cimage *out);
void cimage_free(cimage *image);

/// CRC-32 as zlib and PNG have it.
uint32_t cimage_crc32(const uint8_t *data, size_t size);

/// Of the libraries that decode, as they were built against: "libjpeg-turbo 2.1.5, libpng 1.6.39".
const char *cimage_libraries(void);

/// rgb: u8[height, width, 3].
int cimage_write_png(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height);
int cimage_write_jpeg(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, int quality);

/// A cubic with a = -0.5, or a triangle.
typedef enum cimage_filter { CIMAGE_BICUBIC, CIMAGE_BILINEAR } cimage_filter;

/// Antialiased resize (the filter is stretched by the reduction), columns and then rows, each rounded to u8: what Pillow
/// computes. rgb: u8[height, width, 3]; out: u8[out_height, out_width, 3].
int cimage_resize(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width,
                  uint32_t out_height, cimage_filter filter);
