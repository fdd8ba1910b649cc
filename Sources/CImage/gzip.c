#include "cimage.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int cimage_gzip(const uint8_t *data, size_t size, uint8_t **out, size_t *out_size) {
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  *out = NULL;
  if (size > UINT32_MAX / 2) return 1;
  // 16 more than the largest window: gzip's header and trailer.
  if (deflateInit2(&stream, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 1;
  const size_t room = deflateBound(&stream, (uLong)size);
  uint8_t *bytes = malloc(room);
  if (bytes) {
    stream.next_in = (Bytef *)data;
    stream.avail_in = (uInt)size;
    stream.next_out = bytes;
    stream.avail_out = (uInt)room;
  }
  const int is_done = bytes && deflate(&stream, Z_FINISH) == Z_STREAM_END;
  *out_size = stream.total_out;
  deflateEnd(&stream);
  if (!is_done) {
    free(bytes);
    return 1;
  }
  *out = bytes;
  return 0;
}
