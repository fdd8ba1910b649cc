#!/bin/sh
# Builds and runs the client against this checkout as git has it, by version and URL, under the thread sanitizer: its tasks search, index and cancel at once.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/FastThenFine"
git -C "$work/FastThenFine" tag "$(sed -n 's/^## \([0-9.]*\),.*/\1/p' CHANGELOG.md | head -1)"
mkdir "$work/out"
# What an earlier run wrote names the folder of that run.
rm -f Tests/Client/Package.resolved
# A scratch folder that stays: the second build is a short one.
FASTTHENFINE_URL="file://$work/FastThenFine" ${SWIFT:-swift} build --package-path Tests/Client --scratch-path .build-client --sanitize=thread ${FLAGS:-}
export TSAN_OPTIONS="suppressions=$PWD/Tests/threads.txt"
.build-client/debug/client Tests/Goldens/tiny Tests/Goldens/images "$work/out" > "$work/log" || { cat "$work/log"; exit 1; }
cat "$work/log"
grep -q '^1 .*\.\(jpg\|png\)$' "$work/log"
grep -q '^17 images; unusableFile .*none.jpg' "$work/log"
grep -q '^crowd: 17 images' "$work/log"
test -s "$work/out/why/3.png"
# Who depends on the library fetches that and GRDB, and nothing else.
test "$(ls .build-client/checkouts | tr "\n" " ")" = "FastThenFine GRDB.swift " || { echo "fetched: $(ls .build-client/checkouts)" >&2; exit 1; }
echo "the client package built by version, and ran"
