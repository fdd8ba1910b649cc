from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import sys
import threading
import time
from typing import Any, Callable, Iterable, Mapping

from . import _library as c
from ._errors import check
from ._library import lib
from ._model import Model, encoded_path, texts

_BEGINS, _ENCODED, _SKIPPED, _WARNED = range(4)


@dataclasses.dataclass
class Summary:
    """What was done: files that were encoded and stored; that had not changed; that could not be read now, or before; that were taken out and stay
    away; windows of scenes; images that were found under another path; that are gone; what could not be seen."""

    indexed: int
    unchanged: int
    failed: int
    known_bad: int
    set_aside: int
    windows: int
    empty_windows: int
    moved: int
    removed: int
    unseen: int
    problems: list[str]  #: a line each, with the file and what is wrong with it


class _Bar:
    """tqdm's bar where that is installed, else a line a second."""

    def __init__(self):
        self.total = self.done = 0
        self.began = self.said = time.monotonic()
        try:
            from tqdm.auto import tqdm
            self.bar = tqdm(unit="image")
        except ImportError:
            self.bar = None

    def begins(self, count: int) -> None:
        self.total += count
        if self.bar is not None:
            self.bar.total = self.total
            self.bar.refresh()

    def encoded(self, count: int) -> None:
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif (now := time.monotonic()) - self.said >= 1:
            self.said, rate = now, self.done / (now - self.began)
            print(f"{self.done} of {self.total} images, {rate:.0f}/s, {(self.total - self.done) / rate:.0f} s left", file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def index(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], out: str | os.PathLike[str], *, model: Model | None = None,
    views: int | None = None, reread: str = "changed", shard: tuple[int, int] | None = None, ground: float | None = None,
    overlap: float | None = None, patches: str | None = None, progress: bool | Callable[[int, int], None] = False,
) -> Summary:
    """Indexes files, and folders with all below them, into the folder ``out``: new and changed ones; what was interrupted is gone on with.

    ``views``: 1, 2, 4 or 8 symmetries of each picture, whose vectors are averaged. ``reread``: ``"changed"``, ``"failed"`` or ``"all"``. ``shard``:
    (i, n), the share of the files that is read. ``ground``, ``overlap``: metres of a window of a scene, and the share by which windows overlap.
    ``patches``: what is kept of them, ``"none"`` (recall alone answers), ``"pooled"`` (a third of the room) or ``"int8"`` (all); ``None`` for what the
    index has, or all. ``progress``: a bar, or a function of how many are done and how many there are. Ctrl-C ends it; what is stored stays.
    """
    given = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    options = c.IndexOptions()
    options.views = views or 0
    options.rereading = ("changed", "failed", "all").index(reread)
    if shard is not None:
        options.shard, options.shards = shard
    if ground is not None:
        options.ground = ground
    if overlap is not None:
        options.overlap = overlap
    if patches is not None:
        options.patches = 1 + ("none", "pooled", "int8").index(patches)
    bar = _Bar() if progress is True else None
    counts, problems, stops, raised = [0, 0], [], threading.Event(), []

    def hear(_, event: int, count: int, line: bytes | None) -> int:
        try:
            if event in (_SKIPPED, _WARNED):
                problems.append((line or b"").decode(errors="replace"))
            else:
                counts[event] += count
                if bar is not None:
                    (bar.begins if event == _BEGINS else bar.encoded)(count)
                elif callable(progress):
                    progress(counts[1], counts[0])
        except BaseException as error:  # it cannot pass through C
            raised.append(error)
            stops.set()
        return int(stops.is_set())

    summary, failed, ended = c.IndexSummary(), [], threading.Event()

    def work() -> None:
        try:
            paths = texts(encoded_path(path) for path in given)
            check(lib.ftf_index_add(
                encoded_path(out), model and model._handle, paths, len(paths), options, c.Progress(hear), None, summary))
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    # In a thread of its own, so that this one hears Ctrl-C; which it must not do in join, after which a thread that goes on counts as ended.
    threading.Thread(target=work).start()
    try:
        while not ended.wait(0.1):
            pass
    except BaseException:
        stops.set()
        ended.wait()
        raise
    finally:
        if bar is not None:
            bar.close()
    for error in raised + failed:
        raise error
    return Summary(**{name: getattr(summary, name) for name in c.SUMMARY}, problems=problems)


def set_attributes(index: str | os.PathLike[str], attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Stores what is known of images, for filters and results, in place of what was; all or nothing.

    ``attributes``: of each file name, or as much of the end of its path as tells it from others. Returns how many of the names are no image's, or
    several's.
    """
    names = texts(os.fsencode(name) for name in attributes)
    objects = texts(json.dumps(dict(values), default=str, allow_nan=False) for values in attributes.values())
    unused = ctypes.c_size_t()
    check(lib.ftf_index_set_attributes(encoded_path(index), names, objects, len(names), unused))
    return unused.value


def merge(into: str | os.PathLike[str], parts: Iterable[str | os.PathLike[str]]) -> int:
    """Takes over what other indexes of one model hold, without encoding anything; of files that several have the newer counts. What is interrupted is
    gone on with, and twice is once. Returns how many files were taken over."""
    paths, merged = texts(encoded_path(part) for part in parts), ctypes.c_size_t()
    check(lib.ftf_index_merge(encoded_path(into), paths, len(paths), merged))
    return merged.value
