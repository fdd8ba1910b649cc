// What the Arm levels have in common around dot4(sum, a, b): sum plus four products of s8 a lane. Tile 4 x 16: 16 accumulators, 4 columns and the
// broadcast of 32 registers. Activations become a - 128; (128 - a_zero) times the weights' sums puts the offset right.
#pragma once

enum { ROW_OFFSET = 0 };
static inline i8v row_side(i8v v) { return v; }
static inline i8v accumulate(i8v sum, i8v row, i8v s) { return vreinterpretq_s8_s32(dot4(as_i32(sum), row, s)); }

static inline __attribute__((always_inline)) void tile_u8(size_t rows, size_t vectors, const csimd_product_u8 *x, const uint8_t *a,
                                                          const int32_t *start, const int8_t *w, const char *ahead, f32x16 out[][VECTORS]) {
  i32x16 acc[ROWS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) acc[r] = load_i32(start);
  for (size_t k = 0; k < x->k; k += 4, w += 64) {
    __builtin_prefetch(ahead + 16 * k, 0, 2);
    int8x16_t columns[4];
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) columns[i] = vld1q_s8(w + 16 * i);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + r * x->lda + k, 4);
      const int8x16_t one = vreinterpretq_s8_s32(vdupq_n_s32(four ^ (int32_t)0x80808080));
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) acc[r].v[i] = dot4(acc[r].v[i], one, columns[i]);
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) out[r][0] = to_f32(acc[r]);
}

enum { MOST_ROWS = ROWS, A_OFFSET = 128, SHALLOW_ROWS = 1, SHALLOW_K = 0 };
static inline size_t rows_of(size_t vectors) { return ROWS; }
static inline void store_panel(uint8_t *p, const f32x16 *q, size_t vectors) { store_u8(p, q[0]); }

enum { PEAK_MACS = 16 };
typedef int8x16_t i8r;
static inline i8r peak_splat(int8_t x) { return vdupq_n_s8(x); }
static inline i8r peak_step(i8r sum, i8r a, i8r b) { return accumulate(sum, a, b); }
