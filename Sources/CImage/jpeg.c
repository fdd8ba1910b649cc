#include "cimage.h"
#include "exif.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

typedef struct failure {
  struct jpeg_error_mgr base;
  jmp_buf back;
  char *message; // 200 bytes, or NULL
} failure;

static void fail(j_common_ptr info) {
  failure *f = (failure *)info->err;
  if (f->message) {
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(f->message, 200, "%s", text);
  }
  longjmp(f->back, 1);
}

// Warnings are recoverable damage, except for the end of the data: half an image is not the image.
static void warn(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF)
    fail(info);
}

static void find_orientation(j_decompress_ptr info, cimage *out) {
  for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && memcmp(m->data, "Exif\0\0", 6) == 0) {
      out->orientation = cimage_orientation(m->data + 6, m->data_length - 6);
      return;
    }
}

// One row of inverted CMYK, as Adobe writes it (or plain CMYK), to RGB.
static void cmyk_row(const uint8_t *cmyk, uint8_t *rgb, uint32_t width, int inverted) {
  for (uint32_t x = 0; x < width; x++)
    for (int c = 0; c < 3; c++) {
      const unsigned ink = inverted ? cmyk[4 * x + c] : 255u - cmyk[4 * x + c];
      const unsigned black = inverted ? cmyk[4 * x + 3] : 255u - cmyk[4 * x + 3];
      rgb[3 * x + c] = (uint8_t)((ink * black + 127) / 255);
    }
}

int cimage_decode_jpeg(const uint8_t *data, size_t size, uint64_t max_pixels, cimage *out) {
  struct jpeg_decompress_struct info;
  failure f = {.message = out->message};
  uint8_t *volatile rgb = NULL, *volatile row = NULL;
  memset(out, 0, sizeof *out);
  out->orientation = 1;
  info.err = jpeg_std_error(&f.base);
  f.base.error_exit = fail;
  f.base.emit_message = warn;
  if (setjmp(f.back)) {
    jpeg_destroy_decompress(&info);
    free(rgb);
    free(row);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if ((uint64_t)info.image_width * info.image_height > max_pixels) {
    snprintf(out->message, sizeof out->message, "it has %u x %u pixels; the limit is %llu megapixels", info.image_width,
             info.image_height, (unsigned long long)(max_pixels / 1000000));
    jpeg_destroy_decompress(&info);
    return 1;
  }
  find_orientation(&info, out);
  const int cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  out->width = info.output_width;
  out->height = info.output_height;
  const size_t stride = (size_t)out->width * 3;
  rgb = malloc(stride * out->height);
  row = cmyk ? malloc((size_t)out->width * 4) : NULL;
  if (!rgb || (cmyk && !row)) {
    snprintf(out->message, sizeof out->message, "there is no memory for it");
    jpeg_destroy_decompress(&info);
    free(rgb);
    free(row);
    return 1;
  }
  while (info.output_scanline < info.output_height) {
    uint8_t *target = rgb + stride * info.output_scanline;
    JSAMPROW line = cmyk ? row : target;
    jpeg_read_scanlines(&info, &line, 1);
    if (cmyk)
      cmyk_row(row, target, out->width, info.saw_Adobe_marker);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  free(row);
  out->rgb = rgb;
  return 0;
}

void cimage_free(cimage *image) {
  free(image->rgb);
  image->rgb = NULL;
}

int cimage_write_jpeg(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, int quality) {
  FILE *file = fopen(path, "wb");
  if (!file)
    return 1;
  struct jpeg_compress_struct info;
  failure f = {.message = NULL};
  info.err = jpeg_std_error(&f.base);
  f.base.error_exit = fail;
  if (setjmp(f.back)) {
    jpeg_destroy_compress(&info);
    fclose(file);
    return 1;
  }
  jpeg_create_compress(&info);
  jpeg_stdio_dest(&info, file);
  info.image_width = width;
  info.image_height = height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < height) {
    JSAMPROW line = (JSAMPROW)(rgb + (size_t)info.next_scanline * width * 3);
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return fclose(file) != 0;
}
