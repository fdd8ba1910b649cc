#pragma once
#include <stddef.h>
#include <stdint.h>

// Query rows that an attention kernel takes at once.
enum { CSIMD_ATTENTION_ROWS = 6 };

static inline size_t csimd_round16(size_t n) { return (n + 15) / 16 * 16; }

// Groups of `depth` steps of k, panel by panel, with zeros up to `whole` of them.
void csimd_pack_s8(size_t n, size_t k, const int8_t *w, int8_t *out, size_t panel, size_t depth, size_t whole);
void csimd_pack_f32(size_t n, size_t k, const float *w, float *out, size_t panel);
