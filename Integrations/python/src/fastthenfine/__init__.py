"""FastThenFine: finds overhead images by a sentence, a picture or a vector, on ordinary processors, and says where in them.

    import fastthenfine as ftf

    ftf.index("imagery", "archive.ftfindex", progress=True)
    for result in ftf.Index("archive.ftfindex").search("a bridge over a river", top=5):
        print(result.path, result.score)

Everything may be used from any number of threads; calls leave the interpreter's lock. After ``os.fork`` a child opens its own.
"""
from __future__ import annotations

from ._library import lib as _lib
from ._errors import Error, InputError
from ._model import Model
from ._search import Heat, Index, Result, Results, Vectors
from ._indexing import Summary, index, merge, set_attributes

__version__: str = _lib.ftf_version().decode()
__all__ = ["Error", "Heat", "Index", "InputError", "Model", "Result", "Results", "Summary", "Vectors", "index", "merge", "set_attributes"]
