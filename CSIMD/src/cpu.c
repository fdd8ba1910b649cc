// What the CPU and the operating system run (cpuid for the instructions, xgetbv for the saved state, on Arm what Linux says), and the best kernels
// for it out of the list.
#include "csimd.h"
#include "kernels/level.h"

static const char *const level_names[] = {
#define CSIMD_LEVEL(name, needs, instructions) #name,
#include "kernels.inc"
};
static const char *const level_instructions[] = {
#define CSIMD_LEVEL(name, needs, instructions) instructions,
#include "kernels.inc"
};
static const char *const operation_names[] = {
#define CSIMD_OPERATION(name) #name,
#include "kernels.inc"
};

const char *csimd_level_name(csimd_level level) { return level_names[level]; }
const char *csimd_level_instructions(csimd_level level) { return level_instructions[level]; }
const char *csimd_operation_name(csimd_operation operation) { return operation_names[operation]; }

// In the words of the list.
enum {
  SSE42 = csimd_feature_SSE42,
  AVX2 = csimd_feature_AVX2,
  AVXVNNI = csimd_feature_AVXVNNI,
  AVX512 = csimd_feature_AVX512,
  AVX512VNNI = csimd_feature_AVX512VNNI,
  AMXINT8 = csimd_feature_AMXINT8,
  CRC32 = csimd_feature_CRC32,
  DOTPROD = csimd_feature_DOTPROD,
  I8MM = csimd_feature_I8MM,
};

static const csimd_row rows[] = {
#define CSIMD_KERNEL(operation, level, needs, rows, columns, packing)                                                                                \
  {csimd_operation_##operation, csimd_level_##level, needs, rows, columns, csimd_packing_##packing},
#include "kernels.inc"
    {csimd_operations, csimd_level_portable, 0, 0, 0, csimd_packing_none},
};

size_t csimd_row_count(void) { return sizeof rows / sizeof *rows - 1; }
csimd_row csimd_row_at(size_t index) { return rows[index]; }

void csimd_choose(csimd_level most, uint32_t features, csimd_kernels *table, csimd_level *chosen) {
  size_t panels[csimd_operations] = {0};
#define CSIMD_KERNEL(operation, level, needs, rows, columns, packing)                                                                                \
  if (csimd_level_##level <= most && !((needs) & ~features)) {                                                                                       \
    table->operation = csimd_##operation##_##level;                                                                                                  \
    panels[csimd_operation_##operation] = columns;                                                                                                   \
    if (chosen) chosen[csimd_operation_##operation] = csimd_level_##level;                                                                           \
  }
#include "kernels.inc"
  if (panels[csimd_operation_pack_s8]) table->panel_s8 = panels[csimd_operation_pack_s8];
  if (panels[csimd_operation_pack_f32]) table->panel_f32 = panels[csimd_operation_pack_f32];
}

int csimd_level_runs(csimd_level level, uint32_t features) {
  if (level == csimd_level_portable) return 1;
  for (size_t i = 0; i < csimd_row_count(); i++)
    if (rows[i].level == level && !(rows[i].needs & ~features)) return 1;
  return 0;
}

// Of xcr0: the configuration of tiles and their data.
static const uint64_t tile_state = 1u << 17 | 1u << 18;

uint32_t csimd_features_of_x86(csimd_x86 x) {
  const uint32_t ssse3 = 1u << 9, sse41 = 1u << 19, sse42 = 1u << 20, avx = 1u << 28, fma = 1u << 12, avx2 = 1u << 5, avxvnni = 1u << 4;
  const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  const uint64_t ymm = 0x6, zmm = 0xe6;
  if ((x.leaf1_ecx & (ssse3 | sse41 | sse42)) != (ssse3 | sse41 | sse42)) return 0;
  if ((x.leaf1_ecx & (avx | fma)) != (avx | fma) || (x.xcr0 & ymm) != ymm || !(x.leaf7_ebx & avx2)) return SSE42;
  const uint32_t narrow = SSE42 | AVX2 | (x.leaf7_1_eax & avxvnni ? AVXVNNI : 0);
  if ((x.xcr0 & zmm) != zmm || (x.leaf7_ebx & (f | dq | bw | vl)) != (f | dq | bw | vl)) return narrow;
  const uint32_t tiles = 1u << 24 | 1u << 25; // AMX-TILE and AMX-INT8
  const int keeps_tiles = (x.xcr0 & tile_state) == tile_state && x.tiles_permitted;
  return narrow | AVX512 | (x.leaf7_ecx & vnni ? AVX512VNNI : 0) | (keeps_tiles && (x.leaf7_edx & tiles) == tiles ? AMXINT8 : 0);
}

uint32_t csimd_features_of_arm(uint64_t hwcap, uint64_t hwcap2) {
  const uint64_t crc32 = 1u << 7, dot_products = 1u << 20, i8mm = 1u << 13;
  return (hwcap & crc32 ? CRC32 : 0) | (hwcap & dot_products ? DOTPROD : 0) | (hwcap2 & i8mm ? I8MM : 0);
}

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

// Linux gives the eight kilobytes of a thread's tiles to those who ask; it takes them when a thread first uses one.
static int tiles_permitted(uint64_t xcr0) {
  const long request_permission = 0x1023, tile_data = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return (xcr0 & tile_state) == tile_state && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#else
static int tiles_permitted(uint64_t xcr0) { return 0; }
#endif

static uint32_t features_now(void) {
  uint32_t a, b, c, d;
  csimd_x86 x = {0};
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  x.leaf1_ecx = c;
  if (c >> 27 & 1) { // osxsave
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    x.xcr0 = (uint64_t)high << 32 | low;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    x.leaf7_ebx = b, x.leaf7_ecx = c, x.leaf7_edx = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) x.leaf7_1_eax = a;
  }
  x.tiles_permitted = tiles_permitted(x.xcr0);
  return csimd_features_of_x86(x);
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static uint32_t features_now(void) { return csimd_features_of_arm(getauxval(AT_HWCAP), getauxval(AT_HWCAP2)); }
#else
static uint32_t features_now(void) { return 0; }
#endif

uint32_t csimd_features(void) {
  static _Atomic uint32_t known;
  const uint32_t read = 1u << 31;
  if (!known) known = features_now() | read;
  return known & ~read;
}
