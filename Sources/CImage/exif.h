#pragma once
#include <stddef.h>
#include <stdint.h>
/// The orientation (1...8) in a TIFF file or block of EXIF data, BigTIFF too, or 0 where it does not say.
int cimage_orientation(const uint8_t *tiff, size_t size);
/// The orientation (1...8) in an XMP packet, tiff:Orientation as an attribute or an element, or 0.
int cimage_xmp_orientation(const uint8_t *xmp, size_t size);
