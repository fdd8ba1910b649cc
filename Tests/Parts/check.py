"""Whether an archive that is indexed in parts is the one that a single run makes, whatever happens: python check.py FTF WORK.

Workers are killed at any instant and started again, a disk fills (as root), a merge is killed, a part is merged while it is written, another model's,
a damaged one, one that cannot be written: answers, ids per path and attributes are those of the single run, bit by bit, and what is refused is said.
WORK is a folder that is made anew; the model is the default one.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

ftf, work = os.path.abspath(sys.argv[1]), pathlib.Path(os.path.abspath(sys.argv[2]))
goldens = pathlib.Path(__file__).resolve().parent.parent / "Goldens"
subprocess.run(["umount", "-l", work / "small"], stderr=subprocess.DEVNULL)
shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)
chance, wrong, kills = random.Random(8), [], 0


def expect(name, is_right, what=""):
    if not is_right:
        wrong.append(name)
        print(f"WRONG {name}: {what}", file=sys.stderr)


def run(*command, code=0):
    done = subprocess.run([ftf, *map(str, command)], capture_output=True, text=True)
    expect(" ".join(map(str, command)), done.returncode == code, f"{done.returncode}: {done.stderr}")
    return done


def killed(*command, longest=0.6):
    """Killed as often as it takes until it ends before it is killed; each attempt lives longer than the last."""
    global kills
    for attempt in range(1, 1000):
        process = subprocess.Popen([ftf, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try: _, said = process.communicate(timeout=chance.uniform(0.01, longest * attempt / 4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        expect(" ".join(map(str, command)), process.returncode == 0, said)
        return


def bare(answers):
    """Without attributes."""
    return {path: [scores[:2] for scores in said] for path, said in answers.items()}


def answers(*indexes, more=()):
    """Of every image: what is said of it, and its scores for some sentences, bit by bit."""
    found = {}
    for text in ("a bridge over a river", "planes beside a runway", "green trees"):
        said = json.loads(run("search", *indexes, "--text", text, "--top", 10000, "--json", *more).stdout.splitlines()[0])
        for r in said["results"]: found.setdefault(r["path"], []).append((r["score"], r["recall_score"], json.dumps(r["attributes"], sort_keys=True)))
    return found


run("demo", "--output", work / "demo", "--side", 1000)
images = work / "images"
images.mkdir()
names = []
for i, image in enumerate(sorted((work / "demo" / "scenes").rglob("*.jpg"))):
    folder = images / ("north" if i % 3 else "south")
    folder.mkdir(exist_ok=True)
    os.link(image, folder / f"{i}.jpg")
    names.append(folder / f"{i}.jpg")
attributes = work / "attributes.jsonl"
attributes.write_text("".join(json.dumps({"filename": n.name, "year": 2000 + i % 20}) + "\n" for i, n in enumerate(names)))
run("index", work / "one", images, "--attributes", attributes)
single = answers(work / "one")
expect("images", len(single) == len(names) > 200, f"{len(single)} of {len(names)}")

# Three workers, each killed again and again, on shares that follow from the names.
parts = [work / f"part{i}" for i in (1, 2, 3)]
with concurrent.futures.ThreadPoolExecutor(2) as workers:
    list(workers.map(lambda i: killed("index", parts[i - 1], images, "--shard", f"{i}/3", "--attributes", attributes, "--threads", 1), (1, 2, 3)))
for part in parts: run("index", "verify", part)
# And the merge of what they made.
killed("index", "merge", work / "merged", *parts, longest=0.2)
run("index", "verify", work / "merged")
expect("merged", answers(work / "merged") == single)
year = ("--filter", "year = 2007")
expect("merged, filtered", answers(work / "merged", more=year) == answers(work / "one", more=year))
again = json.loads(run("index", "merge", work / "merged", *parts, "--json").stdout)
expect("merged twice", again["files"] == 0 and again["known"] == len(names), again)
after = json.loads(run("index", work / "merged", images, "--json").stdout.splitlines()[-1])
expect("indexed after the merge", after["unchanged"] == len(names) and after["indexed"] == 0, after)
expect("searched as one", answers(*parts) == single)

# A part that is merged while it is written: what it has then, and the rest later.
writer = subprocess.Popen([ftf, "index", work / "growing", images, "--threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while writer.poll() is None:
    if (work / "growing" / "catalog.sqlite").exists():
        done = subprocess.run([ftf, "index", "merge", work / "grown", work / "growing"], capture_output=True, text=True)
        expect("merged while it is written", done.returncode == 0 or "no index" in done.stderr, done.stderr)
    time.sleep(0.05)
run("index", "merge", work / "grown", work / "growing")
expect("grown", bare(answers(work / "grown")) == bare(single))

# Two writers, one index: one of them is told.
writer = subprocess.Popen([ftf, "index", work / "busy", images, "--threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while writer.poll() is None and not (work / "busy" / "catalog.sqlite").exists(): time.sleep(0.01)
second = subprocess.run([ftf, "index", work / "busy", images], capture_output=True, text=True)
if writer.poll() is None: expect("two writers", second.returncode == 1 and str(work / "busy") in second.stderr, second.stderr)
writer.wait()
run("index", "verify", work / "busy")

# A renamed library, with all it had, and nothing encoded.
os.rename(images / "south", images / "far south")
moved = json.loads(run("index", work / "merged", images, "--json").stdout.splitlines()[-1])
expect("renamed", moved["indexed"] == 0 and len(answers(work / "merged")) == len(names), moved)
os.rename(images / "far south", images / "south")
# A root that is away: what is known of it stays.
os.rename(images, work / "away")
gone = subprocess.run([ftf, "index", work / "one", images], capture_output=True, text=True)
expect("a root that is away", gone.returncode != 0 and str(images) in gone.stderr, gone.stderr)
os.rename(work / "away", images)
expect("a root that came back", answers(work / "one") == single)

# What is refused, by its name: another model's part, one that is cut off.
run("convert", goldens / "tiny", "-o", work / "tiny.ftf", "--precision", "fp32")
run("index", work / "other", names[0], "--model", work / "tiny.ftf")
refused = run("index", "merge", work / "merged", work / "other", code=1)
expect("another model", "another model" in refused.stderr, refused.stderr)
shutil.copytree(parts[0], work / "cut")
segment = max((work / "cut" / "segments").iterdir(), key=lambda p: p.stat().st_size)
os.truncate(segment, segment.stat().st_size // 2)
refused = run("index", "merge", work / "whole", work / "cut", code=1)
expect("cut off", segment.name in refused.stderr, refused.stderr)

if os.geteuid() == 0:
    # A disk that fills, under a part and under a merge: what was stored is whole, and it goes on where there is room.
    small = work / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=True)
    try:
        made = small / "made"
        for command, expected in ((["index", made, images], bare(single)), (["index", "merge", made, *parts], single)):
            full = run(*command, code=1)
            expect("a full disk", "No space left on device" in full.stderr, full.stderr)
            subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
            run("index", "verify", made)
            run(*command)
            found = answers(made)
            expect("after a full disk", (found if "merge" in command else bare(found)) == expected)
            shutil.rmtree(made)
            subprocess.run(["mount", "-o", "remount,size=3m", small], check=True)
        # A medium that takes nothing: parts are read from it, nothing is written to it.
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        for part in parts: shutil.copytree(part, small / part.name)
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        run("index", "merge", work / "from read-only", *(small / part.name for part in parts))
        expect("read-only parts", answers(work / "from read-only") == single)
        refused = run("index", small / "part1", images, code=1)
        expect("a read-only index", str(small / "part1") in refused.stderr, refused.stderr)
    finally:
        subprocess.run(["umount", "-l", small])

print(f"{len(names)} images in parts: {kills} kills, {len(wrong)} wrong")
sys.exit(bool(wrong))
