// The one parallel loop, on threads of its own. Whoever calls works along and waits for no thread that has not begun: indices are taken from a
// counter as threads come free. Threads spin for a moment after a loop, as the next layer's comes at once, and then sleep: between queries nothing
// burns. Whoever spins sits where a caller hands it a loop without the lock: a picture has some fifty loops of some ten microseconds. No OpenMP: a
// process holds one runtime of that, and a library inside a program of others cannot know which; nor is it right after fork.
#define _GNU_SOURCE
#include "csimd.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int csimd_processors(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

int csimd_threads_asked(void) {
  int least = 0;
  for (const char **name = (const char *[]){"OMP_NUM_THREADS", "OMP_THREAD_LIMIT", NULL}; *name; name++) {
    const char *text = getenv(*name);
    if (!text || *text < '0' || *text > '9') continue;
    char *end;
    const long asked = strtol(text, &end, 10);
    // A list says how many at each level of nesting; there is one here.
    if ((*end == 0 || *end == ',') && asked >= 1 && asked <= 4096 && (!least || asked < least)) least = (int)asked;
  }
  return least;
}

enum { MOST_THREADS = 4096, SPIN_MICROSECONDS = 200, MOST_RUNS = 32, SLEEPS = 1 << 30 };

// A loop that is being run; it lies on its caller's stack until nobody works on it.
typedef struct loop {
  void (*body)(void *context, size_t index);
  void *context;
  size_t count;
  int runs;
  int wanted; // threads that may still join by the list
  struct loop *below, *above;
  // Threads that joined or were handed the loop and are not done; SLEEPS where the caller sleeps until there are none.
  alignas(64) atomic_int busy;
  atomic_int joined;
  // Of each run what it has taken, a cache line each.
  struct {
    alignas(64) atomic_size_t next;
  } taken[MOST_RUNS];
} loop;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER, went = PTHREAD_COND_INITIALIZER;
static pthread_once_t forks = PTHREAD_ONCE_INIT;
// All under the lock; what spins looks at `open` without it.
static loop *newest;
static atomic_int open; // threads that loops still want
static int asleep;
static atomic_int threads;

// Of each thread the loop that it is handed: `spinning` while it spins and may be, NULL while it works or sleeps. A loop lies there until the thread
// takes it, or its caller, who is done before that, takes it back: nobody waits for a thread that the system has put aside.
static loop spinning;
static struct {
  alignas(64) _Atomic(loop *) seat;
} seats[MOST_THREADS];

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static long long microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

// The indices lie in runs, one a thread: what a thread wrote in one layer it reads in the next, out of its own cache. Whoever is done with its own
// takes from the others'.
static void work(loop *l, int own) {
  for (int k = 0; k < l->runs; k++) {
    const int run = (own + k) % l->runs;
    const size_t end = l->count * (run + 1) / l->runs;
    for (size_t i; (i = l->count * run / l->runs + atomic_fetch_add_explicit(&l->taken[run].next, 1, memory_order_relaxed)) < end;)
      l->body(l->context, i);
  }
}

static void leave(loop *l) {
  if (l->below) l->below->above = l->above;
  if (l->above) l->above->below = l->below;
  if (newest == l) newest = l->below;
  atomic_fetch_sub(&open, l->wanted);
  l->wanted = 0;
}

// With the lock: a place in the loop that came first of those that want one.
static loop *join(void) {
  loop *l = newest;
  while (l && l->below) l = l->below;
  if (!l) return NULL;
  if (l->wanted == 1)
    leave(l);
  else
    l->wanted--, atomic_fetch_sub(&open, 1);
  atomic_fetch_add(&l->busy, 1);
  return l;
}

static void work_along(loop *l) {
  work(l, (atomic_fetch_add_explicit(&l->joined, 1, memory_order_relaxed) + 1) % l->runs);
  // After this the loop may be gone.
  if (atomic_fetch_sub(&l->busy, 1) != (SLEEPS | 1)) return;
  pthread_mutex_lock(&lock);
  pthread_cond_broadcast(&went);
  pthread_mutex_unlock(&lock);
}

// Spins for a moment: the loop that was handed over, or NULL where the list has one or nothing came.
static loop *await(_Atomic(loop *) *seat) {
  atomic_store(seat, &spinning);
  const long long end = microseconds() + SPIN_MICROSECONDS;
  // The clock is read now and then, what is waited for all the time: a layer's loop is as long as some hundred looks at it.
  for (int i = 1; atomic_load_explicit(seat, memory_order_relaxed) == &spinning && atomic_load_explicit(&open, memory_order_relaxed) == 0; i++) {
    if (i % 32 == 0 && microseconds() >= end) break;
    relax();
  }
  loop *handed = atomic_exchange(seat, NULL);
  return handed == &spinning ? NULL : handed;
}

static void *serve(void *seat) {
  for (;;) {
    pthread_mutex_lock(&lock);
    loop *l;
    while (!(l = join())) {
      asleep++;
      pthread_cond_wait(&came, &lock);
      asleep--;
    }
    pthread_mutex_unlock(&lock);
    do work_along(l);
    while ((l = await(seat)));
  }
  return NULL;
}

// Hands the loop to threads that spin, `most` of them at most: how many.
static int hand_over(loop *l, int most) {
  int handed = 0;
  for (int i = 0, n = atomic_load(&threads); i < n && handed < most; i++) {
    loop *expected = &spinning;
    if (atomic_load_explicit(&seats[i].seat, memory_order_relaxed) != expected) continue;
    atomic_fetch_add(&l->busy, 1);
    if (atomic_compare_exchange_strong(&seats[i].seat, &expected, l))
      handed++;
    else
      atomic_fetch_sub(&l->busy, 1);
  }
  return handed;
}

static void take_back(loop *l) {
  for (int i = 0, n = atomic_load(&threads); i < n; i++) {
    loop *expected = l;
    if (atomic_load_explicit(&seats[i].seat, memory_order_relaxed) == l && atomic_compare_exchange_strong(&seats[i].seat, &expected, &spinning))
      atomic_fetch_sub(&l->busy, 1);
  }
}

// A child has one thread, whatever its parent had: it makes its own when it first needs them.
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
  pthread_mutex_init(&lock, NULL);
  pthread_cond_init(&came, NULL);
  pthread_cond_init(&went, NULL);
  newest = NULL, asleep = 0;
  atomic_store(&open, 0);
  for (int i = atomic_exchange(&threads, 0); i > 0; i--) atomic_store(&seats[i - 1].seat, NULL);
}
static void watch_forks(void) { pthread_atfork(before_fork, in_parent, in_child); }

// With the lock: as many threads as there are to be, or as the system gives; a loop does with those that come.
static void make_threads(int wanted) {
  if (threads >= wanted) return;
  pthread_once(&forks, watch_forks);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (pthread_t thread; threads < wanted && pthread_create(&thread, &attributes, serve, &seats[threads].seat) == 0;) atomic_fetch_add(&threads, 1);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

// Puts the loop on the list, for `wanted` threads more.
static void call(loop *l, int helpers, int wanted) {
  pthread_mutex_lock(&lock);
  make_threads(helpers);
  l->wanted = wanted;
  l->below = newest;
  if (newest) newest->above = l;
  newest = l;
  atomic_fetch_add(&open, wanted);
  for (int i = wanted < asleep ? wanted : asleep; i > 0; i--) pthread_cond_signal(&came);
  pthread_mutex_unlock(&lock);
}

// Waits until nobody works on the loop any more.
static void finish(loop *l, bool listed) {
  if (listed) {
    pthread_mutex_lock(&lock);
    if (l->wanted > 0) leave(l);
    pthread_mutex_unlock(&lock);
  }
  const long long end = microseconds() + SPIN_MICROSECONDS;
  for (int i = 1; atomic_load(&l->busy) > 0; i++) {
    if (i % 32 == 0 && microseconds() >= end) break;
    relax();
  }
  if (atomic_load(&l->busy) == 0) return;
  pthread_mutex_lock(&lock);
  atomic_fetch_or(&l->busy, SLEEPS);
  while (atomic_load(&l->busy) != SLEEPS) pthread_cond_wait(&went, &lock);
  pthread_mutex_unlock(&lock);
}

void csimd_parallel_for(size_t count, int team, void *context, void (*body)(void *context, size_t index)) {
  if (team > MOST_THREADS) team = MOST_THREADS;
  const int helpers = (count < (size_t)(team > 1 ? team : 1) ? (int)count : team) - 1;
  if (helpers < 1) {
    for (size_t i = 0; i < count; i++) body(context, i);
    return;
  }
  loop l;
  l.body = body, l.context = context, l.count = count, l.wanted = 0, l.below = l.above = NULL;
  l.runs = helpers + 1 < MOST_RUNS ? helpers + 1 : MOST_RUNS;
  atomic_init(&l.busy, 0), atomic_init(&l.joined, 0);
  for (int run = 0; run < l.runs; run++) atomic_init(&l.taken[run].next, 0);
  const int handed = hand_over(&l, helpers);
  if (handed < helpers) call(&l, helpers, helpers - handed);
  work(&l, 0);
  // Those that are at it are done soon; those that have not come need not.
  if (handed > 0) take_back(&l);
  finish(&l, handed < helpers);
}
