"""RSICD as tensors: pixels, captions as ids, scenes; and the views that training sees."""
import json
import math
import os
import re
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer

# A caption with one of these is true of its image as it lies, and of no mirrored or turned view of it.
DIRECTIONS = re.compile(
    r"\b(left|right|top|bottom|upper|lower|above|below|north\w*|south\w*|east\w*|west\w*|vertical\w*|horizontal\w*)\b")
SIDE = 224


class Split:
    """Images uint8[n, 3, 224, 224], the ids of each image's different captions, scenes int[n] (-1: none in the name)."""

    def __init__(self, rows, folder, captions, scenes):
        self.names = [r["filename"] for r in rows]
        self.captions = [sorted({captions.id(c) for c in r["captions"]}) for r in rows]
        self.all_captions = [[captions.id(c) for c in r["captions"]] for r in rows]
        self.fixed = torch.tensor([any(DIRECTIONS.search(c) for c in r["captions"]) for r in rows])
        self.scenes = torch.tensor([scenes.get(scene_of(r["filename"]), -1) for r in rows])
        self.pixels = torch.empty(len(rows), 3, SIDE, SIDE, dtype=torch.uint8)
        for i, name in enumerate(self.names):
            image = Image.open(os.path.join(folder, name))
            if image.size != (SIDE, SIDE): raise SystemExit(f"{name} is not {SIDE} x {SIDE}")
            self.pixels[i] = pixels_of(image)

    def __len__(self): return len(self.names)


class Captions:
    """Every different caption once: its token ids, and how much a word of it tells."""

    def __init__(self, tokenizer_path, longest):
        self.tokenizer = Tokenizer.from_file(tokenizer_path)
        self.tokenizer.no_padding(); self.tokenizer.no_truncation()
        self.longest, self.texts, self.ids, self.index = longest, [], [], {}

    def id(self, text):
        if text not in self.index:
            ids = self.tokenizer.encode(text).ids
            if len(ids) > self.longest: ids = ids[: self.longest - 1] + ids[-1:]
            self.index[text] = len(self.texts); self.texts.append(text); self.ids.append(ids)
        return self.index[text]

    def count_words(self, train):
        """log((n + 1) / (df + 1)), at most 7: the rarity of each token among the captions of the train images."""
        seen = Counter(token for captions in train.all_captions for c in captions for token in set(self.ids[c]))
        n = sum(map(len, train.all_captions))
        self.rarity = torch.tensor([min(math.log((n + 1) / (seen[i] + 1)), 7.0) for i in range(self.tokenizer.get_vocab_size())])

    def batch(self, which):
        """ids [C, T] padded with zeros to a multiple of eight (shapes that repeat are compiled once), lengths [C]."""
        lengths = [len(self.ids[c]) for c in which]
        ids = torch.zeros(len(which), -(-max(lengths) // 8) * 8, dtype=torch.long)
        for row, c in enumerate(which): ids[row, : lengths[row]] = torch.tensor(self.ids[c])
        return ids, torch.tensor(lengths)


def scene_of(filename):
    """`airport` of airport_12.jpg; None where the name says none."""
    stem = filename.rsplit(".", 1)[0]
    return stem.rsplit("_", 1)[0] if "_" in stem else None


def read(folder, tokenizer_path, longest, holdout, limit=None):
    """(train, holdout, val, captions, scene names): every `holdout`-th train image is kept out of training."""
    with open(os.path.join(folder, "captions.jsonl")) as lines: rows = [json.loads(line) for line in lines]
    train = sorted((r for r in rows if r["split"] == "train"), key=lambda r: r["filename"])[:limit]
    val = [r for r in rows if r["split"] == "val"][:limit]
    names = sorted({s for r in train if (s := scene_of(r["filename"]))})
    scenes = {name: i for i, name in enumerate(names)}
    captions, images = Captions(tokenizer_path, longest), os.path.join(folder, "images")
    held = [r for i, r in enumerate(train) if i % holdout == holdout - 1]
    kept = [r for i, r in enumerate(train) if i % holdout != holdout - 1]
    splits = [Split(part, images, captions, scenes) for part in (kept, held, val)]
    captions.count_words(splits[0])
    return *splits, captions, names


def views(pixels, fixed, side, least_area, random):
    """Random views f32[B, 3, side, side] of pixels u8[B, 3, 224, 224]: a crop of at least a share of the area, one of the eight
    symmetries where the captions allow it, and light of another strength and colour."""
    b = len(pixels)
    uniform = lambda low, high, *shape: low + (high - low) * torch.rand(b, *shape, generator=random)
    area, aspect = uniform(least_area, 1), uniform(-0.1, 0.1).exp()
    half_w, half_h = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = uniform(-1, 1) * (1 - half_w), uniform(-1, 1) * (1 - half_h)
    turn = torch.randint(0, 8, (b,), generator=random).masked_fill(fixed, 0)
    zero = torch.zeros(b)
    flip = torch.where(turn % 2 == 1, -1.0, 1.0)
    matrix = torch.stack([half_w * flip, zero, zero, half_h], 1).view(b, 2, 2)
    quarter = torch.tensor([[[1.0, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]])[turn // 2]
    grid = F.affine_grid(torch.cat([matrix @ quarter, torch.stack([x, y], 1)[..., None]], 2), (b, 3, side, side), align_corners=False)
    out = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    gain = uniform(0.8, 1.2, 1, 1, 1) * uniform(0.95, 1.05, 3, 1, 1)
    middle = out.mean((1, 2, 3), keepdim=True)
    return ((out - middle) * uniform(0.8, 1.2, 1, 1, 1) + middle * gain).clamp(0, 255)


def turned(pixels, turn):
    """Each of pixels [B, C, S, S] in the symmetry turn int[B], 0 ... 7: quarter turns, and from 4 on mirrored first."""
    out = torch.empty_like(pixels)
    for k in turn.unique().tolist():
        rows = turn == k
        out[rows] = torch.rot90(pixels[rows].flip(-1) if k >= 4 else pixels[rows], k % 4, (-2, -1))
    return out


def turned_back(P, turn):
    """Patches [B, N, d] of turned pictures, each to where it lies in the picture that was turned."""
    side, out = math.isqrt(P.shape[1]), torch.empty_like(P)
    for k in turn.unique().tolist():
        rows = turn == k
        grid = torch.rot90(P[rows].view(-1, side, side, P.shape[2]), -(k % 4), (1, 2))
        out[rows] = (grid.flip(2) if k >= 4 else grid).reshape(-1, side * side, P.shape[2])
    return out


def pixels_of(image):
    """u8[3, 224, 224] of a picture of any size."""
    image = image.convert("RGB")
    if image.size != (SIDE, SIDE): image = image.resize((SIDE, SIDE), Image.BICUBIC)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def pictures(folder, limit=None):
    """Pictures without captions: u8[n, 3, 224, 224] of the files in a folder, in order of their names."""
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith((".jpg", ".jpeg", ".png")))[:limit]
    out = torch.empty(len(names), 3, SIDE, SIDE, dtype=torch.uint8)
    for i, name in enumerate(names): out[i] = pixels_of(Image.open(os.path.join(folder, name)))
    return out


def mix(pixels, first, end, random):
    """Mixes rows first ..< end of the views, in place, each with one of those before: faded into it, or with a rectangle of it.

    No caption fits such a picture; what a teacher says of it is all the more telling.
    """
    side = pixels.shape[-1]
    for row in range(first, end):
        other = pixels[torch.randint(0, first, (1,), generator=random).item()]
        share, x, y, cut = torch.rand(4, generator=random).tolist()
        if cut < 0.5: pixels[row].lerp_(other, share)
        else:
            size = int(side * share**0.5)
            x, y = int(x * (side - size)), int(y * (side - size))
            pixels[row, :, y : y + size, x : x + size] = other[:, y : y + size, x : x + size]


def batches(split, size, random, near=None, each=1):
    """Shuffled rows, a batch at a time; the rest that fills no batch is left out of this epoch.

    With near int[n, k], the rows that each row is confused with, a batch is made of groups of `each`: a row and such others as are still left.
    """
    order = torch.randperm(len(split), generator=random)
    if near is not None:
        left, grouped = torch.ones(len(split), dtype=torch.bool), []
        for row in order.tolist():
            if not left[row]: continue
            left[row] = False
            others = near[row][left[near[row]]]
            others = others[torch.randperm(len(others), generator=random)[: each - 1]]
            left[others] = False
            grouped.append(torch.cat([torch.tensor([row]), others]))
        # Groups that found fewer come last in the greedy order: shuffled, so that no batch is made of them alone.
        order = torch.cat([grouped[i] for i in torch.randperm(len(grouped), generator=random).tolist()])
    return [order[i : i + size] for i in range(0, len(order) - size + 1, size)]


def captions_of(split, rows, each, random):
    """Some captions of each image, the first of every image before the second ones: ids, and positives bool[B, C].

    A caption is a positive of every image of the batch that has it, drawn for that image or not.
    """
    drawn = []
    for row in rows.tolist():
        order = torch.randperm(len(split.captions[row]), generator=random)
        drawn.append([split.captions[row][i] for i in order[:each]])
    which = list(dict.fromkeys(d[k] for k in range(each) for d in drawn if k < len(d)))
    owned = [set(split.captions[row]) for row in rows.tolist()]
    return which, torch.tensor([[c in own for c in which] for own in owned])
