/// Kernels of one instruction-set level, and the parallel loop that drives them.
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

/// Instruction-set levels in order of preference.
typedef enum csimd_level {
  csimd_level_portable = 0,   // not in this library: the twins in Swift SIMD types
  csimd_level_sse42 = 1,      // SSSE3, SSE4.1, SSE4.2
  csimd_level_avx2 = 2,       // AVX2 + FMA
  csimd_level_avxvnni = 3,    // AVX2 + FMA + AVX-VNNI
  csimd_level_avx512vnni = 4, // AVX-512 F, BW, DQ, VL, VNNI
  csimd_level_neon = 5,       // every 64-bit Arm CPU that has CRC32
  csimd_level_neondot = 6,    // and the dot products of Armv8.2
} csimd_level;

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
  const void *w;        // packed by pack_s8 of the same level
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

/// C[m,n] = clamp(round-half-even(scale[n] S[m,n] + bias[n] + residual_scale R[m,n]), 0, 255).
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
  const float *w;    // packed by pack_f32 of the same level
  const float *bias; // f32[n]
  csimd_activation activation;
  const float *residual; // f32[m, ldr], or NULL; may be C itself
  size_t ldr;
  float *c; // f32[m, ldc]
  size_t ldc;
} csimd_gemm_f32_args;

/// Y[y,x,c] = sum_ij X[y s + i, x s + j, c] W[i,j,c] and what follows, over an image whose border is there already.
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

/// The kernels of a level.
typedef struct csimd_kernels {
  /// Rows of W in a packed panel, for both element types.
  size_t panel;

  /// Packs s8 W[n,k] to panels in the level's own order, absent elements zero; the x86 levels use
  /// [ceil(n / panel)][ceil(k / 4)][panel][4]. out: csimd_packed_bytes_s8(n, k, panel) bytes, 64-byte aligned.
  void (*pack_s8)(size_t n, size_t k, const int8_t *w, void *out);
  /// Packs f32 W[n,k] to panels: [ceil(n / panel)][k][panel], absent elements zero.
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
} csimd_kernels;

/// The best level this CPU and operating system run.
csimd_level csimd_best_level(void);

/// The kernels of a level, or NULL where this CPU cannot run it (and for portable).
const csimd_kernels *csimd_kernels_of(csimd_level level);

/// Bytes of a packed s8 matrix for a panel of the given rows.
size_t csimd_packed_bytes_s8(size_t n, size_t k, size_t panel);
size_t csimd_packed_bytes_depthwise(size_t channels, size_t kernel);
/// Floats of scratch for one head: K transposed, V, and one block of scores.
size_t csimd_attention_scratch(size_t tokens, size_t width);

/// Elements of the packed Gram matrix of 1 + n rows, and of a row of the interaction's weights.
size_t csimd_gram_count(size_t n);
size_t csimd_gram_width(size_t n);

/// Reads `count` bytes, a multiple of 64, and returns a sum of them: what bringing them from memory takes at least.
uint64_t csimd_read(const void *bytes, size_t count);

/// Processors that the scheduler lets this process run on, at least 1.
int csimd_processors(void);

/// Threads that OMP_NUM_THREADS and OMP_THREAD_LIMIT ask for, 1 to 4096; 0 where they ask for none.
int csimd_threads_asked(void);

/// body(context, i) for i in 0 ..< count on at most `threads` threads, one after the other as threads come free.
void csimd_parallel_for(size_t count, int threads, void *context, void (*body)(void *context, size_t index));
