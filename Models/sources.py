"""One CLIP of the shape of ViT-B/32 in every container and naming: python sources.py CLIP_BPE IMAGES WORK

CLIP_BPE has CLIP's vocab.json and merges.txt, IMAGES some images; WORK takes 3 GB. The weights are random: this shows that ftf
computes what transformers and open_clip compute, of each file that they write, and what int8 costs; nothing about retrieval.
"""
import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from open_clip_import import open_clip
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

bpe, folder, work = sys.argv[1:]
ftf = f"{os.path.dirname(os.path.abspath(__file__))}/../.build/release/ftf"
paths = sorted(glob.glob(f"{folder}/*"))[:12]
sentences = ["many planes are parked next to a long building", "a river", "Two ships, docked; it's near the Harbor!",
             "a baseball field between green trees and roads", "cloudy", "dense residential area with many houses"]
normal = torch.nn.functional.normalize


def disturb(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * (0.3 / value.shape[-1] ** 0.5 if value.dim() > 1 else 0.1))
            # Exact in both half precisions, so that every container holds the same numbers.
            value.copy_(value.bfloat16().half().float())
    return model.eval()


def save(name, model, **options):
    target = f"{work}/{name}"
    os.makedirs(target, exist_ok=True)
    model.save_pretrained(target, **options)
    CLIPImageProcessorPil().save_pretrained(target)
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(f"{bpe}/{file}", target)
    return target


def open_clip_state(clip, config):
    """The weights of a CLIPModel under open_clip's names."""
    state, parts = {}, dict(layer_norm1="ln_1", layer_norm2="ln_2", **{
        "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"})
    weights = clip.state_dict()
    for tower, ours, layers in (("vision_model", "visual.transformer", config.vision_config.num_hidden_layers),
                                ("text_model", "transformer", config.text_config.num_hidden_layers)):
        for i in range(layers):
            a, b = f"{tower}.encoder.layers.{i}", f"{ours}.resblocks.{i}"
            for kind in ("weight", "bias"):
                state[f"{b}.attn.in_proj_{kind}"] = torch.cat(
                    [weights[f"{a}.self_attn.{p}_proj.{kind}"] for p in "qkv"])
                for name, other in parts.items():
                    state[f"{b}.{other}.{kind}"] = weights[f"{a}.{name}.{kind}"]
    for kind in ("weight", "bias"):
        state[f"visual.ln_pre.{kind}"] = weights[f"vision_model.pre_layrnorm.{kind}"]
        state[f"visual.ln_post.{kind}"] = weights[f"vision_model.post_layernorm.{kind}"]
        state[f"ln_final.{kind}"] = weights[f"text_model.final_layer_norm.{kind}"]
    state["visual.conv1.weight"] = weights["vision_model.embeddings.patch_embedding.weight"]
    state["visual.class_embedding"] = weights["vision_model.embeddings.class_embedding"]
    state["visual.positional_embedding"] = weights["vision_model.embeddings.position_embedding.weight"]
    state["token_embedding.weight"] = weights["text_model.embeddings.token_embedding.weight"]
    state["positional_embedding"] = weights["text_model.embeddings.position_embedding.weight"]
    state["visual.proj"] = weights["visual_projection.weight"].T.contiguous()
    state["text_projection"] = weights["text_projection.weight"].T.contiguous()
    state["logit_scale"] = weights["logit_scale"]
    return state


# The reference: transformers.
config = CLIPConfig()
clip = disturb(CLIPModel(config))
hf = save("transformers", clip)
tokenizer = CLIPTokenizer.from_pretrained(hf)
pixels = CLIPImageProcessorPil()(images=[Image.open(p).convert("RGB") for p in paths], return_tensors="pt")["pixel_values"]
ids = [tokenizer(s).input_ids for s in sentences]
with torch.no_grad():
    hidden = clip.vision_model.post_layernorm(clip.vision_model(pixel_values=pixels).last_hidden_state)
    both = normal(clip.visual_projection(hidden), dim=-1)
    g, P = both[:, 0].numpy(), both[:, 1:].numpy()
    t = torch.cat([normal(clip.text_projection(clip.text_model(input_ids=torch.tensor([i])).pooler_output), dim=-1)
                   for i in ids]).numpy()

# open_clip has the same weights and, at these sizes of images, the same pixels.
shape = {k: v for k, v in open_clip.get_model_config("ViT-B-32-quickgelu").items()}
model = open_clip.model.CLIP(**shape).eval()
missing = model.load_state_dict(open_clip_state(clip, config), strict=False)
assert not missing.unexpected_keys and set(missing.missing_keys) <= {"attn_mask"}, missing
tokens = torch.tensor([i + [0] * (77 - len(i)) for i in ids])
with torch.no_grad():
    print(f"open_clip against transformers: g {abs(model.encode_image(pixels, normalize=True).numpy() - g).max():.1e}, "
          f"t {abs(model.encode_text(tokens, normalize=True).numpy() - t).max():.1e}")
state = {k: v.contiguous() for k, v in model.state_dict().items() if k != "attn_mask"}

sources = [("transformers, safetensors, fp32", hf, [])]
sources.append(("transformers, shards of 100 MB, bf16",
                save("shards", CLIPModel.from_pretrained(hf).bfloat16(), max_shard_size="100MB"), []))
binary = save("binary", clip)
os.remove(f"{binary}/model.safetensors")
torch.save(clip.state_dict(), f"{binary}/pytorch_model.bin")
sources.append(("transformers, pytorch_model.bin", binary, []))
hub = f"{work}/open_clip"
os.makedirs(hub, exist_ok=True)
save_file(state, f"{hub}/open_clip_model.safetensors")
json.dump(dict(model_cfg=shape, preprocess_cfg=dict(interpolation="bicubic", resize_mode="shortest")),
          open(f"{hub}/open_clip_config.json", "w"))
sources.append(("open_clip folder", hub, ["--tokenizer", bpe]))
torch.save(dict(epoch=1, state_dict={f"module.{k}": v.half() for k, v in state.items()}), f"{work}/epoch_1.pt")
sources.append(("open_clip checkpoint, module., fp16", f"{work}/epoch_1.pt", ["--tokenizer", bpe, "--arch", "ViT-B-32-quickgelu"]))
traced = torch.jit.trace(model, (pixels[:1], tokens[:1]), check_trace=False)
torch.jit.save(traced.half(), f"{work}/ViT-B-32.pt")
sources.append(("TorchScript, fp16", f"{work}/ViT-B-32.pt", ["--tokenizer", bpe]))


def embed(file):
    subprocess.run([ftf, "embed", file, "-o", f"{work}/g.npy", "--patches", f"{work}/P.npy", "--image", *paths], check=True)
    subprocess.run([ftf, "embed", file, "-o", f"{work}/t.npy", "--text", *sentences], check=True)
    return [np.load(f"{work}/{name}.npy") for name in "gPt"]


for name, source, options in sources:
    subprocess.run([ftf, "convert", source, "-o", f"{work}/m.ftf", "--precision", "fp32", *options], check=True)
    found = embed(f"{work}/m.ftf")
    figures = ", ".join(f"{n} {abs(a - b).max():.1e} (least cosine {(a * b).sum(-1).min():.7f})"
                        for n, a, b in zip("gPt", found, (g, P, t)))
    print(f"{name}: max abs error {figures}", flush=True)

# Which activation explains vectors of transformers, where the file is silent.
torch.save(state, f"{work}/silent.pt")
images = f"{work}/images"
os.makedirs(images, exist_ok=True)
for path in paths:
    shutil.copy(path, images)
np.save(f"{work}/expected.npy", g)
subprocess.run([ftf, "convert", f"{work}/silent.pt", "-o", f"{work}/m.ftf", "--tokenizer", bpe, "--precision", "fp32",
                "--verify", "--expect", f"{work}/expected.npy", "--calibrate", images], check=True)

# What int8 costs: the accuracy card's first lines.
card = subprocess.run([ftf, "convert", hf, "-o", f"{work}/m.ftf", "--calibrate", folder, "--verify"], check=True,
                      capture_output=True, text=True).stdout
print("int8 " + "\n".join(card.split("\n")[:6]))
