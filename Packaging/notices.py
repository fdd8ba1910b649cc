"""The notices at the heads of C sources that come without a file of their licence, each once: python3 notices.py FOLDER > NOTICES."""
import os
import re
import sys

seen = set()
for path, folders, files in os.walk(sys.argv[1]):
    folders.sort()
    for name in sorted(files):
        if not name.endswith((".c", ".cc", ".h", ".S", ".inc")): continue
        head = re.match(r"\s*((?:/\*.*?\*/\s*|//[^\n]*\n\s*)+)", open(os.path.join(path, name), encoding="utf-8", errors="replace").read(), re.S)
        if head and "opyright" in head[1]: seen.add(head[1].strip())
print("\n\n".join(sorted(seen)))
