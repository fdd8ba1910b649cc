"""How far models know north: python Models/turned.py FTF DATA MODEL.ftf ...

Mean cosines over 100 images of RSICD's val between a picture's vectors and those of its seven other symmetries: of g, of a patch and the same ground in
the turned picture, and, for scale, of a patch and its neighbour.
"""
import json
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ftf, data, *models = sys.argv[1:]
with open(f"{data}/data/rsicd/captions.jsonl") as lines: names = [row["filename"] for row in map(json.loads, lines) if row["split"] == "val"][::11][:100]


def turned(x, k, axes):
    return np.rot90(np.flip(x, axes[1]) if k >= 4 else x, k % 4, axes)


with tempfile.TemporaryDirectory() as folder:
    for k in range(8):
        for i, name in enumerate(names):
            pixels = np.asarray(Image.open(f"{data}/data/rsicd/images/{name}").convert("RGB"))
            Image.fromarray(np.ascontiguousarray(turned(pixels, k, (0, 1)))).save(f"{folder}/{k}-{i}.png")
    for model in models:
        g, P = [], []
        for k in range(8):
            subprocess.run([ftf, "embed", model, "--image", *(f"{folder}/{k}-{i}.png" for i in range(len(names))), "-o", f"{folder}/g.npy",
                            "--patches", f"{folder}/p.npy"], check=True, capture_output=True)
            g.append(np.load(f"{folder}/g.npy"))
            grid = np.load(f"{folder}/p.npy").reshape(len(names), 7, 7, -1)
            grid = np.rot90(grid, -(k % 4), (1, 2))
            P.append(np.flip(grid, 2) if k >= 4 else grid)
        cosine = lambda a, b: float((a * b).sum(-1).mean())
        beside = (cosine(P[0][:, :, 1:], P[0][:, :, :-1]) + cosine(P[0][:, 1:], P[0][:, :-1])) / 2
        print(f"{model}: g {np.mean([cosine(g[0], x) for x in g[1:]]):.3f}, the same ground {np.mean([cosine(P[0], x) for x in P[1:]]):.3f} "
              f"(least of the seven {min(cosine(P[0], x) for x in P[1:]):.3f}), a neighbour {beside:.3f}", flush=True)
