"""Whether the programs that people have read what `ftf index export` writes: python check.py FTF WORK.

FTF is the command, WORK a folder that is made anew. Two scenes, one of them over the antimeridian, and a picture without a place.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

import duckdb
import geopandas
import numpy as np
import pyarrow
import pyarrow.parquet

ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(f"{work}/scenes")


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


for name, system, corners in (("utm", "EPSG:32632", (500000, 5500000, 500100, 5499900)),
                              ("fiji", "EPSG:32760", (814000, 8000000, 824000, 7990000))):
    run("gdal_translate", "-q", "-of", "GTiff", "-a_srs", system, "-a_ullr", *map(str, corners),
        f"{goldens}/images/rgb.jpg", f"{work}/scenes/{name}.tif")
shutil.copy(f"{goldens}/images/exact.png", f"{work}/scenes/nowhere.png")
item = dict(type="Feature", stac_version="1.0.0", id="one", collection="c", assets={}, geometry=None,
            properties={"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 12.5, "id": "x", "cloudy": False, "tags": ["a"]})
with open(f"{work}/scenes/utm.json", "w") as file: json.dump(item, file)
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
run(ftf, "index", f"{work}/index", f"{work}/scenes", "--window", "40", "--model", f"{work}/tiny.ftf")
for form in ("jsonl", "csv", "geojson", "gpkg", "parquet"): run(ftf, "index", "export", f"{work}/index", work, "--format", form)

vectors = np.load(f"{work}/vectors.npy")
with open(f"{work}/items.jsonl") as file: lines = [json.loads(line) for line in file]
count = len(lines)
assert count > 10 and vectors.shape[0] == count

table = pyarrow.parquet.read_table(f"{work}/items.parquet")
assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.field("element", pyarrow.float32(), nullable=False), vectors.shape[1])
assert table.num_rows == count and {b"geo", b"stac-geoparquet", b"emb"} <= set(table.schema.metadata)
stored = {int(i): np.array(v, np.float32) for i, v in zip(table["id"].to_pylist(), table["embedding"].to_pylist())}
for line, vector in zip(lines, vectors): assert (stored[line["id"]] == vector).all(), "vectors are joined by id"
rows = {int(row["id"]): row for row in table.to_pylist()}
for line in lines:
    row = rows[line["id"]]
    assert row["path"] == line["path"] and (row["window"]["x"] is None) == ("window" not in line)
    if "utm" in line["path"]:
        assert row["datetime"].isoformat() == "2024-06-01T10:00:00+00:00" and row["eo:cloud_cover"] == 12.5
        assert row["collection"] == "c" and row["attributes.id"] == "one" and row["cloudy"] is False and row["tags"] == '["a"]'
        assert abs(row["centre_lon"] - 9) < 0.01 and row["bbox"]["xmin"] < row["centre_lon"] < row["bbox"]["xmax"]
    elif "nowhere" in line["path"]:
        assert row["geometry"] is None and row["bbox"]["xmin"] is None and row["datetime"] is None

over = [row for row in rows.values() if row["bbox"]["xmin"] is not None and row["bbox"]["xmin"] > row["bbox"]["xmax"]]
assert over and all(abs(row["centre_lon"]) > 179 for row in over), "windows over the antimeridian"

frame = geopandas.read_parquet(f"{work}/items.parquet")
assert len(frame) == count and frame.crs == "OGC:CRS84" and frame[frame.geometry.notna()].is_valid.all()
assert set(frame[frame.geometry.notna()].geom_type) == {"Polygon", "MultiPolygon"}
# What datasets of embeddings make of a row (TorchGeo's for Clay and for Major TOM): a vector, a place and a time.
for _, row in frame[frame["timestamp"].notna()].iterrows():
    assert row["embedding"].dtype == np.float32 and row["embedding"].shape == (vectors.shape[1],)
    assert row["geometry"].contains(row["geometry"].centroid) and row["datetime"] == row["timestamp"]
    assert row["timestamp"].timestamp() == 1717236000 and abs(row["geometry"].centroid.x - row["centre_lon"]) < 1e-3
assert frame["timestamp"].notna().sum() == sum("utm" in line["path"] for line in lines)
for form in ("geojson", "gpkg"):
    other = geopandas.read_file(f"{work}/items.{form}")
    assert len(other) == count and other.geometry.isna().sum() == frame.geometry.isna().sum(), form

with duckdb.connect() as base:
    near = base.execute(f"select count(*) from '{work}/items.parquet' where bbox.xmin between 8 and 10").fetchone()[0]
    assert near == sum("utm" in line["path"] for line in lines)
    assert base.execute(f"select min(len(embedding)), max(len(embedding)) from '{work}/items.parquet'").fetchone() == (vectors.shape[1],) * 2

# Items as others write them, in each of the ways that are usual: an attribute of each is searched by.
for way in (dict(), dict(compression="zstd", data_page_version="2.0"), dict(compression="none", use_dictionary=False),
            dict(row_group_size=2, use_deprecated_int96_timestamps=True)):
    folder = f"{work}/table"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/deeper")
    shutil.copy(f"{work}/scenes/utm.tif", f"{folder}/a.tif")
    shutil.copy(f"{work}/scenes/utm.tif", f"{folder}/deeper/b.tif")
    moment = np.datetime64("2024-06-01T10:00:00.250", "us")
    rows = [dict(id="a", type="Feature", stac_version="1.0.0", datetime=moment.item(), geometry=b"", links=[dict(href="x", rel="self")],
                 assets=dict(image=dict(href="https://example.org/a.tif", roles=["data"])), platform="one", **{"eo:cloud_cover": 3}),
            dict(id="nobody", type="Feature", stac_version="1.0.0", datetime=None, geometry=None, links=[],
                 assets=dict(image=dict(href="gone.tif", roles=[])), platform=None, **{"eo:cloud_cover": 99}),
            dict(id="c", type="Feature", stac_version="1.0.0", datetime=None, geometry=None, links=None,
                 assets=dict(image=dict(href="./deeper/b.tif", roles=None)), platform="two", **{"eo:cloud_cover": None})]
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table.set_column(
        3, "datetime", table["datetime"].cast(pyarrow.timestamp("us", "UTC"))), f"{folder}/items.parquet", **way)
    with open(f"{folder}/broken.parquet", "wb") as file: file.write(b"PAR1 and nothing else PAR1")
    shutil.rmtree(f"{work}/of", ignore_errors=True)
    said = subprocess.run([ftf, "index", f"{work}/of", folder, "--model", f"{work}/tiny.ftf"], check=True, capture_output=True, text=True).stderr
    assert said.count("broken.parquet") == 1, said
    run(ftf, "index", "export", f"{work}/of", work, "--format", "jsonl")
    with open(f"{work}/items.jsonl") as file: found = {line["path"]: line["attributes"] for line in map(json.loads, file)}
    a, b = found[f"{folder}/a.tif"], found[f"{folder}/deeper/b.tif"]
    assert a["platform"] == "one" and a["eo:cloud_cover"] == 3 and a["datetime"] == "2024-06-01T10:00:00.250Z", a
    assert b["platform"] == "two" and "eo:cloud_cover" not in b and b["id"] == "c", b

# Vectors as others publish them, a list a row of any kind, are found in the order of their cosines.
random = np.random.default_rng(7)
vectors = random.normal(size=(900, 48)).astype("f4")
truth = np.argsort(-(vectors[:9] / np.linalg.norm(vectors[:9], axis=1, keepdims=True)) @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T)
np.save(f"{work}/asked.npy", vectors[:9])
for kind in (pyarrow.list_(pyarrow.float32(), 48), pyarrow.list_(pyarrow.float32()), pyarrow.list_(pyarrow.float64())):
    for way in (dict(), dict(compression="zstd", data_page_version="2.0", row_group_size=250), dict(compression="none", use_dictionary=False)):
        rows = pyarrow.array(list(vectors.astype("f8") if kind.value_type == pyarrow.float64() else vectors), type=kind)
        pyarrow.parquet.write_table(pyarrow.table({"id": [f"tile {i}" for i in range(900)], "embedding": rows}), f"{work}/vectors.parquet", **way)
        shutil.rmtree(f"{work}/vectors", ignore_errors=True)
        run(ftf, "index", "import", f"{work}/vectors", f"{work}/vectors.parquet")
        run(ftf, "search", f"{work}/vectors", "--vectors", f"{work}/asked.npy", "--top", "5", "-o", f"{work}/found.npy", "--json")
        found = np.load(f"{work}/found.npy")
        assert found.dtype == np.int64 and (found == truth[:, :5] + 1).all(), found
# Where they lie and what is known of them comes along.
place = pyarrow.array([struct.pack("<BIII", 1, 3, 1, 5) + b"".join(struct.pack("<dd", x / 10 + dx, dy) for dx, dy in
                       ((0, 0), (0.01, 0), (0.01, 0.01), (0, 0.01), (0, 0))) for x in range(900)], type=pyarrow.binary())
pyarrow.parquet.write_table(pyarrow.table({"id": [f"tile {i}" for i in range(900)], "embedding": list(vectors), "geometry": place,
                                           "year": [2000 + i % 20 for i in range(900)]}), f"{work}/vectors.parquet")
shutil.rmtree(f"{work}/vectors", ignore_errors=True)
run(ftf, "index", "import", f"{work}/vectors", f"{work}/vectors.parquet")
for limits, holds in ((["--filter", "year = 2003"], lambda i: i % 20 == 3), (["--bbox", "10.005,-1,20,1"], lambda i: 100 <= i <= 200),
                      (["--filter", "year > 2009 and intersects(-1, 0.002, 5, 3)"], lambda i: i <= 50 and i % 20 > 9)):
    run(ftf, "search", f"{work}/vectors", "--vectors", f"{work}/asked.npy", "--top", "900", "-o", f"{work}/found.npy", "--json", *limits)
    for row, asked in zip(np.load(f"{work}/found.npy"), vectors[:9].astype("f8")):
        row = row[row > 0] - 1
        assert set(row) == set(i for i in range(900) if holds(i)), limits
        cosines = vectors[row] @ asked / np.linalg.norm(vectors[row].astype("f8"), axis=1) / np.linalg.norm(asked)
        assert (np.diff(cosines) < 2e-5).all(), limits
# And what is exported is imported again.
run(ftf, "index", "export", f"{work}/vectors", f"{work}/again", "--format", "parquet")
run(ftf, "index", "import", f"{work}/twice", f"{work}/again/items.parquet")

with open(f"{work}/items.csv", newline="") as file: header = file.readline().strip().split(",")
assert len(set(header)) == len(header), "columns are unique"
print(f"{count} items read by pyarrow {pyarrow.__version__}, DuckDB {duckdb.__version__} and GeoPandas {geopandas.__version__}")
