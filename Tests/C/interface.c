// The whole C interface on an index of a few images: interface MODEL INDEX FOLDER NEW. INDEX was made of FOLDER; NEW is made here.
#include <ftf.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;
#define CHECK(condition) ((condition) ? (void)0 : (void)(failures++, printf("line %d: %s: %s\n", __LINE__, #condition, ftf_error())))
#define OK(call) CHECK((call) == FTF_OK)
#define FAILS(status, word, call) CHECK((call) == (status) && strstr(ftf_error(), word))

static ftf_model *model;
static ftf_index *index_;

static void models(const char *path) {
  FAILS(FTF_UNUSABLE_MODEL, "/nowhere", ftf_model_open("/nowhere", NULL, 0, &model));
  FAILS(FTF_BAD_INPUT, "NULL", ftf_model_open(path, NULL, 0, NULL));
  FAILS(FTF_BAD_INPUT, "mmx", ftf_model_open(path, "mmx", 0, &model));
  FAILS(FTF_BAD_INPUT, "threads", ftf_model_open(path, NULL, -1, &model));
  CHECK(model == NULL);
  OK(ftf_model_open(path, NULL, 2, &model));
  const ftf_model_facts facts = ftf_model_describe(model);
  CHECK(facts.dimension > 0 && facts.patches == facts.grid * facts.grid && facts.threads == 2 && !strcmp(facts.path, path) && *facts.name);
}

static void told(void *context, size_t i, ftf_status status, const char *message) {
  CHECK(i == 1 && status == FTF_UNUSABLE_FILE && strstr(message, "/missing.jpg"));
  ++*(int *)context;
}

static float dot(const float *a, const float *b, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void encoding(const char *file) {
  const ftf_model_facts facts = ftf_model_describe(model);
  const size_t d = facts.dimension;
  uint8_t *grey = malloc(3 * 300 * 200);
  memset(grey, 127, 3 * 300 * 200);
  ftf_picture pictures[] = {{.path = file}, {.path = "/missing.jpg"}, {.pixels = grey, .width = 300, .height = 200}};
  float *vectors = malloc(3 * d * sizeof *vectors), *patches = malloc(3 * facts.patches * d * sizeof *patches);
  int bad = 0;
  OK(ftf_encode_pictures(model, pictures, 3, 1, vectors, patches, told, &bad));
  CHECK(bad == 1 && vectors[d] == 0);
  for (size_t i = 0; i < 3; i += 2) {
    CHECK(fabsf(dot(vectors + i * d, vectors + i * d, d) - 1) < 1e-3f);
    CHECK(fabsf(dot(patches + i * facts.patches * d, patches + i * facts.patches * d, d) - 1) < 1e-3f);
  }
  FAILS(FTF_UNUSABLE_FILE, "missing", ftf_encode_pictures(model, pictures, 3, 1, vectors, NULL, NULL, NULL));
  FAILS(FTF_BAD_INPUT, "views", ftf_encode_pictures(model, pictures, 1, 3, vectors, NULL, NULL, NULL));
  pictures[0] = (ftf_picture){.pixels = grey, .width = SIZE_MAX / 2, .height = 4};
  FAILS(FTF_BAD_INPUT, "pixels", ftf_encode_pictures(model, pictures, 1, 1, vectors, NULL, NULL, NULL));
  const char *texts[] = {"a bridge over a river", "", NULL};
  float *words = malloc(2 * facts.words * d * sizeof *words);
  size_t tokens[2];
  OK(ftf_encode_texts(model, texts, 2, vectors, words, tokens));
  CHECK(tokens[0] == 5 && tokens[1] == 0 && words[0] != 0 && words[5 * d] == 0 && fabsf(dot(vectors, vectors, d) - 1) < 1e-3f);
  FAILS(FTF_BAD_INPUT, "text 2", ftf_encode_texts(model, texts, 3, vectors, NULL, NULL));
  texts[0] = "\xff\xfe";
  FAILS(FTF_BAD_INPUT, "UTF-8", ftf_encode_texts(model, texts, 1, vectors, NULL, NULL));
  free(grey), free(vectors), free(patches), free(words);
}

static void searching(const char *path) {
  FAILS(FTF_NOT_AN_INDEX, "/nowhere", ftf_index_open("/nowhere", model, &index_));
  OK(ftf_index_open(path, model, &index_));
  const ftf_index_facts facts = ftf_index_describe(index_);
  CHECK(facts.images > 4 && facts.has_patches && !facts.is_stale && !strcmp(facts.path, path));
  ftf_answer *answer = NULL, *again = NULL, *reranked = NULL;
  OK(ftf_search_text(index_, "a bridge", 3, &answer));
  CHECK(ftf_answer_count(answer) == 3 && !ftf_answer_at(answer, 3));
  const ftf_result *first = ftf_answer_at(answer, 0);
  float sum = 0;
  for (size_t i = 0; i < facts.grid * facts.grid; i++) sum += first->attention[i];
  CHECK(first->rank == 1 && *first->path == '/' && fabsf(sum - 1) < 1e-3f && ftf_answer_times(answer).encode > 0);
  int64_t ids[3];
  for (size_t i = 0; i < 3; i++) ids[i] = ftf_answer_at(answer, 2 - i)->id;
  OK(ftf_rerank(index_, "a bridge", ids, 3, NULL, &reranked));
  for (size_t i = 0; i < 3; i++) CHECK(ftf_answer_at(reranked, i)->id == ftf_answer_at(answer, i)->id);

  ftf_search_options options = ftf_search_defaults();
  options.filter = "path like '%none%'";
  const ftf_part part = {.item = first->id};
  OK(ftf_search(index_, &part, 1, &options, &again));
  CHECK(ftf_answer_count(again) == 0);
  ftf_answer_free(again);
  const ftf_picture picture = {.path = first->path};
  const ftf_part parts[] = {{.text = "a bridge", .weight = 0.5f}, {.picture = &picture, .weight = 1}};
  OK(ftf_search(index_, parts, 2, NULL, &again));
  CHECK(ftf_answer_at(again, 0)->id == first->id && !ftf_answer_at(again, 0)->attention);
  ftf_answer_free(again);
  again = NULL;
  FAILS(FTF_BAD_INPUT, "part", ftf_search(index_, parts, 0, NULL, &again));
  options.filter = "year =";
  FAILS(FTF_BAD_INPUT, "year", ftf_search(index_, &part, 1, &options, &again));
  options = ftf_search_defaults(), options.mode = "x";
  FAILS(FTF_BAD_INPUT, "maxsim", ftf_search(index_, &part, 1, &options, &again));
  options = ftf_search_defaults(), options.size = 8;
  FAILS(FTF_BAD_INPUT, "8 bytes", ftf_search(index_, &part, 1, &options, &again));
  options = ftf_search_defaults(), options.seconds = 1e-9;
  FAILS(FTF_DEADLINE, "time", ftf_search(index_, &part, 1, &options, &again));
  options = ftf_search_defaults(), options.top = 0;
  FAILS(FTF_BAD_INPUT, "at least 1", ftf_search(index_, &part, 1, &options, &again));
  FAILS(FTF_BAD_INPUT, "NULL", ftf_search(NULL, &part, 1, NULL, &again));
  CHECK(again == NULL);

  ftf_pixels plain, heat;
  OK(ftf_index_picture(index_, first->id, NULL, &plain));
  OK(ftf_index_picture(index_, first->id, "a bridge", &heat));
  CHECK(plain.width == heat.width && plain.height == heat.height && memcmp(plain.pixels, heat.pixels, 3 * plain.width * plain.height));
  FAILS(FTF_BAD_INPUT, "no image", ftf_index_picture(index_, -5, NULL, &plain));
  ftf_pixels_free(&plain), ftf_pixels_free(&heat);

  ftf_answer *page;
  size_t seen = 0;
  for (int64_t after = -1;;) {
    OK(ftf_index_items(index_, after, 3, &page));
    const size_t count = ftf_answer_count(page);
    seen += count;
    if (count) after = ftf_answer_at(page, count - 1)->id;
    ftf_answer_free(page);
    if (count < 3) break;
  }
  CHECK(seen == facts.images);

  ftf_vectors *vectors;
  OK(ftf_vectors_open(path, NULL, NULL, NULL, 1, &vectors));
  CHECK(ftf_vectors_count(vectors) >= seen && ftf_vectors_dimension(vectors) == facts.dimension);
  float *query = malloc(2 * facts.dimension * sizeof *query);
  const char *texts[] = {"a bridge", "a forest"};
  OK(ftf_encode_texts(model, texts, 2, query, NULL, NULL));
  const size_t top = ftf_vectors_count(vectors) + 1;
  int64_t *found = malloc(2 * top * sizeof *found);
  float *scores = malloc(2 * top * sizeof *scores);
  OK(ftf_vectors_nearest(vectors, query, 2, top, found, scores));
  CHECK(found[0] > 0 && found[top - 1] == -1 && scores[0] >= scores[1] && scores[top] >= scores[top + 1]);
  query[0] = NAN;
  FAILS(FTF_BAD_INPUT, "finite", ftf_vectors_nearest(vectors, query, 2, 1, found, scores));
  ftf_vectors_close(vectors);
  free(query), free(found), free(scores);
  ftf_answer_free(answer), ftf_answer_free(reranked);
}

static void *search(void *expected) {
  for (int i = 0; i < 20; i++) {
    ftf_answer *answer;
    OK(ftf_search_text(index_, "a bridge", 3, &answer));
    CHECK(ftf_answer_at(answer, 0)->id == *(int64_t *)expected);
    ftf_answer_free(answer);
    // Each thread has its own last error.
    char name[32];
    snprintf(name, sizeof name, "/nowhere-%p", (void *)&answer);
    ftf_index *none;
    FAILS(FTF_NOT_AN_INDEX, name, ftf_index_open(name, model, &none));
  }
  return NULL;
}

// Forty threads on one handle, each with an error of its own; then a child, which is told that it has to open its own.
static void concurrency(const char *path, const char *model_path) {
  ftf_answer *answer;
  OK(ftf_search_text(index_, "a bridge", 1, &answer));
  int64_t expected = ftf_answer_at(answer, 0)->id;
  ftf_answer_free(answer);
  pthread_t threads[40];
  for (int i = 0; i < 40; i++) CHECK(pthread_create(&threads[i], NULL, search, &expected) == 0);
  for (int i = 0; i < 40; i++) pthread_join(threads[i], NULL);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    failures = 0;
    FAILS(FTF_BAD_INPUT, "fork", ftf_search_text(index_, "a bridge", 1, &answer));
    ftf_model *own;
    ftf_index *index;
    OK(ftf_model_open(model_path, NULL, 2, &own));
    OK(ftf_index_open(path, own, &index));
    OK(ftf_search_text(index, "a bridge", 1, &answer));
    CHECK(ftf_answer_at(answer, 0)->id == expected);
    fflush(stdout);
    _exit(failures);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

typedef struct count {
  size_t begun, encoded;
  int stops;
} count;

static int hear(void *context, ftf_event event, size_t n, const char *line) {
  count *c = context;
  CHECK((line != NULL) == (event == FTF_SKIPPED || event == FTF_WARNED));
  if (event == FTF_BEGINS) c->begun += n;
  if (event == FTF_ENCODED) c->encoded += n;
  return c->stops;
}

static void indexing(const char *folder, const char *new) {
  count heard = {0, 0, 0};
  ftf_index_summary summary;
  OK(ftf_index_add(new, model, &folder, 1, NULL, hear, &heard, &summary));
  CHECK(summary.indexed > 0 && heard.begun >= summary.indexed && heard.encoded == heard.begun && !summary.is_cancelled);
  ftf_index *index;
  OK(ftf_index_open(new, model, &index));
  CHECK(ftf_index_describe(index).images > 0);
  ftf_answer *answer;
  OK(ftf_index_items(index, -1, 1, &answer));
  const char *name = ftf_answer_at(answer, 0)->path, *good = "{\"year\": 2024}", *bad = "[1]";
  size_t unused = 9;
  FAILS(FTF_BAD_INPUT, "JSON", ftf_index_set_attributes(new, &name, &bad, 1, &unused));
  OK(ftf_index_set_attributes(new, &name, &good, 1, &unused));
  CHECK(unused == 0 && ftf_index_describe(index).is_stale);
  ftf_answer_free(answer);
  int changed = 0;
  OK(ftf_index_refresh(index, &changed));
  CHECK(changed && !ftf_index_describe(index).is_stale);
  ftf_search_options options = ftf_search_defaults();
  options.filter = "year = 2024";
  const ftf_part part = {.text = "anything"};
  OK(ftf_search(index, &part, 1, &options, &answer));
  CHECK(ftf_answer_count(answer) == 1 && strstr(ftf_answer_at(answer, 0)->attributes, "2024"));
  ftf_answer_free(answer);
  ftf_index_options adding = ftf_index_defaults();
  adding.views = 3;
  FAILS(FTF_BAD_INPUT, "views", ftf_index_add(new, model, &folder, 1, &adding, NULL, NULL, NULL));
  for (int patches = -1; patches < 5; patches += 5) {
    adding = ftf_index_defaults(), adding.patches = patches;
    FAILS(FTF_BAD_INPUT, "patches", ftf_index_add(new, model, &folder, 1, &adding, NULL, NULL, NULL));
  }
  adding = ftf_index_defaults(), adding.shard = 3, adding.shards = 2;
  FAILS(FTF_BAD_INPUT, "3 of 2", ftf_index_add(new, model, &folder, 1, &adding, NULL, NULL, NULL));
  ftf_index_close(index);
  // Twice is once; an index is not merged into itself.
  char whole[4096];
  snprintf(whole, sizeof whole, "%s-whole", new);
  size_t merged = 0;
  OK(ftf_index_merge(whole, &new, 1, &merged));
  CHECK(merged == summary.indexed);
  OK(ftf_index_merge(whole, &new, 1, &merged));
  CHECK(merged == 0);
  FAILS(FTF_BAD_INPUT, "itself", ftf_index_merge(new, &new, 1, NULL));
}

int main(int count, char **arguments) {
  if (count != 6) return 2;
  CHECK(ftf_abi() == FTF_ABI && *ftf_version());
  models(arguments[1]);
  encoding(arguments[5]);
  searching(arguments[2]);
  concurrency(arguments[2], arguments[1]);
  indexing(arguments[3], arguments[4]);
  // The index goes on without the handle of its model.
  ftf_model_close(model);
  ftf_answer *answer;
  OK(ftf_search_text(index_, "a bridge", 1, &answer));
  ftf_answer_free(answer);
  ftf_index_close(index_);
  ftf_model_close(NULL), ftf_index_close(NULL), ftf_answer_free(NULL), ftf_vectors_close(NULL), ftf_pixels_free(NULL);
  if (failures) printf("%d failed\n", failures);
  return failures != 0;
}
