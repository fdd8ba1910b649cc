// The instruction of the int8 tile on registers, in as many independent sums as the tile has: what no product can exceed.
// The level defines peak_step(sum, a, b) and i8r, a register of int8, with PEAK_MACS multiply-adds a step.
#pragma once

uint64_t KERNEL(peak_s8)(size_t rounds) {
  enum { SUMS = 12 };
  i8r sums[SUMS], a = peak_splat(3), b = peak_splat(5);
  for (size_t s = 0; s < SUMS; s++) sums[s] = peak_splat((int8_t)s);
  for (size_t i = 0; i < rounds; i++) {
#pragma clang loop unroll(full)
    for (size_t s = 0; s < SUMS; s++) {
      sums[s] = peak_step(sums[s], a, b);
      // Keeps the product from being computed once for all sums.
      TOUCH(a);
      TOUCH(b);
    }
  }
#pragma clang loop unroll(full)
  for (size_t s = 0; s < SUMS; s++) TOUCH(sums[s]);
  return (uint64_t)rounds * SUMS * PEAK_MACS;
}

// Loads in as many independent chains as hide what follows them.
float KERNEL(peak_read)(const void *bytes, size_t count) {
  enum { CHAINS = TILE_ROWS(peak_read) };
  f32x16 most[CHAINS];
  const float *p = bytes;
#pragma clang loop unroll(full)
  for (size_t c = 0; c < CHAINS; c++) most[c] = load(p);
  for (const float *end = p + count / sizeof(float); p < end; p += 16 * CHAINS) {
#pragma clang loop unroll(full)
    for (size_t c = 0; c < CHAINS; c++) most[c] = larger(most[c], load(p + 16 * c));
  }
  return max_of(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}
