"""What a search and indexing cost from Swift, C and Python beside the command, interleaved:

    python measure.py FTF LIBRARY CLIENT IMAGES WORK [ROUNDS]

FTF is the command, LIBRARY libftf.so, CLIENT the program of Tests/Client, all as released; this Python has the wheel. IMAGES is a folder, of which the
index is made, WORK a folder that is made anew. Prints the median milliseconds of 1,000 searches, each another sentence, and images a second, and of
both how they stand to the command's: the median of the rounds and their range.
"""
import os
import shutil
import statistics
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
root = f"{here}/../.."
WORDS = ["white planes", "many storage tanks", "a river", "dense houses", "a bridge", "green trees", "a stadium", "two ships", "bare land", "a pond"]


def by_python(verb, index, other):
    import fastthenfine as ftf

    if verb == "index":
        model = ftf.Model()
        began = time.perf_counter()
        ftf.index(other, index, model=model, progress=False)
        return print(time.perf_counter() - began)
    opened, took = ftf.Index(index), []
    for line in open(other):
        began = time.perf_counter()
        opened.search(line.strip())
        took.append(time.perf_counter() - began)
    print(1000 * statistics.median(took))


def searched_by_command(ftf, index, sentences):
    process = subprocess.Popen([ftf, "search", index, "--stdin", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    took = []
    for line in open(sentences, "rb"):
        began = time.perf_counter()
        process.stdin.write(line); process.stdin.flush()
        process.stdout.readline()
        took.append(time.perf_counter() - began)
    process.stdin.close(); process.wait()
    return 1000 * statistics.median(took)


def main(ftf, library, client, images, work, rounds=5):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.copy(library, f"{work}/libftf.so.1"); os.symlink("libftf.so.1", f"{work}/libftf.so")
    subprocess.run(["clang", "-O2", "-fuse-ld=lld", "-I", f"{root}/Sources/CFastThenFine/include", f"{here}/measure.c", "-L", work, "-lftf",
                    f"-Wl,-rpath,{os.path.abspath(work)}", "-o", f"{work}/measure"], check=True)
    sentences = f"{work}/sentences"
    with open(sentences, "w") as file: file.writelines(f"{WORDS[i % 10]} beside {WORDS[i // 10 % 10]} and {WORDS[i // 100 % 10]}\n" for i in range(1000))
    programs = {"Swift": [client, "measure"], "C": [f"{work}/measure"], "Python": [sys.executable, "-B", os.path.abspath(__file__), "measure"]}

    def asked(name, verb, *rest): return float(subprocess.run([*programs[name], verb, *rest], check=True, capture_output=True, text=True).stdout)

    def indexed(name):
        """Images a second, and the index stays."""
        index = f"{work}/index"
        shutil.rmtree(index, ignore_errors=True)
        if name != "command": return count / asked(name, "index", index, images)
        began = time.perf_counter()
        subprocess.run([ftf, "index", index, images], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return count / (time.perf_counter() - began)

    count, names = sum(len(files) for _, _, files in os.walk(images)), ["command", *programs]
    rates, times = {name: [] for name in names}, {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % 4:] + names[:turn % 4]: rates[name].append(indexed(name))
        for name in names[turn % 4:] + names[:turn % 4]:
            index = f"{work}/index"
            times[name].append(searched_by_command(ftf, index, sentences) if name == "command" else asked(name, "search", index, sentences))
    for title, found in (("a search, ms", times), ("images a second", rates)):
        print(title)
        for name in names:
            ratios = [own / other for own, other in zip(found[name], found["command"])]
            print(f"  {name:8} {statistics.median(found[name]):8.2f}   {statistics.median(ratios):.2f} of the command's ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if sys.argv[1] == "measure": by_python(*sys.argv[2:])
    else: main(*sys.argv[1:6], *map(int, sys.argv[6:]))
