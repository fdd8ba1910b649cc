"""A model file of `ftf convert`, int8 or fp32, as the model that it was made of, as near as its codes tell it.

Batch norms are folded there: here they become what they add, and have to stay as they are (`frozen_norms` beyond the last block).
"""
import json

import torch
from safetensors import safe_open

from network import EPSILON, Model


def load(path, scenes, tokenizer):
    """tokenizer: MiniLM's whole one; what the file's vocabulary leaves out keeps zeros, and no caption of the training has it."""
    file = safe_open(path, "pt")
    config, names = json.loads(file.metadata()["config"]), set(file.keys())
    words = file.metadata()["vocabulary"].split("\n")
    d = config["dimension"]
    model = Model(dict(dimension=d, image_dropout=0, text_dropout=0, frozen_blocks=0, frozen_norms=99), scenes)
    state = {k: torch.zeros_like(v) if "text." in k else v for k, v in model.state_dict().items()}

    def floats(name):
        values = file.get_tensor(name).float()
        if f"{name}_scale" in names: values *= file.get_tensor(f"{name}_scale").view(-1, *[1] * (values.ndim - 1))
        columns = name.removesuffix("weight") + "columns"
        return values * file.get_tensor(columns) if columns in names else values

    def put(own, name, shape=None):
        for part in ("weight", "bias"):
            if f"{own}.{part}" in state: state[f"{own}.{part}"] = floats(f"{name}.{part}").reshape(state[f"{own}.{part}"].shape)

    for own in {k.rsplit(".conv.", 1)[0] for k in state if ".conv." in k}:
        state[f"{own}.conv.weight"] = floats(f"{own}.weight").reshape(state[f"{own}.conv.weight"].shape)
        keep(state, f"{own}.norm", floats(f"{own}.bias"))
    for name in ("vision.projection", "vision.patch_projection", "text.projection", "text.word_projection"): put(name, name)
    # Behind the detail path's norm there is no bias: what it adds goes to the patches' own.
    state["vision.detail_projection.weight"] = floats("vision.detail_projection.weight")
    state["vision.patch_projection.bias"] += floats("vision.detail_projection.bias")
    keep(state, "vision.detail_norm", torch.zeros_like(state["vision.detail_norm.bias"]))
    own = "text.embeddings.word_embeddings.weight"
    known = [(tokenizer.token_to_id(word), row) for row, word in enumerate(words)]
    rows, kept = torch.tensor([pair for pair in known if pair[0] is not None]).T
    state[own][rows] = floats("text.token_embedding.weight")[kept]
    places = floats("text.position_embedding")
    state["text.embeddings.position_embeddings.weight"][: len(places)] = places
    put("text.embeddings.LayerNorm", "text.embedding_norm")
    for i in range(config["text"]["layers"]):
        own, name = f"text.encoder.layer.{i}", f"text.blocks.{i}"
        for part in ("weight", "bias"):
            thirds = floats(f"{name}.qkv.{part}").chunk(3)
            for third, values in zip(("query", "key", "value"), thirds): state[f"{own}.attention.self.{third}.{part}"] = values
        put(f"{own}.attention.output.dense", f"{name}.attention_out")
        put(f"{own}.attention.output.LayerNorm", f"{name}.norm1")
        put(f"{own}.intermediate.dense", f"{name}.mlp_in")
        put(f"{own}.output.dense", f"{name}.mlp_out")
        put(f"{own}.output.LayerNorm", f"{name}.norm2")
    model.load_state_dict(state)
    return model.eval()


def keep(state, norm, bias):
    """A batch norm that adds `bias` and does nothing else."""
    state[f"{norm}.weight"], state[f"{norm}.bias"] = torch.ones_like(bias), bias
    state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = torch.zeros_like(bias), torch.full_like(bias, 1 - EPSILON)
