"""Marks the patch that is highest for "a plane" and "a storage tank" on photographs of RSICD's val, to be counted by eye.

    python Models/pointing_sheet.py FTF DATA OUT MODEL.ftf [BEFORE.ftf]      (red: MODEL, cyan: BEFORE; DATA has data/rsicd)
"""
import json
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw

ftf, data, out, *models = sys.argv[1:]
data, side = f"{data}/data/rsicd", 320
with open(f"{data}/captions.jsonl") as lines: val = [r for r in map(json.loads, lines) if r["split"] == "val"]


def highest(model, images, sentence):
    """The highest patch of each image, and how many patches a side has."""
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *a, **o: subprocess.run([ftf, "embed", model, *a], check=True, capture_output=True, **o)
        run("--image", *images, "-o", f"{folder}/g.npy", "--patches", f"{folder}/P.npy")
        run("--stdin", "-o", f"{folder}/t.npy", input=f"{sentence}\n", text=True)
        t = np.load(f"{folder}/t.npy")[0].astype(float)
        P = np.load(f"{folder}/P.npy").astype(float).reshape(len(images), -1, len(t))
    return (P @ t).argmax(1), round(P.shape[1] ** 0.5)


for scene, words, sentence in (("airport", ("plane", "aircraft"), "a plane"), ("storagetanks", ("tank",), "a storage tank")):
    named = lambda r: sum(any(word in caption for word in words) for caption in r["captions"]) >= 3
    chosen = [f"{data}/images/{r['filename']}" for r in val if r["filename"].startswith(f"{scene}_") and named(r)]
    random.Random(7).shuffle(chosen)
    chosen = chosen[:24]
    pictures = [Image.open(path).convert("RGB").resize((side, side)) for path in chosen]
    for colour, model in zip(("red", "cyan"), models):
        patches, grid = highest(model, chosen, sentence)
        for picture, patch in zip(pictures, patches):
            cell, (y, x) = side / grid, divmod(int(patch), grid)
            ImageDraw.Draw(picture).rectangle([x * cell, y * cell, (x + 1) * cell, (y + 1) * cell], outline=colour, width=2)
    sheet = Image.new("RGB", (6 * side, 4 * side))
    for i, picture in enumerate(pictures): sheet.paste(picture, (i % 6 * side, i // 6 * side))
    sheet.save(f"{out}/pointing-{scene}.png")
