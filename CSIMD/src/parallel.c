// The one parallel loop. Indices are taken from a counter as threads come free: OpenMP's own dynamic schedule calls a
// runtime entry that the libomp of older distributions lacks.
#define _GNU_SOURCE
#include "csimd.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int csimd_processors(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

// The number that a text is, with K, M or G as libomp takes it (kilobytes without a letter, where `unit` is 1024); -1 for any other.
static double number(const char *text, double unit) {
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *text == '+' || *text == '-') return -1;
  switch (*end) {
  case 'b':
  case 'B': end++, unit = 1; break;
  case 'k':
  case 'K': end++, unit = 1024; break;
  case 'm':
  case 'M': end++, unit = 1048576; break;
  case 'g':
  case 'G': end++, unit = 1073741824; break;
  }
  return *end == 0 || *end == ',' ? value * unit : -1;
}

int csimd_threads_asked(void) {
  int least = 0;
  for (const char **name = (const char *[]){"OMP_NUM_THREADS", "OMP_THREAD_LIMIT", NULL}; *name; name++) {
    const char *text = getenv(*name);
    const double asked = text ? number(text, 1) : 0;
    if (asked >= 1 && asked <= 4096 && (!least || asked < least)) least = (int)asked;
  }
  return least;
}

// libomp aborts or hangs on some values of its variables: what is no sensible value is as good as not there. Before main, while there is
// one thread, and before libomp looks.
__attribute__((constructor)) static void clear_bad_variables(void) {
  static const struct {
    const char *name;
    double unit, least, most;
  } known[] = {
      {"OMP_NUM_THREADS", 1, 1, 4096},          {"OMP_THREAD_LIMIT", 1, 1, 65536},          {"KMP_ALL_THREADS", 1, 1, 65536},
      {"KMP_DEVICE_THREAD_LIMIT", 1, 1, 65536}, {"KMP_TEAMS_THREAD_LIMIT", 1, 1, 65536},    {"OMP_STACKSIZE", 1024, 1 << 18, 1 << 28},
      {"KMP_STACKSIZE", 1, 1 << 18, 1 << 28},   {"GOMP_STACKSIZE", 1024, 1 << 18, 1 << 28},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const char *text = getenv(known[i].name);
    const double value = text ? number(text, known[i].unit) : 0;
    if (text && !(value >= known[i].least && value <= known[i].most)) unsetenv(known[i].name);
  }
}

typedef struct gate {
  pthread_mutex_t lock;
  pthread_cond_t opened;
  int is_open;
} gate;

static void *wait_at(void *pointer) {
  gate *g = pointer;
  pthread_mutex_lock(&g->lock);
  while (!g->is_open) pthread_cond_wait(&g->opened, &g->lock);
  pthread_mutex_unlock(&g->lock);
  return NULL;
}

// Threads for which a limit of the address space has room: libomp hangs where memory ends while it makes them.
static int room_for_threads(void) {
  const double each = 96 << 20, rest = 256 << 20;
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 4096;
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file) {
    if (fscanf(file, "%ld", &pages) != 1) pages = 0;
    fclose(file);
  }
  const double left = (double)limit.rlim_cur - (double)pages * (double)sysconf(_SC_PAGESIZE) - rest;
  return left < each ? 0 : left / each > 4096 ? 4096 : (int)(left / each);
}

// How many threads the system gives beside this one, at most `wanted`: libomp aborts where it gets fewer than it asks for.
static int spare_threads(int wanted) {
  const int room = room_for_threads();
  wanted = wanted < room ? wanted : room;
  if (wanted <= 0) return 0;
  gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
  pthread_t *threads = malloc(sizeof *threads * (size_t)wanted);
  pthread_attr_t attributes;
  if (!threads || pthread_attr_init(&attributes) != 0) return 0;
  // What libomp gives a thread, and what the memory that it first takes reserves.
  pthread_attr_setstacksize(&attributes, 16 << 20);
  int count = 0;
  while (count < wanted && pthread_create(&threads[count], &attributes, wait_at, &g) == 0) count++;
  pthread_mutex_lock(&g.lock);
  g.is_open = 1;
  pthread_cond_broadcast(&g.opened);
  pthread_mutex_unlock(&g.lock);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  pthread_attr_destroy(&attributes);
  free(threads);
  return count;
}

// The largest team that was asked for and the largest that there is; both grow only.
static int wanted_team = 1, granted_team = 1;
static pthread_mutex_t teams = PTHREAD_MUTEX_INITIALIZER;

static int granted(int team) {
  pthread_mutex_lock(&teams);
  if (team > wanted_team) {
    const int spare = spare_threads(team - 1) + 1;
    granted_team = spare > granted_team ? spare : granted_team;
    wanted_team = team;
  }
  const int result = team < granted_team ? team : granted_team;
  pthread_mutex_unlock(&teams);
  return result;
}

// The thread sanitizer does not see that libomp's threads begin after what their caller did and end before it goes on.
#if defined(__has_feature) && __has_feature(thread_sanitizer)
void __tsan_acquire(void *);
void __tsan_release(void *);
#define COMES_AFTER(place) __tsan_acquire(place)
#define COMES_BEFORE(place) __tsan_release(place)
#else
#define COMES_AFTER(place) ((void)0)
#define COMES_BEFORE(place) ((void)0)
#endif

// libomp's own: milliseconds that a team of this thread spins for more work before it sleeps, 200 of its own accord. In any unit that is far more
// than a query takes, and it burns a core after each.
extern void kmp_set_blocktime(int milliseconds);
enum { SPIN_MILLISECONDS = 1 };

void csimd_parallel_for(size_t count, int threads, void *context, void (*body)(void *context, size_t index)) {
  const int asked = threads <= 1 || count <= 1 ? 1 : count < (size_t)threads ? (int)count : threads;
  const int team = asked > 1 ? granted(asked) : 1;
  if (team <= 1) {
    for (size_t i = 0; i < count; i++) body(context, i);
    return;
  }
  kmp_set_blocktime(SPIN_MILLISECONDS);
  atomic_size_t next = 0;
  COMES_BEFORE(&next);
#pragma omp parallel num_threads(team)
  {
    COMES_AFTER(&next);
    for (size_t i; (i = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed)) < count;) body(context, i);
    COMES_BEFORE(&next);
  }
  COMES_AFTER(&next);
}
