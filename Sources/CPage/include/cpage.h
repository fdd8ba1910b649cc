/// The files of the service's page, as they lie beside the source: as an array of Swift they took a third of the service's build.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct cpage_file {
  const uint8_t *bytes;
  size_t count;
} cpage_file;

/// page.html, page.css, page.js, view.js, map.js or coast.js; no bytes for another name.
cpage_file cpage(const char *name);
