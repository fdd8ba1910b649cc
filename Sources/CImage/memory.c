#include "cimage.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

void cimage_return_large_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}
