// Which level the CPU and the operating system run: cpuid for the instructions, xgetbv for the saved state; what Linux says of an Arm CPU.
#include "csimd.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

csimd_level csimd_best_level(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return csimd_level_portable;
  const uint32_t ssse3 = 1u << 9, sse41 = 1u << 19, sse42 = 1u << 20;
  if ((c & (ssse3 | sse41 | sse42)) != (ssse3 | sse41 | sse42)) return csimd_level_portable;
  const uint32_t osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12;
  if ((c & (osxsave | avx | fma)) != (osxsave | avx | fma)) return csimd_level_sse42;
  const uint64_t state = enabled_state();
  const uint64_t ymm = 0x6, zmm = 0xe6;
  if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return csimd_level_sse42;
  const uint32_t avx2 = 1u << 5;
  if (!(b & avx2)) return csimd_level_sse42;
  const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  if ((state & zmm) == zmm && (b & (f | dq | bw | vl)) == (f | dq | bw | vl) && (c & vnni)) return csimd_level_avx512vnni;
  uint32_t a1, b1, c1, d1;
  const uint32_t avxvnni = 1u << 4;
  if (a >= 1 && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 & avxvnni)) return csimd_level_avxvnni;
  return csimd_level_avx2;
}

// A CPU with AVX-512 VNNI need not have AVX-VNNI: the levels are not nested there.
static int has_avxvnni(void) {
  uint32_t a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

extern const csimd_kernels csimd_kernels_sse42, csimd_kernels_avx2, csimd_kernels_avxvnni, csimd_kernels_avx512vnni;

const csimd_kernels *csimd_kernels_of(csimd_level level) {
  const csimd_level best = csimd_best_level();
  switch (level) {
  case csimd_level_sse42: return best >= csimd_level_sse42 ? &csimd_kernels_sse42 : NULL;
  case csimd_level_avx2: return best >= csimd_level_avx2 ? &csimd_kernels_avx2 : NULL;
  case csimd_level_avxvnni: return best >= csimd_level_avx2 && has_avxvnni() ? &csimd_kernels_avxvnni : NULL;
  case csimd_level_avx512vnni: return best >= csimd_level_avx512vnni ? &csimd_kernels_avx512vnni : NULL;
  default: return NULL;
  }
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

csimd_level csimd_best_level(void) {
  const unsigned long crc32 = 1ul << 7, dot_products = 1ul << 20, has = getauxval(AT_HWCAP);
  if (!(has & crc32)) return csimd_level_portable;
  return has & dot_products ? csimd_level_neondot : csimd_level_neon;
}

extern const csimd_kernels csimd_kernels_neon, csimd_kernels_neondot;

const csimd_kernels *csimd_kernels_of(csimd_level level) {
  const csimd_level best = csimd_best_level();
  if (level > best) return NULL;
  return level == csimd_level_neon ? &csimd_kernels_neon : level == csimd_level_neondot ? &csimd_kernels_neondot : NULL;
}
#else
csimd_level csimd_best_level(void) { return csimd_level_portable; }
const csimd_kernels *csimd_kernels_of(csimd_level level) { return NULL; }
#endif
