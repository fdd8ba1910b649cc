"""Photographs on which somebody has said where things lie, and what the things are called."""
import json
import os

import torch
from PIL import Image

import data

PHRASES = {
    "plane": ["a plane", "an airplane", "a white plane", "planes", "an aircraft"],
    "storage tank": ["a storage tank", "a tank", "a white storage tank", "storage tanks", "an oil tank"],
    "boat": ["a boat", "a ship", "a white boat", "boats", "ships"],
    "bridge": ["a bridge", "a long bridge", "bridges", "a bridge over water"],
    "football field": ["a football field", "a green football field", "a football pitch", "a playing field"],
}
GRID = 7


def cells_of(names):
    """bool[49] of cells named by column a to g and row 1 to 7, as Models/pointed.jsonl names them."""
    out = torch.zeros(GRID, GRID, dtype=torch.bool)
    for name in names: out[int(name[1:]) - 1, "abcdefg".index(name[0])] = True
    return out.flatten()


class Marked:
    """u8[n, 3, 224, 224] of photographs, what is marked on each, and bool[n, 49] where it lies."""

    def __init__(self, file, folders):
        with open(file) as lines: rows = [json.loads(line) for line in lines]
        self.kinds = [row["kind"] for row in rows]
        self.cells = torch.stack([cells_of(row["cells"]) for row in rows])
        self.pixels = torch.stack([data.pixels_of(Image.open(self.found(row["filename"], folders))) for row in rows])

    def __len__(self): return len(self.kinds)

    @staticmethod
    def found(name, folders):
        for folder in folders:
            if os.path.exists(path := os.path.join(folder, name)): return path
        raise SystemExit(f"{name}, which is marked, lies in none of {', '.join(folders)}")

    def views(self, count, side, random):
        """`count` photographs drawn, in another light, whole and as they lie: f32[count, 3, side, side], their kinds and cells."""
        drawn = torch.randint(len(self), (count,), generator=random)
        pixels = data.views(self.pixels[drawn], torch.ones(count, dtype=torch.bool), side, 1, random)
        return pixels, [self.kinds[i] for i in drawn.tolist()], self.cells[drawn]
