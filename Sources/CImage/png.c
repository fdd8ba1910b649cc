#include "cimage.h"
#include "exif.h"
#include <jconfig.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
} source;

static void fail(png_structp png, png_const_charp text) {
  source *s = png_get_error_ptr(png);
  if (s)
    snprintf(s->message, 200, "%s", text);
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp text) {}

static void take(png_structp png, png_bytep out, size_t count) {
  source *s = png_get_io_ptr(png);
  if (count > s->left)
    png_error(png, "the file ends before the image does");
  memcpy(out, s->data, count);
  s->data += count;
  s->left -= count;
}

int cimage_decode_png(const uint8_t *data, size_t size, uint64_t max_pixels, cimage *out) {
  memset(out, 0, sizeof *out);
  out->orientation = 1;
  source s = {data, size, out->message};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, fail, ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  uint8_t *volatile rgb = NULL;
  png_bytep *volatile rows = NULL;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free(rgb);
    free(rows);
    return 1;
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
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t stride = (size_t)width * 3;
  if (png_get_rowbytes(png, info) != stride)
    png_error(png, "its pixels cannot be made RGB");
  rgb = malloc(stride * height);
  rows = malloc(sizeof(png_bytep) * height);
  if (!rgb || !rows)
    png_error(png, "there is no memory for it");
  for (uint32_t y = 0; y < height; y++)
    rows[y] = rgb + y * stride;
  png_read_image(png, rows);
  png_read_end(png, info);
  png_bytep exif = NULL;
  png_uint_32 length = 0;
  if (png_get_eXIf_1(png, info, &length, &exif))
    out->orientation = cimage_orientation(exif, length);
  png_destroy_read_struct(&png, &info, NULL);
  free(rows);
  out->rgb = rgb;
  out->width = width;
  out->height = height;
  return 0;
}

int cimage_write_png(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height) {
  png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
  return !png_image_write_to_file(&image, path, 0, rgb, 0, NULL);
}
