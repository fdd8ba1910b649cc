from __future__ import annotations

import ctypes
import dataclasses
import html
import json
import math
import os
import struct
import zlib
from typing import Any, Iterator, Sequence

import numpy as np

from . import _library as c
from ._errors import check
from ._library import lib
from ._model import Image, Model, Pictures, encoded_path, texts

#: What is searched for: a sentence, an image (a path as pathlib has it, bytes, PIL, u8[height, width, 3]), a vector f32[dimension], an id of the
#: index's (int), or several of these, each alone or with a weight: ``[("a harbour", 1), (picture, 0.5)]``.
Query = Any


class Heat:
    """A picture of a result with where the sentence was found laid over it. ``pixels``: u8[height, width, 3]; ``grid``: f32[grid, grid], sum 1."""

    def __init__(self, pixels: np.ndarray, grid: np.ndarray | None):
        self.pixels, self.grid = pixels, grid

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.pixels, dtype=dtype, copy=bool(copy) if copy is not None else True)

    def image(self):
        """As PIL has it."""
        from PIL import Image as PIL
        return PIL.fromarray(self.pixels)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a PNG file."""
        with open(path, "wb") as file:
            file.write(self._repr_png_())

    def _repr_png_(self) -> bytes:
        height, width, _ = self.pixels.shape
        rows = np.concatenate([np.zeros((height, 1), np.uint8), self.pixels.reshape(height, -1)], axis=1).tobytes()

        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")


@dataclasses.dataclass(frozen=True)
class Result:
    """An image that was found."""

    rank: int  #: from 1
    id: int
    path: str
    score: float
    recall_score: float  #: of the first stage, and its place in that one's order, from 1
    recall_rank: int
    probability: float | None  #: the chance that it shows what the sentence says; None where that is not known
    attributes: dict[str, Any]
    geometry: dict[str, Any] | None  #: GeoJSON
    window: tuple[int, int, int, int] | None  #: x, y, width, height in the scene's pixels; None for a whole picture
    attention: np.ndarray | None = dataclasses.field(repr=False, compare=False)  #: f32[grid, grid], sum 1: where the sentence was found
    _index: "Index" = dataclasses.field(repr=False, compare=False)
    _text: str | None = dataclasses.field(repr=False, compare=False)

    def heat(self, text: str | None = None) -> Heat:
        """The picture with where the sentence that was searched for was found, or another."""
        text = text if text is not None else self._text
        if text is None:
            raise ValueError("no sentence was searched for: heat() takes one")
        attention = self.attention if text == self._text else None
        if attention is None:
            attention = self._index.rerank(text, [self.id])[0].attention
        return Heat(self._index.picture(self.id, text), attention)

    def picture(self) -> np.ndarray:
        """u8[height, width, 3], about as large as the model sees it."""
        return self._index.picture(self.id)

    @property
    def datetime(self) -> str | None:
        return self.attributes.get("datetime")


class Results(Sequence[Result]):
    """What a search found, best first."""

    def __init__(self, results: list[Result], times: c.Times):
        self._results = results
        #: Milliseconds of the sentence's or picture's encoding, of recall, and of the rerank.
        self.encode_ms, self.recall_ms, self.rerank_ms = times.encode, times.recall, times.rerank
        #: The chance that even the best does not show what the sentence says; None where that is not known.
        self.nothing_fits = None if math.isnan(times.nothing_fits) else times.nothing_fits

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, i):
        return self._results[i]

    def __repr__(self) -> str:
        return "\n".join(f"{r.rank:4} {r.score:.4f} {r.path}" for r in self._results) or "<nothing found>"

    def _rows(self) -> list[dict[str, Any]]:
        own = [f.name for f in dataclasses.fields(Result) if f.name not in ("attributes", "attention", "geometry", "_index", "_text")]
        return [{name: getattr(r, name) for name in own} | {k: v for k, v in r.attributes.items() if k not in own} for r in self._results]

    def to_pandas(self):
        """A table: what a result has, and a column an attribute."""
        import pandas
        return pandas.DataFrame(self._rows())

    def to_geopandas(self):
        """The same with a geometry, in EPSG:4326; None where an image has no place."""
        import geopandas
        import shapely.geometry
        shapes = [None if r.geometry is None else shapely.geometry.shape(r.geometry) for r in self._results]
        return geopandas.GeoDataFrame(self._rows(), geometry=shapes, crs="EPSG:4326")

    def _repr_html_(self) -> str:
        import base64
        cards = []
        for r in self._results[:12]:
            try:
                shown = r.heat() if r.attention is not None else Heat(r.picture(), None)
                image = f'<img width="160" src="data:image/png;base64,{base64.b64encode(shown._repr_png_()).decode()}">'
            except Exception as gone:  # a file that is away costs no other its picture
                image = f"<em>{html.escape(str(gone))}</em>"
            cards.append(f'<figure style="display:inline-block;width:170px;margin:4px;vertical-align:top">{image}'
                         f"<figcaption>{r.rank}. {html.escape(os.path.basename(r.path))} {r.score:.3f}</figcaption></figure>")
        return "".join(cards) or "<em>nothing found</em>"


def _doubles(values: Sequence[float] | None, count: int, name: str):
    if values is None:
        return None
    if len(values) != count:
        raise ValueError(f"{name} has {count} numbers, not {len(values)}")
    return (ctypes.c_double * count)(*map(float, values))


class Index:
    """An index, open for searching as it is now; ``refresh`` takes over what has been written since.

    ``model``: the one that built it; opened from where it lies without it.
    """

    def __init__(self, path: str | os.PathLike[str], model: Model | None = None):
        self._handle = c.Handle()
        check(lib.ftf_index_open(encoded_path(path), model and model._handle, self._handle))
        self.path = os.path.abspath(path)
        # What is asked of every answer, and never another: the model of an index does not change.
        self._grid: int = self._facts.grid

    def __del__(self):
        if handle := self.__dict__.get("_handle"):
            lib.ftf_index_close(handle)

    @property
    def _facts(self) -> c.IndexFacts:
        return lib.ftf_index_describe(self._handle)

    def __len__(self) -> int:
        """Pictures, and windows of scenes."""
        return self._facts.images

    def __repr__(self) -> str:
        return f"<Index {self.path}: {len(self)} images by {self._facts.model_name.decode()}>"

    @property
    def dimension(self) -> int:
        return self._facts.dimension

    @property
    def is_stale(self) -> bool:
        """Whether the index has been written since it was opened or refreshed."""
        return bool(self._facts.is_stale)

    def refresh(self) -> bool:
        """Takes over what has been written since. Returns whether anything was."""
        changed = ctypes.c_int()
        check(lib.ftf_index_refresh(self._handle, changed))
        return bool(changed)

    def search(
        self, query: Query, top: int = 10, *, filter: str | None = None, box: Sequence[float] | None = None, near: Sequence[float] | None = None,
        offset: int = 0, recall_only: bool = False, minimum_probability: float = 0, all_windows: bool = False, seconds: float = 0,
        mode: str | None = None, candidates: int | None = None, tau: float | None = None, beta: float | None = None, lambda_: float | None = None,
        hubness: float | None = None,
    ) -> Results:
        """What fits a query best.

        ``filter``: a condition on attributes, such as ``"year >= 2020 and sensor = 'S2'"``. ``box``: west, south, east, north in degrees. ``near``:
        longitude, latitude, kilometres. ``seconds``: after which it gives up. The rest are the rerank's settings, as the model says without them.
        """
        options = self._options(top, offset, filter, box, near, mode, candidates, tau, beta, lambda_, hubness)
        options.recall_only, options.all_windows = recall_only, all_windows
        options.minimum_probability, options.seconds = minimum_probability, seconds
        parts = query if isinstance(query, (list, tuple)) else [query]
        array, kept = (c.Part * len(parts))(), []
        for part, given in zip(array, parts):
            given, part.weight = given if isinstance(given, tuple) else (given, 1)
            kept.append(self._fill(part, given))
        answer = c.Handle()
        check(lib.ftf_search(self._handle, array, len(parts), options, answer))
        return self._results(answer, parts[0] if len(parts) == 1 and isinstance(parts[0], str) else None)

    def _fill(self, part: c.Part, given: Query) -> Any:
        if isinstance(given, str):
            held = texts([given])
            part.text = held[0]
        elif isinstance(given, (int, np.integer)) and not isinstance(given, bool):
            held, part.item = None, int(given)
        elif isinstance(given, np.ndarray) and given.ndim == 1:
            held = np.ascontiguousarray(given, np.float32)
            if held.size != self.dimension:
                raise ValueError(f"a vector of this index has {self.dimension} numbers, not {held.size}")
            part.vector = held.ctypes.data
        else:
            held = Pictures([given])
            part.picture = ctypes.pointer(held.array[0])
        return held

    @staticmethod
    def _options(top, offset, filter, box, near, mode, candidates, tau, beta, lambda_, hubness) -> c.SearchOptions:
        for name, value in (("top", top), ("offset", offset), ("candidates", candidates or 0)):
            if not 0 <= value < 1 << 62:
                raise ValueError(f"{name} is {value}")
        options = c.SearchOptions()
        options.top, options.offset = top, offset
        options.filter, options.mode = (None if text is None else texts([text])[0] for text in (filter, mode))
        options.box, options.near = _doubles(box, 4, "box"), _doubles(near, 3, "near")
        for name, value in (("candidates", candidates), ("tau", tau), ("beta", beta), ("lambda_", lambda_), ("hubness", hubness)):
            if value is not None:
                if value < 0:
                    raise ValueError(f"{name} is {value}")
                setattr(options, name, value)
        return options

    def rerank(
        self, text: str, ids: Sequence[int], *, mode: str | None = None, tau: float | None = None, beta: float | None = None,
        lambda_: float | None = None, hubness: float | None = None,
    ) -> Results:
        """Candidates that another engine found, in the order of how well a sentence fits them; ids that the index does not have are left out."""
        given = np.ascontiguousarray(ids, np.int64)
        options = self._options(10, 0, None, None, None, mode, None, tau, beta, lambda_, hubness)
        answer = c.Handle()
        check(lib.ftf_rerank(self._handle, texts([text])[0], given.ctypes.data, given.size, options, answer))
        return self._results(answer, text)

    def __iter__(self) -> Iterator[Result]:
        """All images by id, page by page."""
        after = -1
        while True:
            answer = c.Handle()
            check(lib.ftf_index_items(self._handle, after, 1000, answer))
            page = self._results(answer, None)
            yield from page
            if len(page) < 1000:
                return
            after = page[-1].id

    def picture(self, id: int, text: str | None = None) -> np.ndarray:
        """u8[height, width, 3] of an image, about as large as the model sees it, with where a sentence was found laid over it."""
        pixels = c.Pixels()
        check(lib.ftf_index_picture(self._handle, id, None if text is None else texts([text])[0], pixels))
        try:
            return np.ctypeslib.as_array(pixels.pixels, (pixels.height, pixels.width, 3)).copy()
        finally:
            lib.ftf_pixels_free(pixels)

    def _results(self, answer: c.Handle, text: str | None) -> Results:
        try:
            found = [self._result(lib.ftf_answer_at(answer, i).contents, text) for i in range(lib.ftf_answer_count(answer))]
            return Results(found, lib.ftf_answer_times(answer))
        finally:
            lib.ftf_answer_free(answer)

    def _result(self, found: c.Result, text: str | None) -> Result:
        grid, attention = self._grid, None
        if found.attention:
            attention = np.frombuffer(bytearray(ctypes.string_at(found.attention, 4 * grid * grid)), np.float32).reshape(grid, grid)
        return Result(
            rank=found.rank, id=found.id, path=os.fsdecode(found.path), score=found.score, recall_score=found.recall_score,
            recall_rank=found.recall_rank, probability=None if math.isnan(found.probability) else found.probability,
            attributes=json.loads(found.attributes) if found.attributes else {}, geometry=json.loads(found.geometry) if found.geometry else None,
            window=tuple(found.window) if found.window[2] else None,
            attention=attention, _index=self, _text=text)


class Vectors:
    """An index to be searched by vectors, without a model: also one of vectors that were made elsewhere (``ftf index import``)."""

    def __init__(
        self, path: str | os.PathLike[str], *, filter: str | None = None, box: Sequence[float] | None = None, near: Sequence[float] | None = None,
        threads: int = 0,
    ):
        self._handle = c.Handle()
        condition = None if filter is None else texts([filter])[0]
        check(lib.ftf_vectors_open(
            encoded_path(path), condition, _doubles(box, 4, "box"), _doubles(near, 3, "near"), threads, self._handle))
        #: Length of every vector.
        self.dimension: int = lib.ftf_vectors_dimension(self._handle)

    def __del__(self):
        if handle := self.__dict__.get("_handle"):
            lib.ftf_vectors_close(handle)

    def __len__(self) -> int:
        return lib.ftf_vectors_count(self._handle)

    def search(self, queries: np.ndarray, top: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of each query f32[n, dimension] by the cosine, best first: ids i64[n, top] and scores f32[n, top]; -1 and 0 behind the last."""
        rows = np.ascontiguousarray(queries, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ValueError(f"queries are [n, {self.dimension}], not {list(rows.shape)}")
        if not 1 <= top < 1 << 31:
            raise ValueError(f"top is {top}")
        ids, scores = np.empty((len(rows), top), np.int64), np.empty((len(rows), top), np.float32)
        check(lib.ftf_vectors_nearest(self._handle, rows.ctypes.data, len(rows), top, ids.ctypes.data, scores.ctypes.data))
        return ids, scores
