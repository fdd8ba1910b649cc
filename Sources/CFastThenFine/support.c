#define _GNU_SOURCE
#include "support.h"
#include "ftf.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char error[4096];

void support_set_error(const char *message) { snprintf(error, sizeof error, "%s", message); }

const char *ftf_error(void) { return error; }

int ftf_abi(void) { return FTF_ABI; }

const char *ftf_status_name(ftf_status status) {
  static const char *const names[] = {"ok",     "bad_input",     "unusable_model",    "not_an_index", "unusable_index", "other_model",
                                      "locked", "unusable_file", "unknown_attribute", "cancelled",    "deadline"};
  return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

static char folder[4096];

static void find_folder(void) {
  Dl_info here;
  char real[4096];
  if (!dladdr((void *)find_folder, &here) || !here.dli_fname || !realpath(here.dli_fname, real)) return;
  char *end = strrchr(real, '/');
  if (!end) return;
  *end = 0;
  snprintf(folder, sizeof folder, "%s", real);
}

const char *support_library_folder(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_folder);
  return folder;
}
