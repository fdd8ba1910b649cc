#!/bin/sh
# The C kernels of every level make the same of the same numbers, those for Arm by qemu, the tiles of AMX by tiles.c where the
# CPU has none: sh run.sh WORK. Needs clang, lld, qemu-user,
# libc6-dev-arm64-cross and libgcc-12-dev-arm64-cross. There is no Swift for Arm in it.
set -eu
work=$1
rm -rf "$work" && mkdir -p "$work"
sources="Tests/Levels/kernels.c Tests/Levels/tiles.c CSIMD/src/levels/*.c CSIMD/src/cpu.c CSIMD/src/shapes.c"
clang -O2 -Wall -Werror -ICSIMD/include $sources -lm -o "$work/here"
root=/usr/aarch64-linux-gnu
clang --target=aarch64-linux-gnu -O2 -Wall -Werror --sysroot=$root -I$root/include -ICSIMD/include -static -fuse-ld=lld \
  -B/usr/lib/gcc-cross/aarch64-linux-gnu/12 -L$root/lib -L/usr/lib/gcc-cross/aarch64-linux-gnu/12 $sources -lm -o "$work/arm"

# avx2 stands for all: it fuses multiply and add, as Arm does.
"$work/here" avx2 > "$work/expected"
! grep -q BEHIND "$work/expected"
compare() { cmp -s "$work/expected" "$work/got" || { echo "$1: not what avx2 makes:"; diff "$work/expected" "$work/got" | head -5; exit 1; }; }
for level in avxvnni avx512vnni amx; do
  if "$work/here" $level > "$work/got"; then compare "level $level"; else grep -q "no such level" "$work/got" && echo "not tried here: $level"; fi
done
# It does not fuse.
"$work/here" sse42 > "$work/all" && grep -v '^gemm_f32\|^depthwise_f32' "$work/all" > "$work/got"
grep -v '^gemm_f32\|^depthwise_f32' "$work/expected" > "$work/unfused" && cmp "$work/unfused" "$work/got"
for pair in cortex-a53=neon cortex-a76=neon cortex-a76=neondot neoverse-n1=neondot max=neondot max=i8mm max,sve=off=i8mm; do
  qemu-aarch64 -cpu "${pair%=*}" "$work/arm" "${pair##*=}" > "$work/got"
  compare "$pair"
done
! qemu-aarch64 -cpu cortex-a53 "$work/arm" neondot > "$work/got"
! qemu-aarch64 -cpu neoverse-n1 "$work/arm" i8mm > "$work/got"
echo "$(wc -l < "$work/expected") results of kernels: x86 levels, Arm with and without dot products and matrix products, the same bits"
