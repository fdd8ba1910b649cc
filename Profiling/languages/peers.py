"""Files of pictures to vectors in one Python process, loading included, beside open_clip and OpenVINO: python peers.py FTF IMAGES WORK [ROUNDS]

One CLIP of the shape of ViT-B/32 with random weights (speed does not depend on them), two threads, eight pictures at a time: ours in int8 from the
wheel, OpenVINO's in int8 (NNCF, the same calibration images) and open_clip's in fp32, both behind open_clip's own transform of PIL's pictures, whose
threads load ahead. IMAGES holds JPEGs. Needs the wheel, open_clip_torch, openvino and nncf. Prints images a
second of each round, and how each stands to ours.
"""
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import time

import fastthenfine
import nncf
import numpy as np
import openvino
import torch
from PIL import Image
from safetensors.torch import save_file

sys.path.append(f"{os.path.dirname(os.path.abspath(__file__))}/../../Models")
from open_clip_import import open_clip

ftf, images, work = sys.argv[1:4]
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
THREADS, BATCH = 2, 8
os.makedirs(work, exist_ok=True)
torch.set_num_threads(THREADS)
paths = [f"{images}/{name}" for name in sorted(os.listdir(images)) if name.lower().endswith((".jpg", ".jpeg"))][:256]
paths = paths[: len(paths) // BATCH * BATCH]
model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None)
model.eval().requires_grad_(False)


def loaded(some): return torch.stack([transform(Image.open(path)) for path in some])


folder = f"{work}/open_clip"
os.makedirs(folder, exist_ok=True)
save_file({k: v.contiguous() for k, v in model.state_dict().items() if k != "attn_mask"}, f"{folder}/open_clip_model.safetensors")
with open(f"{folder}/open_clip_config.json", "w") as file:
    json.dump(dict(model_cfg=open_clip.get_model_config("ViT-B-32-quickgelu"), preprocess_cfg=dict(interpolation="bicubic", resize_mode="shortest")), file)
words = open_clip.tokenizer.SimpleTokenizer()
with open(f"{folder}/vocab.json", "w") as file: json.dump({{"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(word, word): i for word, i in words.encoder.items()}, file)
with open(f"{folder}/merges.txt", "w") as file: file.writelines(["#version: 0.2\n", *(f"{a} {b}\n" for a, b in words.bpe_ranks)])
subprocess.run([ftf, "convert", folder, "-o", f"{work}/b32.ftf", "--tokenizer", folder, "--calibrate", images], check=True)
ours = fastthenfine.Model(f"{work}/b32.ftf", threads=THREADS)


class Tower(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, x): return torch.nn.functional.normalize(self.model.encode_image(x), dim=-1)


with torch.no_grad(): converted = openvino.convert_model(Tower().eval(), example_input=loaded(paths[:BATCH]), input=[BATCH, 3, 224, 224])
samples = [loaded(paths[i : i + BATCH]).numpy() for i in range(0, min(304, len(paths)), BATCH)]
quantized = nncf.quantize(converted, nncf.Dataset(samples), subset_size=len(samples), model_type=nncf.ModelType.TRANSFORMER)
request = openvino.Core().compile_model(quantized, "CPU", {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}).create_infer_request()


def batches():
    """Of pixels; the next are loaded meanwhile."""
    groups = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool: yield from pool.map(loaded, groups)


@torch.no_grad()
def by_open_clip(): return np.concatenate([Tower()(x).numpy() for x in batches()])


def by_openvino(): return np.concatenate([request.infer([x.numpy()])[0].copy() for x in batches()])


ways = {"fastthenfine int8": lambda: ours.encode(paths), "OpenVINO int8": by_openvino, "open_clip fp32": by_open_clip}
rates = {name: [] for name in ways}
for turn in range(rounds + 1):
    for name, way in ways.items():
        began = time.perf_counter()
        vectors = way()
        if turn: rates[name].append(len(paths) / (time.perf_counter() - began))
        assert vectors.shape == (len(paths), 512)
first = next(iter(ways))
for name in ways:
    ratios = [own / other for own, other in zip(rates[name], rates[first])]
    print(f"{name:18} {statistics.median(rates[name]):7.1f} images a second, {statistics.median(ratios):.2f} of ours ({min(ratios):.2f} to {max(ratios):.2f})")
