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
/// is an error, unless it lacks nothing but what stands behind the picture, such as the end mark.
/// least_side: of a JPEG that is far larger, no more is decoded than it takes for the shorter side to stay this long (by halves, in
/// the transform itself); 0 for all of it.
int cimage_decode_jpeg(const uint8_t *data, size_t size, uint64_t max_pixels, uint32_t least_side, cimage *out);
/// least_side: of a PNG whose rows come one after the other, with 8 bits, and that is far larger, means of squares of pixels are kept, so that the
/// shorter side stays at least twice this long and no more memory is taken; 0 for all of it.
int cimage_decode_png(const uint8_t *data, size_t size, uint64_t max_pixels, uint32_t least_side, cimage *out);
void cimage_free(cimage *image);

/// The orientation (1...8) that a TIFF, WebP, JPEG or PNG file says of itself, by EXIF or else XMP; 1 where it does not.
int cimage_file_orientation(const uint8_t *data, size_t size);

/// What a JPEG or PNG says of its size before it is decoded, as it is stored; not 0 where it says nothing.
/// bytes: of memory that decoding it takes a pixel of that size, where it cannot be reduced as it comes; 0 where it can.
int cimage_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes);

/// What a tag of a TIFF's first directory says, BigTIFF too, where it is one whole number; -1 where it is not there or another.
int64_t cimage_tiff_value(const uint8_t *tiff, size_t size, uint32_t tag);
/// Why the first picture of a TIFF is none to be shown: a thumbnail, or what a sensor measured. NULL where it is one.
const char *cimage_tiff_refusal(const uint8_t *tiff, size_t size);

/// Bytes as gzip has them, from malloc: free them. zlib is linked here.
int cimage_gzip(const uint8_t *data, size_t size, uint8_t **out, size_t *out_size);

/// CRC-32 as zlib and PNG have it.
uint32_t cimage_crc32(const uint8_t *data, size_t size);

/// Of the libraries that decode, as they were built against: "libjpeg-turbo 2.1.5, libpng 1.6.39".
const char *cimage_libraries(void);

/// rgb: u8[height, width, 3].
int cimage_write_png(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height);
int cimage_write_jpeg(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, int quality);
/// The bytes of a JPEG file, from malloc: free them.
int cimage_encode_jpeg(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **out, size_t *size);

/// A cubic with a = -0.5, or a triangle.
typedef enum cimage_filter { CIMAGE_BICUBIC, CIMAGE_BILINEAR } cimage_filter;

/// Antialiased resize (the filter is stretched by the reduction), columns and then rows, each rounded to u8: what Pillow
/// computes. rgb: u8[height, width, 3]; out: u8[out_height, out_width, 3].
int cimage_resize(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width, uint32_t out_height, cimage_filter filter);

typedef enum cimage_values { CIMAGE_U8, CIMAGE_U16, CIMAGE_F32, CIMAGE_F64 } cimage_values;

/// How the values of a pixel become R, G, B and whether there is anything.
typedef struct cimage_tones {
  cimage_values type;
  int planes;             // values of a pixel, interleaved
  int plane[3];           // which of them R, G and B come from
  int alpha;              // the plane whose 0 means nothing, or -1
  double low[3], gain[3]; // of floats: (value - low) * gain, cut to 0...255
  // A pixel is nothing where every channel that has nodata is it, or one that is marked `alone`; of floats also where one is no finite number.
  int has_nodata[3], alone[3];
  uint32_t nodata_bits[3]; // of whole numbers
  double nodata[3];
} cimage_tones;

/// in: type[height, width, planes]; table: of whole numbers, u8[3, 256] or u8[3, 65536], by the bits of a value; mask: u8[height, width], 0 where
/// there is nothing, or NULL. out: rows of u8[columns, 4], `stride` bytes apart, each pixel the mean of what there is in factor x factor of the
/// input, and the share of it, 0 to 255. Cells at the right and the bottom may be smaller. sums: room for 4 * columns of u32.
void cimage_tone(const void *in, uint32_t width, uint32_t height, const uint8_t *mask, const cimage_tones *tones, const uint8_t *table,
                 uint32_t factor, uint8_t *out, size_t stride, uint32_t *sums);

/// Cuts a picture of at least one pixel out of what cimage_tone wrote: u8[height, width, 3], where there is nothing the mean of the
/// rest. mean: is given that, u8[3], or is NULL. Returns what share there is: 255 for every whole pixel.
uint64_t cimage_cut(const uint8_t *rgba, size_t stride, uint32_t width, uint32_t height, uint8_t *rgb, uint8_t *mean);

/// For a program to call at its start: memory of 4 MB and more goes back to the system when it is freed. Left to itself the C library
/// would, once it has freed the first of them, take the next from its heap, where small things that live longer keep it from shrinking.
void cimage_return_large_memory(void);
