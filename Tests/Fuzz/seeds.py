"""Writes the fuzzer's seed corpus, files as libraries write them: python seeds.py corpus

The two configs there, efficientnet.json and vit.json, are those of converted fixtures.
"""
import os
import sys
from collections import OrderedDict

import torch
from safetensors.torch import save_file

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
values = torch.arange(6.0)
torch.save(OrderedDict(a=values.view(2, 3), b=values.half()), f"{out}/state_dict.pt")
torch.save(dict(epoch=3, lr=0.5, tags=["x", (1, None, True)], state_dict={"module.w": values.bfloat16()}), f"{out}/checkpoint.pt")
torch.save(dict(model={"w": torch.nn.Parameter(values.view(3, 2).t(), requires_grad=False), "part": values[2:5]}),
           f"{out}/strided.pt")


class Part(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x


script = Part()
script.register_parameter("weight", torch.nn.Parameter(values, requires_grad=False))
torch.jit.save(torch.jit.trace(script, torch.zeros(1)), f"{out}/script.pt")
save_file({"a": values.view(2, 3), "b": values.half(), "c": values.bfloat16(), "d": values.to(torch.int8),
           "e": torch.zeros(0, 4), "f": torch.tensor(1.5)}, f"{out}/mixed.safetensors", metadata={"format": "pt"})
save_file({"w": values}, f"{out}/one.safetensors")
