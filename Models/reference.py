"""The forward pass in plain PyTorch: what the engine must reproduce in fp32. Needs torch, safetensors, transformers,
pillow, numpy."""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import load_file
from transformers import BertTokenizerFast


class Model:
    def __init__(self, folder):
        self.config = json.load(open(f"{folder}/config.json"))
        self.weights = {k: v.float() for k, v in load_file(f"{folder}/model.safetensors").items()}
        words = open(f"{folder}/vocab.txt", encoding="utf-8").read().split("\n")[:-1]
        self.tokenizer = BertTokenizerFast(
            vocab={word: i for i, word in enumerate(words)}, do_lower_case=self.config["text"]["lowercase"])

    def linear(self, x, name):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def convolution(self, x, name, stride=1, groups=1, relu6=True):
        """SAME padding, convolution without bias, batch norm, ReLU6."""
        kernel = self.weights[f"{name}.conv.weight"]
        k, n = kernel.shape[-1], x.shape[-1]
        total = max((math.ceil(n / stride) - 1) * stride + k - n, 0)
        x = F.conv2d(F.pad(x, (total // 2, total - total // 2) * 2), kernel, stride=stride, groups=groups)
        mean, var, weight, bias = (
            self.weights[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, mean, var, weight, bias, eps=self.config["vision"]["norm_epsilon"])
        return x.clamp(0, 6) if relu6 else x

    @torch.no_grad()
    def images(self, pixels):
        """u8 [n, side, side, 3] -> g [n, d], P [n, N, d]."""
        p = self.config["preprocessing"]
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        return self.tower((x - torch.tensor(p["mean"])[:, None, None]) / torch.tensor(p["std"])[:, None, None])

    def tower(self, x):
        """Normalised f32 [n, 3, side, side] -> g [n, d], P [n, N, d]."""
        x = self.convolution(x, "vision.stem", stride=2)
        for i, block in enumerate(self.config["vision"]["blocks"]):
            name, y = f"vision.blocks.{i}", x
            if block["expand"] != 1:
                y = self.convolution(y, f"{name}.expand")
            y = self.convolution(y, f"{name}.depthwise", stride=block["stride"], groups=y.shape[1])
            y = self.convolution(y, f"{name}.project", relu6=False)
            x = x + y if block["residual"] else y
            if i == self.config["vision"].get("detail"):
                detail = x
        y = self.convolution(x, "vision.head").flatten(2).transpose(1, 2)
        g = F.normalize(self.linear(y.mean(1), "vision.projection"), dim=-1)
        P = self.linear(y, "vision.patch_projection")
        if "detail" in self.config["vision"]:
            # The positions under a patch, row by row, each with all its channels.
            cell = math.isqrt(int(detail.shape[2]) ** 2 // int(y.shape[1]))
            cells = F.unfold(detail, cell, stride=cell).unflatten(1, (detail.shape[1], cell * cell))
            P = P + self.linear(cells.permute(0, 3, 2, 1).flatten(2), "vision.detail_projection")
        return g, F.normalize(P, dim=-1)

    def ids(self, sentence):
        ids = self.tokenizer(sentence).input_ids
        limit = self.config["text"]["context_length"]
        return ids if len(ids) <= limit else ids[: limit - 1] + ids[-1:]

    @torch.no_grad()
    def text(self, sentence):
        """One sentence -> t [d], W [M, d] without [CLS] and [SEP]."""
        return self.text_tower(torch.tensor(self.ids(sentence)))

    def text_tower(self, ids):
        """ids [M + 2] -> the same."""
        c, e, w = self.config["text"], "text.embeddings.", self.weights

        def norm(x, name):
            return F.layer_norm(x, (c["width"],), w[f"{name}.weight"], w[f"{name}.bias"], eps=c["norm_epsilon"])

        def heads(x):
            return x.view(len(ids), c["heads"], -1).transpose(0, 1)

        x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][: len(ids)]
        x = norm(x + w[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
        for i in range(c["layers"]):
            name = f"text.encoder.layer.{i}."
            q, k, v = (heads(self.linear(x, f"{name}attention.self.{part}")) for part in ("query", "key", "value"))
            a = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
            a = self.linear(a.transpose(0, 1).reshape(len(ids), -1), f"{name}attention.output.dense")
            x = norm(x + a, f"{name}attention.output.LayerNorm")
            y = self.linear(F.gelu(self.linear(x, f"{name}intermediate.dense")), f"{name}output.dense")
            x = norm(x + y, f"{name}output.LayerNorm")
        t = F.normalize(self.linear(x.mean(0), "text.projection"), dim=-1)
        return t, F.normalize(self.linear(x[1:-1], "text.word_projection"), dim=-1)

    def pixels(self, path):
        """The shorter side to the model's by antialiased bicubic, then the centre."""
        side = self.config["preprocessing"]["resize_to"]
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        if image.size != (side, side):
            scale = side / min(image.size)
            size = tuple(max(side, round(n * scale)) for n in image.size)
            image = image.resize(size, Image.BICUBIC)
            x, y = ((n - side) // 2 for n in size)
            image = image.crop((x, y, x + side, y + side))
        return np.asarray(image)
