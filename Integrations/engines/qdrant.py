"""Another engine recalls and filters, this one reranks: python qdrant.py FTF INDEX [WORK]

What an index holds is exported and put into a shard of Qdrant's own core (qdrant-edge-py, in this process and without a server): vectors, paths and
attributes, by the ids of the index. Sentences are asked there, also with a filter; the ids that it finds are reranked by their patches here. Wherever it
found the same candidates as recall does here the ten best are the same, which is asserted; prints how often that was. Needs the wheel.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import fastthenfine
import numpy as np
import qdrant_edge as qdrant

SENTENCES = ["a bridge over a river", "white planes beside a building", "many storage tanks", "a baseball field", "dense houses with red roofs",
             "two ships in a harbour", "a stadium", "bare land", "a pond between trees", "a railway station"]


def exported(ftf, index, folder):
    """Ids, attributes and vectors f32[n, d]."""
    subprocess.run([ftf, "index", "export", index, folder], check=True, stdout=subprocess.DEVNULL)
    with open(f"{folder}/items.jsonl", encoding="utf-8") as lines: items = [json.loads(line) for line in lines]
    return items, np.load(f"{folder}/vectors.npy")


def shard(items, vectors, folder):
    """All of it in Qdrant."""
    os.makedirs(folder)
    made = qdrant.EdgeShard.create(folder, qdrant.EdgeConfig(vectors=qdrant.EdgeVectorParams(size=vectors.shape[1], distance=qdrant.Distance.Cosine)))
    points = [qdrant.Point(item["id"], vector.tolist(), {"path": item["path"], **item.get("attributes", {})}) for item, vector in zip(items, vectors)]
    for start in range(0, len(points), 512): made.update(qdrant.UpdateOperation.upsert_points(points[start : start + 512]))
    return made


def recalled(made, vector, count, condition=None):
    """Ids of the nearest, as Qdrant sees them."""
    request = qdrant.QueryRequest(limit=count, query=qdrant.Query.Nearest(vector.tolist()), filter=condition)
    return [point.id for point in made.query(request)]


def main(ftf, path, work):
    index, model = fastthenfine.Index(path), fastthenfine.Model()
    items, vectors = exported(ftf, path, f"{work}/out")
    middle = int(np.median([item["id"] for item in items]))
    names = {item["id"]: {os.path.basename(item["path"]): {"half": "second" if item["id"] > middle else "first"}} for item in items}
    fastthenfine.set_attributes(path, {name: value for own in names.values() for name, value in own.items()})
    index.refresh()
    items, vectors = exported(ftf, path, f"{work}/out2")
    made = shard(items, vectors, f"{work}/shard")
    half = qdrant.Filter(must=[qdrant.FieldCondition(key="half", match=qdrant.MatchValue("second"))])
    same = asked = 0
    for sentence in SENTENCES:
        vector = model.encode_text(sentence)
        for there, here in ((None, None), (half, "half = 'second'")):
            candidates = recalled(made, vector, 100, there)
            own = {r.id for r in index.search(sentence, top=100, filter=here, recall_only=True)}
            reranked = [(r.id, r.score) for r in index.rerank(sentence, candidates)][:10]
            expected = [(r.id, r.score) for r in index.search(sentence, top=10, filter=here)]
            asked += 1
            if set(candidates) == own:
                same += 1
                assert reranked == expected, (sentence, reranked, expected)
            else:
                shared = len({i for i, _ in reranked} & {i for i, _ in expected})
                print(f"{sentence}: {len(own - set(candidates))} of 100 candidates are others, {shared} of the ten best are the same")
                assert shared >= 8
    assert same > 0
    print(f"{asked} questions: {same} with the same candidates, and then the same ten best with the same scores")


if __name__ == "__main__":
    folder = sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp()
    try: main(*sys.argv[1:3], folder)
    finally: shutil.rmtree(folder)
