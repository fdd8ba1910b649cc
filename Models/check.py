"""Writes what PyTorch and transformers make of a full model and RSICD, for `make check`:

    python check.py MODEL_DIR CAPTIONS.jsonl IMAGES_DIR CLIP_BPE_DIR OUT_DIR
"""
import json
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from hard_strings import HARD
from reference import Model

folder, captions, images, bpe, out = sys.argv[1:]
model = Model(folder)
rows = [json.loads(line) for line in open(captions)]
sentences = [c for row in rows for c in row["captions"]]
unique = list(dict.fromkeys(sentences)) + HARD
json.dump(dict(sentences=unique, ids=[model.ids(s) for s in unique], images=[]), open(f"{out}/ids.json", "w"))

pairs = [tuple(line.split()) for line in open(f"{bpe}/merges.txt", encoding="utf-8").read().split("\n")[1:] if line]
clip = CLIPTokenizer(vocab=json.load(open(f"{bpe}/vocab.json", encoding="utf-8")), merges=pairs)
clip.save_pretrained(f"{out}/clip")
ids = [clip(s, truncation=True, max_length=77).input_ids for s in unique]
json.dump(dict(sentences=unique, ids=ids, images=[]), open(f"{out}/clip_ids.json", "w"))

val = [row for row in rows if row["split"] == "val"]
chosen = val[:: len(val) // 24][:24]
g, P = model.images(np.stack([model.pixels(f"{images}/{row['filename']}") for row in chosen]))
texts = [row["captions"][0] for row in chosen] + HARD[:20]
t, W = zip(*(model.text(s) for s in texts))
longest = max(len(w) for w in W)
W = torch.stack([torch.cat([w, torch.zeros(longest - len(w), w.shape[1])]) for w in W])
save_file(dict(g=g, P=P, t=torch.stack(t), W=W), f"{out}/expected.safetensors")
json.dump(dict(images=[row["filename"] for row in chosen], sentences=texts, ids=[]), open(f"{out}/expected.json", "w"))
