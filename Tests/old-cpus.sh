#!/bin/sh
# Whether CPUs that are older run the command, without an illegal instruction and with the same bits: sh old-cpus.sh FTF WORK. Needs qemu-user.
set -eu
ftf=$1 work=$2 model=Models/ftf-small.ftf
rm -rf "$work" && mkdir -p "$work/images"
cp Tests/Goldens/images/rgb.jpg Tests/Goldens/images/exact.png "$work/images/"
run() { "$ftf" embed $model --text 'a bridge over a river' -o "$work/t.npy" > /dev/null && cat "$work/t.npy"; }
bits=$(run | sha256sum)
for pair in Nehalem=sse42 SandyBridge=sse42 Haswell,-fma=sse42 Haswell=avx2; do
  cpu=${pair%=*}
  on() { qemu-x86_64 -cpu "$cpu" "$@" 2> "$work/errors" || { cat "$work/errors"; echo "$cpu: exit $?"; exit 1; }; }
  level=$(on "$ftf" info | sed -n 's/^level  *//p')
  [ "$level" = "${pair#*=}" ] || { echo "$cpu: level $level, not ${pair#*=}"; exit 1; }
  on "$ftf" embed $model --text 'a bridge over a river' -o "$work/t.npy" > /dev/null
  [ "$(sha256sum < "$work/t.npy")" = "$bits" ] || { echo "$cpu: other bits"; exit 1; }
done
# All of it on the oldest: pictures are decoded and encoded, an index is written and searched.
cpu=Nehalem
on "$ftf" index "$work/index" "$work/images" > /dev/null
on "$ftf" search "$work/index" --text 'a bridge' --top 1 --json > "$work/found.json"
"$ftf" search "$work/index" --text 'a bridge' --top 1 --json > "$work/here.json"
score() { sed 's/.*"score":\([^,}]*\).*/\1/' "$1"; }
[ "$(score "$work/found.json")" = "$(score "$work/here.json")" ] || { echo "another score on an old CPU"; exit 1; }
echo "Nehalem, SandyBridge, Haswell with and without FMA: run, with the same bits"
