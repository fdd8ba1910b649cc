"""Whether the service shares nothing without a lock: python threads.py FTF WORK.

FTF was built with the thread sanitizer, whose report is this test's failure; WORK is a folder that is made anew. Clients of every kind ask at
once while folders are watched, another process writes, the signal to look again comes and clients leave; then it drains.
"""
import concurrent.futures
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from server import Server

ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
tests = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
goldens = f"{tests}/Goldens"
os.environ |= {"FTF_GDAL": "", "TSAN_OPTIONS": f"suppressions={tests}/threads.txt halt_on_error=0 exitcode=66"}
SECONDS = 15
shutil.rmtree(work, ignore_errors=True)
shutil.copytree(f"{goldens}/images", f"{work}/images")
os.makedirs(f"{work}/watched")


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf")
with open(f"{work}/images/rgb.jpg", "rb") as file: picture = file.read()
numbers = itertools.count()


def ask(server, path, body=None, **headers):
    status, answer = server.call(path, body, **headers)
    assert status in (200, 404, 422, 429, 503), (path, status, answer)


def leave(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
        connection.sendall(head + picture)


def write(server):
    """Another process and the folder that is watched, both."""
    number = next(numbers)
    shutil.copy(f"{goldens}/images/grey.png", f"{work}/watched/{number}.png")
    subprocess.run([ftf, "index", f"{work}/index", f"{work}/images"], stdout=subprocess.DEVNULL, stderr=server.log)
    server.process.send_signal(signal.SIGHUP)


kinds = [lambda s: ask(s, "/v1/search", {"text": f"a river {next(numbers) % 40}", "top": 5}), lambda s: ask(s, "/v1/search", picture, Content_Type="image/jpeg"),
         lambda s: ask(s, "/v1/search", {"text": "a bridge", "filter": "path like '%rgb%'"}), lambda s: ask(s, "/v1/embeddings", {"input": ["a", "b"]}),
         lambda s: ask(s, f"/v1/images/{next(numbers) % 9 + 1}/thumbnail"), lambda s: ask(s, "/v1/images/1/heatmap?q=a"),
         lambda s: ask(s, "/v1/rerank", {"query": "a river", "documents": [1, 2, 3]}), lambda s: ask(s, "/search?q=a&limit=3"),
         lambda s: ask(s, "/v1/attributes"), lambda s: ask(s, "/collections"), lambda s: ask(s, "/v1/index"), lambda s: ask(s, "/v1/images/1/original"),
         lambda s: s.call("/metrics", raw=True), leave, lambda s: s.call("/", raw=True, Accept="text/html")]


def until(end, kind, server):
    count = 0
    while time.time() < end: kind(server); count += 1
    return count


with Server(ftf, work, "--watch", f"{work}/watched", "--waiting", "6") as server, concurrent.futures.ThreadPoolExecutor(len(kinds) + 1) as pool:
    end = time.time() + SECONDS
    counts = [future.result() for future in [pool.submit(until, end, kind, server) for kind in [*kinds, write]]]
    late = [pool.submit(ask, server, "/v1/search", {"text": "late"}) for _ in range(4)]
    time.sleep(0.05)
    server.process.terminate()
    for future in late: future.exception()
    ended = server.process.wait(60)
    # A report before all else: the process's status is another one because of it.
    if "WARNING: ThreadSanitizer" in (said := server.said()): raise SystemExit(said[said.index("WARNING: ThreadSanitizer"):][:8000])
    assert ended == 0, said[-8000:]
assert min(counts) > 0, counts
print(f"{sum(counts)} requests of {len(kinds)} kinds beside writers, and nothing is shared without a lock")
