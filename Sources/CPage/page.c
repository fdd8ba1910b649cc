#include "cpage.h"
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const uint8_t html[] = {
#embed "page.html"
};
static const uint8_t css[] = {
#embed "page.css"
};
static const uint8_t page[] = {
#embed "page.js"
};
static const uint8_t view[] = {
#embed "view.js"
};
static const uint8_t map[] = {
#embed "map.js"
};
static const uint8_t coast[] = {
#embed "coast.js"
};

cpage_file cpage(const char *name) {
  const struct {
    const char *name;
    cpage_file file;
  } files[] = {
      {"page.html", {html, sizeof html}}, {"page.css", {css, sizeof css}}, {"page.js", {page, sizeof page}},
      {"view.js", {view, sizeof view}},   {"map.js", {map, sizeof map}},   {"coast.js", {coast, sizeof coast}},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    if (strcmp(files[i].name, name) == 0) return files[i].file;
  return (cpage_file){0, 0};
}
