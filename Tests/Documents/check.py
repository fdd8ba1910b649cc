"""Runs every command that README and docs show: python check.py FTF WORK.

FTF is a whole build of the command, WORK a folder that is made anew. The names that the pages use stand for small files of the tests' own; what is
found in them means nothing, that every command does what it says without a complaint does. Of `make` it is asked whether the target is there.
"""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
goldens = f"{root}/Tests/Goldens"
pages = ["README.md"] + sorted(f"docs/{name}" for name in os.listdir(f"{root}/docs") if name.endswith(".md"))
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]


def prepare():
    """A home with what the pages name."""
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("imagery/old", "scenes"): os.makedirs(f"{work}/{folder}")
    for name in sorted(os.listdir(f"{goldens}/images")): shutil.copy(f"{goldens}/images/{name}", f"{work}/imagery/{name}")
    shutil.copy(f"{goldens}/images/rgb.jpg", f"{work}/imagery/old/a.jpg")
    for name in ("a.jpg", "example.jpg", "mine.jpg"): shutil.copy(f"{goldens}/images/rgb.jpg", f"{work}/{name}")
    shutil.copy(f"{goldens}/images/exact.png", f"{work}/b.png")
    for name in ("clip-vit-base-patch32",): shutil.copytree(f"{goldens}/clip", f"{work}/{name}")
    os.symlink(f"{work}/imagery", f"{work}/DIR")
    # One piece of ground, twice.
    for day in ("2023-06-01", "2024-06-01"):
        name = f"{work}/scenes/scene-{day}"
        subprocess.run(["gdal_translate", "-q", "-of", "GTiff", "-a_srs", "EPSG:4326", "-a_ullr", "13.398", "52.501", "13.401", "52.499",
                        "-outsize", "448", "448", f"{goldens}/images/rgb.jpg", f"{name}.tif"], check=True)
        with open(f"{name}.json", "w") as file:
            json.dump({"type": "Feature", "stac_version": "1.0.0", "id": day, "geometry": None, "links": [], "assets": {},
                       "properties": {"datetime": f"{day}T10:00:00Z", "eo:cloud_cover": 5}}, file)
    images = sorted(name for name in os.listdir(f"{work}/imagery") if "." in name)
    lines = {
        "questions.txt": ["a river", "two ships"], "tokens": ["a-secret-word"],
        "known.jsonl": [json.dumps({"filename": name, "year": 2021, "sensor": "S2"}) for name in images],
        "captions.jsonl": [json.dumps({"filename": name, "split": "val", "captions": [f"a picture named {name}"]}) for name in images],
    }
    for name, content in lines.items():
        with open(f"{work}/{name}", "w") as file: file.write("\n".join(content) + "\n")
    for name, rows in (("embeddings.npy", 5), ("questions.npy", 2)):
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 8), }}"
        header += " " * (63 - (10 + len(header)) % 64) + "\n"
        with open(f"{work}/{name}", "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
            file.write(struct.pack(f"<{rows * 8}f", *(1 + i * i % 7 for i in range(rows * 8))))
    for name, content in (("names.txt", "abcde"), ("found.txt", "1234")):
        with open(f"{work}/{name}", "w") as file: file.write("\n".join(content) + "\n")
    os.makedirs(f"{work}/bin")
    os.symlink(ftf, f"{work}/bin/ftf")


def commands():
    """(page, line) of what stands indented by four."""
    for page in pages:
        for line in open(f"{root}/{page}", encoding="utf-8"):
            if re.match(r"    (ftf|make|curl|swift|export) ", line): yield page, re.sub(r"\s+#.*", "", line.strip())


def run(line):
    """What is wrong with it; nothing where nothing is."""
    environment = {**os.environ, "HOME": work, "PATH": f"{work}/bin:{os.environ['PATH']}", "FTF_MODEL": f"{root}/Models/ftf-small.ftf"}
    if line.startswith("make "):
        result = subprocess.run(["make", "-n", *line.split()[1:2]], cwd=root, capture_output=True, text=True)
        return result.stderr if result.returncode else ""
    if line.startswith(("export ", "swift ")): return ""
    line = line.replace(":8080", f":{port}").replace("118", "1")
    if line.startswith("ftf serve"): return serve(line, environment)
    result = subprocess.run(["bash", "-c", line], cwd=work, env=environment, capture_output=True, text=True, timeout=300)
    if line.startswith("curl"):
        known = result.stdout.startswith('{"type":"https://') or '"status":4' in result.stdout or '"status":5' in result.stdout
        return result.stderr + result.stdout if result.returncode or known else ""
    return result.stderr if result.returncode else ""


def serve(line, environment):
    process = subprocess.Popen(["bash", "-c", f"exec {line} --listen 127.0.0.1:0"], cwd=work, env=environment, stderr=subprocess.PIPE, text=True)
    said = awaited(process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    return "" if "serving" in said else said


def awaited(process):
    """What a service says until it serves, or ends."""
    said = ""
    for line in process.stderr:
        said += line
        if "serving" in line: break
    return said


def snippets():
    """(page, line): Swift that no program runs."""
    sources, pages = f"{root}/Tests/Client/Sources/client", f"{root}/Sources/FastThenFine/FastThenFine.docc"
    compiled = {line.strip() for name in os.listdir(sources) for line in open(f"{sources}/{name}", encoding="utf-8")}
    for name in sorted(os.listdir(pages)):
        code = False
        for line in open(f"{pages}/{name}", encoding="utf-8"):
            if line.startswith("```"): code = line.startswith("```swift")
            elif code and line.strip() and line.strip() not in compiled: yield name, line.strip()


uncompiled = list(snippets())
for page, line in uncompiled: print(f"{page}: {line}\n  is not in Tests/Client", file=sys.stderr)
prepare()
asked, wrong, server = list(commands()), len(uncompiled), None
assert len(asked) > 40, f"{len(asked)} commands were found"
for page, line in asked:
    if line.startswith("curl") and server is None:
        server = subprocess.Popen([ftf, "serve", f"{work}/archive.ftfindex", f"{work}/scenes.ftfindex", "--listen", f"127.0.0.1:{port}"], cwd=work,
                                  env={**os.environ, "FTF_MODEL": f"{root}/Models/ftf-small.ftf"}, stderr=subprocess.PIPE, text=True)
        awaited(server)
    reason = run(line)
    if reason: print(f"{page}: {line}\n  {reason.strip()}", file=sys.stderr)
    wrong += bool(reason)
if server: server.terminate()
print(f"{len(asked)} commands of {len(pages)} pages, {wrong} of them wrong")
sys.exit(1 if wrong else 0)
