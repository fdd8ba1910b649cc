"""Whether the service speaks STAC and OGC API Features: python stac.py FTF WORK.

By stac-api-validator, pystac-client and GDAL, unchanged. The schemas of STAC lie elsewhere: what says no more than that they cannot be fetched is
left out. WORK is a folder that is made anew; the model has random weights.
"""
import json
import os
import re
import shutil
import subprocess
import sys

import pystac_client

from server import Server

ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(f"{work}/images")
os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def run(*command, **more): return subprocess.run(command, check=True, capture_output=True, text=True, **more)


for i in range(7):
    run("gdal_translate", "-q", "-of", "GTiff", "-a_srs", "EPSG:32632", "-a_ullr", str(500000 + 1000 * i), "5500000", str(500100 + 1000 * i), "5499900",
        f"{goldens}/images/rgb.jpg", f"{work}/images/s{i}.tif")
shutil.copy(f"{goldens}/images/grey.png", f"{work}/images/")
with open(f"{work}/known.jsonl", "w") as file:
    for i in range(7):
        known = {"filename": f"s{i}.tif", "datetime": f"2024-0{i + 1}-01T00:00:00Z", "cloud": i, "tags": ["a", f"b{i}"], "it's": i}
        file.write(json.dumps(known) + "\n")
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf", "--attributes", f"{work}/known.jsonl")

with Server(ftf, work) as server:
    def found(**asked):
        status, answer = server.call("/search", asked)
        assert status == 200, (asked, answer)
        return [item["properties"]["path"][-6:-4] for item in answer["features"]], answer
    bare = lambda **asked: sorted(found(limit=100, **asked)[0])
    first = server.call("/collections/index/items?limit=1")[1]["features"][0]
    assert found()[1]["numberMatched"] == 8 == server.call("/collections/index/items")[1]["numberMatched"]

    # Where.
    west, south, east, north = next(f for f in found(limit=100)[1]["features"] if f["properties"]["path"].endswith("s3.tif"))["bbox"]
    middle = {"type": "Point", "coordinates": [(west + east) / 2, (south + north) / 2]}
    assert bare(intersects=middle) == ["s3"] == bare(bbox=[west, south, east, north]) == bare(bbox=[west, south, -10, east, north, 100])
    line = {"type": "LineString", "coordinates": [[west - 0.015, (south + north) / 2], [east, (south + north) / 2]]}
    assert bare(intersects=line) == ["s2", "s3"], bare(intersects=line)
    hole = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    assert bare(intersects=hole) == []
    inside = {"op": "s_intersects", "args": [{"property": "geometry"}, middle]}
    assert bare(filter=inside) == ["s3"] == bare(filter=f"S_INTERSECTS(geometry, POINT({middle['coordinates'][0]} {middle['coordinates'][1]}))")
    assert server.call("/search?intersects=" + re.sub(" ", "", json.dumps(middle)).replace('"', "%22").replace("{", "%7B").replace("}", "%7D"))[1]["numberMatched"] == 1
    # When.
    assert bare(datetime="2024-02-01T00:00:00Z/2024-04-01T00:00:00Z") == ["s1", "s2", "s3"] == bare(datetime="2024-02-01T01:00:00+01:00/2024-04-01")
    assert bare(datetime="2024-03-01T00:00:00.000z") == ["s2"] and bare(datetime="2024-06-15T00:00:00Z/..") == ["s6"] == bare(datetime="2024-06-15T00:00:00Z/")
    after = {"op": "t_after", "args": [{"property": "datetime"}, {"timestamp": "2024-06-01T00:00:00Z"}]}
    assert bare(filter=after) == ["s6"] == bare(filter="datetime > TIMESTAMP('2024-06-01T00:00:00Z')", **{"filter-lang": "cql2-text"})
    # What.
    for text, tree, right in (
            ("cloud in (1, 2)", {"op": "in", "args": [{"property": "cloud"}, [1, 2]]}, ["s1", "s2"]),
            ("cloud between 4 and 5", {"op": "between", "args": [{"property": "cloud"}, 4, 5]}, ["s4", "s5"]),
            ("path like '%s5%'", {"op": "like", "args": [{"property": "path"}, "%s5%"]}, ["s5"]),
            ("cloud is null", {"op": "isNull", "args": [{"property": "cloud"}]}, ["ey"]),
            ("a_contains(tags, ('a', 'b3'))", {"op": "a_contains", "args": [{"property": "tags"}, ["a", "b3"]]}, ["s3"]),
            ("not cloud > 1 and cloud is not null", {"op": "and", "args": [{"op": "not", "args": [{"op": ">", "args": [{"property": "cloud"}, 1]}]}, {
                "op": "not", "args": [{"op": "isNull", "args": [{"property": "cloud"}]}]}]}, ["s0", "s1"]),
            ("\"it's\" = 4", {"op": "=", "args": [{"property": "it's"}, 4]}, ["s4"]),
            ("collection = 'index' and cloud = 0", {"op": "and", "args": [{"op": "=", "args": [{"property": "collection"}, "index"]}, {
                "op": "=", "args": [{"property": "properties.cloud"}, 0]}]}, ["s0"])):
        assert bare(filter=text) == right == bare(filter=tree, **{"filter-lang": "cql2-json"}), (text, bare(filter=text))
    # In which order, which part, which of them.
    order = found(sortby=[{"field": "properties.cloud", "direction": "desc"}], limit=4)
    assert order[0] == ["s6", "s5", "s4", "s3"]
    link = next(link for link in order[1]["links"] if link["rel"] == "next")
    assert [f["properties"]["path"][-6:-4] for f in server.call("/search", link["body"])[1]["features"]] == ["s2", "s1", "s0", "ey"]
    assert server.call("/search?sortby=-datetime,id&limit=2")[1]["features"][0]["properties"]["cloud"] == 6
    some = server.call("/search", {"fields": {"include": ["properties.cloud"], "exclude": ["links"]}, "filter": "cloud = 3"})[1]["features"][0]
    assert set(some) == {"type", "id", "collection", "stac_version", "properties"} and some["properties"] == {"cloud": 3}, some
    assert "geometry" not in server.call("/search?fields=-geometry,-properties.path")[1]["features"][0]
    ids = [f["id"] for f in found(limit=100)[1]["features"]]
    assert found(ids=ids, datetime="2024-02-01T00:00:00Z/2024-02-02T00:00:00Z")[0] == ["s1"], "ids with the rest"
    page = server.call("/search?limit=3&filter=cloud+%3E+-1")[1]
    assert page["numberMatched"] == 7 and page["numberReturned"] == 3
    assert {"self", "root", "next"} <= {link["rel"] for link in page["links"]}
    following = next(link["href"] for link in page["links"] if link["rel"] == "next").removeprefix(server.url)
    assert server.call(following)[1]["features"][0]["properties"]["cloud"] == 3
    scene = next(f for f in found(limit=100)[1]["features"] if f["properties"]["path"].endswith("s0.tif"))
    asset = scene["assets"]["original"]
    assert asset["proj:epsg"] == 32632 and asset["type"].startswith("image/tiff") and asset["proj:shape"] and asset["proj:transform"][2] == 500000
    assert {"cloud", "datetime", "tags"} - {"tags"} <= set(server.call("/collections/index/queryables")[1]["properties"])
    for path in ("/search?limt=3", "/search?limit=x", "/search?limit=-1", "/search?bbox=1,2,3", "/search?bbox=a,b,c,d", "/search?intersects=x", "/search?sortby=",
                 "/collections/index/items?nothing=1", "/conformance?a=1", "/search?filter-lang=cql2-json&filter=%7B"):
        status = server.call(path)[0]
        assert status == 400 or path.endswith("sortby=") and status == 200, (path, status)

    # Clients.
    client = pystac_client.Client.open(server.url)
    searched = client.search(filter={"op": "<", "args": [{"property": "cloud"}, 3]}, sortby="-properties.cloud", fields=["properties.cloud", "id"], limit=2)
    assert searched.matched() == 3 and [item["properties"]["cloud"] for item in searched.items_as_dicts()] == [2, 1, 0]
    assert [i.id for i in client.search(intersects=middle).items()] == [i.id for i in client.search(filter="cloud = 3", filter_lang="cql2-text", method="GET").items()]
    assert client.get_collection("index").get_item(first["id"]).id == first["id"]
    assert "cloud" in client.get_collection("index").get_queryables()["properties"]
    listed = run("ogrinfo", "-ro", "-al", "-so", f"OAPIF:{server.url}").stdout
    assert re.search(r"Feature Count: 8", listed) and "Layer name: index" in listed, listed
    near = run("ogrinfo", "-ro", "-al", "-so", "-spat", str(west), str(south), str(east), str(north), f"OAPIF:{server.url}").stdout
    assert re.search(r"Feature Count: 1\b", near), near
    mosaic = run("gdalinfo", f'STACIT:"{server.url}/collections/index/items?filter=cloud+is+not+null&limit=100":asset=original').stdout
    assert 'ID["EPSG",32632]' in mosaic and re.search(r"Size is (\d+), (\d+)", mosaic), mosaic
    assert int(re.search(r"Size is (\d+)", mosaic)[1]) > 5000, mosaic
    validator = os.path.join(os.path.dirname(sys.executable), "stac-api-validator")
    shape = {"type": "Polygon", "coordinates": [[[8, 49], [10, 49], [10, 51], [8, 51], [8, 49]]]}
    classes = ["core", "collections", "features", "item-search", "filter"]
    said = subprocess.run([validator, "--root-url", server.url + "/", *sum([["--conformance", c] for c in classes], []), "--collection", "index", "--geometry",
                           json.dumps(shape)], capture_output=True, text=True, timeout=300)
    assert "Warnings" in said.stdout + said.stderr, said.stderr[-2000:]
    errors = (said.stdout + said.stderr).split("Errors:")[-1].split("\n- ") if "Errors:" in said.stdout + said.stderr else []
    errors = [e.strip() for e in errors[1:] if "schemas.stacspec.org" not in e and "failed stac-validator" not in e]
    assert not errors, "\n".join(errors)
print("stac-api-validator, pystac-client and GDAL find what they should, and nothing that they should not")
