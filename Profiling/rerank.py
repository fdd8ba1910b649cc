"""The rerank of 100 candidates of 49 patches x 512, one thread, against what else computes such scores, interleaved: python rerank.py [ROUNDS]

Needs numpy and torch (numkong where it is there). The candidates lie in memory and in no cache: every run takes the next of 24 sets.
Ours is `ftf profile` on random vectors, side by side as the others', and scattered as a search finds them; MaxSim by others takes 16 query
tokens, ours 12 words. Prints microseconds a query, the median of each round, and the ratios of the medians over the rounds.
"""
import json
import os
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
import torch

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
K, N, D, SETS = 100, 49, 512, 24
random = np.random.default_rng(0)


def unit(*shape):
    x = random.standard_normal(shape, dtype=np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def codes(x):
    return np.clip(np.rint(x * (127 / 0.25)), -127, 127).astype(np.int8)


patches, one, sixteen = unit(SETS, K, N, D), unit(1, D), unit(16, D)
stored = codes(patches)
stored_torch = torch.from_numpy(stored)


def int8_maxsim(query):
    q = torch.from_numpy(codes(query)).T.contiguous()
    return lambda s: torch._int_mm(stored_torch[s].view(K * N, D), q).view(K, N, -1).amax(1).sum(1)


def pooling(s, tau=0.05):
    p = patches[s]
    w = (p.reshape(K * N, D) @ one[0]).reshape(K, N) / tau
    w = np.exp(w - w.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    v = np.matmul(w[:, None, :], p)[:, 0]
    return (v @ one[0]) / np.linalg.norm(v, axis=1)


peers = {
    "read the bytes (numpy sum of int64)": lambda s: stored[s].view(np.int64).sum(),
    "torch int8 MaxSim, 1 token": int8_maxsim(one),
    "torch int8 MaxSim, 16 tokens": int8_maxsim(sixteen),
    "numpy fp32 attention pooling, 1 guide": pooling,
}


def median_us(f):
    times = []
    for i in range(3 * SETS):
        start = time.perf_counter()
        f(i % SETS)
        times.append(time.perf_counter() - start)
    return 1e6 * float(np.median(times))


def ours():
    out = subprocess.run([f"{here}/../.build/release/ftf", "profile", "--parts", "search", "--patches", str(N), "--dimension",
                          str(D), "--threads", "1", "--json"], check=True, capture_output=True).stdout
    found = json.loads(out)
    rows = {p["name"]: 1e3 * p["median_ms"] for p in found["parts"] if "in memory" in p["name"]}
    size = next(p["bytes"] for p in found["parts"] if "in memory" in p["name"])
    rows["read the same bytes at the bandwidth of one core"] = 1e6 * size / found["memory_bytes_per_second"]
    return rows


table = {}
for _ in range(rounds):
    for name, f in peers.items():
        table.setdefault(name, []).append(median_us(f))
    for name, value in ours().items():
        table.setdefault(name, []).append(value)
for name, values in table.items():
    print(f"{name:75s} {np.median(values):7.0f} us   {' '.join(f'{v:.0f}' for v in values)}")


def ratio(a, b):
    r = [x / y for x, y in zip(table[a], table[b])]
    print(f"{a} / {b}: {np.median(r):.2f}, from {min(r):.2f} to {max(r):.2f}")


side = "rerank of 100 candidates in memory, side by side, by "
ratio(side + "the sentence", "read the same bytes at the bandwidth of one core")
ratio(side + "the sentence", "torch int8 MaxSim, 1 token")
ratio(side + "the sentence", "numpy fp32 attention pooling, 1 guide")
ratio(side + "12 words", "torch int8 MaxSim, 16 tokens")
