#!/bin/sh
# The C kernels of every level make the same of the same numbers, those for Arm by qemu: sh run.sh WORK. Needs clang, lld, qemu-user,
# libc6-dev-arm64-cross and libgcc-12-dev-arm64-cross. There is no Swift for Arm in it.
set -eu
work=$1
rm -rf "$work" && mkdir -p "$work"
sources="Tests/Arm/kernels.c CSIMD/src/levels/*.c CSIMD/src/cpu.c CSIMD/src/shapes.c"
clang -O2 -Wall -Werror -ICSIMD/include $sources -lm -o "$work/here"
root=/usr/aarch64-linux-gnu
clang --target=aarch64-linux-gnu -O2 -Wall -Werror --sysroot=$root -I$root/include -ICSIMD/include -static -fuse-ld=lld \
  -B/usr/lib/gcc-cross/aarch64-linux-gnu/12 -L$root/lib -L/usr/lib/gcc-cross/aarch64-linux-gnu/12 $sources -lm -o "$work/arm"

# avx2 stands for all: it fuses multiply and add, as Arm does.
"$work/here" 2 > "$work/expected"
! grep -q BEHIND "$work/expected"
compare() { cmp -s "$work/expected" "$work/got" || { echo "$1: not what avx2 makes:"; diff "$work/expected" "$work/got" | head -5; exit 1; }; }
for level in 3 4; do
  if "$work/here" $level > "$work/got"; then compare "level $level"; else grep -q "no such level" "$work/got"; fi
done
# It does not fuse.
"$work/here" 1 > "$work/all" && grep -v '^gemm_f32\|^depthwise_f32' "$work/all" > "$work/got"
grep -v '^gemm_f32\|^depthwise_f32' "$work/expected" > "$work/unfused" && cmp "$work/unfused" "$work/got"
for pair in cortex-a53=5 cortex-a76=5 cortex-a76=6 neoverse-n1=6 max=6; do
  qemu-aarch64 -cpu "${pair%=*}" "$work/arm" "${pair#*=}" > "$work/got"
  compare "$pair"
done
! qemu-aarch64 -cpu cortex-a53 "$work/arm" 6 > "$work/got"
echo "$(wc -l < "$work/expected") results of kernels: x86 levels, Arm with and without dot products, the same bits"
