"""Writes the fixtures of other sources: python source_goldens.py ../Tests/Goldens (after goldens.py and clip_goldens.py)

`open_clip/` is a tiny random CLIP as open_clip saves it, of an odd shape (patch 14, heads 12 wide, images of 56), and
`dual-clip/`, `dual-vit/` are VisionTextDualEncoders as transformers saves them; `<name>.safetensors` holds what those libraries
make of the images and sentences of clip.json, with the tokenizer of `clip/` or of `tiny/`. `resized` in open_clip.safetensors
are g and P for images of 84, where open_clip resizes its positions.
"""
import json
import os
import sys

import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

from open_clip_import import open_clip
from open_clip.model import resize_pos_embed
from transformers import (BertConfig, BertTokenizer, CLIPImageProcessorPil, CLIPVisionConfig, ViTConfig,
                          ViTImageProcessorPil, VisionTextDualEncoderConfig, VisionTextDualEncoderModel)

out = sys.argv[1]
lists = json.load(open(f"{out}/clip.json", encoding="utf-8"))
images = [ImageOps.exif_transpose(Image.open(f"{out}/images/{name}")).convert("RGB") for name in lists["images"]]
sentences = lists["sentences"][:3]
normal = torch.nn.functional.normalize


def disturb(model):
    """Random weights far from their initial zeros and ones, exact in half precision."""
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * (0.3 / value.shape[-1] ** 0.5 if value.dim() > 1 else 0.1))
            value.copy_(value.half().float())
    return model.eval()


def padded(words):
    longest = max(len(w) for w in words)
    return torch.stack([torch.cat([w, torch.zeros(longest - len(w), w.shape[1])]) for w in words])


# open_clip: its own preprocessing, towers and resizing of positions.
torch.manual_seed(3)
vision = dict(image_size=56, layers=1, width=36, head_width=12, patch_size=14, mlp_ratio=2.0)
text = dict(context_length=20, vocab_size=len(json.load(open(f"{out}/clip/vocab.json", encoding="utf-8"))), width=24,
            heads=3, layers=1, mlp_ratio=2.0)
preprocess = dict(mean=[0.4, 0.45, 0.5], std=[0.25, 0.3, 0.35], interpolation="bicubic", resize_mode="shortest")


def build(side):
    return open_clip.model.CLIP(20, vision_cfg={**vision, "image_size": side}, text_cfg=text, quick_gelu=True)


def look(model, side):
    transform = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(size=side, **preprocess), False)
    tokens = {}
    hook = model.visual.ln_post.register_forward_hook(lambda module, inputs, output: tokens.update(all=output))
    with torch.no_grad():
        g = model.encode_image(torch.stack([transform(image) for image in images]), normalize=True)
        P = normal(tokens["all"][:, 1:] @ model.visual.proj, dim=-1)
    hook.remove()
    return g, P


def read(model, ids):
    padded_ids = torch.tensor([ids + [0] * (20 - len(ids))])
    tokens = {}
    hook = model.ln_final.register_forward_hook(lambda module, inputs, output: tokens.update(all=output))
    with torch.no_grad():
        t = model.encode_text(padded_ids, normalize=True)[0]
        W = normal(tokens["all"][0, 1:len(ids) - 1] @ model.text_projection, dim=-1)
    hook.remove()
    return t, W


model = disturb(build(56))
folder = f"{out}/open_clip"
os.makedirs(folder, exist_ok=True)
state = model.state_dict()
save_file({k: v.half().contiguous() for k, v in state.items()}, f"{folder}/open_clip_model.safetensors")
json.dump(dict(model_cfg=dict(embed_dim=20, quick_gelu=True, vision_cfg=vision, text_cfg=text), preprocess_cfg=preprocess),
          open(f"{folder}/open_clip_config.json", "w"), indent=1)
g, P = look(model, 56)
t, W = zip(*(read(model, ids) for ids in lists["ids"][:3]))
larger = build(84).eval()
resize_pos_embed(state, larger)
larger.load_state_dict(state)
G, Q = look(larger, 84)
save_file(dict(g=g, P=P.contiguous(), t=torch.stack(t), W=padded(W), resized_g=G, resized_P=Q.contiguous()),
          f"{out}/open_clip.safetensors")

# VisionTextDualEncoder: CLIP's image tower and the plain one, each with a BERT behind its pooler.
shape = dict(hidden_size=36, intermediate_size=60, num_hidden_layers=1, num_attention_heads=3, image_size=56, patch_size=14)
tokenizer = BertTokenizer(f"{out}/tiny/vocab.txt")
for name, tower in (("dual-clip", CLIPVisionConfig(**shape)), ("dual-vit", ViTConfig(**shape))):
    torch.manual_seed(4)
    words = BertConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2,
                       vocab_size=len(tokenizer), max_position_embeddings=20)
    model = disturb(VisionTextDualEncoderModel(VisionTextDualEncoderConfig.from_vision_text_configs(
        tower, words, projection_dim=20)))
    folder = f"{out}/{name}"
    model.half().save_pretrained(folder)
    model.float()
    plain = name == "dual-vit"
    processor = (ViTImageProcessorPil(size=dict(height=56, width=56)) if plain else
                 CLIPImageProcessorPil(size={"shortest_edge": 60}, crop_size={"height": 56, "width": 56}))
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with torch.no_grad():
        hidden = model.vision_model(pixel_values=processor(images=images, return_tensors="pt")["pixel_values"])
        patches = hidden.last_hidden_state[:, 1:]
        if not plain:
            patches = model.vision_model.post_layernorm(patches)
        g = normal(model.visual_projection(hidden.pooler_output), dim=-1)
        P = normal(model.visual_projection(patches), dim=-1)
        t, W = [], []
        for sentence in sentences:
            output = model.text_model(**tokenizer(sentence, return_tensors="pt", truncation=True, max_length=20))
            t.append(normal(model.text_projection(output.pooler_output), dim=-1)[0])
            W.append(normal(model.text_projection(output.last_hidden_state), dim=-1)[0, 1:-1])
    save_file(dict(g=g, P=P.contiguous(), t=torch.stack(t), W=padded(W)), f"{out}/{name}.safetensors")
