"""Whether the service stands, whoever comes: python attacks.py FTF WORK.

What strangers send: links in place of pictures, bodies that trickle, pictures and JSON that take long, other names, HTTP that is none, clients that
do not read. WORK is a folder that is made anew; the model has random weights.
"""
import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

from server import Server

ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(f"{work}/images/folder")
wrong = []


def expect(name, is_right, what=""):
    if not is_right:
        wrong.append(name)
        print(f"WRONG {name}: {what}", file=sys.stderr)


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def raw(server, text, seconds=10, more=b""):
    """What comes back for bytes as they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(text if isinstance(text, bytes) else text.encode())
        if more: connection.sendall(more)
        got = b""
        try:
            while part := connection.recv(1 << 16): got += part
        except TimeoutError: got += b"<open>"
        except ConnectionResetError: pass
        return got


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def memory(server):
    with open(f"/proc/{server.process.pid}/status") as file: return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) // 1024


def png(side, rows=None, interlaced=0):
    def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + 3 * side)
    data = b"".join(packer.compress(row) for _ in range(rows or side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, rows or side, 8, 2, 0, 0, interlaced)) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


for name in os.listdir(f"{goldens}/images"): shutil.copy(f"{goldens}/images/{name}", f"{work}/images/{name}")
shutil.copy(f"{goldens}/images/rgb.jpg", f"{work}/images/folder/inside.jpg")
large = os.urandom(30 << 20)
with open(f"{work}/images/large.jpg", "wb") as file, open(f"{goldens}/images/rgb.jpg", "rb") as picture: file.write(picture.read() + large)
with open(f"{work}/secret.jpg", "wb") as file: file.write(b"\xff\xd8 secret")
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf")
with open(f"{work}/images/rgb.jpg", "rb") as file: picture = file.read()
head = "Host: localhost\r\n"


def ids(server):
    found = server.call("/v1/search", {"text": "a", "top": 100, "recall_only": True})[1]["results"]
    return {os.path.relpath(r["path"], f"{work}/images"): r["id"] for r in found}


def slowest(server, seconds, while_running=()):
    """The longest that a probe and a search wait."""
    end, longest, searches = time.time() + seconds, 0, 0
    while time.time() < end or any(not one.done() for one in while_running):
        began = time.time()
        assert ask(server, "GET", "/livez")[0] == 200
        longest = max(longest, time.time() - began)
        began = time.time()
        status = server.call("/v1/search", {"text": "a"})[0]
        searches = max(searches, time.time() - began)
        expect("a search is let in", status == 200, status)
        time.sleep(0.02)
    return longest, searches


with Server(ftf, work) as server:
    known = ids(server)

    # What lies at the path now is the file that was indexed, or nothing is sent.
    def is_refused(name):
        id_ = known[name]
        for piece in ("original", "thumbnail", "heatmap?q=a"):
            status, _, got = server.call(f"/v1/images/{id_}/{piece}", raw=True)
            expect(f"{name} replaced: {piece}", status == 404 and b"secret" not in got, (status, got[:80]))
        expect(f"{name} replaced: like it", server.call("/v1/search", {"id": id_})[0] in (404, 422), "")

    path = f"{work}/images/grey.jpg"
    stamp = os.stat(path)
    os.rename(path, f"{work}/kept.jpg")
    os.symlink(f"{work}/secret.jpg", path)
    is_refused("grey.jpg")
    os.remove(path)
    os.link(f"{work}/secret.jpg", path)
    is_refused("grey.jpg")
    os.remove(path)
    # As long, and as old.
    with open(path, "wb") as file: file.write((b"\xff\xd8 secret" * 1000)[:stamp.st_size])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    is_refused("grey.jpg")
    os.remove(path)
    os.mkfifo(path)
    is_refused("grey.jpg")
    os.rename(f"{work}/images/folder", f"{work}/away")
    os.makedirs(f"{work}/other")
    shutil.copy(f"{work}/secret.jpg", f"{work}/other/inside.jpg")
    os.symlink(f"{work}/other", f"{work}/images/folder")
    is_refused("folder/inside.jpg")
    expect("others are sent", server.call(f"/v1/images/{known['rgb.jpg']}/original", raw=True)[2] == picture)

    # Originals of any size, in parts, in bounded memory.
    id_ = known["large.jpg"]
    status, headers, got = ask(server, "GET", f"/v1/images/{id_}/original")
    expect("a large original", status == 200 and got == picture + large and headers["Accept-Ranges"] == "bytes", status)
    tag = headers["ETag"]
    for asked, right, code in (("bytes=0-9", (picture + large)[:10], 206), ("bytes=-5", (picture + large)[-5:], 206), ("bytes=9-9223372036854775807", (picture + large)[9:], 206),
                               ("bytes=-9223372036854775807", picture + large, 206), ("bytes=0-99999999999999999999", picture + large, 206),
                               ("bytes=100-", (picture + large)[100:], 206), ("bytes=999999999-", None, 416), ("bytes=5-2", picture + large, 200),
                               ("bytes=0-1,5-6", picture + large, 200), ("lines=1-2", picture + large, 200)):
        status, headers, got = ask(server, "GET", f"/v1/images/{id_}/original", Range=asked)
        expect(f"range {asked}", status == code and (right is None or got == right), (status, len(got)))
        if code == 206: expect(f"range {asked} says so", headers["Content-Range"].endswith(f"/{len(picture + large)}"), headers["Content-Range"])
    expect("not again", ask(server, "GET", f"/v1/images/{id_}/original", If_None_Match=tag)[0] == 304)
    expect("if another, all", ask(server, "GET", f"/v1/images/{id_}/original", Range="bytes=0-9", If_Range='"x"')[0] == 200)
    expect("its head", ask(server, "HEAD", f"/v1/images/{id_}/original")[1]["Content-Length"] == str(len(picture + large)))
    before = memory(server)
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for connection in idle: connection.sendall(f"GET /v1/images/{id_}/original HTTP/1.1\r\n{head}\r\n".encode())
    time.sleep(2)
    expect("clients that do not read", memory(server) - before < 40, f"{before} to {memory(server)} MB")
    expect("others meanwhile", slowest(server, 1)[0] < 0.2)
    for connection in idle: connection.close()

    # Bodies that trickle keep nobody out, and are let go.
    def trickle():
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.settimeout(30)
            connection.sendall(f"POST /v1/search HTTP/1.1\r\n{head}Content-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n".encode())
            began = time.time()
            try:
                while time.time() - began < 20:
                    connection.sendall(b"x")
                    time.sleep(0.2)
                    connection.setblocking(False)
                    try:
                        if (got := connection.recv(100)) != b"": return got, time.time() - began
                        return b"", time.time() - began
                    except BlockingIOError: pass
                    finally: connection.setblocking(True)
            except OSError: return b"", time.time() - began
            return None, time.time() - began

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        slow = [pool.submit(trickle) for _ in range(40)]
        probe, search = slowest(server, 3)
        expect("while bodies trickle", probe < 0.1 and search < 1, (probe, search))
        for got, seconds in (one.result() for one in slow): expect("a trickle ends", got is not None and seconds < 12 and got[:12] in (b"HTTP/1.1 408", b""), (got, seconds))

    # Pictures and texts that take long are worked on beside the rest.
    black = png(13000)
    big = json.dumps({"text": "a", **{f"k{i}": 0 for i in range(1_000_000)}}).encode()
    deep = b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    before = memory(server)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        def timed(*arguments, **more):
            began = time.time()
            return server.call(*arguments, **more)[0], time.time() - began
        heavy = [pool.submit(timed, "/v1/search", black, Content_Type="image/png") for _ in range(8)]
        heavy += [pool.submit(timed, "/v1/search", big) for _ in range(8)]
        heavy += [pool.submit(timed, "/v1/embeddings", {"input": [{"image": base64.b64encode(black).decode()}] * 3})]
        peak = 0
        def watch():
            global peak
            while any(not one.done() for one in heavy):
                peak = max(peak, memory(server))
                time.sleep(0.05)
        watcher = threading.Thread(target=watch)
        watcher.start()
        probe, search = slowest(server, 0, heavy)
        watcher.join()
    statuses = [one.result()[0] for one in heavy]
    expect("livez while others decode", probe < 0.25, probe)
    expect("searches while others decode", search < 3, search)
    expect("memory while decoding", peak - before < 400, f"{before} to {peak} MB")
    expect("large pictures are answered", set(statuses[:8]) <= {200, 429, 503}, statuses)
    expect("a million keys are refused", set(statuses[8:16]) <= {413, 429, 503}, statuses)
    expect("deep JSON is refused", server.call("/v1/search", deep)[0] == 413)
    expect("what cannot be reduced is refused", server.call("/v1/search", png(13500, interlaced=1), Content_Type="image/png")[0] == 422)
    for width, height in ((0xffffffff, 0xffffffff), (0x7fffffff, 0x7fffffff), (0x7fffffff, 1), (0, 5), (0x74f0905b, 0xdb8b90d5)):
        for depth, interlaced in ((8, 0), (16, 0), (8, 1)):
            head_ = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, interlaced)
            huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head_ + struct.pack(">I", zlib.crc32(b"IHDR" + head_)) + b"\0" * 40
            expect(f"a size of {width} x {height}", server.call("/v1/search", huge, Content_Type="image/png")[0] == 422)
    expect("a tall picture is answered", server.call("/v1/search", png(300, 60000), Content_Type="image/png")[0] == 200)

    # Its own names alone.
    for name, right in (("localhost", 200), ("127.0.0.1", 200), (f"localhost:{server.port}", 200), ("LOCALHOST", 200), ("[::1]:80", 200),
                        ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("10.0.0.1", 421), ("localhost.evil.example", 421)):
        expect(f"host {name}", ask(server, "GET", "/v1/index", Host=name)[0] == right, ask(server, "GET", "/v1/index", Host=name)[0])

    # HTTP as it is written.
    body = b'{"text":"a"}'
    began = time.time()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"POST /v1/search HTTP/1.1\r\n{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
        expect("100-continue", connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n"), "")
        connection.sendall(body)
        expect("and then", b"200 OK" in connection.recv(1000), "")
    expect("at once", time.time() - began < 0.9, time.time() - began)
    expect("expected in vain", raw(server, f"POST /v1/search HTTP/1.1\r\n{head}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413"))
    expect("expected something else", raw(server, f"POST /v1/search HTTP/1.1\r\n{head}Expect: cake\r\nContent-Length: 2\r\n\r\n{{}}").startswith(b"HTTP/1.1 417"))
    for text, right in ((f"POST /v1/search HTTP/1.1\r\n{head}Transfer-Encoding: rot13\r\n\r\n", b"501"),
                        (f"POST /v1/search HTTP/1.1\r\n{head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"501"),
                        (f"POST /v1/search HTTP/1.1\r\n{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
                        ("GET /livez HTTP/1.1\r\n\r\n", b"400"), (f"GET /livez HTTP/1.1\r\n{head}{head}\r\n", b"400"), ("GET /livez HTTP/2.0\r\n\r\n", b"")):
        got = raw(server, text, 3)
        expect(f"refused: {text[:70]!r}", got.startswith(b"HTTP/1.1 " + right), got[:60])
    got = raw(server, "GET /livez HTTP/1.0\r\n\r\n", 3)
    expect("HTTP/1.0 is closed", b"200 OK" in got and not got.endswith(b"<open>"), got)
    got = raw(server, f"GET /livez HTTP/1.1\r\n{head}Connection: close\r\n\r\n", 3)
    expect("closed where it is asked for", b"200 OK" in got and not got.endswith(b"<open>"), got)
    plus = json.loads(ask(server, "GET", f"/v1/images/{known['rgb.jpg']}/heatmap?format=json&q=a+wide+river")[2])
    expect("a plus is a space", plus["query"] == "a wide river" and plus == json.loads(
        ask(server, "GET", f"/v1/images/{known['rgb.jpg']}/heatmap?format=json&q=a%20wide%20river")[2]), plus.get("query"))
    expect("a plus by its escape", json.loads(ask(server, "GET", f"/v1/images/{known['rgb.jpg']}/heatmap?format=json&q=a%2Bb")[2])["query"] == "a+b")
    expect("a type by case", server.call("/v1/search?top=1", picture, Content_Type="Image/JPEG")[0] == 200)
    for path in ("/v1/index?a=%zz", "/v1/index?index=a&index=b", "/v1/index?nothing=1", f"/v1/images/{known['rgb.jpg']}/thumbnail?sice=3"):
        expect(f"{path} is refused", ask(server, "GET", path)[0] == 400, ask(server, "GET", path)[0])
    status, _ = server.call("/v1/search", {"text": "a", "topp": 3})
    expect("an unknown field", status == 422, status)

    for offset, top in ((10_000_000, 2**31 - 1), (5, 2**63 - 1024)):
        status = server.call("/v1/search", {"text": "a", "format": "csv", "top": top, "offset": offset}, raw=True)[0]
        expect(f"a list of {top} from {offset}", status in (200, 422), status)

    # What is kept is asked for again, and comes again where it changed.
    thumbnail = f"/v1/images/{known['rgb.jpg']}/thumbnail"
    status, headers, _ = ask(server, "GET", thumbnail)
    expect("a thumbnail has a tag", headers["ETag"] and "no-cache" in headers["Cache-Control"], dict(headers))
    expect("the same is not sent again", ask(server, "GET", thumbnail, If_None_Match=headers["ETag"])[0] == 304)
    expect("another size is another", ask(server, "GET", thumbnail + "?size=32", If_None_Match=headers["ETag"])[0] == 200)
    status, packed, got = ask(server, "GET", "/openapi.json", Accept_Encoding="gzip")
    expect("gzip where it is asked for", packed["Content-Encoding"] == "gzip" and gzip.decompress(got) == ask(server, "GET", "/openapi.json")[2], dict(packed))
    expect("and not where it is not", ask(server, "GET", "/openapi.json", Accept_Encoding="gzip;q=0")[1]["Content-Encoding"] is None)

    text = ask(server, "GET", "/metrics")[2].decode()
    names = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    expect("each metric is explained", names == set(re.findall(r"^# HELP (\S+) \S", text, re.M)), names)
    expect("of the process too", {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                                  "process_start_time_seconds"} <= names, names)
    routes = set(re.findall(r'route="([^"]*)"', text))
    expect("routes of their own", {"/v1/images/{id}/thumbnail", "/v1/images/{id}/original", "/v1/images/{id}/heatmap"} <= routes, routes)
    expect("probes do not fill the log", "/livez" not in server.said() and "/metrics" not in server.said(), "")
    expect("who asked", re.search(r"127\.0\.0\.1 POST /v1/search", server.said()), server.said()[-300:])
    expect("no words where they were not asked for", "wide" not in server.said(), "")

# An index that was exchanged shows its own pictures.
os.remove(f"{work}/images/folder")
os.makedirs(f"{work}/swap")
for i, name in enumerate(("rgb.jpg", "exact.png")): shutil.copy(f"{goldens}/images/{name}", f"{work}/swap/{i}.{name[-3:]}")
run(ftf, "index", f"{work}/second", f"{work}/swap/0.jpg", "--model", f"{work}/tiny.ftf")
run(ftf, "index", f"{work}/third", f"{work}/swap/1.png", "--model", f"{work}/tiny.ftf")
shutil.rmtree(f"{work}/index")
shutil.copytree(f"{work}/second", f"{work}/index")
with open(f"{work}/tokens", "w") as file: file.write("first-token\n\nsecond-token\n")
with Server(ftf, work, "--log-queries", "--token-file", f"{work}/tokens", "--public-url", "https://maps.example/search/", "--cors", "https://a.example/") as server:
    bearer = {"Authorization": "bearer second-token"}
    status, headers, first = ask(server, "GET", "/v1/images/1/thumbnail", **bearer)
    expect("the scheme by case, the second token", status == 200, status)
    expect("the first token", ask(server, "GET", "/v1/index", Authorization="Bearer first-token")[0] == 200)
    expect("no token", ask(server, "GET", "/v1/index", Authorization="Bearer first-token\tsecond-token")[0] == 401)
    shutil.rmtree(f"{work}/index")
    shutil.copytree(f"{work}/third", f"{work}/index")
    until = time.time() + 10
    while ask(server, "GET", "/v1/images/1/thumbnail", **bearer)[1]["ETag"] == headers["ETag"] and time.time() < until: time.sleep(0.2)
    status, _, second = ask(server, "GET", "/v1/images/1/thumbnail", If_None_Match=headers["ETag"], **bearer)
    expect("an exchanged index", status == 200 and second != first, status)
    expect("its public name", ask(server, "GET", "/v1/index", Host="maps.example", **bearer)[0] == 200)
    links = json.loads(ask(server, "GET", "/", Host="maps.example")[2])["links"]
    expect("links are public", all(link["href"].startswith("https://maps.example/search/") for link in links), links[:2])
    expect("below its path too", ask(server, "GET", "/search/v1/index", **bearer)[0] == 200)
    expect("an origin with a slash", ask(server, "GET", "/v1/index", Origin="https://a.example", **bearer)[1]["Access-Control-Allow-Origin"] == "https://a.example")
    server.call("/v1/search", {"text": "quite\nparticular"}, **bearer)
    line = [line for line in server.said().splitlines() if "particular" in line]
    expect("words of a body", len(line) == 1 and "quite\\nparticular" in line[0], line)
    expect("no token in the log", "second-token" not in server.said(), "")
    # What does not end in its time is ended.
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.sendall(f"POST /v1/search HTTP/1.1\r\n{head}Authorization: Bearer first-token\r\nContent-Type: image/jpeg\r\nContent-Length: 10000000\r\n\r\n".encode())
    def feed():
        try:
            while True:
                slow.sendall(b"x" * 20_000)
                time.sleep(0.5)
        except OSError: pass
    threading.Thread(target=feed, daemon=True).start()
    time.sleep(1)
    began = time.time()
    server.process.terminate()
    server.process.wait(45)
    expect("it drains in bounded time", time.time() - began < 30, time.time() - began)
with Server(ftf, work, environment={"FTF_TOKEN": "from-outside"}) as server:
    expect("a token of the environment", ask(server, "GET", "/v1/index", Authorization="Bearer from-outside")[0] == 200)
piped = subprocess.run(["bash", "-c", f"'{ftf}' serve '{work}/index' --listen 127.0.0.1:0 --token-file <(echo piped-token) > '{work}/piped' 2>&1 & "
                        f"p=$!; for i in $(seq 100); do grep -q serving '{work}/piped' && break; sleep 0.1; done; "
                        f"port=$(grep -o 'http://127.0.0.1:[0-9]*' '{work}/piped' | head -1 | cut -d: -f3); "
                        "curl -s --noproxy '*' -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer piped-token' http://127.0.0.1:$port/v1/index; kill $p; wait $p"],
                       capture_output=True, text=True, timeout=60)
expect("a token from a pipe", piped.stdout == "200", piped.stdout + piped.stderr)
with Server(ftf, work, "--trusted-proxy", "127.0.0.1") as server:
    links = json.loads(ask(server, "GET", "/", X_Forwarded_Proto="https", X_Forwarded_Host="maps.example", X_Forwarded_Prefix="/ftf")[2])["links"]
    expect("a proxy is believed", links[0]["href"] == "https://maps.example/ftf/", links[0])
    links = json.loads(ask(server, "GET", "/", Forwarded='for=1.2.3.4;host="maps.example";proto=https')[2])["links"]
    expect("as RFC 7239 has it", links[0]["href"] == "https://maps.example/", links[0])
    ask(server, "GET", "/v1/index", X_Forwarded_For="1.2.3.4, 127.0.0.1")
    expect("who asked the proxy", "1.2.3.4 GET /v1/index" in server.said(), server.said()[-200:])
with Server(ftf, work) as server:
    links = json.loads(ask(server, "GET", "/", X_Forwarded_Host="evil.example", Forwarded="host=evil.example")[2])["links"]
    expect("anybody is not", "evil" not in json.dumps(links), links[0])
print(f"{len(wrong)} wrong")
sys.exit(1 if wrong else 0)
