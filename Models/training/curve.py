"""Draws log.jsonl as an SVG: python curve.py LOG OUT.svg"""
import json
import sys

COLOURS = {"recall": "#1f6feb", "fine": "#999999", "reranked 0.3": "#d4730b", "reranked 0.5": "#b3261e"}


def draw(log, out):
    """mR on val by epoch, one line a figure."""
    with open(log) as lines: rows = [json.loads(line) for line in lines]
    w, h, m = 640, 360, 40
    values = [r[n] for r in rows for n in COLOURS]
    low, high = int(min(values)), int(max(values)) + 1
    x = lambda e: m + (e - 1) / max(1, len(rows) - 1) * (w - 2 * m)
    y = lambda v: h - m - (v - low) / (high - low) * (h - 2 * m)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    for v in range(low, high + 1):
        parts.append(f'<path d="M{m} {y(v):.1f}H{w - m}" stroke="#ddd"/><text x="8" y="{y(v) + 4:.1f}">{v}</text>')
    for r in rows: parts.append(f'<text x="{x(r["epoch"]):.1f}" y="{h - 20}" text-anchor="middle">{r["epoch"]}</text>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        points = " ".join(f'{x(r["epoch"]):.1f},{y(r[name]):.1f}' for r in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{m + 110 * i}" y="20" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{w - m}" y="{h - 5}" text-anchor="end">epoch; mR on val</text></svg>')
    with open(out, "w") as file: file.write("\n".join(parts))


if __name__ == "__main__": draw(*sys.argv[1:3])
