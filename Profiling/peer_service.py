"""clip-retrieval's own service on the vectors of an index: python peer_service.py EXPORT PORT

EXPORT is what `ftf index export INDEX EXPORT` wrote. The vectors go into a flat FAISS index, the paths into an Arrow table, as clip-retrieval
keeps them; the service is its own code. It is asked by vector, so the encoder that it would download is left out, and PyTorch with it.
Needs clip-retrieval 2.45.0, faiss-cpu, flask, flask_restful, flask_cors, pandas, pyarrow, h5py, fire, prometheus_client.
"""
import importlib.util
import json
import os
import sys
import types

import faiss
import flask
import numpy as np
import pyarrow as pa

folder, port = sys.argv[1], int(sys.argv[2])
nothing = types.ModuleType("torch")
nothing.cuda = types.SimpleNamespace(is_available=lambda: False)
encoder = types.ModuleType("all_clip")
encoder.load_clip = lambda *_, **__: (None, None, None)
# Of the package the service alone: the rest wants what encodes and downloads.
package = types.ModuleType("clip_retrieval")
package.__path__ = importlib.util.find_spec("clip_retrieval").submodule_search_locations
sys.modules.update(torch=nothing, all_clip=encoder, clip_retrieval=package)
from clip_retrieval import clip_back  # noqa: E402

vectors = np.load(f"{folder}/vectors.npy")
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
os.makedirs(f"{folder}/peer/metadata", exist_ok=True)
faiss.write_index(index, f"{folder}/peer/image.index")
table = pa.table({"image_path": [""] * len(vectors), "caption": [json.loads(line)["path"] for line in open(f"{folder}/items.jsonl")]})
with pa.OSFile(f"{folder}/peer/metadata/0.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as writer: writer.write_table(table)
json.dump({"images": f"{folder}/peer"}, open(f"{folder}/peer/indices.json", "w"))
del vectors, index

run = flask.Flask.run
flask.Flask.run = lambda self, host, port, debug: run(self, host="127.0.0.1", port=port, debug=debug, threaded=True)
clip_back.clip_back(f"{folder}/peer/indices.json", port=port, columns_to_return=["caption"], enable_mclip_option=False, use_arrow=True,
                    provide_aesthetic_embeddings=False)
