"""What several trained models say together, in the space of one of them.

The mean of the scores of models k = 1 ... K is the product of their vectors laid side by side, (g_1 ... g_K) / sqrt K. Those
K d dimensions are brought to the d that hold most of them, and turned so that they lie as the last teacher's own: what starts from that
one has little to unlearn.
"""
import json
import os

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

import data
import retrieval
import stored
from network import Model


def load(folder, scenes, tokenizer=None):
    """The model of a training's folder, with its averaged weights, of a model file of ftf, or of an exported folder with MiniLM's whole
    vocabulary, whose patches lack their detail. scenes: how many names of scenes the train images have."""
    if folder.endswith(".ftf"): return stored.load(folder, scenes, tokenizer)
    checkpoint, exported = (os.path.join(folder, name) for name in ("checkpoint.pt", "model.safetensors"))
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model = Model(json.loads(state["recipe"]), scenes)
        model.load_state_dict(state["average"])
        return model.eval()
    try: tensors = load_file(exported)
    except (OSError, SafetensorError) as error: raise SystemExit(f"{folder} holds no teacher, neither checkpoint.pt nor model.safetensors: {error}")
    model = Model(dict(dimension=len(tensors["vision.projection.bias"]), image_dropout=0, text_dropout=0, frozen_blocks=0, frozen_norms=0), scenes)
    missing = set(model.state_dict()) - set(tensors)
    left = [n for n in missing if not any(part in n for part in ("detail", "scenes", "log_tau", "num_batches_tracked"))]
    if left: raise SystemExit(f"{exported} lacks {left[0]}")
    model.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
    return model.eval()


def joint_basis(G, T, d):
    """[K d, d]: the directions that hold most of G [n, K d] and T [m, K d], turned so that they lie as the last d columns do."""
    second = G.T @ G / len(G) + T.T @ T / len(T)
    basis = torch.linalg.eigh(second.double()).eigenvectors[:, -d:].flip(1).to(G.dtype)
    rows = torch.cat([G / len(G) ** 0.5, T / len(T) ** 0.5])
    U, _, V = torch.linalg.svd((rows @ basis).T @ rows[:, -d:])
    return basis @ (U @ V)


def mean_basis(k, d):
    """[K d, d]: brings vectors side by side to their mean. Teachers that share a text tower share its space."""
    return torch.eye(d).repeat(k, 1) / k**0.5


def same(one, other): return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class Teachers:
    """taught_t f32[captions, d], and of any views the vectors that the teachers give them together."""

    def __init__(self, folders, train, captions, scenes, device, patches_of_first=False):
        self.device, self.patches_of_first = device, patches_of_first
        self.models = [load(folder, scenes, captions.tokenizer).to(device, memory_format=torch.channels_last) for folder in folders]
        self.one_text = all(same(self.models[0].text, model.text) for model in self.models[1:])
        with torch.no_grad():
            owned = sorted({c for own in train.all_captions for c in own}, key=lambda c: len(captions.ids[c]))
            T = torch.cat([self._texts(captions, owned[i : i + 256]) for i in range(0, len(owned), 256)])
            if self.one_text: self.basis = mean_basis(len(self.models), T.shape[1] // len(self.models)).to(device)
            else:
                G = torch.cat([self.side_by_side(train.pixels[i : i + 64].float()) for i in range(0, len(train), 64)])
                self.basis = joint_basis(G, T, G.shape[1] // len(self.models))
        taught = F.normalize(T @ self.basis, dim=-1)
        self.taught_t = torch.zeros(len(captions.ids), taught.shape[1], device=device)
        self.taught_t[torch.tensor(owned, device=device)] = taught

    def _joined(self, vectors): return torch.cat(vectors, 1) / len(self.models) ** 0.5

    def _texts(self, captions, which):
        ids, lengths = (x.to(self.device) for x in captions.batch(which))
        with torch.autocast(self.device.type, torch.bfloat16): return self._joined([m.text(ids, lengths)[0] for m in self.models])

    def side_by_side(self, pixels):
        """f32[V, K d] of pixels f32[V, 3, S, S]."""
        pixels = pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16): return self._joined([m.vision(pixels)[0] for m in self.models])

    @torch.no_grad()
    def taught(self, pixels, turn):
        """g [V, d] of all teachers and P [V, N, d] of the last, of all where they share a text tower, or of the first where that is
        asked for, of views that are turned for them, the patches turned back.

        Whoever learns to be near what a random symmetry gives learns the mean over all of them, at the cost of one.
        """
        pixels = data.turned(pixels.to(self.device), turn).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16): seen = [m.vision(pixels) for m in self.models]
        g = F.normalize(self._joined([g for g, _ in seen]) @ self.basis, dim=-1)
        if self.patches_of_first: P = seen[0][1]
        else: P = F.normalize(sum(P for _, P in seen), dim=-1) if self.one_text else seen[-1][1]
        return g, data.turned_back(P, turn)

    def score(self, split, captions):
        """mR by recall on a split: of each teacher, and of all together."""
        each = [retrieval.encode(model, split, captions, self.device) for model in self.models]
        together = each[0] | {name: torch.cat([v[name] for v in each], 1) for name in "gt"}
        return [retrieval.recall_only(v).mean().item() for v in [*each, together]]
