"""Writes what the fp32 weights behind the default model make of some images and sentences, for its tests:
python default_goldens.py ../Tests/Goldens TRAINED (after goldens.py; TRAINED is the folder that `make train` left)
"""
import json
import sys

import numpy as np
import torch
from safetensors.torch import save_file

from hard_strings import HARD
from reference import Model

out, folder = sys.argv[1:]
model = Model(folder)
images = ["rgb.jpg", "exact.png", "grey.jpg", "exif6.jpg"]
described = ["many planes are parked in an airport", "a bridge over a wide river", "white storage tanks", "dense forest"]
g, P = model.images(np.stack([model.pixels(f"{out}/images/{name}") for name in images]))
save_file(dict(g=g, P=P, t=torch.stack([model.text(s)[0] for s in described])), f"{out}/default.safetensors")
json.dump(dict(images=images, sentences=described + HARD, ids=[model.ids(s) for s in described + HARD]),
          open(f"{out}/default.json", "w"), indent=1)
