"""How two models differ on RSICD's val and held-out images and on UAVIC's: cosines of their vectors, and mR by recall, paired.

    python Models/compare.py FTF DATA ONE.ftf OTHER.ftf      (fp32 and int8, or the model before and now; DATA has data/rsicd and data/more)

Cosines over every third image, 300 at most, the mean of ONE taken off both; they say something of two precisions of one model alone. UAVIC's pictures are
frames of a few flights, many alike: there the interval of drawing whole flights anew is the one to trust.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "training"))
import retrieval

ftf, data, *models = sys.argv[1:]
def lines_of(path):
    with open(path) as lines: return [json.loads(line) for line in lines]


rsicd, more = f"{data}/data/rsicd", f"{data}/data/more"
rows = lines_of(f"{rsicd}/captions.jsonl")
splits = {"val": (rsicd, [r for r in rows if r["split"] == "val"]),
          "held out": (rsicd, sorted((r for r in rows if r["split"] == "train"), key=lambda r: r["filename"])[11::12]),
          "UAVIC": (more, [r for r in lines_of(f"{more}/pictures.jsonl") if r.get("captions")])}


def embed(model, data, rows):
    """g [n, d] of the images, t [m, d] of the captions, P [n, N, d]."""
    with tempfile.TemporaryDirectory() as folder:
        out = lambda name: f"{folder}/{name}.npy"
        images = [f"{data}/images/{r['filename']}" for r in rows]
        subprocess.run([ftf, "embed", model, "--image", *images, "-o", out("g"), "--patches", out("P")], check=True, capture_output=True)
        sentences = "".join(" ".join(c.split()) + "\n" for r in rows for c in r["captions"])
        subprocess.run([ftf, "embed", model, "--stdin", "-o", out("t")], input=sentences, text=True, check=True, capture_output=True)
        return [torch.from_numpy(np.load(out(name))).float() for name in "gtP"]


def cosine(one, other):
    one, other = (x[::3][:300].reshape(-1, x.shape[-1]) for x in (one, other))
    return torch.cosine_similarity(one - one.mean(0), other - one.mean(0)).mean().item()


def by_flight(difference, rows, rounds=2000):
    """The 95 % interval where the first number of a name says the flight and whole flights are drawn anew."""
    flight = np.array([int(re.search(r"\d+", r["filename"])[0]) for r in rows])
    sums, counts = (np.array([f(difference[flight == k]) for k in np.unique(flight)]) for f in (np.sum, len))
    drawn = np.random.default_rng(0).integers(0, len(sums), (rounds, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return f"; drawing its {len(sums)} flights anew {low:+.2f} to {high:+.2f}"


for name, (folder, part) in splits.items():
    both = [embed(model, folder, part) for model in models]
    owner = torch.tensor([i for i, r in enumerate(part) for _ in r["captions"]])
    parts = [retrieval.recall_only(dict(g=g, t=t, owner=owner, column=torch.arange(len(t)))).mean(1) for g, t, _ in both]
    mean, low, high = retrieval.interval(parts[1] - parts[0])
    print(f"{name}: cosine g {cosine(both[0][0], both[1][0]):.4f}, P {cosine(both[0][2], both[1][2]):.4f}; mR by recall "
          f"{parts[0].mean():.2f} and {parts[1].mean():.2f}, {mean:+.2f} ({low:+.2f} to {high:+.2f})"
          f"{by_flight((parts[1] - parts[0]).numpy(), part) if name == 'UAVIC' else ''}", flush=True)
