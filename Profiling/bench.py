"""Whether each kernel reaches what it is known to reach on such a CPU: python bench.py FTF [--write]

A kernel's time is counted in what the core could multiply meanwhile: as a multiple of the int8 multiply-adds that its level's own instruction makes on
registers, in the same minute. That is a property of the code and the kind of CPU, not of its clock. bench.json holds, by kind of CPU, the median over
runs and how far the slowest run was above it; a kernel whose best of three runs is further above has become slower, which ends with 1. Noise makes a run
slower and never faster. --write measures and holds what is true of this CPU, alone on the machine; a kind that was never held is said, and passes.
"""
import json
import os
import re
import statistics
import subprocess
import sys

ftf, writes = sys.argv[1], "--write" in sys.argv
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
    return {(r["level"], f"{r['operation']} {'x'.join(map(str, r['sizes']))}"): r["median"] * 1e-6 * done["peaks"][r["level"]]
            for r in done["rows"] if r["level"] in done["peaks"]}


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
    runs = [run() for _ in range(3)]
    slower, count = [], 0
    for level, kernels in held[kind].items():
        for name, (expected, noise) in kernels.items():
            times = [r[level, name] for r in runs if (level, name) in r]
            if not times: continue
            count += 1
            ratio = min(times) / expected
            # A twentieth is what another machine of the kind may differ by: how fast its memory is, who its neighbours are.
            if ratio > 1 + max(noise, 0.05): slower.append((ratio, f"{level} {name}: {ratio:.2f} of the time that is held, {1 + noise:.2f} at most in seven runs"))
    for _, line in sorted(slower, reverse=True): print(line)
    print(f"{kind}: {count} kernels, {len(slower)} slower than what is held")
    if not count: sys.exit("no kernel of bench.json was timed")
    sys.exit(bool(slower))
