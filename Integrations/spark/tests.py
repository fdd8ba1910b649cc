"""On a cluster of this machine's own, a master and two workers on loopback: python tests.py FTF, on images that the demo draws. A worker is killed midway."""
import atexit
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fastthenfine as ftf
import ftf_spark
import numpy as np
import pyspark
from pyspark.sql import SparkSession

COMMAND = sys.argv.pop(1)
WORK = tempfile.TemporaryDirectory()
FOLDER = pathlib.Path(WORK.name)
HOME = os.path.dirname(pyspark.__file__)
PROCESSES = {}


def start(name, *arguments):
    environment = {**os.environ, "SPARK_HOME": HOME, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
                   "PYTHONPATH": os.pathsep.join(sys.path), "SPARK_DAEMON_MEMORY": "512m"}
    log = open(FOLDER / f"{name}.log", "w")
    # A group of its own: whoever kills it kills what it started.
    PROCESSES[name] = subprocess.Popen([f"{HOME}/bin/spark-class", *arguments], env=environment, stdout=log, stderr=log, start_new_session=True)


def said(name, words, seconds=60):
    for _ in range(10 * seconds):
        found = re.search(words, (FOLDER / f"{name}.log").read_text())
        if found: return found
        time.sleep(0.1)
    raise TimeoutError((FOLDER / f"{name}.log").read_text()[-2000:])


def worker(name):
    start(name, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--work-dir", str(FOLDER / name), MASTER)


def setUpModule():
    global MASTER, SPARK, IMAGES
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    MASTER = said("master", r"spark://127\.0\.0\.1:\d+")[0]
    for name in ("one", "two"): worker(name)
    for name in ("one", "two"): said(name, "Successfully registered")
    SPARK = (SparkSession.builder.master(MASTER).config("spark.executor.memory", "600m").config("spark.ui.enabled", "false")
             .config("spark.driver.host", "127.0.0.1").config("spark.task.maxFailures", "8").config("spark.network.timeout", "20s")
             .config("spark.network.timeoutInterval", "5s").config("spark.executor.heartbeatInterval", "2s")
             # Executors go when they are idle, and with them whatever they alone would have remembered.
             .config("spark.dynamicAllocation.enabled", "true").config("spark.dynamicAllocation.shuffleTracking.enabled", "true")
             .config("spark.dynamicAllocation.executorIdleTimeout", "1s").getOrCreate())
    SPARK.sparkContext.setLogLevel("ERROR")
    subprocess.run([COMMAND, "demo", "--output", str(FOLDER / "demo"), "--side", "1000"], check=True, capture_output=True)
    # No two alike: which of equal ones comes first depends on who was stored first.
    IMAGES = FOLDER / "images"
    IMAGES.mkdir()
    for i, image in enumerate(sorted((FOLDER / "demo" / "scenes").rglob("*.jpg"))): os.link(image, IMAGES / f"{i}.jpg")


def tearDownModule():
    SPARK.stop()


@atexit.register
def end():
    for process in PROCESSES.values():
        if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(index):
    opened = ftf.Index(index)
    return [[(r.path, r.score) for r in opened.search(text, top=len(opened))] for text in ("a bridge", "a pond surrounded by green trees")]


class Cluster(unittest.TestCase):
    def test_a_worker_that_is_killed_costs_nothing(self):
        ftf.index(IMAGES, FOLDER / "single")
        count = len(ftf.Index(FOLDER / "single"))
        self.assertGreater(count, 200)
        work = FOLDER / "spread.parts"

        def kill():
            while not glob.glob(f"{work}/part-*-of-00008"): time.sleep(0.05)
            os.killpg(PROCESSES["one"].pid, signal.SIGKILL)
            # Its executor is in a group of its own.
            subprocess.run(["pkill", "-9", "-f", f"{FOLDER}/one"])
            worker("three")
        thread = threading.Thread(target=kill)
        thread.start()
        merged = ftf_spark.index(SPARK, str(IMAGES), str(FOLDER / "spread"), parts=8)
        thread.join()
        self.assertEqual(merged, count)
        self.assertFalse(work.exists())
        self.assertEqual(answers(FOLDER / "spread"), answers(FOLDER / "single"))
        paths = [r.path for r in ftf.Index(FOLDER / "spread")]
        self.assertEqual((len(paths), len(set(paths))), (count, count))
        self.assertIsNotNone(PROCESSES["one"].poll())
        # Once more is nothing more.
        self.assertEqual(ftf_spark.index(SPARK, str(IMAGES), str(FOLDER / "spread"), parts=3), 0)

    def test_what_is_interrupted_is_gone_on_with(self):
        work = FOLDER / "later.parts"
        some = [str(p) for p in sorted(IMAGES.iterdir())[:200]]
        ftf_spark.index(SPARK, some, str(FOLDER / "later"), parts=4, keep_parts=True)
        before = {p.name: p.stat().st_mtime for p in work.glob("part-*-of-*")}
        self.assertEqual(len(before), 4)
        shutil.rmtree(FOLDER / "later")
        os.rename(work / "part-00002-of-00004", work / "part-00002-of-00004.partial")
        # The number of parts is that of the first run; what is complete is left alone.
        self.assertEqual(ftf_spark.index(SPARK, some, str(FOLDER / "later"), parts=9, keep_parts=True), 200)
        self.assertEqual({p.name: p.stat().st_mtime for p in work.glob("part-*-of-*")}.keys(), before.keys())

    def test_columns(self):
        files = [str(p) for p in sorted(IMAGES.iterdir())[:50]]
        (FOLDER / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
        table = SPARK.createDataFrame([(i, p) for i, p in enumerate(files + [str(FOLDER / "broken.jpg"), None])], "id int, path string").repartition(4)
        vectors = ftf_spark.embed(table, "path").cache()
        rows = {r.id: r for r in vectors.collect()}
        expected = ftf.Model(threads=1).encode(files)
        for i in range(50): np.testing.assert_array_equal(np.float32(rows[i].embedding), expected[i])
        self.assertTrue(rows[50].embedding is None and "broken.jpg" in rows[50].embedding_error)
        self.assertTrue(rows[51].embedding is None and rows[51].embedding_error is None)
        blobs = ftf_spark.embed(SPARK.createDataFrame([(pathlib.Path(files[0]).read_bytes(),)], "data binary"), "data").collect()
        np.testing.assert_array_equal(np.float32(blobs[0].embedding), expected[0])
        found = ftf_spark.search(vectors, "a bridge", top=7).collect()
        scores = expected @ ftf.Model(threads=1).encode_text("a bridge")
        self.assertEqual([r.id for r in found], list(np.argsort(-scores)[:7]))
        np.testing.assert_allclose([r.score for r in found], np.sort(scores)[::-1][:7], rtol=1e-5)
        self.assertEqual(ftf_spark.search(vectors, expected[3], top=1).collect()[0].id, 3)
        texts = ftf_spark.embed(SPARK.createDataFrame([("a bridge",)], "said string"), "said", text=True).collect()
        np.testing.assert_array_equal(np.float32(texts[0].embedding), ftf.Model(threads=1).encode_text("a bridge"))

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_a_disk_that_fills_is_said_and_gone_on_from(self):
        work = FOLDER / "small"
        work.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(work)], check=True)
        atexit.register(subprocess.run, ["umount", "-l", str(work)], stderr=subprocess.DEVNULL)
        some = [str(p) for p in sorted(IMAGES.iterdir())[:200]]
        run = lambda: ftf_spark.index(SPARK, some, str(FOLDER / "filled"), parts=2, work=str(work), keep_parts=True)
        with self.assertRaises(Exception) as raised: run()
        self.assertIn("No space left on device", str(raised.exception))
        self.assertFalse((FOLDER / "filled").exists())
        subprocess.run(["mount", "-o", "remount,size=100m", str(work)], check=True)
        self.assertEqual(run(), 200)
        ftf.index(some, FOLDER / "unfilled")
        self.assertEqual(answers(FOLDER / "filled"), answers(FOLDER / "unfilled"))

    def test_a_part_by_another_model_is_refused(self):
        tiny = FOLDER / "other.ftf"
        subprocess.run([COMMAND, "convert", "Tests/Goldens/tiny", "-o", str(tiny), "--precision", "fp32"], check=True, capture_output=True)
        some = [str(p) for p in sorted(IMAGES.iterdir())[:20]]
        ftf_spark.index(SPARK, some, str(FOLDER / "mixed"), parts=1)
        with self.assertRaises(ftf.Error) as raised:
            ftf_spark.index(SPARK, some, str(FOLDER / "mixed"), parts=1, model=str(tiny), work=str(FOLDER / "other.parts"))
        self.assertEqual(raised.exception.code, "other_model")
        self.assertEqual(len(ftf.Index(FOLDER / "mixed")), 20)


if __name__ == "__main__":
    unittest.main()
