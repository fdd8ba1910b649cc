"""Writes the fixtures of the tests: python goldens.py ../Tests/Goldens

A tiny random model (`tiny/`: its weights say nothing of retrieval), images of every kind that people have, and in
`expected.safetensors` what PyTorch, Pillow and transformers make of them.
"""
import json
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from hard_strings import HARD
from reference import Model

out = sys.argv[1]
torch.manual_seed(1)
rng = np.random.default_rng(1)

WORDS = """a aerial airport and are at bare beach beside bridge building buildings by church city crossing dense docked
farm field fields forest four from green grey harbor has house in is land large long many near next of on over parking
piece planes playground pond port residential river road roads roof sea several ship ships some stadium storage tanks
the there to trees two viaduct water white with yellow""".split()
PIECES = ["##s", "##ed", "##ing", "##er", "##a", "##e", "##n", "##o", "##t", "##1", "##2"]
CHARACTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,!?-'()[]:;/%&") + ["北", "京", "é", "ß", "ø", "—", "“"]
vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS + PIECES + [c for c in CHARACTERS if c not in WORDS]

blocks = [
    dict(kernel=3, stride=1, expand=1, input=8, output=12, residual=False),
    dict(kernel=5, stride=2, expand=6, input=12, output=12, residual=False),
    dict(kernel=3, stride=1, expand=6, input=12, output=12, residual=True),
    dict(kernel=5, stride=2, expand=3, input=12, output=20, residual=False),
]
config = dict(
    format="fast-then-fine", name="tiny", dimension=24,
    vision=dict(architecture="efficientnet_lite", image_size=56, stem=8, blocks=blocks, head=40, norm_epsilon=0.001,
                activation="relu6", padding="same"),
    text=dict(architecture="bert", layers=2, width=32, heads=4, hidden=64, activation="gelu", norm_epsilon=1e-12,
              vocabulary=len(vocabulary), positions=40, context_length=24, pooling="mean", lowercase=True),
    preprocessing=dict(resize="shortest_edge", resize_to=56, crop_to=56, interpolation="bicubic",
                       mean=[127 / 255] * 3, std=[128 / 255] * 3),
    interaction=dict(mode="words", candidates=5, tau=0.1, beta=0.5, fusion="z", **{"lambda": 0.3}))

weights = {}


def normal(name, *shape, scale=1.0):
    weights[name] = torch.randn(*shape) * scale


def convolution(name, outputs, inputs, k):
    normal(f"{name}.conv.weight", outputs, inputs, k, k, scale=(2 / (inputs * k * k)) ** 0.5)
    weights[f"{name}.norm.weight"] = 1 + 0.1 * torch.randn(outputs)
    weights[f"{name}.norm.bias"] = 0.3 * torch.randn(outputs) + 0.2
    weights[f"{name}.norm.running_mean"] = 0.1 * torch.randn(outputs)
    weights[f"{name}.norm.running_var"] = 0.5 + torch.rand(outputs)


def linear(name, outputs, inputs):
    normal(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
    normal(f"{name}.bias", outputs, scale=0.1)


def norm(name, width):
    weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)
    normal(f"{name}.bias", width, scale=0.1)


convolution("vision.stem", 8, 3, 3)
for i, b in enumerate(blocks):
    inside = b["input"] * b["expand"]
    if b["expand"] != 1:
        convolution(f"vision.blocks.{i}.expand", inside, b["input"], 1)
    convolution(f"vision.blocks.{i}.depthwise", inside, 1, b["kernel"])
    convolution(f"vision.blocks.{i}.project", b["output"], inside, 1)
convolution("vision.head", 40, 20, 1)
linear("vision.projection", 24, 40)
linear("vision.patch_projection", 24, 40)
normal("text.embeddings.word_embeddings.weight", len(vocabulary), 32)
normal("text.embeddings.position_embeddings.weight", 40, 32)
normal("text.embeddings.token_type_embeddings.weight", 2, 32)
norm("text.embeddings.LayerNorm", 32)
for i in range(2):
    layer = f"text.encoder.layer.{i}"
    for part in ("query", "key", "value"):
        linear(f"{layer}.attention.self.{part}", 32, 32)
    linear(f"{layer}.attention.output.dense", 32, 32)
    norm(f"{layer}.attention.output.LayerNorm", 32)
    linear(f"{layer}.intermediate.dense", 64, 32)
    linear(f"{layer}.output.dense", 32, 64)
    norm(f"{layer}.output.LayerNorm", 32)
linear("text.projection", 24, 32)
linear("text.word_projection", 24, 32)

# Types as a real checkpoint mixes them: matrices in fp16 or bf16, vectors in fp32.
stored = {}
for i, (name, value) in enumerate(weights.items()):
    stored[name] = value if value.dim() == 1 else value.to(torch.float16 if i % 3 else torch.bfloat16)
save_file(stored, f"{out}/tiny/model.safetensors")
json.dump(config, open(f"{out}/tiny/config.json", "w"), indent=1)
open(f"{out}/tiny/vocab.txt", "w").write("\n".join(vocabulary) + "\n")


def picture(width, height, seed):
    """Smooth colour with edges, so that JPEG and resizing have something to do."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([128 + 90 * np.sin(x * r.uniform(0.02, 0.2) + y * r.uniform(0.02, 0.2) + r.uniform(0, 6))
                      for _ in range(3)], -1)
    for _ in range(6):
        x0, y0 = r.integers(0, max(width - 4, 1)), r.integers(0, max(height - 4, 1))
        image[y0 : y0 + height // 4 + 1, x0 : x0 + width // 5 + 1] = r.uniform(0, 255, 3)
    return (image + r.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


def save(name, image, **options):
    image.save(f"{out}/images/{name}", **options)


rgb = Image.fromarray(picture(97, 71, 2))
save("rgb.jpg", rgb, quality=85)
save("exact.png", Image.fromarray(picture(56, 56, 3)))
save("small.png", Image.fromarray(picture(23, 31, 4)))
save("grey.jpg", rgb.convert("L"), quality=85)
save("grey.png", rgb.convert("L"))
save("cmyk.jpg", rgb.convert("CMYK"), quality=90)
rgba = rgb.copy()
rgba.putalpha(Image.fromarray(picture(97, 71, 5)[:, :, 0]))
save("alpha.png", rgba)
save("palette.png", rgb.quantize(32))
save("progressive.jpg", rgb, quality=80, progressive=True)
for orientation in range(2, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(f"exif{orientation}.jpg", Image.fromarray(picture(64, 48, 6)), quality=85, exif=exif)
# 16 bits a channel, which Pillow does not write: grey with a known high byte.
import struct, zlib
grey16 = (picture(40, 60, 7)[:, :, 0].astype(np.uint16) << 8) | 0x5A
raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey16)
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
open(f"{out}/images/grey16.png", "wb").write(
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 60, 16, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))

model = Model(f"{out}/tiny")
names = ["rgb.jpg", "exact.png", "small.png", "grey.jpg", "grey.png", "cmyk.jpg", "alpha.png", "palette.png",
         "progressive.jpg"] + [f"exif{i}.jpg" for i in range(2, 9)]
pixels = np.stack([model.pixels(f"{out}/images/{name}") for name in names])
sentences = ["many planes are parked next to a long building in an airport .", "a river", "two ships, docked; near the harbor!",
             "", "   ", "Xyzzy NAÏVE Café 北京 ships[MASK]s", "the " * 60, "a\tb\nc\0d\ufffde\u200bf", "“roads—over” 50% (water)"]
t, W = zip(*(model.text(s) for s in sentences))
longest = max(len(w) for w in W)
g, P = model.images(pixels)
save_file(dict(
    pixels=torch.from_numpy(pixels.astype(np.float16)), g=g, P=P, t=torch.stack(t),
    W=torch.stack([torch.cat([w, torch.zeros(longest - len(w), 24)]) for w in W]),
    grey16=torch.from_numpy((grey16 >> 8).astype(np.float16))), f"{out}/expected.safetensors")
json.dump(dict(images=names, sentences=sentences, ids=[model.ids(s) for s in sentences]),
          open(f"{out}/expected.json", "w"), indent=1)
