"""Both towers against OpenVINO int8 (NNCF) on one thread, interleaved: python peer.py SOURCE IMAGES [ROUNDS] [LEVEL]

SOURCE is a folder of fp32 weights in this project's format, or b32 or l14 for a CLIP of the shape of ViT-B/32 or ViT-L/14 with random weights
(speed does not depend on them); IMAGES holds JPEGs to calibrate by. LEVEL avx2 holds both sides to AVX2. Needs what Models/reference.py needs, openvino, nncf
and .build/release/ftf, which converts the same weights. Prints milliseconds an image and a sentence for both in every round, and ours over theirs:
the median and the range.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{here}/../Models")
source, images = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
level = sys.argv[4] if len(sys.argv) > 4 else None
if level == "avx2": os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
import nncf
import numpy as np
import openvino as ov
import torch

FTF, BATCH = f"{here}/../.build/release/ftf", 8
work = tempfile.mkdtemp()
torch.manual_seed(0)


class Images(torch.nn.Module):
    def __init__(self, tower): super().__init__(); self.tower = tower
    def forward(self, pixels): return self.tower(pixels)


class Text(torch.nn.Module):
    def __init__(self, tower): super().__init__(); self.tower = tower
    def forward(self, ids): return self.tower(ids)


def clip(shape):
    """Random weights as transformers saves them, with a small vocabulary: a token's row is read whatever its number."""
    from transformers import CLIPConfig, CLIPModel
    wide = shape == "l14"
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14} if wide else {}
    config = CLIPConfig(
        attn_implementation="eager",
        projection_dim=768 if wide else 512,
        vision_config=vision,
        text_config={"vocab_size": 742, "bos_token_id": 740, "eos_token_id": 741, "pad_token_id": 741,
                     **({"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12} if wide else {})})
    model = CLIPModel(config).eval().requires_grad_(False)
    folder = f"{work}/clip"
    model.save_pretrained(folder)
    with open(f"{folder}/preprocessor_config.json", "w") as file:
        json.dump({"do_resize": True, "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
                   "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                   "do_convert_rgb": True}, file)
    for name in ("vocab.json", "merges.txt"): shutil.copy(f"{here}/../Tests/Goldens/clip/{name}", folder)
    seen = lambda x: model.visual_projection(model.vision_model(x).pooler_output)
    read = lambda ids: model.text_projection(model.text_model(input_ids=ids[None]).pooler_output)
    return folder, seen, read, lambda n: torch.cat([torch.randint(1, 700, (n - 1,)), torch.tensor([741])])


def own(folder):
    from reference import Model
    model = Model(folder)
    return folder, model.tower, model.text_tower, lambda n: torch.randint(5, 9000, (n,))


folder, seen, read, some_ids = clip(source) if source in ("b32", "l14") else own(source)
subprocess.run([FTF, "convert", folder, "-o", f"{work}/int8.ftf", "--precision", "int8", "--calibrate", images, "--calibration-images", "64"],
               check=True, stdout=subprocess.DEVNULL)


def ours():
    """Milliseconds an image, one of several in a pass, and a sentence, and how many tokens that has."""
    told = json.loads(subprocess.run(
        [FTF, "profile", f"{work}/int8.ftf", "--rounds", "40", "--threads", "1", "--json", "--parts", "image", "--parts", "text",
         *(["--level", level] if level else [])],
        check=True, capture_output=True).stdout)
    parts = {part["name"]: part["median_ms"] for part in told["parts"]}
    sentence = next(name for name in parts if name.startswith("sentence"))
    passes = [ms / int(re.search(r", (\d+) in a pass", name)[1]) for name, ms in parts.items() if "in a pass" in name]
    image = parts["image, one thread"]
    return image, *(passes or [image]), parts[sentence], int(re.search(r"of (\d+)", sentence)[1])


def pixels(path):
    from PIL import Image
    return (np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def compiled(module, example, calibration):
    with torch.no_grad(): converted = ov.convert_model(module, example_input=example, input=list(example.shape))
    transformer = {"model_type": nncf.ModelType.TRANSFORMER} if isinstance(module, Text) or source in ("b32", "l14") else {}
    # It changes biases, not what is computed, and does not take a sentence without a batch.
    if isinstance(module, Text): transformer["advanced_parameters"] = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
    quantized = nncf.quantize(converted, nncf.Dataset(calibration), subset_size=len(calibration), preset=nncf.QuantizationPreset.MIXED, **transformer)
    return ov.Core().compile_model(quantized, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}).create_infer_request()


def theirs(request, inputs, times=40):
    for x in inputs[:3]: request.infer([x])
    taken = []
    for i in range(times):
        start = time.perf_counter()
        request.infer([inputs[i % len(inputs)]])
        taken.append(time.perf_counter() - start)
    return 1e3 * float(np.median(taken))


*_, tokens = ours()
paths = sorted(os.listdir(images))
few = 300 if os.path.isdir(source) else 16
chosen = [pixels(f"{images}/{paths[i * len(paths) // few]}") for i in range(few)]
sentences = [some_ids(tokens).numpy() for _ in range(16)]
one = compiled(Images(seen).eval(), torch.from_numpy(chosen[0]), chosen)
many = [np.concatenate([chosen[(i + j) % len(chosen)] for j in range(BATCH)]) for i in range(4)]
eight = compiled(Images(seen).eval(), torch.from_numpy(many[0]), [np.concatenate([c] * BATCH) for c in chosen[:40]])
# Held to AVX2, OpenVINO does not build a text tower.
text = None if level else compiled(Text(read).eval(), torch.from_numpy(sentences[0]), sentences)

ratios = {}
for _ in range(rounds):
    image, several, sentence, _ = ours()
    pairs = [("an image", image, theirs(one, chosen)), (f"an image of {BATCH} together", several, theirs(eight, many, 12) / BATCH)]
    if text: pairs.append((f"a sentence of {tokens} tokens", sentence, theirs(text, sentences, 100)))
    for name, our_ms, their_ms in pairs:
        ratios.setdefault(name, []).append(our_ms / their_ms)
        print(f"{name}: OpenVINO int8 {their_ms:.2f} ms, ours {our_ms:.2f}, {our_ms / their_ms:.2f} of it", flush=True)
for name, all in ratios.items(): print(f"{name}: {np.median(all):.2f} of OpenVINO's time ({min(all):.2f} to {max(all):.2f})")
shutil.rmtree(work)
