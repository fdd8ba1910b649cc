"""Whether the tests of kernels notice what is wrong with them: python3 mutations.py WORK. Every tile of every x86 level that this CPU runs loses
its last lane, or is left out, a mutant at a time; what it makes must differ then from what the kernels make. Needs clang."""
import pathlib
import re
import shutil
import subprocess
import sys

work = pathlib.Path(sys.argv[1])
shutil.rmtree(work, ignore_errors=True)
shutil.copytree("CSIMD", work / "CSIMD")
shutil.copytree("Tests/Levels", work / "tests")
clang = ["clang", "-O1", f"-I{work}/CSIMD/include"]
sources = [*work.glob("CSIMD/src/levels/*.c"), work / "CSIMD/src/cpu.c", work / "CSIMD/src/shapes.c", work / "tests/kernels.c", work / "tests/tiles.c"]


def built(source, at):
    subprocess.run([*clang, "-c", source, "-o", at], check=True)
    return at


objects = {source: built(source, work / f"{source.stem}.o") for source in sources}


def results(objects, level):
    subprocess.run(["clang", *objects, "-lm", "-o", work / "kernels"], check=True)
    run = subprocess.run([work / "kernels", level], capture_output=True, text=True)
    return run.stdout if run.returncode == 0 else None


# Where tiles end, with the condition that names one; what a mutant does there.
gemm = work / "CSIMD/src/kernels/gemm_u8_blocks.h"
places = {
    "gemm_u8_u8": ("  tile_u8(rows, vectors, &x->product, a, start, w, ahead, acc);\n", "vectors"),
    "gemm_u8_f32": ("  tile_u8(rows, VECTORS, &x->product, a, start, w, ahead, acc);\n", "VECTORS"),
}
last_lane = "{ float lanes[16]; store(lanes, acc[rows - 1][%s - 1]); lanes[15] = -64 - lanes[15]; acc[rows - 1][%s - 1] = load(lanes); }"
left_out = "for (size_t v = 0; v < %s; v++) acc[rows - 1][v] = splat(0);"
text, survivors, count = gemm.read_text(), [], 0
for level, tiles in {
    "sse42": [(1, 1), (2, 1)], "avx2": [(r, 1) for r in (1, 2, 3, 4, 5, 6)], "avxvnni": [(r, 1) for r in (1, 2, 3, 4, 5, 6)],
    "avx512vnni": [(16, 1), (12, 2), (8, 3)] + [(r, 4) for r in (1, 2, 3, 4, 5, 6)],
    # What follows the sums takes a row at a time.
    "amx": [(1, 4)],
}.items():
    expected = results(objects.values(), level)
    if expected is None:
        print(f"{level}: this CPU has no such level")
        continue
    source = next(s for s in sources if s.stem == level)
    for operation, (place, vectors) in places.items():
        for rows, wide in tiles:
            if operation == "gemm_u8_f32" and level == "avx512vnni" and wide < 4:
                continue  # it has whole panels alone
            for mutation in (last_lane, left_out):
                change = f"  if (rows == {rows} && {vectors} == {wide}) {mutation.replace('%s', vectors)}\n"
                assert text.count(place) == 1
                gemm.write_text(text.replace(place, place + change))
                mutant = {**objects, source: built(source, work / "mutant.o")}
                gemm.write_text(text)
                count += 1
                if results(mutant.values(), level) == expected:
                    survivors.append(f"{level} {operation} {rows} x {16 * wide}")
# And the depthwise convolutions of many channels at a time: kernel, rows and columns of outputs.
wide = work / "CSIMD/src/kernels/depthwise_wide.h"
place, text = "      W(store_packed)(", wide.read_text()
assert text.count(place) == 1
for level, widths in {"avxvnni": [32], "avx512vnni": [32, 64]}.items():
    expected = results(objects.values(), level)
    if expected is None: continue
    source = next(s for s in sources if s.stem == level)
    for width in widths:
        for kernel, pair, across in [(k, p, a) for k in (3, 5) for p in (1, 2) for a in (1, 2)]:
            wide.write_text(text.replace(
                place, f"      if (WIDE == {width} && kernel == {kernel} && pair == {pair} && across == {across}) {{ float *lane = (float *)out + WIDE - 1; *lane = 255 - *lane; }}\n" + place))
            mutant = {**objects, source: built(source, work / "mutant.o")}
            wide.write_text(text)
            count += 1
            if results(mutant.values(), level) == expected:
                survivors.append(f"{level} depthwise_u8 {width} channels, kernel {kernel}, {pair} x {across}")
# What AVX2 has beside its tiles: half a tile of twice the rows, weights that the first block leaves for the others, two rows stored at once.
for level, file, place, mutation in [
    ("avx2", "levels/avx2.c", "    const __m256i code = _mm256_cvtps_epi32(q);\n", "    if (r + 1 == HALF_ROWS) q = _mm256_blend_ps(q, _mm256_set1_ps(-1), 128);\n"),
    ("avx2", "levels/avx2.c", "also.widened + 16 * k), low);\n", "also.widened + 16 * k), _mm256_insert_epi16(low, 0, 15));\n"),
    ("avx2", "levels/avx2.c", "also.widened + 16 * k + 16), high);\n", "also.widened + 16 * k + 16), _mm256_insert_epi16(high, 0, 15));\n"),
    *((level, "vector/f32x16_avx2.h", "  _mm_storeu_si128((__m128i *)q, _mm256_extracti128_si256(all, 1));\n", "\n") for level in ("avx2", "avxvnni")),
]:
    expected = results(objects.values(), level)
    if expected is None: continue
    source, header = next(s for s in sources if s.stem == level), work / "CSIMD/src" / file
    text = header.read_text()
    assert text.count(place) == 1
    header.write_text(text.replace(place, mutation + place if "    " in mutation else mutation))
    mutant = {**objects, source: built(source, work / "mutant.o")}
    header.write_text(text)
    count += 1
    if results(mutant.values(), level) == expected: survivors.append(f"{level} {mutation.strip() or 'two rows'}")
print(f"{count} mutants, {len(survivors)} not noticed", *survivors, sep="\n")
sys.exit(bool(survivors))
