"""How well models rank EuroSAT's images for the names of its classes: python Models/eurosat.py FTF DATA MODEL.ftf ...

DATA has data/eurosat (labels.jsonl, images/). The first 400 images of each class by file name; no model was trained or tuned on any.
"""
import json
import subprocess
import sys
import tempfile

import numpy as np

NAMES = {"AnnualCrop": "annual crop land", "Forest": "forest", "HerbaceousVegetation": "herbaceous vegetation", "Highway": "a highway",
         "Industrial": "industrial buildings", "Pasture": "pasture", "PermanentCrop": "permanent crop land",
         "Residential": "residential buildings", "River": "a river", "SeaLake": "sea or lake"}
ftf, data, *models = sys.argv[1:]
with open(f"{data}/data/eurosat/labels.jsonl") as lines: rows = sorted((json.loads(line) for line in lines), key=lambda r: r["filename"])
rows = [r for name in NAMES for r in [r for r in rows if r["class"] == name][:400]]
truth = np.array([list(NAMES).index(r["class"]) for r in rows])


def embed(model, *arguments, **options):
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:
        subprocess.run([ftf, "embed", model, *arguments, "-o", out.name], check=True, capture_output=True, **options)
        return np.load(out.name).astype(float)


for model in models:
    g = embed(model, "--image", *(f"{data}/data/eurosat/images/{r['filename']}" for r in rows))
    t = embed(model, "--stdin", text=True, input="".join(f"a satellite image of {name}\n" for name in NAMES.values()))
    scores = g @ t.T
    hits = [truth[np.argsort(-scores[:, k])] == k for k in range(len(NAMES))]
    precision = [(np.cumsum(h) / np.arange(1, len(h) + 1))[h].mean() for h in hits]
    print(f"{model}: mean average precision {100 * np.mean(precision):.1f} %, right among the first hundred "
          f"{100 * np.mean([h[:100].mean() for h in hits]):.1f} %, as a classifier {100 * (scores.argmax(1) == truth).mean():.1f} %", flush=True)
