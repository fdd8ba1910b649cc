#include "cgdal.h"
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of the library, with the types of its C API: handles are void *, its GSpacing and GIntBig are 64 bits.
typedef struct xml_node {
  int type; // 0 element, 1 text, 2 attribute
  char *value;
  struct xml_node *next, *child;
} xml_node;
typedef struct color_entry {
  short c[4];
} color_entry;

#define FUNCTIONS(F)                                                                                                                                 \
  F(int, GDALGetDriverCount, (void))                                                                                                                 \
  F(void, GDALAllRegister, (void))                                                                                                                   \
  F(void *, GDALGetDriver, (int))                                                                                                                    \
  F(void *, GDALGetDriverByName, (const char *))                                                                                                     \
  F(const char *, GDALGetDriverShortName, (void *))                                                                                                  \
  F(void, GDALDeregisterDriver, (void *))                                                                                                            \
  F(const char *, GDALVersionInfo, (const char *))                                                                                                   \
  F(void, CPLSetConfigOption, (const char *, const char *))                                                                                          \
  F(void *, CPLSetErrorHandler, (void (*)(int, int, const char *)))                                                                                  \
  F(void, CPLErrorReset, (void))                                                                                                                     \
  F(const char *, CPLGetLastErrorMsg, (void))                                                                                                        \
  F(void *, GDALOpenEx, (const char *, unsigned, const char *const *, const char *const *, const char *const *))                                     \
  F(void, GDALClose, (void *))                                                                                                                       \
  F(int, GDALGetRasterXSize, (void *))                                                                                                               \
  F(int, GDALGetRasterYSize, (void *))                                                                                                               \
  F(int, GDALGetRasterCount, (void *))                                                                                                               \
  F(void *, GDALGetRasterBand, (void *, int))                                                                                                        \
  F(int, GDALGetRasterBandXSize, (void *))                                                                                                           \
  F(int, GDALGetRasterBandYSize, (void *))                                                                                                           \
  F(void, GDALGetBlockSize, (void *, int *, int *))                                                                                                  \
  F(int, GDALGetOverviewCount, (void *))                                                                                                             \
  F(void *, GDALGetOverview, (void *, int))                                                                                                          \
  F(int, GDALGetRasterDataType, (void *))                                                                                                            \
  F(int, GDALGetRasterColorInterpretation, (void *))                                                                                                 \
  F(double, GDALGetRasterNoDataValue, (void *, int *))                                                                                               \
  F(double, GDALGetRasterScale, (void *, int *))                                                                                                     \
  F(double, GDALGetRasterOffset, (void *, int *))                                                                                                    \
  F(int, GDALGetMaskFlags, (void *))                                                                                                                 \
  F(void *, GDALGetMaskBand, (void *))                                                                                                               \
  F(const char *, GDALGetDescription, (void *))                                                                                                      \
  F(const char *, GDALGetMetadataItem, (void *, const char *, const char *))                                                                         \
  F(void *, GDALGetRasterColorTable, (void *))                                                                                                       \
  F(int, GDALGetColorEntryCount, (void *))                                                                                                           \
  F(const color_entry *, GDALGetColorEntry, (void *, int))                                                                                           \
  F(int, GDALDatasetRasterIOEx, (void *, int, int, int, int, int, void *, int, int, int, int, const int *, int64_t, int64_t, int64_t, void *))       \
  F(int, GDALRasterIO, (void *, int, int, int, int, int, void *, int, int, int, int, int))                                                           \
  F(int, GDALGetGeoTransform, (void *, double *))                                                                                                    \
  F(int, GDALSetGeoTransform, (void *, const double *))                                                                                              \
  F(void *, GDALGetSpatialRef, (void *))                                                                                                             \
  F(void *, GDALGetGCPSpatialRef, (void *))                                                                                                          \
  F(int, GDALSetSpatialRef, (void *, void *))                                                                                                        \
  F(const char *, OSRGetAuthorityName, (void *, const char *))                                                                                       \
  F(const char *, OSRGetAuthorityCode, (void *, const char *))                                                                                       \
  F(const char *, OSRGetName, (void *))                                                                                                              \
  F(void *, OSRNewSpatialReference, (const char *))                                                                                                  \
  F(int, OSRImportFromEPSG, (void *, int))                                                                                                           \
  F(void, OSRRelease, (void *))                                                                                                                      \
  F(void, OSRSetAxisMappingStrategy, (void *, int))                                                                                                  \
  F(void, OSRSetPROJEnableNetwork, (int))                                                                                                            \
  F(void *, GDALCreateGenImgProjTransformer2, (void *, void *, const char *const *))                                                                 \
  F(void, GDALDestroyGenImgProjTransformer, (void *))                                                                                                \
  F(int, GDALGenImgProjTransform, (void *, int, int, double *, double *, double *, int *))                                                           \
  F(xml_node *, CPLParseXMLString, (const char *))                                                                                                   \
  F(void, CPLDestroyXMLNode, (xml_node *))                                                                                                           \
  F(void *, GDALCreate, (void *, const char *, int, int, int, int, const char *const *))                                                             \
  F(void *, GDALCreateCopy, (void *, const char *, void *, int, const char *const *, void *, void *))

#define DECLARE(result, name, arguments) static result(*name) arguments;
FUNCTIONS(DECLARE)

static const char *const allowed[] = {"GTiff", "JP2OpenJPEG", "VRT", "JPEG", "PNG", "WEBP", NULL};
// Only written.
static const char *const written[] = {"COG", NULL};

static const char *failure = "libgdal was not opened";
static char version[32];

static void be_quiet(int kind, int number, const char *text) { (void)kind, (void)number, (void)text; }

static int is_among(const char *name, const char *const *list) {
  for (; *list; list++)
    if (strcmp(name, *list) == 0) return 1;
  return 0;
}

static void configure(void) {
  CPLSetErrorHandler(be_quiet);
  CPLSetConfigOption("GDAL_DRIVER_PATH", "disable");
  CPLSetConfigOption("GDAL_CACHEMAX", "8");
  CPLSetConfigOption("GDAL_NUM_THREADS", "1");
  CPLSetConfigOption("GDAL_PAM_ENABLED", "YES");
  CPLSetConfigOption("GDAL_VRT_ENABLE_PYTHON", "NO");
  CPLSetConfigOption("GDAL_VRT_ENABLE_RAWRASTERBAND", "NO");
  // A name that no address ends in: nothing is fetched, whatever a file refers to.
  CPLSetConfigOption("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", ".nothing-is-fetched");
  CPLSetConfigOption("GDAL_ENABLE_WMS_CACHE", "NO");
  OSRSetPROJEnableNetwork(0);
  // In a program that uses GDAL itself its drivers are its own affair: ours are named at every opening.
  if (GDALGetDriverCount() > 0) return;
  GDALAllRegister();
  for (int i = GDALGetDriverCount() - 1; i >= 0; i--) {
    void *driver = GDALGetDriver(i);
    const char *name = GDALGetDriverShortName(driver);
    if (!is_among(name, allowed) && !is_among(name, written)) GDALDeregisterDriver(driver);
  }
}

static void load(void) {
  // FTF_GDAL names a library of one's own; empty, it turns it off.
  const char *own = getenv("FTF_GDAL");
  static const char *const names[] = {"libgdal.so.39", "libgdal.so.38", "libgdal.so.37", "libgdal.so.36", "libgdal.so.35", "libgdal.so.34",
                                      "libgdal.so.33", "libgdal.so.32", "libgdal.so.31", "libgdal.so.30", "libgdal.so",    NULL};
  void *library = NULL;
  if (own)
    library = *own ? dlopen(own, RTLD_NOW | RTLD_LOCAL) : NULL;
  else
    for (int i = 0; names[i] && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    failure = own && *own ? "the library that FTF_GDAL names cannot be opened"
                          : "GeoTIFF, JPEG 2000, VRT and WebP are read by GDAL, which is not there; install libgdal "
                            "(apt-get install gdal-bin)";
    return;
  }
#define FIND(result, name, arguments)                                                                                                                \
  *(void **)&name = dlsym(library, #name);                                                                                                           \
  if (!name) {                                                                                                                                       \
    failure = "libgdal is too old: it lacks " #name;                                                                                                 \
    return;                                                                                                                                          \
  }
  FUNCTIONS(FIND)
  configure();
  snprintf(version, sizeof version, "%s", GDALVersionInfo("RELEASE_NAME"));
  failure = NULL;
}

const char *cgdal_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return failure;
}

const char *cgdal_version(void) { return cgdal_load() ? NULL : version; }

// The library's last words, on one line and without what it says of itself.
static void say(char *message) {
  const char *text = CPLGetLastErrorMsg();
  snprintf(message, CGDAL_MESSAGE, "%s", *text ? text : "it cannot be read");
  for (char *c = message; *c; c++)
    if ((unsigned char)*c < 32) *c = ' ';
}

cgdal cgdal_open(const char *path, int level, char message[CGDAL_MESSAGE]) {
  if (cgdal_load()) {
    snprintf(message, CGDAL_MESSAGE, "%s", failure);
    return NULL;
  }
  char option[40];
  snprintf(option, sizeof option, "OVERVIEW_LEVEL=%d", level);
  const char *const options[] = {level >= 0 ? option : NULL, NULL};
  CPLErrorReset();
  enum { raster = 2, verbose = 0x40 };
  void *dataset = GDALOpenEx(path, raster | verbose, allowed, options, NULL);
  if (!dataset) say(message);
  return dataset;
}

void cgdal_close(cgdal dataset) { GDALClose(dataset); }

cgdal_size cgdal_size_of(cgdal dataset) {
  cgdal_size size = {GDALGetRasterXSize(dataset), GDALGetRasterYSize(dataset), GDALGetRasterCount(dataset), 0, 0};
  if (size.bands > 0) GDALGetBlockSize(GDALGetRasterBand(dataset, 1), &size.block_width, &size.block_height);
  return size;
}

int cgdal_overviews(cgdal dataset) { return GDALGetOverviewCount(GDALGetRasterBand(dataset, 1)); }

void cgdal_overview(cgdal dataset, int level, int *width, int *height) {
  void *band = GDALGetOverview(GDALGetRasterBand(dataset, 1), level);
  *width = band ? GDALGetRasterBandXSize(band) : 0;
  *height = band ? GDALGetRasterBandYSize(band) : 0;
}

cgdal_band cgdal_band_of(cgdal dataset, int number) {
  void *band = GDALGetRasterBand(dataset, number);
  cgdal_band found = {.type = GDALGetRasterDataType(band), .color = GDALGetRasterColorInterpretation(band)};
  int is_said = 0;
  found.nodata = GDALGetRasterNoDataValue(band, &found.has_nodata);
  found.scale = GDALGetRasterScale(band, &is_said);
  if (!is_said || !isfinite(found.scale) || found.scale == 0) found.scale = 1;
  found.offset = GDALGetRasterOffset(band, &is_said);
  if (!is_said || !isfinite(found.offset)) found.offset = 0;
  enum { all_valid = 1, per_dataset = 2, alpha = 4, nodata = 8 };
  const int flags = GDALGetMaskFlags(band);
  found.has_mask = !(flags & (all_valid | alpha | nodata));
  const char *bits = GDALGetMetadataItem(band, "NBITS", "IMAGE_STRUCTURE");
  found.bits = bits ? atoi(bits) : 0;
  const char *pixels = GDALGetMetadataItem(band, "PIXELTYPE", "IMAGE_STRUCTURE");
  found.is_signed_byte = pixels && strcmp(pixels, "SIGNEDBYTE") == 0;
  snprintf(found.name, sizeof found.name, "%s", GDALGetDescription(band));
  return found;
}

int cgdal_palette(cgdal dataset, int band, uint8_t *rgba, int most) {
  void *table = GDALGetRasterColorTable(GDALGetRasterBand(dataset, band));
  const int count = table ? GDALGetColorEntryCount(table) : 0;
  for (int i = 0; i < count && i < most; i++) {
    const color_entry *entry = GDALGetColorEntry(table, i);
    for (int c = 0; c < 4; c++) rgba[4 * i + c] = (uint8_t)entry->c[c];
  }
  return count;
}

static int size_of_type(int type) { return type == CGDAL_U8 ? 1 : type == CGDAL_F32 ? 4 : type == CGDAL_F64 ? 8 : 2; }

int cgdal_read(cgdal dataset, const int *bands, int count, int x, int y, int width, int height, int type, void *out, char message[CGDAL_MESSAGE]) {
  const int64_t size = size_of_type(type);
  CPLErrorReset();
  const int failed =
      GDALDatasetRasterIOEx(dataset, 0, x, y, width, height, out, width, height, type, count, bands, size * count, size * count * width, size, NULL);
  if (failed) say(message);
  return failed;
}

int cgdal_read_mask(cgdal dataset, int x, int y, int width, int height, uint8_t *out, char message[CGDAL_MESSAGE]) {
  CPLErrorReset();
  void *mask = GDALGetMaskBand(GDALGetRasterBand(dataset, 1));
  const int failed = GDALRasterIO(mask, 0, x, y, width, height, out, width, height, CGDAL_U8, 0, 0);
  if (failed) say(message);
  return failed;
}

const char *cgdal_metadata(cgdal dataset, const char *key, const char *domain) { return GDALGetMetadataItem(dataset, key, domain); }

int cgdal_transform(cgdal dataset, double transform[6]) { return GDALGetGeoTransform(dataset, transform) == 0; }

void cgdal_reference(cgdal dataset, const char *beside, char out[100]) {
  void *system = GDALGetSpatialRef(dataset), *own = NULL;
  if (!system) system = GDALGetGCPSpatialRef(dataset);
  if (!system && beside) system = own = OSRNewSpatialReference(beside);
  out[0] = 0;
  if (!system) return;
  const char *authority = OSRGetAuthorityName(system, NULL), *code = OSRGetAuthorityCode(system, NULL);
  const char *name = OSRGetName(system);
  if (authority && code)
    snprintf(out, 100, "%s:%s", authority, code);
  else
    snprintf(out, 100, "%s", name ? name : "unnamed");
  if (own) OSRRelease(own);
}

cgdal_locator cgdal_locator_make(cgdal dataset, const char *beside, char message[CGDAL_MESSAGE]) {
  char *source = NULL;
  if (beside) {
    static const char key[] = "SRC_SRS=";
    const size_t length = strlen(beside);
    source = malloc(sizeof key + length);
    if (source) memcpy(source, key, sizeof key - 1), memcpy(source + sizeof key - 1, beside, length + 1);
  }
  const char *const options[] = {"DST_SRS=EPSG:4326", source, NULL};
  CPLErrorReset();
  void *locator = GDALCreateGenImgProjTransformer2(dataset, NULL, options);
  free(source);
  if (!locator) say(message);
  return locator;
}

void cgdal_locator_free(cgdal_locator locator) { GDALDestroyGenImgProjTransformer(locator); }

void cgdal_locate(cgdal_locator locator, int count, double *x, double *y, int *ok) {
  double *z = calloc((size_t)count, sizeof *z);
  memset(ok, 0, (size_t)count * sizeof *ok);
  if (z) GDALGenImgProjTransform(locator, 0, count, x, y, z, ok);
  for (int i = 0; i < count; i++) ok[i] = ok[i] && isfinite(x[i]) && isfinite(y[i]);
  free(z);
}

typedef struct visitor {
  void (*visit)(const char *, const char *, const char *, void *);
  void *context;
} visitor;

static int walk(const xml_node *node, const char *element, const visitor *v, int depth) {
  if (depth > 100) return 1;
  enum { is_element, is_text, is_attribute };
  for (; node; node = node->next) {
    if (node->type == is_element) {
      v->visit(node->value, NULL, "", v->context);
      if (walk(node->child, node->value, v, depth + 1)) return 1;
    } else if (node->type == is_attribute) {
      v->visit(element, node->value, node->child ? node->child->value : "", v->context);
    } else if (node->type == is_text) {
      v->visit(element, NULL, node->value, v->context);
    }
  }
  return 0;
}

int cgdal_visit_xml(const char *text, void (*visit)(const char *, const char *, const char *, void *), void *context) {
  if (cgdal_load()) return 1;
  xml_node *tree = CPLParseXMLString(text);
  if (!tree) return 1;
  const visitor v = {visit, context};
  const int failed = walk(tree, "", &v, 0);
  CPLDestroyXMLNode(tree);
  return failed;
}

static void *reference_of(cgdal like, int epsg) {
  if (like) return GDALGetSpatialRef(like);
  void *system = OSRNewSpatialReference(NULL);
  OSRImportFromEPSG(system, epsg);
  enum { traditional = 0 };
  OSRSetAxisMappingStrategy(system, traditional);
  return system;
}

int cgdal_write(const char *path, const char *driver, const char *options, int width, int height, int bands, int type, const void *values,
                const double *transform, cgdal like, int epsg, char message[CGDAL_MESSAGE]) {
  if (cgdal_load()) {
    snprintf(message, CGDAL_MESSAGE, "%s", failure);
    return 1;
  }
  char words[200];
  const char *list[16] = {NULL};
  snprintf(words, sizeof words, "%s", options);
  char *rest = NULL;
  int count = 0;
  for (char *word = strtok_r(words, " ", &rest); word && count < 15; word = strtok_r(NULL, " ", &rest)) list[count++] = word;
  CPLErrorReset();
  // A COG is made from a raster that lies beside it.
  const int is_copied = strcmp(driver, "COG") == 0;
  char beside[4096 + 16];
  snprintf(beside, sizeof beside, is_copied ? "%s.whole.tif" : "%s", path);
  void *target = GDALCreate(GDALGetDriverByName("GTiff"), beside, width, height, bands, type, is_copied ? NULL : list);
  int failed = !target;
  if (target) {
    if (transform) failed = failed || GDALSetGeoTransform(target, transform);
    if (like || epsg) {
      void *system = reference_of(like, epsg);
      failed = failed || !system || GDALSetSpatialRef(target, system);
      if (!like) OSRRelease(system);
    }
    failed = failed || GDALDatasetRasterIOEx(target, 1, 0, 0, width, height, (void *)values, width, height, type, bands, NULL, 0, 0, 0, NULL);
    if (!failed && is_copied) {
      void *copy = GDALCreateCopy(GDALGetDriverByName(driver), path, target, 0, list, NULL, NULL);
      failed = !copy;
      if (copy) GDALClose(copy);
    }
  }
  if (failed) say(message);
  if (target) GDALClose(target);
  if (is_copied) remove(beside);
  return failed;
}
