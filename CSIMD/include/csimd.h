/// Kernels of every instruction-set level, and the parallel loop that drives them.
///
/// The library knows nothing of models or files. No kernel allocates, locks, logs or reports an error: the caller has
/// checked every shape. Matrices are row-major with a leading dimension in elements; images are [height, width, channels].
/// Names: m rows, n outputs, k depth. Element types: f32; s8 (quantised weight or code in [-127, 127]); u8 (quantised
/// activation, value = scale * (q - zero)).
///
/// Integer sums are exact, and every kernel but gemm_f32 and depthwise_f32 (which fuse multiply and add) gives the same
/// bits on every level: sums over a row go to 16 lanes (element i to lane i % 16) and are folded in a fixed order;
/// everything else is a multiplication and then an addition.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// What a CPU may have beyond its platform's baseline, as far as the operating system keeps the registers.
typedef enum csimd_feature {
  csimd_feature_SSE42 = 1 << 0,      // SSSE3, SSE4.1 and SSE4.2
  csimd_feature_AVX2 = 1 << 1,       // AVX2 and FMA
  csimd_feature_AVXVNNI = 1 << 2,    // the VEX form of the dot products
  csimd_feature_AVX512 = 1 << 3,     // F, BW, DQ and VL, and AVX2 and FMA
  csimd_feature_AVX512VNNI = 1 << 4, // the dot products of AVX-512
  csimd_feature_AMXINT8 = 1 << 5,    // tiles of int8, which Linux keeps for this process
  csimd_feature_CRC32 = 1 << 8,
  csimd_feature_DOTPROD = 1 << 9,
  csimd_feature_I8MM = 1 << 10,
} csimd_feature;

/// Levels in order of preference; `portable` is not in this library: the twins in Swift SIMD types.
typedef enum csimd_level {
#define CSIMD_LEVEL(name, needs, instructions) csimd_level_##name,
#include "kernels.inc"
  csimd_levels,
} csimd_level;

/// The operations of csimd_kernels, which has them as fields of these names.
typedef enum csimd_operation {
#define CSIMD_OPERATION(name) csimd_operation_##name,
#include "kernels.inc"
  csimd_operations,
} csimd_operation;

/// How weights lie in a panel; absent elements are zero.
typedef enum csimd_packing {
  csimd_packing_none = 0,
  csimd_packing_s8_by_2 = 6,  // [ceil(n / panel)][ceil(k / 4)][2][panel][2]
  csimd_packing_s8_by_4 = 1,  // [ceil(n / panel)][ceil(k / 4)][panel][4]
  csimd_packing_s8_by_8 = 2,  // [ceil(n / panel)][ceil(k / 8)][panel][8]
  csimd_packing_f32 = 3,      // [ceil(n / panel)][k][panel]
  csimd_packing_taps_u8 = 4,  // [kernel columns][2][groups of four rows][channels][4], see src/kernels/depthwise.h
  csimd_packing_taps_i16 = 5, // the same, pairs of rows in i16
} csimd_packing;

typedef enum csimd_activation {
  csimd_activation_none = 0,
  csimd_activation_gelu = 1,      // x Phi(x)
  csimd_activation_relu6 = 2,     // min(max(x, 0), 6)
  csimd_activation_quickgelu = 3, // x / (1 + exp(-1.702 x))
} csimd_activation;

/// S[m,n] = sum_k (A[m,k] - a_zero) W[n,k], exact in int32 for k <= 65536.
typedef struct csimd_product_u8 {
  size_t m, n, k;
  const uint8_t *a; // u8[m, lda], lda >= k rounded up to 4; what lies past k is read and multiplied by zero
  size_t lda;
  int32_t a_zero;
  const void *w;        // packed by pack_s8 of the same table
  const int32_t *w_sum; // i32[n rounded up to the panel], sum_k W[n,k]
} csimd_product_u8;

/// C[m,n] = act(a_scale[m] scale[n] S[m,n] + bias[n]) + residual[m,n].
typedef struct csimd_gemm_u8_f32_args {
  csimd_product_u8 product;
  const float *a_scale; // f32[m], or NULL for ones
  const float *scale;   // f32[n]
  const float *bias;    // f32[n]
  csimd_activation activation;
  const float *residual; // f32[m, ldr], or NULL; may be C itself
  size_t ldr;
  float *c; // f32[m, ldc]
  size_t ldc;
} csimd_gemm_u8_f32_args;

/// C[m,n] = clamp(round-half-even(scale[n] S[m,n] + bias[n] + residual_scale R[m,n]), 0, 255), of which what is clamped lies within i32.
/// The caller folds the output's scale and zero into scale, bias and residual_scale: ReLU6 is then the clamp itself.
typedef struct csimd_gemm_u8_u8_args {
  csimd_product_u8 product;
  const float *scale, *bias; // f32[n]
  const uint8_t *residual;   // u8[m, n], or NULL
  float residual_scale;
  uint8_t *c;
  const uint32_t *c_row; // u32[m], where each row starts in c, or NULL for rows of n
} csimd_gemm_u8_u8_args;

/// C[m,n] = act(sum_k A[m,k] W[n,k] + bias[n]) + residual[m,n].
typedef struct csimd_gemm_f32_args {
  size_t m, n, k;
  const float *a; // f32[m, lda]
  size_t lda;
  const float *w;    // packed by pack_f32 of the same table
  const float *bias; // f32[n]
  csimd_activation activation;
  const float *residual; // f32[m, ldr], or NULL; may be C itself
  size_t ldr;
  float *c; // f32[m, ldc]
  size_t ldc;
} csimd_gemm_f32_args;

/// Y[y,x,c] = sum_ij X[y s + i, x s + j, c] W[i,j,c] and what follows, over an image whose border is there already; of u8 within i32, as above.
typedef struct csimd_depthwise_args {
  size_t height, width, channels; // of the output
  size_t kernel, stride;          // kernel 3 or 5, stride 1 or 2
  const void *x;                  // u8 or f32, first element of the border
  size_t row;                     // elements from one row of x to the next
  const void *w;                  // packed by pack_depthwise, or f32 [kernel, kernel, channels rounded up to 16]
  const float *scale, *bias;      // f32[channels]; scale for u8 only
  void *y;                        // u8 or f32 [height, width, channels]
} csimd_depthwise_args;

/// O[i,:] = sum_j softmax_j(scale <Q_i, K_j>) V_j for one head of one sequence.
typedef struct csimd_attention_f32_args {
  size_t tokens, width;   // width of the head
  const float *q, *k, *v; // f32[tokens, ld], usually three columns of one matrix
  size_t ld;
  float scale;
  int causal; // 1: token i attends to 0...i alone
  float *o;   // f32[tokens, ldo]
  size_t ldo;
  float *scratch; // f32, csimd_attention_scratch(tokens, width), 64-byte aligned
} csimd_attention_f32_args;

/// out[j,i] = (b_scale[j] a_scale[i]) sum_l A[i,l] B[j,l], the sum exact in int32 for d <= 65536.
typedef struct csimd_dots_s8_args {
  size_t n, m, d;
  const int8_t *a;      // s8[n, d]
  const float *a_scale; // f32[n]
  const int8_t *b;      // s8[m, d]
  const float *b_scale; // f32[m]
  float *out;           // f32[m, ldo]
  size_t ldo;
  const void *ahead; // ahead_size bytes that will be wanted next, brought nearer while A is read; or NULL
  size_t ahead_size;
} csimd_dots_s8_args;

/// One image against guides, in dot products; see interaction in csimd_kernels. The Gram matrix G of the image's rows, g and then
/// its n patches, comes in columns of 16: for c = 0, 16, ... n the elements G[r, c ..< c + 16] of the rows r = c ..< c + 16 that
/// there are, then those of r = 0 ..< c; zero past column n. csimd_gram_count(n) elements in all.
typedef struct csimd_interaction_args {
  size_t n, guides; // patches, guides
  const float *a;   // f32[guides, lda], <p_j, t_m>
  size_t lda;
  const uint8_t *gram; // <,> = least + step * code; or NULL, where the matrix is gram_f32
  float least, step;
  const float *gram_f32;
  float gg;          // <g, g>, which codes would only round
  const float *gt;   // f32[guides], <g, t_m>
  float tau, beta;   // tau > 0, beta in 0...1
  float *weights;    // f32[guides, csimd_gram_width(n)], out: 0, the attention of the guide to each patch, zeros
  float *fine;       // f32[guides], out
  const void *ahead; // ahead_size bytes that will be wanted next, brought nearer while G is read; or NULL
  size_t ahead_size;
} csimd_interaction_args;

/// The kernels that a CPU runs, each the best that it can.
typedef struct csimd_kernels {
  /// Rows of W in a packed panel, of s8 and of f32.
  size_t panel_s8, panel_f32;

  /// Packs s8 W[n,k] to panels, as the kernel's packing has them. out: csimd_packed_bytes_s8(n, k, panel_s8) bytes, 64-byte aligned.
  void (*pack_s8)(size_t n, size_t k, const int8_t *w, void *out);
  /// Packs f32 W[n,k] to panels of panel_f32 rows.
  void (*pack_f32)(size_t n, size_t k, const float *w, float *out);

  /// W s8[channels, kernel, kernel] into what depthwise_u8 reads. out: csimd_packed_bytes_depthwise(channels, kernel) bytes,
  /// 64-byte aligned.
  void (*pack_depthwise)(size_t channels, size_t kernel, const int8_t *w, void *out);

  /// Outputs of the panels first_panel ..< end_panel.
  void (*gemm_u8_f32)(const csimd_gemm_u8_f32_args *args, size_t first_panel, size_t end_panel);
  void (*gemm_u8_u8)(const csimd_gemm_u8_u8_args *args, size_t first_panel, size_t end_panel);
  void (*gemm_f32)(const csimd_gemm_f32_args *args, size_t first_panel, size_t end_panel);

  /// Output rows first ..< end. u8: Y = clamp(round-half-even(scale[c] S + bias[c]), 0, 255). f32: Y = relu6(S + bias[c]).
  void (*depthwise_u8)(const csimd_depthwise_args *args, size_t first, size_t end);
  void (*depthwise_f32)(const csimd_depthwise_args *args, size_t first, size_t end);

  /// V = X[i,j] * column[j], or X where column is NULL. scale[i] = max_j |V[i,j]| / 127;
  /// Q[i,j] = round-half-even(V[i,j] * (127 / max)) xor flip; a zero row has scale 0.
  /// column: f32[k]; q: [m, ldq], s8 for flip 0, u8 with zero 128 for flip 0x80.
  void (*quantize_rows)(size_t m, size_t k, const float *x, size_t ldx, const float *column, void *q, size_t ldq, uint8_t flip, float *scale);
  /// Y[i,:] = (X[i,:] - mean_i) / sqrt(var_i + eps) * weight + bias; y may be x.
  void (*layernorm)(size_t m, size_t k, const float *x, const float *weight, const float *bias, float eps, float *y);
  /// X[i,:] /= max(|X[i,:]|, 1e-12), in place.
  void (*l2normalize)(size_t m, size_t k, float *x);

  void (*attention)(const csimd_attention_f32_args *args);

  void (*dots_s8)(const csimd_dots_s8_args *args);
  /// out[j,i] = sum_l A[i,l] B[j,l].
  void (*dots_f32)(size_t n, const float *a, size_t m, const float *b, size_t d, float *out, size_t ldo);

  /// The balanced text-guided interaction (this project's reading of arXiv 2604.20429). For every guide t:
  /// w = softmax(a / tau); v = sum_j w_j p_j; u = (1 - beta) g + beta v / |v|; fine = <u / |u|, t>.
  /// No vector is formed: <v, t> = sum_j w_j a_j, |v|^2 = w^T G w, <g, v> = sum_j w_j <g, p_j>.
  void (*interaction)(const csimd_interaction_args *args);
  /// out[i] = max_j X[i,j]; n at least 1.
  void (*row_max)(size_t m, size_t n, const float *x, size_t ldx, float *out);

  /// CRC-32C (Castagnoli) of bytes that follow those of `crc`, 0 before the first.
  uint32_t (*crc32c)(uint32_t crc, const void *bytes, size_t count);

  /// The int8 ceiling of a core: the multiply-adds of `rounds` rounds on registers alone, of which it returns the number.
  /// NULL for portable.
  uint64_t (*peak_s8)(size_t rounds);
  /// The ceiling of reading: the largest of f32[count / 4], count a multiple of 256 bytes and not 0.
  float (*peak_read)(const void *bytes, size_t count);
} csimd_kernels;

/// A row of the list: a kernel of a level.
typedef struct csimd_row {
  csimd_operation operation;
  csimd_level level;
  uint32_t needs;       // csimd_feature
  size_t rows, columns; // of its tile
  csimd_packing packing;
} csimd_row;

/// The kernels that are compiled in, in the order of the list.
size_t csimd_row_count(void);
csimd_row csimd_row_at(size_t index);

const char *csimd_level_name(csimd_level level);
/// The instructions that a level is named for.
const char *csimd_level_instructions(csimd_level level);
const char *csimd_operation_name(csimd_operation operation);

/// The features of this CPU under this operating system; read once.
uint32_t csimd_features(void);

/// What cpuid and xgetbv say on x86: leaf 1 ecx, leaf 7 ebx, ecx and edx, leaf 7.1 eax (zero where a leaf is absent), xcr0 (zero without osxsave);
/// and whether Linux lets this process use tiles.
typedef struct csimd_x86 {
  uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_edx, leaf7_1_eax;
  uint64_t xcr0;
  int tiles_permitted;
} csimd_x86;
uint32_t csimd_features_of_x86(csimd_x86 says);
/// What Linux says on Arm: AT_HWCAP and AT_HWCAP2.
uint32_t csimd_features_of_arm(uint64_t hwcap, uint64_t hwcap2);

/// Puts into `table`, operation by operation, the best kernel up to level `most` that needs no other features; what it finds none for stays as it is.
/// chosen: [csimd_operations], the level that each was taken from, written where one was; or NULL.
void csimd_choose(csimd_level most, uint32_t features, csimd_kernels *table, csimd_level *chosen);

/// Whether a CPU of these features runs kernels that this level is the name of; portable: always.
int csimd_level_runs(csimd_level level, uint32_t features);

/// Bytes of a packed s8 matrix for a panel of the given rows.
size_t csimd_packed_bytes_s8(size_t n, size_t k, size_t panel);
size_t csimd_packed_bytes_depthwise(size_t channels, size_t kernel);
/// Floats of scratch for one head: K transposed, V, and one block of scores.
size_t csimd_attention_scratch(size_t tokens, size_t width);

/// Elements of the packed Gram matrix of 1 + n rows, and of a row of the interaction's weights.
size_t csimd_gram_count(size_t n);
size_t csimd_gram_width(size_t n);

/// Processors that the scheduler lets this process run on, at least 1.
int csimd_processors(void);

/// Threads that OMP_NUM_THREADS and OMP_THREAD_LIMIT ask for, 1 to 4096; 0 where they ask for none.
int csimd_threads_asked(void);

/// body(context, i) for i in 0 ..< count on at most `threads` threads, one after the other as threads come free.
void csimd_parallel_for(size_t count, int threads, void *context, void (*body)(void *context, size_t index));
