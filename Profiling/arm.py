"""What the int8 product costs on Arm cores that are not here, as LLVM's models of them know it: python arm.py [LLVM-MCA]

Each level is compiled as the package compiles it; of its product the loop with the most multiplications is taken, the whole tile, and given to llvm-mca
(from LLVM 17 on, which has models of these cores) as if everything came from the first cache. Prints cycles a round, multiply-adds a cycle, and the
share of what the instructions could do if multiplying were all: what loads and the loop itself cost.
"""
import json
import os
import re
import subprocess
import sys

mca = sys.argv[1] if len(sys.argv) > 1 else "llvm-mca"
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# Multiply-adds of an instruction, and how many of them a core begins in a cycle.
WORK = {"sdot": 16, "udot": 16, "usdot": 16, "usmmla": 32, "smmla": 32, "smull": 8, "smull2": 8, "umull": 8, "umull2": 8}
CORES = {"cortex-a76": ("neon", "neondot"), "neoverse-n1": ("neondot",), "neoverse-v1": ("neondot", "i8mm"), "neoverse-n2": ("neondot", "i8mm")}
PIPES = {"cortex-a76": 2, "neoverse-n1": 2, "neoverse-v1": 4, "neoverse-n2": 2}


def assembly(level):
    found = subprocess.run(["clang", "--target=aarch64-linux-gnu", "-O2", "-S", "-o", "-", f"-I{root}/CSIMD/include", "--sysroot=/usr/aarch64-linux-gnu",
                            "-I/usr/aarch64-linux-gnu/include", f"{root}/CSIMD/src/levels/{level}.c"], check=True, capture_output=True, text=True)
    return found.stdout.splitlines()


def loops(lines):
    """The innermost of the product: from a label to a branch back to it, with no other label between."""
    labels, inside = {}, False
    for i, line in enumerate(lines):
        if function := re.match(r"([a-z]\w*):", line): inside = "gemm_u8" in function[1]
        if label := re.match(r"(\.LBB\w+):", line): labels = {label[1]: i}
        branch = re.match(r"\s+(?:b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s*(\.LBB\w+)", line)
        if inside and branch and branch[1] in labels: yield [own for own in lines[labels[branch[1]] + 1 : i + 1] if re.match(r"\s+[a-z]", own)]


def adds(line): return WORK.get(line.split()[0], 0)


for core, levels in CORES.items():
    for level in levels:
        body = max(loops(assembly(level)), key=lambda own: sum(map(adds, own)))
        text = "\n".join(body) + "\n"
        said = subprocess.run([mca, "-mtriple=aarch64-linux-gnu", f"-mcpu={core}", "-mattr=+dotprod,+i8mm", "-iterations=1000", "-json"], input=text,
                              capture_output=True, text=True, check=True).stdout
        summary = json.loads(said)["CodeRegions"][0]["SummaryView"]
        cycles, total = summary["TotalCycles"] / summary["Iterations"], sum(map(adds, body))
        most = max(map(adds, body))
        bound = sum(1 for own in body if adds(own)) / PIPES[core]
        print(f"{core:12} {level:8} {len(body):3} instructions, {total:5} multiply-adds, {cycles:6.1f} cycles a round: {total / cycles:5.1f} a cycle, "
              f"{100 * bound / cycles:3.0f} % of {PIPES[core] * most}")
