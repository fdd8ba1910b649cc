"""CHANGELOG.md on stdin, as Debian has changelogs, on stdout."""
import datetime
import re
import sys
import textwrap

for part in re.split(r"^## ", sys.stdin.read(), flags=re.M)[1:]:
    head, _, body = part.partition("\n")
    version, day = head.split(", ")
    date = datetime.datetime.fromisoformat(day.strip()).strftime("%a, %d %b %Y 00:00:00 +0000")
    lines = re.sub(r"\n  +", " ", body)
    print(f"fastthenfine ({version}) unstable; urgency=medium\n")
    for line in lines.split("\n"):
        if re.fullmatch(r"\w+", line): print(f"  [ {line} ]")
        elif line.startswith("- "): print(textwrap.fill(line[2:], 78, initial_indent="  * ", subsequent_indent="    ", break_long_words=False))
    print(f"\n -- The FastThenFine project <fastthenfine@localhost>  {date}\n")
