"""Whether the service is what clients, a team and a bad day need: python check.py FTF WORK.

FTF is the command, WORK a folder that is made anew. The clients are the published ones, unchanged; the model has random weights, which find
nothing but prove the way.
"""
import base64
import concurrent.futures
import csv
import faulthandler
import importlib.util
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.error

import pyarrow.parquet

from server import Server

# Whatever hangs is named.
faulthandler.dump_traceback_later(600, exit=True)
ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(f"{work}/images")


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def clip_client():
    """The client alone: its package as a whole would load what trains models."""
    package = importlib.util.find_spec("clip_retrieval").submodule_search_locations[0]
    specification = importlib.util.spec_from_file_location("clip_client", f"{package}/clip_client.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


for name in os.listdir(f"{goldens}/images"): shutil.copy(f"{goldens}/images/{name}", f"{work}/images/{name}")
hostile = ['<script>alert(1)</script>.png', '"quotes" & \'more\'.png', "\u202egnp.txt \U0001f6f0.png"]
for name in hostile: shutil.copy(f"{goldens}/images/exact.png", f"{work}/images/{name.replace('/', '_')}")
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf")
count = len(os.listdir(f"{work}/images"))
lines = [json.dumps({"filename": "rgb.jpg", "datetime": "2024-06-01T00:00:00Z", "lon": 13.4, "lat": 52.5, "year": 2024, "wide": 1e308}),
         json.dumps({"filename": "grey.png", "wide": -1e308})]
with open(f"{work}/known.jsonl", "w") as file: file.write("\n".join(lines))
run(ftf, "index", f"{work}/index", f"{work}/images", "--attributes", f"{work}/known.jsonl")
said = json.loads(subprocess.run([ftf, "search", f"{work}/index", "--text", "a river", "--top", "5", "--json"], capture_output=True).stdout)

with Server(ftf, work) as server:
    # What it answers is what the command answers.
    status, answer = server.call("/v1/search", {"text": "a river", "top": 5})
    assert status == 200 and [r["id"] for r in answer["results"]] == [r["id"] for r in said["results"]]
    assert [r["score"] for r in answer["results"]] == [r["score"] for r in said["results"]]
    first = answer["results"][0]["id"]
    with open(f"{work}/images/rgb.jpg", "rb") as file: picture = file.read()
    encoded = base64.b64encode(picture).decode()
    same = [server.call("/v1/search", {"image": image, "top": 1})[1]["results"][0] for image in (encoded, "data:image/jpeg;base64," + encoded)]
    same.append(server.call("/v1/search?top=1", picture, Content_Type="image/jpeg")[1]["results"][0])
    assert len({r["id"] for r in same}) == 1 and same[0]["recall_score"] > 0.99, "a picture finds itself, however it is sent"
    rgb = server.call("/v1/search", {"text": "a", "filter": "path like '%/rgb.jpg'"})[1]["results"][0]["id"]
    alike = server.call("/v1/search", {"id": rgb, "top": 3})[1]["results"]
    assert len(alike) == 3 and all(r["id"] != rgb for r in alike) and [r["rank"] for r in alike] == [1, 2, 3]
    best = [r["id"] for r in answer["results"]]
    without = server.call("/v1/search", {"text": "a river", "top": 5, "unlike": best[:1]})[1]["results"]
    assert best[0] not in [r["id"] for r in without] and len(without) == 5 and [r["rank"] for r in without] == [1, 2, 3, 4, 5]
    assert server.call("/v1/search", {"text": "a river", "unlike": [99999]})[0] == 422
    attributes = {a["name"]: a for a in server.call("/v1/attributes")[1]["attributes"]}
    assert attributes["wide"]["least"] == -1e308 and attributes["year"]["most"] == 2024 and not attributes["wide"]["histogram"]
    only = server.call("/v1/search", {"text": "a", "filter": "year = 2024"})[1]["results"]
    assert [r["id"] for r in only] == [rgb]

    # Several examples at once, with signs and weights.
    def order(examples, **more): return [r["id"] for r in server.call("/v1/search", {"examples": examples, "top": 100, **more})[1]["results"]]
    alone = [r["id"] for r in server.call("/v1/search", {"text": "a river", "recall_only": True, "top": 100})[1]["results"]]
    # Of pictures that are the same the first id comes first, whichever way.
    assert order([{"text": "a river"}]) == order([{"text": "a river", "weight": 3}]) == alone
    assert order([{"text": "a river", "weight": -1}])[0] in alone[-4:], (alone, order([{"text": "a river", "weight": -1}]))
    assert order([{"id": rgb}]) == [r["id"] for r in server.call("/v1/search", {"id": rgb, "top": 100})[1]["results"]]
    both = order([{"text": "a river"}, {"id": rgb, "weight": 0.5}, {"image": encoded, "weight": -0.25}])
    assert len(both) == count - 1 and rgb not in both
    for wrong in ([], [{}], [{"text": "a", "id": 1}], [{"id": 99999}], [{"text": "a", "weight": 1e9}], [{"text": "a", "sign": 1}], "a", [{"text": "a"}] * 65):
        assert server.call("/v1/search", {"examples": wrong})[0] == 422, wrong
    told = json.loads(subprocess.run([ftf, "search", f"{work}/index", "--text", "a river", "--like", f"{rgb}:0.5", "--top", "100", "--json"],
                                     capture_output=True, check=True).stdout)["results"]
    assert [r["id"] for r in told] == order([{"text": "a river"}, {"id": rgb, "weight": 0.5}])

    # Page by page, and all at once.
    whole = server.call("/v1/search", {"text": "a river", "top": 100})[1]["results"]
    pages = sum((server.call("/v1/search", {"text": "a river", "top": 4, "offset": start})[1]["results"] for start in range(0, count, 4)), [])
    assert [(r["id"], r["rank"]) for r in pages] == [(r["id"], r["rank"]) for r in whole] and len(whole) == count
    assert server.call("/v1/search", {"text": "a river", "offset": 10_000})[1]["results"] == []
    def listed(format_, **more):
        status, headers, got = server.call("/v1/search", {"text": "a river", "format": format_, **more}, raw=True)
        assert status == 200 and "attachment" in headers["Content-Disposition"] and headers["X-Total-Count"], (format_, status, got[:200])
        return headers["Content-Type"], got
    kind, lines = listed("ndjson")
    assert kind == "application/x-ndjson" and [json.loads(line)["id"] for line in lines.decode().splitlines()] == [r["id"] for r in whole]
    rows = list(csv.DictReader(io.StringIO(listed("csv")[1].decode())))
    assert [int(row["id"]) for row in rows] == [r["id"] for r in whole] and [row["year"] for row in rows if row["id"] == str(rgb)] == ["2024"]
    assert [row["lon"] for row in rows if row["id"] == str(rgb)] == ["13.4"]
    features = json.loads(listed("geojson")[1])["features"]
    assert [f["id"] for f in features] == [r["id"] for r in whole] and [f["properties"]["rank"] for f in features] == list(range(1, count + 1))
    table = pyarrow.parquet.read_table(io.BytesIO(listed("parquet")[1])).to_pylist()
    assert [row["id"] for row in table] == [r["id"] for r in whole] and [json.loads(r["attributes"])["year"] for r in table if r["id"] == rgb] == [2024]
    assert len(listed("ndjson", top=3, offset=2)[1].splitlines()) == 3 and listed("ndjson", filter="year = 1")[1] == b""
    assert server.call("/v1/search", {"text": "a", "format": "xml"})[0] == 422

    for path, kind in (("thumbnail", "image/jpeg"), ("thumbnail?size=64", "image/jpeg"), ("heatmap?q=a%20river", "image/jpeg"), ("original", "image/jpeg")):
        status, headers, got = server.call(f"/v1/images/{rgb}/{path}", raw=True)
        assert status == 200 and headers["Content-Type"] == kind and got[:2] == b"\xff\xd8", path
        assert headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in headers["Content-Security-Policy"]
    assert server.call(f"/v1/images/{rgb}/original", raw=True)[2] == picture
    grid = server.call(f"/v1/images/{rgb}/heatmap?q=a&format=json")[1]["grid"]
    whole, word, other = (server.call(f"/v1/images/{rgb}/heatmap?q=a%20river%20bridge&format=json{more}")[1]["grid"] for more in ("", "&word=River", "&word=bridge"))
    assert word != whole and word != other and abs(sum(map(sum, word)) - 1) < 1e-3, "a word looks by itself"
    assert server.call(f"/v1/images/{rgb}/heatmap?q=a%20river&word=bridge")[0] == 422
    assert abs(sum(map(sum, grid)) - 1) < 1e-4

    # Bad requests are named, and the next one is answered.
    for path, body, expected in (
            ("/v1/search", {}, 422), ("/v1/search", {"text": 5}, 422), ("/v1/search", {"text": "a", "id": 1}, 422), ("/v1/search", b"{", 400),
            ("/v1/search", {"text": "a", "top": 0}, 422), ("/v1/search", {"text": "a", "filter": "year >"}, 422), ("/v1/search", {"id": 99999}, 422),
            ("/v1/search", {"image": "http://127.0.0.1:1/a.jpg"}, 422), ("/v1/search", {"image": "file:///etc/passwd"}, 422),
            ("/v1/search", {"text": "a", "bbox": [0, 0, 1]}, 422), ("/v1/search", {"text": "a", "bbox": [0, 2, 1, 1]}, 422),
            ("/v1/search", {"text": "a", "filter": "a" * 2_000_000}, 422), ("/v1/search", {"text": "x" * 20_000}, 422),
            ("/v1/search", {"text": "a", "interaction": "magic"}, 422), ("/v1/embeddings", {}, 422), ("/v1/embeddings", {"input": [1]}, 422),
            ("/v1/rerank", {"query": "a"}, 422), ("/knn-service", {}, 422), ("/search", {"datetime": "soon"}, 400),
            ("/search", {"limit": 0}, 400), ("/search", {"bbox": [1, 2, 3]}, 400), ("/search", {"nothing": 1}, 400), ("/search", {"sortby": "x"}, 400),
            ("/search", {"filter": "year >"}, 400), ("/search", {"intersects": {"type": "Point"}}, 400),
            ("/search", {"datetime": "2024-02-31"}, 400), ("/search", {"datetime": "2025/2024"}, 400), ("/search", {"filter": {"op": "and"}}, 400),
            ("/search", {"filter-lang": "cql3", "filter": "a = 1"}, 400), ("/search", {"fields": ["id"]}, 400), ("/search", {"token": "x"}, 400),
            ("/v1/search", b"x" * (21 << 20), 413)):
        status, problem = server.call(path, body)
        assert status == expected, (path, str(body)[:80], status, problem)
    for path in ("/v1/images/0", "/v1/images/99999/thumbnail", "/v1/images/..%2f..%2fetc%2fpasswd/original", "/v1/images/../../etc/passwd", "/nothing"):
        assert server.call(path)[0] == 404, path
    # A picture that says it has thirty thousand pixels a side.
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0) + b"\0" * 40
    assert server.call("/v1/search", bomb, Content_Type="image/png")[0] == 422
    # A form with a file, as browsers and curl send it; pieces of one are refused.
    form = subprocess.run(["curl", "-s", f"{server.url}/v1/search", "-F", f"image=@{work}/images/rgb.jpg", "-F", "top=1", "-F", "filter=year >= 2020",
                           "-F", "recall_only=true"], capture_output=True, check=True).stdout
    assert [r["id"] for r in json.loads(form)["results"]] == [rgb], form
    kind = "multipart/form-data; boundary=xyz"
    whole = b'--xyz\r\nContent-Disposition: form-data; name="text"\r\n\r\na river\r\n--xyz\r\nContent-Disposition: form-data; name=top\r\n\r\n2\r\n--xyz--\r\n'
    assert len(server.call("/v1/search", whole, Content_Type=kind)[1]["results"]) == 2
    assert {server.call("/v1/search", whole[:n], Content_Type=kind)[0] for n in range(len(whole) - 4)} == {400}
    assert server.call("/v1/search", whole, Content_Type="multipart/form-data")[0] == 400
    assert server.call("/v1/search", whole.replace(b"2\r\n--xyz--", b"many\r\n--xyz--"), Content_Type=kind)[0] == 422
    assert server.call("/v1/search", b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 100 + b"--xyz--", Content_Type=kind)[0] == 400
    assert server.call("/readyz")[0] == 200

    # Published clients.
    import openai
    import pystac_client
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    vectors = client.embeddings.create(model="tiny", input=["a river", "a bridge"])
    assert len(vectors.data) == 2 and abs(sum(x * x for x in vectors.data[0].embedding) - 1) < 1e-3 and vectors.usage.total_tokens > 0
    plain = client.embeddings.create(model="tiny", input="a river", encoding_format="float").data[0].embedding
    assert max(abs(a - b) for a, b in zip(plain, vectors.data[0].embedding)) < 1e-6
    some = client.embeddings.create(model="tiny", input=["a river", {"image": "data:image/png;base64,bm9uZQ=="}, {"image": "?"}]).data
    assert [len(one.embedding) for one in some] == [len(plain), 0, 0] and some[1].error["code"] == "unusable_image" and max(
        abs(a - b) for a, b in zip(plain, some[0].embedding)) < 1e-6, "one bad input among many fails by itself"
    status, two = server.call("/v1/embeddings", {"input": ["a river", ""]})
    assert status == 200 and two["data"][1]["embedding"] == [] and two["data"][1]["error"]["code"] == "bad_input"
    assert server.call("/v1/embeddings", {"input": [{"image": "x"}, {"image": "y"}]})[0] == server.call("/v1/embeddings", {"input": ""})[0] == 422
    many = client.embeddings.create(model="tiny", input=["a river"] * 2047 + ["a bridge"]).data
    assert len(many) == 2048 and many[2046].embedding == vectors.data[0].embedding and many[2047].embedding == vectors.data[1].embedding
    assert client.embeddings.create(model="tiny", input="a river", dimensions=len(plain)).data[0].embedding == vectors.data[0].embedding
    assert server.call("/v1/embeddings", {"input": "a river", "dimensions": 2})[0] == 422
    assert client.models.retrieve("tiny").id == "tiny" and [model.id for model in client.models.list()] == ["tiny"]
    assert server.call("/v1/models/none")[0] == 404
    ranked = server.call("/v1/rerank", {"query": "a river", "documents": [rgb, 99999, {"id": first}], "top_n": 5})[1]["results"]
    assert sorted(r["index"] for r in ranked) == [0, 2] and ranked[0]["relevance_score"] >= ranked[1]["relevance_score"]
    second = server.call("/v2/rerank", {"model": "tiny", "query": "a river", "documents": [str(rgb), str(first)], "top_n": 1})[1]
    assert len(second["results"]) == 1 and set(second["results"][0]) == {"index", "relevance_score"}
    near = server.call("/knn-service", {"text": "a river", "num_images": 3})[1]
    assert server.call("/indices-list")[1] == ["index"]
    by_vector = server.call("/knn-service", {"text": None, "image": None, "embedding_input": plain, "num_images": 3, "indice_name": "x"})[1]
    assert len(by_vector) == 3 and by_vector[0]["similarity"] >= by_vector[1]["similarity"]
    assert server.call("/knn-service", {"embedding_input": [1, 2]})[0] == 422
    assert [n["id"] for n in near] == [r["id"] for r in said["results"][:3]] and {"id", "similarity"} <= set(near[0])
    clip = clip_client().ClipClient(server.url + "/knn-service", "tiny", num_images=3)
    assert clip.query(text="a river") == near and clip.query(image=f"{work}/images/rgb.jpg")[0]["id"] == same[0]["id"]
    catalog = pystac_client.Client.open(server.url)
    assert [c.id for c in catalog.get_collections()] == ["index"]
    # The client has no name for free text: it is part of the address.
    items = list(pystac_client.ItemSearch(f"{server.url}/search?q=a%20river", method="GET", max_items=7, limit=3).items())
    assert len(items) == 7 and len({item.id for item in items}) == 7 and items[0].id == str(said["results"][0]["id"])
    every = list(catalog.search(method="POST", limit=4).items())
    assert len(every) == count and len({item.id for item in every}) == count
    dated = list(catalog.search(datetime="2024-01-01/2025-01-01", bbox=None).items())
    assert [item.id for item in dated] == [str(rgb)] and dated[0].properties["year"] == 2024
    assert catalog.get_collection("index").id == "index"
    assert [item.id for item in catalog.search(ids=[str(rgb), "99999"]).items()] == [str(rgb)]

    # What another process writes is taken over, and no request is lost meanwhile.
    failures = []
    def ask(_):
        status, _ = server.call("/v1/search", {"text": "a river", "top": 1})
        if status != 200: failures.append(status)
    shutil.copy(f"{goldens}/images/grey.png", f"{work}/images/late.png")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, i) for i in range(60)]
        run(ftf, "index", f"{work}/index", f"{work}/images")
        [future.result() for future in asked]
    until = time.time() + 10
    while server.call("/v1/index")[1]["images"] != count + 1 and time.time() < until: time.sleep(0.2)
    assert server.call("/v1/index")[1]["images"] == count + 1 and not failures
    server.process.send_signal(signal.SIGHUP)
    assert server.call("/v1/search", {"text": "a"})[0] == 200

    # Connections that say nothing, or slowly, keep nobody out.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    many = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(many)]
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
    assert server.call("/v1/search", {"text": "a"})[0] == 200
    for connection in [*idle, slow]: connection.close()

    text = server.call("/metrics", raw=True)[2].decode()
    assert 'ftf_requests_total{route="/v1/search",status="200"}' in text and text.count("# TYPE ftf_requests_total counter") == 1
    for name in [*(f"ftf_{part}_duration_seconds" for part in ("request", "queue", "encode", "recall", "rerank")), "ftf_batch_size"]:
        counts = [int(n) for n in re.findall(rf'^{name}_bucket\{{le="[^"]+"\}} (\d+)$', text, re.M)]
        assert len(counts) > 5 and counts == sorted(counts) and f"\n{name}_count {counts[-1]}\n" in text and f"# TYPE {name} histogram" in text, name
    assert "\nftf_requests_inside " in text and f"\nftf_images {count + 1}\n" in text
    assert all(re.fullmatch(r'# HELP \w+ .+|# TYPE \w+ (counter|gauge|histogram)|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+', line) for line in text.splitlines()), text
    page = server.call("/", raw=True, Accept="text/html")[2].decode()
    assert "<!doctype html>" in page and "//" not in page, "it loads nothing from elsewhere"
    assert server.call("/page.js", raw=True)[0] == 200 and b"innerHTML" not in server.call("/page.js", raw=True)[2]

# It keeps to what it says of itself, whatever it is sent. A filter is a text that is no condition most of the time.
with Server(ftf, work) as server:
    schemathesis = [os.path.join(os.path.dirname(sys.executable), "st"), "run", server.url + "/openapi.json", "--exclude-checks",
                    "positive_data_acceptance", "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1", "--no-color"]
    said = subprocess.run(schemathesis, capture_output=True, text=True, cwd=work, timeout=240)
    assert said.returncode == 0, said.stdout
    assert server.call("/v1/search", {"text": "a"})[0] == 200

# Several indexes, one of them of another model: a request names one, and a STAC search goes through all.
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/small.ftf", "--precision", "int8-weights")
second = f"{work}/second one.ftfindex"
run("gdal_translate", "-q", "-of", "GTiff", "-a_srs", "EPSG:32632", "-a_ullr", "500000", "5500000", "500100", "5499900",
    f"{goldens}/images/rgb.jpg", f"{work}/scene.tif")
run(ftf, "index", second, f"{work}/images/rgb.jpg", f"{work}/scene.tif", "--model", f"{work}/small.ftf")
with Server(ftf, work, second) as server:
    known = server.call("/v1/index")[1]
    assert known["name"] == "index" and {i["name"]: i["images"] for i in known["indexes"]} == {"index": known["images"], "second one": 2}
    assert server.call("/v1/index?index=second%20one")[1]["images"] == 2 and server.call("/v1/index?index=none")[0] == 404
    assert len(server.call("/v1/search", {"text": "a", "top": 9})[1]["results"]) == 9
    named = server.call("/v1/search", {"text": "a", "top": 9, "index": "second one"})[1]["results"]
    assert len(named) == 2 and server.call("/v1/search", {"text": "a", "index": "third"})[0] == 404
    assert server.call(f"/v1/images/{named[0]['id']}?index=second%20one")[1]["path"] == named[0]["path"]
    assert server.call(f"/v1/images/{named[0]['id']}/heatmap?q=a&format=json&index=second%20one")[0] == 200
    assert server.call("/v1/rerank", {"query": "a", "documents": [n["id"] for n in named], "index": "second one"})[1]["results"][1]["document"]["id"] in [n["id"] for n in named]
    assert len(clip_client().ClipClient(server.url + "/knn-service", "second one").query(text="a")) == 2
    catalog = pystac_client.Client.open(server.url)
    assert [c.id for c in catalog.get_collections()] == ["index", "second one"]
    extent = catalog.get_collection("second one").extent
    assert all(abs(a - b) < 1e-3 for a, b in zip(extent.spatial.bboxes[0], [9, 49.651, 9.0014, 49.652])) and extent.temporal.intervals == [[None, None]]
    assert catalog.get_collection("index").extent.temporal.to_dict() == {"interval": [["2024-06-01T00:00:00Z"] * 2]}
    every = [(item.collection_id, item.id) for item in catalog.search(method="POST", limit=3).items()]
    assert len(every) == len(set(every)) == known["images"] + 2
    ranked = list(pystac_client.ItemSearch(f"{server.url}/search?q=a", method="GET", max_items=8, limit=3).items())
    assert len({(i.collection_id, i.id) for i in ranked}) == 8
    assert [i.properties["score"] for i in ranked] == sorted((i.properties["score"] for i in ranked), reverse=True)
    only = list(catalog.search(collections=["second one"]).items())
    assert {item.id for item in catalog.get_collection("second one").get_items()} == {item.id for item in only}
    every = list(catalog.get_collection("index").get_items())
    assert len(every) == known["images"] and {item.collection_id for item in every} == {"index"}
    assert len(only) == 2 and server.call(only[0].assets["thumbnail"].href.removeprefix(server.url), raw=True)[0] == 200
os.makedirs(f"{work}/other")
shutil.copytree(f"{work}/index", f"{work}/other/index")
refused = subprocess.run([ftf, "serve", f"{work}/index", f"{work}/other/index"], capture_output=True, text=True, timeout=30)
assert refused.returncode != 0 and "two indexes" in refused.stderr, refused.stderr

# More than fit are sent away, and those inside are answered.
with Server(ftf, work, "--waiting", "2") as server, concurrent.futures.ThreadPoolExecutor(32) as pool:
    answers = list(pool.map(lambda _: server.call("/v1/search", {"image": encoded}, raw=True), range(200)))
    statuses = {status for status, _, _ in answers}
    assert statuses == {200, 429}, statuses
    assert all(headers["Retry-After"] for status, headers, _ in answers if status == 429)
    # It drains: it says so first, and what is inside on SIGTERM is answered.
    asked = pool.submit(lambda: server.call("/v1/search", {"image": encoded}))
    time.sleep(0.02)
    server.process.terminate()
    time.sleep(0.3)
    assert server.call("/readyz")[0] == 503 and server.call("/livez")[0] == 200
    try: assert asked.result()[0] in (200, 429)
    except urllib.error.URLError: pass  # It had not come in yet.

# Whoever leaves while others are served is not computed for.
run("gdal_translate", "-q", "-of", "JPEG", "-outsize", "3000", "3000", f"{work}/images/rgb.jpg", f"{work}/large.jpg")
with open(f"{work}/large.jpg", "rb") as file: large = file.read()
with Server(ftf, work, "--threads", "1", "--waiting", "64") as server:
    head = f"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(large)}\r\n\r\n".encode()
    there = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(24)]
    for connection in there: connection.sendall(head + large)
    for connection in there[4:]: connection.close()
    for connection in there[:4]:
        connection.settimeout(30)
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
    until = time.time() + 20
    while server.said().count("POST /v1/search") < 24 and time.time() < until: time.sleep(0.1)
    assert server.said().count("/v1/search 503") >= 8, server.said()
    assert server.call("/v1/search", {"text": "a"})[0] == 200

# A token is asked for, and said nowhere.
with open(f"{work}/token", "w") as file: file.write("secret-word\n")
with Server(ftf, work, "--token-file", f"{work}/token") as server:
    assert server.call("/v1/search", {"text": "a"})[0] == 401 and server.call("/readyz")[0] == 200 and server.call("/metrics")[0] == 401
    assert server.call("/v1/search", {"text": "a"}, Authorization="Bearer secret-words")[0] == 401
    assert server.call("/v1/search", {"text": "quite particular"}, Authorization="Bearer secret-word")[0] == 200
    assert "secret-word" not in server.said() and "particular" not in server.said()
# Encrypted, for the pages of one other origin.
run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{work}/key.pem", "-out", f"{work}/certificate.pem", "-days", "2",
    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
with Server(ftf, work, "--tls-certificate", f"{work}/certificate.pem", "--tls-key", f"{work}/key.pem", "--cors", "https://maps.example") as server:
    assert server.scheme == "https"
    server.trusted = ssl.create_default_context(cafile=f"{work}/certificate.pem")
    assert server.call("/v1/search", {"text": "a"})[0] == 200
    assert all(link["href"].startswith("https://") for link in server.call("/")[1]["links"])
    status, headers, _ = server.call("/v1/search", method="OPTIONS", raw=True, Origin="https://maps.example", Access_Control_Request_Method="POST")
    assert status < 300 and headers["Access-Control-Allow-Origin"] == "https://maps.example"

# Whoever started it is told that it is ready.
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(b"\0ftf-check-%d" % os.getpid())
told.settimeout(10)
with Server(ftf, work, environment={"NOTIFY_SOCKET": f"@ftf-check-{os.getpid()}"}) as server: assert told.recv(100) == b"READY=1"
assert told.recv(100) == b"STOPPING=1"

# New files are taken in while it serves, and lost ones leave.
with Server(ftf, work, "--watch", f"{work}/images") as server:
    images = server.call("/v1/index")[1]["images"]
    def settles(expected):
        until = time.time() + 20
        while server.call("/v1/index")[1]["images"] != expected and time.time() < until: time.sleep(0.2)
        assert server.call("/v1/index")[1]["images"] == expected, server.said()
    shutil.copy(f"{goldens}/images/rgb.jpg", f"{work}/images/fresh.jpg")
    settles(images + 1)
    # What cannot be read is said once, however often it is looked at.
    with open(f"{work}/images/torn.jpg", "wb") as file: file.write(b"\xff\xd8\xff\xe0 torn")
    os.symlink("nothing", f"{work}/images/dangling.jpg")
    time.sleep(7)
    assert server.said().count("torn.jpg") == 1 and server.said().count("dangling.jpg") <= 1, server.said()
    os.remove(f"{work}/images/torn.jpg")
    os.remove(f"{work}/images/fresh.jpg")
    settles(images)
refused = subprocess.run([ftf, "serve", f"{work}/index", "--listen", "0.0.0.0:0"], capture_output=True, text=True)
assert refused.returncode == 1 and "--insecure" in refused.stderr
print("the service answers as the command does; openai, pystac-client and clip-retrieval work; its OpenAPI document holds; overload, drain, swap, token, TLS, watching: as they should be")
