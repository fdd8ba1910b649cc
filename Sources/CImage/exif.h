#pragma once
#include <stddef.h>
#include <stdint.h>
/// The orientation (1...8) in a TIFF block of EXIF data, or 1.
int cimage_orientation(const uint8_t *tiff, size_t size);
