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
  volatile int no_memory;
  volatile int ended_early; // the data ended before the image did, as far as can be told
  int is_strict;            // whether a part that is filled up is an error: the end mark is not the file's own
} failure;

static void fail(j_common_ptr info) {
  failure *f = (failure *)info->err;
  f->no_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
  if (f->message) {
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(f->message, 200, "%s", text);
  }
  longjmp(f->back, 1);
}

// Warnings are recoverable damage, except for the end of the data: half an image is not the image.
static void warn(j_common_ptr info, int level) {
  failure *f = (failure *)info->err;
  if (level >= 0) return;
  f->ended_early = f->ended_early || info->err->msg_code == JWRN_JPEG_EOF;
  if (info->err->msg_code == JWRN_JPEG_EOF || (f->is_strict && info->err->msg_code == JWRN_HIT_MARKER)) fail(info);
}

// Encoders write a dozen scans, and a few write a hundred. Each goes over the whole image again, though it may be of no more than ten bytes.
enum { MOST_SCANS = 200 };

static void count_scans(j_common_ptr info) {
  failure *f = (failure *)info->err;
  if (((j_decompress_ptr)info)->input_scan_number <= MOST_SCANS) return;
  snprintf(f->message, 200, "it has more than %d scans", MOST_SCANS);
  longjmp(f->back, 1);
}

// What EXIF says, or else XMP.
static int find_orientation(j_decompress_ptr info) {
  static const char exif[6] = "Exif\0", xmp[29] = "http://ns.adobe.com/xap/1.0/";
  int found = 0;
  for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next) {
    if (m->marker != JPEG_APP0 + 1) continue;
    if (m->data_length > sizeof exif && memcmp(m->data, exif, sizeof exif) == 0) {
      const int said = cimage_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
      if (said) return said;
    } else if (m->data_length > sizeof xmp && memcmp(m->data, xmp, sizeof xmp) == 0 && !found) {
      found = cimage_xmp_orientation(m->data + sizeof xmp, m->data_length - sizeof xmp);
    }
  }
  return found ? found : 1;
}

// One row of inverted CMYK to RGB. Adobe writes it so and every viewer takes it so, whether the file has Adobe's marker or not.
static void cmyk_row(const uint8_t *cmyk, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++)
    for (int c = 0; c < 3; c++) rgb[3 * x + c] = (uint8_t)((cmyk[4 * x + c] * cmyk[4 * x + 3] + 127) / 255);
}

// Whether all scans came, as far as the scans themselves tell it: every coefficient of a progressive image in full, or all
// components in one scan.
static int has_all_scans(const struct jpeg_decompress_struct *info) {
  if (!info->progressive_mode) return info->comps_in_scan == info->num_components;
  for (int c = 0; c < info->num_components; c++)
    for (int i = 0; i < DCTSIZE2; i++)
      if (info->coef_bits[c][i] != 0) return 0;
  return 1;
}

// 0 for an image, 1 for none, 2 for none because the data ended, or CIMAGE_NO_MEMORY.
static int decode(const uint8_t *data, size_t size, uint64_t max_pixels, uint32_t least_side, cimage *out, int is_strict) {
  struct jpeg_decompress_struct info;
  failure f = {.message = out->message, .is_strict = is_strict};
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
    return f.no_memory ? CIMAGE_NO_MEMORY : f.ended_early ? 2 : 1;
  }
  jpeg_create_decompress(&info);
  struct jpeg_progress_mgr progress = {.progress_monitor = count_scans};
  info.progress = &progress;
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if ((uint64_t)info.image_width * info.image_height > max_pixels) {
    snprintf(out->message, sizeof out->message, "it has %u x %u pixels; the limit is %llu megapixels", info.image_width, info.image_height,
             (unsigned long long)(max_pixels / 1000000));
    jpeg_destroy_decompress(&info);
    return 1;
  }
  out->orientation = find_orientation(&info);
  const int cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const uint32_t shorter = info.image_width < info.image_height ? info.image_width : info.image_height;
  while (least_side && info.scale_denom < 8 && shorter / (2 * info.scale_denom) >= least_side) info.scale_denom *= 2;
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
    return CIMAGE_NO_MEMORY;
  }
  while (info.output_scanline < info.output_height) {
    uint8_t *target = rgb + stride * info.output_scanline;
    JSAMPROW line = cmyk ? row : target;
    jpeg_read_scanlines(&info, &line, 1);
    if (cmyk) cmyk_row(row, target, out->width);
  }
  if (is_strict && !has_all_scans(&info)) { longjmp(f.back, 1); }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  free(row);
  out->rgb = rgb;
  return 0;
}

int cimage_decode_jpeg(const uint8_t *data, size_t size, uint64_t max_pixels, uint32_t least_side, cimage *out) {
  const int result = decode(data, size, max_pixels, least_side, out, 0);
  if (result != 2) return result;
  // It may lack nothing but its end mark: with one, every pixel has to be there.
  char message[sizeof out->message];
  memcpy(message, out->message, sizeof message);
  uint8_t *whole = malloc(size + 2);
  if (!whole) return CIMAGE_NO_MEMORY;
  memcpy(whole, data, size);
  whole[size] = 0xff;
  whole[size + 1] = JPEG_EOI;
  const int failed = decode(whole, size + 2, max_pixels, least_side, out, 1);
  free(whole);
  if (failed) memcpy(out->message, message, sizeof message);
  return failed == CIMAGE_NO_MEMORY ? failed : failed != 0;
}

int cimage_jpeg_header(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes, int *orientation) {
  struct jpeg_decompress_struct info;
  failure f = {.message = NULL};
  info.err = jpeg_std_error(&f.base);
  f.base.error_exit = fail;
  f.base.emit_message = warn;
  if (setjmp(f.back)) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  *width = info.image_width;
  *height = info.image_height;
  // What comes in more than one scan is held in coefficients of 16 bits until the last has come.
  *bytes = jpeg_has_multiple_scans(&info) ? 2 * (uint32_t)info.num_components : 0;
  *orientation = find_orientation(&info);
  jpeg_destroy_decompress(&info);
  return 0;
}

void cimage_free(cimage *image) {
  free(image->rgb);
  image->rgb = NULL;
}

// To a file, or where there is none to memory.
static int encode(FILE *file, unsigned char **memory, unsigned long *size, const uint8_t *rgb, uint32_t width, uint32_t height, int quality) {
  struct jpeg_compress_struct info;
  failure f = {.message = NULL};
  info.err = jpeg_std_error(&f.base);
  f.base.error_exit = fail;
  if (setjmp(f.back)) {
    jpeg_destroy_compress(&info);
    return 1;
  }
  jpeg_create_compress(&info);
  if (file)
    jpeg_stdio_dest(&info, file);
  else
    jpeg_mem_dest(&info, memory, size);
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
  return 0;
}

int cimage_write_jpeg(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, int quality) {
  FILE *file = fopen(path, "wb");
  if (!file) return 1;
  const int failed = encode(file, NULL, NULL, rgb, width, height, quality);
  return fclose(file) != 0 || failed;
}

int cimage_encode_jpeg(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **out, size_t *size) {
  unsigned char *memory = NULL;
  unsigned long count = 0;
  const int failed = encode(NULL, &memory, &count, rgb, width, height, quality);
  *out = memory;
  *size = count;
  return failed;
}
