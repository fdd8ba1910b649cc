// measure search INDEX SENTENCES: the median milliseconds of a search; measure index NEW FOLDER: the seconds of indexing it. By measure.py.
#include <ftf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int fail(void) {
  fprintf(stderr, "%s\n", ftf_error());
  return 1;
}

static int larger(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static int search(const char *path, const char *sentences) {
  ftf_index *index;
  if (ftf_index_open(path, NULL, &index) != FTF_OK) return fail();
  FILE *file = fopen(sentences, "r");
  if (!file) return 1;
  static double took[100000];
  size_t count = 0;
  for (char line[4096]; count < 100000 && fgets(line, sizeof line, file);) {
    line[strcspn(line, "\n")] = 0;
    ftf_answer *answer;
    const double began = now();
    if (ftf_search_text(index, line, 10, &answer) != FTF_OK) return fail();
    took[count++] = now() - began;
    ftf_answer_free(answer);
  }
  fclose(file);
  ftf_index_close(index);
  qsort(took, count, sizeof *took, larger);
  printf("%.4f\n", 1000 * took[count / 2]);
  return 0;
}

static int add(const char *path, const char *folder) {
  ftf_model *model;
  if (ftf_model_open(NULL, NULL, 0, &model) != FTF_OK) return fail();
  const double began = now();
  if (ftf_index_add(path, model, &folder, 1, NULL, NULL, NULL, NULL) != FTF_OK) return fail();
  printf("%.4f\n", now() - began);
  ftf_model_close(model);
  return 0;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  return (strcmp(arguments[1], "search") == 0 ? search : add)(arguments[2], arguments[3]);
}
