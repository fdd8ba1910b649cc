from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Any, Iterable, Sequence, Union

import numpy as np

from . import _library as c
from ._errors import Error, check, error
from ._library import lib

#: A path, the bytes of a file, a PIL image, or an array u8[height, width, 3] of red, green and blue (u8[height, width] is grey).
Image = Union[str, "os.PathLike[str]", bytes, np.ndarray, Any]


def encoded_path(path: str | os.PathLike[str]) -> bytes:
    """As the system has it, whatever its bytes; the folder is that of now."""
    return os.fsencode(os.path.abspath(path))


class Pictures:
    """Images as C sees them; the memory that they point to lives as long."""

    def __init__(self, images: Sequence[Image]):
        self.array = (c.Picture * len(images))()
        self._kept: list[Any] = []
        for picture, image in zip(self.array, images):
            self._fill(picture, image)

    def _fill(self, picture: c.Picture, image: Image) -> None:
        if isinstance(image, (str, os.PathLike)):
            path = encoded_path(image)
            self._kept.append(path)
            picture.path = path
            return
        if isinstance(image, (bytes, bytearray, memoryview)):
            held = bytes(image)
            self._kept.append(held)
            picture.encoded, picture.bytes = ctypes.cast(ctypes.c_char_p(held), ctypes.c_void_p), len(held)
            return
        if hasattr(image, "convert"):  # PIL, turned as it says it is to be shown
            from PIL import ImageOps
            image = ImageOps.exif_transpose(image).convert("RGB")
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(f"an image is u8[height, width, 3] or u8[height, width], not {pixels.dtype}{list(pixels.shape)}")
        pixels = np.ascontiguousarray(pixels)
        self._kept.append(pixels)
        picture.pixels, picture.height, picture.width = pixels.ctypes.data, *pixels.shape[:2]


def texts(values: Iterable[str | bytes]) -> ctypes.Array:
    """As C has them: a text with a zero byte inside would be cut off there."""
    held = [value if isinstance(value, bytes) else value.encode() for value in values]
    for value in held:
        if b"\0" in value:
            raise ValueError("a text has a zero byte")
    return (ctypes.c_char_p * len(held))(*held)


class Model:
    """A model, ready to encode pictures and sentences.

    ``path``: a model file; the default model without it. ``threads``: that compute, shared by all calls; 0 for all cores that the process may use.
    ``level``: an instruction set by name, such as ``"avx2"``; the best that the CPU has without it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int = 0, level: str | None = None):
        self._handle = c.Handle()
        check(lib.ftf_model_open(None if path is None else encoded_path(path), level and level.encode(), threads, self._handle))
        facts = lib.ftf_model_describe(self._handle)
        self.name: str = facts.name.decode()
        self.path = os.fsdecode(facts.path)
        self.level: str = facts.level.decode()
        #: Length of every vector.
        self.dimension: int = facts.dimension
        #: A picture has grid x grid patches, row by row.
        self.grid: int = facts.grid
        #: The most tokens of a sentence.
        self.words: int = facts.words
        self.threads: int = facts.threads

    def __del__(self):
        if handle := self.__dict__.get("_handle"):
            lib.ftf_model_close(handle)

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.dimension} numbers, {self.grid} x {self.grid} patches, {self.level}, {self.threads} threads>"

    def encode(self, images: Image | Sequence[Image], *, views: int = 1, patches: bool = False, errors: str = "raise"):
        """Vectors of pictures, as many at once as there are threads.

        ``images``: one or several. ``views``: 1, 2, 4 or 8 symmetries of each, whose vectors are averaged. ``errors``: ``"raise"`` for the first that
        cannot be read, or ``"nan"``, which makes its row NaN and goes on.

        Returns f32[n, dimension], or f32[dimension] of one image, of unit norm; with ``patches`` also f32[n, grid, grid, dimension].
        """
        if errors not in ("raise", "nan"):
            raise ValueError("errors is 'raise' or 'nan'")
        one = isinstance(images, (str, bytes, os.PathLike, np.ndarray)) and getattr(images, "ndim", 3) != 4 or hasattr(images, "convert")
        given = [images] if one else list(images)
        vectors = np.empty((len(given), self.dimension), np.float32)
        grids = np.empty((len(given), self.grid, self.grid, self.dimension), np.float32) if patches else None
        failed: list[tuple[int, Error]] = []
        hear = c.Failed(lambda _, i, status, message: failed.append((i, error(status, message))))
        pictures = Pictures(given)
        check(lib.ftf_encode_pictures(
            self._handle, pictures.array, len(given), views, vectors.ctypes.data, None if grids is None else grids.ctypes.data, hear, None))
        if failed and errors == "raise":
            raise failed[0][1]
        for i, _ in failed:
            vectors[i] = np.nan
            if grids is not None:
                grids[i] = np.nan
        if grids is None:
            return vectors[0] if one else vectors
        return (vectors[0], grids[0]) if one else (vectors, grids)

    def encode_text(self, sentences: str | Iterable[str], *, words: bool = False):
        """Vectors of sentences, cut to the model's context.

        Returns f32[n, dimension], or f32[dimension] of one sentence, of unit norm; with ``words`` also a list of f32[tokens, dimension], one a sentence.
        """
        one = isinstance(sentences, str)
        given = texts([sentences] if one else sentences)
        n = len(given)
        vectors = np.empty((n, self.dimension), np.float32)
        rows = np.empty((n, self.words, self.dimension), np.float32) if words else None
        counts = (ctypes.c_size_t * n)()
        check(lib.ftf_encode_texts(self._handle, given, n, vectors.ctypes.data, None if rows is None else rows.ctypes.data, counts))
        if rows is None:
            return vectors[0] if one else vectors
        each = [rows[i, :counts[i]].copy() for i in range(n)]
        return (vectors[0], each[0]) if one else (vectors, each)
