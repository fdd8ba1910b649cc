#pragma once
#include <stddef.h>
#include <stdint.h>
/// The orientation (1...8) in a TIFF file or block of EXIF data, BigTIFF too, or 0 where it does not say.
int cimage_orientation(const uint8_t *tiff, size_t size);
/// The orientation (1...8) in an XMP packet, tiff:Orientation as an attribute or an element, or 0.
int cimage_xmp_orientation(const uint8_t *xmp, size_t size);
/// What libjpeg finds in the header of a JPEG, as it will decode it: see cimage_size. Not 0 where it finds none.
int cimage_jpeg_header(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, uint32_t *bytes, int *orientation);
