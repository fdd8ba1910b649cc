"""How often the highest patch for a word lies on what it names, on photographs: python Models/pointing.py FTF DATA MODEL.ftf ...

Models/pointed.jsonl says of photographs of RSICD's val in which of 7 x 7 cells (column a to g, row 1 to 7) planes, boats, storage tanks, bridges or
football fields are seen, marked by eye over a grid before any model had pointed at them; photographs on which none could be told are left out. A hit
is a marked cell, or in the wider count one beside it; chance is the share of such cells.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ftf, data, *models = sys.argv[1:]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pointed.jsonl")) as lines: rows = [json.loads(line) for line in lines]


def cells(row, wider):
    grid = np.zeros((7, 7), bool)
    for cell in row["cells"]: grid[int(cell[1]) - 1, "abcdefg".index(cell[0])] = True
    if not wider: return grid
    edged = np.pad(grid, 1)
    return grid | edged[2:, 1:-1] | edged[:-2, 1:-1] | edged[1:-1, 2:] | edged[1:-1, :-2]


for model in models:
    for views in (1, 4, 8):
        with tempfile.TemporaryDirectory() as out:
            run = lambda *arguments: subprocess.run([ftf, "embed", model, *arguments], check=True, capture_output=True)
            run("--image", *(f"{data}/data/rsicd/images/{row['filename']}" for row in rows), "--views", str(views), "-o", f"{out}/g.npy", "--patches", f"{out}/p.npy")
            kinds = sorted({row["kind"] for row in rows})
            run("--text", *(f"a {kind}" for kind in kinds), "-o", f"{out}/t.npy")
            P, t = np.load(f"{out}/p.npy"), dict(zip(kinds, np.load(f"{out}/t.npy")))
        for kind in kinds:
            own = [i for i, row in enumerate(rows) if row["kind"] == kind]
            said = []
            for wider in (False, True):
                hits = [cells(rows[i], wider).ravel()[(P[i] @ t[kind]).argmax()] for i in own]
                said.append(f"{100 * np.mean(hits):.0f} % (chance {100 * np.mean([cells(rows[i], wider).mean() for i in own]):.0f})")
            print(f"{model}, {views} views, {kind}, {len(own)} photographs: on it {said[0]}, on it or beside {said[1]}", flush=True)
