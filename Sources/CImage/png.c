#include "cimage.h"
#include "exif.h"
#include <jconfig.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *cimage_libraries(void) {
#ifdef LIBJPEG_TURBO_VERSION
  return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION) ", libpng " PNG_LIBPNG_VER_STRING;
#else
  return "libjpeg, libpng " PNG_LIBPNG_VER_STRING;
#endif
}

typedef struct source {
  const uint8_t *data;
  size_t left;
  char *message;
  int no_memory;
} source;

static void fail(png_structp png, png_const_charp text) {
  source *s = png_get_error_ptr(png);
  if (s) {
    snprintf(s->message, 200, "%s", text);
    s->no_memory = strcmp(text, "Out of memory") == 0;
  }
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp text) {}

static void take(png_structp png, png_bytep out, size_t count) {
  source *s = png_get_io_ptr(png);
  if (count > s->left) png_error(png, "the file ends before the image does");
  memcpy(out, s->data, count);
  s->data += count;
  s->left -= count;
}

// What EXIF says, or else XMP.
static int find_orientation(png_structp png, png_infop info) {
  png_bytep exif = NULL;
  png_uint_32 length = 0;
  int found = 0;
  if (png_get_eXIf_1(png, info, &length, &exif)) found = cimage_orientation(exif, length);
  png_textp text = NULL;
  int count = 0;
  png_get_text(png, info, &text, &count);
  for (int i = 0; i < count && !found; i++)
    if (strcmp(text[i].key, "XML:com.adobe.xmp") == 0 && text[i].text)
      found = cimage_xmp_orientation((const uint8_t *)text[i].text, strlen(text[i].text));
  return found ? found : 1;
}

// Big-endian 16 bits to 8, in place. Values that fill the range are cut to their high byte. Where none reaches a quarter of it, as
// from sensors of 10 to 14 bits and reflectances in ten thousandths, that would leave black: there the value that one in five
// hundred exceeds becomes white.
static void narrow(uint8_t *values, size_t count) {
  static const unsigned quarter = 1 << 14;
  unsigned most = 0;
  for (size_t i = 0; i < count; i++) {
    const unsigned value = values[2 * i] << 8 | values[2 * i + 1];
    most = value > most ? value : most;
  }
  if (most >= quarter || most == 0) {
    for (size_t i = 0; i < count; i++) values[i] = values[2 * i];
    return;
  }
  size_t histogram[1 << 14] = {0};
  for (size_t i = 0; i < count; i++) histogram[values[2 * i] << 8 | values[2 * i + 1]]++;
  unsigned white = most;
  for (size_t above = histogram[most]; white > 1 && above <= count / 500;) above += histogram[--white];
  for (size_t i = 0; i < count; i++) {
    const unsigned value = values[2 * i] << 8 | values[2 * i + 1];
    values[i] = value >= white ? 255 : (uint8_t)((value * 255 + white / 2) / white);
  }
}

// Rows of `width` pixels, each the mean of `factor` rows and as many columns; what is left over at the right and the bottom is left out.
static void read_reduced(png_structp png, uint32_t width, uint32_t rows, uint32_t factor, uint8_t *row, uint32_t *sums, uint8_t *rgb) {
  const uint32_t columns = width / factor;
  for (uint32_t y = 0; y < rows; y++, rgb += (size_t)columns * 3) {
    memset(sums, 0, sizeof *sums * columns * 3);
    for (uint32_t i = 0; i < factor; i++) {
      png_read_row(png, row, NULL);
      for (uint32_t x = 0; x < columns; x++)
        for (uint32_t j = 0; j < factor; j++)
          for (int c = 0; c < 3; c++) sums[3 * x + c] += row[3 * ((size_t)x * factor + j) + c];
    }
    for (uint32_t x = 0; x < columns * 3; x++) rgb[x] = (uint8_t)((sums[x] + factor * factor / 2) / (factor * factor));
  }
}

int cimage_decode_png(const uint8_t *data, size_t size, uint64_t max_pixels, uint32_t least_side, cimage *out) {
  memset(out, 0, sizeof *out);
  out->orientation = 1;
  source s = {data, size, out->message, 0};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, fail, ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  uint8_t *volatile rgb = NULL, *volatile row = NULL;
  uint32_t *volatile sums = NULL;
  volatile int failure = png && !info ? CIMAGE_NO_MEMORY : 1;
  png_bytep *volatile rows = NULL;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free(rgb);
    free(rows);
    free(row);
    free(sums);
    return s.no_memory ? CIMAGE_NO_MEMORY : failure;
  }
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  png_set_chunk_malloc_max(png, 16 << 20);
  png_set_read_fn(png, &s, take);
  png_read_info(png, info);
  const uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  if ((uint64_t)width * height > max_pixels) {
    snprintf(out->message, sizeof out->message, "it has %u x %u pixels; the limit is %llu megapixels", width, height,
             (unsigned long long)(max_pixels / 1000000));
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
  }
  png_set_expand(png);
  const int is_wide = png_get_bit_depth(png, info) == 16;
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t stride = (size_t)width * 3 * (is_wide ? 2 : 1);
  if (png_get_rowbytes(png, info) != stride) png_error(png, "its pixels cannot be made RGB");
  const uint32_t shorter = width < height ? width : height;
  uint32_t factor = 1;
  const int may_reduce = least_side && !is_wide && png_get_interlace_type(png, info) == PNG_INTERLACE_NONE;
  while (may_reduce && factor < 64 && shorter / (4 * factor) >= least_side) factor *= 2;
  rgb = malloc(stride / factor * (height / factor));
  rows = factor == 1 ? malloc(sizeof(png_bytep) * height) : NULL;
  row = factor > 1 ? malloc(stride) : NULL;
  sums = factor > 1 ? malloc(sizeof *sums * (width / factor) * 3) : NULL;
  const int is_there = rgb && (factor == 1 ? rows != NULL : row && sums);
  failure = is_there ? 1 : CIMAGE_NO_MEMORY;
  if (!is_there) png_error(png, "there is no memory for it");
  if (factor == 1) {
    for (uint32_t y = 0; y < height; y++) rows[y] = rgb + y * stride;
    png_read_image(png, rows);
  } else {
    read_reduced(png, width, height / factor, factor, row, sums, rgb);
    for (uint32_t y = height / factor * factor; y < height; y++) png_read_row(png, row, NULL);
  }
  // The picture is whole: what lacks behind it, such as the end mark, is nobody's loss.
  if (!setjmp(png_jmpbuf(png))) png_read_end(png, info);
  out->message[0] = 0;
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free(rgb);
    free(rows);
    free(row);
    free(sums);
    return CIMAGE_NO_MEMORY;
  }
  if (is_wide) narrow(rgb, stride * height / 2);
  out->orientation = find_orientation(png, info);
  png_destroy_read_struct(&png, &info, NULL);
  free(rows);
  free(row);
  free(sums);
  out->rgb = rgb;
  out->width = width / factor;
  out->height = height / factor;
  return 0;
}

uint32_t cimage_crc32(const uint8_t *data, size_t size) { return (uint32_t)crc32_z(0, data, size); }

int cimage_write_png(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height) {
  png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
  return !png_image_write_to_file(&image, path, 0, rgb, 0, NULL);
}
