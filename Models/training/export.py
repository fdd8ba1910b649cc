"""Writes a trained model as the folder that `ftf convert` takes: config.json, model.safetensors, vocab.txt, tokenizer.json."""
import json
import os

import torch
from safetensors.torch import save_file

import network


def config(recipe, vocabulary):
    grey = 127 / 255
    return {
        "format": "fast-then-fine", "name": "ftf-small", "dimension": recipe["dimension"],
        "vision": {
            "architecture": "efficientnet_lite", "image_size": 224, "stem": network.STEM, "blocks": network.BLOCKS,
            "head": network.HEAD, "norm_epsilon": network.EPSILON, "activation": "relu6", "padding": "same", "detail": network.DETAIL,
        },
        "text": {
            "architecture": "bert", "layers": 6, "width": 384, "heads": 12, "hidden": 1536, "activation": "gelu", "norm_epsilon": 1e-12,
            "vocabulary": vocabulary, "positions": 512, "context_length": 64, "pooling": "mean", "lowercase": True,
        },
        "preprocessing": {
            # RSICD's pictures show 0.5 to 1 m a pixel.
            "ground": 150.0, "resize": "shortest_edge", "resize_to": 224, "crop_to": 224, "interpolation": "bicubic",
            "mean": [grey] * 3, "std": [128 / 255] * 3,
        },
        "interaction": recipe.get("interaction", {
            "mode": "balanced", "candidates": 50, "tau": recipe["tau"], "beta": recipe["beta"], "lambda": 0.5, "fusion": "z"}),
    }


def tensors(model):
    """The model's tensors, the detail path's norm folded into its projection: B' = B gamma / s, b' = B (beta - gamma mean / s)."""
    state = {k: v.detach().cpu() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    for name in [n for n in state if n.startswith("vision.detail_norm")] + ["scenes", "log_tau"]: state.pop(name)
    norm = model.vision.detail_norm.cpu()
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    shift = (norm.bias - norm.running_mean * scale).detach()
    weight = state.pop("vision.detail_projection.weight")
    state["vision.detail_projection.weight"] = weight * scale.repeat(4)
    state["vision.detail_projection.bias"] = weight @ shift.repeat(4)
    # Matrices and kernels in half precision; vectors, which are few, as they are.
    return {k: (v.half() if v.ndim > 1 else v.float()).contiguous() for k, v in state.items()}


def cut(words, used, common):
    """Which ids of a vocabulary stay: special tokens, every single character with and without ##, so that an unknown word falls to
    pieces and never to nothing, what the captions use, and the first `common` tokens: BERT's list is in order of frequency."""
    first = next(i for i, w in enumerate(words) if not (w.startswith("[") and w.endswith("]")) and i > 0)
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    return [i for i, w in enumerate(words)
            if w in special or len(w.removeprefix("##")) == 1 or i in used or (i >= first and i < common and not w.startswith("[unused"))]


def write_tokenizer(source, words, out):
    """vocab.txt, and tokenizer.json of the same words."""
    with open(os.path.join(out, "vocab.txt"), "w", encoding="utf-8") as file: file.write("\n".join(words) + "\n")
    with open(os.path.join(source, "tokenizer.json"), encoding="utf-8") as file: tokenizer = json.load(file)
    ids = {w: i for i, w in enumerate(words)}
    tokenizer["model"]["vocab"] = ids
    for token in tokenizer["added_tokens"]: token["id"] = ids[token["content"]]
    for name, token in tokenizer["post_processor"].get("special_tokens", {}).items(): token["ids"] = [ids[name]]
    with open(os.path.join(out, "tokenizer.json"), "w", encoding="utf-8") as file: json.dump(tokenizer, file, ensure_ascii=False)


def write(model, recipe, text_folder, out, used):
    """used: ids of the tokens in the train captions, which stay in the vocabulary."""
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(text_folder, "vocab.txt"), encoding="utf-8") as file: words = file.read().splitlines()
    kept = cut(words, used, recipe["common_words"])
    state = tensors(model)
    name = "text.embeddings.word_embeddings.weight"
    state[name] = state[name][torch.tensor(kept)].contiguous()
    save_file(state, os.path.join(out, "model.safetensors"))
    with open(os.path.join(out, "config.json"), "w") as file: json.dump(config(recipe, len(kept)), file, indent=1)
    write_tokenizer(text_folder, [words[i] for i in kept], out)
