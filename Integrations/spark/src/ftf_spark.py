"""FastThenFine on Spark: an archive is indexed in parts and merged, columns are encoded, and tables of vectors are searched.

    import ftf_spark

    ftf_spark.index(spark, "/shared/imagery", "/shared/archive.ftfindex")
    vectors = ftf_spark.embed(spark.table("tiles"), "path")
    ftf_spark.search(vectors, "a bridge over a river", top=10).show()

The wheel `fastthenfine` is installed where Python runs for Spark, on the driver and on every worker. Folders are such as all of them see.
"""
from __future__ import annotations

import os
import pathlib
import shutil
import time
from typing import Any, Iterable, Iterator

import fastthenfine as ftf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

_model: tuple[Any, ftf.Model] | None = None


def _loaded(path: str | None, threads: int) -> ftf.Model:
    """One model a worker's process, whatever it is asked for."""
    global _model
    if _model is None or _model[0] != (path, threads):
        _model = (path, threads), ftf.Model(path, threads=threads)
    return _model[1]


# ---- Indexing


def index(
    spark: SparkSession, images: str | Iterable[str], out: str, *, parts: int | None = None, work: str | None = None, model: str | None = None,
    threads: int = 1, keep_parts: bool = False, **options: Any,
) -> int:
    """Indexes folders and files into the index `out`, by tasks of Spark: each makes a part, and the driver merges them.

    `images`: one or several. `parts`: tasks; by default twice what runs at once. `work`: where the parts lie until they are merged, by default beside
    `out`. `threads`: of a task, as `spark.task.cpus` has it. The rest are options of `fastthenfine.index`.

    Which part a file is in follows from its name alone, so that a task that is tried again, on whatever worker, goes on where the last one was killed.
    A part gets its name when it is complete; those that are complete are not made again, and nothing is merged before all are. A run that ended is
    gone on with by the same call. Returns how many files were taken into `out`.
    """
    given = [images] if isinstance(images, str) else list(images)
    work = work or out.rstrip("/") + ".parts"
    os.makedirs(work, exist_ok=True)
    count = _count(work, parts or 2 * spark.sparkContext.defaultParallelism)
    names = [os.path.join(work, f"part-{i:05}-of-{count:05}") for i in range(1, count + 1)]
    # What Spark says a task did may be lost with the worker that said it; what counts is what lies in `work`.
    for _ in range(3):
        missing = [i for i in range(1, count + 1) if not os.path.exists(names[i - 1])]
        if not missing: break
        make = _part_maker(given, work, count, model, threads, options)
        spark.sparkContext.parallelize(missing, len(missing)).foreach(make)
    lost = [name for name in names if not os.path.exists(name)]
    if lost: raise RuntimeError(f"{len(lost)} parts are not complete, the first {lost[0]}: run it again, and it goes on")
    merged = ftf.merge(out, names)
    if not keep_parts: shutil.rmtree(work)
    return merged


def _count(work: str, wanted: int) -> int:
    """As many parts as an earlier run began with: files would lie in others."""
    place = os.path.join(work, "parts")
    try:
        with open(place, "x") as file: file.write(str(wanted))
        return wanted
    except FileExistsError:
        with open(place) as file: return int(file.read())


def _part_maker(images: list[str], work: str, count: int, model: str | None, threads: int, options: dict[str, Any]):
    def make(i: int) -> None:
        name = os.path.join(work, f"part-{i:05}-of-{count:05}")
        partial = name + ".partial"
        for _ in range(600):
            if os.path.exists(name): return
            try:
                done = ftf.index(images, partial, model=_loaded(model, threads), shard=(i, count), **options)
            except ftf.Error as error:
                # Another attempt at the same part, which may yet be killed.
                if error.code != "locked": raise
                time.sleep(1)
                continue
            if done.unseen: raise RuntimeError("; ".join(done.problems))
            os.rename(partial, name)
            return
        raise RuntimeError(f"{partial}: another process has been writing it for ten minutes")
    return make


# ---- Encoding


def embed(df: DataFrame, column: str, *, output: str = "embedding", text: bool = False, model: str | None = None, views: int = 1, threads: int = 1) -> DataFrame:
    """The table with the vectors of a column, array<float>, and what is wrong with those that could not be read in `output`_error.

    `column`: paths, or bytes of files (binary); with `text` sentences.
    """
    schema = StructType(df.schema.fields + [StructField(output, ArrayType(FloatType(), False)), StructField(f"{output}_error", StringType())])

    def encode(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow
        engine = _loaded(model, threads)
        for batch in batches:
            vectors, errors = _encoded(engine, batch.column(column).to_pylist(), text, views)
            arrays = batch.columns + [pyarrow.array(vectors, pyarrow.list_(pyarrow.float32())), pyarrow.array(errors, pyarrow.string())]
            yield pyarrow.RecordBatch.from_arrays(arrays, names=batch.schema.names + [output, f"{output}_error"])
    return df.mapInArrow(encode, schema)


def _encoded(engine: ftf.Model, values: list[Any], text: bool, views: int) -> tuple[list[Any], list[str | None]]:
    """Vectors in order, nothing for what is null or cannot be read."""
    import numpy as np
    there = [i for i, value in enumerate(values) if value is not None]
    vectors: list[Any] = [None] * len(values)
    errors: list[str | None] = [None] * len(values)
    if not there: return vectors, errors
    given = [values[i] for i in there]
    found = engine.encode_text(given) if text else engine.encode([pathlib.Path(v) if isinstance(v, str) else v for v in given], views=views, errors="nan")
    for i, row in zip(there, found):
        if not np.isnan(row[0]): vectors[i] = row
        else:
            try: engine.encode(pathlib.Path(values[i]) if isinstance(values[i], str) else values[i])
            except ftf.Error as error: errors[i] = str(error)
    return vectors, errors


# ---- Searching


def search(df: DataFrame, query: Any, top: int = 10, *, column: str = "embedding", score: str = "score", model: str | None = None) -> DataFrame:
    """The rows whose vectors are nearest to a sentence, a picture (a `pathlib.Path`, bytes, PIL, an array) or a vector, best first, with the cosine.

    The table may be larger than any machine: each task keeps its best. Reranking by patches needs an index that has them: `fastthenfine.Index.rerank`.
    """
    import numpy as np
    if isinstance(query, str): vector = _loaded(model, 1).encode_text(query)
    elif isinstance(query, np.ndarray) and query.ndim == 1: vector = query.astype(np.float32)
    else: vector = _loaded(model, 1).encode(query)
    vector = vector / np.linalg.norm(vector)
    schema = StructType(df.schema.fields + [StructField(score, FloatType())])

    def best(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow
        import pyarrow.compute
        kept = None
        for batch in batches:
            vectors = batch.column(column)
            batch = batch.filter(vectors.is_valid())
            if batch.num_rows == 0: continue
            rows = batch.column(column).flatten().to_numpy().reshape(batch.num_rows, -1)
            scores = rows @ vector / np.maximum(np.linalg.norm(rows, axis=1), np.finfo(np.float32).tiny)
            batch = pyarrow.RecordBatch.from_arrays(batch.columns + [pyarrow.array(scores.astype(np.float32))], names=batch.schema.names + [score])
            kept = pyarrow.Table.from_batches([batch]) if kept is None else pyarrow.concat_tables([kept, pyarrow.Table.from_batches([batch])])
            if kept.num_rows > 4 * top: kept = kept.take(pyarrow.compute.select_k_unstable(kept, top, [(score, "descending")]))
        if kept is not None:
            yield from kept.take(pyarrow.compute.select_k_unstable(kept, top, [(score, "descending")])).to_batches()
    return df.mapInArrow(best, schema).orderBy(F.desc(score)).limit(top)
