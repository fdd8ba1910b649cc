"""The package as a user has it, against the command: python tests.py FTF, on images that the demo draws."""
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fastthenfine as ftf
import numpy as np

COMMAND = sys.argv.pop(1)
WORK = tempfile.TemporaryDirectory()
FOLDER = pathlib.Path(WORK.name)


def command(*arguments):
    done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, "FTF_MODEL": MODEL.path})
    assert done.returncode == 0, done.stderr
    return done.stdout


def setUpModule():
    global MODEL, INDEX, IMAGES
    MODEL = ftf.Model()
    command("demo", "--output", FOLDER / "demo", "--side", 1000)
    IMAGES = sorted((FOLDER / "demo" / "scenes").rglob("*.jpg"))[:40]
    assert len(IMAGES) == 40
    folder = FOLDER / "images"
    folder.mkdir()
    for i, image in enumerate(IMAGES):
        os.link(image, folder / f"{i:02} é.jpg")
    IMAGES = sorted(folder.iterdir())
    ftf.index(folder, FOLDER / "index")
    INDEX = ftf.Index(FOLDER / "index")


class Encoding(unittest.TestCase):
    def test_bits_of_the_command(self):
        command("embed", MODEL.path, *(part for image in IMAGES[:5] for part in ("--image", image)), "-o", FOLDER / "g.npy")
        np.testing.assert_array_equal(MODEL.encode(IMAGES[:5]), np.load(FOLDER / "g.npy"))
        command("embed", MODEL.path, "--text", "a bridge", "-o", FOLDER / "t.npy")
        np.testing.assert_array_equal(MODEL.encode_text(["a bridge"]), np.load(FOLDER / "t.npy"))

    def test_shapes(self):
        self.assertEqual(MODEL.encode(str(IMAGES[0])).shape, (MODEL.dimension,))
        g, p = MODEL.encode(IMAGES[:3], patches=True, views=4)
        self.assertEqual((g.shape, p.shape), ((3, MODEL.dimension), (3, MODEL.grid, MODEL.grid, MODEL.dimension)))
        np.testing.assert_allclose(np.linalg.norm(p, axis=-1), 1, atol=1e-3)
        t, w = MODEL.encode_text(["a bridge over a river", ""], words=True)
        self.assertEqual((t.shape, w[0].shape, w[1].shape), ((2, MODEL.dimension), (5, MODEL.dimension), (0, MODEL.dimension)))
        self.assertEqual(MODEL.encode([]).shape, (0, MODEL.dimension))

    def test_whatever_holds_a_picture(self):
        data = IMAGES[0].read_bytes()
        expected = MODEL.encode(IMAGES[0])
        np.testing.assert_array_equal(MODEL.encode(data), expected)
        try:
            from PIL import Image
        except ImportError:
            return
        opened = Image.open(IMAGES[0])
        pixels = np.asarray(opened.convert("RGB"))
        np.testing.assert_array_equal(MODEL.encode(pixels), MODEL.encode(opened))
        np.testing.assert_array_equal(MODEL.encode(pixels[:, ::-1]), MODEL.encode(np.ascontiguousarray(pixels[:, ::-1])))
        self.assertGreater(float(MODEL.encode(pixels) @ expected), 0.999)
        self.assertEqual(MODEL.encode(np.stack([pixels] * 2)).shape, (2, MODEL.dimension))

    def test_a_bad_one_costs_no_other(self):
        broken = FOLDER / "broken.jpg"
        broken.write_bytes(IMAGES[0].read_bytes()[:200])
        g = MODEL.encode([IMAGES[0], broken, b"", IMAGES[1]], errors="nan")
        self.assertEqual(np.isnan(g).all(1).tolist(), [False, True, True, False])
        np.testing.assert_array_equal(g[3], MODEL.encode(IMAGES[1]))
        with self.assertRaises(ftf.Error) as raised:
            MODEL.encode([IMAGES[0], broken])
        self.assertEqual(raised.exception.code, "unusable_file")
        self.assertIn("broken.jpg", str(raised.exception))

    def test_what_says_nothing(self):
        for wrong in (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
            self.assertRaises(ValueError, MODEL.encode, wrong)
        self.assertRaises(ValueError, MODEL.encode_text, "a\0b")
        self.assertRaises(ftf.InputError, MODEL.encode, IMAGES[0], views=3)
        self.assertRaises(ftf.InputError, ftf.Model, level="mmx")
        with self.assertRaises(ftf.Error) as raised:
            ftf.Model("/nowhere")
        self.assertEqual(pickle.loads(pickle.dumps(raised.exception)).code, "unusable_model")


class Searching(unittest.TestCase):
    def test_bits_of_the_command(self):
        for text in ("a bridge", "many cars in a parking lot", ""):
            said = json.loads(command("search", FOLDER / "index", "--text", text, "--json"))["results"]
            found = INDEX.search(text)
            self.assertEqual([r["path"] for r in said], [r.path for r in found])
            self.assertEqual([np.float32(r["score"]) for r in said], [np.float32(r.score) for r in found])
            self.assertEqual([r["id"] for r in said], [r.id for r in found])

    def test_queries(self):
        first = INDEX.search("a bridge", top=3)[0]
        self.assertEqual(INDEX.search(pathlib.Path(first.path), top=1)[0].id, first.id)
        self.assertEqual(INDEX.search(MODEL.encode(first.path), top=1)[0].id, first.id)
        self.assertNotIn(first.id, [r.id for r in INDEX.search(first.id, top=100)])
        self.assertEqual(len(INDEX.search([("a bridge", 1), (pathlib.Path(first.path), 0.5)], top=4)), 4)
        self.assertEqual(INDEX.search("a bridge", top=2, offset=1)[0].rank, 2)
        self.assertIsNone(INDEX.search("a bridge", recall_only=True)[0].attention)
        self.assertRaises(ftf.InputError, INDEX.search, "a bridge", top=0)
        self.assertRaises(ValueError, INDEX.search, "a bridge", top=-1)
        self.assertRaises(ValueError, INDEX.search, np.zeros(3, np.float32))
        self.assertRaises(ftf.InputError, INDEX.search, "x", filter="year >")
        self.assertRaises(ftf.InputError, INDEX.search, "x", filter="nothing = 1")
        with self.assertRaises(ftf.Error) as raised:
            INDEX.search("x", seconds=1e-9)
        self.assertEqual(raised.exception.code, "deadline")

    def test_all_of_it(self):
        self.assertEqual(sorted(r.path for r in INDEX), [str(i) for i in IMAGES])
        self.assertEqual(len(INDEX), len(IMAGES))
        reranked = INDEX.rerank("a bridge", [r.id for r in INDEX])
        self.assertEqual([r.id for r in reranked], [r.id for r in INDEX.search("a bridge", top=100, candidates=100)])

    def test_heat(self):
        found = INDEX.search("a bridge", top=1)
        heat = found[0].heat()
        np.testing.assert_array_equal(heat.grid, found[0].attention)
        self.assertAlmostEqual(float(heat.grid.sum()), 1, places=3)
        self.assertFalse((heat.pixels == found[0].picture()).all())
        self.assertEqual(heat._repr_png_()[:4], b"\x89PNG")
        self.assertIn("<img", found._repr_html_())
        self.assertTrue((found[0].heat("water").pixels != heat.pixels).any())
        with self.assertRaises(ValueError):
            INDEX.search(found[0].id)[0].heat()

    def test_tables(self):
        try:
            import pandas
        except ImportError:
            return
        found = INDEX.search("a bridge")
        table = found.to_pandas()
        self.assertEqual(table.id.tolist(), [r.id for r in found])
        self.assertIsInstance(table, pandas.DataFrame)
        try:
            import geopandas
        except ImportError:
            return
        self.assertEqual(str(found.to_geopandas().crs), "EPSG:4326")

    def test_vectors(self):
        vectors = ftf.Vectors(FOLDER / "index")
        queries = MODEL.encode_text(["a bridge", "a forest"])
        ids, scores = vectors.search(queries, top=len(vectors) + 1)
        self.assertEqual((ids[0, -1], scores[0, -1]), (-1, 0))
        self.assertTrue((np.diff(scores[:, :-1]) <= 0).all())
        self.assertEqual(ids[0, 0], INDEX.search("a bridge", recall_only=True, hubness=0)[0].id)
        self.assertRaises(ValueError, vectors.search, queries[0])

    def test_threads(self):
        expected = [r.id for r in INDEX.search("a bridge")]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for found in pool.map(lambda _: [r.id for r in INDEX.search("a bridge")], range(200)):
                self.assertEqual(found, expected)

    def test_others_go_on_meanwhile(self):
        turns, ends = [0], threading.Event()

        def count():
            while not ends.is_set():
                turns[0] += 1
        thread = threading.Thread(target=count)
        thread.start()
        MODEL.encode(IMAGES * 5)
        ends.set()
        thread.join()
        self.assertGreater(turns[0], 1000)

    def test_fork(self):
        def child():
            try:
                INDEX.search("a bridge")
            except ftf.InputError as error:
                assert "fork" in str(error)
            else:
                os._exit(3)
            own = ftf.Index(FOLDER / "index")
            os._exit(0 if [r.id for r in own.search("a bridge")] == expected else 4)
        expected = [r.id for r in INDEX.search("a bridge")]
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(60)
        self.assertEqual(process.exitcode, 0)


class Indexing(unittest.TestCase):
    def test_what_was_done(self):
        folder = FOLDER / "new"
        folder.mkdir()
        for image in IMAGES[:6]:
            os.link(image, folder / image.name)
        (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff broken")
        told = []
        done = ftf.index(folder, FOLDER / "new.ftfindex", progress=lambda n, of: told.append((n, of)))
        self.assertEqual((done.indexed, done.failed), (6, 1))
        self.assertTrue(any("bad.jpg" in line for line in done.problems))
        self.assertEqual(told[-1], (7, 7))
        self.assertEqual(ftf.index(folder, FOLDER / "new.ftfindex", progress=True).unchanged, 6)
        with self.assertRaisesRegex(ftf.Error, "none"): ftf.index(FOLDER / "none", FOLDER / "none.ftfindex")
        self.assertFalse((FOLDER / "none.ftfindex").exists())
        index = ftf.Index(FOLDER / "new.ftfindex")
        unused = ftf.set_attributes(FOLDER / "new.ftfindex", {IMAGES[0].name: {"year": 2024, "sensor": "S2"}, "none.jpg": {}})
        self.assertEqual((unused, index.is_stale), (1, True))
        self.assertTrue(index.refresh())
        found = index.search("anything", filter="year = 2024")
        self.assertEqual([r.attributes for r in found], [{"year": 2024, "sensor": "S2"}])
        self.assertRaises(ftf.Error, ftf.set_attributes, FOLDER / "none", {})

    def test_shards_are_all(self):
        counts = [ftf.index(FOLDER / "images", FOLDER / f"part-{i}", shard=(i, 3)).indexed for i in (1, 2, 3)]
        self.assertEqual(sum(counts), len(IMAGES))
        parts = [FOLDER / f"part-{i}" for i in (1, 2, 3)]
        self.assertEqual(ftf.merge(FOLDER / "whole", parts), len(IMAGES))
        self.assertEqual(ftf.merge(FOLDER / "whole", parts), 0)
        found = ftf.Index(FOLDER / "whole").search("a bridge", top=len(IMAGES))
        self.assertEqual([(r.path, r.score) for r in found], [(r.path, r.score) for r in INDEX.search("a bridge", top=len(IMAGES))])
        self.assertRaises(ftf.InputError, ftf.index, FOLDER / "images", FOLDER / "part-4", shard=(4, 3))

    def test_an_error_in_progress_comes_back(self):
        def fails(done, of):
            raise KeyError("mine")
        self.assertRaises(KeyError, ftf.index, FOLDER / "images", FOLDER / "failing", progress=fails)

    def test_interrupted_it_goes_on(self):
        many = FOLDER / "many"
        many.mkdir()
        for copy in range(40):
            for image in IMAGES:
                (many / f"{copy}-{image.name}").write_bytes(image.read_bytes() + bytes([copy]))
        def interrupt(done, of):
            if done == 200:
                os.kill(os.getpid(), signal.SIGINT)
        began = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            ftf.index(many, FOLDER / "many.ftfindex", progress=interrupt)
        self.assertLess(time.monotonic() - began, 10)
        stored = len(ftf.Index(FOLDER / "many.ftfindex"))
        self.assertTrue(0 < stored < 1600, stored)
        self.assertEqual(ftf.index(many, FOLDER / "many.ftfindex").indexed, 1600 - stored)


HERE = pathlib.Path(__file__).resolve().parent


class Documents(unittest.TestCase):
    def test_what_the_pages_show(self):
        work = FOLDER / "pages"
        (work / "imagery").mkdir(parents=True)
        for image in IMAGES[:8]:
            os.link(image, work / "imagery" / image.name)
        for name in ("a.jpg", "b.png", "example.jpg"):
            os.link(IMAGES[0], work / name)
        before = os.getcwd()
        os.chdir(work)
        try:
            for page in (HERE / "README.md", HERE.parents[1] / "docs" / "from-python.md"):
                blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
                self.assertTrue(blocks)
                names = {}
                for block in blocks:
                    exec(compile(block, str(page), "exec"), names)
        except ModuleNotFoundError as error:
            self.skipTest(str(error))
        finally:
            os.chdir(before)

    def test_the_tour(self):
        try:
            import nbclient
            import nbformat
        except ImportError:
            self.skipTest("nbclient is not installed")
        notebook = nbformat.read(HERE / "tour.ipynb", 4)
        os.environ["FTF_DEMO"] = str(FOLDER / "demo")
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        shown = [kind for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs for kind in output.get("data", {})]
        self.assertGreaterEqual(shown.count("image/png"), 2)
        self.assertGreaterEqual(shown.count("text/html"), 4)


if __name__ == "__main__":
    unittest.main()
