#!/bin/sh
# The licences of what is linked in, to a folder: sh licences.sh FOLDER. Run from the root of the repository, after a build.
set -eu
mkdir -p "$1"
for package in .build/checkouts/*; do
  for file in "$package"/LICENSE* "$package"/NOTICE*; do
    [ -f "$file" ] && cp "$file" "$1/$(basename "$package")-$(basename "$file")"
  done
done
swift=$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")
cp "$swift/share/swift/LICENSE.txt" "$1/swift-LICENSE.txt"
