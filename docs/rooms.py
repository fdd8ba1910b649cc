"""The rooms of the house: draws docs/rooms.svg, or with --check holds the sources and the drawing to what stands here.

A room imports what lies on a floor below its own and nothing else; who may use which library stands beside it.
"""
import os
import re
import sys

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
figure = os.path.join(root, "docs", "rooms.svg")

# From the top; of each room what it does, in a few words.
floors = [
    [("ftf", "the command")],
    [("Service", "HTTP, the page")],
    [("Interchange", "what others read"), ("Exports", "for C and Python"), ("Profiling", "against the ceiling"), ("Demo", "drawn scenes")],
    [("FastThenFine", "the library: engine, writer, searcher, converter")],
    [("Retrieval", "recall, rerank"), ("Encoders", "the towers"), ("Index", "catalog, segments"), ("Scenes", "windows, places")],
    [("Weights", "model files, sources"), ("Imaging", "pictures, resampling")],
    [("Tokenization", "words to ids"), ("Kernels", "twins, levels, packing"), ("Parquet", "tables")],
    [("Files", "paths, mapped memory"), ("Geography", "footprints")],
    [("JSON", "read and written"), ("CSIMD", "C intrinsics"), ("CImage", "libjpeg, libpng"), ("CGDAL", "libgdal, at run time"), ("CPage", "the page's files"), ("CFastThenFine", "ftf.h")],
]
# Targets carry a prefix, so that whoever depends on the package may have an Index of their own; rooms and folders do not.
targets = {f"FTF{room}": room for floor in floors for room, _ in floor} | {f"CFTF{name}": f"C{name}" for name in ("SIMD", "Image", "GDAL", "Page")}
folders = {"CSIMD": "CSIMD", "Profiling": "Profiling"}
libraries = {
    "ftf": {"ArgumentParser"}, "Index": {"GRDB", "GRDBSQLite"}, "Interchange": {"GRDB"},
    "Service": {"CoreMetrics", "HTTPTypes", "Hummingbird", "HummingbirdCore", "HummingbirdTLS", "Logging", "NIOCore", "NIOHTTP1", "NIOSSL", "ServiceLifecycle"},
}
system = {"Darwin", "Dispatch", "Foundation", "Glibc", "Synchronization"}
only = {"CSIMD": {"Kernels"}, "CGDAL": {"Scenes"}, "CPage": {"Service"}, "CFastThenFine": {"Exports"}}

ways = [
    ("a pixel", "#c2592c", ["CImage", "Imaging", "Encoders", "Index"],
     "decoded, reduced to 224 x 224, encoded to g and P, stored as int8 codes"),
    ("a word", "#1f6f5c", ["FastThenFine", "Tokenization", "Encoders", "Retrieval", "FastThenFine"],
     "asked, cut into ids, encoded to t and W, compared with what the index holds, answered"),
    ("a weight", "#4a5aa8", ["Files", "Weights", "Kernels", "Encoders"], "mapped, checked, packed for the level, multiplied"),
]


def imports():
    """What each room imports, from its sources."""
    found = {}
    for floor in floors:
        for room, _ in floor:
            folder = os.path.join(root, folders.get(room, f"Sources/{room}"))
            names = found.setdefault(room, set())
            for path, _, files in os.walk(folder):
                for file in files:
                    if file.endswith(".swift"):
                        text = open(os.path.join(path, file), encoding="utf-8").read()
                        imported = re.findall(r"^(?:@\w+ |package |public )*import (?:\w+ )?(\w+)", text, re.M)
                        names |= {targets.get(name, name) for name in imported}
    return found


def faults(found):
    height = {room: len(floors) - i for i, floor in enumerate(floors) for room, _ in floor}
    for room in sorted(os.listdir(os.path.join(root, "Sources"))):
        if room not in height: yield f"Sources/{room} has no floor"
    for room, names in found.items():
        for name in sorted(names - system - libraries.get(room, set())):
            if name not in height: yield f"{room} imports {name}, which is not for it"
            elif height[name] >= height[room]: yield f"{room} imports {name}, which is not below it"
            elif room not in only.get(name, {room}): yield f"{room} imports {name}, which is for {', '.join(only[name])}"


def drawing(found):
    width, row, box = 980, 74, 42
    places, parts = {}, []
    for i, floor in enumerate(floors):
        step = width / len(floor)
        for j, (room, _) in enumerate(floor): places[room] = (step * (j + 0.5), 40 + row * i)
    # Of what a room imports, what it does not reach through another.
    below = {room: {name for name in names if name in places} for room, names in found.items()}
    reach = {}
    for floor in reversed(floors):
        for room, _ in floor: reach[room] = below[room] | set().union(*(reach[name] for name in below[room]))
    for room, names in below.items():
        for name in sorted(names):
            if any(name in reach[other] for other in names - {name}): continue
            (x0, y0), (x1, y1) = places[room], places[name]
            a, b = y0 + box / 2, y1 - box / 2
            parts.append(f'<path d="M{x0:.0f} {a:.0f}C{x0:.0f} {(a + b) / 2:.0f} {x1:.0f} {(a + b) / 2:.0f} {x1:.0f} {b:.0f}" class="needs"/>')
    for floor in floors:
        for room, does in floor:
            (x, y), half = places[room], max(74, 4 * len(does))
            parts.append(f'<rect x="{x - half:.0f}" y="{y - box / 2:.0f}" width="{2 * half:.0f}" height="{box}" rx="7" class="room"/>'
                         f'<text x="{x:.0f}" y="{y - 3:.0f}" class="name">{room}</text><text x="{x:.0f}" y="{y + 13:.0f}" class="does">{does}</text>')
    end = 40 + row * len(floors)
    for k, (what, colour, stops, how) in enumerate(ways):
        marks = []
        for i, stop in enumerate(stops):
            # On the upper edge, each way at its own place.
            x, y = places[stop]
            marks.append((x + 46 * (k - 1) + (120 * (i > 0) - 60 if stop == "FastThenFine" else 0), y - box / 2))
        line = f"M{marks[0][0]:.0f} {marks[0][1]:.0f}"
        for (x0, y0), (x1, y1) in zip(marks, marks[1:]):
            # Over the boxes where both are on one floor.
            middle = (y0 + y1) / 2 - (26 + 8 * k) * (y0 == y1)
            line += f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
        parts.append(f'<path d="{line}" stroke="{colour}" class="way"/>')
        for i, (x, y) in enumerate(marks):
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8" fill="{colour}"/><text x="{x:.0f}" y="{y + 4:.0f}" class="step">{i + 1}</text>')
        parts.append(f'<circle cx="24" cy="{end + 22 * k - 4}" r="6" fill="{colour}"/><text x="38" y="{end + 22 * k}" class="legend">'
                     f'<tspan font-weight="600">{what}</tspan>: {how}</text>')
    style = ("text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#1d2124}.name{font-weight:600}.does{font-size:11px;fill:#5c666e}"
             ".legend{text-anchor:start}.step{font-size:10px;font-weight:600;fill:#fff}.room{fill:#fff;stroke:#b9b5ac}"
             ".needs{fill:none;stroke:#cfcbc2;stroke-width:1.3}.way{fill:none;stroke-width:2.4;opacity:.75}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {end + 60}" role="img" '
            f'aria-label="The rooms, each above what it imports, and three ways through them"><style>{style}</style>'
            f'<rect width="{width}" height="{end + 60}" fill="#f6f5f2"/>' + "\n".join(parts) + "</svg>\n")


found = imports()
wrong = list(faults(found))
if "--check" in sys.argv:
    if not os.path.exists(figure) or open(figure, encoding="utf-8").read() != drawing(found): wrong.append("docs/rooms.svg is another: make rooms")
else:
    with open(figure, "w", encoding="utf-8") as file: file.write(drawing(found))
for line in wrong: print(line, file=sys.stderr)
sys.exit(1 if wrong else 0)
