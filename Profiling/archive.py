"""What is asked of a large archive costs: python3 archive.py FTF WORK [ITEMS...] [CHART.svg]. Makes an index of so many vectors (by default 150000 and 1000000) with
paths, attributes and footprints, as others publish them, asks what people ask, and writes times and peak memory as a table, and times against size as a
chart. Needs numpy and pyarrow. The vectors are random: this says what things cost, nothing of what is found."""
import colorsys
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

ftf, work, more = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
chart = more.pop() if more and more[-1].endswith(".svg") else None
sizes = [int(n) for n in more] or [150_000, 1_000_000]
work.mkdir(parents=True, exist_ok=True)
model, dimension = "Models/ftf-small.ftf", 384


def makes(body):
    """In a process of its own: whoever is started by a large one counts as large."""
    child = os.fork()
    if child == 0:
        body()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def square(lon, lat, side):
    ring = [(lon, lat), (lon + side, lat), (lon + side, lat + side), (lon, lat + side), (lon, lat)]
    return struct.pack("<BIII", 1, 3, 1, 5) + b"".join(struct.pack("<dd", *p) for p in ring)


def table(first, count, random):
    """Rows as a STAC GeoParquet with embeddings has them."""
    import numpy as np
    import pyarrow
    number = np.arange(first, first + count)
    vectors = pyarrow.FixedSizeListArray.from_arrays(random.normal(size=count * dimension).astype("f4"), dimension)
    lon, lat = random.uniform(-179, 178, count), random.uniform(-80, 79, count)
    day = random.integers(0, 3650, count)
    return pyarrow.table({
        "id": [f"/archive/region-{n % 97:02}/2024/tile-{n:08}.tif" for n in number], "embedding": vectors,
        "geometry": [square(*p, 0.01) for p in zip(lon, lat)], "year": 2015 + day // 365, "eo:cloud_cover": random.uniform(0, 100, count),
        "platform": np.array(["sentinel-2a", "sentinel-2b", "landsat-8", "planet"])[random.integers(0, 4, count)],
        "datetime": pyarrow.array(np.datetime64("2015-01-01", "s") + day.astype("timedelta64[D]")),
    })


def archive(items):
    import numpy as np
    import pyarrow.parquet
    np.save(work / "query.npy", np.random.default_rng(1).normal(size=(1, dimension)).astype("f4"))
    random = np.random.default_rng(items)
    with pyarrow.parquet.ParquetWriter(work / "vectors.parquet", table(0, 1, random).schema, compression="zstd") as writer:
        for first in range(0, items, 50_000): writer.write_table(table(first, min(50_000, items - first), random))


def said():
    """Attributes of all, a line each, of what was exported, and one more."""
    with open(work / "out" / "items.jsonl") as items, open(work / "attributes.jsonl", "w") as lines:
        for number, line in enumerate(items):
            item = json.loads(line)
            lines.write(json.dumps({"filename": item["path"], **item["attributes"], "batch": number % 50}) + "\n")


def run(*command):
    """Seconds, peak megabytes, and bytes that were read from the disk."""
    start = time.perf_counter()
    process = subprocess.Popen([ftf, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (command, errors[-500:])
    return time.perf_counter() - start, usage.ru_maxrss / 1024, usage.ru_inblock * 512 / 1e6


def cold(index):
    """The files of an index leave the cache."""
    for path in pathlib.Path(index).rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


figures = {}
for items in sizes:
    index, query = work / f"archive-{items}", work / "query.npy"
    makes(lambda: archive(items))
    shutil.rmtree(index, ignore_errors=True)
    asked = figures[items] = {}
    asked["import"] = run("index", "import", index, work / "vectors.parquet", "--model", model)
    ask = ("search", index, "--vectors", query, "--json")
    cold(index)
    asked["search, cold cache"] = run(*ask)
    asked["search, warm"] = min(run(*ask) for _ in range(3))
    say = ("search", index, "--text", "a bridge", "--json")
    cold(index)
    asked["a sentence, cold cache"] = run(*say)
    asked["a sentence, warm"] = min(run(*say) for _ in range(3))
    asked["a sentence, the best 10,000"] = min(run(*say, "--top", 10_000) for _ in range(2))
    asked["filter: year = 2020 (a tenth)"] = min(run(*ask, "--filter", "year = 2020") for _ in range(2))
    asked["filter: platform and a span of time"] = min(
        run(*ask, "--filter", "platform = 'landsat-8' and datetime >= '2019-01-01' and datetime < '2020-01-01'") for _ in range(2))
    asked["filter: path like '%region-4%7.tif'"] = min(run(*ask, "--filter", "path like '%region-4%7.tif'") for _ in range(2))
    asked["box that holds half"] = min(run(*ask, "--bbox=-179,-80,0,80") for _ in range(2))
    asked["intersects(box that holds half)"] = min(run(*ask, "--filter", "intersects(-179, -80, 0, 80)") for _ in range(2))
    asked["intersects(a polygon that holds a third)"] = min(
        run(*ask, "--filter", "intersects('POLYGON((-170 -70, 100 -70, -30 70, -170 -70))')") for _ in range(2))
    asked["the best 10,000"] = min(run(*ask, "--top", 10_000) for _ in range(2))
    for kind in ("parquet", "jsonl"):
        asked[f"export, {kind}"] = run("index", "export", index, work / "out", "--format", kind)
    makes(said)
    asked["attributes of all"] = run("index", index, "--attributes", work / "attributes.jsonl")
    asked["verify"] = run("index", "verify", index)
    (work / "vectors.parquet").unlink()

print("| asked | " + " | ".join(f"{n:,}: s, MB" for n in sizes) + " |\n|---|" + "---|" * len(sizes))
for name in figures[sizes[0]]:
    print(f"| {name} | " + " | ".join("{:.2f}, {:.0f}".format(*figures[n][name][:2]) for n in sizes) + " |")


def drawn():
    """Seconds against items, both by powers of ten: what costs the same everywhere lies flat, what reads everything climbs with the grey lines."""
    def x(n): return 60 + 420 * math.log(n / sizes[0]) / math.log(sizes[-1] / sizes[0])
    def y(seconds): return 340 - 75 * math.log10(max(seconds, 0.01) / 0.01)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 400" font-family="sans-serif" font-size="11">',
             '<rect width="820" height="400" fill="white"/>']
    for power in range(-2, 3):
        parts.append(f'<path d="M60 {y(10.0 ** power):.0f}H480" stroke="#eee"/><text x="54" y="{y(10.0 ** power) + 4:.0f}" text-anchor="end">{10.0 ** power:g} s</text>')
        end = y(10.0 ** power * sizes[-1] / sizes[0])
        if end > 20: parts.append(f'<path d="M60 {y(10.0 ** power):.0f}L480 {end:.0f}" stroke="#ddd" stroke-dasharray="3"/>')
    for n in sizes: parts.append(f'<text x="{x(n):.0f}" y="370" text-anchor="middle">{n:,}</text>')
    names, last = sorted(figures[sizes[0]], key=lambda name: -figures[sizes[-1]][name][0]), 0
    for i, name in enumerate(names):
        colour = "#{:02x}{:02x}{:02x}".format(*(int(200 * part) for part in colorsys.hsv_to_rgb(i / len(names), 0.8, 0.9)))
        points = " ".join(f"{x(n):.0f},{y(figures[n][name][0]):.1f}" for n in sizes)
        at = last = max(y(figures[sizes[-1]][name][0]) + 4, last + 13)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/><text x="490" y="{at:.0f}" fill="{colour}">{name}</text>')
    return "\n".join(parts + ["</svg>\n"])


if chart: pathlib.Path(chart).write_text(drawn())
