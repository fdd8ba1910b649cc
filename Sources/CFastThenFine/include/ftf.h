// FastThenFine from C: finds overhead images by a sentence, a picture or a vector, and says where in them.
//
//   ftf_index *index;
//   ftf_answer *answer;
//   if (ftf_index_open("archive.ftfindex", NULL, &index) != FTF_OK ||
//       ftf_search_text(index, "a bridge over a river", 10, &answer) != FTF_OK) {
//     fprintf(stderr, "%s\n", ftf_error());
//     return 1;
//   }
//   for (size_t i = 0; i < ftf_answer_count(answer); i++) puts(ftf_answer_at(answer, i)->path);
//
// Every function may be called from any number of threads at once, on the same handles too; only closing is the last. Matrices are row-major and
// dense. Texts are UTF-8; paths are the system's bytes. What a function returns through `out` is the caller's, to be closed or freed by the
// function of that name; nothing is written there where it fails. What a parent opened fails in its child after fork, which opens its own.
#ifndef FTF_H
#define FTF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The interface of this header. A later version adds functions, and members at the end of structures that begin with their size; where something
/// goes or comes to mean another thing, this number grows, and so does that of the library's name.
#define FTF_ABI 1
int ftf_abi(void);
/// The library's version, such as "0.2.0".
const char *ftf_version(void);

typedef enum ftf_status {
  FTF_OK = 0,
  FTF_BAD_INPUT = 1,         // a filter, level, option or other input that says nothing
  FTF_UNUSABLE_MODEL = 2,    // cannot be read, or is not what was written
  FTF_NOT_AN_INDEX = 3,      // there is none at the path
  FTF_UNUSABLE_INDEX = 4,    // a part is not what was written, or a later version made it
  FTF_OTHER_MODEL = 5,       // another one built the index
  FTF_LOCKED = 6,            // another process is writing the index
  FTF_UNUSABLE_FILE = 7,     // cannot be read or written
  FTF_UNKNOWN_ATTRIBUTE = 8, // nothing in the index has what a filter names
  FTF_CANCELLED = 9,         // the caller gave up
  FTF_DEADLINE = 10          // its time was up
} ftf_status;

/// Such as "bad_input".
const char *ftf_status_name(ftf_status status);
/// Why the last call of this thread that failed did: a line that names the file and the way out. Until the thread's next call that fails.
const char *ftf_error(void);

// ---- Models

typedef struct ftf_model ftf_model;

/// Opens a model file. threads: that compute, shared by all calls; 0 for all cores that the process may use. level: an instruction set by name,
/// such as "avx2"; NULL for the best that the CPU has. path: NULL for the default model, which lies beside the library or where FTF_MODEL says.
ftf_status ftf_model_open(const char *path, const char *level, int threads, ftf_model **out);
/// NULL is none.
void ftf_model_close(ftf_model *model);

typedef struct ftf_model_facts {
  const char *name, *path, *level; // as long as the model is open
  size_t dimension;                // of every vector
  size_t grid;                     // a picture has grid x grid patches, row by row
  size_t patches;                  // grid * grid
  size_t words;                    // the most tokens of a sentence
  size_t threads;
} ftf_model_facts;
ftf_model_facts ftf_model_describe(const ftf_model *model);

/// A picture: the first of these that is not NULL.
typedef struct ftf_picture {
  const char *path;      // of a file: JPEG, PNG, and what GDAL reads where it is installed
  const void *encoded;   // the bytes of such a file
  const uint8_t *pixels; // u8[height, width, 3], red, green, blue
  size_t bytes;          // of `encoded`
  size_t width, height;  // of `pixels`
} ftf_picture;

/// Is told of each picture that could not be encoded, one at a time, in the calling thread.
typedef void (*ftf_failed)(void *context, size_t index, ftf_status status, const char *message);

/// Vectors of pictures, as many at once as there are threads. vectors: f32[count, dimension], unit norm; patches: f32[count, patches, dimension],
/// or NULL. views: 1, 2, 4 or 8 symmetries of each picture, whose vectors are averaged. failed: is told of what cannot be read, whose rows are 0;
/// NULL makes the first of them the call's failure.
ftf_status ftf_encode_pictures(const ftf_model *model, const ftf_picture *pictures, size_t count, int views, float *vectors, float *patches,
                               ftf_failed failed, void *context);

/// Vectors of sentences, cut to the model's context. vectors: f32[count, dimension], unit norm; words: f32[count, words, dimension], or NULL: what is
/// behind a sentence's last token is 0. tokens: [count], how many each has, or NULL.
ftf_status ftf_encode_texts(const ftf_model *model, const char *const *texts, size_t count, float *vectors, float *words, size_t *tokens);

// ---- Searching

typedef struct ftf_index ftf_index;
typedef struct ftf_answer ftf_answer;

/// Opens an index, as it is now. model: that built it, which may be closed before the index is; NULL opens it from where it lies.
ftf_status ftf_index_open(const char *path, const ftf_model *model, ftf_index **out);
void ftf_index_close(ftf_index *index);
/// Takes over what has been written since it was opened. changed: whether anything was; or NULL.
ftf_status ftf_index_refresh(ftf_index *index, int *changed);

typedef struct ftf_index_facts {
  const char *path, *model_name, *model_path; // as long as the index is open
  size_t images;                              // pictures, and windows of scenes
  size_t dimension;
  size_t grid;     // of the attention of a result
  int has_patches; // whether there is anything to rerank by
  int is_stale;    // whether it has been written since it was opened or refreshed
} ftf_index_facts;
ftf_index_facts ftf_index_describe(const ftf_index *index);

/// What is searched for: the first of these that is not NULL or 0. Several parts are the sum of their vectors, each of unit norm, times their
/// weights, and found by recall alone.
typedef struct ftf_part {
  const char *text;
  const ftf_picture *picture;
  const float *vector; // f32[dimension]
  int64_t item;        // an image of the index, which is no result then
  float weight;        // -100 to 100; looked at where there are several parts
} ftf_part;

typedef struct ftf_search_options {
  size_t size;                // sizeof(ftf_search_options)
  size_t top, offset;         // results, and how many before them are left out
  const char *filter;         // as `ftf search --filter` takes it; or NULL
  const double *box;          // west, south, east, north in degrees; or NULL
  const double *near;         // longitude, latitude, kilometres; or NULL
  double minimum_probability; // 0 to 1
  double seconds;             // after which it fails with FTF_DEADLINE; 0 for none
  int recall_only;            // leaves the rerank out
  int all_windows;            // of scenes, also where windows that overlap say the same
  const char *mode;           // balanced, words, maxsim or none; NULL as the model says, and so are those below where they are below 0
  long candidates;
  float tau, beta, lambda, hubness;
} ftf_search_options;

static inline ftf_search_options ftf_search_defaults(void) {
  ftf_search_options options = {sizeof(ftf_search_options), 10, 0, NULL, NULL, NULL, 0, 0, 0, 0, NULL, -1, -1, -1, -1, -1};
  return options;
}

/// options: NULL for the defaults.
ftf_status ftf_search(ftf_index *index, const ftf_part *parts, size_t count, const ftf_search_options *options, ftf_answer **out);
/// The same of a sentence.
ftf_status ftf_search_text(ftf_index *index, const char *text, size_t top, ftf_answer **out);
/// Candidates that another engine found, in the order of how well a sentence fits them; ids that the index does not have are left out.
ftf_status ftf_rerank(ftf_index *index, const char *text, const int64_t *ids, size_t count, const ftf_search_options *options, ftf_answer **out);
/// Images of the index by id, those after one; the last page is shorter than its limit.
ftf_status ftf_index_items(ftf_index *index, int64_t after, size_t limit, ftf_answer **out);

typedef struct ftf_result {
  int64_t id;
  size_t rank; // from 1
  const char *path;
  float score, recall_score;
  size_t recall_rank;     // from 1
  double probability;     // the chance that it shows what the sentence says; NaN where that is not known
  const char *attributes; // a JSON object; NULL where nothing is known
  const char *geometry;   // GeoJSON; NULL where that is not known
  size_t window[4];       // x, y, width, height of the part of the scene; width 0 for a whole picture
  const float *attention; // f32[grid, grid], sum 1: where the sentence was found; NULL where nothing was reranked
} ftf_result;

size_t ftf_answer_count(const ftf_answer *answer);
/// NULL where there is none of that index. As long as the answer is not freed.
const ftf_result *ftf_answer_at(const ftf_answer *answer, size_t index);

typedef struct ftf_times {
  double encode, recall, rerank; // milliseconds
  double nothing_fits;           // the chance that even the best does not show what the sentence says; NaN where that is not known
} ftf_times;
ftf_times ftf_answer_times(const ftf_answer *answer);
void ftf_answer_free(ftf_answer *answer);

/// u8[height, width, 3], red, green, blue.
typedef struct ftf_pixels {
  uint8_t *pixels;
  size_t width, height;
} ftf_pixels;

/// An image of the index, about as large as the model sees it; with where a sentence was found laid over it, or as it is for NULL.
ftf_status ftf_index_picture(ftf_index *index, int64_t id, const char *text, ftf_pixels *out);
void ftf_pixels_free(ftf_pixels *pixels);

// ---- Vectors alone

typedef struct ftf_vectors ftf_vectors;

/// Opens an index to be searched by vectors, without a model: also one of vectors that were made elsewhere (`ftf index import`). filter, box and
/// near: as of a search, or NULL. threads: 0 for all cores.
ftf_status ftf_vectors_open(const char *path, const char *filter, const double *box, const double *near, int threads, ftf_vectors **out);
void ftf_vectors_close(ftf_vectors *vectors);
size_t ftf_vectors_count(const ftf_vectors *vectors);
size_t ftf_vectors_dimension(const ftf_vectors *vectors);
/// The nearest of each query by the cosine, best first, of equal ones the lower id. queries: f32[count, dimension], of any length but 0. ids and
/// scores: [count, top]; behind the last where fewer are searched stand id -1 and score 0.
ftf_status ftf_vectors_nearest(const ftf_vectors *vectors, const float *queries, size_t count, size_t top, int64_t *ids, float *scores);

// ---- Indexing

typedef enum ftf_event {
  FTF_BEGINS = 0,  // count: images, or windows of scenes, that will be encoded
  FTF_ENCODED = 1, // count: that were encoded since
  FTF_SKIPPED = 2, // line: a file that is left out, and why
  FTF_WARNED = 3   // line: what could not be seen
} ftf_event;

/// Is told of the work, one at a time, from any thread. Returns 0 to go on; else the work ends, and what is stored stays.
typedef int (*ftf_progress)(void *context, ftf_event event, size_t count, const char *line);

typedef struct ftf_index_summary {
  size_t indexed, unchanged, failed, known_bad, set_aside, windows, empty_windows, moved, removed, unseen;
  int is_cancelled;
} ftf_index_summary;

/// What an index keeps of a picture's patches.
typedef enum ftf_patches {
  FTF_PATCHES_AS_THEY_ARE = 0, // what the index has, or all
  FTF_PATCHES_NONE = 1,        // recall alone answers
  FTF_PATCHES_POOLED = 2,      // means of neighbours, a third of the room
  FTF_PATCHES_ALL = 3
} ftf_patches;

typedef struct ftf_index_options {
  size_t size;            // sizeof(ftf_index_options)
  int views;              // 1, 2, 4, 8; 0 for those that the index has, or one
  int rereading;          // 0: new and changed files; 1: those that failed too; 2: all
  size_t shard, shards;   // the share of the files that is read, from 1; 0 for all
  double ground, overlap; // metres of a window of a scene, and the share by which windows overlap; below 0 for the defaults
  int patches;            // ftf_patches
} ftf_index_options;

static inline ftf_index_options ftf_index_defaults(void) {
  ftf_index_options options = {sizeof(ftf_index_options), 0, 0, 0, 0, -1, -1, FTF_PATCHES_AS_THEY_ARE};
  return options;
}

/// Indexes files, and folders with all below them, into a folder, which is made where there is none: new and changed ones; what a kill leaves
/// behind is gone on with. model, options, progress and out may be NULL.
ftf_status ftf_index_add(const char *path, const ftf_model *model, const char *const *paths, size_t count, const ftf_index_options *options,
                         ftf_progress progress, void *context, ftf_index_summary *out);

/// Takes over what other indexes of one model hold, without encoding anything; of files that several have the newer counts. path: is made where it is
/// not; what is interrupted is gone on with, and twice is once. merged: how many files were taken over; or NULL.
ftf_status ftf_index_merge(const char *path, const char *const *parts, size_t count, size_t *merged);

/// Stores what is known of images: a JSON object for each file name, or as much of the end of its path as tells it from others; all or nothing.
/// unused: how many of the names are no image's, or several's; or NULL.
ftf_status ftf_index_set_attributes(const char *path, const char *const *names, const char *const *objects, size_t count, size_t *unused);

#ifdef __cplusplus
}
#endif
#endif
