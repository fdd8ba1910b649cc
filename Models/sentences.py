"""A sentence encoder in fp32 and int8 against PyTorch: python sentences.py SENTENCES_DIR VISION_SRC IMAGES_DIR CAPTIONS.jsonl

SENTENCES_DIR is a sentence-transformers folder with mean pooling (all-MiniLM-L6-v2), VISION_SRC and IMAGES_DIR an image tower
of the same length and images to calibrate it, which the sentences do not depend on. Prints the greatest difference of fp32 on
1,000 captions, and Spearman's correlation of all their similarities between int8 and fp32.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

folder, vision, images, captions = sys.argv[1:]
ftf = f"{os.path.dirname(os.path.abspath(__file__))}/../.build/release/ftf"
sentences = list(dict.fromkeys(c for line in open(captions) for c in json.loads(line)["captions"]))
random.seed(0)
sentences = random.sample(sentences, 1000)
vectors = {}
with tempfile.TemporaryDirectory() as work:
    for precision in ("fp32", "int8"):
        subprocess.run([ftf, "convert", "--vision", vision, "--text", folder, "-o", f"{work}/m.ftf", "--precision", precision,
                        "--calibrate", images, "--calibration-images", "4"], check=True)
        subprocess.run([ftf, "embed", f"{work}/m.ftf", "--stdin", "-o", f"{work}/t.npy"], check=True, text=True,
                       input="\n".join(sentences) + "\n")
        vectors[precision] = np.load(f"{work}/t.npy")

tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
tokenizer.backend_tokenizer.no_padding()
with torch.no_grad():
    means = [model(**tokenizer(s, return_tensors="pt")).last_hidden_state[0].mean(0) for s in sentences]
expected = torch.nn.functional.normalize(torch.stack(means), dim=-1).numpy()
print(f"fp32 against PyTorch: max abs error {abs(vectors['fp32'] - expected).max():.2e}")
pairs = np.triu_indices(len(sentences), 1)
ranks = [(v @ v.T)[pairs].argsort().argsort().astype(np.float64) for v in vectors.values()]
print(f"int8 against fp32: Spearman {np.corrcoef(*ranks)[0, 1]:.5f}")
