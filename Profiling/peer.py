"""The image tower against OpenVINO int8 (NNCF), one thread, interleaved: python peer.py MODEL_DIR IMAGES_DIR [ROUNDS]

MODEL_DIR holds the fp32 weights, IMAGES_DIR the calibration images. Needs what Models/reference.py needs, openvino and
nncf. Prints milliseconds an image for both in every round, and the median ratio.
"""
import json
import os
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{here}/../Models")
import nncf
import numpy as np
import openvino as ov
import torch

from reference import Model

folder, images = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
model = Model(folder)


class Tower(torch.nn.Module):
    def forward(self, x):
        return model.tower(x)


def pixels(path):
    return ((model.pixels(path).astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]


paths = sorted(os.listdir(images))
chosen = [pixels(f"{images}/{paths[i * len(paths) // 300]}") for i in range(min(300, len(paths)))]
with torch.no_grad():
    converted = ov.convert_model(Tower().eval(), example_input=torch.from_numpy(chosen[0]), input=[1, 3, 224, 224])
quantized = nncf.quantize(converted, nncf.Dataset(chosen), subset_size=len(chosen), preset=nncf.QuantizationPreset.MIXED)
core = ov.Core()
compiled = core.compile_model(quantized, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"})
request = compiled.create_infer_request()


def openvino_ms():
    for x in chosen[:5]:
        request.infer([x])
    times = []
    for i in range(60):
        start = time.perf_counter()
        request.infer([chosen[i % len(chosen)]])
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def ours_ms():
    out = subprocess.run([f"{here}/../.build/release/ftf", "profile", "--rounds", "60", "--threads", "1", "--json"],
                         check=True, capture_output=True).stdout
    return next(p["median_ms"] for p in json.loads(out)["parts"] if p["name"] == "image, one thread")


ratios = []
for _ in range(rounds):
    a, b = openvino_ms(), ours_ms()
    ratios.append(a / b)
    print(f"OpenVINO int8 {a:.2f} ms, ours {b:.2f} ms, ratio {a / b:.2f}", flush=True)
print(f"median ratio {np.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
