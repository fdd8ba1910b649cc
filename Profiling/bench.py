"""Whether each kernel reaches what it is known to reach on such a CPU: python bench.py FTF [--write]

A kernel's time is counted in what the core could multiply meanwhile: as a multiple of the int8 multiply-adds that its level's own instruction makes on
registers, in the same minute. That is a property of the code and the kind of CPU, not of its clock. bench.json holds, by kind of CPU, the median over
runs and how far the slowest run was above it; a kernel whose best of some runs is further above has become slower, which ends with 1. Noise makes a run
slower and never faster: while a kernel looks slower, it is tried again, and where others take time from the machine nothing is said. --write measures and holds what is true of this CPU, alone on the machine; a kind that was never held is said, and passes.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import time

ftf, writes = sys.argv[1], "--write" in sys.argv
if not os.access(ftf, os.X_OK): sys.exit(f"{ftf} is no program: make release builds it")
place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench.json")


def cpu():
    """Vendor, family and model, which say what is inside; names of products do not."""
    with open("/proc/cpuinfo") as file: text = file.read()
    found = [re.search(rf"^{name}\s*: (.+)$", text, re.M) for name in ("vendor_id", "cpu family", "model")]
    return " ".join(f[1] for f in found) if all(found) else "unknown"


def run():
    """By level and kernel: its time in multiply-adds of the ceiling, and its share of it where it is a product."""
    done = json.loads(subprocess.run([ftf, "profile", "--kernels", "--json"], check=True, capture_output=True).stdout)
    for doubt in done["doubts"]: print(f"doubtful: {doubt}", file=sys.stderr)
    doubted.append(bool(done["doubts"]))
    return {(r["level"], f"{r['operation']} {'x'.join(map(str, r['sizes']))}"): r["median"] * 1e-6 * done["peaks"][r["level"]]
            for r in done["rows"] if r["level"] in done["peaks"]}


doubted = []
kind = cpu()
with open(place) as file: held = json.load(file)
if writes:
    runs = [run() for _ in range(7)]
    levels = {}
    for level, name in sorted(runs[0]):
        times = [r[level, name] for r in runs]
        middle = statistics.median(times)
        levels.setdefault(level, {})[name] = [float(f"{middle:.4g}"), round(max(times) / middle - 1, 3)]
    held[kind] = levels
    with open(place, "w") as file:
        file.write(re.sub(r"\[\s+([^\s,]+),\s+([^\s\]]+)\s+\]", r"[\1, \2]", json.dumps(held, indent=1, sort_keys=True)) + "\n")
    print(f"{kind}: {len(runs[0])} kernels held")
elif kind not in held:
    print(f"{kind}: nobody has held a kernel on this kind of CPU to anything; python Profiling/bench.py FTF --write does")
else:
    best, slower = {}, []
    for attempt in range(8):
        for kernel, taken in run().items(): best[kernel] = min(taken, best.get(kernel, taken))
        timed = [(level, name, *at) for level, kernels in held[kind].items() for name, at in kernels.items() if (level, name) in best]
        if not timed: sys.exit("no kernel of bench.json was timed")
        # A tenth is what another machine of the kind may differ by: how fast its memory is, who its neighbours are.
        slower = [(best[level, name] / expected, level, name, noise) for level, name, expected, noise in timed
                  if best[level, name] > expected * (1 + max(noise, 0.1))]
        if attempt >= 2 and not slower: break
        time.sleep(2 * bool(slower))
    for ratio, level, name, noise in sorted(slower, reverse=True):
        print(f"{level} {name}: {ratio:.2f} of the time that is held, {1 + noise:.2f} at most in seven runs")
    print(f"{kind}: {len(timed)} kernels, {len(slower)} slower than what is held")
    if slower and all(doubted): print("others took time from this machine in every run: that proves nothing")
    sys.exit(bool(slower) and not all(doubted))
