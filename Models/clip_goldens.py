"""Writes the fixture of a CLIP model as transformers saves it: python clip_goldens.py ../Tests/Goldens (after goldens.py)

`clip/` is tiny and random, of an odd shape (patch 14, three heads), with byte pairs trained on the words of goldens.py;
`clip.safetensors` and `clip.json` hold what transformers makes of the images and sentences there.
"""
import json
import sys

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from hard_strings import HARD

out = sys.argv[1]
torch.manual_seed(2)
words = open(f"{out}/tiny/vocab.txt", encoding="utf-8").read().split("\n")[5:80]

trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trained.train_from_iterator([" ".join(words)] * 3 + words, trainers.BpeTrainer(
    vocab_size=900, end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=2,
    show_progress=False))
model = json.loads(trained.to_str())["model"]
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
tokens = alphabet + [c + "</w>" for c in alphabet]
usable, seen = [], set(tokens)
for a, b in merges:
    if a in seen and b in seen:
        usable.append((a, b))
        if a + b not in seen:
            tokens.append(a + b)
            seen.add(a + b)
tokens += ["<|startoftext|>", "<|endoftext|>"]
vocabulary = {token: i for i, token in enumerate(tokens)}
tokenizer = CLIPTokenizer(vocab=vocabulary, merges=usable)

config = CLIPConfig(
    projection_dim=20,
    text_config=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
                     vocab_size=len(tokens), max_position_embeddings=20, hidden_act="gelu",
                     bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1, pad_token_id=len(tokens) - 1),
    vision_config=dict(hidden_size=36, intermediate_size=60, num_hidden_layers=2, num_attention_heads=3, image_size=56,
                       patch_size=14))
clip = CLIPModel(config).eval()
with torch.no_grad():
    for name, value in clip.named_parameters():
        value.add_(torch.randn_like(value) * (0.3 / value.shape[-1] ** 0.5 if value.dim() > 1 else 0.1))
        value.copy_(value.half().float())
clip.save_pretrained(f"{out}/clip")
# In half precision, as many checkpoints come.
stored = {k: v.half() for k, v in load_file(f"{out}/clip/model.safetensors").items()}
save_file(stored, f"{out}/clip/model.safetensors", metadata={"format": "pt"})
json.dump(vocabulary, open(f"{out}/clip/vocab.json", "w"))
open(f"{out}/clip/merges.txt", "w", encoding="utf-8").write(
    "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in usable) + "\n")
processor = CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
processor.save_pretrained(f"{out}/clip")

names = ["rgb.jpg", "exact.png", "small.png", "grey.png"]
images = [ImageOps.exif_transpose(Image.open(f"{out}/images/{name}")).convert("RGB") for name in names]
sentences = ["many planes are parked next to a long building", "a river", "Two ships, docked; it's near the Harbor!"] + HARD
ids = [tokenizer(s, truncation=True, max_length=20).input_ids for s in sentences]
normal = torch.nn.functional.normalize
with torch.no_grad():
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    hidden = clip.vision_model.post_layernorm(clip.vision_model(pixel_values=pixels).last_hidden_state)
    both = normal(clip.visual_projection(hidden), dim=-1)
    t, W = [], []
    for tokens in ids[:3]:
        output = clip.text_model(input_ids=torch.tensor([tokens]))
        t.append(normal(clip.text_projection(output.pooler_output), dim=-1)[0])
        W.append(normal(clip.text_projection(output.last_hidden_state), dim=-1)[0, 1:-1])


def last_block(clip, pixels, source):
    """P by another last block, as published: `value` puts each token's value in the place of its attention (MaskCLIP, arXiv
    2112.01071); `self` attends by the likeness of queries and leaves out residual and feed-forward (ClearCLIP, arXiv 2407.12442)."""
    vision = clip.vision_model
    x = vision(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    layer = vision.encoder.layers[-1]
    attention, y = layer.self_attn, layer.layer_norm1(x)
    q, v = attention.q_proj(y), attention.v_proj(y)
    if source == "value":
        x = x + attention.out_proj(v)
        x = x + layer.mlp(layer.layer_norm2(x))
    else:
        split = lambda a: a.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        likeness = split(q) @ split(q).transpose(2, 3) / attention.head_dim**0.5
        x = attention.out_proj((likeness.softmax(-1) @ split(v)).transpose(1, 2).flatten(2))
    return normal(clip.visual_projection(vision.post_layernorm(x)), dim=-1)[:, 1:].contiguous()


with torch.no_grad():
    others = {f"P_{source}": last_block(clip, pixels, source) for source in ("value", "self")}
longest = max(len(w) for w in W)
W = torch.stack([torch.cat([w, torch.zeros(longest - len(w), 20)]) for w in W])
save_file(dict(g=both[:, 0].contiguous(), P=both[:, 1:].contiguous(), t=torch.stack(t), W=W, **others),
          f"{out}/clip.safetensors")
json.dump(dict(images=names, sentences=sentences, ids=ids), open(f"{out}/clip.json", "w"), indent=1)

# The same weights as PyTorch saves them, wrapped as training scripts do; and a TorchScript archive of a few tensors.
torch.save(dict(epoch=3, lr=0.5, state_dict={"module." + k: torch.nn.Parameter(v, requires_grad=False)
                                             for k, v in stored.items()}), f"{out}/clip.pt")


class Part(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x


script = Part()
script.add_module("inner", Part())
script.inner.add_module("0", Part())
script.inner.register_parameter("weight", torch.nn.Parameter(torch.arange(12.0).view(3, 4) / 8))
script.inner.get_submodule("0").register_parameter("bias", torch.nn.Parameter(torch.arange(5.0).half() - 2))
script.register_buffer("brain", torch.tensor([1.5, -2.5], dtype=torch.bfloat16))
torch.jit.save(torch.jit.trace(script, torch.zeros(1)), f"{out}/script.pt")
