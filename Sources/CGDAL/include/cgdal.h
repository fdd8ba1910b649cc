/// libgdal, opened at run time and never linked: reading of rasters, where their pixels lie on the ground, writing of small GeoTIFFs.
/// Only the drivers on an allow-list are used, and nothing is fetched from a network.
///
/// A function that can fail returns 0 on success; the message says why otherwise. A dataset is used by one thread at a time.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define CGDAL_MESSAGE 300

/// Opens the library, once; NULL, or what to do to have it.
const char *cgdal_load(void);
/// "3.6.2"; NULL where there is none.
const char *cgdal_version(void);

typedef void *cgdal; // a dataset

/// Opens a raster for reading.
/// level: -1 for the raster itself, else one of its overviews.
cgdal cgdal_open(const char *path, int level, char message[CGDAL_MESSAGE]);
void cgdal_close(cgdal dataset);

typedef struct cgdal_size {
  int width, height, bands;
  int block_width, block_height;
} cgdal_size;
cgdal_size cgdal_size_of(cgdal dataset);

/// The overviews of the first band, and the size of one.
int cgdal_overviews(cgdal dataset);
void cgdal_overview(cgdal dataset, int level, int *width, int *height);

/// GDAL's numbers of types, of which these are read without conversion.
#define CGDAL_U8 1
#define CGDAL_U16 2
#define CGDAL_I16 3
#define CGDAL_F32 6
#define CGDAL_F64 7
/// Complex types lie in between, both included.
#define CGDAL_COMPLEX_FIRST 8
#define CGDAL_COMPLEX_LAST 11

/// GDAL's numbers of colour interpretations.
enum { CGDAL_GREY = 1, CGDAL_PALETTE = 2, CGDAL_RED = 3, CGDAL_GREEN = 4, CGDAL_BLUE = 5, CGDAL_ALPHA = 6 };

typedef struct cgdal_band {
  int type, color;
  int has_nodata;
  double nodata, scale, offset;
  int has_mask;       // a mask of the dataset's own, which is neither nodata nor a band of alpha
  int bits;           // of a value, where fewer are used than the type has; 0 where not said
  int is_signed_byte; // a byte below 0, as GDAL says it before 3.7
  char name[100];     // its description
} cgdal_band;

/// band: from 1.
cgdal_band cgdal_band_of(cgdal dataset, int band);
/// How many colours the palette of a band has, and the first `most` of them, u8[n, 4].
int cgdal_palette(cgdal dataset, int band, uint8_t *rgba, int most);

/// Reads a window of some bands, interleaved: type[height, width, count].
int cgdal_read(cgdal dataset, const int *bands, int count, int x, int y, int width, int height, int type, void *out, char message[CGDAL_MESSAGE]);
/// Reads a window of the dataset's mask: u8[height, width], 0 where there is nothing.
int cgdal_read_mask(cgdal dataset, int x, int y, int width, int height, uint8_t *out, char message[CGDAL_MESSAGE]);

/// A value of the metadata; NULL where there is none. domain: "" for the default one. Valid until the dataset is closed.
const char *cgdal_metadata(cgdal dataset, const char *key, const char *domain);

/// The affine transform from pixels to the coordinates of its reference system; whether there is one.
int cgdal_transform(cgdal dataset, double transform[6]);
/// The reference system of the transform or the ground control points: "EPSG:32632", or its name; empty where there is none.
/// beside: what a .prj file beside the raster says, WKT, for one that says nothing itself; or NULL.
void cgdal_reference(cgdal dataset, const char *beside, char out[100]);

typedef void *cgdal_locator; // pixels to lon/lat by transform, ground control points or RPCs
/// beside: as for cgdal_reference, where it was needed.
cgdal_locator cgdal_locator_make(cgdal dataset, const char *beside, char message[CGDAL_MESSAGE]);
void cgdal_locator_free(cgdal_locator locator);
/// Pixels to lon/lat, in place; ok tells for each whether it could be done.
void cgdal_locate(cgdal_locator locator, int count, double *x, double *y, int *ok);

/// Visits elements and attributes of an XML text, as libgdal itself reads it.
/// element: the innermost element; attribute: NULL for the element's text.
int cgdal_visit_xml(const char *text, void (*visit)(const char *element, const char *attribute, const char *value, void *context), void *context);

/// Writes a raster: type[bands, height, width] of CGDAL_U8, CGDAL_U16 or CGDAL_F32.
/// driver: "GTiff" or "COG"; options: "TILED=YES" and the like with spaces between; like: a dataset whose reference system is taken, or
/// NULL for that of `epsg`, or none at 0.
int cgdal_write(const char *path, const char *driver, const char *options, int width, int height, int bands, int type, const void *values,
                const double *transform, cgdal like, int epsg, char message[CGDAL_MESSAGE]);
