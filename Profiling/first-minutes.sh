#!/bin/sh
# What a newcomer waits for: sh Profiling/first-minutes.sh [COMMIT]
# In a clone, with no cache of Swift's and the system's packages installed: a row of a table for each of make demo, the build that make serve
# needs, make test, and a client's build. Then the lines of every room.
set -eu
commit=${1:-HEAD}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/clone"
cd "$work/clone"
git checkout -q "$commit"
export XDG_CACHE_HOME="$work/cache"

row() { # NAME SCRATCH COMMAND...
  name=$1 scratch=$2
  shift 2
  rm -rf "$XDG_CACHE_HOME" "$scratch"
  began=$(date +%s)
  "$@" > "$work/log" 2>&1 || { tail -20 "$work/log"; exit 1; }
  took=$(($(date +%s) - began))
  fetched=$(du -scm "$scratch/checkouts" "$scratch/repositories" | tail -1 | cut -f1)
  steps=$(grep -o '^\[[0-9]*/[0-9]*\]' "$work/log" | tr -d '[]' | cut -d/ -f2 | sort -n | tail -1)
  echo "| $name | $took | $(ls "$scratch/checkouts" | wc -l) | $fetched | ${steps:--} |"
}

echo "| $(git log -1 --format='%h, %ad' --date=short) | seconds | packages | MB fetched | build steps |"
echo "|---|---|---|---|---|"
row 'make demo' .build make demo
row 'make release, which make serve needs' .build make release
row 'make test' .build make test
row 'a client of the library' .build-client sh Tests/Client/run.sh
echo
git ls-files Sources CSIMD Profiling | grep -E '\.(swift|c|h|html|css|js)$' | while read -r file; do
  room=${file#Sources/}
  echo "$(grep -c '' "$file") ${room%%/*}"
done | awk '{ lines[$2] += $1; all += $1 } END { for (room in lines) print "| " room " | " lines[room] " |"; print "| all | " all " |" }' | sort
