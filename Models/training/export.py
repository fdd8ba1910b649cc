"""Writes a trained model as the folder that `ftf convert` takes: config.json, model.safetensors, vocab.txt, tokenizer.json."""
import json
import os
import shutil

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
            "resize": "shortest_edge", "resize_to": 224, "crop_to": 224, "interpolation": "bicubic",
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


def write(model, recipe, text_folder, out):
    os.makedirs(out, exist_ok=True)
    state = tensors(model)
    save_file(state, os.path.join(out, "model.safetensors"))
    with open(os.path.join(out, "config.json"), "w") as file:
        json.dump(config(recipe, len(state["text.embeddings.word_embeddings.weight"])), file, indent=1)
    for name in ("vocab.txt", "tokenizer.json"): shutil.copy(os.path.join(text_folder, name), out)
