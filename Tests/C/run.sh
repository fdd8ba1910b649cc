#!/bin/sh
# A C program against the shared library, under the address sanitizer with its leaks, and the header as C++: sh run.sh LIBRARY FTF WORK.
set -eu
library=$1 ftf=$(readlink -f "$2") work=$3
# GDAL keeps what it registers.
export FTF_GDAL=
here=$(dirname "$0")
rm -rf "$work" && mkdir -p "$work/images"
strip -o "$work/libftf.so.1" "$library"
ln -s libftf.so.1 "$work/libftf.so"
cp "$here"/../Goldens/images/*.jpg "$work/images/"
"$ftf" index "$work/index" "$work/images" --model Models/ftf-small.ftf --json > /dev/null
headers=Sources/CFastThenFine/include
echo '#include <ftf.h>' | clang++ -x c++ -std=c++11 -Wall -Wextra -Werror -pedantic -I "$headers" -fsyntax-only -
image=$(ls "$work"/images/*.jpg | head -1)
for sanitizer in address undefined; do
  clang -fuse-ld=lld -std=c11 -Wall -Wextra -Werror -g -fsanitize=$sanitizer -I "$headers" "$here/interface.c" -L "$work" -lftf -lm -pthread -Wl,-rpath,"$PWD/$work" -o "$work/interface"
  rm -rf "$work"/new*
  "$work/interface" Models/ftf-small.ftf "$work/index" "$work/images" "$work/new" "$PWD/$image"
done
# What the page for C shows.
sed -n '/^```c$/,/^```$/p' docs/from-c.md | grep -v '^```' > "$work/find.c"
ln -s index "$work/archive.ftfindex"
clang -Wall -Wextra -Werror -I "$headers" "$work/find.c" -L "$work" -lftf -Wl,-rpath,"$PWD/$work" -o "$work/find"
(cd "$work" && FTF_MODEL="$OLDPWD/Models/ftf-small.ftf" ./find) | grep -q "images/.*jpg"
# Nothing else is seen of what it is made of.
nm -D --defined-only "$work/libftf.so" | awk '$2 ~ /[A-Z]/ { print $3 }' | grep -v '^ftf_' && exit 1
echo "the C interface is what its header says"
