"""`import open_clip` beside a CPU build of torch, for which PyPI has no torchvision: open_clip and torchvision are installed by
themselves into a folder (`make goldens` does it), and the operators that torchvision's extension would define are declared.
"""
import os
import sys

import torch

sys.path.append(os.environ.get("OPEN_CLIP", f"{sys.prefix}/open_clip"))
_operators = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import open_clip  # noqa: E402,F401
