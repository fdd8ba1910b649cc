"""How pictures that are not square are found: python aspect.py FTF MODEL DATA

FTF is the command, MODEL a model file, DATA a folder with captions.jsonl and images (RSICD; its val is used). Recall, the mean of R@1, R@5 and
R@10: of strips cut out of each picture (one scene a picture; both ways), and of pictures put side by side (several scenes; a caption of one that
is there in whole finds the row). Each is encoded as its middle, pressed into a square, and as windows along it, the best of which counts.
"""
import json
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ftf, model, data = sys.argv[1:4]
work = tempfile.mkdtemp()
rows = [row for row in map(json.loads, open(f"{data}/captions.jsonl")) if row["split"] == "val"]
pictures = [Image.open(f"{data}/images/{row['filename']}").convert("RGB") for row in rows]
captions = [caption for row in rows for caption in row["captions"]]
owner = np.repeat(np.arange(len(rows)), [len(row["captions"]) for row in rows])
rng = random.Random(1)


def embedded(shown):
    found = []
    for start in range(0, len(shown), 500):
        paths = [f"{work}/{i}.png" for i in range(len(shown[start:start + 500]))]
        for path, picture in zip(paths, shown[start:]): picture.resize((224, 224), Image.Resampling.BICUBIC).save(path, compress_level=1)
        subprocess.run([ftf, "embed", model, *sum([["--image", path] for path in paths], []), "-o", f"{work}/g.npy"], check=True, capture_output=True)
        found.append(np.load(f"{work}/g.npy"))
    return np.concatenate(found)


def squares(picture, count):
    (width, height), side = picture.size, min(picture.size)
    starts = [round(i * (max(picture.size) - side) / (count - 1)) for i in range(count)]
    return [picture.crop((x, 0, x + side, side) if width >= height else (0, x, side, x + side)) for x in starts]


def found(ranks): return np.mean([(ranks < k).mean() * 100 for k in (1, 5, 10)])


def one_way(scores, right): return found(((-scores).argsort(1) == right[:, None]).argmax(1))


def both_ways(scores, right):
    images = np.arange(scores.shape[1])
    return (one_way(scores, right) + found((right[(-scores.T).argsort(1)] == images[:, None]).argmax(1))) / 2


def table(name, aspect, shown, texts, right, measure):
    count = int(np.ceil((aspect - 1) / 0.8 - 1e-9)) + 1
    middle = [squares(picture, 3)[1] for picture in shown]
    windows = (texts @ embedded([square for picture in shown for square in squares(picture, count)]).T).reshape(len(texts), len(shown), count).max(2)
    pressed = texts @ embedded(shown).T
    values = [measure(scores, right) for scores in (texts @ embedded(middle).T, pressed, windows, np.maximum(pressed, windows))]
    print(f"{name}, {aspect}: " + ", ".join(f"{what} {value:.1f}" for what, value in zip(("middle", "pressed", "windows", "both"), values)), flush=True)


subprocess.run([ftf, "embed", model, "--stdin", "-o", f"{work}/t.npy"], input="\n".join(captions).encode(), check=True, capture_output=True)
texts = np.load(f"{work}/t.npy")
for aspect in (1.33, 1.5, 2, 3):
    short = round(224 / aspect)
    places = [(rng.random() < 0.5, rng.randrange(224 - short + 1)) for _ in pictures]
    strips = [p.crop((0, x, 224, x + short) if is_wide else (x, 0, x + short, 224)) for p, (is_wide, x) in zip(pictures, places)]
    table("strips", aspect, strips, texts, owner, both_ways)
for aspect in (1.33, 1.5, 2, 3):
    count, order = int(np.ceil(aspect)), list(range(len(pictures)))
    rng.shuffle(order)
    groups = [order[i:i + count] for i in range(0, len(order) - count + 1, count)]
    shown = [Image.new("RGB", (224 * count, 224)) for _ in groups]
    for row, group in zip(shown, groups): [row.paste(pictures[picture], (224 * i, 0)) for i, picture in enumerate(group)]
    where = {picture: i for i, group in enumerate(groups) for picture in group[:int(aspect)]}
    chosen = np.array([i for i in range(len(texts)) if owner[i] in where])
    shown = [row.crop((0, 0, round(224 * aspect), 224)) for row in shown]
    table("side by side", aspect, shown, texts[chosen], np.array([where[owner[i]] for i in chosen]), one_way)
