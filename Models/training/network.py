"""The two towers: EfficientNet-Lite2 with a detail path to the patches, and a BERT of six layers.

The modules are named as the tensors of the exported folder are, so that a state_dict is the export.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from transformer import Transformer

# kernel, stride of the first, expand, input, output, repeats
STAGES = [(3, 1, 1, 32, 16, 1), (3, 2, 6, 16, 24, 3), (5, 2, 6, 24, 48, 3), (3, 2, 6, 48, 88, 4), (5, 1, 6, 88, 120, 4),
          (5, 2, 6, 120, 208, 5), (3, 1, 6, 208, 352, 1)]
BLOCKS = [
    dict(kernel=k, stride=s if i == 0 else 1, expand=e, input=a if i == 0 else b, output=b, residual=i > 0)
    for k, s, e, a, b, n in STAGES for i in range(n)
]
STEM, HEAD, EPSILON = 32, 1280, 1e-3
# The block whose output is the patches' second source, twice as fine as the grid of patches.
DETAIL = 14


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, relu6=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=0.1)
        self.kernel, self.stride, self.relu6 = kernel, stride, relu6

    def forward(self, x):
        # TensorFlow's SAME: the smaller half of the border before.
        total = max((math.ceil(x.shape[-1] / self.stride) - 1) * self.stride + self.kernel - x.shape[-1], 0)
        before = total // 2
        if total % 2: x = F.pad(x, (before, total - before) * 2)
        else: self.conv.padding = (before, before)
        x = self.norm(self.conv(x))
        return F.relu6(x, inplace=True) if self.relu6 else x


class Block(nn.Module):
    def __init__(self, kernel, stride, expand, input, output, residual):
        super().__init__()
        inside = input * expand
        if expand != 1: self.expand = ConvNorm(input, inside)
        self.depthwise = ConvNorm(inside, inside, kernel, stride, groups=inside)
        self.project = ConvNorm(inside, output, relu6=False)
        self.residual = residual

    def forward(self, x):
        y = self.expand(x) if hasattr(self, "expand") else x
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class Vision(nn.Module):
    """u8 pixels [B, S, S, 3] as floats 0...255 in [B, 3, S, S] -> g [B, d], P [B, N, d]."""

    def __init__(self, dimension, dropout=0.0, frozen=0, normalised=15):
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(Block(**b) for b in BLOCKS)
        self.head = ConvNorm(BLOCKS[-1]["output"], HEAD)
        self.projection = nn.Linear(HEAD, dimension)
        self.patch_projection = nn.Linear(HEAD, dimension)
        detail = BLOCKS[DETAIL]["output"]
        self.detail_norm = nn.BatchNorm2d(detail, eps=EPSILON)
        self.detail_projection = nn.Linear(4 * detail, dimension, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.frozen, self.normalised = frozen, normalised
        for p in [*self.stem.parameters(), *self.blocks[:frozen].parameters()]: p.requires_grad_(False)

    def train(self, mode=True):
        """The early blocks keep the statistics of their start: they see every image the same way."""
        super().train(mode)
        self.stem.eval(); self.blocks[: self.normalised].eval()
        if self.normalised > len(self.blocks): self.head.eval(); self.detail_norm.eval()
        return self

    def forward(self, pixels):
        x = (pixels - 127) / 128
        with torch.no_grad():
            x = self.stem(x)
            for block in self.blocks[: self.frozen]: x = block(x)
        for i, block in enumerate(self.blocks):
            if i >= self.frozen: x = block(x)
            if i == DETAIL: detail = x
        y = self.head(x).flatten(2).transpose(1, 2)
        # The four cells under a patch, side by side: [B, N, 4 * channels], cells row by row.
        b, c, s, _ = detail.shape
        cells = self.detail_norm(detail).permute(0, 2, 3, 1).reshape(b, s // 2, 2, s // 2, 2, c)
        cells = cells.permute(0, 1, 3, 2, 4, 5).reshape(b, -1, 4 * c)
        g = self.projection(self.dropout(y.mean(1)))
        P = self.patch_projection(self.dropout(y)) + self.detail_projection(self.dropout(cells))
        return F.normalize(g.float(), dim=-1), F.normalize(P.float(), dim=-1)


class Layer(nn.Module):
    def __init__(self, width, heads, hidden, dropout):
        super().__init__()
        linear = lambda a, b: nn.Linear(a, b)
        self.attention = nn.ModuleDict({
            "self": nn.ModuleDict({n: linear(width, width) for n in ("query", "key", "value")}),
            "output": nn.ModuleDict({"dense": linear(width, width), "LayerNorm": nn.LayerNorm(width, eps=1e-12)}),
        })
        self.intermediate = nn.ModuleDict({"dense": linear(width, hidden)})
        self.output = nn.ModuleDict({"dense": linear(hidden, width), "LayerNorm": nn.LayerNorm(width, eps=1e-12)})
        self.heads, self.dropout = heads, nn.Dropout(dropout)

    def forward(self, x, mask):
        split = lambda a: a.view(*a.shape[:2], self.heads, -1).transpose(1, 2)
        q, k, v = (split(self.attention["self"][n](x)) for n in ("query", "key", "value"))
        a = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        out = self.attention["output"]
        x = out["LayerNorm"](x + self.dropout(out["dense"](a)))
        y = self.output["dense"](F.gelu(self.intermediate["dense"](x)))
        return self.output["LayerNorm"](x + self.dropout(y))


class Text(nn.Module):
    """ids [C, T] padded with 0 -> t [C, d], W [C, T - 2, d] and which of its rows are words, bool[C, T - 2]."""

    def __init__(self, dimension, vocabulary=30522, positions=512, width=384, heads=12, hidden=1536, layers=6, dropout=0.0):
        super().__init__()
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(vocabulary, width),
            "position_embeddings": nn.Embedding(positions, width),
            "token_type_embeddings": nn.Embedding(2, width),
            "LayerNorm": nn.LayerNorm(width, eps=1e-12),
        })
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(width, heads, hidden, dropout) for _ in range(layers))})
        self.projection = nn.Linear(width, dimension)
        self.word_projection = nn.Linear(width, dimension)
        self.dropout = nn.Dropout(dropout)
        # The words of the captions are few: trained, their vectors would leave those of all other words behind.
        self.embeddings["word_embeddings"].requires_grad_(False)

    def forward(self, ids, lengths):
        e, T = self.embeddings, ids.shape[1]
        place = torch.arange(T, device=ids.device)
        x = e["word_embeddings"](ids) + e["position_embeddings"].weight[:T] + e["token_type_embeddings"].weight[0]
        x = self.dropout(e["LayerNorm"](x))
        valid = place < lengths[:, None]
        for layer in self.encoder["layer"]: x = layer(x, valid[:, None, None, :])
        share = valid.to(x.dtype) / lengths[:, None].to(x.dtype)
        t = self.projection(self.dropout((x * share.unsqueeze(-1)).sum(1)))
        W = self.word_projection(self.dropout(x[:, 1:-1]))
        # Of [CLS] a b [SEP] the words are those at 1 ... length - 2.
        words = place[1:-1] < (lengths - 1)[:, None]
        return F.normalize(t.float(), dim=-1), F.normalize(W.float(), dim=-1), words


class Model(nn.Module):
    def __init__(self, recipe, scenes=0):
        super().__init__()
        d = recipe["dimension"]
        dropout, frozen = recipe["image_dropout"], recipe["frozen_blocks"]
        self.vision = Transformer(d, dropout, frozen) if recipe.get("tower") == "transformer" else Vision(d, dropout, frozen, recipe["frozen_norms"])
        self.text = Text(d, dropout=recipe["text_dropout"])
        self.scenes = nn.Parameter(torch.randn(scenes, d) / math.sqrt(d))
        self.log_tau = nn.Parameter(torch.full((3,), math.log(0.07)))

    def start_from(self, other):
        """Copies another model; where its image tower is of another kind, all but that."""
        kept = () if type(self.vision) is type(other.vision) else ("vision.",)
        copied = {name: value for name, value in other.state_dict().items() if not name.startswith(kept)}
        self.load_state_dict(self.state_dict() | copied)

    def start(self, image_weights, text_weights):
        """Copies the towers' starts: EfficientNet-Lite2's state_dict and MiniLM's tensors, every one of them or an error."""
        own = self.state_dict()
        used = set()

        def copy(name, tensor):
            own[name].copy_(tensor); used.add(name)

        for name in own:
            if name.startswith(("text.embeddings", "text.encoder")): copy(name, text_weights[name.removeprefix("text.")])
        if isinstance(self.vision, Transformer): return self.vision.start()

        norm = ("weight", "bias", "running_mean", "running_var")
        for i, b in enumerate(BLOCKS):
            parts = (["expand"] if b["expand"] != 1 else []) + ["depthwise", "project"]
            source = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
            for part in parts:
                conv, bn = source[part]
                copy(f"vision.blocks.{i}.{part}.conv.weight", image_weights[f"_blocks.{i}.{conv}.weight"])
                for n in norm: copy(f"vision.blocks.{i}.{part}.norm.{n}", image_weights[f"_blocks.{i}.{bn}.{n}"])
        for part, conv, bn in (("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")):
            copy(f"vision.{part}.conv.weight", image_weights[f"{conv}.weight"])
            for n in norm: copy(f"vision.{part}.norm.{n}", image_weights[f"{bn}.{n}"])
        new = ("projection", "detail_norm", "scenes", "log_tau", "num_batches_tracked")
        missing = [n for n in own if n not in used and not any(part in n for part in new)]
        assert not missing, f"no start for {missing}"
