"""How two models differ on RSICD's val and held-out images: cosines of their vectors, and mR by recall, paired.

    python Models/compare.py FTF DATA ONE.ftf OTHER.ftf      (fp32 and int8, or the model before and now; DATA has data/rsicd)

Cosines over every third image, 300 at most, the mean of ONE taken off both; they say something of two precisions of one model alone.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "training"))
import retrieval

ftf, data, *models = sys.argv[1:]
data = f"{data}/data/rsicd"
with open(f"{data}/captions.jsonl") as lines: rows = [json.loads(line) for line in lines]
splits = {"val": [r for r in rows if r["split"] == "val"],
          "held out": sorted((r for r in rows if r["split"] == "train"), key=lambda r: r["filename"])[11::12]}


def embed(model, rows):
    """g [n, d] of the images, t [5 n, d] of the captions, P [n, N, d]."""
    with tempfile.TemporaryDirectory() as folder:
        out = lambda name: f"{folder}/{name}.npy"
        images = [f"{data}/images/{r['filename']}" for r in rows]
        subprocess.run([ftf, "embed", model, "--image", *images, "-o", out("g"), "--patches", out("P")], check=True, capture_output=True)
        sentences = "".join(f"{c}\n" for r in rows for c in r["captions"])
        subprocess.run([ftf, "embed", model, "--stdin", "-o", out("t")], input=sentences, text=True, check=True, capture_output=True)
        return [torch.from_numpy(np.load(out(name))).float() for name in "gtP"]


def cosine(one, other):
    one, other = (x[::3][:300].reshape(-1, x.shape[-1]) for x in (one, other))
    return torch.cosine_similarity(one - one.mean(0), other - one.mean(0)).mean().item()


for name, part in splits.items():
    both = [embed(model, part) for model in models]
    owner = torch.tensor([i for i, r in enumerate(part) for _ in r["captions"]])
    parts = [retrieval.recall_only(dict(g=g, t=t, owner=owner, column=torch.arange(len(t)))).mean(1) for g, t, _ in both]
    mean, low, high = retrieval.interval(parts[1] - parts[0])
    print(f"{name}: cosine g {cosine(both[0][0], both[1][0]):.4f}, P {cosine(both[0][2], both[1][2]):.4f}; mR by recall "
          f"{parts[0].mean():.2f} and {parts[1].mean():.2f}, {mean:+.2f} ({low:+.2f} to {high:+.2f})", flush=True)
