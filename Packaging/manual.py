"""Man pages of the command and its verbs, from what it says of itself: python3 manual.py FTF DAY FOLDER, gzipped, the same bytes each time."""
import gzip
import json
import os
import subprocess
import sys

ftf, day, folder = sys.argv[1:]
version = subprocess.run([ftf, "--version"], capture_output=True, text=True, check=True).stdout.strip()

ENVIRONMENT = [
    ("FTF_MODEL", "The model that is taken where none is named."),
    ("FTF_LEVEL", "The highest instruction set that is used, by a name that ftf info shows; the best that the CPU has without it."),
    ("FTF_GDAL", "The path of the GDAL library that is opened; empty for none."),
    ("FTF_TRUSTED_FOLDERS", "Folders, with colons between, whose files a VRT elsewhere may name."),
    ("OMP_NUM_THREADS", "How many threads compute, where --threads does not say it."),
    ("TMPDIR", "Where copies lie for as long as they are needed."),
]
FILES = [
    ("INDEX/catalog.sqlite", "What an index knows of its images."),
    ("INDEX/segments/", "Their vectors; a file is written once and never changed."),
    ("INDEX/catalog.saved.sqlite", "A copy of the catalog, of which ftf index repair makes a new one."),
    ("/usr/share/fastthenfine/ftf-small.ftf", "The default model."),
]
SERVED = [
    ("/etc/default/ftf", "The index that ftf.service serves, and how."),
    ("/var/lib/fastthenfine/", "Where that service looks for an index of its own."),
]
TOKEN = [("FTF_TOKEN", "A token that clients have to show, where no --token-file names several.")]


def escaped(text):
    """As troff reads it literally."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").split("\n")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in lines if line)


def name(argument):
    found = argument["preferredName"]
    return ("--" if found["kind"] == "long" else "-") + found["name"]


def synopsis(argument):
    value = f"\\fI{escaped(argument['valueName'])}\\fR"
    dots = " ..." if argument["isRepeating"] else ""
    if argument["kind"] == "positional": shown = value + dots
    else: shown = f"\\fB{escaped(name(argument))}\\fR" + (f" {value}{dots}" if argument["kind"] == "option" else "")
    return f"[{shown}]" if argument["isOptional"] else shown


def option(argument):
    value = f"\\fI{escaped(argument['valueName'])}\\fR"
    if argument["kind"] == "positional": shown = value
    else:
        names = sorted(argument["names"], key=lambda n: n["kind"] == "long")
        shown = ", ".join("\\fB" + escaped(("--" if n["kind"] == "long" else "-") + n["name"]) + "\\fR" for n in names)
        if argument["kind"] == "option": shown += " " + value
    text = argument.get("abstract", "") or "See ftf(1)."
    if argument.get("defaultValue"): text += f" Default: {argument['defaultValue']}."
    if argument.get("allValues"): text += f" One of: {', '.join(argument['allValues'])}."
    return f".TP\n{shown}\n{escaped(text)}\n"


def listed(title, pairs):
    return f".SH {title}\n" + "".join(f".TP\n{escaped(key)}\n{escaped(text)}\n" for key, text in pairs)


def page(command, path):
    words, own = " ".join(path), "-".join(path)
    abstract = command["abstract"].rstrip(".")
    arguments = [a for a in command.get("arguments", []) if a["shouldDisplay"]]
    below = [c for c in command.get("subcommands", []) if c["commandName"] != "help"]
    text = f'.TH {own.upper()} 1 "{day}" "FastThenFine {version}" "User Commands"\n.SH NAME\n{escaped(own)} \\- {escaped(abstract)}\n'
    text += f".SH SYNOPSIS\n.nh\n\\fB{escaped(words)}\\fR" + (" \\fIverb\\fR" if below else "") + "".join(f"\n{synopsis(a)}" for a in arguments) + "\n.hy\n"
    lines = command.get("discussion", "").split("\n")
    examples = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    rest = [line for line in lines if line and not line.startswith("Example: ")]
    text += f".SH DESCRIPTION\n{escaped(command['abstract'])}\n" + "".join(f".PP\n{escaped(line)}\n" for line in rest)
    if below: text += listed("VERBS", [(c["commandName"], c["abstract"]) for c in below])
    if arguments: text += ".SH OPTIONS\n" + "".join(map(option, arguments))
    if examples: text += ".SH EXAMPLES\n" + "".join(f".PP\n.nf\n{escaped(e.strip())}\n.fi\n" for line in examples for e in line.split("; or, "))
    serves = path[-1] == "serve"
    text += listed("ENVIRONMENT", ENVIRONMENT + (TOKEN if serves else []))
    text += listed("FILES", FILES + (SERVED if serves else []))
    text += ".SH EXIT STATUS\n0 where all went well, 1 where something could not be done, 2 where the command was not understood; a line on stderr says why.\n"
    others = [path[:i] for i in range(1, len(path))] + [path + [c["commandName"]] for c in below]
    if others: text += ".SH SEE ALSO\n" + ",\n".join(f"\\fB{escaped('-'.join(o))}\\fR(1)" for o in others) + "\n"
    with open(os.path.join(folder, f"{own}.1.gz"), "wb") as file: file.write(gzip.compress(text.encode(), 9, mtime=0))
    for c in below: page(c, path + [c["commandName"]])


said = json.loads(subprocess.run([ftf, "--experimental-dump-help"], capture_output=True, text=True, check=True).stdout)
os.makedirs(folder, exist_ok=True)
page(said["command"], ["ftf"])
