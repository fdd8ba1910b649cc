"""Writes the fuzzer's seed corpora, files as libraries write them: python seeds.py corpus

The two configs of weights, efficientnet.json and vit.json, are those of converted fixtures. Segments and pictures begin with those of
Tests/Goldens, catalogs are made by the fuzzer itself.
"""
import datetime
import os
import sys
from collections import OrderedDict

import pyarrow
import pyarrow.parquet
import torch
from safetensors.torch import save_file

corpus = sys.argv[1]
out = f"{corpus}/weights"
for name in ("weights", "parquet", "filter", "geometry", "multipart"): os.makedirs(f"{corpus}/{name}", exist_ok=True)
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

table = pyarrow.table({
    "id": ["a", "b", None], "n": pyarrow.array([1, None, 3], pyarrow.int64()), "x": [1.5, 2.5, None], "flag": [True, None, False],
    "time": pyarrow.array([datetime.datetime(2024, 1, 2), None, datetime.datetime(2020, 1, 1)], pyarrow.timestamp("us", "UTC")),
    "day": pyarrow.array([datetime.date(2024, 1, 2)] * 3), "assets": [{"image": {"href": "a.tif"}}] * 3, "list": [[1.0, 2.0], [], None],
    "geometry": [b"\x01\x03\x00\x00\x00"] * 3})
for name, options in (("plain", {"compression": "none", "use_dictionary": False}), ("snappy", {"compression": "snappy"}),
                      ("zstd", {"compression": "zstd", "data_page_version": "2.0"}), ("gzip", {"compression": "gzip"})):
    pyarrow.parquet.write_table(table, f"{corpus}/parquet/{name}.parquet", **options)
texts = {
    "filter": ["year >= 2020 and (sensor in ('S2', \"L8\") or not cloudy = true)", "path like '%a_b%' or x is not null", "`a b` between 1 and 2.5e3",
               "intersects(1, 2, 3, 4)", "intersects('POLYGON((1 2,3 4,5 6,1 2))')", "2024-02-29T10:11:12.5+02:00"],
    "geometry": ['{"type":"Polygon","coordinates":[[[170,10],[-170,10],[-170,20],[170,20],[170,10]]]}',
                 '{"type":"MultiPolygon","coordinates":[[[[0,80],[120,80],[-120,80],[0,80]]],[[[1,1],[2,1],[2,2],[1,1]]]]}',
                 "POLYGON((1 2, 3 4, 5 6, 1 2), (1 1, 2 2, 1 2, 1 1))", "MULTIPOLYGON(((1 2, 3 4, 5 6)), ((7 8, 9 10, 11 12)))"],
    "multipart": ['multipart/form-data; boundary=xyz\n--xyz\r\nContent-Disposition: form-data; name="text"\r\n\r\na river\r\n--xyz--\r\n',
                  'multipart/form-data; boundary="x"\n--x\r\nContent-Disposition: form-data; name=image; filename="a.jpg"\r\nContent-Type: image/jpeg'
                  '\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; name=top\r\n\r\n2\r\n--x--'],
}
for name, seeds in texts.items():
    for i, text in enumerate(seeds):
        with open(f"{corpus}/{name}/{i}", "w", newline="") as file: file.write(text)
