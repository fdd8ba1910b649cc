"""How well models rank EuroSAT's images for the names of its classes: python Models/eurosat.py FTF DATA MODEL.ftf ...

DATA has data/eurosat (labels.jsonl, images/). The first 400 images of each class by file name; no model was trained or tuned on any. Of a second model and
further ones also what they have more than the first in mean average precision, 95 % over images.
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


def precisions(scores, truth):
    """The average precision of each class, in percent: scores [n, classes], truth int[n]."""
    hits = [truth[np.argsort(-scores[:, k], kind="stable")] == k for k in range(len(NAMES))]
    return [100 * (np.cumsum(h) / np.arange(1, len(h) + 1))[h].mean() for h in hits]


first, random = None, np.random.default_rng(0)
draws = [random.integers(0, len(truth), len(truth)) for _ in range(400)]
for model in models:
    g = embed(model, "--image", *(f"{data}/data/eurosat/images/{r['filename']}" for r in rows))
    t = embed(model, "--stdin", text=True, input="".join(f"a satellite image of {name}\n" for name in NAMES.values()))
    scores = g @ t.T
    own = precisions(scores, truth)
    hundred = np.mean([(truth[np.argsort(-scores[:, k])[:100]] == k).mean() for k in range(len(NAMES))])
    print(f"{model}: mean average precision {np.mean(own):.1f} %, right among the first hundred {100 * hundred:.1f} %, as a classifier "
          f"{100 * (scores.argmax(1) == truth).mean():.1f} %; " + ", ".join(f"{name} {x:.1f}" for name, x in zip(NAMES, own)), flush=True)
    if first is not None:
        gains = [np.mean(precisions(scores[i], truth[i])) - np.mean(precisions(first[i], truth[i])) for i in draws]
        print("  over the first {:+.1f} ({:+.1f} to {:+.1f})".format(np.mean(own) - np.mean(precisions(first, truth)), *np.quantile(gains, (0.025, 0.975))))
    else: first = scores
