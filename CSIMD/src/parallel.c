// The one parallel loop. Indices are taken from a counter as threads come free: OpenMP's own dynamic schedule calls a
// runtime entry that the libomp of older distributions lacks.
#define _GNU_SOURCE
#include "csimd.h"
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

int csimd_processors(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return CPU_COUNT(&set);
#endif
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

void csimd_parallel_for(size_t count, int threads, void *context, void (*body)(void *context, size_t index)) {
  if (threads <= 1 || count <= 1) {
    for (size_t i = 0; i < count; i++)
      body(context, i);
    return;
  }
  const int team = count < (size_t)threads ? (int)count : threads;
  atomic_size_t next = 0;
#pragma omp parallel num_threads(team)
  for (size_t i; (i = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed)) < count;)
    body(context, i);
}
