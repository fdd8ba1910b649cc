"""Writes what PyTorch and transformers make of a full model and RSICD, for `make check`:

    python check.py MODEL_DIR CAPTIONS.jsonl IMAGES_DIR OUT_DIR
"""
import json
import sys

import numpy as np
import torch
from safetensors.torch import save_file

from reference import Model

folder, captions, images, out = sys.argv[1:]
model = Model(folder)
rows = [json.loads(line) for line in open(captions)]
hard = [
    "", " ", "\t\n\r", "naïve café Ångström ÉÈÊ ñ ç ß ø", "İstanbul ıI ﬁ ﬂ Ǆ", "北京的机场 東京 서울 ひらがな カタカナ",
    "🚀🏖️👩‍👩‍👧 planes ✈️ 🛩", "a\u0000b\u0007c\u200bd\u00ade\ufefff\ufffdg", "e\u0301 a\u0308 o\u0302\u0323",
    "don't stop—it's “fine”… 3.14 1,000 #tag @me a_b c-d", "x" * 100, "x" * 101, "y" * 10000, "the plane " * 1000,
    "[CLS] a [SEP] b [MASK] [PAD] [UNK] [cls] [MASK]s", "привет мир Здравствуйте", "مرحبا بالعالم שלום", "नमस्ते दुनिया",
    "ไทย ภาษา", "Ⅷ ① ½ ² ₂ ℃ № ™", "\u3000ideographic\u3000space\u00a0nbsp\u2028line\u2029para", "a\u0345b ΐ Σίσυφος ΣΑΣ",
    "𝒜𝓁𝓅𝒽𝒶 𠀀𠀁 𝟘𝟙", "\ue000 private \U000f0000", "\u0378 unassigned \U0001fae8 \U0001f9ff", "ǅ ﷺ ﬀ", "~`!@#$%^&*()_+-={}|[]\\:\";'<>?,./",
    "¡¿§¶†‡•‰′″‹›⁄", "$+<=>^`|~ ¢£¤¥ ¬±×÷", "a\u20ddb \u0903c", "CamelCaseWord ALLCAPS mixED123abc 123abc456",
]
sentences = [c for row in rows for c in row["captions"]]
unique = list(dict.fromkeys(sentences)) + hard
json.dump(dict(sentences=unique, ids=[model.ids(s) for s in unique], images=[]), open(f"{out}/ids.json", "w"))

val = [row for row in rows if row["split"] == "val"]
chosen = val[:: len(val) // 24][:24]
g, P = model.images(np.stack([model.pixels(f"{images}/{row['filename']}") for row in chosen]))
texts = [row["captions"][0] for row in chosen] + hard[:20]
t, W = zip(*(model.text(s) for s in texts))
longest = max(len(w) for w in W)
W = torch.stack([torch.cat([w, torch.zeros(longest - len(w), w.shape[1])]) for w in W])
save_file(dict(g=g, P=P, t=torch.stack(t), W=W), f"{out}/expected.safetensors")
json.dump(dict(images=[row["filename"] for row in chosen], sentences=texts, ids=[]), open(f"{out}/expected.json", "w"))
